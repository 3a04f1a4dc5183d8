/** The same with a TrafficExtension, which replaces a WasmPlugin in Istio 1.30 and newer: docs/istio.md. */
import { renderTrafficExtension } from "../render/wasmplugin.ts";
import { istioExtension } from "./istio-extension.ts";

export const trafficextension = istioExtension({
  name: "trafficextension",
  noun: "a TrafficExtension",
  summary: "the same for Istio 1.30 and newer",
  purpose: "The same as a TrafficExtension, if your Istio (1.30 or newer) has them",
  resource: renderTrafficExtension,
});

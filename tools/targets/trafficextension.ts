/** The same with a TrafficExtension, which Istio 1.30 and newer has in the place of a WasmPlugin: docs/istio.md. */
import { renderTrafficExtension } from "../render/wasmplugin.ts";
import { istioExtension } from "./istio-extension.ts";

export const trafficextension = istioExtension({
  name: "trafficextension",
  noun: "a TrafficExtension",
  summary: "the same for Istio 1.30 and newer",
  purpose: "The same as a TrafficExtension, if your Istio (1.30 or newer) has them",
  resource: renderTrafficExtension,
});

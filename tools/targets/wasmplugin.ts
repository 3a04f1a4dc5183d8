/** Istio's resources that put the filter into a mesh, with a WasmPlugin: docs/istio.md. */
import { renderWasmPlugin } from "../render/wasmplugin.ts";
import { istioExtension } from "./istio-extension.ts";

export const wasmplugin = istioExtension({
  name: "wasmplugin",
  noun: "a WasmPlugin",
  summary: "Istio resources",
  purpose: "The plugin for a workload in a mesh",
  resource: renderWasmPlugin,
});

/**
 * jwtgate as a library: compiler, review, explanation, tests of policies, token signing, and a host that runs the filter
 * without Envoy.
 *
 * @example
 * ```ts
 * import { readFile } from "node:fs/promises";
 * import { compile, createHost, formatDiagnostic, moduleFile } from "jwtgate";
 *
 * const text = await readFile("policies.yaml", "utf8");
 * const { configuration, diagnostics } = compile([{ name: "policies.yaml", text }], { target: "envoy" });
 * if (configuration === undefined) throw new Error(diagnostics.map(formatDiagnostic).join("\n"));
 *
 * const host = await createHost(await readFile(moduleFile));
 * host.configure(configuration);
 * const { answer, upstream } = await host.request({ path: "/productpage" });
 * ```
 *
 * @module
 */
export * from "./core.ts";
export { createNodeHost as createHost, type NodeHostOptions as HostOptions } from "./host/node.ts";
export { loadModules } from "./modules.ts";
export {
  MODULE_FILE as moduleFile,
  TRACE_MODULE_FILE as traceModuleFile,
} from "./package.ts";

/**
 * jwtgate as a library: the compiler, and a host that runs the filter without Envoy.
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
export type { CompiledResource, CompiledWorkload, CompileResult, SourceFile, SourceMap } from "./compile.ts";
export type { Configuration } from "./config/schema.ts";
export {
  type Diagnostic,
  formatDiagnostic,
  formatPosition,
  type Position,
  type Severity,
} from "./diagnostics.ts";
export type { LogLevel } from "./host/abi.ts";
export type { HttpResponse } from "./host/context.ts";
export type { Clock, Host, HttpCall, Loaded, LogLine, Outcome, PluginOptions, Stream } from "./host/host.ts";
export type {
  DownstreamRequest,
  ListenerOptions,
  PathNormalization,
  UpstreamRequest,
} from "./host/http-connection-manager.ts";
export type { Answer } from "./host/local-reply.ts";
export { createNodeHost as createHost, type NodeHostOptions as HostOptions } from "./host/node.ts";
export type { SocketAddress, TlsInfo } from "./host/stream-info.ts";
export { MODULE_FILE as moduleFile, VERSION as version } from "./package.ts";
export { type CompileOptions, compile } from "./targets/compile.ts";

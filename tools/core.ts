/**
 * The part of the library that runs anywhere, in browsers too: it reads no files and needs nothing of Node. Everything in
 * it is in `jwtgate` as well.
 *
 * @module
 */

export { check } from "./check/exact.ts";
export type { Finding, Severity as FindingSeverity } from "./check/findings.ts";
export type { Review, ReviewOptions } from "./check/review.ts";
export type {
  CompiledResource,
  CompiledWorkload,
  CompileResult,
  SourceFile,
  SourceMap,
} from "./compile.ts";
export type { Configuration } from "./config/schema.ts";
export {
  type Diagnostic,
  formatDiagnostic,
  formatPosition,
  type Position,
  type Severity,
} from "./diagnostics.ts";
export type { Explanation } from "./explain/explain.ts";
export { Explainer, type ExplainerOptions } from "./explain/explainer.ts";
export type { Documents, Modules } from "./explain/gate.ts";
export type { LogLevel } from "./host/abi.ts";
export type { HttpResponse } from "./host/context.ts";
export type {
  Clock,
  Host,
  HostOptions,
  HttpCall,
  Loaded,
  LogLine,
  Outcome,
  PluginOptions,
  Stream,
} from "./host/host.ts";
export type {
  CompleteListener,
  CompleteRequest,
  DownstreamRequest,
  ListenerOptions,
  PathNormalization,
  UpstreamRequest,
} from "./host/http-connection-manager.ts";
export type { Answer } from "./host/local-reply.ts";
export type { SocketAddress, TlsInfo } from "./host/stream-info.ts";
export { createWebHost as createHost } from "./host/web.ts";
export { type CompileOptions, compile } from "./targets/compile.ts";
export type { TargetName } from "./targets/index.ts";
export { type CaseResult, type Failure, runSuite, type SuiteResult } from "./testing/run.ts";
export { type Files, type LoadedSuite, loadSuite, type Suite } from "./testing/suite.ts";
export { type PemReader, PrivateKey } from "./token/private-key.ts";
export { NoSigningKey, Signer, type SignerOptions } from "./token/signer.ts";
export { VERSION as version } from "./version.ts";

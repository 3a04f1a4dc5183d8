/** Numbers of the proxy-wasm ABI 0.2.1, from proxy-wasm-cpp-host (include/proxy-wasm/wasm_vm.h, src/limits.h). */

/** What a host function returns. */
export const WasmResult = {
  Ok: 0,
  NotFound: 1,
  BadArgument: 2,
  SerializationFailure: 3,
  ParseFailure: 4,
  BadExpression: 5,
  InvalidMemoryAccess: 6,
  Empty: 7,
  CasMismatch: 8,
  ResultMismatch: 9,
  InternalFailure: 10,
  BrokenConnection: 11,
  Unimplemented: 12,
} as const;
export type WasmResult = (typeof WasmResult)[keyof typeof WasmResult];

export const HeaderMapType = {
  RequestHeaders: 0,
  RequestTrailers: 1,
  ResponseHeaders: 2,
  ResponseTrailers: 3,
  GrpcReceiveInitialMetadata: 4,
  GrpcReceiveTrailingMetadata: 5,
  HttpCallResponseHeaders: 6,
  HttpCallResponseTrailers: 7,
} as const;
/** The largest HeaderMapType. */
export const HEADER_MAP_TYPE_MAX = 7;

export const BufferType = {
  HttpRequestBody: 0,
  HttpResponseBody: 1,
  NetworkDownstreamData: 2,
  NetworkUpstreamData: 3,
  HttpCallResponseBody: 4,
  GrpcReceiveBuffer: 5,
  VmConfiguration: 6,
  PluginConfiguration: 7,
  CallData: 8,
} as const;
/** The largest BufferType. */
export const BUFFER_TYPE_MAX = 8;

export const StreamType = { Request: 0, Response: 1, Downstream: 2, Upstream: 3 } as const;
/** The largest StreamType. */
export const STREAM_TYPE_MAX = 3;

export const MetricType = { Counter: 0, Gauge: 1, Histogram: 2 } as const;

/** Names of the log levels, by their number. */
export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "critical"] as const;
/** Levels of Envoy's log. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/**
 * `proxy_on_request_headers` may stop the stream: any value but Continue does (there is no partial stop under this
 * ABI).
 */
export const FilterHeadersStatus = { Continue: 0, ContinueAndEndStream: 2 } as const;

/** A longer list of pairs from the module decodes as empty, without an error. */
export const PAIRS_MAX_BYTES = 1024 * 1024;
/** A list of more pairs from the module decodes as empty, without an error. */
export const PAIRS_MAX_COUNT = 1024;
/** WASI `random_get` refuses more. */
export const RANDOM_MAX_BYTES = 64 * 1024;

export const Errno = {
  Success: 0,
  BadFileDescriptor: 8,
  Fault: 21,
  Invalid: 28,
  NoEntry: 44,
  NoSystem: 52,
  NotSupported: 58,
} as const;

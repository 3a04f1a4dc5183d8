/**
 * Numbers of the proxy-wasm ABI 0.2.1 that the filter uses (proxy-wasm/spec, abi-versions/v0.2.1). They are repeated
 * here because the SDK's file also brings globals of its own.
 */

/** What a host call returns. */
export const enum WasmResult {
  Ok = 0,
  NotFound = 1,
}

export const enum LogLevel {
  Info = 2,
  Warn = 3,
  Error = 4,
}

export const enum MetricType {
  Counter = 0,
  Gauge = 1,
}

export const enum StreamType {
  Request = 0,
}

export const enum HeaderMapType {
  RequestHeaders = 0,
  HttpCallResponseHeaders = 6,
}

export const enum BufferType {
  HttpCallResponseBody = 4,
  PluginConfiguration = 7,
}

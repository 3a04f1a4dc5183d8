/** Selects the stream that host calls act on, and continues a paused one. */
import { proxy_continue_stream, proxy_set_effective_context } from "@solo-io/proxy-runtime/assembly/imports";
import { StreamType, WasmResult } from "./values";

let stream: u32 = 0;

/** The stream whose callback runs now. */
export function currentStream(): u32 {
  return stream;
}

/** Records the stream whose callback runs now. */
export function setCurrentStream(contextId: u32): void {
  stream = contextId;
}

/** Makes host calls act on the stream `contextId`. @returns false if it no longer exists */
export function setEffectiveContext(contextId: u32): bool {
  return proxy_set_effective_context(contextId) == WasmResult.Ok;
}

/** Continues the effective context's request. @returns false if the host failed */
export function continueRequest(): bool {
  return proxy_continue_stream(StreamType.Request) == WasmResult.Ok;
}

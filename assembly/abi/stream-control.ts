/** Which stream the host calls act on, and letting a paused one go on. */
import { proxy_continue_stream, proxy_set_effective_context } from "@solo-io/proxy-runtime/assembly/imports";
import { StreamType, WasmResult } from "./values";

let stream: u32 = 0;

/** The stream that is handled now. */
export function currentStream(): u32 {
  return stream;
}

/** Notes which stream is handled now. */
export function setCurrentStream(contextId: u32): void {
  stream = contextId;
}

/** Makes host calls act on the stream `contextId`. @returns false where it no longer exists */
export function setEffectiveContext(contextId: u32): bool {
  return proxy_set_effective_context(contextId) == WasmResult.Ok;
}

/** Lets the effective context's request go on. @returns whether the host did */
export function continueRequest(): bool {
  return proxy_continue_stream(StreamType.Request) == WasmResult.Ok;
}

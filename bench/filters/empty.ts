/** A filter that does nothing: what a Wasm filter costs before it does anything. */
export { malloc } from "./host";

export function proxy_abi_version_0_2_1(): void {}

export function proxy_on_request_headers(contextId: u32, headers: u32, endOfStream: u32): u32 {
  return 0;
}

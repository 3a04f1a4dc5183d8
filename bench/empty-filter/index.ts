/** A filter that does nothing: what a Wasm filter costs before it does anything. */

export function proxy_abi_version_0_2_1(): void {}

/** The host asks for memory only for what a filter reads, and this one reads nothing. */
export function malloc(size: usize): usize {
  return heap.alloc(size);
}

export function proxy_on_request_headers(contextId: u32, headers: u32, endOfStream: u32): u32 {
  return 0;
}

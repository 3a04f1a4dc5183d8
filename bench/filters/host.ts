/** The host's functions that jwtgate calls once for a request with a known token. */

// @ts-ignore: decorator
@external("env", "proxy_get_header_map_pairs")
declare function proxy_get_header_map_pairs(map: u32, address: usize, size: usize): u32;
// @ts-ignore: decorator
@external("env", "proxy_get_current_time_nanoseconds")
declare function proxy_get_current_time_nanoseconds(result: usize): u32;
// @ts-ignore: decorator
@external("env", "proxy_remove_header_map_value")
declare function proxy_remove_header_map_value(map: u32, name: usize, size: usize): u32;

const REQUEST_HEADERS: u32 = 0;
const RESULT = memory.data(16, 16);
const AUTHORIZATION = memory.data<u8>([
  0x61, 0x75, 0x74, 0x68, 0x6f, 0x72, 0x69, 0x7a, 0x61, 0x74, 0x69, 0x6f, 0x6e,
]);
/** Where the host puts its results; each request overwrites them. */
const ANSWERS = memory.data(65536, 16);

/** Allocates memory for the host's results. */
export function malloc(size: usize): usize {
  return ANSWERS;
}

export function readHeaders(): void {
  proxy_get_header_map_pairs(REQUEST_HEADERS, RESULT, RESULT + 4);
}

export function readClock(): void {
  proxy_get_current_time_nanoseconds(RESULT);
}

export function removeToken(): void {
  proxy_remove_header_map_value(REQUEST_HEADERS, AUTHORIZATION, 13);
}

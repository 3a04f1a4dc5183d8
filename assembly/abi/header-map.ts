/**
 * The header maps of the host. One read of all pairs costs about 1 µs and shows every value of a repeated header.
 * Changes are made one by one, because the host reads a list of more than 1,024 pairs or 1 MiB as empty.
 */
import {
  proxy_add_header_map_value,
  proxy_get_header_map_pairs,
  proxy_remove_header_map_value,
  proxy_replace_header_map_value,
} from "@solo-io/proxy-runtime/assembly/imports";
import { allocate } from "../memory/arena";
import { OUT } from "./out";
import { EMPTY, Slice, lengthOf, pointerOf, slice } from "../memory/slice";
import { HeaderMapType, WasmResult } from "./values";

export const enum HeaderMap {
  Request = 0,
  HttpCallResponse = 6,
}

/**
 * Reads all pairs of a header map in the host's layout: a count, the lengths of all names and values, then the bytes of
 * each, followed by a NUL.
 *
 * @returns the bytes, in the arena, with all lengths in them; EMPTY if the host failed or returned fewer
 */
export function readPairs(map: HeaderMap): Slice {
  store<u32>(OUT, 0);
  store<u32>(OUT, 0, 4);
  if (proxy_get_header_map_pairs(map, OUT, OUT + 4) != WasmResult.Ok) return EMPTY;
  const start = load<u32>(OUT) as usize;
  const size = load<u32>(OUT, 4) as u64;
  if (size < 4) {
    // The host returns no bytes for an empty map.
    const none = allocate(4);
    store<u32>(none, 0);
    return slice(none, 4);
  }
  const needed: u64 = 4 + (load<u32>(start) as u64) * 8;
  return needed > size || size > <u64>i32.MAX_VALUE ? EMPTY : slice(start, <i32>size);
}

/** The number of pairs that `readPairs` returned. */
export function countPairs(pairs: Slice): i32 {
  return load<i32>(pointerOf(pairs));
}

/** The address of the lengths of pair `i`; that of the number of pairs is where the names and values begin. */
// @ts-ignore: decorator
@inline
export function lengthsOfPair(pairs: Slice, i: i32): usize {
  return pointerOf(pairs) + 4 + <usize>i * 8;
}

// @ts-ignore: decorator
@inline
export function nameLengthAt(lengths: usize): u32 {
  return load<u32>(lengths);
}

// @ts-ignore: decorator
@inline
export function valueLengthAt(lengths: usize): u32 {
  return load<u32>(lengths, 4);
}

/** Appends a value to a request header. @returns false if the host failed */
export function addRequestHeader(name: Slice, value: Slice): bool {
  return (
    proxy_add_header_map_value(
      HeaderMapType.RequestHeaders,
      pointerOf(name),
      lengthOf(name),
      pointerOf(value),
      lengthOf(value),
    ) == WasmResult.Ok
  );
}

/** Sets a request header to one value. @returns false if the host failed */
export function replaceRequestHeader(name: Slice, value: Slice): bool {
  return (
    proxy_replace_header_map_value(
      HeaderMapType.RequestHeaders,
      pointerOf(name),
      lengthOf(name),
      pointerOf(value),
      lengthOf(value),
    ) == WasmResult.Ok
  );
}

/** Removes all values of a request header. @returns false if the host failed */
export function removeRequestHeader(name: Slice): bool {
  return (
    proxy_remove_header_map_value(HeaderMapType.RequestHeaders, pointerOf(name), lengthOf(name)) ==
    WasmResult.Ok
  );
}

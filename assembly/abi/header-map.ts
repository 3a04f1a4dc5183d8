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

/**
 * Unpacks the pairs to `table`: two slices (16 bytes) for each pair, name and value.
 *
 * @param table address of `countPairs(pairs) * 16` bytes
 * @returns false if the lengths add up to more than there is
 */
export function unpackPairs(pairs: Slice, table: usize): bool {
  const start = pointerOf(pairs);
  const end = <u64>start + <u64>lengthOf(pairs);
  const lengthsEnd = start + 4 + <usize>load<u32>(start) * 8;
  let name = <u64>lengthsEnd;
  let entry = table;
  for (let lengths = start + 4; lengths < lengthsEnd; lengths += 8) {
    const nameLength = load<u32>(lengths);
    const valueLength = load<u32>(lengths, 4);
    const value = name + nameLength + 1;
    const next = value + valueLength + 1;
    if (next > end) return false;
    store<Slice>(entry, slice(<usize>name, nameLength));
    store<Slice>(entry, slice(<usize>value, valueLength), 8);
    name = next;
    entry += 16;
  }
  return true;
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

/**
 * The header maps of the host. One read of all pairs costs about 1 µs and shows every value of a repeated header;
 * changes go one by one, because a list of pairs over 1,024 entries or 1 MiB is read by the host as empty.
 */
import {
  proxy_add_header_map_value,
  proxy_get_header_map_pairs,
  proxy_remove_header_map_value,
  proxy_replace_header_map_value,
} from "@solo-io/proxy-runtime/assembly/imports";
import { HeaderMapTypeValues, WasmResultValues } from "@solo-io/proxy-runtime/assembly/runtime";
import { OUT, allocate } from "./arena";
import { EMPTY, Slice, lengthOf, pointerOf, slice } from "./slice";

export const enum HeaderMap {
  Request = 0,
  HttpCallResponse = 6,
}

/**
 * All pairs of a header map, as the host lays them out: a count, the lengths of all names and values, then the bytes
 * of each with a NUL behind it. The layout is checked before it is used.
 *
 * @returns the bytes, in the arena, or EMPTY where the host failed or the layout is not whole
 */
export function readPairs(map: HeaderMap): Slice {
  store<u32>(OUT, 0);
  store<u32>(OUT, 0, 4);
  if (proxy_get_header_map_pairs(map, OUT, OUT + 4) != WasmResultValues.Ok) return EMPTY;
  const start = load<u32>(OUT) as usize;
  const size = load<u32>(OUT, 4) as u64;
  if (size < 4) {
    // An empty map comes as no bytes at all.
    const none = allocate(4);
    store<u32>(none, 0);
    return slice(none, 4);
  }
  const count = load<u32>(start) as u64;
  let needed: u64 = 4 + count * 8;
  if (needed > size) return EMPTY;
  for (let i: usize = 0; i < <usize>count; i++) {
    needed += <u64>load<u32>(start + 4 + i * 8) + <u64>load<u32>(start + 8 + i * 8) + 2;
  }
  return needed > size || size > <u64>i32.MAX_VALUE ? EMPTY : slice(start, <i32>size);
}

/** The number of pairs that `readPairs` returned. */
export function countPairs(pairs: Slice): i32 {
  return load<i32>(pointerOf(pairs));
}

/**
 * Unpacks the pairs to `table`: two slices (16 bytes) a pair, name and value.
 *
 * @param table address of `countPairs(pairs) * 16` bytes
 */
export function unpackPairs(pairs: Slice, table: usize): void {
  const start = pointerOf(pairs);
  const count = load<i32>(start) as usize;
  let bytes = start + 4 + count * 8;
  for (let i: usize = 0; i < count; i++) {
    const nameLength = load<i32>(start + 4 + i * 8);
    const valueLength = load<i32>(start + 8 + i * 8);
    store<Slice>(table + i * 16, slice(bytes, nameLength));
    bytes += <usize>nameLength + 1;
    store<Slice>(table + i * 16 + 8, slice(bytes, valueLength));
    bytes += <usize>valueLength + 1;
  }
}

/** Appends a value to a request header. @returns whether the host did */
export function addRequestHeader(name: Slice, value: Slice): bool {
  return (
    proxy_add_header_map_value(
      HeaderMapTypeValues.RequestHeaders,
      pointerOf(name),
      lengthOf(name),
      pointerOf(value),
      lengthOf(value),
    ) == WasmResultValues.Ok
  );
}

/** Sets a request header to one value. @returns whether the host did */
export function replaceRequestHeader(name: Slice, value: Slice): bool {
  return (
    proxy_replace_header_map_value(
      HeaderMapTypeValues.RequestHeaders,
      pointerOf(name),
      lengthOf(name),
      pointerOf(value),
      lengthOf(value),
    ) == WasmResultValues.Ok
  );
}

/** Removes all values of a request header. @returns whether the host did */
export function removeRequestHeader(name: Slice): bool {
  return (
    proxy_remove_header_map_value(
      HeaderMapTypeValues.RequestHeaders,
      pointerOf(name),
      lengthOf(name),
    ) == WasmResultValues.Ok
  );
}

/** Host properties (Envoy's attributes). */
import { proxy_get_property, proxy_set_property } from "@solo-io/proxy-runtime/assembly/imports";
import { OUT } from "./out";
import { ABSENT, FAILED, Slice, lengthOf, pointerOf, slice } from "../memory/slice";
import { WasmResult } from "./values";

/**
 * Writes filter state `wasm.PATH`, which access logs print with %FILTER_STATE(wasm.PATH:PLAIN)%.
 *
 * @returns false if the host failed
 */
export function setProperty(path: Slice, value: Slice): bool {
  return (
    proxy_set_property(pointerOf(path), lengthOf(path), pointerOf(value), lengthOf(value)) == WasmResult.Ok
  );
}

/**
 * @param path the attribute's segments, separated by NUL (`source\0address`)
 * @returns the value, in the arena; ABSENT if the connection or request has no such attribute; FAILED if the host
 *   failed, after which the caller fails closed
 */
export function getProperty(path: Slice): Slice {
  store<u32>(OUT, 0);
  store<u32>(OUT, 0, 4);
  const result = proxy_get_property(pointerOf(path), lengthOf(path), OUT, OUT + 4);
  if (result == WasmResult.NotFound) return ABSENT;
  if (result != WasmResult.Ok) return FAILED;
  return slice(load<u32>(OUT), load<i32>(OUT, 4));
}

/** The integer that Envoy writes as a property (64 bits, little-endian); -1 if the value has another length. */
export function propertyInteger(value: Slice): i64 {
  return lengthOf(value) == 8 ? load<i64>(pointerOf(value)) : -1;
}

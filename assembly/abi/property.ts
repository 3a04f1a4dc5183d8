/** Host properties (Envoy's attributes). */
import { proxy_get_property, proxy_set_property } from "@solo-io/proxy-runtime/assembly/imports";
import { WasmResultValues } from "@solo-io/proxy-runtime/assembly/runtime";
import { OUT } from "./arena";
import { EMPTY, Slice, lengthOf, pointerOf, slice } from "./slice";

/**
 * Writes filter state `wasm.PATH`, which access logs print with %FILTER_STATE(wasm.PATH:PLAIN)%.
 *
 * @returns whether the host did
 */
export function setProperty(path: Slice, value: Slice): bool {
  return (
    proxy_set_property(pointerOf(path), lengthOf(path), pointerOf(value), lengthOf(value)) ==
    WasmResultValues.Ok
  );
}

export const enum PropertyResult {
  Found,
  /** The attribute does not exist for this connection or request. */
  Absent,
  /** The host failed; the caller fails closed. */
  Failed,
}

/** The value of the last `Found`, in the arena. */
export let propertyValue: Slice = EMPTY;

/** The value of the last `Found` as the integer that Envoy writes (64 bits, little-endian); -1 where it is no integer. */
export function propertyInteger(): i64 {
  return lengthOf(propertyValue) == 8 ? load<i64>(pointerOf(propertyValue)) : -1;
}

/**
 * @param path the attribute's segments, separated by NUL (`source\0address`)
 */
export function getProperty(path: Slice): PropertyResult {
  propertyValue = EMPTY;
  store<u32>(OUT, 0);
  store<u32>(OUT, 0, 4);
  const result = proxy_get_property(pointerOf(path), lengthOf(path), OUT, OUT + 4);
  if (result == WasmResultValues.NotFound) return PropertyResult.Absent;
  if (result != WasmResultValues.Ok) return PropertyResult.Failed;
  propertyValue = slice(load<u32>(OUT), load<i32>(OUT, 4));
  return PropertyResult.Found;
}

/**
 * Lists of slices in the arena, such as a header table or a list of names. Indexes are not checked: the caller keeps
 * them in range.
 */
import { allocate } from "./arena";
import { Slice } from "./slice";

/** The address of a list. */
export type SliceList = usize;

/** @returns a list of `length` slices, uninitialised, valid until the arena's next reset */
export function allocateSlices(length: i32): SliceList {
  return allocate(<usize>length * sizeof<Slice>());
}

/** The slice at `index`. */
// @ts-ignore: decorator
@inline
export function sliceAt(list: SliceList, index: i32): Slice {
  return load<Slice>(list + <usize>index * sizeof<Slice>());
}

/** Puts `s` at `index`. */
// @ts-ignore: decorator
@inline
export function setSlice(list: SliceList, index: i32, s: Slice): void {
  store<Slice>(list + <usize>index * sizeof<Slice>(), s);
}

/** Copies the first `length` slices of `source` to `target`. */
export function copySlices(target: SliceList, source: SliceList, length: i32): void {
  memory.copy(target, source, <usize>length * sizeof<Slice>());
}

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

/** The length of the slice at `index`. */
// @ts-ignore: decorator
@inline
export function lengthAt(list: SliceList, index: i32): i32 {
  return load<i32>(list + <usize>index * sizeof<Slice>());
}

/** The byte at the address of the slice at `index`, which must be readable even if the slice is empty. */
// @ts-ignore: decorator
@inline
export function firstByteAt(list: SliceList, index: i32): u8 {
  return load<u8>(load<usize>(list + <usize>index * sizeof<Slice>(), 4));
}

/** Puts the slice of `length` bytes at `pointer` at `index`. */
// @ts-ignore: decorator
@inline
export function setParts(list: SliceList, index: i32, pointer: usize, length: u32): void {
  store<u32>(list + <usize>index * sizeof<Slice>(), length);
  store<usize>(list + <usize>index * sizeof<Slice>(), pointer, 4);
}

/** Copies the first `length` slices of `source` to `target`. */
export function copySlices(target: SliceList, source: SliceList, length: i32): void {
  memory.copy(target, source, <usize>length * sizeof<Slice>());
}

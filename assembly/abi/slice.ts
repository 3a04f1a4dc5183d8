/**
 * A byte slice as a value: pointer and length packed in one `u64`, so that slices are passed, stored and
 * compared without allocation. A slice owns nothing: whoever stores one keeps alive what it points into.
 */
export type Slice = u64;

/** The slice of no bytes; also "absent" where a function says so. */
// @ts-ignore: decorator
@inline
export const EMPTY: Slice = 0;

/** Packs `length` bytes at `pointer`. */
// @ts-ignore: decorator
@inline
export function slice(pointer: usize, length: i32): Slice {
  return ((<u64>pointer) << 32) | <u64>(<u32>length);
}

/** The address of the first byte. */
// @ts-ignore: decorator
@inline
export function pointerOf(s: Slice): usize {
  return <usize>(s >>> 32);
}

/** The number of bytes. */
// @ts-ignore: decorator
@inline
export function lengthOf(s: Slice): i32 {
  return <i32>(s as u32);
}

/** Byte `index`; the caller has checked `0 <= index < lengthOf(s)`. */
// @ts-ignore: decorator
@inline
export function byteAt(s: Slice, index: i32): u8 {
  return load<u8>(pointerOf(s) + <usize>index);
}

/** The bytes from `start` up to and without `end`; the caller has checked `0 <= start <= end <= lengthOf(s)`. */
// @ts-ignore: decorator
@inline
export function subslice(s: Slice, start: i32, end: i32): Slice {
  return slice(pointerOf(s) + <usize>start, end - start);
}

/** Whether both hold the same bytes. Not constant time: never for secrets (see `crypto/constant-time.ts`). */
export function equals(a: Slice, b: Slice): bool {
  const length = lengthOf(a);
  return length == lengthOf(b) && sameBytes(pointerOf(a), pointerOf(b), <usize>length);
}

/** Whether `length` bytes at both addresses are the same, eight at a time whatever their alignment. */
function sameBytes(a: usize, b: usize, length: usize): bool {
  let i: usize = 0;
  for (; i + 8 <= length; i += 8) {
    if (load<u64>(a + i) != load<u64>(b + i)) return false;
  }
  for (; i < length; i++) {
    if (load<u8>(a + i) != load<u8>(b + i)) return false;
  }
  return true;
}

/** Whether `s` begins with `prefix`. */
export function startsWith(s: Slice, prefix: Slice): bool {
  const length = lengthOf(prefix);
  return lengthOf(s) >= length && sameBytes(pointerOf(s), pointerOf(prefix), <usize>length);
}

/** Whether `s` ends with `suffix`. */
export function endsWith(s: Slice, suffix: Slice): bool {
  const length = lengthOf(suffix);
  const start = lengthOf(s) - length;
  return start >= 0 && sameBytes(pointerOf(s) + <usize>start, pointerOf(suffix), <usize>length);
}

/** Orders by bytes, then by length: negative, zero or positive, as `memcmp`. */
export function compare(a: Slice, b: Slice): i32 {
  const common = min(lengthOf(a), lengthOf(b));
  const order = memory.compare(pointerOf(a), pointerOf(b), <usize>common);
  return order != 0 ? order : lengthOf(a) - lengthOf(b);
}

/** The first index of `byte` at or after `from`, or -1. */
export function indexOfByte(s: Slice, byte: u8, from: i32 = 0): i32 {
  const start = pointerOf(s);
  const length = lengthOf(s);
  for (let i = from; i < length; i++) {
    if (load<u8>(start + <usize>i) == byte) return i;
  }
  return -1;
}

/** The bytes, UTF-8, as a string, for messages. Allocates. */
export function textOf(s: Slice): string {
  return String.UTF8.decodeUnsafe(pointerOf(s), <usize>lengthOf(s));
}

/** A compile-time text in static memory as UTF-8 bytes. Allocates: call it once, at start or configuration, and keep the owner. */
export class Text {
  private readonly bytes: ArrayBuffer;

  constructor(text: string) {
    this.bytes = String.UTF8.encode(text);
  }

  /** The bytes, valid as long as this object lives. */
  get slice(): Slice {
    return slice(changetype<usize>(this.bytes), this.bytes.byteLength);
  }
}

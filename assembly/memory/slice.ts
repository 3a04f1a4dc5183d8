/**
 * A byte slice as a value: pointer and length packed in one `u64`, so that slices are passed, stored and compared
 * without allocation. A slice owns nothing: a caller that stores one keeps alive what it points into.
 */
export type Slice = u64;

/** A word whose bytes are all 1. */
const EACH_BYTE: u64 = 0x0101010101010101;

/** The empty slice without an address. */
// @ts-ignore: decorator
@inline
export const EMPTY: Slice = 0;

/** Returned if there is no value. An empty value has an address. */
// @ts-ignore: decorator
@inline
export const ABSENT: Slice = 0;

/** Returned if the host failed. */
// @ts-ignore: decorator
@inline
export const FAILED: Slice = u64.MAX_VALUE;

/** Packs `length` bytes at `pointer`. */
// @ts-ignore: decorator
@inline
export function slice(pointer: usize, length: i32): Slice {
  return ((<u64>pointer) << 32) | (<u64>(<u32>length));
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

/** The four bytes at `index` as a number, in memory's order; the caller has checked `0 <= index <= lengthOf(s) - 4`. */
// @ts-ignore: decorator
@inline
export function fourBytesAt(s: Slice, index: i32): u32 {
  return load<u32>(pointerOf(s) + <usize>index);
}

/** The eight bytes at `index` as a number, in memory's order; the caller has checked `0 <= index <= lengthOf(s) - 8`. */
// @ts-ignore: decorator
@inline
export function eightBytesAt(s: Slice, index: i32): u64 {
  return load<u64>(pointerOf(s) + <usize>index);
}

/** The bytes from `start` up to but not including `end`; the caller has checked `0 <= start <= end <= lengthOf(s)`. */
// @ts-ignore: decorator
@inline
export function subslice(s: Slice, start: i32, end: i32): Slice {
  return slice(pointerOf(s) + <usize>start, end - start);
}

/** Whether both hold the same bytes. Not constant time: never for secrets (see `crypto/constant-time.ts`). */
// @ts-ignore: decorator
@inline
export function equals(a: Slice, b: Slice): bool {
  const length = lengthOf(a);
  return length == lengthOf(b) && sameBytes(pointerOf(a), pointerOf(b), <usize>length);
}

/**
 * Whether `length` bytes at both addresses are the same, at any alignment. Compares as many at a time as possible; the
 * last comparison may repeat some bytes.
 */
function sameBytes(a: usize, b: usize, length: usize): bool {
  if (length < 16) {
    if (length >= 8) {
      return load<u64>(a) == load<u64>(b) && load<u64>(a + length - 8) == load<u64>(b + length - 8);
    }
    if (length >= 4) {
      return load<u32>(a) == load<u32>(b) && load<u32>(a + length - 4) == load<u32>(b + length - 4);
    }
    for (let i: usize = 0; i < length; i++) {
      if (load<u8>(a + i) != load<u8>(b + i)) return false;
    }
    return true;
  }
  const last = a + length - 16;
  for (; a + 48 <= last; a += 64, b += 64) {
    const w = v128.xor(v128.load(a), v128.load(b));
    const x = v128.xor(v128.load(a, 16), v128.load(b, 16));
    const y = v128.xor(v128.load(a, 32), v128.load(b, 32));
    const z = v128.xor(v128.load(a, 48), v128.load(b, 48));
    if (v128.any_true(v128.or(v128.or(w, x), v128.or(y, z)))) return false;
  }
  for (; a < last; a += 16, b += 16) {
    if (v128.any_true(v128.xor(v128.load(a), v128.load(b)))) return false;
  }
  // The last sixteen bytes, of which the loop may have compared some.
  return !v128.any_true(v128.xor(v128.load(last), v128.load(b - (a - last))));
}

/** Whether `s` begins with `prefix`. */
// @ts-ignore: decorator
@inline
export function startsWith(s: Slice, prefix: Slice): bool {
  const length = lengthOf(prefix);
  return lengthOf(s) >= length && sameBytes(pointerOf(s), pointerOf(prefix), <usize>length);
}

/** Whether `s` ends with `suffix`. */
// @ts-ignore: decorator
@inline
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

/** The first index of one of two bytes, or -1. */
export function indexOfEither(s: Slice, x: u8, y: u8): i32 {
  const start = pointerOf(s);
  const length = <usize>lengthOf(s);
  const xs = EACH_BYTE * x;
  const ys = EACH_BYTE * y;
  if (length >= 8) {
    let i: usize = 0;
    // The last word may overlap the one before it, in which neither byte is.
    for (const last = length - 8; ; i = min(i + 8, last)) {
      const word = load<u64>(start + i);
      const found = zeroBytes(word ^ xs) | zeroBytes(word ^ ys);
      if (found != 0) return <i32>(i + <usize>(ctz(found) >>> 3));
      if (i == last) return -1;
    }
  }
  for (let i: usize = 0; i < length; i++) {
    const byte = load<u8>(start + i);
    if (byte == x || byte == y) return <i32>i;
  }
  return -1;
}

/**
 * Sets the highest bit of every byte that is zero; exact up to the first of them (Mycroft; Hacker's Delight, section
 * 6-1).
 */
// @ts-ignore: decorator
@inline
function zeroBytes(word: u64): u64 {
  return (word - EACH_BYTE) & ~word & (EACH_BYTE << 7);
}

/** The UTF-8 bytes as a string, for messages. Allocates. */
export function textOf(s: Slice): string {
  return String.UTF8.decodeUnsafe(pointerOf(s), <usize>lengthOf(s));
}

/**
 * A constant text as UTF-8 bytes that live as long as the module. It is not an object of the garbage collector, which
 * would visit every one of them. Make it once, at module level.
 */
@unmanaged
export class Text {
  /** The bytes. */
  readonly slice: Slice;

  constructor(text: string) {
    const bytes = heap.alloc(String.UTF8.byteLength(text));
    const length = String.UTF8.encodeUnsafe(changetype<usize>(text), text.length, bytes);
    this.slice = slice(bytes, <i32>length);
  }
}

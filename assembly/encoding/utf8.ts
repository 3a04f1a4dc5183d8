/** UTF-8 as RFC 3629 defines it: shortest forms only, no surrogates, nothing above U+10FFFF. */
import { Slice, lengthOf, pointerOf } from "../memory/slice";

/**
 * @param p the address of a byte
 * @param end the address after the last byte that may be read; greater than `p`
 * @returns the length (1 to 4) of the well-formed sequence at `p`, or 0 if there is none (RFC 3629 section 4)
 */
export function sequenceLength(p: usize, end: usize): i32 {
  const first = load<u8>(p);
  if (first < 0x80) return 1;
  if (first < 0xc2) return 0;
  if (p + 1 >= end) return 0;
  const second = load<u8>(p, 1);
  if (first < 0xe0) return isContinuation(second) ? 2 : 0;
  if (first < 0xf0) {
    if (first == 0xe0 && second < 0xa0) return 0;
    if (first == 0xed && second > 0x9f) return 0;
    if (p + 2 >= end) return 0;
    return isContinuation(second) && isContinuation(load<u8>(p, 2)) ? 3 : 0;
  }
  if (first > 0xf4) return 0;
  if (first == 0xf0 && second < 0x90) return 0;
  if (first == 0xf4 && second > 0x8f) return 0;
  if (p + 3 >= end) return 0;
  return isContinuation(second) && isContinuation(load<u8>(p, 2)) && isContinuation(load<u8>(p, 3)) ? 4 : 0;
}

// @ts-ignore: decorator
@inline
function isContinuation(byte: u8): bool {
  return (byte & 0xc0) == 0x80;
}

/** Whether all of `s` is well-formed UTF-8. */
export function isValid(s: Slice): bool {
  let p = pointerOf(s);
  const end = p + <usize>lengthOf(s);
  while (p < end) {
    const length = sequenceLength(p, end);
    if (length == 0) return false;
    p += <usize>length;
  }
  return true;
}

/**
 * Writes one code point.
 *
 * @param codePoint a Unicode scalar value (no surrogate, at most U+10FFFF)
 * @param p receives 1 to 4 bytes
 * @returns the address after them
 */
export function encode(codePoint: u32, p: usize): usize {
  if (codePoint < 0x80) {
    store<u8>(p, codePoint);
    return p + 1;
  }
  if (codePoint < 0x800) {
    store<u8>(p, 0xc0 | (codePoint >> 6));
    store<u8>(p, 0x80 | (codePoint & 0x3f), 1);
    return p + 2;
  }
  if (codePoint < 0x10000) {
    store<u8>(p, 0xe0 | (codePoint >> 12));
    store<u8>(p, 0x80 | ((codePoint >> 6) & 0x3f), 1);
    store<u8>(p, 0x80 | (codePoint & 0x3f), 2);
    return p + 3;
  }
  store<u8>(p, 0xf0 | (codePoint >> 18));
  store<u8>(p, 0x80 | ((codePoint >> 12) & 0x3f), 1);
  store<u8>(p, 0x80 | ((codePoint >> 6) & 0x3f), 2);
  store<u8>(p, 0x80 | (codePoint & 0x3f), 3);
  return p + 4;
}

/**
 * Reads the code point of a sequence that `sequenceLength` found well-formed.
 *
 * @param p its first byte
 * @param length what `sequenceLength` returned
 */
export function decode(p: usize, length: i32): u32 {
  const first = <u32>load<u8>(p);
  if (length == 1) return first;
  const second = (<u32>load<u8>(p, 1)) & 0x3f;
  if (length == 2) return ((first & 0x1f) << 6) | second;
  const third = (<u32>load<u8>(p, 2)) & 0x3f;
  if (length == 3) return ((first & 0x0f) << 12) | (second << 6) | third;
  return ((first & 0x07) << 18) | (second << 12) | (third << 6) | ((<u32>load<u8>(p, 3)) & 0x3f);
}

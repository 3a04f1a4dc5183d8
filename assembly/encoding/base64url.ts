/**
 * Base64url without padding (RFC 4648 section 5, RFC 7515 section 2). A token's segments are decoded strictly, so that
 * bytes have exactly one encoding; key parameters are decoded leniently.
 */
import { allocate } from "../memory/arena";
import { EMPTY, Slice, lengthOf, pointerOf, slice } from "../memory/slice";

/**
 * Decodes strictly: only the 64 characters of the alphabet, no padding, no white space, no surplus character or bit.
 *
 * Sixteen characters are decoded at once. The high half of a character selects its class; a table of classes, indexed
 * by the low half, shows whether that class has the character; and a table indexed by the high half has the offset from
 * the character to its six bits (the method is Wojciech Muła's).
 *
 * @returns the bytes, in the arena; EMPTY if `text` is malformed (the result for an empty text has an address)
 */
export function decodeStrict(text: Slice): Slice {
  const length = lengthOf(text);
  const tail = length & 3;
  if (tail == 1) return EMPTY;
  // Blocks are stored as 16 bytes, of which 12 count.
  const target = allocate(<usize>length + 16);
  let p = pointerOf(text);
  const end = p + <usize>length;
  let q = target;

  // Bit k of entry `low`: class k has no character with this low half. Class 0 is 0x2_ (-), 1 is 0x3_ (digits), 2 is
  // 0x4_ and 0x6_ (A-O, a-o), 3 is 0x5_ (P-Z, _), 4 is 0x7_ (p-z), 5 all others.
  const lacking = i8x16(
    0x25,
    0x21,
    0x21,
    0x21,
    0x21,
    0x21,
    0x21,
    0x21,
    0x21,
    0x21,
    0x23,
    0x3b,
    0x3b,
    0x3a,
    0x3b,
    0x33,
  );
  const classes = i8x16(32, 32, 1, 2, 4, 8, 4, 16, 32, 32, 32, 32, 32, 32, 32, 32);
  // By the high half; entry 13 is for `_`, which is not one of the capitals in its class.
  const offsets = i8x16(0, 0, 17, 4, -65, -65, -71, -71, 0, 0, 0, 0, 0, -32, 0, 0);
  while (p + 16 <= end) {
    const characters = v128.load(p);
    const high = i8x16.shr_u(characters, 4);
    const low = v128.and(characters, i8x16.splat(0x0f));
    if (v128.any_true(v128.and(i8x16.swizzle(lacking, low), i8x16.swizzle(classes, high)))) return EMPTY;
    const isUnderscore = v128.and(i8x16.eq(characters, i8x16.splat(0x5f)), i8x16.splat(8));
    const sextets = i8x16.add(characters, i8x16.swizzle(offsets, i8x16.add(high, isUnderscore)));
    // Joins two sextets to twelve bits in each 16-bit lane, and two of those to 24 bits in each 32-bit lane.
    const pairs = v128.or(i16x8.shl(v128.and(sextets, i16x8.splat(0x3f)), 6), i16x8.shr_u(sextets, 8));
    const triples = i32x4.dot_i16x8_s(pairs, i32x4.splat(0x0001_1000));
    v128.store(q, i8x16.swizzle(triples, i8x16(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1)));
    p += 16;
    q += 12;
  }

  const lastGroup = end - <usize>tail;
  for (; p < lastGroup; p += 4) {
    const a = sextet(load<u8>(p));
    const b = sextet(load<u8>(p, 1));
    const c = sextet(load<u8>(p, 2));
    const d = sextet(load<u8>(p, 3));
    if ((a | b | c | d) < 0) return EMPTY;
    const bits = (a << 18) | (b << 12) | (c << 6) | d;
    store<u8>(q, bits >> 16);
    store<u8>(q, bits >> 8, 1);
    store<u8>(q, bits, 2);
    q += 3;
  }
  if (tail > 0) {
    const a = sextet(load<u8>(p));
    const b = sextet(load<u8>(p, 1));
    const c = tail == 3 ? sextet(load<u8>(p, 2)) : 0;
    if ((a | b | c) < 0) return EMPTY;
    // Bits beyond the last whole byte must be zero.
    if ((tail == 3 ? c & 0x03 : b & 0x0f) != 0) return EMPTY;
    const bits = (a << 10) | (b << 4) | (c >> 2);
    store<u8>(q, bits >> 8);
    store<u8>(q, bits, 1);
    q += <usize>(tail - 1);
  }
  return slice(target, <i32>(q - target));
}

/** The six bits of a character of the alphabet, or -1. */
function sextet(c: u8): i32 {
  if (<u8>(c - 0x41) < 26) return <i32>c - 0x41;
  if (<u8>(c - 0x61) < 26) return <i32>c - 0x61 + 26;
  if (<u8>(c - 0x30) < 10) return <i32>c - 0x30 + 52;
  if (c == 0x2d /* - */) return 62;
  if (c == 0x5f /* _ */) return 63;
  return -1;
}

/**
 * Decodes leniently, for the parameters of keys, which come from the keys' owner: `+` and `/` as well as `-` and `_`,
 * white space anywhere, full padding or none, surplus bits ignored. Envoy decodes keys in this way
 * (absl::WebSafeBase64Unescape), except for the standard alphabet.
 *
 * @returns the bytes, in the arena; EMPTY if `text` is malformed
 */
export function decodeLenient(text: Slice): Slice {
  let p = pointerOf(text);
  const end = p + <usize>lengthOf(text);
  const target = allocate(end - p);
  let q = target;
  let bits: u32 = 0;
  let count = 0;
  let padding = 0;
  for (; p < end; p++) {
    const c = load<u8>(p);
    if (c == 0x20 || <u8>(c - 0x09) < 5) continue;
    if (c == 0x3d /* = */) {
      padding++;
      continue;
    }
    const value = c == 0x2b /* + */ ? 62 : c == 0x2f /* / */ ? 63 : sextet(c);
    if (value < 0 || padding > 0) return EMPTY;
    bits = (bits << 6) | value;
    if ((++count & 3) != 1) store<u8>(q++, bits >> ((-2 * count) & 6));
  }
  const tail = count & 3;
  if (tail == 1 || (padding > 0 && padding != ((4 - tail) & 3))) return EMPTY;
  return slice(target, <i32>(q - target));
}

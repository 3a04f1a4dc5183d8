/**
 * The field of integers modulo p = 2^255 - 19 (RFC 7748 §4.1), for Ed25519.
 *
 * An element is the address of nine signed limbs of 29 bits: the value is the sum of limb i times 2^(29 i), modulo p.
 * Nine limbs have 261 bits, and 2^261 = 2^6 · 2^255 = 64 · 19 = 1216 modulo p: the columns of a product above limb 8
 * are multiplied by 1216 and added below. WebAssembly multiplies 64 by 64 bits into 64, so the nine products of a
 * column must stay below 2^63 in sum:
 *
 * - `multiply`, `square` and functions built on them leave limbs of at most 2^28 + 2^16 ("carried");
 * - `add` and `subtract` leave the sum of their operands' bounds and do not carry;
 * - a product needs a and b whose limbs' bounds, as multiples of 2^28, have a product of at most 14 (9 · 14 · 2^56 <
 *   2^63).
 *
 * Some of it is not constant time: it handles only public keys and signatures.
 */

/** The size of an element in bytes. */
export const ELEMENT_SIZE: usize = 36;

const LIMBS: usize = 9;
const LIMB_BITS: i64 = 29;
const MASK: i64 = (1 << 29) - 1;
/** Half a limb: carries are rounded to the nearest, so that limbs are signed and small. */
const HALF: i64 = 1 << 28;
/** 2^261 modulo p. */
const FOLD: i64 = 1216;
/** The bits of limb 8 below 2^255, and the bits above. */
const TOP_BITS: i64 = 23;
const TOP_MASK: i64 = (1 << 23) - 1;

/** target = a. */
// @ts-ignore: decorator
@inline
export function copyElement(target: usize, a: usize): void {
  memory.copy(target, a, ELEMENT_SIZE);
}

/** target = value, which is less than 2^28. */
export function setSmall(target: usize, value: i32): void {
  memory.fill(target, 0, ELEMENT_SIZE);
  store<i32>(target, value);
}

/** target = a + b; not carried. */
export function add(target: usize, a: usize, b: usize): void {
  store<i32>(target, load<i32>(a, 0) + load<i32>(b, 0), 0);
  store<i32>(target, load<i32>(a, 4) + load<i32>(b, 4), 4);
  store<i32>(target, load<i32>(a, 8) + load<i32>(b, 8), 8);
  store<i32>(target, load<i32>(a, 12) + load<i32>(b, 12), 12);
  store<i32>(target, load<i32>(a, 16) + load<i32>(b, 16), 16);
  store<i32>(target, load<i32>(a, 20) + load<i32>(b, 20), 20);
  store<i32>(target, load<i32>(a, 24) + load<i32>(b, 24), 24);
  store<i32>(target, load<i32>(a, 28) + load<i32>(b, 28), 28);
  store<i32>(target, load<i32>(a, 32) + load<i32>(b, 32), 32);
}

/** target = a - b; not carried. */
export function subtract(target: usize, a: usize, b: usize): void {
  store<i32>(target, load<i32>(a, 0) - load<i32>(b, 0), 0);
  store<i32>(target, load<i32>(a, 4) - load<i32>(b, 4), 4);
  store<i32>(target, load<i32>(a, 8) - load<i32>(b, 8), 8);
  store<i32>(target, load<i32>(a, 12) - load<i32>(b, 12), 12);
  store<i32>(target, load<i32>(a, 16) - load<i32>(b, 16), 16);
  store<i32>(target, load<i32>(a, 20) - load<i32>(b, 20), 20);
  store<i32>(target, load<i32>(a, 24) - load<i32>(b, 24), 24);
  store<i32>(target, load<i32>(a, 28) - load<i32>(b, 28), 28);
  store<i32>(target, load<i32>(a, 32) - load<i32>(b, 32), 32);
}

/** target = a · b; carried. */
export function multiply(target: usize, a: usize, b: usize): void {
  const a0 = <i64>load<i32>(a, 0);
  const a1 = <i64>load<i32>(a, 4);
  const a2 = <i64>load<i32>(a, 8);
  const a3 = <i64>load<i32>(a, 12);
  const a4 = <i64>load<i32>(a, 16);
  const a5 = <i64>load<i32>(a, 20);
  const a6 = <i64>load<i32>(a, 24);
  const a7 = <i64>load<i32>(a, 28);
  const a8 = <i64>load<i32>(a, 32);
  const b0 = <i64>load<i32>(b, 0);
  const b1 = <i64>load<i32>(b, 4);
  const b2 = <i64>load<i32>(b, 8);
  const b3 = <i64>load<i32>(b, 12);
  const b4 = <i64>load<i32>(b, 16);
  const b5 = <i64>load<i32>(b, 20);
  const b6 = <i64>load<i32>(b, 24);
  const b7 = <i64>load<i32>(b, 28);
  const b8 = <i64>load<i32>(b, 32);
  // prettier-ignore
  reduce(
    target,
    a0 * b0,
    a0 * b1 + a1 * b0,
    a0 * b2 + a1 * b1 + a2 * b0,
    a0 * b3 + a1 * b2 + a2 * b1 + a3 * b0,
    a0 * b4 + a1 * b3 + a2 * b2 + a3 * b1 + a4 * b0,
    a0 * b5 + a1 * b4 + a2 * b3 + a3 * b2 + a4 * b1 + a5 * b0,
    a0 * b6 + a1 * b5 + a2 * b4 + a3 * b3 + a4 * b2 + a5 * b1 + a6 * b0,
    a0 * b7 + a1 * b6 + a2 * b5 + a3 * b4 + a4 * b3 + a5 * b2 + a6 * b1 + a7 * b0,
    a0 * b8 + a1 * b7 + a2 * b6 + a3 * b5 + a4 * b4 + a5 * b3 + a6 * b2 + a7 * b1 + a8 * b0,
    a1 * b8 + a2 * b7 + a3 * b6 + a4 * b5 + a5 * b4 + a6 * b3 + a7 * b2 + a8 * b1,
    a2 * b8 + a3 * b7 + a4 * b6 + a5 * b5 + a6 * b4 + a7 * b3 + a8 * b2,
    a3 * b8 + a4 * b7 + a5 * b6 + a6 * b5 + a7 * b4 + a8 * b3,
    a4 * b8 + a5 * b7 + a6 * b6 + a7 * b5 + a8 * b4,
    a5 * b8 + a6 * b7 + a7 * b6 + a8 * b5,
    a6 * b8 + a7 * b7 + a8 * b6,
    a7 * b8 + a8 * b7,
    a8 * b8,
  );
}

/** target = a²; carried. Products that occur twice are computed once, with one factor doubled. */
export function square(target: usize, a: usize): void {
  const a0 = <i64>load<i32>(a, 0);
  const a1 = <i64>load<i32>(a, 4);
  const a2 = <i64>load<i32>(a, 8);
  const a3 = <i64>load<i32>(a, 12);
  const a4 = <i64>load<i32>(a, 16);
  const a5 = <i64>load<i32>(a, 20);
  const a6 = <i64>load<i32>(a, 24);
  const a7 = <i64>load<i32>(a, 28);
  const a8 = <i64>load<i32>(a, 32);
  const d0 = a0 << 1;
  const d1 = a1 << 1;
  const d2 = a2 << 1;
  const d3 = a3 << 1;
  const d4 = a4 << 1;
  const d5 = a5 << 1;
  const d6 = a6 << 1;
  const d7 = a7 << 1;
  // prettier-ignore
  reduce(
    target,
    a0 * a0,
    d0 * a1,
    d0 * a2 + a1 * a1,
    d0 * a3 + d1 * a2,
    d0 * a4 + d1 * a3 + a2 * a2,
    d0 * a5 + d1 * a4 + d2 * a3,
    d0 * a6 + d1 * a5 + d2 * a4 + a3 * a3,
    d0 * a7 + d1 * a6 + d2 * a5 + d3 * a4,
    d0 * a8 + d1 * a7 + d2 * a6 + d3 * a5 + a4 * a4,
    d1 * a8 + d2 * a7 + d3 * a6 + d4 * a5,
    d2 * a8 + d3 * a7 + d4 * a6 + a5 * a5,
    d3 * a8 + d4 * a7 + d5 * a6,
    d4 * a8 + d5 * a7 + a6 * a6,
    d5 * a8 + d6 * a7,
    d6 * a8 + a7 * a7,
    d7 * a8,
    a8 * a8,
  );
}

/** Reduces the 17 columns of a product to nine limbs: folds the upper eight, then carries once. */
// @ts-ignore: decorator
@inline
// prettier-ignore
function reduce(
  target: usize,
  c0: i64, c1: i64, c2: i64, c3: i64, c4: i64, c5: i64, c6: i64, c7: i64, c8: i64,
  c9: i64, c10: i64, c11: i64, c12: i64, c13: i64, c14: i64, c15: i64, c16: i64,
): void {
  c0 += FOLD * (c9 & MASK);
  c10 += c9 >> LIMB_BITS;
  c1 += FOLD * (c10 & MASK);
  c11 += c10 >> LIMB_BITS;
  c2 += FOLD * (c11 & MASK);
  c12 += c11 >> LIMB_BITS;
  c3 += FOLD * (c12 & MASK);
  c13 += c12 >> LIMB_BITS;
  c4 += FOLD * (c13 & MASK);
  c14 += c13 >> LIMB_BITS;
  c5 += FOLD * (c14 & MASK);
  c15 += c14 >> LIMB_BITS;
  c6 += FOLD * (c15 & MASK);
  c16 += c15 >> LIMB_BITS;
  c7 += FOLD * (c16 & MASK);
  c8 += FOLD * (c16 >> LIMB_BITS);
  let carry: i64;
  carry = (c0 + HALF) >> LIMB_BITS;
  c0 -= carry << LIMB_BITS;
  c1 += carry;
  carry = (c1 + HALF) >> LIMB_BITS;
  c1 -= carry << LIMB_BITS;
  c2 += carry;
  carry = (c2 + HALF) >> LIMB_BITS;
  c2 -= carry << LIMB_BITS;
  c3 += carry;
  carry = (c3 + HALF) >> LIMB_BITS;
  c3 -= carry << LIMB_BITS;
  c4 += carry;
  carry = (c4 + HALF) >> LIMB_BITS;
  c4 -= carry << LIMB_BITS;
  c5 += carry;
  carry = (c5 + HALF) >> LIMB_BITS;
  c5 -= carry << LIMB_BITS;
  c6 += carry;
  carry = (c6 + HALF) >> LIMB_BITS;
  c6 -= carry << LIMB_BITS;
  c7 += carry;
  carry = (c7 + HALF) >> LIMB_BITS;
  c7 -= carry << LIMB_BITS;
  c8 += carry;
  carry = (c8 + HALF) >> LIMB_BITS;
  c8 -= carry << LIMB_BITS;
  c0 += FOLD * carry;
  carry = (c0 + HALF) >> LIMB_BITS;
  c0 -= carry << LIMB_BITS;
  c1 += carry;
  store<i32>(target, <i32>c0, 0);
  store<i32>(target, <i32>c1, 4);
  store<i32>(target, <i32>c2, 8);
  store<i32>(target, <i32>c3, 12);
  store<i32>(target, <i32>c4, 16);
  store<i32>(target, <i32>c5, 20);
  store<i32>(target, <i32>c6, 24);
  store<i32>(target, <i32>c7, 28);
  store<i32>(target, <i32>c8, 32);
}

/** target = a^(2^count); count ≥ 1. */
export function squareTimes(target: usize, a: usize, count: i32): void {
  square(target, a);
  for (let i = 1; i < count; i++) square(target, target);
}

/** Temporary elements of the two exponentiations. */
const POWERS: usize = memory.data(4 * 36, 16);

/**
 * Writes a^(2^250 - 1) to the second element of `POWERS` and a^11 to the first; both exponents below begin with them.
 * Each line about doubles the number of ones in the exponent.
 */
function powerOfOnes(a: usize): void {
  const a11 = POWERS;
  const ones = POWERS + ELEMENT_SIZE;
  const shorter = POWERS + 2 * ELEMENT_SIZE;
  const shifted = POWERS + 3 * ELEMENT_SIZE;
  square(shorter, a); // a^2
  squareTimes(shifted, shorter, 2); // a^8
  multiply(ones, shifted, a); // a^9
  multiply(a11, ones, shorter); // a^11
  square(shorter, a11); // a^22
  multiply(shorter, shorter, ones); // 5 ones
  squareTimes(shifted, shorter, 5);
  multiply(shorter, shifted, shorter); // 10
  squareTimes(shifted, shorter, 10);
  multiply(ones, shifted, shorter); // 20
  squareTimes(shifted, ones, 20);
  multiply(ones, shifted, ones); // 40
  squareTimes(shifted, ones, 10);
  multiply(shorter, shifted, shorter); // 50
  squareTimes(shifted, shorter, 50);
  multiply(ones, shifted, shorter); // 100
  squareTimes(shifted, ones, 100);
  multiply(ones, shifted, ones); // 200
  squareTimes(shifted, ones, 50);
  multiply(ones, shifted, shorter); // 250
}

/** target = 1 / a = a^(p - 2) = a^(2^255 - 21), which makes 1 / 0 = 0; carried. */
export function invert(target: usize, a: usize): void {
  powerOfOnes(a);
  squareTimes(target, POWERS + ELEMENT_SIZE, 5);
  multiply(target, target, POWERS);
}

/** target = a^((p - 5) / 8) = a^(2^252 - 3), for square roots (RFC 8032 §5.1.3); carried. `target` must not be `a`. */
export function powerForRoot(target: usize, a: usize): void {
  powerOfOnes(a);
  squareTimes(target, POWERS + ELEMENT_SIZE, 2);
  multiply(target, target, a);
}

/** The limbs of a number that is being made canonical. */
const DIGITS: usize = memory.data(8 * 9, 16);

/**
 * Reduces the number in `DIGITS` to 255 bits, with unsigned limbs. @returns the bits above, negative if the number was
 */
function split(): i64 {
  let carry: i64 = 0;
  for (let at = DIGITS; at < DIGITS + 8 * LIMBS; at += 8) {
    carry += load<i64>(at);
    store<i64>(at, carry & MASK);
    carry >>= LIMB_BITS;
  }
  const top = load<i64>(DIGITS, 64);
  store<i64>(DIGITS, top & TOP_MASK, 64);
  return (carry << (LIMB_BITS - TOP_BITS)) + (top >> TOP_BITS);
}

/** Adds to the number in `DIGITS`; not carried. */
function addSmall(value: i64): void {
  store<i64>(DIGITS, load<i64>(DIGITS) + value);
}

/**
 * Writes the one representation below p, little-endian (RFC 8032 §5.1.2).
 * @param target 32 bytes
 * @param a limbs of any value
 */
export function encode(target: usize, a: usize): void {
  for (let i: usize = 0; i < LIMBS; i++) store<i64>(DIGITS + 8 * i, <i64>load<i32>(a + 4 * i));
  // After the first line the number is above -2^20 and below 2^255 + 2^20; after the second, from 0 to 2^255 - 1.
  addSmall(19 * split());
  addSmall(19 * split());
  // The number is p or more exactly if adding 19 reaches 2^255; dropping that bit then subtracts p. Else the 19 are
  // subtracted again.
  addSmall(19);
  if (split() == 0) {
    addSmall(-19);
    split();
  }
  let bits: i64 = 0;
  let count: i64 = 0;
  let from = DIGITS;
  for (let i: usize = 0; i < 32; i++) {
    if (count < 8) {
      bits |= load<i64>(from) << count;
      count += LIMB_BITS;
      from += 8;
    }
    store<u8>(target + i, <u8>bits);
    bits >>= 8;
    count -= 8;
  }
}

/** Reads 32 bytes, little-endian. The highest bit is ignored, and the value may be p or more. */
export function decode(target: usize, bytes: usize): void {
  let bits: i64 = 0;
  let count: i64 = 0;
  for (let i: usize = 0; i < 32; i++) {
    bits |= (<i64>load<u8>(bytes + i)) << count;
    count += 8;
    if (count >= LIMB_BITS) {
      store<i32>(target, <i32>(bits & MASK));
      target += 4;
      bits >>= LIMB_BITS;
      count -= LIMB_BITS;
    }
  }
  store<i32>(target, <i32>(bits & TOP_MASK));
}

const ENCODED: usize = memory.data(2 * 32, 16);

/** Whether a = b modulo p. */
export function equal(a: usize, b: usize): bool {
  encode(ENCODED, a);
  encode(ENCODED + 32, b);
  return memory.compare(ENCODED, ENCODED + 32, 32) == 0;
}

/** The lowest bit of the canonical representation: the sign of RFC 8032 §5.1.2. */
export function isOdd(a: usize): bool {
  encode(ENCODED, a);
  return (load<u8>(ENCODED) & 1) == 1;
}

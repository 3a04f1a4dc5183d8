/**
 * Polynomials of degree below 256 modulo q = 8380417 and X^256 + 1 (FIPS 204 §2.3), with the number-theoretic transform
 * (§7.5). A polynomial is an address of 256 signed integers of 32 bits.
 *
 * Four coefficients are computed at once. A product modulo q is Montgomery's with R = 2^32: of integers a and b with
 * |a · b| < 2^31 q it makes a · b / R, between -(|a · b| / R + q / 2) and (|a · b| / R + q / 2). Sums are not reduced.
 * The bounds:
 *
 * - Each layer of the transform adds less than 0.53 q to a coefficient, because its other factor is less than q. So
 *   after eight layers a coefficient below 2^19 is below 4.4 q.
 * - `addProduct` sums at most seven products of it and of numbers below q, and one of it and a number below 0.6 q. So a
 *   sum is below 34 q² < 2^31 q, and its reduction is below 0.57 q.
 * - Each layer of the inverse transform doubles a coefficient at most. So after eight layers it is below 146 q < 2^31.
 *
 * Not constant time, and need not be: keys and signatures are public.
 */

import { DEGREE, POLYNOMIAL_SIZE } from "./ml-dsa-parameters";

/** FIPS 204 §4. */
export const Q: i32 = 8380417;
/** 1/q modulo 2^32: the number by which q must be multiplied to be 1. */
const INVERSE_OF_Q: i32 = 58728449;
/** R modulo q. */
const R: u64 = 4193792;
/** R²/256 modulo q: what `transformBack` multiplies by. */
const SCALE: i32 = 41978;
const TWO_TO_13: i32 = <i32>((R << 13) % Q);
/** A 512th root of unity (FIPS 204 §2.5). */
const ROOT: u64 = 1753;
const ROOT_ORDER: u32 = 512;

/** A table of factors: one for each butterfly's position k, each times R; and the same times 1/q modulo 2^32. */
const TIMES_INVERSE_OF_Q: usize = POLYNOMIAL_SIZE;
const TABLE_SIZE: usize = 2 * POLYNOMIAL_SIZE;

/** The tables for the transform and for its inverse; 0 until they are needed. */
let factors: usize = 0;
let inverseFactors: usize = 0;

/** Computes the tables, once. Runs while keys are loaded, because the memory is never freed. */
export function preparePolynomials(): void {
  if (factors != 0) return;
  factors = heap.alloc(2 * TABLE_SIZE);
  inverseFactors = factors + TABLE_SIZE;
  for (let k = 1; k < DEGREE; k++) {
    const exponent = reverseBits(k);
    setFactor(factors, k, powerOfRoot(exponent));
    setFactor(inverseFactors, k, powerOfRoot(ROOT_ORDER - exponent));
  }
}

function setFactor(table: usize, k: i32, factor: u64): void {
  const value = <i32>((factor * R) % Q);
  store<i32>(table + 4 * <usize>k, value);
  store<i32>(table + 4 * <usize>k, value * INVERSE_OF_Q, TIMES_INVERSE_OF_Q);
}

/** The eight bits of k in reverse (FIPS 204, algorithm 43). */
function reverseBits(k: i32): u32 {
  let result: u32 = 0;
  for (let i = 0; i < 8; i++) result |= (((<u32>k) >> i) & 1) << (7 - i);
  return result;
}

function powerOfRoot(exponent: u32): u64 {
  let result: u64 = 1;
  for (let i: u32 = 0; i < exponent; i++) result = (result * ROOT) % Q;
  return result;
}

/**
 * The transform (FIPS 204, algorithm 41), in place. One pass computes two of its eight layers.
 *
 * @param p coefficients between -2^19 and 2^19
 */
export function transform(p: usize): void {
  forwardPass(p, 128);
  forwardPass(p, 32);
  forwardPass(p, 8);
  // The last two layers combine neighbours: blocks of sixteen coefficients are transposed, and back.
  let four = factors + 4 * 64;
  let eight = factors + 4 * 128;
  for (const end = p + POLYNOMIAL_SIZE; p < end; p += 64, four += 16, eight += 32) {
    const r0 = v128.load(p);
    const r1 = v128.load(p, 16);
    const r2 = v128.load(p, 32);
    const r3 = v128.load(p, 48);
    const low01 = lowPairs(r0, r1);
    const low23 = lowPairs(r2, r3);
    const high01 = highPairs(r0, r1);
    const high23 = highPairs(r2, r3);
    let a = lowHalves(low01, low23);
    let b = highHalves(low01, low23);
    let c = lowHalves(high01, high23);
    let d = highHalves(high01, high23);
    c = times(c, v128.load(four), v128.load(four, TIMES_INVERSE_OF_Q));
    d = times(d, v128.load(four), v128.load(four, TIMES_INVERSE_OF_Q));
    const a1 = i32x4.add(a, c);
    const b1 = times(i32x4.add(b, d), evenOf(eight), evenOf(eight + TIMES_INVERSE_OF_Q));
    const c1 = i32x4.sub(a, c);
    const d1 = times(i32x4.sub(b, d), oddOf(eight), oddOf(eight + TIMES_INVERSE_OF_Q));
    a = i32x4.add(a1, b1);
    b = i32x4.sub(a1, b1);
    c = i32x4.add(c1, d1);
    d = i32x4.sub(c1, d1);
    storeTransposed(p, a, b, c, d);
  }
}

/**
 * The layer that combines coefficients at a distance of `length`, and the next one, at half of that: at least four.
 */
function forwardPass(p: usize, length: usize): void {
  const half: usize = 2 * length;
  let factor = factors + 4 * (<usize>DEGREE / 2 / length);
  for (const end = p + POLYNOMIAL_SIZE; p < end; p += 4 * half, factor += 4) {
    const next: usize = 2 * factor - factors;
    const z = v128.load_splat<i32>(factor);
    const zq = v128.load_splat<i32>(factor, TIMES_INVERSE_OF_Q);
    const z0 = v128.load_splat<i32>(next);
    const z0q = v128.load_splat<i32>(next, TIMES_INVERSE_OF_Q);
    const z1 = v128.load_splat<i32>(next, 4);
    const z1q = v128.load_splat<i32>(next, TIMES_INVERSE_OF_Q + 4);
    for (let i = p; i < p + half; i += 16) {
      const a = v128.load(i);
      const b = v128.load(i + half);
      const c = times(v128.load(i + 2 * half), z, zq);
      const d = times(v128.load(i + 3 * half), z, zq);
      const a1 = i32x4.add(a, c);
      const b1 = times(i32x4.add(b, d), z0, z0q);
      const c1 = i32x4.sub(a, c);
      const d1 = times(i32x4.sub(b, d), z1, z1q);
      v128.store(i, i32x4.add(a1, b1));
      v128.store(i + half, i32x4.sub(a1, b1));
      v128.store(i + 2 * half, i32x4.add(c1, d1));
      v128.store(i + 3 * half, i32x4.sub(c1, d1));
    }
  }
}

/**
 * The inverse of `transform` (FIPS 204, algorithm 42) times R, in place.
 *
 * @param p numbers between -0.57 q and 0.57 q
 * @returns nothing; the coefficients are from 0 to q - 1
 */
export function transformBack(p: usize): void {
  let four = inverseFactors + 4 * 64;
  let eight = inverseFactors + 4 * 128;
  for (let i = p; i < p + POLYNOMIAL_SIZE; i += 64, four += 16, eight += 32) {
    const r0 = v128.load(i);
    const r1 = v128.load(i, 16);
    const r2 = v128.load(i, 32);
    const r3 = v128.load(i, 48);
    const low01 = lowPairs(r0, r1);
    const low23 = lowPairs(r2, r3);
    const high01 = highPairs(r0, r1);
    const high23 = highPairs(r2, r3);
    const a = lowHalves(low01, low23);
    const b = highHalves(low01, low23);
    const c = lowHalves(high01, high23);
    const d = highHalves(high01, high23);
    const a1 = i32x4.add(a, b);
    const b1 = times(i32x4.sub(a, b), evenOf(eight), evenOf(eight + TIMES_INVERSE_OF_Q));
    const c1 = i32x4.add(c, d);
    const d1 = times(i32x4.sub(c, d), oddOf(eight), oddOf(eight + TIMES_INVERSE_OF_Q));
    const z = v128.load(four);
    const zq = v128.load(four, TIMES_INVERSE_OF_Q);
    storeTransposed(
      i,
      i32x4.add(a1, c1),
      i32x4.add(b1, d1),
      times(i32x4.sub(a1, c1), z, zq),
      times(i32x4.sub(b1, d1), z, zq),
    );
  }
  backwardPass(p, 8);
  backwardPass(p, 32);
  backwardPass(p, 128);
  const f = i32x4.splat(SCALE);
  const fq = i32x4.splat(SCALE * INVERSE_OF_Q);
  const q = i32x4.splat(Q);
  for (const end = p + POLYNOMIAL_SIZE; p < end; p += 16) {
    const a = times(v128.load(p), f, fq);
    v128.store(p, i32x4.add(a, v128.and(q, i32x4.shr_s(a, 31))));
  }
}

/** The layers of `forwardPass`, inverted and in the opposite order. */
function backwardPass(p: usize, length: usize): void {
  const half: usize = 2 * length;
  let factor = inverseFactors + 4 * (<usize>DEGREE / 2 / length);
  for (const end = p + POLYNOMIAL_SIZE; p < end; p += 4 * half, factor += 4) {
    const next: usize = 2 * factor - inverseFactors;
    const z = v128.load_splat<i32>(factor);
    const zq = v128.load_splat<i32>(factor, TIMES_INVERSE_OF_Q);
    const z0 = v128.load_splat<i32>(next);
    const z0q = v128.load_splat<i32>(next, TIMES_INVERSE_OF_Q);
    const z1 = v128.load_splat<i32>(next, 4);
    const z1q = v128.load_splat<i32>(next, TIMES_INVERSE_OF_Q + 4);
    for (let i = p; i < p + half; i += 16) {
      const a = v128.load(i);
      const b = v128.load(i + half);
      const c = v128.load(i + 2 * half);
      const d = v128.load(i + 3 * half);
      const a1 = i32x4.add(a, b);
      const b1 = times(i32x4.sub(a, b), z0, z0q);
      const c1 = i32x4.add(c, d);
      const d1 = times(i32x4.sub(c, d), z1, z1q);
      v128.store(i, i32x4.add(a1, c1));
      v128.store(i + half, i32x4.add(b1, d1));
      v128.store(i + 2 * half, times(i32x4.sub(a1, c1), z, zq));
      v128.store(i + 3 * half, times(i32x4.sub(b1, d1), z, zq));
    }
  }
}

/** p = p · 2^13 (FIPS 204 §6.3: t1 is the key's vector t without its lowest 13 bits). */
export function timesTwoTo13(p: usize): void {
  const f = i32x4.splat(TWO_TO_13);
  const fq = i32x4.splat(TWO_TO_13 * INVERSE_OF_Q);
  for (const end = p + POLYNOMIAL_SIZE; p < end; p += 16) v128.store(p, times(v128.load(p), f, fq));
}

/**
 * The sum of products of transformed polynomials, a[0] · b[0] + … + a[count - 1] · b[count - 1] - c · d, divided by R.
 *
 * @param a `count` polynomials, one after another, with numbers from 0 to q
 * @param b as many, as `transform` makes them
 * @param count at most 7
 * @param c as `transform` makes it
 * @param d as `timesTwoTo13` makes it
 */
export function sumOfProducts(target: usize, a: usize, b: usize, count: i32, c: usize, d: usize): void {
  const size = <usize>count * POLYNOMIAL_SIZE;
  const q = i32x4.splat(Q);
  const inverseOfQ = i32x4.splat(INVERSE_OF_Q);
  for (let i: usize = 0; i < POLYNOMIAL_SIZE; i += 16) {
    const x = i32x4.neg(v128.load(c + i));
    const y = v128.load(d + i);
    let low = i64x2.extmul_low_i32x4_s(x, y);
    let high = i64x2.extmul_high_i32x4_s(x, y);
    for (let at = i; at < size; at += POLYNOMIAL_SIZE) {
      const v = v128.load(a + at);
      const w = v128.load(b + at);
      low = i64x2.add(low, i64x2.extmul_low_i32x4_s(v, w));
      high = i64x2.add(high, i64x2.extmul_high_i32x4_s(v, w));
    }
    const m = i32x4.mul(v128.shuffle<i32>(low, high, 0, 2, 4, 6), inverseOfQ);
    v128.store(target + i, reduced(low, high, m, q));
  }
}

/** a · b / R modulo q in every lane. @param bq b/q modulo 2^32 */
// @ts-ignore: decorator
@inline
function times(a: v128, b: v128, bq: v128): v128 {
  const low = i64x2.extmul_low_i32x4_s(a, b);
  const high = i64x2.extmul_high_i32x4_s(a, b);
  return reduced(low, high, i32x4.mul(a, bq), i32x4.splat(Q));
}

/** Montgomery's step: (product - m · q) / R, a division without remainder if m is the product/q modulo R. */
// @ts-ignore: decorator
@inline
function reduced(low: v128, high: v128, m: v128, q: v128): v128 {
  const x = i64x2.sub(low, i64x2.extmul_low_i32x4_s(m, q));
  const y = i64x2.sub(high, i64x2.extmul_high_i32x4_s(m, q));
  return v128.shuffle<i32>(x, y, 1, 3, 5, 7);
}

// @ts-ignore: decorator
@inline
function lowPairs(a: v128, b: v128): v128 {
  return v128.shuffle<i32>(a, b, 0, 4, 1, 5);
}

// @ts-ignore: decorator
@inline
function highPairs(a: v128, b: v128): v128 {
  return v128.shuffle<i32>(a, b, 2, 6, 3, 7);
}

// @ts-ignore: decorator
@inline
function lowHalves(a: v128, b: v128): v128 {
  return v128.shuffle<i64>(a, b, 0, 2);
}

// @ts-ignore: decorator
@inline
function highHalves(a: v128, b: v128): v128 {
  return v128.shuffle<i64>(a, b, 1, 3);
}

/** Stores lane 0 of the four vectors, then lane 1, and so on. */
// @ts-ignore: decorator
@inline
function storeTransposed(p: usize, a: v128, b: v128, c: v128, d: v128): void {
  const lowAB = lowPairs(a, b);
  const lowCD = lowPairs(c, d);
  const highAB = highPairs(a, b);
  const highCD = highPairs(c, d);
  v128.store(p, lowHalves(lowAB, lowCD));
  v128.store(p, highHalves(lowAB, lowCD), 16);
  v128.store(p, lowHalves(highAB, highCD), 32);
  v128.store(p, highHalves(highAB, highCD), 48);
}

/** Of the eight factors at an address, those at even places. */
// @ts-ignore: decorator
@inline
function evenOf(at: usize): v128 {
  return v128.shuffle<i32>(v128.load(at), v128.load(at, 16), 0, 2, 4, 6);
}

// @ts-ignore: decorator
@inline
function oddOf(at: usize): v128 {
  return v128.shuffle<i32>(v128.load(at), v128.load(at, 16), 1, 3, 5, 7);
}

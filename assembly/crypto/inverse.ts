/**
 * Inverses modulo odd numbers with divsteps (Bernstein and Yang, "Fast constant-time gcd computation and modular
 * inversion", TCHES 2019/3): thirty steps at a time on the lowest bits, then their effect on the whole numbers. This is
 * the variant whose time depends on the numbers, which are public.
 *
 * A number is an array of 30-bit limbs in 32-bit words, the lowest first. All limbs but the highest are unsigned.
 */
const LIMB_BITS: i64 = 30;
const MASK: i64 = (1 << 30) - 1;
/** Limbs of the longest number: 540 bits. */
export const MAX_LIMBS: i32 = 18;

/** f and g, whose greatest common divisor is computed; d and e, with f = d · a and g = e · a modulo n. */
const F: usize = memory.data(4 * 18, 16);
const G: usize = memory.data(4 * 18, 16);
const D: usize = memory.data(4 * 18, 16);
const E: usize = memory.data(4 * 18, 16);
/** The matrix of thirty steps: (u, v; q, r) times (f, g) is 2^30 times the new (f, g). */
let u: i64 = 0;
let v: i64 = 0;
let q: i64 = 0;
let r: i64 = 0;

/**
 * target = 1 / a modulo n, from 0 to n - 1.
 *
 * Divisions by 2^30 modulo n add multiples of n to d and e, at most n / 2 each time and at most fifty times. So d and e
 * stay below 26 n, for which the highest limb has room: n has at most 2^(30 · limbs - 6), and that limb has two bits
 * more.
 *
 * @param n odd
 * @param limbs of n, a and target
 * @returns false if there is no inverse
 */
export function invertModulo(target: usize, a: usize, n: usize, limbs: i32): bool {
  const size = <usize>limbs * 4;
  memory.copy(F, n, size);
  memory.copy(G, a, size);
  memory.fill(D, 0, size);
  memory.fill(E, 0, size);
  store<i32>(E, 1);
  const inverse = inverseOfLowest(load<i32>(n));
  let eta = -1;
  while (!isSmall(G, size, 0)) {
    eta = thirtySteps(eta, load<u32>(F) | (load<u32>(F, 4) << 30), load<u32>(G) | (load<u32>(G, 4) << 30));
    transform(F, G, size);
    transformModulo(D, E, n, inverse, size);
  }
  if (isSmall(F, size, -1)) negate(D, size);
  else if (!isSmall(F, size, 1)) return false;
  while (load<i32>(D + size - 4) < 0) addMultiple(D, n, 1, size);
  for (;;) {
    addMultiple(D, n, -1, size);
    if (load<i32>(D + size - 4) < 0) break;
  }
  addMultiple(D, n, 1, size);
  memory.copy(target, D, size);
  return true;
}

/** 1 / n modulo 2^30, by Newton's iteration, which doubles the number of correct bits. */
function inverseOfLowest(n: i32): i64 {
  let x = n;
  for (let i = 0; i < 4; i++) x *= 2 - n * x;
  return (<i64>x) & MASK;
}

/** Thirty steps on the lowest bits of f, which is odd, and g. Does several at once if the lowest bits of g are zero. */
function thirtySteps(eta: i32, f: u32, g: u32): i32 {
  let u0: i32 = 1;
  let v0: i32 = 0;
  let q0: i32 = 0;
  let r0: i32 = 1;
  let rest = 30;
  for (;;) {
    const zeros = ctz<i32>(g | (0xffffffff << rest));
    g >>= zeros;
    u0 <<= zeros;
    v0 <<= zeros;
    eta -= zeros;
    rest -= zeros;
    if (rest == 0) break;
    if (eta < 0) {
      eta = -eta;
      const f0 = f;
      f = g;
      g = -f0;
      let other = u0;
      u0 = q0;
      q0 = -other;
      other = v0;
      v0 = r0;
      r0 = -other;
    }
    // The multiple of f that clears as many low bits of g as the steps before the next swap allow, at most six.
    const bits = min(min(eta + 1, rest), 6);
    const factor: i32 = (f * g * (f * f - 2)) & ((1 << bits) - 1);
    g += f * factor;
    q0 += u0 * factor;
    r0 += v0 * factor;
  }
  u = u0;
  v = v0;
  q = q0;
  r = r0;
  return eta;
}

/** (a, b) = the matrix times (a, b), divided by 2^30 without remainder. */
function transform(a: usize, b: usize, size: usize): void {
  let x: i64 = 0;
  let y: i64 = 0;
  for (let i: usize = 0; i < size; i += 4) {
    const a0 = <i64>load<i32>(a + i);
    const b0 = <i64>load<i32>(b + i);
    x += u * a0 + v * b0;
    y += q * a0 + r * b0;
    if (i > 0) {
      store<i32>(a + i - 4, <i32>(x & MASK));
      store<i32>(b + i - 4, <i32>(y & MASK));
    }
    x >>= LIMB_BITS;
    y >>= LIMB_BITS;
  }
  store<i32>(a + size - 4, <i32>x);
  store<i32>(b + size - 4, <i32>y);
}

/** The same modulo n: adding multiples of n makes the products divisible. @param inverse 1 / n modulo 2^30 */
function transformModulo(a: usize, b: usize, n: usize, inverse: i64, size: usize): void {
  const a0 = <i64>load<i32>(a);
  const b0 = <i64>load<i32>(b);
  const forA = centred(-(u * a0 + v * b0) * inverse);
  const forB = centred(-(q * a0 + r * b0) * inverse);
  let x: i64 = 0;
  let y: i64 = 0;
  for (let i: usize = 0; i < size; i += 4) {
    const a0 = <i64>load<i32>(a + i);
    const b0 = <i64>load<i32>(b + i);
    const n0 = <i64>load<i32>(n + i);
    x += u * a0 + v * b0 + forA * n0;
    y += q * a0 + r * b0 + forB * n0;
    if (i > 0) {
      store<i32>(a + i - 4, <i32>(x & MASK));
      store<i32>(b + i - 4, <i32>(y & MASK));
    }
    x >>= LIMB_BITS;
    y >>= LIMB_BITS;
  }
  store<i32>(a + size - 4, <i32>x);
  store<i32>(b + size - 4, <i32>y);
}

/** The representative modulo 2^30 from -2^29 to 2^29 - 1. */
// @ts-ignore: decorator
@inline
function centred(value: i64): i64 {
  return ((value & MASK) ^ (1 << 29)) - (1 << 29);
}

/** a += factor · n. */
function addMultiple(a: usize, n: usize, factor: i32, size: usize): void {
  let carry = 0;
  for (let i: usize = 0; i < size; i += 4) {
    carry += load<i32>(a + i) + factor * load<i32>(n + i);
    store<i32>(a + i, i == size - 4 ? carry : carry & (<i32>MASK));
    carry >>= <i32>LIMB_BITS;
  }
}

/** a = -a. */
function negate(a: usize, size: usize): void {
  let carry = 0;
  for (let i: usize = 0; i < size; i += 4) {
    carry -= load<i32>(a + i);
    store<i32>(a + i, i == size - 4 ? carry : carry & (<i32>MASK));
    carry >>= <i32>LIMB_BITS;
  }
}

/** Whether a number is `value`, which is -1, 0 or 1. */
function isSmall(a: usize, size: usize, value: i32): bool {
  const low = value < 0 ? <i32>MASK : value;
  const high = value < 0 ? <i32>MASK : 0;
  if (load<i32>(a) != low) return false;
  for (let i: usize = 4; i < size - 4; i += 4) {
    if (load<i32>(a + i) != high) return false;
  }
  return load<i32>(a + size - 4) == (value < 0 ? -1 : 0);
}

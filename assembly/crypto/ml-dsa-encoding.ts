/** Keys, signatures and the vector w1 of ML-DSA in bytes, and its hints (FIPS 204 §7.1, §7.2, §7.4). */
import { Slice, slice } from "../memory/slice";
import { DEGREE, POLYNOMIAL_SIZE, Parameters, T1_BITS } from "./ml-dsa-parameters";
import { Q } from "./ml-dsa-polynomial";

/** A row of w1, encoded: at most 192 bytes, and four that `encodeHighBits` may write beyond them. */
const ENCODED: usize = memory.data(192 + 16, 16);

/** SimpleBitUnpack (FIPS 204, algorithm 18) of a polynomial of t1: ten bits each, at any even bit of a byte. */
export function unpackT1(p: usize, bytes: usize): void {
  for (let i = 0, bit = 0; i < DEGREE; i++, bit += T1_BITS) {
    const word = <i32>load<u16>(bytes + <usize>(bit >> 3));
    store<i32>(p + 4 * <usize>i, (word >> (bit & 7)) & ((1 << T1_BITS) - 1));
  }
}

/**
 * BitUnpack (FIPS 204, algorithm 19) of the polynomials of z. The hints follow z, so four bytes can be read at its end.
 *
 * @returns whether no coefficient is beyond γ1 - β
 */
export function unpackZ(z: usize, bytes: usize, set: Parameters): bool {
  const width = set.gamma1Bits + 1;
  const gamma1 = 1 << set.gamma1Bits;
  const mask = 2 * gamma1 - 1;
  const count = set.l * DEGREE;
  for (let i = 0, bit = 0; i < count; i++, bit += width) {
    const word = load<u32>(bytes + <usize>(bit >> 3));
    const coefficient = gamma1 - ((<i32>(word >> ((<u32>bit) & 7))) & mask);
    if (abs(coefficient) >= set.zBound) return false;
    store<i32>(z + 4 * <usize>i, coefficient);
  }
  return true;
}

/**
 * Whether the hints are encoded as HintBitUnpack (FIPS 204, algorithm 21) wants it: for each row ascending positions,
 * then zeros. Otherwise one signature would have many encodings.
 */
export function areHints(hints: usize, set: Parameters): bool {
  const omega = set.omega;
  let index = 0;
  for (let i = 0; i < set.k; i++) {
    const end = <i32>load<u8>(hints + <usize>(omega + i));
    if (end < index || end > omega) return false;
    for (let at = index + 1; at < end; at++) {
      if (load<u8>(hints + <usize>at) <= load<u8>(hints + <usize>(at - 1))) return false;
    }
    index = end;
  }
  for (; index < omega; index++) {
    if (load<u8>(hints + <usize>index) != 0) return false;
  }
  return true;
}

/**
 * UseHint (FIPS 204, algorithm 40) for a coefficient with a hint: moves it to the multiple of 2 γ2 above or below, so
 * that its high bits change.
 */
export function applyHint(at: usize, set: Parameters): void {
  const r = load<i32>(at);
  const step = 2 * (set.gamma2Factor << set.gamma2Bits);
  const count = (Q - 1) / step;
  const high = (r + step / 2 - 1) / step;
  const next = r > high * step ? high + 1 : high - 1;
  store<i32>(at, (next < 0 ? next + count : next >= count ? next - count : next) * step);
}

/**
 * HighBits (FIPS 204, algorithm 37) of the coefficients, encoded as w1Encode does it (algorithm 28).
 *
 * The quotient by 2 γ2 = f · 2^b is rounded to the nearest, halves down: of y = (r + γ2 - 1) / 2^b, rounded down, the
 * quotient by f. It is y · (2^26 / f + 1) / 2^26, because f · y < 2^26. The last quotient of all counts as 0.
 */
export function encodeHighBits(w: usize, set: Parameters): Slice {
  const shift = set.gamma2Bits + 1;
  const half = i32x4.splat((set.gamma2Factor << set.gamma2Bits) - 1);
  const factor = i32x4.splat((1 << 26) / set.gamma2Factor + 1);
  const count = (Q - 1) / (set.gamma2Factor << shift);
  const width = 32 - clz(count - 1);
  const places = i32x4(1, 1 << width, 1 << (2 * width), 1 << (3 * width));
  let target = ENCODED;
  for (const end = w + POLYNOMIAL_SIZE; w < end; w += 16) {
    const y = i32x4.shr_u(i32x4.add(v128.load(w), half), shift);
    const quotient = i32x4.shr_u(i32x4.mul(y, factor), 26);
    const high = v128.andnot(quotient, i32x4.eq(quotient, i32x4.splat(count)));
    const bits = i32x4.mul(high, places);
    const pairs = v128.or(bits, v128.shuffle<i32>(bits, bits, 2, 3, 2, 3));
    store<u32>(target, i32x4.extract_lane(pairs, 0) | i32x4.extract_lane(pairs, 1));
    target += <usize>(width / 2);
  }
  return slice(ENCODED, <i32>(target - ENCODED));
}

/**
 * The field of P-256: integers modulo p = 2^256 - 2^224 + 2^192 + 2^96 - 1 (SP 800-186 §3.2.1.3).
 *
 * An element has nine limbs of 29 bits, 261 in total, and R = 2^261. p is -1 modulo 2^29, so Montgomery's step needs no
 * product: it adds the lowest limb of a column times p, which is that limb, shifted, in four other columns.
 */
import { fromHex } from "./hex";
import { PrimeField } from "./prime-field";

const LIMB_BITS: i64 = 29;
const MASK: i64 = (1 << 29) - 1;
/** Half a limb: carries are rounded to the nearest, so that limbs are signed and small. */
const HALF: i64 = 1 << 28;

export class FieldP256 extends PrimeField {
  constructor() {
    super(
      9,
      29,
      32,
      fromHex("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"),
      fromHex("000013fffffff7fffffffffffffffbffffffeffffffffc000000000000000c00"),
    );
  }

  // prettier-ignore
  multiply(target: usize, a: usize, b: usize): void {
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

  // prettier-ignore
  square(target: usize, a: usize): void {
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

  carry(a: usize): void {
    let carry = 0;
    for (let i: usize = 0; i < 32; i += 4) {
      const limb = load<i32>(a + i) + carry;
      carry = (limb + (1 << 28)) >> 29;
      store<i32>(a + i, limb - (carry << 29));
    }
    store<i32>(a, load<i32>(a, 32) + carry, 32);
    // Subtracts p times the bits above 2^256, rounded.
    const top = (load<i32>(a, 32) + (1 << 23)) >> 24;
    store<i32>(a, load<i32>(a, 32) - (top << 24), 32);
    store<i32>(a, load<i32>(a, 28) + (top << 21), 28);
    store<i32>(a, load<i32>(a, 24) - (top << 18), 24);
    store<i32>(a, load<i32>(a, 12) - (top << 9), 12);
    store<i32>(a, load<i32>(a) + top);
  }
}

/**
 * Montgomery's step on the 17 columns of a product: adds a multiple of p for each of the lowest 9, which makes that
 * column a multiple of 2^29; then carries.
 */
// @ts-ignore: decorator
@inline
// prettier-ignore
function reduce(
  target: usize,
  c0: i64, c1: i64, c2: i64, c3: i64, c4: i64, c5: i64, c6: i64, c7: i64, c8: i64,
  c9: i64, c10: i64, c11: i64, c12: i64, c13: i64, c14: i64, c15: i64, c16: i64,
): void {
  let q: i64;
  let c17: i64 = 0;
  q = c0 & MASK;
  c1 += (c0 >> LIMB_BITS);
  c3 += q << 9;
  c6 += q << 18;
  c7 -= q << 21;
  c8 += q << 24;
  q = c1 & MASK;
  c2 += (c1 >> LIMB_BITS);
  c4 += q << 9;
  c7 += q << 18;
  c8 -= q << 21;
  c9 += q << 24;
  q = c2 & MASK;
  c3 += (c2 >> LIMB_BITS);
  c5 += q << 9;
  c8 += q << 18;
  c9 -= q << 21;
  c10 += q << 24;
  q = c3 & MASK;
  c4 += (c3 >> LIMB_BITS);
  c6 += q << 9;
  c9 += q << 18;
  c10 -= q << 21;
  c11 += q << 24;
  q = c4 & MASK;
  c5 += (c4 >> LIMB_BITS);
  c7 += q << 9;
  c10 += q << 18;
  c11 -= q << 21;
  c12 += q << 24;
  q = c5 & MASK;
  c6 += (c5 >> LIMB_BITS);
  c8 += q << 9;
  c11 += q << 18;
  c12 -= q << 21;
  c13 += q << 24;
  q = c6 & MASK;
  c7 += (c6 >> LIMB_BITS);
  c9 += q << 9;
  c12 += q << 18;
  c13 -= q << 21;
  c14 += q << 24;
  q = c7 & MASK;
  c8 += (c7 >> LIMB_BITS);
  c10 += q << 9;
  c13 += q << 18;
  c14 -= q << 21;
  c15 += q << 24;
  q = c8 & MASK;
  c9 += (c8 >> LIMB_BITS);
  c11 += q << 9;
  c14 += q << 18;
  c15 -= q << 21;
  c16 += q << 24;
  let carry: i64;
  carry = (c9 + HALF) >> LIMB_BITS;
  c9 -= carry << LIMB_BITS;
  c10 += carry;
  carry = (c10 + HALF) >> LIMB_BITS;
  c10 -= carry << LIMB_BITS;
  c11 += carry;
  carry = (c11 + HALF) >> LIMB_BITS;
  c11 -= carry << LIMB_BITS;
  c12 += carry;
  carry = (c12 + HALF) >> LIMB_BITS;
  c12 -= carry << LIMB_BITS;
  c13 += carry;
  carry = (c13 + HALF) >> LIMB_BITS;
  c13 -= carry << LIMB_BITS;
  c14 += carry;
  carry = (c14 + HALF) >> LIMB_BITS;
  c14 -= carry << LIMB_BITS;
  c15 += carry;
  carry = (c15 + HALF) >> LIMB_BITS;
  c15 -= carry << LIMB_BITS;
  c16 += carry;
  carry = (c16 + HALF) >> LIMB_BITS;
  c16 -= carry << LIMB_BITS;
  c17 += carry;
  store<i32>(target, <i32>c9, 0);
  store<i32>(target, <i32>c10, 4);
  store<i32>(target, <i32>c11, 8);
  store<i32>(target, <i32>c12, 12);
  store<i32>(target, <i32>c13, 16);
  store<i32>(target, <i32>c14, 20);
  store<i32>(target, <i32>c15, 24);
  store<i32>(target, <i32>c16, 28);
  store<i32>(target, <i32>c17, 32);
}

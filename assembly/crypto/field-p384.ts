/**
 * The field of P-384: integers modulo p = 2^384 - 2^128 - 2^96 + 2^32 - 1 (SP 800-186 §3.2.1.4).
 *
 * An element has fourteen limbs of 28 bits, 392 in total, and R = 2^392. p is -1 modulo 2^28, so Montgomery's step
 * needs no product: it adds the lowest limb of a column times p, which is that limb, shifted, in four other columns.
 */
import { fromHex } from "./hex";
import { PrimeField } from "./prime-field";

const LIMB_BITS: i64 = 28;
const MASK: i64 = (1 << 28) - 1;
/** Half a limb: carries are rounded to the nearest, so that limbs are signed and small. */
const HALF: i64 = 1 << 27;

export class FieldP384 extends PrimeField {
  constructor() {
    super(
      14,
      28,
      48,
      fromHex(
        "fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff",
      ),
      fromHex(
        "00000000000000000000000000010000000200000000fffffffe000000000000000200000000fffffffe000000010000",
      ),
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
    const a9 = <i64>load<i32>(a, 36);
    const a10 = <i64>load<i32>(a, 40);
    const a11 = <i64>load<i32>(a, 44);
    const a12 = <i64>load<i32>(a, 48);
    const a13 = <i64>load<i32>(a, 52);
    const b0 = <i64>load<i32>(b, 0);
    const b1 = <i64>load<i32>(b, 4);
    const b2 = <i64>load<i32>(b, 8);
    const b3 = <i64>load<i32>(b, 12);
    const b4 = <i64>load<i32>(b, 16);
    const b5 = <i64>load<i32>(b, 20);
    const b6 = <i64>load<i32>(b, 24);
    const b7 = <i64>load<i32>(b, 28);
    const b8 = <i64>load<i32>(b, 32);
    const b9 = <i64>load<i32>(b, 36);
    const b10 = <i64>load<i32>(b, 40);
    const b11 = <i64>load<i32>(b, 44);
    const b12 = <i64>load<i32>(b, 48);
    const b13 = <i64>load<i32>(b, 52);
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
      a0 * b9 + a1 * b8 + a2 * b7 + a3 * b6 + a4 * b5 + a5 * b4 + a6 * b3 + a7 * b2 + a8 * b1 + a9 * b0,
      a0 * b10 + a1 * b9 + a2 * b8 + a3 * b7 + a4 * b6 + a5 * b5 + a6 * b4 + a7 * b3 + a8 * b2 + a9 * b1 + a10 * b0,
      a0 * b11 + a1 * b10 + a2 * b9 + a3 * b8 + a4 * b7 + a5 * b6 + a6 * b5 + a7 * b4 + a8 * b3 + a9 * b2 + a10 * b1 + a11 * b0,
      a0 * b12 + a1 * b11 + a2 * b10 + a3 * b9 + a4 * b8 + a5 * b7 + a6 * b6 + a7 * b5 + a8 * b4 + a9 * b3 + a10 * b2 + a11 * b1 + a12 * b0,
      a0 * b13 + a1 * b12 + a2 * b11 + a3 * b10 + a4 * b9 + a5 * b8 + a6 * b7 + a7 * b6 + a8 * b5 + a9 * b4 + a10 * b3 + a11 * b2 + a12 * b1 + a13 * b0,
      a1 * b13 + a2 * b12 + a3 * b11 + a4 * b10 + a5 * b9 + a6 * b8 + a7 * b7 + a8 * b6 + a9 * b5 + a10 * b4 + a11 * b3 + a12 * b2 + a13 * b1,
      a2 * b13 + a3 * b12 + a4 * b11 + a5 * b10 + a6 * b9 + a7 * b8 + a8 * b7 + a9 * b6 + a10 * b5 + a11 * b4 + a12 * b3 + a13 * b2,
      a3 * b13 + a4 * b12 + a5 * b11 + a6 * b10 + a7 * b9 + a8 * b8 + a9 * b7 + a10 * b6 + a11 * b5 + a12 * b4 + a13 * b3,
      a4 * b13 + a5 * b12 + a6 * b11 + a7 * b10 + a8 * b9 + a9 * b8 + a10 * b7 + a11 * b6 + a12 * b5 + a13 * b4,
      a5 * b13 + a6 * b12 + a7 * b11 + a8 * b10 + a9 * b9 + a10 * b8 + a11 * b7 + a12 * b6 + a13 * b5,
      a6 * b13 + a7 * b12 + a8 * b11 + a9 * b10 + a10 * b9 + a11 * b8 + a12 * b7 + a13 * b6,
      a7 * b13 + a8 * b12 + a9 * b11 + a10 * b10 + a11 * b9 + a12 * b8 + a13 * b7,
      a8 * b13 + a9 * b12 + a10 * b11 + a11 * b10 + a12 * b9 + a13 * b8,
      a9 * b13 + a10 * b12 + a11 * b11 + a12 * b10 + a13 * b9,
      a10 * b13 + a11 * b12 + a12 * b11 + a13 * b10,
      a11 * b13 + a12 * b12 + a13 * b11,
      a12 * b13 + a13 * b12,
      a13 * b13,
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
    const a9 = <i64>load<i32>(a, 36);
    const a10 = <i64>load<i32>(a, 40);
    const a11 = <i64>load<i32>(a, 44);
    const a12 = <i64>load<i32>(a, 48);
    const a13 = <i64>load<i32>(a, 52);
    const d0 = a0 << 1;
    const d1 = a1 << 1;
    const d2 = a2 << 1;
    const d3 = a3 << 1;
    const d4 = a4 << 1;
    const d5 = a5 << 1;
    const d6 = a6 << 1;
    const d7 = a7 << 1;
    const d8 = a8 << 1;
    const d9 = a9 << 1;
    const d10 = a10 << 1;
    const d11 = a11 << 1;
    const d12 = a12 << 1;
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
      d0 * a9 + d1 * a8 + d2 * a7 + d3 * a6 + d4 * a5,
      d0 * a10 + d1 * a9 + d2 * a8 + d3 * a7 + d4 * a6 + a5 * a5,
      d0 * a11 + d1 * a10 + d2 * a9 + d3 * a8 + d4 * a7 + d5 * a6,
      d0 * a12 + d1 * a11 + d2 * a10 + d3 * a9 + d4 * a8 + d5 * a7 + a6 * a6,
      d0 * a13 + d1 * a12 + d2 * a11 + d3 * a10 + d4 * a9 + d5 * a8 + d6 * a7,
      d1 * a13 + d2 * a12 + d3 * a11 + d4 * a10 + d5 * a9 + d6 * a8 + a7 * a7,
      d2 * a13 + d3 * a12 + d4 * a11 + d5 * a10 + d6 * a9 + d7 * a8,
      d3 * a13 + d4 * a12 + d5 * a11 + d6 * a10 + d7 * a9 + a8 * a8,
      d4 * a13 + d5 * a12 + d6 * a11 + d7 * a10 + d8 * a9,
      d5 * a13 + d6 * a12 + d7 * a11 + d8 * a10 + a9 * a9,
      d6 * a13 + d7 * a12 + d8 * a11 + d9 * a10,
      d7 * a13 + d8 * a12 + d9 * a11 + a10 * a10,
      d8 * a13 + d9 * a12 + d10 * a11,
      d9 * a13 + d10 * a12 + a11 * a11,
      d10 * a13 + d11 * a12,
      d11 * a13 + a12 * a12,
      d12 * a13,
      a13 * a13,
    );
  }

  carry(a: usize): void {
    let carry = 0;
    for (let i: usize = 0; i < 52; i += 4) {
      const limb = load<i32>(a + i) + carry;
      carry = (limb + (1 << 27)) >> 28;
      store<i32>(a + i, limb - (carry << 28));
    }
    store<i32>(a, load<i32>(a, 52) + carry, 52);
    // Subtracts p times the bits above 2^384, rounded.
    const top = (load<i32>(a, 52) + (1 << 19)) >> 20;
    store<i32>(a, load<i32>(a, 52) - (top << 20), 52);
    store<i32>(a, load<i32>(a, 16) + (top << 16), 16);
    store<i32>(a, load<i32>(a, 12) + (top << 12), 12);
    store<i32>(a, load<i32>(a, 4) - (top << 4), 4);
    store<i32>(a, load<i32>(a) + top);
  }
}

/**
 * Montgomery's step on the 27 columns of a product: adds a multiple of p for each of the lowest 14, which makes that
 * column a multiple of 2^28; then carries.
 */
// @ts-ignore: decorator
@inline
// prettier-ignore
function reduce(
  target: usize,
  c0: i64, c1: i64, c2: i64, c3: i64, c4: i64, c5: i64, c6: i64, c7: i64, c8: i64,
  c9: i64, c10: i64, c11: i64, c12: i64, c13: i64, c14: i64, c15: i64, c16: i64, c17: i64,
  c18: i64, c19: i64, c20: i64, c21: i64, c22: i64, c23: i64, c24: i64, c25: i64, c26: i64,
): void {
  let q: i64;
  let c27: i64 = 0;
  q = c0 & MASK;
  c1 += (c0 >> LIMB_BITS) + (q << 4);
  c3 -= q << 12;
  c4 -= q << 16;
  c13 += q << 20;
  q = c1 & MASK;
  c2 += (c1 >> LIMB_BITS) + (q << 4);
  c4 -= q << 12;
  c5 -= q << 16;
  c14 += q << 20;
  q = c2 & MASK;
  c3 += (c2 >> LIMB_BITS) + (q << 4);
  c5 -= q << 12;
  c6 -= q << 16;
  c15 += q << 20;
  q = c3 & MASK;
  c4 += (c3 >> LIMB_BITS) + (q << 4);
  c6 -= q << 12;
  c7 -= q << 16;
  c16 += q << 20;
  q = c4 & MASK;
  c5 += (c4 >> LIMB_BITS) + (q << 4);
  c7 -= q << 12;
  c8 -= q << 16;
  c17 += q << 20;
  q = c5 & MASK;
  c6 += (c5 >> LIMB_BITS) + (q << 4);
  c8 -= q << 12;
  c9 -= q << 16;
  c18 += q << 20;
  q = c6 & MASK;
  c7 += (c6 >> LIMB_BITS) + (q << 4);
  c9 -= q << 12;
  c10 -= q << 16;
  c19 += q << 20;
  q = c7 & MASK;
  c8 += (c7 >> LIMB_BITS) + (q << 4);
  c10 -= q << 12;
  c11 -= q << 16;
  c20 += q << 20;
  q = c8 & MASK;
  c9 += (c8 >> LIMB_BITS) + (q << 4);
  c11 -= q << 12;
  c12 -= q << 16;
  c21 += q << 20;
  q = c9 & MASK;
  c10 += (c9 >> LIMB_BITS) + (q << 4);
  c12 -= q << 12;
  c13 -= q << 16;
  c22 += q << 20;
  q = c10 & MASK;
  c11 += (c10 >> LIMB_BITS) + (q << 4);
  c13 -= q << 12;
  c14 -= q << 16;
  c23 += q << 20;
  q = c11 & MASK;
  c12 += (c11 >> LIMB_BITS) + (q << 4);
  c14 -= q << 12;
  c15 -= q << 16;
  c24 += q << 20;
  q = c12 & MASK;
  c13 += (c12 >> LIMB_BITS) + (q << 4);
  c15 -= q << 12;
  c16 -= q << 16;
  c25 += q << 20;
  q = c13 & MASK;
  c14 += (c13 >> LIMB_BITS) + (q << 4);
  c16 -= q << 12;
  c17 -= q << 16;
  c26 += q << 20;
  let carry: i64;
  carry = (c14 + HALF) >> LIMB_BITS;
  c14 -= carry << LIMB_BITS;
  c15 += carry;
  carry = (c15 + HALF) >> LIMB_BITS;
  c15 -= carry << LIMB_BITS;
  c16 += carry;
  carry = (c16 + HALF) >> LIMB_BITS;
  c16 -= carry << LIMB_BITS;
  c17 += carry;
  carry = (c17 + HALF) >> LIMB_BITS;
  c17 -= carry << LIMB_BITS;
  c18 += carry;
  carry = (c18 + HALF) >> LIMB_BITS;
  c18 -= carry << LIMB_BITS;
  c19 += carry;
  carry = (c19 + HALF) >> LIMB_BITS;
  c19 -= carry << LIMB_BITS;
  c20 += carry;
  carry = (c20 + HALF) >> LIMB_BITS;
  c20 -= carry << LIMB_BITS;
  c21 += carry;
  carry = (c21 + HALF) >> LIMB_BITS;
  c21 -= carry << LIMB_BITS;
  c22 += carry;
  carry = (c22 + HALF) >> LIMB_BITS;
  c22 -= carry << LIMB_BITS;
  c23 += carry;
  carry = (c23 + HALF) >> LIMB_BITS;
  c23 -= carry << LIMB_BITS;
  c24 += carry;
  carry = (c24 + HALF) >> LIMB_BITS;
  c24 -= carry << LIMB_BITS;
  c25 += carry;
  carry = (c25 + HALF) >> LIMB_BITS;
  c25 -= carry << LIMB_BITS;
  c26 += carry;
  carry = (c26 + HALF) >> LIMB_BITS;
  c26 -= carry << LIMB_BITS;
  c27 += carry;
  store<i32>(target, <i32>c14, 0);
  store<i32>(target, <i32>c15, 4);
  store<i32>(target, <i32>c16, 8);
  store<i32>(target, <i32>c17, 12);
  store<i32>(target, <i32>c18, 16);
  store<i32>(target, <i32>c19, 20);
  store<i32>(target, <i32>c20, 24);
  store<i32>(target, <i32>c21, 28);
  store<i32>(target, <i32>c22, 32);
  store<i32>(target, <i32>c23, 36);
  store<i32>(target, <i32>c24, 40);
  store<i32>(target, <i32>c25, 44);
  store<i32>(target, <i32>c26, 48);
  store<i32>(target, <i32>c27, 52);
}

/**
 * The field of P-521: integers modulo p = 2^521 - 1 (SP 800-186 §3.2.1.5).
 *
 * An element has eighteen limbs of 29 bits, 522 in total. 2^522 = 2 modulo p, so the upper columns of a product are
 * doubled and added to the lower ones; and R = 1.
 */
import { fromHex } from "./hex";
import { PrimeField } from "./prime-field";

const LIMB_BITS: i64 = 29;
const MASK: i64 = (1 << 29) - 1;
/** Half a limb: carries are rounded to the nearest, so that limbs are signed and small. */
const HALF: i64 = 1 << 28;

export class FieldP521 extends PrimeField {
  constructor() {
    super(
      18,
      29,
      66,
      fromHex(
        "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
      ),
      fromHex(
        "000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001",
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
    const a14 = <i64>load<i32>(a, 56);
    const a15 = <i64>load<i32>(a, 60);
    const a16 = <i64>load<i32>(a, 64);
    const a17 = <i64>load<i32>(a, 68);
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
    const b14 = <i64>load<i32>(b, 56);
    const b15 = <i64>load<i32>(b, 60);
    const b16 = <i64>load<i32>(b, 64);
    const b17 = <i64>load<i32>(b, 68);
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
      a0 * b14 + a1 * b13 + a2 * b12 + a3 * b11 + a4 * b10 + a5 * b9 + a6 * b8 + a7 * b7 + a8 * b6 + a9 * b5 + a10 * b4 + a11 * b3 + a12 * b2 + a13 * b1 + a14 * b0,
      a0 * b15 + a1 * b14 + a2 * b13 + a3 * b12 + a4 * b11 + a5 * b10 + a6 * b9 + a7 * b8 + a8 * b7 + a9 * b6 + a10 * b5 + a11 * b4 + a12 * b3 + a13 * b2 + a14 * b1 + a15 * b0,
      a0 * b16 + a1 * b15 + a2 * b14 + a3 * b13 + a4 * b12 + a5 * b11 + a6 * b10 + a7 * b9 + a8 * b8 + a9 * b7 + a10 * b6 + a11 * b5 + a12 * b4 + a13 * b3 + a14 * b2 + a15 * b1 + a16 * b0,
      a0 * b17 + a1 * b16 + a2 * b15 + a3 * b14 + a4 * b13 + a5 * b12 + a6 * b11 + a7 * b10 + a8 * b9 + a9 * b8 + a10 * b7 + a11 * b6 + a12 * b5 + a13 * b4 + a14 * b3 + a15 * b2 + a16 * b1 + a17 * b0,
      a1 * b17 + a2 * b16 + a3 * b15 + a4 * b14 + a5 * b13 + a6 * b12 + a7 * b11 + a8 * b10 + a9 * b9 + a10 * b8 + a11 * b7 + a12 * b6 + a13 * b5 + a14 * b4 + a15 * b3 + a16 * b2 + a17 * b1,
      a2 * b17 + a3 * b16 + a4 * b15 + a5 * b14 + a6 * b13 + a7 * b12 + a8 * b11 + a9 * b10 + a10 * b9 + a11 * b8 + a12 * b7 + a13 * b6 + a14 * b5 + a15 * b4 + a16 * b3 + a17 * b2,
      a3 * b17 + a4 * b16 + a5 * b15 + a6 * b14 + a7 * b13 + a8 * b12 + a9 * b11 + a10 * b10 + a11 * b9 + a12 * b8 + a13 * b7 + a14 * b6 + a15 * b5 + a16 * b4 + a17 * b3,
      a4 * b17 + a5 * b16 + a6 * b15 + a7 * b14 + a8 * b13 + a9 * b12 + a10 * b11 + a11 * b10 + a12 * b9 + a13 * b8 + a14 * b7 + a15 * b6 + a16 * b5 + a17 * b4,
      a5 * b17 + a6 * b16 + a7 * b15 + a8 * b14 + a9 * b13 + a10 * b12 + a11 * b11 + a12 * b10 + a13 * b9 + a14 * b8 + a15 * b7 + a16 * b6 + a17 * b5,
      a6 * b17 + a7 * b16 + a8 * b15 + a9 * b14 + a10 * b13 + a11 * b12 + a12 * b11 + a13 * b10 + a14 * b9 + a15 * b8 + a16 * b7 + a17 * b6,
      a7 * b17 + a8 * b16 + a9 * b15 + a10 * b14 + a11 * b13 + a12 * b12 + a13 * b11 + a14 * b10 + a15 * b9 + a16 * b8 + a17 * b7,
      a8 * b17 + a9 * b16 + a10 * b15 + a11 * b14 + a12 * b13 + a13 * b12 + a14 * b11 + a15 * b10 + a16 * b9 + a17 * b8,
      a9 * b17 + a10 * b16 + a11 * b15 + a12 * b14 + a13 * b13 + a14 * b12 + a15 * b11 + a16 * b10 + a17 * b9,
      a10 * b17 + a11 * b16 + a12 * b15 + a13 * b14 + a14 * b13 + a15 * b12 + a16 * b11 + a17 * b10,
      a11 * b17 + a12 * b16 + a13 * b15 + a14 * b14 + a15 * b13 + a16 * b12 + a17 * b11,
      a12 * b17 + a13 * b16 + a14 * b15 + a15 * b14 + a16 * b13 + a17 * b12,
      a13 * b17 + a14 * b16 + a15 * b15 + a16 * b14 + a17 * b13,
      a14 * b17 + a15 * b16 + a16 * b15 + a17 * b14,
      a15 * b17 + a16 * b16 + a17 * b15,
      a16 * b17 + a17 * b16,
      a17 * b17,
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
    const a14 = <i64>load<i32>(a, 56);
    const a15 = <i64>load<i32>(a, 60);
    const a16 = <i64>load<i32>(a, 64);
    const a17 = <i64>load<i32>(a, 68);
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
    const d13 = a13 << 1;
    const d14 = a14 << 1;
    const d15 = a15 << 1;
    const d16 = a16 << 1;
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
      d0 * a14 + d1 * a13 + d2 * a12 + d3 * a11 + d4 * a10 + d5 * a9 + d6 * a8 + a7 * a7,
      d0 * a15 + d1 * a14 + d2 * a13 + d3 * a12 + d4 * a11 + d5 * a10 + d6 * a9 + d7 * a8,
      d0 * a16 + d1 * a15 + d2 * a14 + d3 * a13 + d4 * a12 + d5 * a11 + d6 * a10 + d7 * a9 + a8 * a8,
      d0 * a17 + d1 * a16 + d2 * a15 + d3 * a14 + d4 * a13 + d5 * a12 + d6 * a11 + d7 * a10 + d8 * a9,
      d1 * a17 + d2 * a16 + d3 * a15 + d4 * a14 + d5 * a13 + d6 * a12 + d7 * a11 + d8 * a10 + a9 * a9,
      d2 * a17 + d3 * a16 + d4 * a15 + d5 * a14 + d6 * a13 + d7 * a12 + d8 * a11 + d9 * a10,
      d3 * a17 + d4 * a16 + d5 * a15 + d6 * a14 + d7 * a13 + d8 * a12 + d9 * a11 + a10 * a10,
      d4 * a17 + d5 * a16 + d6 * a15 + d7 * a14 + d8 * a13 + d9 * a12 + d10 * a11,
      d5 * a17 + d6 * a16 + d7 * a15 + d8 * a14 + d9 * a13 + d10 * a12 + a11 * a11,
      d6 * a17 + d7 * a16 + d8 * a15 + d9 * a14 + d10 * a13 + d11 * a12,
      d7 * a17 + d8 * a16 + d9 * a15 + d10 * a14 + d11 * a13 + a12 * a12,
      d8 * a17 + d9 * a16 + d10 * a15 + d11 * a14 + d12 * a13,
      d9 * a17 + d10 * a16 + d11 * a15 + d12 * a14 + a13 * a13,
      d10 * a17 + d11 * a16 + d12 * a15 + d13 * a14,
      d11 * a17 + d12 * a16 + d13 * a15 + a14 * a14,
      d12 * a17 + d13 * a16 + d14 * a15,
      d13 * a17 + d14 * a16 + a15 * a15,
      d14 * a17 + d15 * a16,
      d15 * a17 + a16 * a16,
      d16 * a17,
      a17 * a17,
    );
  }

  carry(a: usize): void {
    let carry = 0;
    for (let i: usize = 0; i < 68; i += 4) {
      const limb = load<i32>(a + i) + carry;
      carry = (limb + (1 << 28)) >> 29;
      store<i32>(a + i, limb - (carry << 29));
    }
    store<i32>(a, load<i32>(a, 68) + carry, 68);
    // Subtracts p times the bits above 2^521, rounded.
    const top = (load<i32>(a, 68) + (1 << 27)) >> 28;
    store<i32>(a, load<i32>(a, 68) - (top << 28), 68);
    store<i32>(a, load<i32>(a) + top);
  }
}

/** Folds the upper of a product's 35 columns, then carries. */
// @ts-ignore: decorator
@inline
// prettier-ignore
function reduce(
  target: usize,
  c0: i64, c1: i64, c2: i64, c3: i64, c4: i64, c5: i64, c6: i64, c7: i64, c8: i64,
  c9: i64, c10: i64, c11: i64, c12: i64, c13: i64, c14: i64, c15: i64, c16: i64, c17: i64,
  c18: i64, c19: i64, c20: i64, c21: i64, c22: i64, c23: i64, c24: i64, c25: i64, c26: i64,
  c27: i64, c28: i64, c29: i64, c30: i64, c31: i64, c32: i64, c33: i64, c34: i64,
): void {
  c0 += (c18 & MASK) << 1;
  c19 += c18 >> LIMB_BITS;
  c1 += (c19 & MASK) << 1;
  c20 += c19 >> LIMB_BITS;
  c2 += (c20 & MASK) << 1;
  c21 += c20 >> LIMB_BITS;
  c3 += (c21 & MASK) << 1;
  c22 += c21 >> LIMB_BITS;
  c4 += (c22 & MASK) << 1;
  c23 += c22 >> LIMB_BITS;
  c5 += (c23 & MASK) << 1;
  c24 += c23 >> LIMB_BITS;
  c6 += (c24 & MASK) << 1;
  c25 += c24 >> LIMB_BITS;
  c7 += (c25 & MASK) << 1;
  c26 += c25 >> LIMB_BITS;
  c8 += (c26 & MASK) << 1;
  c27 += c26 >> LIMB_BITS;
  c9 += (c27 & MASK) << 1;
  c28 += c27 >> LIMB_BITS;
  c10 += (c28 & MASK) << 1;
  c29 += c28 >> LIMB_BITS;
  c11 += (c29 & MASK) << 1;
  c30 += c29 >> LIMB_BITS;
  c12 += (c30 & MASK) << 1;
  c31 += c30 >> LIMB_BITS;
  c13 += (c31 & MASK) << 1;
  c32 += c31 >> LIMB_BITS;
  c14 += (c32 & MASK) << 1;
  c33 += c32 >> LIMB_BITS;
  c15 += (c33 & MASK) << 1;
  c34 += c33 >> LIMB_BITS;
  c16 += (c34 & MASK) << 1;
  c17 += (c34 >> LIMB_BITS) << 1;
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
  c9 += carry;
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
  carry = (c17 + HALF) >> LIMB_BITS;
  c17 -= carry << LIMB_BITS;
  c0 += carry << 1;
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
  store<i32>(target, <i32>c9, 36);
  store<i32>(target, <i32>c10, 40);
  store<i32>(target, <i32>c11, 44);
  store<i32>(target, <i32>c12, 48);
  store<i32>(target, <i32>c13, 52);
  store<i32>(target, <i32>c14, 56);
  store<i32>(target, <i32>c15, 60);
  store<i32>(target, <i32>c16, 64);
  store<i32>(target, <i32>c17, 68);
}

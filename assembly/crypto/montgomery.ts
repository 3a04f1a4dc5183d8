/** (first version) */
import { Slice, byteAt, lengthOf, pointerOf } from "../abi/slice";

export const MAX_MODULUS_BITS: i32 = 4096;
const LIMB_BITS: i32 = 28;
const MASK: u64 = (1 << LIMB_BITS) - 1;
const MAX_LIMBS: i32 = MAX_MODULUS_BITS / LIMB_BITS + 2;

export const NUMBER_SIZE: i32 = 4 * MAX_LIMBS;
const T: usize = memory.data(8 * (2 * MAX_LIMBS), 16);
const A: usize = memory.data(NUMBER_SIZE, 16);
const B: usize = memory.data(NUMBER_SIZE, 16);

export class Modulus {
  readonly bits: i32;
  readonly byteLength: i32;
  readonly limbs: i32;
  private readonly n: StaticArray<u32>;
  private readonly r2: StaticArray<u32>;
  private readonly inverse: u32;

  constructor(n: Slice) {
    const bits = 8 * lengthOf(n) - clz<i32>(byteAt(n, 0)) + 24;
    const limbs = (bits + 2 + LIMB_BITS - 1) / LIMB_BITS;
    this.byteLength = lengthOf(n);
    this.bits = bits;
    this.limbs = limbs;
    this.inverse = 0;
    this.n = new StaticArray<u32>(limbs);
    this.r2 = new StaticArray<u32>(limbs);
    readBytes(changetype<usize>(this.n), this.limbs, pointerOf(n), lengthOf(n));
    let inverse: u32 = 1;
    const n0 = this.n[0];
    for (let i = 0; i < 5; i++) inverse *= 2 - n0 * inverse;
    this.inverse = <u32>((0 - inverse) & (<u32>MASK));
    // 2^(bits-1) doubled up to R² = 2^(2 * 28 * limbs)
    const r2 = changetype<usize>(this.r2);
    store<u32>(r2 + 4 * <usize>((this.bits - 1) / LIMB_BITS), 1 << ((this.bits - 1) % LIMB_BITS));
    for (let i = this.bits - 1; i < 2 * LIMB_BITS * this.limbs; i++) this.add(r2, r2, r2);
  }
  get modulus(): usize {
    return changetype<usize>(this.n);
  }

  add(target: usize, a: usize, b: usize): void {
    let carry: u32 = 0;
    for (let i = 0; i < this.limbs; i++) {
      carry += load<u32>(a + 4 * i) + load<u32>(b + 4 * i);
      store<u32>(target + 4 * i, carry & (<u32>MASK));
      carry >>= LIMB_BITS;
    }
    this.reduce(target);
  }

  subtract(target: usize, a: usize, b: usize): void {
    let carry: i32 = 0;
    for (let i = 0; i < this.limbs; i++) {
      carry += load<i32>(a + 4 * i) - load<i32>(b + 4 * i) + load<i32>(this.modulus + 4 * i);
      store<u32>(target + 4 * i, carry & (<u32>MASK));
      carry >>= LIMB_BITS;
    }
    this.reduce(target);
  }

  less(a: usize): bool {
    for (let i = this.limbs - 1; i >= 0; i--) {
      const x = load<u32>(a + 4 * i),
        y = load<u32>(this.modulus + 4 * i);
      if (x != y) return x < y;
    }
    return false;
  }

  equal(a: usize, b: usize): bool {
    return memory.compare(a, b, 4 * this.limbs) == 0;
  }

  reduce(a: usize): void {
    if (this.less(a)) return;
    let carry: i32 = 0;
    for (let i = 0; i < this.limbs; i++) {
      carry += load<i32>(a + 4 * i) - load<i32>(this.modulus + 4 * i);
      store<u32>(a + 4 * i, carry & (<u32>MASK));
      carry >>= LIMB_BITS;
    }
  }

  multiply(target: usize, a: usize, b: usize): void {
    const k = this.limbs;
    memory.fill(T, 0, 8 * 2 * k);
    for (let i = 0; i < k; i++) {
      const x = load<u32>(a + 4 * i) as u64;
      for (let j = 0; j < k; j++) {
        const at = T + 8 * (i + j);
        store<u64>(at, load<u64>(at) + x * load<u32>(b + 4 * j));
      }
      const at = T + 8 * i;
      const q = (load<u32>(at) * this.inverse) & (<u32>MASK);
      for (let j = 0; j < k; j++) {
        const at = T + 8 * (i + j);
        store<u64>(at, load<u64>(at) + <u64>q * load<u32>(this.modulus + 4 * j));
      }
      store<u64>(at + 8, load<u64>(at + 8) + (load<u64>(at) >> LIMB_BITS));
    }
    let carry: u64 = 0;
    for (let i = 0; i < k; i++) {
      carry += load<u64>(T + 8 * (k + i));
      store<u32>(target + 4 * i, <u32>(carry & MASK));
      carry >>= LIMB_BITS;
    }
    this.reduce(target);
  }

  read(target: usize, bytes: usize, length: i32): bool {
    readBytes(target, this.limbs, bytes, length);
    return this.less(target);
  }
  toMontgomery(a: usize): void {
    this.multiply(a, a, changetype<usize>(this.r2));
  }

  power(base: usize, exponent: u32, target: usize): bool {
    if (!this.read(A, base, this.byteLength)) return false;
    memory.copy(B, A, NUMBER_SIZE);
    this.toMontgomery(B);
    const squarings = exponent == 3 ? 1 : 16;
    for (let i = 0; i < squarings; i++) this.multiply(B, B, B);
    this.multiply(B, B, A);
    writeBytes(target, this.byteLength, B);
    return true;
  }
}

function readBytes(target: usize, limbs: i32, bytes: usize, length: i32): void {
  memory.fill(target, 0, 4 * limbs);
  let bits = 0;
  for (let i = length - 1; i >= 0; i--, bits += 8) {
    const byte = (<u64>load<u8>(bytes + i)) << (bits % LIMB_BITS);
    const at = target + 4 * (bits / LIMB_BITS);
    store<u32>(at, load<u32>(at) | (<u32>(byte & MASK)));
    if (byte > MASK) store<u32>(at + 4, <u32>(byte >> LIMB_BITS));
  }
}

function writeBytes(target: usize, length: i32, number: usize): void {
  let bits = 0;
  for (let i = length - 1; i >= 0; i--, bits += 8) {
    const at = number + 4 * (bits / LIMB_BITS);
    const shift = bits % LIMB_BITS;
    let value = load<u32>(at) >> shift;
    if (shift > LIMB_BITS - 8) value |= load<u32>(at + 4) << (LIMB_BITS - shift);
    store<u8>(target + i, <u8>value);
  }
}

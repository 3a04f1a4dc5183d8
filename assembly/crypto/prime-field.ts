/**
 * The common part of the NIST curves' fields (`field-p256.ts`, `field-p384.ts`, `field-p521.ts`): integers modulo a
 * prime p, for ECDSA.
 *
 * An element is the address of `size` bytes: signed limbs of 32 bits, the lowest first, followed by lanes of any value
 * up to a whole number of vectors. Limb i counts 2^(limbBits · i). The value is the sum of the limbs, modulo p.
 * WebAssembly multiplies 64 by 64 bits into 64, so the products of a column must stay below 2^63 in sum. With a unit of
 * 2^(limbBits - 1):
 *
 * - `multiply` and `square` leave limbs of at most one unit and a small rest, and a value from -p to 1.1 p;
 * - `carry` leaves the same limbs and a value from -0.51 p to 0.51 p;
 * - `add` and `subtract` leave the sum of their operands' bounds, which must stay below 2^31;
 * - a product needs a and b whose limbs' bounds, in units, have a product of at most 7, and whose values' bounds, in p,
 *   have a product of at most 3.
 *
 * Not constant time: it handles only public keys and signatures.
 */

/** The size of the largest element in bytes. */
export const MAX_ELEMENT_SIZE: i32 = 80;
/** The longest number in bytes: an integer modulo the prime of P-521. */
export const MAX_NUMBER_LENGTH: i32 = 66;

const COPY: usize = memory.data(80, 16);
const RAW_ONE: usize = memory.data(80, 16);

export abstract class PrimeField {
  /** The size of an element in bytes. */
  readonly size: usize;
  /** R² modulo p if products are a · b / R (Montgomery's form); 1 if they are a · b. */
  private readonly squareOfR: StaticArray<u8>;
  private readonly p: StaticArray<u8>;

  /**
   * @param limbs how many an element has
   * @param limbBits bits of each
   * @param length of a number below p, in bytes
   * @param p the prime, big-endian, `length` bytes
   * @param squareOfR R² modulo p, likewise
   */
  constructor(
    readonly limbs: i32,
    readonly limbBits: i32,
    readonly length: i32,
    p: StaticArray<u8>,
    squareOfR: StaticArray<u8>,
  ) {
    const size = (<usize>limbs * 4 + 15) & ~15;
    const ownP = new StaticArray<u8>(<i32>size);
    const ownSquare = new StaticArray<u8>(<i32>size);
    readLimbs(changetype<usize>(ownP), limbs, limbBits, changetype<usize>(p), length);
    readLimbs(changetype<usize>(ownSquare), limbs, limbBits, changetype<usize>(squareOfR), length);
    this.size = size;
    this.p = ownP;
    this.squareOfR = ownSquare;
  }

  /** target = a · b (/ R). */
  abstract multiply(target: usize, a: usize, b: usize): void;
  /** target = a² (/ R). */
  abstract square(target: usize, a: usize): void;
  /** Brings limbs, and the value, close to zero. */
  abstract carry(a: usize): void;

  /** target = a + b. */
  add(target: usize, a: usize, b: usize): void {
    for (let i: usize = 0; i < this.size; i += 16) {
      v128.store(target + i, i32x4.add(v128.load(a + i), v128.load(b + i)));
    }
  }

  /** target = a - b. */
  subtract(target: usize, a: usize, b: usize): void {
    for (let i: usize = 0; i < this.size; i += 16) {
      v128.store(target + i, i32x4.sub(v128.load(a + i), v128.load(b + i)));
    }
  }

  copy(target: usize, a: usize): void {
    memory.copy(target, a, this.size);
  }

  /** Whether a, whose value is between -3 p and 3 p, is zero modulo p. */
  isZero(a: usize): bool {
    // p is -1 modulo 2^limbBits for each of the curves, so the lowest limb alone rules out most numbers.
    const mask: u32 = (1 << this.limbBits) - 1;
    if (((load<u32>(a) + 3) & mask) > 6) return false;
    this.copy(COPY, a);
    // A number that is zero modulo p is zero after the first line, and has only zero limbs after the second.
    this.carry(COPY);
    this.carry(COPY);
    for (let i: usize = 0; i < <usize>this.limbs * 4; i += 4) {
      if (load<i32>(COPY + i) != 0) return false;
    }
    return true;
  }

  /** Reads a number below p: `length` bytes, big-endian. */
  read(target: usize, bytes: usize): void {
    memory.fill(target, 0, this.size);
    readLimbs(target, this.limbs, this.limbBits, bytes, this.length);
    this.multiply(target, target, changetype<usize>(this.squareOfR));
  }

  /** target = 1. */
  setOne(target: usize): void {
    memory.fill(RAW_ONE, 0, this.size);
    store<i32>(RAW_ONE, 1);
    this.multiply(target, RAW_ONE, changetype<usize>(this.squareOfR));
  }

  /** Writes the number from 0 to p - 1 that equals `a` modulo p: `length` bytes, big-endian. */
  write(bytes: usize, a: usize): void {
    memory.fill(RAW_ONE, 0, this.size);
    store<i32>(RAW_ONE, 1);
    this.multiply(COPY, a, RAW_ONE);
    this.carry(COPY);
    if (!this.withoutSigns(0)) this.withoutSigns(1);
    writeLimbs(bytes, this.length, COPY, this.limbs, this.limbBits);
  }

  /**
   * Adds `factor` times p to COPY and makes every limb but the highest non-negative. @returns whether the number is
   * non-negative
   */
  private withoutSigns(factor: i32): bool {
    const p = changetype<usize>(this.p);
    const last = <usize>(this.limbs - 1) * 4;
    const mask = (1 << this.limbBits) - 1;
    let carry = 0;
    for (let i: usize = 0; i <= last; i += 4) {
      carry += load<i32>(COPY + i) + factor * load<i32>(p + i);
      store<i32>(COPY + i, i == last ? carry : carry & mask);
      carry >>= this.limbBits;
    }
    return load<i32>(COPY + last) >= 0;
  }
}

/** Splits a number of `length` bytes, big-endian, into limbs; limbs beyond its length become zero. */
export function readLimbs(target: usize, limbs: i32, limbBits: i32, bytes: usize, length: i32): void {
  let bits: u64 = 0;
  let count = 0;
  let at = bytes + <usize>length;
  for (let i = 0; i < limbs; i++) {
    for (; count < limbBits && at > bytes; count += 8) bits |= (<u64>load<u8>(--at)) << count;
    store<u32>(target + 4 * <usize>i, <u32>(bits & ((1 << limbBits) - 1)));
    bits >>= limbBits;
    count -= limbBits;
  }
}

/** Writes a number of unsigned limbs as `length` bytes, big-endian. */
export function writeLimbs(bytes: usize, length: i32, limb: usize, limbs: i32, limbBits: i32): void {
  const end = limb + 4 * <usize>limbs;
  let bits: u64 = 0;
  let count = 0;
  for (let at = bytes + <usize>length; at > bytes; count -= 8) {
    if (count < 8 && limb < end) {
      bits |= (<u64>load<u32>(limb)) << count;
      count += limbBits;
      limb += 4;
    }
    store<u8>(--at, <u8>bits);
    bits >>= 8;
  }
}

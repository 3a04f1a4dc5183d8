/**
 * Non-negative integers of up to 5,120 bits, for exact conversions of numbers (`number.ts`). Not for cryptography:
 * nothing here is constant time.
 */

/** Of 32 bits. Conversions of doubles need less than 4,000 bits; `number.ts` bounds its exponents accordingly. */
const LIMBS: i32 = 160;
const BILLION: u32 = 1_000_000_000;

export class BigInteger {
  /** Least significant first; those at `length` and above mean nothing. */
  private readonly limbs: StaticArray<u32> = new StaticArray<u32>(LIMBS);
  /** The highest limb below it is not zero. */
  private length: i32 = 0;

  set(value: u64): void {
    this.limbs[0] = <u32>value;
    this.limbs[1] = <u32>(value >>> 32);
    this.length = 2;
    this.trim();
  }

  isZero(): bool {
    return this.length == 0;
  }

  /** The length in bits; 0 for zero. */
  bitLength(): i32 {
    return this.length == 0 ? 0 : 32 * this.length - <i32>clz(this.limbs[this.length - 1]);
  }

  /** this = this * factor + addend */
  multiplyAdd(factor: u32, addend: u32): void {
    let carry = <u64>addend;
    for (let i = 0; i < this.length; i++) {
      carry += <u64>this.limbs[i] * factor;
      this.limbs[i] = <u32>carry;
      carry >>>= 32;
    }
    if (carry != 0) this.limbs[this.length++] = <u32>carry;
  }

  /** this = this * 10^power */
  multiplyPowerOfTen(power: i32): void {
    for (; power >= 9; power -= 9) this.multiplyAdd(BILLION, 0);
    for (; power > 0; power--) this.multiplyAdd(10, 0);
  }

  /** this = this * 2^count */
  shiftLeft(count: i32): void {
    if (this.length == 0) return;
    const whole = count >>> 5;
    const part = <u64>(count & 31);
    const old = this.length;
    this.length += whole + 1;
    this.limbs[old + whole] = 0;
    for (let i = old - 1; i >= 0; i--) {
      const shifted = (<u64>this.limbs[i]) << part;
      this.limbs[i + whole + 1] |= <u32>(shifted >>> 32);
      this.limbs[i + whole] = <u32>shifted;
    }
    for (let i = 0; i < whole; i++) this.limbs[i] = 0;
    this.trim();
  }

  /** this = this / 2^count, rounded to the nearest integer, ties to even */
  shiftRightRounded(count: i32): void {
    if (count == 0) return;
    const isHalf = this.bit(count - 1);
    let isMore = false;
    for (let i = 0; i < count - 1 && !isMore; i++) isMore = this.bit(i);
    const whole = count >>> 5;
    const part = <u64>(count & 31);
    const old = this.length;
    this.length = max(old - whole, 0);
    for (let i = 0; i < this.length; i++) {
      const low = <u64>this.limbs[i + whole];
      const high = i + whole + 1 < old ? <u64>this.limbs[i + whole + 1] : 0;
      this.limbs[i] = <u32>((low | (high << 32)) >>> part);
    }
    this.trim();
    if (isHalf && (isMore || this.bit(0))) {
      if (this.length == 0) this.set(1);
      else this.multiplyAdd(1, 1);
    }
  }

  private bit(index: i32): bool {
    const limb = index >>> 5;
    return limb < this.length && ((this.limbs[limb] >>> (index & 31)) & 1) != 0;
  }

  /** Negative, zero or positive: this < other, this == other, this > other. */
  compare(other: BigInteger): i32 {
    if (this.length != other.length) return this.length - other.length;
    for (let i = this.length - 1; i >= 0; i--) {
      const a = this.limbs[i];
      const b = other.limbs[i];
      if (a != b) return a < b ? -1 : 1;
    }
    return 0;
  }

  /** this = this - other, which must not be greater than this */
  subtract(other: BigInteger): void {
    let borrow: i64 = 0;
    for (let i = 0; i < this.length; i++) {
      const difference = <i64>this.limbs[i] - (i < other.length ? <i64>other.limbs[i] : 0) + borrow;
      this.limbs[i] = <u32>difference;
      borrow = difference >> 32;
    }
    this.trim();
  }

  /**
   * Writes the decimal digits so that they end before `end`, at least one; this is zero afterwards.
   *
   * @returns the address of the first digit
   */
  writeDecimal(end: usize): usize {
    let p = end;
    do {
      let digits = this.divideByBillion();
      // All nine digits, but for the leading ones.
      for (let i = 0; i < 9 && (this.length > 0 || digits != 0 || p == end); i++) {
        store<u8>(--p, 0x30 + <u8>(digits % 10));
        digits /= 10;
      }
    } while (this.length > 0);
    return p;
  }

  /** this = this / 10^9; returns the remainder. */
  private divideByBillion(): u32 {
    let remainder: u64 = 0;
    for (let i = this.length - 1; i >= 0; i--) {
      const dividend = (remainder << 32) | this.limbs[i];
      this.limbs[i] = <u32>(dividend / BILLION);
      remainder = dividend % BILLION;
    }
    this.trim();
    return <u32>remainder;
  }

  private trim(): void {
    while (this.length > 0 && this.limbs[this.length - 1] == 0) this.length--;
  }
}

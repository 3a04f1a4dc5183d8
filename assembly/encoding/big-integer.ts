/**
 * Non-negative integers of up to 5,120 bits, for exact conversions of numbers (`number.ts`). Not for cryptography:
 * nothing here is constant time.
 */

/** Limbs of 32 bits. Conversions of doubles need less than 4,000 bits; `number.ts` bounds its exponents accordingly. */
const LIMBS: i32 = 160;
const BILLION: u32 = 1_000_000_000;
/** The largest power of five that is below 2^32, and its exponent. */
const POWER_OF_FIVE: u32 = 1_220_703_125;
const POWER_OF_FIVE_EXPONENT: i32 = 13;

export class BigInteger {
  /** Least significant first; limbs at `length` and above have no meaning. */
  private readonly limbs: StaticArray<u32> = new StaticArray<u32>(LIMBS);
  /** How many limbs are in use; the highest of them is not zero. */
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
      carry += <u64>unchecked(this.limbs[i]) * factor;
      unchecked((this.limbs[i] = <u32>carry));
      carry >>>= 32;
    }
    if (carry != 0) this.limbs[this.length++] = <u32>carry;
  }

  /** this = this * 5^power */
  multiplyPowerOfFive(power: i32): void {
    for (; power >= POWER_OF_FIVE_EXPONENT; power -= POWER_OF_FIVE_EXPONENT)
      this.multiplyAdd(POWER_OF_FIVE, 0);
    let factor: u32 = 1;
    for (; power > 0; power--) factor *= 5;
    this.multiplyAdd(factor, 0);
  }

  /** this = this * 2^count */
  shiftLeft(count: i32): void {
    if (this.length == 0 || count == 0) return;
    const whole = count >>> 5;
    const part = <u64>(count & 31);
    const old = this.length;
    this.length += whole + 1;
    this.limbs[old + whole] = 0;
    for (let i = old - 1; i >= 0; i--) {
      const shifted = (<u64>unchecked(this.limbs[i])) << part;
      unchecked((this.limbs[i + whole + 1] |= <u32>(shifted >>> 32)));
      unchecked((this.limbs[i + whole] = <u32>shifted));
    }
    for (let i = 0; i < whole; i++) unchecked((this.limbs[i] = 0));
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

  /** Negative, zero or positive: 2 * this < other, 2 * this == other, 2 * this > other. */
  compareDouble(other: BigInteger): i32 {
    this.shiftLeft(1);
    if (this.length != other.length) return this.length - other.length;
    for (let i = this.length - 1; i >= 0; i--) {
      const a = unchecked(this.limbs[i]);
      const b = unchecked(other.limbs[i]);
      if (a != b) return a < b ? -1 : 1;
    }
    return 0;
  }

  /**
   * Knuth's algorithm D (The Art of Computer Programming, volume 2, section 4.3.1) for a quotient of two limbs. Both
   * numbers are multiplied by the same power of two; this number becomes the remainder.
   *
   * @param divisor not zero
   * @returns floor(this / divisor), which must be less than 2^64
   */
  divide(divisor: BigInteger): u64 {
    const shift = <i32>clz(divisor.limbs[divisor.length - 1]);
    divisor.shiftLeft(shift);
    this.shiftLeft(shift);
    const length = divisor.length + 2;
    while (this.length < length) this.limbs[this.length++] = 0;
    const high = this.divideStep(divisor, 1);
    const low = this.divideStep(divisor, 0);
    this.trim();
    return (high << 32) | low;
  }

  /** One digit of the quotient: this = this - digit * divisor * 2^(32 * offset). The divisor's highest bit is set. */
  private divideStep(divisor: BigInteger, offset: i32): u64 {
    const count = divisor.length;
    const top = offset + count;
    const first = (<u64>this.limbs[top - 1]) | ((<u64>this.limbs[top]) << 32);
    const second = top >= 2 ? <u64>this.limbs[top - 2] : 0;
    const high = <u64>divisor.limbs[count - 1];
    const low = count >= 2 ? <u64>divisor.limbs[count - 2] : 0;
    // An estimate from two limbs of the divisor: the digit, or one more.
    let digit = first / high;
    let rest = first % high;
    while (rest >>> 32 == 0 && (digit >>> 32 != 0 || digit * low > ((rest << 32) | second))) {
      digit--;
      rest += high;
    }
    let carry: u64 = 0;
    let borrow: i64 = 0;
    for (let i = 0; i < count; i++) {
      carry += digit * unchecked(divisor.limbs[i]);
      borrow += <i64>unchecked(this.limbs[offset + i]) - <i64>(carry & 0xffff_ffff);
      unchecked((this.limbs[offset + i] = <u32>borrow));
      carry >>>= 32;
      borrow >>= 32;
    }
    borrow += <i64>this.limbs[top] - <i64>carry;
    this.limbs[top] = 0;
    if (borrow == 0) return digit;
    carry = 0;
    for (let i = 0; i < count; i++) {
      carry += <u64>unchecked(this.limbs[offset + i]) + unchecked(divisor.limbs[i]);
      unchecked((this.limbs[offset + i] = <u32>carry));
      carry >>>= 32;
    }
    return digit - 1;
  }

  /**
   * Writes the decimal digits, at least one, so that they end at `end`. This number becomes zero.
   *
   * @returns the address of the first digit
   */
  writeDecimal(end: usize): usize {
    let p = end;
    do {
      let digits = this.divideSmall(BILLION);
      // Writes all nine digits, except for leading zeros of the number.
      for (let i = 0; i < 9 && (this.length > 0 || digits != 0 || p == end); i++) {
        store<u8>(--p, 0x30 + <u8>(digits % 10));
        digits /= 10;
      }
    } while (this.length > 0);
    return p;
  }

  /** this = this / divisor; returns the remainder. */
  divideSmall(divisor: u32): u32 {
    let remainder: u64 = 0;
    for (let i = this.length - 1; i >= 0; i--) {
      const dividend = (remainder << 32) | unchecked(this.limbs[i]);
      unchecked((this.limbs[i] = <u32>(dividend / divisor)));
      remainder = dividend % divisor;
    }
    this.trim();
    return <u32>remainder;
  }

  /**
   * Stores the 64 highest bits at `target`, from the first that is set, then the 64 below them. The number must not be
   * zero.
   */
  storeLeading(target: usize): void {
    const top = this.length - 1;
    const part = clz(this.limbs[top]);
    for (let i = 0; i < 4; i++) {
      const limb = ((<u64>this.limbAt(top - i)) << 32) | this.limbAt(top - i - 1);
      store<u32>(target + <usize>((i ^ 1) << 2), <u32>((limb << part) >>> 32));
    }
  }

  private limbAt(index: i32): u32 {
    return index < 0 ? 0 : this.limbs[index];
  }

  private trim(): void {
    while (this.length > 0 && this.limbs[this.length - 1] == 0) this.length--;
  }
}

/**
 * Multiplication modulo odd numbers of hundreds to thousands of bits, after Montgomery ("Modular multiplication without
 * trial division", Mathematics of Computation 44, 1985). Used for RSA's public operation and to check that a point is
 * on its curve.
 *
 * WebAssembly has no product of 64 by 64 bits into 128, but its SIMD has `i32x4.dot_i16x8_s`: eight products of 16 by
 * 16 bits, added in pairs, in one instruction. So a number is an array of signed digits of 13 bits, kept in two forms:
 *
 * - packed, for the multiplier: digit k is the 16-bit integer k, so two neighbours form one 32-bit lane;
 * - paired, for the multiplicand: the 32-bit lane k has digit k in its lower and digit k - 1 in its upper half.
 *
 * Digits 2i and 2i + 1 of the first, repeated in every lane, times the lanes k - 2i to k - 2i + 3 of the second are
 * what this row contributes to the columns k to k + 3 of the product (column c is the sum of all a[i] · b[c - i]).
 *
 * With R = 2^(13 · digits), Montgomery's step computes T/R modulo n of a product T with two products of which only one
 * half is needed: q = T · (-1/n) modulo R, and T + q · n, which is a multiple of R, divided by R.
 *
 * Bounds, for the longest modulus (640 digits). Digits are at most D = 4600; digits read from bytes are at most 4097.
 * So a column of T + q·n is at most 640 · (D² + 4097 D) < 2^34.6. It is split into upper halves that count 2^34.6 /
 * 2^13 in the next column, and at most 14 lower halves below 2^16. A column of both is below 2^22, the carry out of it
 * is at most 2^22 / 2^13 = 512, and the remainder is at most 2^12: D is 4608 by these round numbers, and 4590 by exact
 * ones. 48 rows sum to at most 48 · 2 · D² < 2^31, 24 rows of doubled digits to at most 24 · 2 · 2 D² < 2^31.
 *
 * A number with such digits is at most D / 8191 · R < 0.57 R. R is at least 8 n. So from numbers of at most 1.5 n,
 * Montgomery's step makes one of at most (1.5² / 8 + 0.57) n < n.
 *
 * Not constant time, and need not be: it handles no secret.
 */
import { Slice, byteAt, lengthOf, pointerOf } from "../memory/slice";

/** The longest modulus, in bits. */
export const MAX_MODULUS_BITS: i32 = 8192;

const DIGIT_BITS: i32 = 13;
const DIGIT_MASK: i32 = (1 << DIGIT_BITS) - 1;
/** Eight digits are thirteen bytes, which are read and written together. */
const GROUP_DIGITS: usize = 8;
const GROUP_BYTES: usize = 13;
const FOUR_DIGITS_MASK: i64 = (1 << (4 * DIGIT_BITS)) - 1;
/** R has at least this many bits more than the modulus. */
const HEADROOM_BITS: i32 = 3;

/**
 * Columns are summed thirty-two at a time, in eight vectors: as many as the registers hold in addition to what one step needs.
 * Numbers have a multiple of sixteen digits. So the last block may extend half a block beyond a product, but not beyond
 * the memory for columns, because the longest number has a multiple of thirty-two.
 */
const BLOCK: i32 = 32;
const DIGITS_STEP: i32 = 16;
/** How many rows at a corner of a product reach only some of a block's vectors; see `sumRows`. */
const CORNER_ROWS: i32 = 8;
/**
 * How many rows (of two digits) are summed before the columns are carried: without and with doubled digits. Both are
 * multiples of eight; see `sumRows`.
 */
const ROWS_PER_SUM: i32 = 48;
const DOUBLED_ROWS_PER_SUM: i32 = 24;

const MAX_DIGITS: i32 = 640;

/** Zero lanes before and after a paired number, because blocks extend beyond its ends. */
const PADDING: i32 = 32;
/** The offsets of a number's paired and packed digits. */
const PAIRED: usize = 4 * 32;
const PACKED: usize = 4 * (640 + 2 * 32);
/** The size of a number in bytes, in both forms. */
export const NUMBER_SIZE: i32 = 4 * (640 + 2 * 32) + 2 * 640;

/**
 * Columns: the sums of the lower 16 bits, and from UPPER_HALVES on the sums of the upper ones. The upper sums of the
 * previous column are added in a column, because 2^16 times its digit is 2^3 times the next. One zero lane precedes all
 * columns.
 */
const UPPER_SHIFT: i32 = 16 - DIGIT_BITS;
const UPPER_HALVES: usize = 4 * 2 * 640 + 16;
const COLUMNS_SIZE: i32 = 2 * (4 * 2 * 640 + 16);

/** The columns of T and then T + q·n; of q. */
const PRODUCT: usize = memory.data(COLUMNS_SIZE, 16) + 16;
const QUOTIENT_PRODUCT: usize = memory.data(COLUMNS_SIZE, 16) + 16;
/**
 * Half a digit's range in each lane: carries are rounded to the nearest, so digits are signed. It is loaded, because V8
 * would make a constant vector again each time.
 */
const HALVES: usize = memory.data<i32>([1 << 12, 1 << 12, 1 << 12, 1 << 12], 16);
/** T modulo R; q. */
const REMAINDER: usize = memory.data(NUMBER_SIZE, 16);
const QUOTIENT: usize = memory.data(NUMBER_SIZE, 16);
/** Temporary numbers of `power`. */
const BASE: usize = memory.data(NUMBER_SIZE, 16);
const RESULT: usize = memory.data(NUMBER_SIZE, 16);

/**
 * An odd modulus with the constants for Montgomery's step. Numbers modulo it are addresses of `NUMBER_SIZE` bytes
 * (zeroed before their first use) and may be negative. Products keep Montgomery's form a·R of a.
 */
export class Modulus {
  /** The length in bits, and in bytes. */
  readonly bits: i32;
  readonly byteLength: i32;
  private readonly digits: i32;
  private readonly bytes: StaticArray<u8>;
  /** n, -1/n modulo R, and R² modulo n; paired, with padding. */
  private readonly n: StaticArray<u32>;
  private readonly negativeInverse: StaticArray<u32>;
  private readonly squareOfR: StaticArray<u32>;
  /** The packed digits of n, from the highest to the lowest, and zeros. */
  private readonly reversed: StaticArray<i16>;

  /** @param n odd, big-endian, without leading zero bytes, at most `MAX_MODULUS_BITS` long */
  constructor(n: Slice) {
    const length = lengthOf(n);
    const bits = 8 * length + 24 - clz<i32>(byteAt(n, 0));
    const digits = ((bits + HEADROOM_BITS - 1) / (DIGIT_BITS * DIGITS_STEP) + 1) * DIGITS_STEP;
    this.bits = bits;
    this.byteLength = length;
    this.digits = digits;
    this.bytes = new StaticArray<u8>(length);
    this.n = new StaticArray<u32>(digits + 2 * PADDING);
    this.negativeInverse = new StaticArray<u32>(digits + 2 * PADDING);
    this.squareOfR = new StaticArray<u32>(digits + 2 * PADDING);
    this.reversed = new StaticArray<i16>(digits + 8);
    memory.copy(changetype<usize>(this.bytes), pointerOf(n), <usize>length);
    readDigits(BASE, pointerOf(n), length, digits);
    keep(this.n, BASE);
    for (let i = 0; i < digits; i++) {
      this.reversed[digits - 1 - i] = load<i16>(BASE + PACKED + 2 * <usize>i);
    }
    this.invert(BASE);
    keep(this.negativeInverse, BASE);
    this.computeSquareOfR(BASE);
    keep(this.squareOfR, BASE);
  }

  /**
   * Reads a number, not in Montgomery's form.
   * @param bytes `byteLength` bytes, big-endian
   * @returns false, and reads nothing, if it is n or more
   */
  read(target: usize, bytes: usize): bool {
    if (memory.compare(bytes, changetype<usize>(this.bytes), <usize>this.byteLength) >= 0) return false;
    readDigits(target, bytes, this.byteLength, this.digits);
    return true;
  }

  /** Converts a number to Montgomery's form. */
  toMontgomery(target: usize, a: usize): void {
    multiplyColumns(a, pairedDigits(this.squareOfR), this.digits);
    this.reduce(target);
  }

  /** target = a · b / R. */
  multiply(target: usize, a: usize, b: usize): void {
    multiplyColumns(a, b + PAIRED, this.digits);
    this.reduce(target);
  }

  /** a = a² / R, in place: `squareColumns` overwrites the number. */
  square(a: usize): void {
    squareColumns(a, this.digits);
    this.reduce(a);
  }

  /** target = a - b. */
  subtract(target: usize, a: usize, b: usize): void {
    for (let k: usize = 0; k < <usize>this.digits; k++) {
      store<i32>(PRODUCT + 4 * k, <i32>load<i16>(a + PACKED + 2 * k) - <i32>load<i16>(b + PACKED + 2 * k));
      store<i32>(PRODUCT + 4 * k, 0, UPPER_HALVES);
    }
    carryColumns(target, PRODUCT, this.digits, true);
  }

  /**
   * Writes the number from 0 to n - 1 that is congruent to `a`, which is greater than -n and less than n.
   * @param bytes receives `byteLength` bytes, big-endian
   */
  write(bytes: usize, a: usize): void {
    const packed = a + PACKED;
    // The highest nonzero digit has the number's sign, because all lower digits together are worth less than one of it.
    let highest = packed + 2 * <usize>this.digits - 2;
    while (highest > packed && load<i16>(highest) == 0) highest -= 2;
    const factor = load<i16>(highest) < 0 ? 1 : 0;
    const n = pairedDigits(this.n);
    let at = bytes + <usize>this.byteLength;
    let k: usize = 0;
    let carry: i64 = 0;
    for (; at >= bytes + GROUP_BYTES; k += GROUP_DIGITS) {
      const lower = carry + fourDigits(packed, n, k, factor);
      const upper = (lower >> (4 * DIGIT_BITS)) + fourDigits(packed, n, k + 4, factor);
      carry = upper >> (4 * DIGIT_BITS);
      at -= GROUP_BYTES;
      store<u64>(at, bswap<u64>(upper << 12));
      store<u64>(at, bswap<u64>((upper << (4 * DIGIT_BITS)) | (lower & FOUR_DIGITS_MASK)), GROUP_BYTES - 8);
    }
    // The rest is shorter than a group.
    let count = 0;
    for (; at > bytes; k++) {
      carry += (<i64>digit(packed, n, k, factor)) << count;
      for (count += DIGIT_BITS; count >= 8 && at > bytes; count -= 8) {
        store<u8>(--at, <u8>carry);
        carry >>= 8;
      }
    }
  }

  /**
   * Writes base^exponent modulo n.
   * @param base `byteLength` bytes, big-endian
   * @param exponent 2^i + 1, i > 0: the form of 3 and of 65537
   * @param target receives `byteLength` bytes
   * @returns false if the base is n or more
   */
  power(base: usize, exponent: u32, target: usize): bool {
    if (!this.read(BASE, base)) return false;
    this.toMontgomery(RESULT, BASE);
    for (let rest = exponent; rest > 1; rest >>= 1) this.square(RESULT);
    // A factor that is not in Montgomery's form converts the product back.
    this.multiply(RESULT, RESULT, BASE);
    this.write(target, RESULT);
    return true;
  }

  /** Montgomery's step: target = the number in PRODUCT / R modulo n. */
  private reduce(target: usize): void {
    const digits = this.digits;
    carryColumns(REMAINDER, PRODUCT, digits, false);
    const inverse = pairedDigits(this.negativeInverse);
    for (let column = 0; column < digits; column += BLOCK) {
      const to = min(column + BLOCK, digits) >> 1;
      const hasEnd = column + BLOCK <= digits;
      sumRows(QUOTIENT_PRODUCT, column, REMAINDER, inverse, 0, to, ROWS_PER_SUM, true, false, hasEnd);
    }
    carryColumns(QUOTIENT, QUOTIENT_PRODUCT, digits, false);
    const n = pairedDigits(this.n);
    for (let column = digits; column < 2 * digits; column += BLOCK) {
      const from = (column - digits) >> 1;
      sumRows(PRODUCT, column, QUOTIENT, n, from, digits >> 1, ROWS_PER_SUM, false, true, false);
    }
    const upper = PRODUCT + 4 * <usize>digits;
    store<i32>(upper, load<i32>(upper) + this.carryIntoUpperHalf());
    carryColumns(target, upper, digits, true);
  }

  /**
   * The lower half of T + q·n is a multiple of R. Its two highest columns determine which one: all others together are
   * less than 2^34 · 2^(13 · (digits - 3)) · 2 = R / 16, so rounding to the nearest is exact.
   */
  private carryIntoUpperHalf(): i32 {
    const digits = this.digits;
    const reversed = changetype<usize>(this.reversed);
    const size: usize = 2 * <usize>digits;
    let highest = i64x2.splat(0);
    let second = i64x2.splat(0);
    for (let i: usize = 0; i < size;) {
      let a = i32x4.splat(0);
      let b = i32x4.splat(0);
      for (const end = min<usize>(size, i + 16 * ROWS_PER_SUM); i < end; i += 16) {
        const q = v128.load(QUOTIENT + PACKED + i);
        a = i32x4.add(a, i32x4.dot_i16x8_s(q, v128.load(reversed + i)));
        b = i32x4.add(b, i32x4.dot_i16x8_s(q, v128.load(reversed + i, 2)));
      }
      highest = i64x2.add(highest, i64x2.add(i64x2.extend_low_i32x4_s(a), i64x2.extend_high_i32x4_s(a)));
      second = i64x2.add(second, i64x2.add(i64x2.extend_low_i32x4_s(b), i64x2.extend_high_i32x4_s(b)));
    }
    const upper = PRODUCT + 4 * <usize>digits;
    const highestColumn =
      <i64>columnAt(upper - 4) + i64x2.extract_lane(highest, 0) + i64x2.extract_lane(highest, 1);
    const secondColumn =
      <i64>columnAt(upper - 8) + i64x2.extract_lane(second, 0) + i64x2.extract_lane(second, 1);
    const sum = (highestColumn << DIGIT_BITS) + secondColumn;
    return <i32>((sum + (1 << (2 * DIGIT_BITS - 1))) >> (2 * DIGIT_BITS));
  }

  /**
   * target = -1/n modulo R, by Newton's iteration y ← y·(2 + n·y), which doubles the number of correct digits each
   * time.
   */
  private invert(target: usize): void {
    const digits = this.digits;
    const n = pairedDigits(this.n);
    const lowest = load<i16>(n);
    let y: i32 = 1;
    for (let i = 0; i < 4; i++) y *= 2 + lowest * y;
    clearColumns(digits);
    store<i32>(PRODUCT, y & DIGIT_MASK);
    carryColumns(target, PRODUCT, digits, true);
    for (let right = 1; right < digits; right <<= 1) {
      multiplyColumns(target, n, digits);
      store<i32>(PRODUCT, load<i32>(PRODUCT) + 2);
      carryColumns(REMAINDER, PRODUCT, digits, true);
      multiplyColumns(target, REMAINDER + PAIRED, digits);
      carryColumns(target, PRODUCT, digits, true);
    }
  }

  /**
   * target = R² modulo n. 2^(bits - 1), which is less than n, is doubled until it is 2^(13 · digits / 16) · R. Squaring
   * that four times, in Montgomery's form, gives R · R.
   */
  private computeSquareOfR(target: usize): void {
    const digits = this.digits;
    const n = pairedDigits(this.n);
    const top = PRODUCT + 4 * <usize>(digits - 1);
    const highest = this.bits - 1;
    const goal = DIGIT_BITS * digits + (DIGIT_BITS * digits) / 16;
    clearColumns(digits);
    store<i32>(PRODUCT + 4 * <usize>(highest / DIGIT_BITS), 1 << (highest % DIGIT_BITS));
    for (let power = highest; power < goal; power++) {
      // The number, from -n to n, is doubled; adding or subtracting n brings it back into that range.
      const factor = load<i32>(top) < 0 ? 1 : -1;
      let carry = 0;
      for (let k: usize = 0; k < <usize>digits; k++) {
        carry += 2 * load<i32>(PRODUCT + 4 * k) + factor * load<i16>(n + 4 * k);
        store<i32>(PRODUCT + 4 * k, carry & DIGIT_MASK);
        carry >>= DIGIT_BITS;
      }
      store<i32>(top, load<i32>(top) + (carry << DIGIT_BITS));
    }
    carryColumns(target, PRODUCT, digits, true);
    for (let i = 0; i < 4; i++) this.square(target);
  }
}

/** The address of the paired digits of a kept number. */
// @ts-ignore: decorator
@inline
function pairedDigits(kept: StaticArray<u32>): usize {
  return changetype<usize>(kept) + PAIRED;
}

/** Copies a number's paired digits, with their padding. */
function keep(target: StaticArray<u32>, number: usize): void {
  memory.copy(changetype<usize>(target), number, 4 * <usize>target.length);
}

/** Splits the number in `length` bytes, big-endian, into digits. */
function readDigits(target: usize, bytes: usize, length: i32, digits: i32): void {
  clearColumns(digits);
  let column = PRODUCT;
  let at = bytes + <usize>length;
  for (; at >= bytes + GROUP_BYTES; column += 4 * GROUP_DIGITS) {
    at -= GROUP_BYTES;
    const lower = bswap<u64>(load<u64>(at, GROUP_BYTES - 8));
    const upper = bswap<u64>(load<u64>(at)) >> 12;
    putFourDigits(column, lower);
    putFourDigits(column + 16, upper);
  }
  // The rest is shorter than a group.
  let bits: u32 = 0;
  let count = 0;
  while (at > bytes) {
    bits |= (<u32>load<u8>(--at)) << count;
    count += 8;
    if (count >= DIGIT_BITS) {
      store<i32>(column, bits & DIGIT_MASK);
      column += 4;
      bits >>= DIGIT_BITS;
      count -= DIGIT_BITS;
    }
  }
  store<i32>(column, bits);
  carryColumns(target, PRODUCT, digits, true);
}

/** Stores the lowest four digits of `bits` in the columns from `column` on. */
// @ts-ignore: decorator
@inline
function putFourDigits(column: usize, bits: u64): void {
  store<i32>(column, (<i32>bits) & DIGIT_MASK);
  store<i32>(column, (<i32>(bits >> DIGIT_BITS)) & DIGIT_MASK, 4);
  store<i32>(column, (<i32>(bits >> (2 * DIGIT_BITS))) & DIGIT_MASK, 8);
  store<i32>(column, (<i32>(bits >> (3 * DIGIT_BITS))) & DIGIT_MASK, 12);
}

/** Digit k of a number plus `factor` times that of n. */
// @ts-ignore: decorator
@inline
function digit(packed: usize, n: usize, k: usize, factor: i32): i32 {
  return load<i16>(packed + 2 * k) + factor * load<i16>(n + 4 * k);
}

/** The value of the four digits from k on. */
// @ts-ignore: decorator
@inline
function fourDigits(packed: usize, n: usize, k: usize, factor: i32): i64 {
  const lower = <i64>digit(packed, n, k, factor) + ((<i64>digit(packed, n, k + 1, factor)) << DIGIT_BITS);
  const upper = <i64>digit(packed, n, k + 2, factor) + ((<i64>digit(packed, n, k + 3, factor)) << DIGIT_BITS);
  return lower + (upper << (2 * DIGIT_BITS));
}

/** Sets the lower half of PRODUCT to zero. */
function clearColumns(digits: i32): void {
  memory.fill(PRODUCT, 0, 4 * <usize>digits);
  memory.fill(PRODUCT + UPPER_HALVES, 0, 4 * <usize>digits);
}

/** The value of the column at an address. */
// @ts-ignore: decorator
@inline
function columnAt(column: usize): i32 {
  return load<i32>(column) + (load<i32>(column - 4, UPPER_HALVES) << UPPER_SHIFT);
}

/**
 * Makes the digits of `target` from as many columns: the second carry. The carry out of the last one is dropped (modulo
 * R).
 * @param paired whether the paired form is needed
 */
function carryColumns(target: usize, columns: usize, digits: i32, paired: bool): void {
  const half = v128.load(HALVES);
  const zero = i32x4.splat(0);
  let carry0 = zero;
  let digits0 = zero;
  let lanes = target + PAIRED;
  let packed = target + PACKED;
  for (const end = columns + 4 * <usize>digits; columns < end; columns += 32) {
    const upper1 = i32x4.shl(v128.load(columns - 4, UPPER_HALVES), UPPER_SHIFT);
    const sum1 = i32x4.add(v128.load(columns), upper1);
    const carry1 = i32x4.shr_s(i32x4.add(sum1, half), DIGIT_BITS);
    const rest1 = i32x4.sub(sum1, i32x4.shl(carry1, DIGIT_BITS));
    const upper2 = i32x4.shl(v128.load(columns - 4, UPPER_HALVES + 16), UPPER_SHIFT);
    const sum2 = i32x4.add(v128.load(columns, 16), upper2);
    const carry2 = i32x4.shr_s(i32x4.add(sum2, half), DIGIT_BITS);
    const rest2 = i32x4.sub(sum2, i32x4.shl(carry2, DIGIT_BITS));
    const digits1 = i16x8.narrow_i32x4_s(
      i32x4.add(rest1, lanesBefore(carry0, carry1)),
      i32x4.add(rest2, lanesBefore(carry1, carry2)),
    );
    v128.store(packed, digits1);
    packed += 16;
    if (paired) {
      storePairs(lanes, digits0, digits1);
      lanes += 32;
    }
    carry0 = carry2;
    digits0 = digits1;
  }
  if (paired) {
    // The last digit is also the upper half of the next lane. Zeros follow, to overwrite a longer number.
    storePairs(lanes, digits0, zero);
    for (let i: usize = 32; i < 4 * PADDING; i += 16) v128.store(lanes + i, zero);
  }
}

/** Stores the paired form of the eight digits in `digits`, which follow those in `before`. */
// @ts-ignore: decorator
@inline
function storePairs(lanes: usize, before: v128, digits: v128): void {
  const preceding = v128.shuffle<i16>(before, digits, 7, 8, 9, 10, 11, 12, 13, 14);
  v128.store(lanes, v128.shuffle<i16>(digits, preceding, 0, 8, 1, 9, 2, 10, 3, 11));
  v128.store(lanes, v128.shuffle<i16>(digits, preceding, 4, 12, 5, 13, 6, 14, 7, 15), 16);
}

/** The four lanes before those of `current`, taken from `previous` and `current`. */
// @ts-ignore: decorator
@inline
function lanesBefore(previous: v128, current: v128): v128 {
  return v128.shuffle<i32>(previous, current, 3, 4, 5, 6);
}

/** PRODUCT = a · b, all columns. */
function multiplyColumns(a: usize, b: usize, digits: i32): void {
  for (let column = 0; column < 2 * digits; column += BLOCK) {
    const from = max(column - digits, 0) >> 1;
    const to = min(column + BLOCK, digits) >> 1;
    sumRows(PRODUCT, column, a, b, from, to, ROWS_PER_SUM, true, column >= digits, column + BLOCK <= digits);
  }
}

/**
 * PRODUCT = a², all columns. a[i]·a[j] and a[j]·a[i] are one product, counted twice. Let u be half a block's first
 * column. The rows below u meet only lanes above u. The rows from u on meet lanes on both sides, but their products
 * with lanes below u have been counted. So the digits below u are doubled and the lanes below u are zero, sixteen more
 * of both with each block. `a` is overwritten.
 */
function squareColumns(a: usize, digits: i32): void {
  let doubled = a + PACKED;
  let lane = a + PAIRED;
  for (let column = 0; column < 2 * digits; column += BLOCK) {
    if (column > 0) {
      v128.store(doubled, i16x8.shl(v128.load(doubled), 1));
      v128.store(doubled, i16x8.shl(v128.load(doubled, 16), 1), 16);
      v128.store(lane, i32x4.splat(0));
      v128.store(lane, i32x4.splat(0), 16);
      v128.store(lane, i32x4.splat(0), 32);
      v128.store(lane, i32x4.splat(0), 48);
      doubled += 32;
      lane += 64;
    }
    // Lane u keeps its own digit, not the one before.
    store<u16>(lane, 0, 2);
    const from = max(column - digits, 0) >> 1;
    const to = min((column >> 1) + BLOCK, digits) >> 1;
    const hasEnd = (column >> 1) + BLOCK <= digits;
    sumRows(PRODUCT, column, a, a + PAIRED, from, to, DOUBLED_ROWS_PER_SUM, true, column >= digits, hasEnd);
  }
}

/**
 * Sums thirty-two columns.
 *
 * Row r after the first of a product's upper half reaches only the columns up to 2r of its block, because the lanes end
 * there. Row r of the last sixteen of a block in the lower half reaches only the columns from 2r on, because the lanes
 * begin there. Eight rows at each of these corners are summed without the vectors that they do not reach.
 *
 * @param columns their address
 * @param column the first of them, a multiple of 16
 * @param a the number whose rows (pairs of packed digits) `from` to `to` - 1, both multiples of 8, are used
 * @param b the paired digits that they are multiplied with
 * @param limit how many rows are summed before the columns are carried
 * @param fresh whether to overwrite the columns instead of adding to them
 * @param hasStart whether the first row reaches only the first column; if so, there are at least `CORNER_ROWS`
 * @param hasEnd whether the last row reaches only the last two columns; if so, there are sixteen rows that are not
 *     also at the start
 */
function sumRows(
  columns: usize,
  column: i32,
  a: usize,
  b: usize,
  from: i32,
  to: i32,
  limit: i32,
  fresh: bool,
  hasStart: bool,
  hasEnd: bool,
): void {
  const target = columns + 4 * <usize>column;
  const packed = a + PACKED;
  let sum0 = i32x4.splat(0);
  let sum1 = sum0;
  let sum2 = sum0;
  let sum3 = sum0;
  let sum4 = sum0;
  let sum5 = sum0;
  let sum6 = sum0;
  let sum7 = sum0;
  let row = from;
  let rest = limit;
  if (hasStart) {
    const digits = packed + 4 * <usize>row;
    const lanes = lanesOf(b, column, row + CORNER_ROWS - 1);
    const row0 = v128.load_splat<u32>(digits);
    const row1 = v128.load_splat<u32>(digits, 4);
    const row2 = v128.load_splat<u32>(digits, 8);
    const row3 = v128.load_splat<u32>(digits, 12);
    const row4 = v128.load_splat<u32>(digits, 16);
    const row5 = v128.load_splat<u32>(digits, 20);
    const row6 = v128.load_splat<u32>(digits, 24);
    const row7 = v128.load_splat<u32>(digits, 28);
    const lanes0 = v128.load(lanes, 56);
    const lanes1 = v128.load(lanes, 48);
    const lanes2 = v128.load(lanes, 40);
    const lanes3 = v128.load(lanes, 32);
    const lanes4 = v128.load(lanes, 24);
    const lanes5 = v128.load(lanes, 16);
    const lanes6 = v128.load(lanes, 8);
    const lanes7 = v128.load(lanes);
    sum0 = twoProducts(row0, lanes0, row1, lanes1);
    sum0 = i32x4.add(sum0, twoProducts(row2, lanes2, row3, lanes3));
    sum0 = i32x4.add(sum0, twoProducts(row4, lanes4, row5, lanes5));
    sum0 = i32x4.add(sum0, twoProducts(row6, lanes6, row7, lanes7));
    sum1 = twoProducts(row2, lanes0, row3, lanes1);
    sum1 = i32x4.add(sum1, twoProducts(row4, lanes2, row5, lanes3));
    sum1 = i32x4.add(sum1, twoProducts(row6, lanes4, row7, lanes5));
    sum2 = twoProducts(row4, lanes0, row5, lanes1);
    sum2 = i32x4.add(sum2, twoProducts(row6, lanes2, row7, lanes3));
    sum3 = twoProducts(row6, lanes0, row7, lanes1);
    row += CORNER_ROWS;
    rest -= CORNER_ROWS;
  }
  while (true) {
    const isLast = to - row <= rest;
    const loopEnd = isLast ? (hasEnd ? to - CORNER_ROWS : to) : row + rest;
    const end = packed + 4 * <usize>loopEnd;
    let digits = packed + 4 * <usize>row;
    let lanes = lanesOf(b, column, row + 3);
    for (; digits < end; digits += 16) {
      // The lanes of a row are those of the second row after it, moved by one vector, so both rows use each vector.
      // Their products are added before they go to the sum, so the sum is ready earlier for the next rows.
      const row0 = v128.load_splat<u32>(digits);
      const row2 = v128.load_splat<u32>(digits, 8);
      const even0 = v128.load(lanes, 8);
      const even1 = v128.load(lanes, 24);
      sum0 = i32x4.add(sum0, twoProducts(row0, even1, row2, even0));
      const even2 = v128.load(lanes, 40);
      sum1 = i32x4.add(sum1, twoProducts(row0, even2, row2, even1));
      const even3 = v128.load(lanes, 56);
      sum2 = i32x4.add(sum2, twoProducts(row0, even3, row2, even2));
      const even4 = v128.load(lanes, 72);
      sum3 = i32x4.add(sum3, twoProducts(row0, even4, row2, even3));
      const even5 = v128.load(lanes, 88);
      sum4 = i32x4.add(sum4, twoProducts(row0, even5, row2, even4));
      const even6 = v128.load(lanes, 104);
      sum5 = i32x4.add(sum5, twoProducts(row0, even6, row2, even5));
      const even7 = v128.load(lanes, 120);
      sum6 = i32x4.add(sum6, twoProducts(row0, even7, row2, even6));
      const even8 = v128.load(lanes, 136);
      sum7 = i32x4.add(sum7, twoProducts(row0, even8, row2, even7));
      const row1 = v128.load_splat<u32>(digits, 4);
      const row3 = v128.load_splat<u32>(digits, 12);
      const odd0 = v128.load(lanes);
      const odd1 = v128.load(lanes, 16);
      sum0 = i32x4.add(sum0, twoProducts(row1, odd1, row3, odd0));
      const odd2 = v128.load(lanes, 32);
      sum1 = i32x4.add(sum1, twoProducts(row1, odd2, row3, odd1));
      const odd3 = v128.load(lanes, 48);
      sum2 = i32x4.add(sum2, twoProducts(row1, odd3, row3, odd2));
      const odd4 = v128.load(lanes, 64);
      sum3 = i32x4.add(sum3, twoProducts(row1, odd4, row3, odd3));
      const odd5 = v128.load(lanes, 80);
      sum4 = i32x4.add(sum4, twoProducts(row1, odd5, row3, odd4));
      const odd6 = v128.load(lanes, 96);
      sum5 = i32x4.add(sum5, twoProducts(row1, odd6, row3, odd5));
      const odd7 = v128.load(lanes, 112);
      sum6 = i32x4.add(sum6, twoProducts(row1, odd7, row3, odd6));
      const odd8 = v128.load(lanes, 128);
      sum7 = i32x4.add(sum7, twoProducts(row1, odd8, row3, odd7));
      lanes -= 32;
    }
    if (isLast && hasEnd) {
      lanes -= 32;
      const row0 = v128.load_splat<u32>(digits);
      const row1 = v128.load_splat<u32>(digits, 4);
      const row2 = v128.load_splat<u32>(digits, 8);
      const row3 = v128.load_splat<u32>(digits, 12);
      const row4 = v128.load_splat<u32>(digits, 16);
      const row5 = v128.load_splat<u32>(digits, 20);
      const row6 = v128.load_splat<u32>(digits, 24);
      const row7 = v128.load_splat<u32>(digits, 28);
      const lanes0 = v128.load(lanes, 168);
      const lanes1 = v128.load(lanes, 160);
      const lanes2 = v128.load(lanes, 152);
      const lanes3 = v128.load(lanes, 144);
      const lanes4 = v128.load(lanes, 136);
      const lanes5 = v128.load(lanes, 128);
      const lanes6 = v128.load(lanes, 120);
      const lanes7 = v128.load(lanes, 112);
      sum4 = i32x4.add(sum4, twoProducts(row0, lanes6, row1, lanes7));
      sum5 = i32x4.add(sum5, twoProducts(row0, lanes4, row1, lanes5));
      sum5 = i32x4.add(sum5, twoProducts(row2, lanes6, row3, lanes7));
      sum6 = i32x4.add(sum6, twoProducts(row0, lanes2, row1, lanes3));
      sum6 = i32x4.add(sum6, twoProducts(row2, lanes4, row3, lanes5));
      sum6 = i32x4.add(sum6, twoProducts(row4, lanes6, row5, lanes7));
      sum7 = i32x4.add(sum7, twoProducts(row0, lanes0, row1, lanes1));
      sum7 = i32x4.add(sum7, twoProducts(row2, lanes2, row3, lanes3));
      sum7 = i32x4.add(sum7, twoProducts(row4, lanes4, row5, lanes5));
      sum7 = i32x4.add(sum7, twoProducts(row6, lanes6, row7, lanes7));
    }
    if (fresh) {
      storeSums(target, sum0);
      storeSums(target + 16, sum1);
      storeSums(target + 32, sum2);
      storeSums(target + 48, sum3);
      storeSums(target + 64, sum4);
      storeSums(target + 80, sum5);
      storeSums(target + 96, sum6);
      storeSums(target + 112, sum7);
    } else {
      addSums(target, sum0);
      addSums(target + 16, sum1);
      addSums(target + 32, sum2);
      addSums(target + 48, sum3);
      addSums(target + 64, sum4);
      addSums(target + 80, sum5);
      addSums(target + 96, sum6);
      addSums(target + 112, sum7);
    }
    if (isLast) return;
    fresh = false;
    row = loopEnd;
    rest = limit;
    sum0 = i32x4.splat(0);
    sum1 = sum0;
    sum2 = sum0;
    sum3 = sum0;
    sum4 = sum0;
    sum5 = sum0;
    sum6 = sum0;
    sum7 = sum0;
  }
}

/** The address of the lanes of `row` that contribute to the columns from `column` on. Those of row - 1 are 8 bytes later. */
// @ts-ignore: decorator
@inline
function lanesOf(b: usize, column: i32, row: i32): usize {
  return b + 4 * <usize>(column - 2 * row);
}

/** What two rows contribute to four columns. */
// @ts-ignore: decorator
@inline
function twoProducts(a: v128, aLanes: v128, b: v128, bLanes: v128): v128 {
  return i32x4.add(i32x4.dot_i16x8_s(a, aLanes), i32x4.dot_i16x8_s(b, bLanes));
}

/** Splits sums into halves and stores them in four columns. */
// @ts-ignore: decorator
@inline
function storeSums(columns: usize, sums: v128): void {
  const upper = i32x4.shr_s(sums, 16);
  v128.store(columns, i32x4.sub(sums, i32x4.shl(upper, 16)));
  v128.store(columns, upper, UPPER_HALVES);
}

/** Splits sums into halves and adds them to four columns. */
// @ts-ignore: decorator
@inline
function addSums(columns: usize, sums: v128): void {
  const upper = i32x4.shr_s(sums, 16);
  const lower = i32x4.sub(sums, i32x4.shl(upper, 16));
  v128.store(columns, i32x4.add(v128.load(columns), lower));
  v128.store(columns, i32x4.add(v128.load(columns, UPPER_HALVES), upper), UPPER_HALVES);
}

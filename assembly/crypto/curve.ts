/**
 * Points of the NIST curves (SP 800-186 §3.2.1): y² = x³ - 3x + b over a prime field, with a base point of prime order
 * n and cofactor 1.
 *
 * A sum of multiples is computed from tables. Row i of a point's table holds the multiples 1 to 16 of 2^(5 · stride ·
 * i) times the point. A scalar, written in signed digits of five bits, is then a sum of table entries, with five
 * doublings for each digit of the stride. The base point and often-used points have tables with a stride of four, which
 * need fifteen doublings; any other point gets one row and needs all doublings.
 *
 * Points are in Jacobian coordinates, x = X/Z² and y = Y/Z³; points in tables are affine. The formulas for sums have
 * exceptions (equal points, opposite points, the point at infinity); each is detected and handled.
 *
 * Not constant time: it handles only public keys and signatures.
 */
import { invertModulo } from "./inverse";
import { KeyTables } from "./key-tables";
import { PrimeField, readLimbs, writeLimbs } from "./prime-field";

const DIGIT_BITS: i32 = 5;
/** Multiples of a point in a row. */
const MULTIPLES: i32 = 16;
/** How many digits one row of a large table serves. */
const STRIDE: i32 = 4;
/** How many large tables a curve keeps for often-used points. */
const TABLES: i32 = 8;

/** The running sum. */
const X: usize = memory.data(80, 16);
const Y: usize = memory.data(80, 16);
const Z: usize = memory.data(80, 16);
let isInfinity: bool = true;

/** Temporary elements of a formula. */
const A: usize = memory.data(80, 16);
const B: usize = memory.data(80, 16);
const C: usize = memory.data(80, 16);
const H: usize = memory.data(80, 16);
const R: usize = memory.data(80, 16);
const NEGATED: usize = memory.data(80, 16);

/** A row before its points are affine: the multiples 2 to 16, and the next row's first. */
const JACOBIAN: usize = memory.data(16 * 3 * 80, 16);
const PREFIXES: usize = memory.data(16 * 80, 16);
const INVERSE: usize = memory.data(80, 16);

const BYTES: usize = memory.data(66, 16);
const LIMBS: usize = memory.data(4 * 18, 16);
const LIMB_BITS: i32 = 30;

/** Digits of two scalars, the lowest first, padded with zeros beyond the longest scalar. */
const MAX_DIGITS: i32 = 112;
const DIGITS_OF_BASE: usize = memory.data(112, 16);
const DIGITS_OF_POINT: usize = memory.data(112, 16);

/** The multiples of a point without a large table. */
const SMALL_TABLE: usize = memory.data(16 * 2 * 80, 16);

export class PrimeCurve {
  /** The length of a coordinate and of a scalar, in bytes. */
  readonly length: i32;
  private readonly b: StaticArray<u8>;
  /** p and n in limbs of 30 bits. */
  private readonly pLimbs: StaticArray<u8>;
  private readonly nLimbs: StaticArray<u8>;
  private readonly limbs: i32;
  /** The number of rows of a large table, and the size of a point in it, in bytes. */
  private readonly rows: i32;
  private readonly pointSize: usize;
  private baseTable: StaticArray<u8> = [];
  private readonly tables: KeyTables;

  /**
   * All numbers are big-endian and of the same length.
   * @param p the field's prime
   * @param n the order of the base point, less than p
   * @param base x and y of the base point
   */
  constructor(
    private readonly field: PrimeField,
    private readonly p: StaticArray<u8>,
    b: StaticArray<u8>,
    readonly n: StaticArray<u8>,
    private readonly base: StaticArray<u8>,
  ) {
    const length = p.length;
    // The limbs must hold 26 n; see `invertModulo`.
    const limbs = (8 * length + 5) / LIMB_BITS + 1;
    const pLimbs = new StaticArray<u8>(4 * limbs);
    const nLimbs = new StaticArray<u8>(4 * limbs);
    const ownB = new StaticArray<u8>(<i32>field.size);
    readLimbs(changetype<usize>(pLimbs), limbs, LIMB_BITS, changetype<usize>(p), length);
    readLimbs(changetype<usize>(nLimbs), limbs, LIMB_BITS, changetype<usize>(n), length);
    field.read(changetype<usize>(ownB), changetype<usize>(b));
    this.length = length;
    this.limbs = limbs;
    this.pLimbs = pLimbs;
    this.nLimbs = nLimbs;
    this.b = ownB;
    const rows = (8 * length) / (DIGIT_BITS * STRIDE) + 1;
    const pointSize: usize = 2 * field.size;
    this.rows = rows;
    this.pointSize = pointSize;
    this.tables = new KeyTables(<i32>pointSize, rows * MULTIPLES * <i32>pointSize);
  }

  /** The size in bytes of a point that `readPoint` writes. */
  get sizeOfPoint(): i32 {
    return <i32>this.pointSize;
  }

  /**
   * @param target where the point's two elements are written
   * @param bytes x and y, of `length` bytes each
   * @returns false unless both are less than p and satisfy the curve's equation
   */
  readPoint(target: usize, bytes: usize): bool {
    const field = this.field;
    const length = <usize>this.length;
    const p = changetype<usize>(this.p);
    if (memory.compare(bytes, p, length) >= 0 || memory.compare(bytes + length, p, length) >= 0) return false;
    const x = target;
    const y = target + field.size;
    field.read(x, bytes);
    field.read(y, bytes + length);
    // x³ - 3x + b - y²
    field.square(A, x);
    field.multiply(A, A, x);
    field.subtract(A, A, x);
    field.subtract(A, A, x);
    field.subtract(A, A, x);
    field.carry(A);
    field.add(A, A, changetype<usize>(this.b));
    field.square(B, y);
    field.subtract(A, A, B);
    return field.isZero(A);
  }

  /**
   * Allocates tables and fills the base point's. Runs while a configuration is loaded, because the memory is never
   * freed.
   */
  prepare(): void {
    if (this.baseTable.length > 0) return;
    for (let i = 0; i < TABLES; i++) this.tables.add(TABLES);
    const baseTable = new StaticArray<u8>(this.rows * MULTIPLES * <i32>this.pointSize);
    this.readPoint(changetype<usize>(baseTable), changetype<usize>(this.base));
    this.fillTable(changetype<usize>(baseTable), this.rows);
    this.baseTable = baseTable;
  }

  /**
   * Whether the x of u · base + v · point is r modulo n: the last step of ECDSA. False at infinity.
   * @param u big-endian, `length` bytes, less than n; v and r likewise; r is not 0
   * @param point as `readPoint` writes it
   * @param mayKeep whether the point is likely to be used again, so that a table for it pays off
   */
  hasSum(u: usize, v: usize, point: usize, mayKeep: bool, r: usize): bool {
    const table = this.tableOf(point, mayKeep);
    recode(DIGITS_OF_BASE, u, this.length);
    recode(DIGITS_OF_POINT, v, this.length);
    isInfinity = true;
    if (table != 0) {
      for (let digit = STRIDE - 1; digit >= 0; digit--) {
        if (digit < STRIDE - 1) this.doubleDigit();
        this.addRows(table, DIGITS_OF_POINT, digit, this.rows);
        this.addRows(changetype<usize>(this.baseTable), DIGITS_OF_BASE, digit, this.rows);
      }
    } else {
      memory.copy(SMALL_TABLE, point, this.pointSize);
      this.fillTable(SMALL_TABLE, 1);
      isInfinity = true;
      for (let digit = STRIDE * this.rows - 1; digit >= 0; digit--) {
        this.doubleDigit();
        this.addDigit(SMALL_TABLE, load<i8>(DIGITS_OF_POINT + <usize>digit));
        if (digit < STRIDE) this.addRows(changetype<usize>(this.baseTable), DIGITS_OF_BASE, digit, this.rows);
      }
    }
    return !isInfinity && (this.hasX(r) || (this.addOrder(r) && this.hasX(BYTES)));
  }

  /** Writes 1 / a modulo n, for a from 1 to n - 1. Both are big-endian, `length` bytes. */
  invertScalar(target: usize, a: usize): void {
    this.invert(target, a, changetype<usize>(this.nLimbs));
  }

  private invert(target: usize, a: usize, modulus: usize): void {
    readLimbs(LIMBS, this.limbs, LIMB_BITS, a, this.length);
    invertModulo(LIMBS, LIMBS, modulus, this.limbs);
    writeLimbs(target, this.length, LIMBS, this.limbs, LIMB_BITS);
  }

  /** Whether the running sum's x is the number at `bytes`, which is less than p. */
  private hasX(bytes: usize): bool {
    const field = this.field;
    field.read(A, bytes);
    field.square(B, Z);
    field.multiply(A, A, B);
    field.subtract(A, X, A);
    return field.isZero(A);
  }

  /** Writes r + n to BYTES. @returns whether it is less than p */
  private addOrder(r: usize): bool {
    let carry: u32 = 0;
    for (let i = <usize>this.length; i > 0; i--) {
      carry += <u32>load<u8>(r + i - 1) + load<u8>(changetype<usize>(this.n) + i - 1);
      store<u8>(BYTES + i - 1, <u8>carry);
      carry >>= 8;
    }
    return carry == 0 && memory.compare(BYTES, changetype<usize>(this.p), <usize>this.length) < 0;
  }

  /** The point's large table; 0 if it has none and none is assigned. */
  private tableOf(point: usize, mayKeep: bool): usize {
    const table = this.tables.take(point, mayKeep);
    if (table === null) return 0;
    const multiples = changetype<usize>(table.content);
    if (!table.isNew) return multiples;
    memory.copy(multiples, point, this.pointSize);
    this.fillTable(multiples, this.rows);
    return multiples;
  }

  /** Computes a table from its first entry. */
  private fillTable(table: usize, rows: i32): void {
    const entrySize = this.pointSize;
    for (let row = table; rows > 0; row += <usize>MULTIPLES * entrySize) {
      isInfinity = true;
      this.addAffine(row, row + this.field.size);
      this.double();
      this.keepJacobian(0);
      for (let i = 1; i < MULTIPLES - 1; i++) {
        this.addAffine(row, row + this.field.size);
        this.keepJacobian(i);
      }
      let count = MULTIPLES - 1;
      // The first point of the next row, which also follows in the table.
      if (--rows > 0) {
        for (let i = 4; i < DIGIT_BITS * STRIDE; i++) this.double();
        this.keepJacobian(count++);
      }
      this.makeAffine(row + entrySize, count);
    }
  }

  private keepJacobian(index: i32): void {
    const size = this.field.size;
    const target = JACOBIAN + <usize>index * 3 * size;
    memory.copy(target, X, size);
    memory.copy(target + size, Y, size);
    memory.copy(target + 2 * size, Z, size);
  }

  /** Writes the first `count` points of JACOBIAN as affine ones, with one inversion for all. */
  private makeAffine(target: usize, count: i32): void {
    const field = this.field;
    const size = field.size;
    const last = <usize>count - 1;
    field.copy(PREFIXES, JACOBIAN + 2 * size);
    for (let i: usize = 1; i <= last; i++) {
      field.multiply(PREFIXES + i * size, PREFIXES + (i - 1) * size, JACOBIAN + (3 * i + 2) * size);
    }
    field.write(BYTES, PREFIXES + last * size);
    this.invert(BYTES, BYTES, changetype<usize>(this.pLimbs));
    field.read(INVERSE, BYTES);
    for (let i = last; ; i--) {
      const point = JACOBIAN + 3 * i * size;
      if (i > 0) field.multiply(A, INVERSE, PREFIXES + (i - 1) * size);
      else field.copy(A, INVERSE);
      field.multiply(INVERSE, INVERSE, point + 2 * size);
      field.square(B, A);
      field.multiply(A, A, B);
      const x = target + i * this.pointSize;
      field.multiply(x, point, B);
      field.multiply(x + size, point + size, A);
      if (i == 0) return;
    }
  }

  /** Adds the entries of all rows for one digit of each. */
  private addRows(table: usize, digits: usize, digit: i32, rows: i32): void {
    const rowSize = <usize>MULTIPLES * this.pointSize;
    let at = digits + <usize>digit;
    for (let i = 0; i < rows; i++) {
      this.addDigit(table, load<i8>(at));
      at += STRIDE;
      table += rowSize;
    }
  }

  /** Adds `digit` times the row's point. */
  private addDigit(row: usize, digit: i32): void {
    if (digit == 0) return;
    const size = this.field.size;
    if (digit > 0) {
      const x = row + <usize>(digit - 1) * this.pointSize;
      this.addAffine(x, x + size);
    } else {
      const x = row + <usize>(-digit - 1) * this.pointSize;
      memory.fill(NEGATED, 0, size);
      this.field.subtract(NEGATED, NEGATED, x + size);
      this.addAffine(x, NEGATED);
    }
  }

  private doubleDigit(): void {
    if (isInfinity) return;
    for (let i = 0; i < DIGIT_BITS; i++) this.double();
  }

  /** Doubles the running sum, which is not infinity; no point has order 2. Bernstein and Lange's dbl-2001-b. */
  private double(): void {
    const field = this.field;
    field.square(A, Z); // δ
    field.square(B, Y); // γ
    field.multiply(C, X, B); // β
    field.subtract(H, X, A);
    field.add(R, X, A);
    field.multiply(H, H, R);
    field.add(R, H, H);
    field.add(R, R, H);
    field.carry(R); // α = 3 (X - δ) (X + δ)
    field.add(H, Y, Y);
    field.multiply(Z, Z, H); // 2 Y Z
    field.add(C, C, C);
    field.add(C, C, C);
    field.carry(C); // 4 β
    field.square(A, R);
    field.add(H, C, C);
    field.subtract(X, A, H);
    field.carry(X); // α² - 8 β
    field.subtract(C, C, X);
    field.multiply(C, C, R);
    field.add(B, B, B);
    field.square(B, B);
    field.add(B, B, B);
    field.subtract(Y, C, B);
    field.carry(Y); // α (4 β - X) - 8 γ²
  }

  /** Adds the affine point (x, y) to the running sum. Bernstein and Lange's madd, with its exceptions handled. */
  private addAffine(x: usize, y: usize): void {
    const field = this.field;
    if (isInfinity) return this.setAffine(x, y);
    field.square(A, Z);
    field.multiply(B, x, A);
    field.multiply(C, Z, A);
    field.multiply(C, C, y);
    field.subtract(H, B, X);
    field.subtract(R, C, Y);
    if (field.isZero(H)) {
      // The x is the same: the points are equal or opposite.
      isInfinity = !field.isZero(R);
      if (isInfinity) return;
      this.setAffine(x, y);
      return this.double();
    }
    field.multiply(Z, Z, H);
    field.square(A, H);
    field.multiply(B, A, H);
    field.multiply(A, A, X);
    field.square(C, R);
    field.subtract(C, C, B);
    field.subtract(C, C, A);
    field.subtract(X, C, A);
    field.carry(X); // R² - H³ - 2 X H²
    field.subtract(A, A, X);
    field.multiply(A, A, R);
    field.multiply(B, B, Y);
    field.subtract(Y, A, B);
    field.carry(Y); // R (X H² - X') - Y H³
  }

  private setAffine(x: usize, y: usize): void {
    const field = this.field;
    field.copy(X, x);
    field.copy(Y, y);
    field.carry(X);
    field.carry(Y);
    field.setOne(Z);
    isInfinity = false;
  }
}

/**
 * Writes the digits, from -15 to 16, of a scalar in base 32, followed by zeros.
 * @param scalar big-endian, `length` bytes
 */
function recode(digits: usize, scalar: usize, length: i32): void {
  memory.fill(digits, 0, MAX_DIGITS);
  let bits: i32 = 0;
  let count = 0;
  let at = scalar + <usize>length;
  // `bits` holds what one digit carries to the next.
  while (at > scalar || bits != 0) {
    while (count < DIGIT_BITS && at > scalar) {
      bits += (<i32>load<u8>(--at)) << count;
      count += 8;
    }
    const digit = bits & 31;
    const signed = digit > 16 ? digit - 32 : digit;
    store<i8>(digits++, <i8>signed);
    bits = (bits - signed) >> DIGIT_BITS;
    count -= DIGIT_BITS;
  }
}

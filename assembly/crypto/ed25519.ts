/**
 * Ed25519 verification (RFC 8032 §5.1.7) for `EdDSA` (RFC 8037 §3.1), with one block of SHA-512 and one double-scalar
 * multiplication.
 *
 * A verifier computes S·B - k·A and compares it with R. Both points are known before any signature: B is fixed, and A
 * is the key. So B and often-used keys have a table of their multiples, and a verification mostly adds entries, one for
 * each digit of S and of k (Lim and Lee, CRYPTO '94; Brickell, Gordon, McCurley and Wilson, EUROCRYPT '92). Any other
 * key gets a table of one row and needs doublings.
 *
 * Not constant time, and need not be: keys, signatures and messages are public.
 */
import { Slice, lengthOf, pointerOf, slice, subslice } from "../memory/slice";
import {
  ELEMENT_SIZE,
  add,
  copyElement,
  decode,
  encode,
  equal,
  invert,
  isOdd,
  multiply,
  powerForRoot,
  setSmall,
  square,
  subtract,
} from "./field25519";
import { isCanonicalScalar, reduceScalar } from "./scalar25519";
import { KeyFault } from "./key-fault";
import { KeyTables } from "./key-tables";
import { Hash, MAX_DIGEST_LENGTH, hashBegin, hashFinish, hashUpdate } from "./sha2";

/** The length of a public key, and half that of a signature, in bytes. */
const LENGTH: i32 = 32;

// A point is X, Y, Z, T with x = X/Z, y = Y/Z, x·y = T/Z: "extended coordinates" (RFC 8032 §5.1.4).
const Y: usize = ELEMENT_SIZE;
const Z: usize = 2 * ELEMENT_SIZE;
const T: usize = 3 * ELEMENT_SIZE;
const POINT_SIZE: usize = 4 * ELEMENT_SIZE;

// A table's entry is an affine point, prepared for addition: y + x, y - x, 2·d·x·y.
const MINUS: usize = ELEMENT_SIZE;
const TWICE_D: usize = 2 * ELEMENT_SIZE;
const ENTRY_SIZE: usize = 3 * ELEMENT_SIZE;

// A scalar is 44 digits from -31 to 32, each worth 64 times the one before. A table has a row for every fourth digit: 1
// to 32 times 2^(24 · row) times the point. The digits in between use the same row, and doublings account for their
// position. Fewer digits per row need fewer doublings and more memory: a row takes 3.4 KiB.
const DIGIT_BITS: i32 = 6;
const DIGITS: i32 = 44;
const DIGITS_PER_ROW: i32 = 4;
const ROWS: i32 = DIGITS / DIGITS_PER_ROW;
const ENTRIES_PER_ROW: i32 = 1 << (DIGIT_BITS - 1);
const ENTRIES: i32 = ROWS * ENTRIES_PER_ROW;
const TABLE_SIZE: i32 = ENTRIES * <i32>ENTRY_SIZE;

/** The most tables for keys. */
const TABLES: i32 = 32;
const tables = new KeyTables(LENGTH, TABLE_SIZE);

/** The curve's constants, computed from their definitions (RFC 8032 §5.1) before the first key. */
const D: usize = memory.data(36, 16);
const D2: usize = memory.data(36, 16);
const ROOT_OF_MINUS_ONE: usize = memory.data(36, 16);
const ONE: usize = memory.data(36, 16);

/** The table of the base point B; null until a key is loaded. */
let baseTable: StaticArray<u8> | null = null;

/** Temporary values of one verification, or of loading one key. */
const POINT: usize = memory.data(4 * 36, 16);
const STEP: usize = memory.data(4 * 36, 16);
const ENCODED: usize = memory.data(32, 16);
const DIGEST: usize = memory.data(MAX_DIGEST_LENGTH, 16);
const SCALAR: usize = memory.data(32, 16);
const DIGITS_OF_S: usize = memory.data(44, 16);
const DIGITS_OF_K: usize = memory.data(44, 16);
const E0: usize = memory.data(36, 16);
const E1: usize = memory.data(36, 16);
const E2: usize = memory.data(36, 16);
const E3: usize = memory.data(36, 16);
const E4: usize = memory.data(36, 16);
const E5: usize = memory.data(36, 16);
const E6: usize = memory.data(36, 16);

/** A row before its points are affine, and the products of their Z. */
const POINTS: usize = memory.data(32 * 4 * 36, 16);
const PRODUCTS: usize = memory.data(32 * 36, 16);

/** The row of a key without a table. */
const SMALL_TABLE: usize = memory.data(32 * 3 * 36, 16);

/** A public key. */
export class Ed25519PublicKey {
  private readonly encoded: StaticArray<u8> = new StaticArray<u8>(LENGTH);
  /** The negative of the key's point. */
  private readonly point: StaticArray<u8> = new StaticArray<u8>(<i32>POINT_SIZE);
  private wasUsed: bool = false;

  private constructor() {}

  /**
   * @param x the public key as RFC 8032 §5.1.2 encodes it
   * @param fault set to why the key cannot be used
   * @returns null unless it has 32 bytes, is the canonical encoding of a point, and the point's order is not small (1,
   *   2, 4 or 8: under such a key a signature can be valid for any message)
   */
  static create(x: Slice, fault: KeyFault): Ed25519PublicKey | null {
    if (lengthOf(x) != LENGTH) return refuse(fault, "the public key does not have 32 bytes");
    let base = baseTable;
    if (base === null) {
      base = new StaticArray<u8>(TABLE_SIZE);
      prepareCurve(base);
      baseTable = base;
    }
    if (!decodePoint(POINT, pointerOf(x))) {
      return refuse(fault, "the public key is not the canonical encoding of a point");
    }
    if (isOfSmallOrder(POINT)) return refuse(fault, "the public key is a point of small order");
    const result = new Ed25519PublicKey();
    memory.copy(changetype<usize>(result.encoded), pointerOf(x), LENGTH);
    negate(POINT);
    memory.copy(changetype<usize>(result.point), POINT, POINT_SIZE);
    tables.addFor(changetype<usize>(result.encoded), TABLES);
    return result;
  }

  /**
   * Verifies without the cofactor, as Envoy (BoringSSL) does: the encoding of S·B - k·A must equal R byte for byte, so
   * a non-canonical R never verifies.
   * @param signature R and S, 64 bytes; S must be less than L
   */
  verify(signature: Slice, text: Slice): bool {
    if (lengthOf(signature) != 2 * LENGTH) return false;
    const r = pointerOf(signature);
    const s = r + LENGTH;
    if (!isCanonicalScalar(s)) return false;
    hashBegin(Hash.Sha512);
    hashUpdate(slice(r, LENGTH));
    hashUpdate(slice(changetype<usize>(this.encoded), LENGTH));
    hashUpdate(text);
    hashFinish(DIGEST);
    const kept = tables.take(changetype<usize>(this.encoded), this.wasUsed);
    this.wasUsed = true;
    const rows = kept === null ? 1 : ROWS;
    const table = kept === null ? SMALL_TABLE : changetype<usize>(kept.content);
    if (kept === null || kept.isNew) {
      memory.copy(POINT, changetype<usize>(this.point), POINT_SIZE);
      fillTable(table, POINT, rows);
    }
    reduceScalar(SCALAR, DIGEST);
    splitScalar(DIGITS_OF_S, s);
    splitScalar(DIGITS_OF_K, SCALAR);
    addMultiples(changetype<usize>(baseTable), table, rows);
    encodePoint(ENCODED, POINT);
    return memory.compare(ENCODED, r, LENGTH) == 0;
  }
}

/**
 * POINT = the number in DIGITS_OF_S times the point of table `base`, plus the number in DIGITS_OF_K times the point of
 * table `key`.
 * @param keyRows rows of the key's table: 1, or as many as the base point's table has
 */
function addMultiples(base: usize, key: usize, keyRows: i32): void {
  const digitsPerKeyRow = DIGITS / keyRows;
  setNeutral(POINT);
  for (let place = digitsPerKeyRow - 1; place >= 0; place--) {
    if (place != digitsPerKeyRow - 1) {
      for (let i = 0; i < DIGIT_BITS; i++) doublePoint(POINT);
    }
    addRows(key, DIGITS_OF_K, place, keyRows);
    if (place < DIGITS_PER_ROW) addRows(base, DIGITS_OF_S, place, ROWS);
  }
}

/** Adds the entries of all rows for the digit at `place` of each. */
function addRows(table: usize, digits: usize, place: i32, rows: i32): void {
  const digitsPerRow = DIGITS / rows;
  for (let row = 0; row < rows; row++) {
    const offset = <usize>(row * ENTRIES_PER_ROW) * ENTRY_SIZE;
    addDigit(table + offset, load<i8>(digits + <usize>(row * digitsPerRow + place)));
  }
}

/** Adds the digit's multiple, an entry of the row, to POINT. */
function addDigit(row: usize, digit: i32): void {
  if (digit > 0) {
    const entry = row + <usize>(digit - 1) * ENTRY_SIZE;
    add(E3, POINT + Z, POINT + Z);
    addPrepared(POINT, entry, entry + MINUS, entry + TWICE_D, false);
  } else if (digit < 0) {
    // The negative of (x, y) is (-x, y): y + x and y - x swap, and 2·d·x·y changes its sign.
    const entry = row + <usize>(-digit - 1) * ENTRY_SIZE;
    add(E3, POINT + Z, POINT + Z);
    addPrepared(POINT, entry + MINUS, entry, entry + TWICE_D, true);
  }
}

/** The digits of a scalar below 2^253, least significant first. A digit above 32 becomes negative and carries. */
function splitScalar(digits: usize, scalar: usize): void {
  let bits: u32 = 0;
  let count = 0;
  let carry = 0;
  let byte: usize = 0;
  for (let i: usize = 0; i < <usize>DIGITS; i++) {
    if (count < DIGIT_BITS && byte < <usize>LENGTH) {
      bits |= (<u32>load<u8>(scalar + byte++)) << count;
      count += 8;
    }
    let digit = <i32>(bits & ((1 << DIGIT_BITS) - 1)) + carry;
    carry = digit > ENTRIES_PER_ROW ? 1 : 0;
    digit -= carry << DIGIT_BITS;
    store<i8>(digits + i, <i8>digit);
    bits >>= DIGIT_BITS;
    count -= DIGIT_BITS;
  }
}

/** RFC 8032 §5.1.4, doubling (dbl-2008-hwcd with a = -1): point = 2 · point. */
function doublePoint(point: usize): void {
  square(E0, point); // A = X²
  square(E1, point + Y); // B = Y²
  square(E2, point + Z);
  add(E2, E2, E2); // C = 2·Z²
  add(E3, point, point + Y);
  square(E3, E3);
  add(E4, E0, E1); // H = A + B
  subtract(E3, E4, E3); // E = H - (X + Y)²
  subtract(E0, E0, E1); // G = A - B
  add(E2, E2, E0); // F = C + G
  multiply(point, E3, E2);
  multiply(point + Y, E0, E4);
  multiply(point + Z, E2, E0);
  multiply(point + T, E3, E4);
}

/**
 * RFC 8032 §5.1.4, addition (add-2008-hwcd-3): point = point + q. Complete: valid for any two points. E3 holds the
 * formula's D, 2·Z·Z of point and q.
 * @param plus Y + X of q
 * @param minus Y - X of q
 * @param twiceD 2·d·T of q, or its negative if `negative`
 */
function addPrepared(point: usize, plus: usize, minus: usize, twiceD: usize, negative: bool): void {
  subtract(E0, point + Y, point);
  multiply(E0, E0, minus); // A
  add(E1, point + Y, point);
  multiply(E1, E1, plus); // B
  multiply(E2, point + T, twiceD); // C
  subtract(E4, E1, E0); // E = B - A
  add(E0, E1, E0); // H = B + A
  if (negative) {
    add(E1, E3, E2); // F = D - C
    subtract(E2, E3, E2); // G = D + C
  } else {
    subtract(E1, E3, E2);
    add(E2, E3, E2);
  }
  multiply(point, E4, E1);
  multiply(point + Y, E2, E0);
  multiply(point + Z, E1, E2);
  multiply(point + T, E4, E0);
}

/** Computes the curve's constants and the base point's table. */
function prepareCurve(table: StaticArray<u8>): void {
  setSmall(ONE, 1);
  // d = -121665 / 121666
  setSmall(E0, -121665);
  setSmall(E1, 121666);
  invert(D, E1);
  multiply(D, D, E0);
  add(D2, D, D);
  // 2^((p-1)/4) is a root of -1, with (p-1)/4 = 2 · (p-5)/8 + 1, because 2 is not a square
  setSmall(E0, 2);
  powerForRoot(ROOT_OF_MINUS_ONE, E0);
  square(ROOT_OF_MINUS_ONE, ROOT_OF_MINUS_ONE);
  multiply(ROOT_OF_MINUS_ONE, ROOT_OF_MINUS_ONE, E0);
  // B has y = 4/5 and an even x
  setSmall(E0, 4);
  setSmall(E1, 5);
  invert(E1, E1);
  multiply(E0, E0, E1);
  encode(ENCODED, E0);
  decodePoint(POINT, ENCODED);
  fillTable(changetype<usize>(table), POINT, ROWS);
}

/** Fills a table with multiples of `point`, which is overwritten. */
function fillTable(table: usize, point: usize, rows: i32): void {
  for (let row = 0; row < rows; row++) {
    memory.copy(STEP, point, POINT_SIZE);
    memory.copy(POINTS, point, POINT_SIZE);
    for (let i = 1; i < ENTRIES_PER_ROW; i++) {
      addPoint(point, STEP);
      memory.copy(POINTS + <usize>i * POINT_SIZE, point, POINT_SIZE);
    }
    prepareRow(table + <usize>(row * ENTRIES_PER_ROW) * ENTRY_SIZE);
    // From 2^5 times the row's first point to the next row's.
    for (let i = DIGIT_BITS - 1; i < DIGIT_BITS * DIGITS_PER_ROW; i++) doublePoint(point);
  }
}

/** Writes the points of POINTS as a row's entries, with one inversion for all (Montgomery's trick). */
function prepareRow(row: usize): void {
  copyElement(PRODUCTS, POINTS + Z);
  for (let i: usize = 1; i < <usize>ENTRIES_PER_ROW; i++) {
    multiply(PRODUCTS + i * ELEMENT_SIZE, PRODUCTS + (i - 1) * ELEMENT_SIZE, POINTS + i * POINT_SIZE + Z);
  }
  invert(E6, PRODUCTS + <usize>(ENTRIES_PER_ROW - 1) * ELEMENT_SIZE);
  for (let i = <usize>ENTRIES_PER_ROW - 1; ; i--) {
    // E6 = 1 / (Z0 · … · Zi); times the product before it, 1 / Zi.
    const source = POINTS + i * POINT_SIZE;
    const entry = row + i * ENTRY_SIZE;
    if (i == 0) copyElement(E0, E6);
    else multiply(E0, E6, PRODUCTS + (i - 1) * ELEMENT_SIZE);
    multiply(E6, E6, source + Z);
    multiply(E1, source, E0);
    multiply(E2, source + Y, E0);
    add(entry, E2, E1);
    subtract(entry + MINUS, E2, E1);
    multiply(E1, E1, E2);
    multiply(entry + TWICE_D, E1, D2);
    if (i == 0) break;
  }
}

/** point = point + q. */
function addPoint(point: usize, q: usize): void {
  multiply(E3, point + Z, q + Z);
  add(E3, E3, E3);
  add(E4, q + Y, q);
  subtract(E5, q + Y, q);
  multiply(E6, q + T, D2);
  addPrepared(point, E4, E5, E6, false);
}

function setNeutral(point: usize): void {
  setSmall(point, 0);
  setSmall(point + Y, 1);
  setSmall(point + Z, 1);
  setSmall(point + T, 0);
}

/** point = -point. */
function negate(point: usize): void {
  setSmall(E0, 0);
  subtract(point, E0, point);
  subtract(point + T, E0, point + T);
}

/** Whether 8 · point is the neutral element. */
function isOfSmallOrder(point: usize): bool {
  memory.copy(STEP, point, POINT_SIZE);
  for (let i = 0; i < 3; i++) doublePoint(STEP);
  setSmall(E0, 0);
  return equal(STEP, E0) && equal(STEP + Y, STEP + Z);
}

/**
 * RFC 8032 §5.1.3.
 * @param bytes 32 bytes
 * @returns false unless `encodePoint` writes the same bytes for some point
 */
function decodePoint(point: usize, bytes: usize): bool {
  const y = point + Y;
  decode(y, bytes);
  // Canonical: encoding y gives the same bytes, except for the sign.
  const sign = load<u8>(bytes, 31) >> 7;
  encode(ENCODED, y);
  store<u8>(ENCODED, load<u8>(ENCODED, 31) | (sign << 7), 31);
  if (memory.compare(ENCODED, bytes, LENGTH) != 0) return false;
  // x² = u / v with u = y² - 1, v = d·y² + 1
  square(E0, y);
  multiply(E1, E0, D);
  subtract(E0, E0, ONE);
  add(E1, E1, ONE);
  // x = u·v³·(u·v⁷)^((p-5)/8)
  square(E2, E1);
  multiply(E2, E2, E1);
  multiply(E3, E2, E0);
  square(E4, E2);
  multiply(E4, E4, E1);
  multiply(E4, E4, E0);
  powerForRoot(E5, E4);
  multiply(point, E3, E5);
  // If v·x² = u, done; if it is -u, multiply by the root of -1; else u / v is not a square.
  square(E2, point);
  multiply(E2, E2, E1);
  if (!equal(E2, E0)) {
    add(E2, E2, E0);
    setSmall(E3, 0);
    if (!equal(E2, E3)) return false;
    multiply(point, point, ROOT_OF_MINUS_ONE);
  }
  if (isOdd(point) != (sign == 1)) {
    setSmall(E3, 0);
    if (equal(point, E3)) return false;
    subtract(point, E3, point);
  }
  setSmall(point + Z, 1);
  multiply(point + T, point, y);
  return true;
}

/** RFC 8032 §5.1.2. */
function encodePoint(target: usize, point: usize): void {
  invert(E0, point + Z);
  multiply(E1, point, E0);
  multiply(E2, point + Y, E0);
  encode(target, E2);
  if (isOdd(E1)) store<u8>(target, load<u8>(target, 31) | 0x80, 31);
}

function refuse(fault: KeyFault, reason: string): Ed25519PublicKey | null {
  fault.reason = reason;
  return null;
}

/** The fields of the NIST curves and the inversion alone, for tests: numbers go in and out as bytes in `buffer`. */
import { FieldP256 } from "../../../assembly/crypto/field-p256";
import { FieldP384 } from "../../../assembly/crypto/field-p384";
import { FieldP521 } from "../../../assembly/crypto/field-p521";
import { invertModulo } from "../../../assembly/crypto/inverse";
import { PrimeField, readLimbs, writeLimbs } from "../../../assembly/crypto/prime-field";

const fields: StaticArray<PrimeField> = [new FieldP256(), new FieldP384(), new FieldP521()];

/** Elements a and b, the result, and numbers. */
const A = memory.data(80, 16);
const B = memory.data(80, 16);
const C = memory.data(80, 16);
const BYTES = memory.data(66 * 2, 16);
const N = memory.data(4 * 18, 16);
const X = memory.data(4 * 18, 16);

export function buffer(): usize {
  return BYTES;
}

/** Reads the two numbers in the buffer. */
export function read(field: i32): void {
  const one = unchecked(fields[field]);
  one.read(A, BYTES);
  one.read(B, BYTES + <usize>one.length);
}

export function multiply(field: i32): void {
  unchecked(fields[field]).multiply(C, A, B);
}

export function square(field: i32): void {
  unchecked(fields[field]).square(C, A);
}

export function add(field: i32): void {
  unchecked(fields[field]).add(C, A, B);
}

export function subtract(field: i32): void {
  unchecked(fields[field]).subtract(C, A, B);
}

/** The product of the two factors with the largest limbs that point formulas have: (a - b) · (a + b). */
export function multiplyUncarried(field: i32): void {
  const one = unchecked(fields[field]);
  one.subtract(C, A, B);
  one.add(B, A, B);
  one.multiply(C, C, B);
}

export function carry(field: i32): void {
  unchecked(fields[field]).carry(C);
}

/** The result becomes the first operand. */
export function chain(field: i32): void {
  unchecked(fields[field]).copy(A, C);
}

export function isZero(field: i32): bool {
  return unchecked(fields[field]).isZero(C);
}

/** Writes the result to the buffer. */
export function write(field: i32): void {
  unchecked(fields[field]).write(BYTES, C);
}

/** The buffer has a number and an odd modulus of `length` bytes; the inverse is written to its beginning. */
export function invert(length: i32): bool {
  const limbs = (8 * length + 5) / 30 + 1;
  readLimbs(X, limbs, 30, BYTES, length);
  readLimbs(N, limbs, 30, BYTES + <usize>length, length);
  if (!invertModulo(X, X, N, limbs)) return false;
  writeLimbs(BYTES, length, X, limbs, 30);
  return true;
}

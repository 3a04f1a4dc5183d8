/** The parameter sets of ML-DSA (FIPS 204 §4). Names are those of its table 1. */

import { KeyTables } from "./key-tables";

/** A parameter set. */
export const enum MlDsa {
  MlDsa44,
  MlDsa65,
  MlDsa87,
}

/** How many coefficients a polynomial has, and its size in bytes. */
export const DEGREE: i32 = 256;
export const POLYNOMIAL_SIZE: usize = 4 * 256;
/** Of ρ, from which A is computed, in bytes. */
export const SEED_LENGTH: i32 = 32;
/** Of a key's digest tr, in bytes. */
export const KEY_DIGEST_LENGTH: i32 = 64;
/** Of a coefficient of t1 (FIPS 204, algorithm 22). */
export const T1_BITS: i32 = 10;

/** The numbers of a parameter set. Lengths are in bytes. */
export class Parameters {
  readonly challengeLength: i32;
  readonly publicKeyLength: i32;
  readonly signatureLength: i32;
  /** Coefficients of z must be less than this, positive and negative. */
  readonly zBound: i32;
  /** The tables of often-used keys, by the keys' digests. */
  readonly tables: KeyTables;

  constructor(
    readonly k: i32,
    readonly l: i32,
    readonly tau: i32,
    lambda: i32,
    /** γ1 = 2^`gamma1Bits`. */
    readonly gamma1Bits: i32,
    /** γ2 = `gamma2Factor` · 2^`gamma2Bits`. */
    readonly gamma2Factor: i32,
    readonly gamma2Bits: i32,
    beta: i32,
    readonly omega: i32,
  ) {
    const challengeLength = lambda / 4;
    this.challengeLength = challengeLength;
    this.publicKeyLength = SEED_LENGTH + (k * DEGREE * T1_BITS) / 8;
    this.signatureLength = challengeLength + (l * DEGREE * (gamma1Bits + 1)) / 8 + omega + k;
    this.zBound = (1 << gamma1Bits) - beta;
    this.tables = new KeyTables(KEY_DIGEST_LENGTH, k * (l + 1) * <i32>POLYNOMIAL_SIZE);
  }
}

const ML_DSA_44 = new Parameters(4, 4, 39, 128, 17, 93, 10, 78, 80);
const ML_DSA_65 = new Parameters(6, 5, 49, 192, 19, 1023, 8, 196, 55);
const ML_DSA_87 = new Parameters(8, 7, 60, 256, 19, 1023, 8, 120, 75);

/** The numbers of a set. */
export function parametersOf(set: MlDsa): Parameters {
  return set == MlDsa.MlDsa44 ? ML_DSA_44 : set == MlDsa.MlDsa65 ? ML_DSA_65 : ML_DSA_87;
}

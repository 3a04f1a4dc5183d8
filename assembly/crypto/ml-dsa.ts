/**
 * ML-DSA verification (FIPS 204 §5.3, §6.3) for `ML-DSA-44`, `ML-DSA-65` and `ML-DSA-87` (RFC 9964 §3).
 *
 * The matrix A and the vector t1 depend on the key alone, and to compute them takes most of a verification. So
 * often-used keys have a table of both, in the form that the verification needs (docs/decisions/0029).
 *
 * Not constant time, and need not be: keys, signatures and messages are public.
 */
import { Slice, lengthOf, pointerOf, slice } from "../memory/slice";
import { shakeBegin, shakeFinish, shakeUpdate } from "./keccak";
import { KeyFault } from "./key-fault";
import { applyHint, areHints, encodeHighBits, unpackT1, unpackZ } from "./ml-dsa-encoding";
import {
  DEGREE,
  KEY_DIGEST_LENGTH,
  MlDsa,
  POLYNOMIAL_SIZE,
  Parameters,
  SEED_LENGTH,
  T1_BITS,
  parametersOf,
} from "./ml-dsa-parameters";
import {
  preparePolynomials,
  sumOfProducts,
  timesTwoTo13,
  transform,
  transformBack,
} from "./ml-dsa-polynomial";
import { sampleInBall, sampleTwo } from "./ml-dsa-sampling";

/** The longest context (FIPS 204, algorithm 3). */
const MAX_CONTEXT_LENGTH: i32 = 255;

/** The most tables for keys of a parameter set: of 20, 36 and 64 KiB each. */
const TABLES: i32 = 8;

/** Before a message (FIPS 204, algorithm 3): zero for the message itself, then the length of the context. */
const PREFIX: usize = memory.data(2, 16);
/** μ, the digest of key and message, and the digest that must be the challenge. */
const MESSAGE_DIGEST_LENGTH: i32 = 64;
const MESSAGE_DIGEST: usize = memory.data(64, 16);
const CHALLENGE: usize = memory.data(64, 16);

/** Polynomials of one verification: z, the challenge, one row of w, and the table of a key that has none of its own. */
let scratch: usize = 0;
let scratchSize: usize = 0;

/** A public key. */
export class MlDsaPublicKey {
  /** tr, the key's digest. */
  private readonly digest: StaticArray<u8> = new StaticArray<u8>(KEY_DIGEST_LENGTH);
  private wasUsed: bool = false;

  private constructor(
    private readonly parameters: Parameters,
    private readonly encoded: StaticArray<u8>,
  ) {}

  /**
   * @param bytes the public key (FIPS 204, algorithm 22): any bytes of the right length are one
   * @param fault set to why the key cannot be used
   * @returns null unless it has 1,312, 1,952 or 2,592 bytes, as its parameter set needs
   */
  static create(set: MlDsa, bytes: Slice, fault: KeyFault): MlDsaPublicKey | null {
    const parameters = parametersOf(set);
    const length = parameters.publicKeyLength;
    if (lengthOf(bytes) != length) {
      fault.reason = `the public key does not have ${length} bytes`;
      return null;
    }
    const encoded = new StaticArray<u8>(length);
    memory.copy(changetype<usize>(encoded), pointerOf(bytes), <usize>length);
    const key = new MlDsaPublicKey(parameters, encoded);
    shakeBegin();
    shakeUpdate(bytes);
    shakeFinish(changetype<usize>(key.digest), KEY_DIGEST_LENGTH);
    preparePolynomials();
    reserve(<usize>(parameters.l + 2 + parameters.k * (parameters.l + 1)) * POLYNOMIAL_SIZE);
    parameters.tables.addFor(changetype<usize>(key.digest), TABLES);
    return key;
  }

  /**
   * FIPS 204, algorithms 3 and 8. The checks that need no computing come first; any order gives the same result.
   *
   * @param context at most 255 bytes; RFC 9964 uses none
   */
  verify(signature: Slice, text: Slice, context: Slice): bool {
    const set = this.parameters;
    if (lengthOf(signature) != set.signatureLength || lengthOf(context) > MAX_CONTEXT_LENGTH) return false;
    const challenge = slice(pointerOf(signature), set.challengeLength);
    const packed = pointerOf(signature) + <usize>set.challengeLength;
    const hints = pointerOf(signature) + <usize>(set.signatureLength - set.omega - set.k);
    if (!areHints(hints, set)) return false;
    const z = scratch;
    const c = z + <usize>set.l * POLYNOMIAL_SIZE;
    const w = c + POLYNOMIAL_SIZE;
    if (!unpackZ(z, packed, set) || !sampleInBall(c, challenge, set.tau)) return false;
    const table = this.table(w + POLYNOMIAL_SIZE);

    shakeBegin();
    shakeUpdate(slice(changetype<usize>(this.digest), KEY_DIGEST_LENGTH));
    store<u8>(PREFIX, <u8>lengthOf(context), 1);
    shakeUpdate(slice(PREFIX, 2));
    shakeUpdate(context);
    shakeUpdate(text);
    shakeFinish(MESSAGE_DIGEST, MESSAGE_DIGEST_LENGTH);

    for (let i = 0; i <= set.l; i++) transform(z + <usize>i * POLYNOMIAL_SIZE);
    shakeBegin();
    shakeUpdate(slice(MESSAGE_DIGEST, MESSAGE_DIGEST_LENGTH));
    let from = 0;
    for (let i = 0; i < set.k; i++) {
      const row = table + <usize>(i * (set.l + 1)) * POLYNOMIAL_SIZE;
      sumOfProducts(w, row, z, set.l, c, row + <usize>set.l * POLYNOMIAL_SIZE);
      transformBack(w);
      const to = <i32>load<u8>(hints + <usize>(set.omega + i));
      for (; from < to; from++) applyHint(w + 4 * <usize>load<u8>(hints + <usize>from), set);
      shakeUpdate(encodeHighBits(w, set));
    }
    shakeFinish(CHALLENGE, set.challengeLength);
    return memory.compare(CHALLENGE, pointerOf(challenge), <usize>set.challengeLength) == 0;
  }

  /**
   * The address of the key's table: for each row of A, its polynomials and then the one of t1 · 2^13, all transformed.
   *
   * @param room for a table, if the key has none
   */
  private table(room: usize): usize {
    const kept = this.parameters.tables.take(changetype<usize>(this.digest), this.wasUsed);
    this.wasUsed = true;
    const table = kept === null ? room : changetype<usize>(kept.content);
    if (kept === null || kept.isNew) this.fillTable(table);
    return table;
  }

  private fillTable(table: usize): void {
    const k = this.parameters.k;
    const l = this.parameters.l;
    const seed = changetype<usize>(this.encoded);
    // ExpandA (FIPS 204, algorithm 32). Every parameter set has an even number of polynomials in A.
    for (let i = 0; i < k * l; i += 2) {
      const first = table + <usize>(i + i / l) * POLYNOMIAL_SIZE;
      const second = table + <usize>(i + 1 + (i + 1) / l) * POLYNOMIAL_SIZE;
      sampleTwo(first, second, seed, nonceOf(i, l), nonceOf(i + 1, l));
    }
    for (let i = 0; i < k; i++) {
      const t = table + <usize>(i * (l + 1) + l) * POLYNOMIAL_SIZE;
      unpackT1(t, seed + <usize>(SEED_LENGTH + (i * DEGREE * T1_BITS) / 8));
      transform(t);
      timesTwoTo13(t);
    }
  }
}

/** Makes room for `size` bytes in `scratch`. Runs while keys are loaded. */
function reserve(size: usize): void {
  if (size <= scratchSize) return;
  if (scratch != 0) heap.free(scratch);
  scratch = heap.alloc(size);
  scratchSize = size;
}

/** The last two bytes of the seed for polynomial `index` of A: its column and its row (FIPS 204, algorithm 32). */
function nonceOf(index: i32, l: i32): u32 {
  return (index % l) | ((index / l) << 8);
}

/** What ML-DSA computes from seeds: the polynomials of A, and the challenge (FIPS 204 §7.3). */
import { Slice } from "../memory/slice";
import {
  RATE_128,
  RATE_256,
  pairBegin,
  pairNext,
  shakeBegin,
  shakeFinish,
  shakeNext,
  shakeUpdate,
} from "./keccak";
import { DEGREE, POLYNOMIAL_SIZE } from "./ml-dsa-parameters";
import { Q } from "./ml-dsa-polynomial";

/**
 * Blocks of SHAKE128 for two polynomials of A, and 16 bytes that `sampleUniform` may read beyond one. Six blocks hold
 * 336 candidates for 256 coefficients. One candidate in 1,024 is refused, so they are too few for one in 2^546
 * polynomials: nobody will find a key with one. FIPS 204 allows such a limit from 298 candidates on (appendix C).
 */
const FIRST_BLOCK: usize = memory.data(168 + 16, 16);
const SECOND_BLOCK: usize = memory.data(168 + 16, 16);
const MAX_BLOCKS: i32 = 6;

/**
 * A block of the challenge's SHAKE256. The digest begins with eight bytes of signs; each other byte is a candidate for
 * one of at most 60 positions. Two blocks hold 264 candidates, too few for one in 2^364 challenges. FIPS 204 allows
 * such a limit from 221 bytes on (appendix C).
 */
const BALL: usize = memory.data(136, 16);
const SIGNS_LENGTH: i32 = 8;

/**
 * RejNTTPoly (FIPS 204, algorithm 30) for two polynomials, each from the seed and two more bytes.
 *
 * @param seed 32 bytes
 * @param nonceOfFirst its last two bytes, as a little-endian number
 */
export function sampleTwo(
  first: usize,
  second: usize,
  seed: usize,
  nonceOfFirst: u32,
  nonceOfSecond: u32,
): void {
  let countOfFirst = 0;
  let countOfSecond = 0;
  pairBegin(seed, nonceOfFirst, nonceOfSecond);
  for (let i = 0; i < MAX_BLOCKS && countOfFirst + countOfSecond < 2 * DEGREE; i++) {
    pairNext(FIRST_BLOCK, SECOND_BLOCK);
    countOfFirst = sampleUniform(first, countOfFirst, FIRST_BLOCK);
    countOfSecond = sampleUniform(second, countOfSecond, SECOND_BLOCK);
  }
}

/**
 * Appends to the `count` coefficients of a polynomial those candidates of a block that are less than q (FIPS 204,
 * algorithm 14), up to 256. Nearly always all of four candidates are.
 *
 * @returns the new count
 */
function sampleUniform(p: usize, count: i32, block: usize): i32 {
  const q = i32x4.splat(Q);
  for (const end = block + <usize>RATE_128; block < end && count < DEGREE; block += 12) {
    // Three bytes into each lane, without their highest bit.
    const bytes = v128.load(block);
    // prettier-ignore
    const spread = v128.shuffle<u8>(bytes, bytes, 0, 1, 2, 2, 3, 4, 5, 5, 6, 7, 8, 8, 9, 10, 11, 11);
    const candidates = v128.and(spread, i32x4.splat(0x7fffff));
    if (i32x4.all_true(i32x4.lt_s(candidates, q)) && count + 4 <= DEGREE) {
      v128.store(p + 4 * <usize>count, candidates);
      count += 4;
    } else {
      for (let i: usize = 0; i < 12 && count < DEGREE; i += 3) {
        const candidate = <i32>(load<u32>(block + i) & 0x7fffff);
        if (candidate >= Q) continue;
        store<i32>(p + 4 * <usize>count, candidate);
        count++;
      }
    }
  }
  return count;
}

/**
 * SampleInBall (FIPS 204, algorithm 29): a polynomial with `tau` coefficients of 1 or -1, the others 0.
 *
 * @returns false if two blocks are too few
 */
export function sampleInBall(c: usize, challenge: Slice, tau: i32): bool {
  memory.fill(c, 0, POLYNOMIAL_SIZE);
  shakeBegin();
  shakeUpdate(challenge);
  shakeFinish(BALL, RATE_256);
  let signs = load<u64>(BALL);
  let at = SIGNS_LENGTH;
  let isSecond = false;
  for (let i = DEGREE - tau; i < DEGREE;) {
    if (at == RATE_256) {
      if (isSecond) return false;
      shakeNext(BALL);
      isSecond = true;
      at = 0;
    }
    const position = <i32>load<u8>(BALL + <usize>at);
    at++;
    if (position > i) continue;
    store<i32>(c + 4 * <usize>i, load<i32>(c + 4 * <usize>position));
    store<i32>(c + 4 * <usize>position, 1 - 2 * <i32>(signs & 1));
    signs >>= 1;
    i++;
  }
  return true;
}

/**
 * The mask generation function MGF1 (RFC 8017 B.2.1) with the hashes of `sha2.ts`: the digests of a seed and a counter,
 * concatenated.
 *
 * These digests do not depend on each other. With SHA-256, a seed and a counter fill one block of the hash, so four
 * blocks are compressed at once, each in its own lane. With SHA-384 and SHA-512 a vector has only two lanes, which
 * gains nothing over hashing one after the other in 64-bit words.
 */
import { slice } from "../memory/slice";
import {
  Hash,
  INITIAL_256,
  K256,
  MAX_DIGEST_LENGTH,
  digestLength,
  hashBegin,
  hashFinish,
  hashUpdate,
  rotateRight,
  smallSigma0,
  smallSigma1,
} from "./sha2";

/** How many SHA-256 digests are computed at once. */
const LANES: i32 = 4;
const SHA256_DIGEST_LENGTH: i32 = 32;

/** How many bytes `mgf1` may write beyond the requested length. */
export const MGF1_EXCESS: i32 =
  LANES * SHA256_DIGEST_LENGTH > MAX_DIGEST_LENGTH ? LANES * SHA256_DIGEST_LENGTH : MAX_DIGEST_LENGTH;

/** The message schedule (FIPS 180-4 §6.2.2 step 1) of four blocks, with the constants: 64 vectors. */
const SCHEDULE: usize = memory.data(64 * 16, 16);
const COUNTER: usize = memory.data(4, 4);

/**
 * Writes MGF1 of the seed.
 * @param seed a digest of `hash`
 * @param target receives `length` bytes, and up to `MGF1_EXCESS` more
 */
export function mgf1(hash: Hash, seed: usize, target: usize, length: i32): void {
  if (hash == Hash.Sha256) {
    const step = LANES * SHA256_DIGEST_LENGTH;
    for (let done = 0, counter: u32 = 0; done < length; done += step, counter += LANES) {
      hashFour(seed, counter, target + <usize>done);
    }
    return;
  }
  const hashLength = digestLength(hash);
  for (let done = 0, counter: u32 = 0; done < length; done += hashLength, counter++) {
    store<u32>(COUNTER, bswap<u32>(counter));
    hashBegin(hash);
    hashUpdate(slice(seed, hashLength));
    hashUpdate(slice(COUNTER, 4));
    hashFinish(target + <usize>done);
  }
}

/** Writes the SHA-256 digests of the seed followed by `counter`, `counter + 1`, `counter + 2` and `counter + 3`. */
function hashFour(seed: usize, counter: u32, target: usize): void {
  // The block (FIPS 180-4 §5.1.1): the seed, the counter, a one bit, zeros, and the length of 36 bytes in bits.
  for (let i: usize = 0; i < 8; i++) putWord(i, i32x4.splat(bswap<u32>(load<u32>(seed + 4 * i))));
  putWord(8, i32x4.add(i32x4.splat(counter), i32x4(0, 1, 2, 3)));
  putWord(9, i32x4.splat(0x80000000));
  for (let i: usize = 10; i < 15; i++) putWord(i, i32x4.splat(0));
  putWord(15, i32x4.splat(8 * (SHA256_DIGEST_LENGTH + 4)));
  for (let at = SCHEDULE; at < SCHEDULE + 48 * 16; at += 16) {
    const sum = i32x4.add(v128.load(at), smallSigma0<u32>(v128.load(at, 16)));
    const sums = i32x4.add(v128.load(at, 9 * 16), smallSigma1<u32>(v128.load(at, 14 * 16)));
    v128.store(at, i32x4.add(sum, sums), 16 * 16);
  }
  let a = initial(0);
  let b = initial(1);
  let c = initial(2);
  let d = initial(3);
  let e = initial(4);
  let f = initial(5);
  let g = initial(6);
  let h = initial(7);
  // Eight rounds are unrolled, so that the working variables change names instead of being copied.
  let k = K256;
  for (let at = SCHEDULE; at < SCHEDULE + 64 * 16; at += 8 * 16) {
    h = i32x4.add(i32x4.add(h, word(at, k, 0)), i32x4.add(choose(e, f, g), bigSigma1(e)));
    d = i32x4.add(d, h);
    h = i32x4.add(i32x4.add(h, majority(a, b, c)), bigSigma0(a));
    g = i32x4.add(i32x4.add(g, word(at, k, 1)), i32x4.add(choose(d, e, f), bigSigma1(d)));
    c = i32x4.add(c, g);
    g = i32x4.add(i32x4.add(g, majority(h, a, b)), bigSigma0(h));
    f = i32x4.add(i32x4.add(f, word(at, k, 2)), i32x4.add(choose(c, d, e), bigSigma1(c)));
    b = i32x4.add(b, f);
    f = i32x4.add(i32x4.add(f, majority(g, h, a)), bigSigma0(g));
    e = i32x4.add(i32x4.add(e, word(at, k, 3)), i32x4.add(choose(b, c, d), bigSigma1(b)));
    a = i32x4.add(a, e);
    e = i32x4.add(i32x4.add(e, majority(f, g, h)), bigSigma0(f));
    d = i32x4.add(i32x4.add(d, word(at, k, 4)), i32x4.add(choose(a, b, c), bigSigma1(a)));
    h = i32x4.add(h, d);
    d = i32x4.add(i32x4.add(d, majority(e, f, g)), bigSigma0(e));
    c = i32x4.add(i32x4.add(c, word(at, k, 5)), i32x4.add(choose(h, a, b), bigSigma1(h)));
    g = i32x4.add(g, c);
    c = i32x4.add(i32x4.add(c, majority(d, e, f)), bigSigma0(d));
    b = i32x4.add(i32x4.add(b, word(at, k, 6)), i32x4.add(choose(g, h, a), bigSigma1(g)));
    f = i32x4.add(f, b);
    b = i32x4.add(i32x4.add(b, majority(c, d, e)), bigSigma0(c));
    a = i32x4.add(i32x4.add(a, word(at, k, 7)), i32x4.add(choose(f, g, h), bigSigma1(f)));
    e = i32x4.add(e, a);
    a = i32x4.add(i32x4.add(a, majority(b, c, d)), bigSigma0(b));
    k += 8 * 4;
  }
  putDigestWord(target, 0, a);
  putDigestWord(target, 1, b);
  putDigestWord(target, 2, c);
  putDigestWord(target, 3, d);
  putDigestWord(target, 4, e);
  putDigestWord(target, 5, f);
  putDigestWord(target, 6, g);
  putDigestWord(target, 7, h);
}

/** Stores a word of the message schedule. */
// @ts-ignore: decorator
@inline
function putWord(index: usize, words: v128): void {
  v128.store(SCHEDULE + 16 * index, words);
}

/** The word of a round plus its constant. */
// @ts-ignore: decorator
@inline
function word(at: usize, k: usize, index: usize): v128 {
  return i32x4.add(v128.load(at + 16 * index), v128.load_splat<u32>(k + 4 * index));
}

/** A word of the initial hash value in every lane. */
// @ts-ignore: decorator
@inline
function initial(index: usize): v128 {
  return v128.load_splat<u32>(INITIAL_256 + 4 * index);
}

/** Adds the initial hash value, and writes the word of each lane to the lane's digest, big-endian. */
// @ts-ignore: decorator
@inline
function putDigestWord(target: usize, index: usize, words: v128): void {
  const sum = i32x4.add(words, initial(index));
  // prettier-ignore
  const bytes = v128.shuffle<u8>(sum, sum, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
  const at = target + 4 * index;
  v128.store_lane<u32>(at, bytes, 0, 0 * SHA256_DIGEST_LENGTH);
  v128.store_lane<u32>(at, bytes, 1, 1 * SHA256_DIGEST_LENGTH);
  v128.store_lane<u32>(at, bytes, 2, 2 * SHA256_DIGEST_LENGTH);
  v128.store_lane<u32>(at, bytes, 3, 3 * SHA256_DIGEST_LENGTH);
}

/** FIPS 180-4 (4.2) in every lane. */
// @ts-ignore: decorator
@inline
function choose(x: v128, y: v128, z: v128): v128 {
  return v128.bitselect(y, z, x);
}

/** FIPS 180-4 (4.3) in every lane; `x ^ y` is the next round's `y ^ z`. */
// @ts-ignore: decorator
@inline
function majority(x: v128, y: v128, z: v128): v128 {
  return v128.xor(y, v128.and(v128.xor(x, y), v128.xor(y, z)));
}

/** FIPS 180-4 (4.4) in every lane. */
// @ts-ignore: decorator
@inline
function bigSigma0(x: v128): v128 {
  return v128.xor(v128.xor(rotateRight<u32>(x, 2), rotateRight<u32>(x, 13)), rotateRight<u32>(x, 22));
}

/** FIPS 180-4 (4.5) in every lane. */
// @ts-ignore: decorator
@inline
function bigSigma1(x: v128): v128 {
  return v128.xor(v128.xor(rotateRight<u32>(x, 6), rotateRight<u32>(x, 11)), rotateRight<u32>(x, 25));
}

/**
 * SHA-256, SHA-384 and SHA-512 (FIPS 180-4). The two algorithms differ in word size, rotations, constants and number
 * of rounds only, so both are one generic function, compiled once for `u32` and once for `u64`.
 *
 * There is one running hash, in static memory: `hashBegin`, any number of `hashUpdate`, `hashFinish`. Nothing is
 * allocated, and whoever begins a hash finishes it before anybody else begins one.
 */
import { Slice, lengthOf, pointerOf } from "../abi/slice";

/** The hash functions of RFC 7518. */
export const enum Hash {
  Sha256,
  Sha384,
  Sha512,
}

/** The longest digest, in bytes: what a buffer for any digest must hold. */
export const MAX_DIGEST_LENGTH: i32 = 64;

/** The longest block, in bytes. */
export const MAX_BLOCK_LENGTH: i32 = 128;

/** The length of a digest in bytes: 32, 48 or 64. */
export function digestLength(hash: Hash): i32 {
  return 32 + 16 * <i32>hash;
}

/** The length of the blocks a message is cut into, in bytes: 64 or 128. */
export function blockLength(hash: Hash): i32 {
  return hash == Hash.Sha256 ? 64 : 128;
}

/** The first 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4 §4.2.2). */
// prettier-ignore
const K256: usize = memory.data<u32>([
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
]);

/** The first 64 bits of the fractional parts of the cube roots of the first 80 primes (FIPS 180-4 §4.2.3). */
// prettier-ignore
const K512: usize = memory.data<u64>([
  0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc,
  0x3956c25bf348b538, 0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118,
  0xd807aa98a3030242, 0x12835b0145706fbe, 0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2,
  0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235, 0xc19bf174cf692694,
  0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65,
  0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5,
  0x983e5152ee66dfab, 0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4,
  0xc6e00bf33da88fc2, 0xd5a79147930aa725, 0x06ca6351e003826f, 0x142929670a0e6e70,
  0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed, 0x53380d139d95b3df,
  0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b,
  0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30,
  0xd192e819d6ef5218, 0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8,
  0x19a4c116b8d2d0c8, 0x1e376c085141ab53, 0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8,
  0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373, 0x682e6ff3d6b2b8a3,
  0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
  0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b,
  0xca273eceea26619c, 0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178,
  0x06f067aa72176fba, 0x0a637dc5a2c898a6, 0x113f9804bef90dae, 0x1b710b35131c471b,
  0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc, 0x431d67c49c100d4c,
  0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817,
]);

/** The initial hash values (FIPS 180-4 §5.3.3, §5.3.4, §5.3.5). */
// prettier-ignore
const INITIAL_256: usize = memory.data<u32>([
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
]);
// prettier-ignore
const INITIAL_384: usize = memory.data<u64>([
  0xcbbb9d5dc1059ed8, 0x629a292a367cd507, 0x9159015a3070dd17, 0x152fecd8f70e5939,
  0x67332667ffc00b31, 0x8eb44a8768581511, 0xdb0c2e0d64f98fa7, 0x47b5481dbefa4fa4,
]);
// prettier-ignore
const INITIAL_512: usize = memory.data<u64>([
  0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
  0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
]);

/** The size in bytes of what `hashSave` writes: eight words. */
export const HASH_STATE_SIZE: i32 = 64;

/** The eight working words H0…H7 between blocks. */
const STATE: usize = memory.data(HASH_STATE_SIZE, 16);
/** The bytes of a block that is not full yet. */
const BLOCK: usize = memory.data(MAX_BLOCK_LENGTH, 16);

let current: Hash = Hash.Sha256;
/** Bytes of the message so far; `total mod block length` of them wait in BLOCK. */
let total: u64 = 0;

/** Starts the running hash anew. */
export function hashBegin(hash: Hash): void {
  current = hash;
  total = 0;
  if (hash == Hash.Sha256) memory.copy(STATE, INITIAL_256, 32);
  else memory.copy(STATE, hash == Hash.Sha384 ? INITIAL_384 : INITIAL_512, 64);
}

/** Adds the bytes of `text` to the running hash. */
export function hashUpdate(text: Slice): void {
  let source = pointerOf(text);
  let length = <usize>lengthOf(text);
  const size = <usize>blockLength(current);
  const waiting = (<usize>total) & (size - 1);
  total += length;
  if (waiting != 0) {
    const part = min(length, size - waiting);
    memory.copy(BLOCK + waiting, source, part);
    if (waiting + part < size) return;
    compress(BLOCK, BLOCK + size);
    source += part;
    length -= part;
  }
  const end = source + (length & ~(size - 1));
  if (end != source) compress(source, end);
  memory.copy(BLOCK, end, length & (size - 1));
}

/**
 * Ends the running hash (FIPS 180-4 §5.1: a one bit, zeros, the message's length in bits).
 * @param target where `digestLength` bytes are written
 */
export function hashFinish(target: usize): void {
  const size = <usize>blockLength(current);
  const lengthField: usize = size >> 3;
  let waiting = (<usize>total) & (size - 1);
  store<u8>(BLOCK + waiting++, 0x80);
  if (waiting > size - lengthField) {
    memory.fill(BLOCK + waiting, 0, size - waiting);
    compress(BLOCK, BLOCK + size);
    waiting = 0;
  }
  // The length is below 2^64 bits: of SHA-512's 128-bit field the upper half stays zero.
  memory.fill(BLOCK + waiting, 0, size - 8 - waiting);
  store<u64>(BLOCK + size - 8, bswap<u64>(total << 3));
  compress(BLOCK, BLOCK + size);
  const words = <usize>digestLength(current);
  if (current == Hash.Sha256) {
    for (let i: usize = 0; i < words; i += 4) store<u32>(target + i, bswap<u32>(load<u32>(STATE + i)));
  } else {
    for (let i: usize = 0; i < words; i += 8) store<u64>(target + i, bswap<u64>(load<u64>(STATE + i)));
  }
}

/** Writes the running hash's state, which must stand at the end of a block, into `HASH_STATE_SIZE` bytes at `state`. */
export function hashSave(state: usize): void {
  memory.copy(state, STATE, HASH_STATE_SIZE);
}

/** Goes on from a state that `hashSave` wrote after one block of `hash`. */
export function hashResume(hash: Hash, state: usize): void {
  current = hash;
  total = <u64>blockLength(hash);
  memory.copy(STATE, state, HASH_STATE_SIZE);
}

/** Writes the digest of `text`, `digestLength` bytes, to `target`. */
export function digest(hash: Hash, text: Slice, target: usize): void {
  hashBegin(hash);
  hashUpdate(text);
  hashFinish(target);
}

/** Takes the whole blocks from `block` up to `end` into the running hash. */
function compress(block: usize, end: usize): void {
  if (current == Hash.Sha256) compressWords<u32>(block, end);
  else compressWords<u64>(block, end);
}

/** A word of a message: FIPS 180-4 counts bytes from the most significant. */
// @ts-ignore: decorator
@inline
function bigEndian<T>(block: usize, offset: usize): T {
  return bswap<T>(load<T>(block + offset));
}

/** FIPS 180-4 (4.2) and (4.8), with one operation less. */
// @ts-ignore: decorator
@inline
function choose<T>(x: T, y: T, z: T): T {
  return z ^ (x & (y ^ z));
}

/** FIPS 180-4 (4.3) and (4.9), with one operation less; `x ^ y` is the next round's `y ^ z`. */
// @ts-ignore: decorator
@inline
function majority<T>(x: T, y: T, z: T): T {
  return y ^ ((x ^ y) & (y ^ z));
}

/** FIPS 180-4 (4.4) and (4.10). */
// @ts-ignore: decorator
@inline
function bigSigma0<T>(x: T): T {
  return sizeof<T>() == 4
    ? rotr<T>(x, 2) ^ rotr<T>(x, 13) ^ rotr<T>(x, 22)
    : rotr<T>(x, 28) ^ rotr<T>(x, 34) ^ rotr<T>(x, 39);
}

/** FIPS 180-4 (4.5) and (4.11). */
// @ts-ignore: decorator
@inline
function bigSigma1<T>(x: T): T {
  return sizeof<T>() == 4
    ? rotr<T>(x, 6) ^ rotr<T>(x, 11) ^ rotr<T>(x, 25)
    : rotr<T>(x, 14) ^ rotr<T>(x, 18) ^ rotr<T>(x, 41);
}

/** FIPS 180-4 (4.6) and (4.12). */
// @ts-ignore: decorator
@inline
function smallSigma0<T>(x: T): T {
  return sizeof<T>() == 4
    ? rotr<T>(x, 7) ^ rotr<T>(x, 18) ^ (x >> 3)
    : rotr<T>(x, 1) ^ rotr<T>(x, 8) ^ (x >> 7);
}

/** FIPS 180-4 (4.7) and (4.13). */
// @ts-ignore: decorator
@inline
function smallSigma1<T>(x: T): T {
  return sizeof<T>() == 4
    ? rotr<T>(x, 17) ^ rotr<T>(x, 19) ^ (x >> 10)
    : rotr<T>(x, 19) ^ rotr<T>(x, 61) ^ (x >> 6);
}

/**
 * FIPS 180-4 §6.2.2 and §6.4.2 over the blocks from `block` up to `end`, at least one. Sixteen rounds are written out,
 * so that the working variables change names instead of places and the message schedule stays in sixteen locals. The sums
 * begin with what is known first: a round waits for the one before it only with its last two additions.
 */
function compressWords<T>(block: usize, end: usize): void {
  let a = load<T>(STATE, 0 * sizeof<T>());
  let b = load<T>(STATE, 1 * sizeof<T>());
  let c = load<T>(STATE, 2 * sizeof<T>());
  let d = load<T>(STATE, 3 * sizeof<T>());
  let e = load<T>(STATE, 4 * sizeof<T>());
  let f = load<T>(STATE, 5 * sizeof<T>());
  let g = load<T>(STATE, 6 * sizeof<T>());
  let h = load<T>(STATE, 7 * sizeof<T>());
  const firstK = sizeof<T>() == 4 ? K256 : K512;
  const lastK = firstK + (sizeof<T>() == 4 ? 48 : 64) * sizeof<T>();
  do {
    let w0 = bigEndian<T>(block, 0 * sizeof<T>());
    let w1 = bigEndian<T>(block, 1 * sizeof<T>());
    let w2 = bigEndian<T>(block, 2 * sizeof<T>());
    let w3 = bigEndian<T>(block, 3 * sizeof<T>());
    let w4 = bigEndian<T>(block, 4 * sizeof<T>());
    let w5 = bigEndian<T>(block, 5 * sizeof<T>());
    let w6 = bigEndian<T>(block, 6 * sizeof<T>());
    let w7 = bigEndian<T>(block, 7 * sizeof<T>());
    let w8 = bigEndian<T>(block, 8 * sizeof<T>());
    let w9 = bigEndian<T>(block, 9 * sizeof<T>());
    let w10 = bigEndian<T>(block, 10 * sizeof<T>());
    let w11 = bigEndian<T>(block, 11 * sizeof<T>());
    let w12 = bigEndian<T>(block, 12 * sizeof<T>());
    let w13 = bigEndian<T>(block, 13 * sizeof<T>());
    let w14 = bigEndian<T>(block, 14 * sizeof<T>());
    let w15 = bigEndian<T>(block, 15 * sizeof<T>());
    for (let k = firstK; ; k += 16 * sizeof<T>()) {
      h = h + w0 + load<T>(k, 0 * sizeof<T>()) + choose<T>(e, f, g) + bigSigma1<T>(e);
      d += h;
      h = h + majority<T>(a, b, c) + bigSigma0<T>(a);
      g = g + w1 + load<T>(k, 1 * sizeof<T>()) + choose<T>(d, e, f) + bigSigma1<T>(d);
      c += g;
      g = g + majority<T>(h, a, b) + bigSigma0<T>(h);
      f = f + w2 + load<T>(k, 2 * sizeof<T>()) + choose<T>(c, d, e) + bigSigma1<T>(c);
      b += f;
      f = f + majority<T>(g, h, a) + bigSigma0<T>(g);
      e = e + w3 + load<T>(k, 3 * sizeof<T>()) + choose<T>(b, c, d) + bigSigma1<T>(b);
      a += e;
      e = e + majority<T>(f, g, h) + bigSigma0<T>(f);
      d = d + w4 + load<T>(k, 4 * sizeof<T>()) + choose<T>(a, b, c) + bigSigma1<T>(a);
      h += d;
      d = d + majority<T>(e, f, g) + bigSigma0<T>(e);
      c = c + w5 + load<T>(k, 5 * sizeof<T>()) + choose<T>(h, a, b) + bigSigma1<T>(h);
      g += c;
      c = c + majority<T>(d, e, f) + bigSigma0<T>(d);
      b = b + w6 + load<T>(k, 6 * sizeof<T>()) + choose<T>(g, h, a) + bigSigma1<T>(g);
      f += b;
      b = b + majority<T>(c, d, e) + bigSigma0<T>(c);
      a = a + w7 + load<T>(k, 7 * sizeof<T>()) + choose<T>(f, g, h) + bigSigma1<T>(f);
      e += a;
      a = a + majority<T>(b, c, d) + bigSigma0<T>(b);
      h = h + w8 + load<T>(k, 8 * sizeof<T>()) + choose<T>(e, f, g) + bigSigma1<T>(e);
      d += h;
      h = h + majority<T>(a, b, c) + bigSigma0<T>(a);
      g = g + w9 + load<T>(k, 9 * sizeof<T>()) + choose<T>(d, e, f) + bigSigma1<T>(d);
      c += g;
      g = g + majority<T>(h, a, b) + bigSigma0<T>(h);
      f = f + w10 + load<T>(k, 10 * sizeof<T>()) + choose<T>(c, d, e) + bigSigma1<T>(c);
      b += f;
      f = f + majority<T>(g, h, a) + bigSigma0<T>(g);
      e = e + w11 + load<T>(k, 11 * sizeof<T>()) + choose<T>(b, c, d) + bigSigma1<T>(b);
      a += e;
      e = e + majority<T>(f, g, h) + bigSigma0<T>(f);
      d = d + w12 + load<T>(k, 12 * sizeof<T>()) + choose<T>(a, b, c) + bigSigma1<T>(a);
      h += d;
      d = d + majority<T>(e, f, g) + bigSigma0<T>(e);
      c = c + w13 + load<T>(k, 13 * sizeof<T>()) + choose<T>(h, a, b) + bigSigma1<T>(h);
      g += c;
      c = c + majority<T>(d, e, f) + bigSigma0<T>(d);
      b = b + w14 + load<T>(k, 14 * sizeof<T>()) + choose<T>(g, h, a) + bigSigma1<T>(g);
      f += b;
      b = b + majority<T>(c, d, e) + bigSigma0<T>(c);
      a = a + w15 + load<T>(k, 15 * sizeof<T>()) + choose<T>(f, g, h) + bigSigma1<T>(f);
      e += a;
      a = a + majority<T>(b, c, d) + bigSigma0<T>(b);
      if (k == lastK) break;
      w0 += smallSigma1<T>(w14) + w9 + smallSigma0<T>(w1);
      w1 += smallSigma1<T>(w15) + w10 + smallSigma0<T>(w2);
      w2 += smallSigma1<T>(w0) + w11 + smallSigma0<T>(w3);
      w3 += smallSigma1<T>(w1) + w12 + smallSigma0<T>(w4);
      w4 += smallSigma1<T>(w2) + w13 + smallSigma0<T>(w5);
      w5 += smallSigma1<T>(w3) + w14 + smallSigma0<T>(w6);
      w6 += smallSigma1<T>(w4) + w15 + smallSigma0<T>(w7);
      w7 += smallSigma1<T>(w5) + w0 + smallSigma0<T>(w8);
      w8 += smallSigma1<T>(w6) + w1 + smallSigma0<T>(w9);
      w9 += smallSigma1<T>(w7) + w2 + smallSigma0<T>(w10);
      w10 += smallSigma1<T>(w8) + w3 + smallSigma0<T>(w11);
      w11 += smallSigma1<T>(w9) + w4 + smallSigma0<T>(w12);
      w12 += smallSigma1<T>(w10) + w5 + smallSigma0<T>(w13);
      w13 += smallSigma1<T>(w11) + w6 + smallSigma0<T>(w14);
      w14 += smallSigma1<T>(w12) + w7 + smallSigma0<T>(w15);
      w15 += smallSigma1<T>(w13) + w8 + smallSigma0<T>(w0);
    }
    store<T>(STATE, (a += load<T>(STATE, 0 * sizeof<T>())), 0 * sizeof<T>());
    store<T>(STATE, (b += load<T>(STATE, 1 * sizeof<T>())), 1 * sizeof<T>());
    store<T>(STATE, (c += load<T>(STATE, 2 * sizeof<T>())), 2 * sizeof<T>());
    store<T>(STATE, (d += load<T>(STATE, 3 * sizeof<T>())), 3 * sizeof<T>());
    store<T>(STATE, (e += load<T>(STATE, 4 * sizeof<T>())), 4 * sizeof<T>());
    store<T>(STATE, (f += load<T>(STATE, 5 * sizeof<T>())), 5 * sizeof<T>());
    store<T>(STATE, (g += load<T>(STATE, 6 * sizeof<T>())), 6 * sizeof<T>());
    store<T>(STATE, (h += load<T>(STATE, 7 * sizeof<T>())), 7 * sizeof<T>());
    block += 16 * sizeof<T>();
  } while (block != end);
}

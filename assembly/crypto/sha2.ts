/**
 * SHA-256, SHA-384 and SHA-512 (FIPS 180-4). The two algorithms differ only in word size, rotations, constants and
 * number of rounds, so both are one generic function, compiled once for `u32` and once for `u64`.
 *
 * There is one running hash, in static memory: `hashBegin`, any number of `hashUpdate`, `hashFinish`. Nothing is
 * allocated. A caller must finish its hash before another one begins.
 */
import { Slice, lengthOf, pointerOf } from "../memory/slice";

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

/** The length of a message block, in bytes: 64 or 128. */
export function blockLength(hash: Hash): i32 {
  return hash == Hash.Sha256 ? 64 : 128;
}

/** The first 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4 §4.2.2). */
// prettier-ignore
export const K256: usize = memory.data<u32>([
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
export const INITIAL_256: usize = memory.data<u32>([
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
/** The sixteen words of the next rounds, plus their constants. */
const SCHEDULE: usize = memory.data(MAX_BLOCK_LENGTH, 16);
/** The bytes of an incomplete block. */
const BLOCK: usize = memory.data(MAX_BLOCK_LENGTH, 16);

let current: Hash = Hash.Sha256;
/** Bytes of the message so far; `total mod block length` of them are in BLOCK. */
let total: u64 = 0;

/** Begins a new running hash. */
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
 * @param target receives `digestLength` bytes
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
  // The length is below 2^64 bits, so the upper half of SHA-512's 128-bit field stays zero.
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

/** Writes the running hash's state to `HASH_STATE_SIZE` bytes at `state`. The message so far must end with a block. */
export function hashSave(state: usize): void {
  memory.copy(state, STATE, HASH_STATE_SIZE);
}

/** Continues from a state that `hashSave` wrote after one block of `hash`. */
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

/** Adds the whole blocks from `block` up to `end` to the running hash. */
function compress(block: usize, end: usize): void {
  if (current == Hash.Sha256) compressWords<u32>(block, end);
  else compressWords<u64>(block, end);
}

/** Sixteen bytes of a message as words; FIPS 180-4 is big-endian. */
// @ts-ignore: decorator
@inline
function messageWords<T>(block: usize, offset: usize): v128 {
  const bytes = v128.load(block + offset);
  // prettier-ignore
  return sizeof<T>() == 4
    ? v128.shuffle<u8>(bytes, bytes, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12)
    : v128.shuffle<u8>(bytes, bytes, 7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8);
}

/** Stores words plus their constants for the rounds. */
// @ts-ignore: decorator
@inline
function putWords<T>(offset: usize, words: v128, k: usize): void {
  v128.store(SCHEDULE + offset, v128.add<T>(words, v128.load(k + offset)));
}

/** FIPS 180-4 (4.2) and (4.8), with one operation fewer. */
// @ts-ignore: decorator
@inline
function choose<T>(x: T, y: T, z: T): T {
  return z ^ (x & (y ^ z));
}

/** FIPS 180-4 (4.3) and (4.9), with one operation fewer; `x ^ y` is the next round's `y ^ z`. */
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

/** ROTR of FIPS 180-4 §3.2 on every word of a vector. */
// @ts-ignore: decorator
@inline
export function rotateRight<T>(x: v128, bits: i32): v128 {
  return v128.or(v128.shr<T>(x, bits), v128.shl<T>(x, 8 * <i32>sizeof<T>() - bits));
}

/** FIPS 180-4 (4.6) and (4.12). */
// @ts-ignore: decorator
@inline
export function smallSigma0<T>(x: v128): v128 {
  return sizeof<T>() == 4
    ? v128.xor(v128.xor(rotateRight<T>(x, 7), rotateRight<T>(x, 18)), v128.shr<T>(x, 3))
    : v128.xor(v128.xor(rotateRight<T>(x, 1), rotateRight<T>(x, 8)), v128.shr<T>(x, 7));
}

/** FIPS 180-4 (4.7) and (4.13). */
// @ts-ignore: decorator
@inline
export function smallSigma1<T>(x: v128): v128 {
  return sizeof<T>() == 4
    ? v128.xor(v128.xor(rotateRight<T>(x, 17), rotateRight<T>(x, 19)), v128.shr<T>(x, 10))
    : v128.xor(v128.xor(rotateRight<T>(x, 19), rotateRight<T>(x, 61)), v128.shr<T>(x, 6));
}

/**
 * The next four words of SHA-256's message schedule (FIPS 180-4 §6.2.2 step 1), from the sixteen before. Words 2 and 3
 * depend on words 0 and 1.
 */
// @ts-ignore: decorator
@inline
function nextFourWords(x0: v128, x1: v128, x2: v128, x3: v128): v128 {
  const zero = i32x4.splat(0);
  const sum = i32x4.add(x0, smallSigma0<u32>(v128.shuffle<u32>(x0, x1, 1, 2, 3, 4)));
  const sums = i32x4.add(sum, v128.shuffle<u32>(x2, x3, 1, 2, 3, 4));
  const first = i32x4.add(sums, smallSigma1<u32>(v128.shuffle<u32>(x3, zero, 2, 3, 4, 4)));
  return i32x4.add(first, smallSigma1<u32>(v128.shuffle<u32>(zero, first, 0, 0, 4, 5)));
}

/** The next two words of SHA-512's message schedule (FIPS 180-4 §6.4.2 step 1), from the sixteen before. */
// @ts-ignore: decorator
@inline
function nextTwoWords(x0: v128, x1: v128, x4: v128, x5: v128, x7: v128): v128 {
  const sum = i64x2.add(x0, smallSigma0<u64>(v128.shuffle<u64>(x0, x1, 1, 2)));
  return i64x2.add(i64x2.add(sum, v128.shuffle<u64>(x4, x5, 1, 2)), smallSigma1<u64>(x7));
}

/**
 * FIPS 180-4 §6.2.2 and §6.4.2 over the blocks from `block` up to `end`, at least one. Sixteen rounds are unrolled, so
 * that the working variables change names instead of being copied. The sums begin with the operands that are known
 * first, so a round waits for the previous one only in its last two additions.
 *
 * The sixteen words of the message schedule for the next sixteen rounds are computed in between, in vectors: x0 to x3
 * with four words of 32 bits each, or x0 to x7 with two of 64. The processor then does both at the same time. The last
 * sixteen rounds compute sixteen words that are not used; a check for the last rounds would take longer.
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
    let x0 = messageWords<T>(block, 0);
    let x1 = messageWords<T>(block, 16);
    let x2 = messageWords<T>(block, 32);
    let x3 = messageWords<T>(block, 48);
    let x4 = sizeof<T>() == 8 ? messageWords<T>(block, 64) : x0;
    let x5 = sizeof<T>() == 8 ? messageWords<T>(block, 80) : x0;
    let x6 = sizeof<T>() == 8 ? messageWords<T>(block, 96) : x0;
    let x7 = sizeof<T>() == 8 ? messageWords<T>(block, 112) : x0;
    putWords<T>(0, x0, firstK);
    putWords<T>(16, x1, firstK);
    putWords<T>(32, x2, firstK);
    putWords<T>(48, x3, firstK);
    if (sizeof<T>() == 8) putWords<T>(64, x4, firstK);
    if (sizeof<T>() == 8) putWords<T>(80, x5, firstK);
    if (sizeof<T>() == 8) putWords<T>(96, x6, firstK);
    if (sizeof<T>() == 8) putWords<T>(112, x7, firstK);
    for (let k = firstK; ;) {
      const isLast = k == lastK;
      k = isLast ? firstK : k + 16 * sizeof<T>();
      if (sizeof<T>() == 8) x0 = nextTwoWords(x0, x1, x4, x5, x7);
      if (sizeof<T>() == 4) x0 = nextFourWords(x0, x1, x2, x3);
      h = h + load<T>(SCHEDULE, 0 * sizeof<T>()) + choose<T>(e, f, g) + bigSigma1<T>(e);
      d += h;
      h = h + majority<T>(a, b, c) + bigSigma0<T>(a);
      g = g + load<T>(SCHEDULE, 1 * sizeof<T>()) + choose<T>(d, e, f) + bigSigma1<T>(d);
      c += g;
      g = g + majority<T>(h, a, b) + bigSigma0<T>(h);
      if (sizeof<T>() == 8) putWords<T>(0, x0, k);
      if (sizeof<T>() == 8) x1 = nextTwoWords(x1, x2, x5, x6, x0);
      f = f + load<T>(SCHEDULE, 2 * sizeof<T>()) + choose<T>(c, d, e) + bigSigma1<T>(c);
      b += f;
      f = f + majority<T>(g, h, a) + bigSigma0<T>(g);
      e = e + load<T>(SCHEDULE, 3 * sizeof<T>()) + choose<T>(b, c, d) + bigSigma1<T>(b);
      a += e;
      e = e + majority<T>(f, g, h) + bigSigma0<T>(f);
      if (sizeof<T>() == 8) putWords<T>(16, x1, k);
      if (sizeof<T>() == 4) putWords<T>(0, x0, k);
      if (sizeof<T>() == 8) x2 = nextTwoWords(x2, x3, x6, x7, x1);
      if (sizeof<T>() == 4) x1 = nextFourWords(x1, x2, x3, x0);
      d = d + load<T>(SCHEDULE, 4 * sizeof<T>()) + choose<T>(a, b, c) + bigSigma1<T>(a);
      h += d;
      d = d + majority<T>(e, f, g) + bigSigma0<T>(e);
      c = c + load<T>(SCHEDULE, 5 * sizeof<T>()) + choose<T>(h, a, b) + bigSigma1<T>(h);
      g += c;
      c = c + majority<T>(d, e, f) + bigSigma0<T>(d);
      if (sizeof<T>() == 8) putWords<T>(32, x2, k);
      if (sizeof<T>() == 8) x3 = nextTwoWords(x3, x4, x7, x0, x2);
      b = b + load<T>(SCHEDULE, 6 * sizeof<T>()) + choose<T>(g, h, a) + bigSigma1<T>(g);
      f += b;
      b = b + majority<T>(c, d, e) + bigSigma0<T>(c);
      a = a + load<T>(SCHEDULE, 7 * sizeof<T>()) + choose<T>(f, g, h) + bigSigma1<T>(f);
      e += a;
      a = a + majority<T>(b, c, d) + bigSigma0<T>(b);
      if (sizeof<T>() == 8) putWords<T>(48, x3, k);
      if (sizeof<T>() == 4) putWords<T>(16, x1, k);
      if (sizeof<T>() == 8) x4 = nextTwoWords(x4, x5, x0, x1, x3);
      if (sizeof<T>() == 4) x2 = nextFourWords(x2, x3, x0, x1);
      h = h + load<T>(SCHEDULE, 8 * sizeof<T>()) + choose<T>(e, f, g) + bigSigma1<T>(e);
      d += h;
      h = h + majority<T>(a, b, c) + bigSigma0<T>(a);
      g = g + load<T>(SCHEDULE, 9 * sizeof<T>()) + choose<T>(d, e, f) + bigSigma1<T>(d);
      c += g;
      g = g + majority<T>(h, a, b) + bigSigma0<T>(h);
      if (sizeof<T>() == 8) putWords<T>(64, x4, k);
      if (sizeof<T>() == 8) x5 = nextTwoWords(x5, x6, x1, x2, x4);
      f = f + load<T>(SCHEDULE, 10 * sizeof<T>()) + choose<T>(c, d, e) + bigSigma1<T>(c);
      b += f;
      f = f + majority<T>(g, h, a) + bigSigma0<T>(g);
      e = e + load<T>(SCHEDULE, 11 * sizeof<T>()) + choose<T>(b, c, d) + bigSigma1<T>(b);
      a += e;
      e = e + majority<T>(f, g, h) + bigSigma0<T>(f);
      if (sizeof<T>() == 8) putWords<T>(80, x5, k);
      if (sizeof<T>() == 4) putWords<T>(32, x2, k);
      if (sizeof<T>() == 8) x6 = nextTwoWords(x6, x7, x2, x3, x5);
      if (sizeof<T>() == 4) x3 = nextFourWords(x3, x0, x1, x2);
      d = d + load<T>(SCHEDULE, 12 * sizeof<T>()) + choose<T>(a, b, c) + bigSigma1<T>(a);
      h += d;
      d = d + majority<T>(e, f, g) + bigSigma0<T>(e);
      c = c + load<T>(SCHEDULE, 13 * sizeof<T>()) + choose<T>(h, a, b) + bigSigma1<T>(h);
      g += c;
      c = c + majority<T>(d, e, f) + bigSigma0<T>(d);
      if (sizeof<T>() == 8) putWords<T>(96, x6, k);
      if (sizeof<T>() == 8) x7 = nextTwoWords(x7, x0, x3, x4, x6);
      b = b + load<T>(SCHEDULE, 14 * sizeof<T>()) + choose<T>(g, h, a) + bigSigma1<T>(g);
      f += b;
      b = b + majority<T>(c, d, e) + bigSigma0<T>(c);
      a = a + load<T>(SCHEDULE, 15 * sizeof<T>()) + choose<T>(f, g, h) + bigSigma1<T>(f);
      e += a;
      a = a + majority<T>(b, c, d) + bigSigma0<T>(b);
      if (sizeof<T>() == 8) putWords<T>(112, x7, k);
      if (sizeof<T>() == 4) putWords<T>(48, x3, k);
      if (isLast) break;
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

/**
 * SHAKE128 and SHAKE256 (FIPS 202 §6.2), as ML-DSA uses them: SHAKE256 of one message, and SHAKE128 of two seeds at
 * once.
 *
 * The permutation is one generic function, compiled for one state in 64-bit words and for two states in the two lanes
 * of vectors. Two states at once take about as long as one (docs/decisions/0029-ml-dsa-in-the-module.md).
 *
 * There is one running hash and one running pair, in static memory. Nothing is allocated. A caller must finish its hash
 * before another one begins.
 */
import { Slice, lengthOf, pointerOf } from "../memory/slice";

/** The bytes of a state that take in a message and give out a digest: "rate" (FIPS 202 §6.2). */
export const RATE_256: i32 = 136;
export const RATE_128: i32 = 168;

const WORDS: i32 = 25;
const ROUNDS: usize = 24;

/** FIPS 202 §6.2 and §5.1: four one bits and the first bit of the padding follow a message; the last bit ends a block. */
const SUFFIX: u64 = 0x1f;
const LAST_BIT: u64 = 1 << 63;

/** The round constants of ι (FIPS 202 §3.2.5). */
// prettier-ignore
const CONSTANTS: usize = memory.data<u64>([
  0x0000000000000001, 0x0000000000008082, 0x800000000000808a, 0x8000000080008000,
  0x000000000000808b, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
  0x000000000000008a, 0x0000000000000088, 0x0000000080008009, 0x000000008000000a,
  0x000000008000808b, 0x800000000000008b, 0x8000000000008089, 0x8000000000008003,
  0x8000000000008002, 0x8000000000000080, 0x000000000000800a, 0x800000008000000a,
  0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
]);

/** The state of the running hash. */
const STATE: usize = memory.data(8 * 25, 16);
/** The number of bytes that were added to the current block of the running hash. */
let filled: i32 = 0;

/** The states of the running pair: word i of both, side by side. */
const PAIR: usize = memory.data(16 * 25, 16);

/** Begins SHAKE256 of a message. */
export function shakeBegin(): void {
  memory.fill(STATE, 0, 8 * WORDS);
  filled = 0;
}

/** Adds the bytes of `text` to the message. */
export function shakeUpdate(text: Slice): void {
  let source = pointerOf(text);
  let rest = lengthOf(text);
  while (rest > 0) {
    const part = min(rest, RATE_256 - filled);
    addBytes(STATE + <usize>filled, source, part);
    source += <usize>part;
    rest -= part;
    filled += part;
    if (filled == RATE_256) {
      permute<u64>(STATE);
      filled = 0;
    }
  }
}

/**
 * Ends the message.
 *
 * @param target receives the first `length` bytes of the digest, at most `RATE_256`
 */
export function shakeFinish(target: usize, length: i32): void {
  const at = STATE + <usize>filled;
  store<u8>(at, load<u8>(at) ^ (<u8>SUFFIX));
  const last = STATE + RATE_256 - 8;
  store<u64>(last, load<u64>(last) ^ LAST_BIT);
  permute<u64>(STATE);
  memory.copy(target, STATE, <usize>length);
}

/** After `shakeFinish`, writes the next `RATE_256` bytes of the digest. */
export function shakeNext(target: usize): void {
  permute<u64>(STATE);
  memory.copy(target, STATE, RATE_256);
}

/**
 * Begins SHAKE128 of two messages of 34 bytes.
 * @param seed their first 32 bytes
 * @param first the last two bytes of the first message, little-endian
 * @param second those of the second message
 */
export function pairBegin(seed: usize, first: u32, second: u32): void {
  memory.fill(PAIR, 0, 16 * WORDS);
  for (let i: usize = 0; i < 4; i++) v128.store(PAIR + 16 * i, v128.load_splat<u64>(seed + 8 * i));
  v128.store(PAIR + 16 * 4, i64x2((<u64>first) | (SUFFIX << 16), (<u64>second) | (SUFFIX << 16)));
  v128.store(PAIR + 2 * (RATE_128 - 8), i64x2.splat(LAST_BIT));
}

/** Writes the next `RATE_128` bytes of both digests. */
export function pairNext(first: usize, second: usize): void {
  permute<v128>(PAIR);
  for (let i: usize = 0; i < <usize>RATE_128; i += 8) {
    const words = v128.load(PAIR + 2 * i);
    v128.store_lane<u64>(first + i, words, 0);
    v128.store_lane<u64>(second + i, words, 1);
  }
}

/** XORs `length` bytes at `source` into those at `target`. */
function addBytes(target: usize, source: usize, length: i32): void {
  const end = source + <usize>length;
  for (; source + 8 <= end; source += 8, target += 8)
    store<u64>(target, load<u64>(target) ^ load<u64>(source));
  for (; source < end; source++, target++) store<u8>(target, load<u8>(target) ^ load<u8>(source));
}

// @ts-ignore: decorator
@inline
function xor<T>(a: T, b: T): T {
  return isVector<T>() ? v128.xor(a, b) : a ^ b;
}

/** The exclusive or of a column (θ, FIPS 202 §3.2.1). */
// @ts-ignore: decorator
@inline
function parity<T>(a: T, b: T, c: T, d: T, e: T): T {
  return xor<T>(xor<T>(xor<T>(a, b), xor<T>(c, d)), e);
}

// @ts-ignore: decorator
@inline
function rotate<T>(a: T, bits: i32): T {
  return isVector<T>() ? v128.or(v128.shl<u64>(a, bits), v128.shr<u64>(a, 64 - bits)) : rotl<T>(a, <T>bits);
}

/** χ for one word (FIPS 202 §3.2.4). */
// @ts-ignore: decorator
@inline
function chi<T>(a: T, b: T, c: T): T {
  return isVector<T>() ? v128.xor(a, v128.andnot(c, b)) : a ^ (~b & c);
}

// @ts-ignore: decorator
@inline
function constant<T>(round: usize): T {
  const at = CONSTANTS + 8 * round;
  return isVector<T>() ? v128.load_splat<u64>(at) : load<T>(at);
}

/**
 * Keccak-f[1600] (FIPS 202 §3.3), with word x + 5y of the state for the lane (x, y).
 *
 * Each row of a round's result is computed at once: the words that π brings there, with θ and ρ applied, then χ.
 */
function permute<T>(state: usize): void {
  let a0 = load<T>(state, 0 * sizeof<T>());
  let a1 = load<T>(state, 1 * sizeof<T>());
  let a2 = load<T>(state, 2 * sizeof<T>());
  let a3 = load<T>(state, 3 * sizeof<T>());
  let a4 = load<T>(state, 4 * sizeof<T>());
  let a5 = load<T>(state, 5 * sizeof<T>());
  let a6 = load<T>(state, 6 * sizeof<T>());
  let a7 = load<T>(state, 7 * sizeof<T>());
  let a8 = load<T>(state, 8 * sizeof<T>());
  let a9 = load<T>(state, 9 * sizeof<T>());
  let a10 = load<T>(state, 10 * sizeof<T>());
  let a11 = load<T>(state, 11 * sizeof<T>());
  let a12 = load<T>(state, 12 * sizeof<T>());
  let a13 = load<T>(state, 13 * sizeof<T>());
  let a14 = load<T>(state, 14 * sizeof<T>());
  let a15 = load<T>(state, 15 * sizeof<T>());
  let a16 = load<T>(state, 16 * sizeof<T>());
  let a17 = load<T>(state, 17 * sizeof<T>());
  let a18 = load<T>(state, 18 * sizeof<T>());
  let a19 = load<T>(state, 19 * sizeof<T>());
  let a20 = load<T>(state, 20 * sizeof<T>());
  let a21 = load<T>(state, 21 * sizeof<T>());
  let a22 = load<T>(state, 22 * sizeof<T>());
  let a23 = load<T>(state, 23 * sizeof<T>());
  let a24 = load<T>(state, 24 * sizeof<T>());
  for (let round: usize = 0; round < ROUNDS; round++) {
    const c0 = parity<T>(a0, a5, a10, a15, a20);
    const c1 = parity<T>(a1, a6, a11, a16, a21);
    const c2 = parity<T>(a2, a7, a12, a17, a22);
    const c3 = parity<T>(a3, a8, a13, a18, a23);
    const c4 = parity<T>(a4, a9, a14, a19, a24);
    const d0 = xor<T>(c4, rotate<T>(c1, 1));
    const d1 = xor<T>(c0, rotate<T>(c2, 1));
    const d2 = xor<T>(c1, rotate<T>(c3, 1));
    const d3 = xor<T>(c2, rotate<T>(c4, 1));
    const d4 = xor<T>(c3, rotate<T>(c0, 1));
    let b0 = xor<T>(a0, d0);
    let b1 = rotate<T>(xor<T>(a6, d1), 44);
    let b2 = rotate<T>(xor<T>(a12, d2), 43);
    let b3 = rotate<T>(xor<T>(a18, d3), 21);
    let b4 = rotate<T>(xor<T>(a24, d4), 14);
    const e0 = xor<T>(chi<T>(b0, b1, b2), constant<T>(round));
    const e1 = chi<T>(b1, b2, b3);
    const e2 = chi<T>(b2, b3, b4);
    const e3 = chi<T>(b3, b4, b0);
    const e4 = chi<T>(b4, b0, b1);
    b0 = rotate<T>(xor<T>(a3, d3), 28);
    b1 = rotate<T>(xor<T>(a9, d4), 20);
    b2 = rotate<T>(xor<T>(a10, d0), 3);
    b3 = rotate<T>(xor<T>(a16, d1), 45);
    b4 = rotate<T>(xor<T>(a22, d2), 61);
    const e5 = chi<T>(b0, b1, b2);
    const e6 = chi<T>(b1, b2, b3);
    const e7 = chi<T>(b2, b3, b4);
    const e8 = chi<T>(b3, b4, b0);
    const e9 = chi<T>(b4, b0, b1);
    b0 = rotate<T>(xor<T>(a1, d1), 1);
    b1 = rotate<T>(xor<T>(a7, d2), 6);
    b2 = rotate<T>(xor<T>(a13, d3), 25);
    b3 = rotate<T>(xor<T>(a19, d4), 8);
    b4 = rotate<T>(xor<T>(a20, d0), 18);
    const e10 = chi<T>(b0, b1, b2);
    const e11 = chi<T>(b1, b2, b3);
    const e12 = chi<T>(b2, b3, b4);
    const e13 = chi<T>(b3, b4, b0);
    const e14 = chi<T>(b4, b0, b1);
    b0 = rotate<T>(xor<T>(a4, d4), 27);
    b1 = rotate<T>(xor<T>(a5, d0), 36);
    b2 = rotate<T>(xor<T>(a11, d1), 10);
    b3 = rotate<T>(xor<T>(a17, d2), 15);
    b4 = rotate<T>(xor<T>(a23, d3), 56);
    const e15 = chi<T>(b0, b1, b2);
    const e16 = chi<T>(b1, b2, b3);
    const e17 = chi<T>(b2, b3, b4);
    const e18 = chi<T>(b3, b4, b0);
    const e19 = chi<T>(b4, b0, b1);
    b0 = rotate<T>(xor<T>(a2, d2), 62);
    b1 = rotate<T>(xor<T>(a8, d3), 55);
    b2 = rotate<T>(xor<T>(a14, d4), 39);
    b3 = rotate<T>(xor<T>(a15, d0), 41);
    b4 = rotate<T>(xor<T>(a21, d1), 2);
    const e20 = chi<T>(b0, b1, b2);
    const e21 = chi<T>(b1, b2, b3);
    const e22 = chi<T>(b2, b3, b4);
    const e23 = chi<T>(b3, b4, b0);
    const e24 = chi<T>(b4, b0, b1);
    a0 = e0;
    a1 = e1;
    a2 = e2;
    a3 = e3;
    a4 = e4;
    a5 = e5;
    a6 = e6;
    a7 = e7;
    a8 = e8;
    a9 = e9;
    a10 = e10;
    a11 = e11;
    a12 = e12;
    a13 = e13;
    a14 = e14;
    a15 = e15;
    a16 = e16;
    a17 = e17;
    a18 = e18;
    a19 = e19;
    a20 = e20;
    a21 = e21;
    a22 = e22;
    a23 = e23;
    a24 = e24;
  }
  store<T>(state, a0, 0 * sizeof<T>());
  store<T>(state, a1, 1 * sizeof<T>());
  store<T>(state, a2, 2 * sizeof<T>());
  store<T>(state, a3, 3 * sizeof<T>());
  store<T>(state, a4, 4 * sizeof<T>());
  store<T>(state, a5, 5 * sizeof<T>());
  store<T>(state, a6, 6 * sizeof<T>());
  store<T>(state, a7, 7 * sizeof<T>());
  store<T>(state, a8, 8 * sizeof<T>());
  store<T>(state, a9, 9 * sizeof<T>());
  store<T>(state, a10, 10 * sizeof<T>());
  store<T>(state, a11, 11 * sizeof<T>());
  store<T>(state, a12, 12 * sizeof<T>());
  store<T>(state, a13, 13 * sizeof<T>());
  store<T>(state, a14, 14 * sizeof<T>());
  store<T>(state, a15, 15 * sizeof<T>());
  store<T>(state, a16, 16 * sizeof<T>());
  store<T>(state, a17, 17 * sizeof<T>());
  store<T>(state, a18, 18 * sizeof<T>());
  store<T>(state, a19, 19 * sizeof<T>());
  store<T>(state, a20, 20 * sizeof<T>());
  store<T>(state, a21, 21 * sizeof<T>());
  store<T>(state, a22, 22 * sizeof<T>());
  store<T>(state, a23, 23 * sizeof<T>());
  store<T>(state, a24, 24 * sizeof<T>());
}

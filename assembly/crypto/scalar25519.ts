/**
 * Scalars of Ed25519: integers modulo L = 2^252 + c, the order of the base point (RFC 8032 §5.1).
 *
 * Not constant time, and need not be: a verifier's scalars are public.
 */

/** c = 27742317777372353535851937790883648493 in limbs of 28 bits, so that 2^252 is exactly the tenth limb. */
// prettier-ignore
const C: usize = memory.data<i64>([0xcf5d3ed, 0x12631a5, 0x79cd658, 0xf9dea2f, 0x00014de]);
const C_LIMBS: usize = 5;
const LIMB_BITS: i64 = 28;
const MASK: i64 = (1 << 28) - 1;
/** The limbs below 2^252. */
const LOW_LIMBS: usize = 9;
/** The limbs of 512 bits, and one for a carry. */
const LIMBS: usize = 20;

/** L, little-endian. */
// prettier-ignore
const L: usize = memory.data<u8>([
  0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
  0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10,
]);

const X: usize = memory.data(8 * 20, 16);

/**
 * Whether the 32 bytes at `scalar`, little-endian, are less than L (RFC 8032 §5.1.7; otherwise signatures are
 * malleable).
 */
export function isCanonicalScalar(scalar: usize): bool {
  for (let i = 31; i >= 0; i--) {
    const a = load<u8>(scalar + <usize>i);
    const b = load<u8>(L + <usize>i);
    if (a != b) return a < b;
  }
  return false;
}

/**
 * Writes the 64-byte number at `digest` modulo L, from 0 to L - 1, to 32 bytes at `target`; both little-endian.
 *
 * 2^252 = -c modulo L. Three times, the part above 2^252 is multiplied by c and subtracted below. That leaves 385 bits
 * of 512, then 258, then a number between -2^131 and 2^252 + 2^131.
 */
export function reduceScalar(target: usize, digest: usize): void {
  let bits: i64 = 0;
  let count: i64 = 0;
  let limb = X;
  for (let i: usize = 0; i < 64; i++) {
    bits |= (<i64>load<u8>(digest + i)) << count;
    count += 8;
    if (count >= LIMB_BITS) {
      store<i64>(limb, bits & MASK);
      limb += 8;
      bits >>= LIMB_BITS;
      count -= LIMB_BITS;
    }
  }
  store<i64>(limb, bits);
  store<i64>(X, 0, 8 * 19);
  foldTop();
  foldTop();
  foldTop();
  if (load<i64>(X, 8 * (LIMBS - 1)) < 0) addMultipleOfL(1);
  pack(target);
  if (!isCanonicalScalar(target)) {
    addMultipleOfL(-1);
    pack(target);
  }
}

/** Adds `factor` times L. */
function addMultipleOfL(factor: i64): void {
  for (let i: usize = 0; i < C_LIMBS; i++) {
    store<i64>(X + 8 * i, load<i64>(X + 8 * i) + factor * load<i64>(C + 8 * i));
  }
  store<i64>(X, load<i64>(X, 8 * LOW_LIMBS) + factor, 8 * LOW_LIMBS);
  carry();
}

/** Writes the low 256 bits of the number. */
function pack(target: usize): void {
  let bits: i64 = 0;
  let count: i64 = 0;
  let limb = X;
  for (let i: usize = 0; i < 32; i++) {
    if (count < 8) {
      bits |= load<i64>(limb) << count;
      count += LIMB_BITS;
      limb += 8;
    }
    store<u8>(target + i, <u8>bits);
    bits >>= 8;
    count -= 8;
  }
}

/** Replaces the limbs above 2^252, each times 2^(28 i) · 2^252, by -c times the same; then carries. */
function foldTop(): void {
  for (let i = LOW_LIMBS; i < LIMBS; i++) {
    const top = load<i64>(X + 8 * i);
    store<i64>(X + 8 * i, 0);
    for (let j: usize = 0; j < C_LIMBS; j++) {
      const at = X + 8 * (i - LOW_LIMBS + j);
      store<i64>(at, load<i64>(at) - top * load<i64>(C + 8 * j));
    }
  }
  carry();
}

/** Reduces limbs to 0 to 2^28 - 1; the highest keeps the number's sign. */
function carry(): void {
  for (let at = X; at < X + 8 * (LIMBS - 1); at += 8) {
    const value = load<i64>(at);
    store<i64>(at, value & MASK);
    store<i64>(at, load<i64>(at, 8) + (value >> LIMB_BITS), 8);
  }
}

/** Bits at an address: the predicates that depend on a token alone, kept with the token. */

/** The bytes that `count` bits take: whole 64-bit words, so that bits can be read by words. */
export function bytesForBits(count: i32): i32 {
  return ((count + 63) >>> 6) << 3;
}

/** Clears `count` bits at `bits`, up to the end of the last word. */
export function clearBits(bits: usize, count: i32): void {
  memory.fill(bits, 0, <usize>bytesForBits(count));
}

/** Sets bit `index` of the words at `bits`. */
export function setBit(bits: usize, index: i32): void {
  const word = bits + (((<usize>index) >>> 6) << 3);
  store<u64>(word, load<u64>(word) | ((<u64>1) << ((<u64>index) & 63)));
}

/** Word `index` of `bits`: bit i of it is bit `64 * index + i`. */
// @ts-ignore: decorator
@inline
export function wordOfBits(bits: usize, index: i32): u64 {
  return load<u64>(bits + ((<usize>index) << 3));
}

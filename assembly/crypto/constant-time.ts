/** Comparison of secrets: the time taken depends on the length alone, which is public. */

/**
 * Whether the `length` bytes at `a` and at `b` are the same. Every byte is read and no branch depends on one.
 */
export function equalsConstantTime(a: usize, b: usize, length: i32): bool {
  let difference: u32 = 0;
  for (let i: usize = 0; i < <usize>length; i++) {
    difference |= load<u8>(a + i) ^ load<u8>(b + i);
  }
  return difference == 0;
}

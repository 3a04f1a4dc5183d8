/** Comparison of secrets. The time depends only on the length, which is public. */

/** Whether the `length` bytes at `a` and at `b` are the same. Reads every byte and branches on none. */
export function equalsConstantTime(a: usize, b: usize, length: i32): bool {
  let difference: u32 = 0;
  for (let i: usize = 0; i < <usize>length; i++) {
    difference |= load<u8>(a + i) ^ load<u8>(b + i);
  }
  return difference == 0;
}

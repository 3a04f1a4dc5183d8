/** ASCII letters, among any other bytes. */
import { allocate } from "../memory/arena";
import { Slice, lengthOf, pointerOf, slice } from "../memory/slice";

/** @returns `s` with A–Z as a–z: `s` itself if it has no capitals, else a copy in the arena */
export function lowerCased(s: Slice): Slice {
  const start = pointerOf(s);
  const length = lengthOf(s);
  let i = 0;
  while (i < length && !isUpperCase(load<u8>(start + <usize>i))) i++;
  if (i == length) return s;
  const copy = allocate(<usize>length);
  memory.copy(copy, start, <usize>length);
  for (; i < length; i++) {
    const byte = load<u8>(copy + <usize>i);
    if (isUpperCase(byte)) store<u8>(copy + <usize>i, byte | 0x20);
  }
  return slice(copy, length);
}

// @ts-ignore: decorator
@inline
function isUpperCase(byte: u8): bool {
  return <u8>(byte - 0x41) < 26;
}

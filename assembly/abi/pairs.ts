/** Header maps as bytes, in the layout that host and filter exchange (proxy-wasm ABI 0.2.1). */
import { allocate } from "../memory/arena";
import { Slice, lengthOf, pointerOf, slice } from "../memory/slice";

/**
 * Packs pairs: a count, the lengths of all names and values, then the bytes of each, followed by a NUL.
 *
 * @param parts names and values in turn
 * @param count of pairs
 * @returns the bytes, in the arena
 */
export function packPairs(parts: StaticArray<Slice>, count: i32): Slice {
  const partCount = count * 2;
  let size = 4 + count * 8;
  for (let i = 0; i < partCount; i++) size += lengthOf(unchecked(parts[i])) + 1;
  const start = allocate(<usize>size);
  store<i32>(start, count);
  let bytes = start + 4 + <usize>count * 8;
  for (let i = 0; i < partCount; i++) {
    const part = unchecked(parts[i]);
    const length = lengthOf(part);
    store<i32>(start + 4 + <usize>i * 4, length);
    memory.copy(bytes, pointerOf(part), <usize>length);
    store<u8>(bytes + <usize>length, 0);
    bytes += <usize>length + 1;
  }
  return slice(start, size);
}

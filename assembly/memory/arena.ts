/**
 * The bump arena: memory that lives as long as one callback. The host's `malloc` also allocates here, so what the host
 * returns costs no heap allocation and leaves no garbage. `reset` at the start of each callback frees everything.
 *
 * What does not fit into the first block goes into heap blocks, which `reset` frees. So a rare, large request or a
 * configuration of megabytes leaves nothing allocated.
 */
import { Slice, lengthOf, pointerOf, slice } from "./slice";

/**
 * The size of the first block, in bytes. The header map, the tokens and their decoded parts of an ordinary request fit.
 */
const BLOCK_SIZE: usize = 256 * 1024;
/** The head of an overflow block: the address of the block before it. */
const BLOCK_HEAD: usize = 16;

let base: usize = 0;
let cursor: usize = 0;
let limit: usize = 0;
/** The newest overflow block, or 0. */
let overflow: usize = 0;

/** Frees everything that was allocated since the last reset. */
export function reset(): void {
  if (base == 0) base = heap.alloc(BLOCK_SIZE);
  while (overflow != 0) {
    const previous = load<usize>(overflow);
    heap.free(overflow);
    overflow = previous;
  }
  cursor = base;
  limit = base + BLOCK_SIZE;
}

/**
 * @param size bytes, zero or more
 * @returns the address of `size` bytes, aligned to 16, uninitialised, valid until the next `reset`
 */
export function allocate(size: usize): usize {
  if (base == 0) reset();
  const aligned = (size + 15) & ~15;
  if (aligned > limit - cursor) grow(aligned);
  const result = cursor;
  cursor += aligned;
  return result;
}

function grow(size: usize): void {
  const blockSize = max(size + BLOCK_HEAD, BLOCK_SIZE);
  const block = heap.alloc(blockSize);
  store<usize>(block, overflow);
  overflow = block;
  cursor = block + BLOCK_HEAD;
  limit = block + blockSize;
}

/** A copy of `s` in the arena. */
export function copy(s: Slice): Slice {
  const length = lengthOf(s);
  const target = allocate(<usize>length);
  memory.copy(target, pointerOf(s), <usize>length);
  return slice(target, length);
}

/**
 * What @solo-io/proxy-runtime 0.1.8 imports from the reference-counting runtime of AssemblyScript 0.14. Since 0.18 a
 * value that the host holds is pinned instead of retained: the effect that its `malloc` and `free` rely on is the same.
 */

/**
 * Keeps the managed object at `pointer` from being collected.
 *
 * @returns `pointer`
 */
export function __retain(pointer: usize): usize {
  return __pin(pointer);
}

/** Lets the object at `pointer`, retained before, be collected again. */
export function __release(pointer: usize): void {
  __unpin(pointer);
}

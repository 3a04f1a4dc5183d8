/**
 * What @solo-io/proxy-runtime 0.1.8 imports from the reference-counting runtime of AssemblyScript 0.14. Since 0.18 a
 * value that the host holds is pinned instead of retained. The effect that the SDK's `malloc` and `free` rely on is the
 * same.
 */

/**
 * Pins the managed object at `pointer`, so that it is not collected.
 *
 * @returns `pointer`
 */
export function __retain(pointer: usize): usize {
  return __pin(pointer);
}

/** Unpins the object at `pointer`, so that it can be collected again. */
export function __release(pointer: usize): void {
  __unpin(pointer);
}

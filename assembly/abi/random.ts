/** WASI's random_get: AssemblyScript's own `env.seed` is not provided by Envoy. */
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "random_get")
declare function random_get(buffer: usize, length: u32): u32;

/**
 * @param target where to write `length` random bytes
 * @returns whether the host gave them
 */
export function fillRandom(target: usize, length: u32): bool {
  return random_get(target, length) == 0;
}

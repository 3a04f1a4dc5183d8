/** Random bytes from WASI: AssemblyScript's own `env.seed` is not provided by Envoy. */
import { OUT } from "./out";

/** `random_get` of WASI. */
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

/** @returns a random integer below `bound`, or `fallback` where the host gives no random bytes */
export function randomBelow(bound: u64, fallback: u64): u64 {
  return fillRandom(OUT, 8) ? load<u64>(OUT) % bound : fallback;
}

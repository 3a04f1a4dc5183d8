/** Random bytes from WASI, because Envoy does not provide AssemblyScript's own `env.seed`. */
import { OUT } from "./out";

/** `random_get` of WASI. */
// @ts-ignore: decorator
@external("wasi_snapshot_preview1", "random_get")
declare function random_get(buffer: usize, length: u32): u32;

/**
 * @param target where to write `length` random bytes
 * @returns false if the host failed
 */
export function fillRandom(target: usize, length: u32): bool {
  return random_get(target, length) == 0;
}

/** @returns a random integer below `bound`, or `fallback` if the host has no random bytes */
export function randomBelow(bound: u64, fallback: u64): u64 {
  return fillRandom(OUT, 8) ? load<u64>(OUT) % bound : fallback;
}

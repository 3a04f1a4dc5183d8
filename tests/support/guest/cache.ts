/** Drives the cache of verified tokens alone: blocks with any hash, so that tests can choose collisions. */
import { reset } from "../../../assembly/memory/arena";
import { Slice, lengthOf, pointerOf, slice } from "../../../assembly/memory/slice";
import { TokenCache } from "../../../assembly/authn/token-cache";
import { VerifiedToken } from "../../../assembly/authn/verified-token";

let cache: TokenCache | null = null;
/** Where the host writes tokens. */
const TOKEN = memory.data(4096, 16);
const BLOCK = memory.data(8192, 16);

export function tokenAddress(): usize {
  return TOKEN;
}

/** @returns whether the host gave a seed */
export function create(maxEntries: i32, maxBytes: u32): bool {
  reset();
  cache = TokenCache.create(maxEntries, maxBytes);
  return cache !== null;
}

export function dispose(): void {
  const disposed = cache;
  if (disposed) disposed.dispose();
  cache = null;
}

export function hash(length: i32): u64 {
  return (cache as TokenCache).hash(slice(TOKEN, length));
}

/** Remembers the token at `tokenAddress` under any hash. */
export function insert(length: i32, hash: u64, provider: i32): void {
  reset();
  const block = changetype<VerifiedToken>(BLOCK);
  memory.fill(BLOCK, 0, offsetof<VerifiedToken>());
  block.hash = hash;
  block.provider = provider;
  block.size = (<u32>offsetof<VerifiedToken>() + <u32>length + 15) & ~15;
  block.tokenLength = length;
  memory.copy(pointerOf(block.token), TOKEN, <usize>length);
  (cache as TokenCache).insert(block);
}

/** Whether the token at `tokenAddress` is remembered under that hash, byte for byte; counts as a hit. */
export function find(length: i32, hash: u64, provider: i32): bool {
  const token: Slice = slice(TOKEN, length);
  const block = (cache as TokenCache).find(token, hash, provider);
  if (!block) return false;
  (cache as TokenCache).touch(block);
  return lengthOf(block.token) == length;
}

/** Forgets it, if it is remembered. */
export function forget(length: i32, hash: u64, provider: i32): void {
  const block = (cache as TokenCache).find(slice(TOKEN, length), hash, provider);
  if (block) (cache as TokenCache).forget(block);
}

export function count(): i32 {
  return (cache as TokenCache).count;
}

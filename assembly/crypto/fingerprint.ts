/** A short identifier for a sequence of byte strings, such as a key: the first 64 bits of their SHA-256. */
import { Slice, lengthOf, slice } from "../memory/slice";
import { Hash, MAX_DIGEST_LENGTH, hashBegin, hashFinish, hashUpdate } from "./sha2";

const DIGEST: usize = memory.data(MAX_DIGEST_LENGTH, 16);
const LENGTH: usize = memory.data(4, 4);

/** Begins a sequence. No other hash may be computed until `fingerprint` ends it. */
export function fingerprintBegin(): void {
  hashBegin(Hash.Sha256);
}

/** Adds a string to the sequence, preceded by its length, so that different sequences never hash the same bytes. */
export function fingerprintAdd(part: Slice): void {
  store<i32>(LENGTH, lengthOf(part));
  hashUpdate(slice(LENGTH, 4));
  hashUpdate(part);
}

/** Ends the sequence. */
export function fingerprint(): u64 {
  hashFinish(DIGEST);
  return load<u64>(DIGEST);
}

/**
 * HMAC (RFC 2104) with SHA-256, SHA-384 and SHA-512 for `HS256`, `HS384` and `HS512` (RFC 7518 §3.2).
 *
 * The first block of both hashes depends only on the key, so it is hashed when the key is loaded, and a verification
 * continues from there. Constant time: no branch and no memory address depends on the key, and the comparison of the
 * result is constant time.
 */
import { Slice, lengthOf, pointerOf, slice } from "../memory/slice";
import { equalsConstantTime } from "./constant-time";
import {
  HASH_STATE_SIZE,
  Hash,
  MAX_BLOCK_LENGTH,
  MAX_DIGEST_LENGTH,
  blockLength,
  digest,
  digestLength,
  hashBegin,
  hashFinish,
  hashResume,
  hashSave,
  hashUpdate,
} from "./sha2";

/** RFC 2104 §2: the byte repeated B times, for the inner and for the outer hash. */
const INNER_PAD: u8 = 0x36;
const OUTER_PAD: u8 = 0x5c;

/** The key, padded to a block and XORed with a pad. */
const PADDED_KEY: usize = memory.data(MAX_BLOCK_LENGTH, 16);
/** The inner digest, then the tag. */
const TAG: usize = memory.data(MAX_DIGEST_LENGTH, 16);

/** A symmetric key, kept as the six hash states after its pads (inner and outer for each hash), never as its bytes. */
export class HmacKey {
  private readonly states: StaticArray<u8> = new StaticArray<u8>(6 * HASH_STATE_SIZE);

  private constructor() {}

  /**
   * @param key the secret, at least one byte (RFC 7518 §3.2 requires as many as the digest has; Envoy does not)
   * @returns null if `key` is empty
   */
  static create(key: Slice): HmacKey | null {
    if (lengthOf(key) == 0) return null;
    const result = new HmacKey();
    for (let hash = Hash.Sha256; hash <= Hash.Sha512; hash++) {
      result.prepare(hash, key, INNER_PAD, result.innerState(hash));
      result.prepare(hash, key, OUTER_PAD, result.outerState(hash));
    }
    return result;
  }

  /** Whether `tag` is the complete HMAC of `text` under this key. A shortened tag never verifies. */
  verify(hash: Hash, tag: Slice, text: Slice): bool {
    const length = digestLength(hash);
    if (lengthOf(tag) != length) return false;
    hashResume(hash, this.innerState(hash));
    hashUpdate(text);
    hashFinish(TAG);
    hashResume(hash, this.outerState(hash));
    hashUpdate(slice(TAG, length));
    hashFinish(TAG);
    return equalsConstantTime(TAG, pointerOf(tag), length);
  }

  /** Hashes the block that RFC 2104 §2 forms from key and pad. A key longer than a block is hashed first. */
  private prepare(hash: Hash, key: Slice, pad: u8, state: usize): void {
    const block = blockLength(hash);
    memory.fill(PADDED_KEY, 0, MAX_BLOCK_LENGTH);
    if (lengthOf(key) > block) digest(hash, key, PADDED_KEY);
    else memory.copy(PADDED_KEY, pointerOf(key), lengthOf(key));
    for (let i: usize = 0; i < <usize>block; i++) {
      store<u8>(PADDED_KEY + i, load<u8>(PADDED_KEY + i) ^ pad);
    }
    hashBegin(hash);
    hashUpdate(slice(PADDED_KEY, block));
    hashSave(state);
  }

  private innerState(hash: Hash): usize {
    return changetype<usize>(this.states) + 2 * <usize>hash * HASH_STATE_SIZE;
  }

  private outerState(hash: Hash): usize {
    return changetype<usize>(this.states) + (2 * <usize>hash + 1) * HASH_STATE_SIZE;
  }
}

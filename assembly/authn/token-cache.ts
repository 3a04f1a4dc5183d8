/**
 * Verified tokens, remembered by all their bytes. One cache belongs to one plugin configuration in one VM; only what
 * verified is remembered, never a refusal. Whoever asks checks time and key anew at every hit.
 *
 * Eviction is S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023): a token first goes
 * to a small queue and is dropped at its end unless it was hit there; only then, or when it comes back soon after it was
 * dropped, does it enter the main queue. A flood of tokens that are seen once runs through the small queue and cannot
 * push the hot ones out of the main one. Both queues are rings of bytes, so nothing is allocated after the start.
 */
import { allocate } from "../abi/arena";
import { fillRandom } from "../abi/random";
import { Slice, equals, lengthOf, pointerOf } from "../abi/slice";
import { VerifiedToken } from "./verified-token";

/** The small queue's part of the memory, and of the entries once there are all: 1 / 8. */
const PROBATION_SHIFT: i32 = 3;
/** How often a token in the main queue may be spared since it was last moved. */
const MAX_HITS: u32 = 3;
/** How many tokens one insertion may spare: bounds its work. Where more are hot, it does without. */
const MAX_SPARED: i32 = 16;

/** A queue of blocks in a ring of bytes. A block is never split: what is left at the ring's end is a filler. */
class Ring {
  /** Blocks in the ring, those included that are forgotten. */
  count: i32 = 0;
  private head: u32 = 0;
  private tail: u32 = 0;
  private used: u32 = 0;

  constructor(
    readonly start: usize,
    readonly capacity: u32,
  ) {}

  get isEmpty(): bool {
    return this.used == 0;
  }

  /** The oldest block. Not where the ring is empty. */
  get oldest(): VerifiedToken {
    return changetype<VerifiedToken>(this.start + this.tail);
  }

  /** Whether `pop` would give a filler, which is no block. */
  get oldestIsFiller(): bool {
    return this.capacity - this.tail < offsetof<VerifiedToken>() || this.oldest.size == 0;
  }

  pop(): void {
    if (this.oldestIsFiller) {
      this.used -= this.capacity - this.tail;
      this.tail = 0;
    } else {
      const size = this.oldest.size;
      this.used -= size;
      this.tail += size;
      if (this.tail == this.capacity) this.tail = 0;
      this.count--;
    }
    if (this.used == 0) {
      this.head = 0;
      this.tail = 0;
    }
  }

  /** Whether a block of that size can be pushed without a pop. */
  fits(size: u32): bool {
    if (this.used == 0) return size <= this.capacity;
    if (this.head <= this.tail) return size <= this.tail - this.head;
    return size <= this.capacity - this.head || size <= this.tail;
  }

  /** Copies a block that fits. @returns the copy */
  push(block: VerifiedToken): VerifiedToken {
    const size = block.size;
    if (this.head > this.tail || this.used == 0) {
      const rest = this.capacity - this.head;
      if (size > rest) {
        if (rest >= <u32>offsetof<VerifiedToken>()) {
          changetype<VerifiedToken>(this.start + this.head).size = 0;
        }
        this.used += rest;
        this.head = 0;
      }
    }
    const target = this.start + this.head;
    memory.copy(target, changetype<usize>(block), size);
    this.head += size;
    this.used += size;
    if (this.head == this.capacity) this.head = 0;
    this.count++;
    return changetype<VerifiedToken>(target);
  }
}

/**
 * Storage that the cache disposed of last left behind, or 0. The next cache of that size takes it: a configuration that
 * is loaded again and again always finds the same megabytes, whatever small objects have settled between large ones.
 */
let spare: usize = 0;
let spareSize: usize = 0;

function takeStorage(size: usize): usize {
  if (spareSize != size) return heap.alloc(size);
  const storage = spare;
  spare = 0;
  spareSize = 0;
  return storage;
}

function giveStorage(storage: usize, size: usize): void {
  if (spare != 0) heap.free(spare);
  spare = storage;
  spareSize = size;
}

export class TokenCache {
  /** Tokens remembered now. */
  count: i32 = 0;
  private readonly probation: Ring;
  private readonly main: Ring;
  /** Open addressing: addresses of blocks, 0 where free. */
  private readonly table: usize;
  private readonly mask: u32;
  /** Halves of the hashes of tokens that were dropped from probation, by the other half. */
  private readonly ghosts: usize;
  private readonly seed: u64;
  private readonly multiplier: u64;
  /** How many tokens the insertion under way may still spare. */
  private mercy: i32 = 0;
  /** Both queues, the table and the ghosts, one behind the other. */
  private readonly storage: usize;
  private readonly storageSize: usize;

  private constructor(
    private readonly maxEntries: i32,
    maxBytes: u32,
    seeds: usize,
  ) {
    this.seed = load<u64>(seeds);
    this.multiplier = load<u64>(seeds, 8) | 1;
    let slots: u32 = 16;
    while (slots < <u32>maxEntries * 2) slots <<= 1;
    this.mask = slots - 1;
    const probationBytes = (maxBytes >> (<u32>PROBATION_SHIFT)) & ~15;
    const mainBytes = (maxBytes - probationBytes) & ~15;
    const tableBytes = <usize>slots * 4;
    const size = <usize>probationBytes + <usize>mainBytes + 2 * tableBytes;
    const storage = takeStorage(size);
    this.storage = storage;
    this.storageSize = size;
    this.table = storage;
    this.ghosts = storage + tableBytes;
    memory.fill(storage, 0, 2 * tableBytes);
    const queues = storage + 2 * tableBytes;
    this.probation = new Ring(queues, probationBytes);
    this.main = new Ring(queues + probationBytes, mainBytes);
  }

  /**
   * @param maxEntries tokens remembered at the most; 0 remembers none
   * @param maxBytes memory that they may take
   * @returns null where the host gives no random seed
   */
  static create(maxEntries: i32, maxBytes: u32): TokenCache | null {
    const seeds = memory.data(16, 8);
    if (!fillRandom(seeds, 16)) return null;
    return new TokenCache(maxEntries, maxEntries == 0 ? 0 : maxBytes, seeds);
  }

  /** Gives the memory back. The cache is of no use afterwards. */
  dispose(): void {
    giveStorage(this.storage, this.storageSize);
  }

  /**
   * A hash of the token that nobody outside can foresee. Four words at a time go through four chains of multiplications
   * that do not wait for each other.
   */
  hash(token: Slice): u64 {
    const start = pointerOf(token);
    const length = <usize>lengthOf(token);
    const multiplier = this.multiplier;
    let a = this.seed ^ length;
    let b = a * multiplier;
    let c = b * multiplier;
    let d = c * multiplier;
    let i: usize = 0;
    for (; i + 32 <= length; i += 32) {
      a = mix(a, load<u64>(start + i), multiplier);
      b = mix(b, load<u64>(start + i, 8), multiplier);
      c = mix(c, load<u64>(start + i, 16), multiplier);
      d = mix(d, load<u64>(start + i, 24), multiplier);
    }
    for (; i + 8 <= length; i += 8) a = mix(a, load<u64>(start + i), multiplier);
    let tail: u64 = 0;
    for (; i < length; i++) tail = (tail << 8) | (<u64>load<u8>(start + i));
    let h = mix(a, tail, multiplier);
    h = mix(h, b, multiplier);
    h = mix(h, c, multiplier);
    h = mix(h, d, multiplier);
    h *= 0x9e3779b97f4a7c15;
    return h ^ (h >> 29);
  }

  /**
   * @param hash of the token
   * @param provider index of the provider that is asked, or -1 for any
   * @returns the block, good until the next `insert`, or null
   */
  find(token: Slice, hash: u64, provider: i32): VerifiedToken | null {
    let slot = (<u32>hash) & this.mask;
    for (
      let address = load<u32>(this.table + slot * 4);
      address != 0;
      address = load<u32>(this.table + slot * 4)
    ) {
      slot = (slot + 1) & this.mask;
      const block = changetype<VerifiedToken>(<usize>address);
      if (block.hash == hash && (provider < 0 || block.provider == provider) && equals(block.token, token)) {
        return block;
      }
    }
    return null;
  }

  /** Notes that a token was hit. */
  touch(block: VerifiedToken): void {
    if (block.hits < MAX_HITS) block.hits++;
  }

  /** Forgets a token now (its key is gone); its memory is reused when its turn comes. */
  forget(block: VerifiedToken): void {
    this.unlink(block);
    block.hits = 0;
  }

  /** Remembers a copy of `block`; what was found before may be gone afterwards. */
  insert(block: VerifiedToken): void {
    if (this.maxEntries == 0 || block.size > this.probation.capacity >> 1) return;
    block.hits = 0;
    this.mercy = MAX_SPARED;
    const ghost = this.ghosts + ((<u32>block.hash) & this.mask) * 4;
    const returning = load<u32>(ghost) == <u32>(block.hash >> 32);
    if (returning || (this.main.fits(block.size) && this.count < this.maxEntries)) {
      store<u32>(ghost, 0);
      if (this.insertIntoMain(block)) return;
    }
    while (!this.probation.fits(block.size) || this.count >= this.maxEntries) {
      // Tokens that came while there was room fill the main queue, hot or not: they make way until probation has its share.
      const isSmall =
        this.probation.fits(block.size) && this.probation.count < this.maxEntries >> PROBATION_SHIFT;
      if ((isSmall || this.probation.isEmpty) && this.dropFromMain(this.probation.isEmpty)) continue;
      if (this.probation.isEmpty) return;
      this.dropFromProbation();
    }
    this.link(this.probation.push(block));
  }

  /** @returns false where too many in the main queue are hot */
  private insertIntoMain(block: VerifiedToken): bool {
    while (!this.main.fits(block.size) || this.count >= this.maxEntries) {
      if (this.dropFromMain(false)) continue;
      if (this.probation.isEmpty || !this.main.fits(block.size)) return false;
      this.dropFromProbation();
    }
    this.link(this.main.push(block));
    return true;
  }

  /** Takes the oldest block out of probation: into the main queue if it was hit, else out of the cache. */
  private dropFromProbation(): void {
    if (this.probation.oldestIsFiller) {
      this.probation.pop();
      return;
    }
    const block = this.probation.oldest;
    const known = this.isLinked(block);
    if (known) {
      this.unlink(block);
      if (block.hits > 0) {
        block.hits = 0;
        // A promotion may drop from the main queue, never from this one, so `block` stays whole meanwhile.
        this.promote(block);
      } else {
        store<u32>(this.ghosts + ((<u32>block.hash) & this.mask) * 4, <u32>(block.hash >> 32));
      }
    }
    this.probation.pop();
  }

  private promote(block: VerifiedToken): void {
    while (!this.main.fits(block.size)) {
      if (!this.dropFromMain(false)) return;
    }
    this.link(this.main.push(block));
  }

  /**
   * Drops one block of the main queue, sparing those that were hit.
   *
   * @param anyway drop one that was hit rather than none
   * @returns false where there is none to drop
   */
  private dropFromMain(anyway: bool): bool {
    while (!this.main.isEmpty) {
      if (this.main.oldestIsFiller || !this.isLinked(this.main.oldest)) {
        this.main.pop();
        return true;
      }
      const block = this.main.oldest;
      const isSpared = block.hits > 0 && this.mercy > 0;
      if (block.hits > 0 && !isSpared && !anyway) return false;
      this.unlink(block);
      if (!isSpared) {
        this.main.pop();
        return true;
      }
      this.mercy--;
      block.hits--;
      this.recycle(block);
    }
    return false;
  }

  /** Moves the oldest block of the main queue to its end. */
  private recycle(block: VerifiedToken): void {
    const size = block.size;
    const copy = allocate(size);
    memory.copy(copy, changetype<usize>(block), size);
    this.main.pop();
    if (this.main.fits(size)) this.link(this.main.push(changetype<VerifiedToken>(copy)));
  }

  private link(block: VerifiedToken): void {
    let slot = (<u32>block.hash) & this.mask;
    while (load<u32>(this.table + slot * 4) != 0) slot = (slot + 1) & this.mask;
    store<u32>(this.table + slot * 4, <u32>changetype<usize>(block));
    this.count++;
  }

  /** The slot that holds `block`, or -1. */
  private slotOf(block: VerifiedToken): i32 {
    const wanted = <u32>changetype<usize>(block);
    let slot = (<u32>block.hash) & this.mask;
    for (
      let address = load<u32>(this.table + slot * 4);
      address != 0;
      address = load<u32>(this.table + slot * 4)
    ) {
      if (address == wanted) return <i32>slot;
      slot = (slot + 1) & this.mask;
    }
    return -1;
  }

  private isLinked(block: VerifiedToken): bool {
    return this.slotOf(block) >= 0;
  }

  /** Removes `block` from the table and closes the gap, so that no search ends too early. */
  private unlink(block: VerifiedToken): void {
    const found = this.slotOf(block);
    if (found < 0) return;
    this.count--;
    let gap = <u32>found;
    for (let slot = (gap + 1) & this.mask; ; slot = (slot + 1) & this.mask) {
      const address = load<u32>(this.table + slot * 4);
      if (address == 0) break;
      const home = (<u32>changetype<VerifiedToken>(<usize>address).hash) & this.mask;
      if (((slot - home) & this.mask) >= ((slot - gap) & this.mask)) {
        store<u32>(this.table + gap * 4, address);
        gap = slot;
      }
    }
    store<u32>(this.table + gap * 4, 0);
  }
}

/** Carries a hash on by a word. */
// @ts-ignore: decorator
@inline
function mix(hash: u64, word: u64, multiplier: u64): u64 {
  const product = (hash ^ word) * multiplier;
  return product ^ (product >> 29);
}

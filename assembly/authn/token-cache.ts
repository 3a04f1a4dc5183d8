/**
 * Verified tokens, keyed by all their bytes. One cache belongs to one plugin configuration in one VM. It holds only
 * tokens that verified, never refusals. The caller checks time and key again at every hit.
 *
 * While there is room, every token is inserted. Once the cache is full, a token is inserted only if it comes a second
 * time soon after the first: of the first time only half of its hash is kept (the A1out queue of 2Q: Johnson and
 * Shasha, VLDB 1994). So a flood of tokens that come once evicts nothing and costs one store each; a hot token is
 * verified twice instead of once. Eviction works as in CLOCK: the oldest token leaves unless it was hit since the last
 * check.
 *
 * Blocks lie in a ring of bytes. The ring starts small, because a VM may hold the caches of hundreds of configurations,
 * and grows in a few steps to the configured size. Only these steps allocate after the start.
 */
import { maxBytes, maxEntries, TOKEN_CACHE_FIELDS } from "../config/schema";
import { Reader } from "../document/reader";
import { NONE, Node } from "../encoding/json";
import { allocate } from "../memory/arena";
import { fillRandom } from "../abi/random";
import { Slice, equals, lengthOf, pointerOf } from "../memory/slice";
import { VerifiedToken } from "./verified-token";

/** How often a token may be spared after its last hit. */
const MAX_HITS: u32 = 3;
/** How many tokens one insertion may spare, which bounds its work. If more are hot, nothing is inserted. */
const MAX_SPARED: i32 = 16;

/** A token larger than an eighth of the ring is not inserted. */
const LARGEST_SHIFT: u32 = 3;
/**
 * The size of the first ring, in bytes; each step multiplies it by 64. One step leads to the default, because the pages
 * of every smaller ring stay allocated.
 */
const FIRST_RING_BYTES: u32 = 64 * 1024;
const GROWTH_SHIFT: u32 = 6;
/** If the VM has more memory than this, no ring grows: the host gives a VM at most 1 GiB, and beyond that it traps. */
const MAX_VM_BYTES: u64 = 512 * 1024 * 1024;
/** How many bytes at a token's end are hashed. A signature takes at least 43. */
const HASHED_BYTES: usize = 64;
/**
 * Bytes of a line of the table, which is one cache line of the processor. A search for a new token, and recording that
 * it came, touch one line and no other memory.
 */
const LINE: usize = 64;
/** Slots in a line. */
const SLOTS: u32 = 6;
/** Bytes of a slot. */
const SLOT: usize = 8;
/** Bytes of a ghost: what is kept of a token that came once. */
const GHOST: usize = 4;
/**
 * Ghosts in a line, after its slots. With only one, two hot tokens that alternate could keep each other out forever.
 */
const GHOSTS: u32 = 4;

/** A queue of blocks in a ring of bytes. A block is never split: a filler takes what is left at the ring's end. */
class Ring {
  private head: u32 = 0;
  private tail: u32 = 0;
  private used: u32 = 0;

  start: usize = 0;
  capacity: u32 = 0;

  /** Makes the ring empty. */
  begin(start: usize, capacity: u32): void {
    this.start = start;
    this.capacity = capacity;
    this.head = 0;
    this.tail = 0;
    this.used = 0;
  }

  get isEmpty(): bool {
    return this.used == 0;
  }

  /** The end of the newest block, as long as no block was ever popped. */
  get end(): usize {
    return this.start + this.head;
  }

  /** The oldest block. The ring must not be empty. */
  get oldest(): VerifiedToken {
    return changetype<VerifiedToken>(this.start + this.tail);
  }

  /** Whether `pop` would return a filler, not a block. */
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
    return changetype<VerifiedToken>(target);
  }
}

/**
 * The storage of the cache that was disposed of last, or 0. The next cache of the same size uses it, so a configuration
 * that is loaded again and again always gets the same megabytes, no matter which small objects have settled between
 * large ones.
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
  /** How many tokens are in the cache. */
  count: i32 = 0;
  private ring: Ring = new Ring();
  /** Empty except while the ring grows. */
  private nextRing: Ring = new Ring();
  /** The memory of a ring that has grown; 0 for none. */
  private grown: usize = 0;
  private readonly maxRingBytes: u32;
  /**
   * Lines of slots, then ghosts. Slots use open addressing over all lines: a slot holds a block's address and, above
   * it, the lower half of its hash, which selects the line where its search begins; a free slot is 0. So a search for
   * an absent token touches no block. Ghosts are the upper halves of the hashes of tokens that came while the cache was
   * full, the latest first.
   */
  private readonly table: usize;
  private readonly lineMask: u32;
  /** Slots of all lines. */
  private readonly slots: u32;
  private readonly seed: u64;
  private readonly multiplier: u64;
  /** The table followed by the first ring. */
  private readonly storage: usize;
  private readonly storageSize: usize;

  private constructor(
    private readonly maxEntries: i32,
    maxBytes: u32,
    seeds: usize,
  ) {
    this.seed = load<u64>(seeds);
    this.multiplier = load<u64>(seeds, 8) | 1;
    // At most two thirds of the slots are used.
    let lines: u32 = 1;
    while (lines * 4 < <u32>maxEntries) lines <<= 1;
    this.lineMask = lines - 1;
    this.slots = lines * SLOTS;
    this.maxRingBytes = maxBytes & ~15;
    const ringBytes = min(this.maxRingBytes, FIRST_RING_BYTES);
    const tableBytes = <usize>lines * LINE;
    const size = LINE + tableBytes + <usize>ringBytes;
    const storage = takeStorage(size);
    this.storage = storage;
    this.storageSize = size;
    this.table = (storage + LINE - 1) & ~(LINE - 1);
    memory.fill(this.table, 0, tableBytes);
    this.ring.begin(this.table + tableBytes, ringBytes);
  }

  /**
   * @param node `tokenCache` of a configuration, or NONE
   * @returns null if the configuration is faulty or the host gives no random seed; the reader has recorded why
   */
  static load(reader: Reader, node: Node): TokenCache | null {
    if (node != NONE) reader.object(node, TOKEN_CACHE_FIELDS);
    const entries = <i32>maxEntries(reader, node);
    const bytes = <u32>maxBytes(reader, node);
    if (reader.failed) return null;
    const cache = TokenCache.create(entries, bytes);
    if (!cache) {
      reader.fail(
        node,
        "the host gives no random bytes (WASI random_get), which the token cache's hash is seeded with",
      );
    }
    return cache;
  }

  /**
   * @param maxEntries the most tokens in the cache; 0 for none
   * @param maxBytes the memory that they may take
   * @returns null if the host gives no random seed
   */
  static create(maxEntries: i32, maxBytes: u32): TokenCache | null {
    const seeds = memory.data(16, 8);
    if (!fillRandom(seeds, 16)) return null;
    return new TokenCache(maxEntries, maxEntries == 0 ? 0 : maxBytes, seeds);
  }

  /** Frees the memory. The cache must not be used afterwards. */
  dispose(): void {
    if (this.grown != 0) heap.free(this.grown);
    giveStorage(this.storage, this.storageSize);
  }

  /**
   * A seeded hash of the token's length and end, which clients cannot predict. The end is the signature, and
   * no two tokens that verify share one. (A signature by ML-DSA ends with its hints, which hardly any two share.)
   * A forged token that copies a signature finds the other token's block, and the comparison of all bytes then
   * differs. Words are hashed four at a time in four independent chains of multiplications.
   */
  hash(token: Slice): u64 {
    const tokenLength = <usize>lengthOf(token);
    const length = min(tokenLength, HASHED_BYTES);
    const start = pointerOf(token) + tokenLength - length;
    const multiplier = this.multiplier;
    let a = this.seed ^ tokenLength;
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
   * @returns the block, valid until the next `insert`; null if there is none
   */
  find(token: Slice, hash: u64, provider: i32): VerifiedToken | null {
    const half = <u32>hash;
    let slot = this.home(half);
    for (let entry = this.entryAt(slot); entry != 0; entry = this.entryAt(slot)) {
      slot = this.next(slot);
      if (hashHalf(entry) != half) continue;
      const block = blockOf(entry);
      if (block.hash == hash && (provider < 0 || block.provider == provider) && equals(block.token, token)) {
        return block;
      }
    }
    return null;
  }

  /** Records that a token was hit. */
  touch(block: VerifiedToken): void {
    if (block.hits < MAX_HITS) block.hits++;
  }

  /** Forgets a token whose key is gone. Its memory is reused in its turn. */
  forget(block: VerifiedToken): void {
    this.unlink(block);
    block.hits = 0;
  }

  /**
   * Inserts a copy of `block` unless the cache is full and the token is new. Blocks found before may be gone
   * afterwards.
   */
  insert(block: VerifiedToken): void {
    const size = block.size;
    if (this.maxEntries == 0 || size > this.maxRingBytes >> LARGEST_SHIFT) return;
    while (this.wantsToGrow(size) && this.grow()) {}
    if (size > this.ring.capacity >> LARGEST_SHIFT) return;
    if (!this.hasRoom(size)) {
      if (!this.isReturning(block.hash) || !this.makeRoom(size)) return;
    }
    block.hits = 0;
    this.link(this.ring.push(block));
  }

  /** Whether a token came recently while the cache was full. Records its hash as the latest of its line. */
  private isReturning(hash: u64): bool {
    const ghosts = this.table + <usize>((<u32>hash) & this.lineMask) * LINE + <usize>SLOTS * SLOT;
    const half = <u32>(hash >> 32);
    let latest = half;
    for (let i: u32 = 0; i < GHOSTS; i++) {
      const at = ghosts + <usize>i * GHOST;
      const ghost = load<u32>(at);
      store<u32>(at, latest);
      if (ghost == half) return true;
      latest = ghost;
    }
    return false;
  }

  private wantsToGrow(size: u32): bool {
    return (
      size > this.ring.capacity >> LARGEST_SHIFT || (this.count < this.maxEntries && !this.ring.fits(size))
    );
  }

  /** Moves all blocks to a larger ring. @returns false if there is none */
  private grow(): bool {
    const old = this.ring;
    const capacity = <u32>min((<u64>old.capacity) << GROWTH_SHIFT, <u64>this.maxRingBytes);
    if (capacity <= old.capacity || ((<u64>memory.size()) << 16) + capacity > MAX_VM_BYTES) return false;
    const next = this.nextRing;
    next.begin(heap.alloc(capacity), capacity);
    for (; !old.isEmpty; old.pop()) {
      if (!old.oldestIsFiller && this.isLinked(old.oldest)) next.push(old.oldest);
    }
    memory.fill(this.table, 0, (<usize>this.lineMask + 1) * LINE);
    this.count = 0;
    for (let at = next.start; at < next.end;) {
      const block = changetype<VerifiedToken>(at);
      this.link(block);
      at += block.size;
    }
    if (this.grown != 0) heap.free(this.grown);
    this.grown = next.start;
    this.ring = next;
    this.nextRing = old;
    return true;
  }

  private isLinked(block: VerifiedToken): bool {
    const wanted = entryOf(block);
    let slot = this.home(<u32>block.hash);
    for (let entry = this.entryAt(slot); entry != 0; entry = this.entryAt(slot)) {
      if (entry == wanted) return true;
      slot = this.next(slot);
    }
    return false;
  }

  private hasRoom(size: u32): bool {
    return this.count < this.maxEntries && this.ring.fits(size);
  }

  /** Evicts the oldest tokens that were not hit. @returns false if too many were hit */
  private makeRoom(size: u32): bool {
    let spared = 0;
    while (!this.hasRoom(size)) {
      if (!this.ring.oldestIsFiller) {
        const oldest = this.ring.oldest;
        if (oldest.hits > 0) {
          if (spared == MAX_SPARED) return false;
          spared++;
          oldest.hits--;
          this.recycle(oldest);
          continue;
        }
        this.unlink(oldest);
      }
      this.ring.pop();
    }
    return true;
  }

  /** Moves the oldest block to the ring's end. */
  private recycle(block: VerifiedToken): void {
    this.unlink(block);
    const size = block.size;
    const copy = allocate(size);
    memory.copy(copy, changetype<usize>(block), size);
    this.ring.pop();
    if (this.ring.fits(size)) this.link(this.ring.push(changetype<VerifiedToken>(copy)));
  }

  private link(block: VerifiedToken): void {
    let slot = this.home(<u32>block.hash);
    while (this.entryAt(slot) != 0) slot = this.next(slot);
    this.setEntry(slot, entryOf(block));
    this.count++;
  }

  /** Removes `block` from the table, if it is still there, and closes the gap, so that no search ends too early. */
  private unlink(block: VerifiedToken): void {
    const wanted = entryOf(block);
    let gap = this.home(<u32>block.hash);
    for (let entry = this.entryAt(gap); entry != wanted; entry = this.entryAt(gap)) {
      if (entry == 0) return;
      gap = this.next(gap);
    }
    this.count--;
    let slot = this.next(gap);
    for (let entry = this.entryAt(slot); entry != 0; entry = this.entryAt(slot)) {
      const home = this.home(hashHalf(entry));
      if (this.distance(home, slot) >= this.distance(gap, slot)) {
        this.setEntry(gap, entry);
        gap = slot;
      }
      slot = this.next(slot);
    }
    this.setEntry(gap, 0);
  }

  /** The slot where the search for a hash's lower half begins. */
  // @ts-ignore: decorator
  @inline
  private home(half: u32): u32 {
    return (half & this.lineMask) * SLOTS;
  }

  // @ts-ignore: decorator
  @inline
  private next(slot: u32): u32 {
    return slot + 1 == this.slots ? 0 : slot + 1;
  }

  /** How many slots a search takes from `from` to `to`. */
  private distance(from: u32, to: u32): u32 {
    return to >= from ? to - from : to + this.slots - from;
  }

  // @ts-ignore: decorator
  @inline
  private addressOf(slot: u32): usize {
    return this.table + <usize>(slot / SLOTS) * LINE + <usize>(slot % SLOTS) * SLOT;
  }

  // @ts-ignore: decorator
  @inline
  private entryAt(slot: u32): u64 {
    return load<u64>(this.addressOf(slot));
  }

  // @ts-ignore: decorator
  @inline
  private setEntry(slot: u32, entry: u64): void {
    store<u64>(this.addressOf(slot), entry);
  }
}

// @ts-ignore: decorator
@inline
function entryOf(block: VerifiedToken): u64 {
  return (block.hash << 32) | (<u64>changetype<usize>(block));
}

// @ts-ignore: decorator
@inline
function blockOf(entry: u64): VerifiedToken {
  return changetype<VerifiedToken>(<usize>(<u32>entry));
}

// @ts-ignore: decorator
@inline
function hashHalf(entry: u64): u32 {
  return <u32>(entry >> 32);
}

/** Extends a hash by a word. */
// @ts-ignore: decorator
@inline
function mix(hash: u64, word: u64, multiplier: u64): u64 {
  const product = (hash ^ word) * multiplier;
  return product ^ (product >> 29);
}

/**
 * Verified tokens, remembered by all their bytes. One cache belongs to one plugin configuration in one VM; only what
 * verified is remembered, never a refusal. Whoever asks checks time and key anew at every hit.
 *
 * While there is room, every token gets in. Once the cache is full, a token gets in only when it comes a second time, soon
 * after the first: of the first time nothing is kept but half of its hash (the A1out queue of 2Q: Johnson and Shasha, VLDB
 * 1994). So a flood of tokens that come once drops nothing, and costs one store each; a hot token is verified twice instead
 * of once. Who leaves is decided as by CLOCK: the oldest, unless it was hit since it was last looked at.
 *
 * Blocks stand in a ring of bytes. It begins small, for a VM may hold the caches of hundreds of configurations, and grows
 * in a few steps to what the configuration allows; but for those steps nothing is allocated after the start.
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
/** How many tokens one insertion may spare: bounds its work. Where more are hot, it does without. */
const MAX_SPARED: i32 = 16;

/** A token that takes more than an eighth of the ring is not remembered. */
const LARGEST_SHIFT: u32 = 3;
/**
 * What the ring begins with, in bytes; each step multiplies it by 64. One step leads to the default: the pages of every smaller
 * ring would stay behind.
 */
const FIRST_RING_BYTES: u32 = 64 * 1024;
const GROWTH_SHIFT: u32 = 6;
/** Where the VM has more memory than this, no ring grows: the host gives a VM 1 GiB at the most, and then it traps. */
const MAX_VM_BYTES: u64 = 512 * 1024 * 1024;
/** Bytes at a token's end that its hash is made of. A signature takes 43 at the least. */
const HASHED_BYTES: usize = 64;
/**
 * Bytes of a line of the table, which is one of the processor's: looking for a token that is new, and noting that it came,
 * touch one of them and no other memory.
 */
const LINE: usize = 64;
/** Slots of a line. */
const SLOTS: u32 = 6;
/** Bytes of a slot. */
const SLOT: usize = 8;
/** Bytes of what is kept of a token that came once. */
const GHOST: usize = 4;
/** How many of them a line has behind its slots: with one, two hot tokens that come by turns could keep each other out for ever. */
const GHOSTS: u32 = 4;

/** A queue of blocks in a ring of bytes. A block is never split: what is left at the ring's end is a filler. */
class Ring {
  private head: u32 = 0;
  private tail: u32 = 0;
  private used: u32 = 0;

  start: usize = 0;
  capacity: u32 = 0;

  /** Begins anew, empty. */
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

  /** Behind the newest block, while no block was ever popped. */
  get end(): usize {
    return this.start + this.head;
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
  private ring: Ring = new Ring();
  /** Empty but while the ring grows. */
  private nextRing: Ring = new Ring();
  /** A ring that has grown: memory of its own; 0 for none. */
  private grown: usize = 0;
  private readonly maxRingBytes: u32;
  /**
   * Lines of slots, then ghosts. Slots: open addressing over all lines; a block's address and, above it, the lower half of its
   * hash, which says the line that its search begins with; 0 where free. So a search for a token that is not there touches
   * no block. Ghosts: upper halves of the hashes of tokens that came while the cache was full, the latest first.
   */
  private readonly table: usize;
  private readonly lineMask: u32;
  /** Slots of all lines. */
  private readonly slots: u32;
  private readonly seed: u64;
  private readonly multiplier: u64;
  /** The table and the ring that is begun with, one behind the other. */
  private readonly storage: usize;
  private readonly storageSize: usize;

  private constructor(
    private readonly maxEntries: i32,
    maxBytes: u32,
    seeds: usize,
  ) {
    this.seed = load<u64>(seeds);
    this.multiplier = load<u64>(seeds, 8) | 1;
    // At most two thirds of the slots are taken.
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
    if (this.grown != 0) heap.free(this.grown);
    giveStorage(this.storage, this.storageSize);
  }

  /**
   * A hash of the token's length and end that nobody outside can foresee. Its end is its signature, and tokens that verify
   * have no two alike; what comes with another's signature finds that token, and is told apart by its bytes. Four words at
   * a time go through four chains of multiplications that do not wait for each other.
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
   * @returns the block, good until the next `insert`, or null
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

  /** Notes that a token was hit. */
  touch(block: VerifiedToken): void {
    if (block.hits < MAX_HITS) block.hits++;
  }

  /** Forgets a token now (its key is gone); its memory is reused when its turn comes. */
  forget(block: VerifiedToken): void {
    this.unlink(block);
    block.hits = 0;
  }

  /** Remembers a copy of `block`, where it gets in; what was found before may be gone afterwards. */
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

  /** Whether a token came lately while the cache was full. Notes that it came now, as the latest of its line. */
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

  /** Moves all blocks to a larger ring. @returns false where there is none */
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

  /** Drops the oldest tokens that were not hit. @returns false where too many were */
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

  /** Removes `block` from the table, unless it is forgotten already, and closes the gap: no search may end too early. */
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

  /** The slot that the search for a hash's lower half begins with. */
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

  /** How many slots a search goes from the one to the other. */
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

/** Carries a hash on by a word. */
// @ts-ignore: decorator
@inline
function mix(hash: u64, word: u64, multiplier: u64): u64 {
  const product = (hash ^ word) * multiplier;
  return product ^ (product >> 29);
}

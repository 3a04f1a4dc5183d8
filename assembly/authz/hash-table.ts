/**
 * A hash table from keys in several spaces to integers. One key may have several entries. The table grows while a
 * configuration is loaded and is only read afterwards.
 *
 * A key is a byte slice or a number. A slice's hash can be extended from one length to the next, so hashing all
 * prefixes of a value costs one pass over it, and so does hashing all suffixes. A number is represented by its hash
 * alone. Values of requests are looked up but never stored, so only the author of the configuration can make keys
 * collide.
 */
import {
  IntList,
  Records,
  TWO_MINUS_ONE,
  copyRecords,
  fillMinusOne,
  intAt,
  newInts,
  newRecord,
  newRecords,
  recordAt,
  setInt,
} from "../memory/records";
import { Region } from "../memory/region";
import { EMPTY, Slice, byteAt, eightBytesAt, equals, fourBytesAt, lengthOf } from "../memory/slice";

/** The number of a space; callers keep the spaces of one table apart. */
export type Space = i32;
/** The number of an entry. */
export type Entry = i32;
export const NO_ENTRY: Entry = -1;

/** 2^64 divided by the golden ratio, odd, so that multiplying by it loses nothing (Knuth, TAOCP 3, section 6.4). */
const MULTIPLIER: u64 = 0x9e3779b97f4a7c15;
const WORD: i32 = 8;

/** The initial hash of a space. */
// @ts-ignore: decorator
@inline
export function beginHash(space: Space): u64 {
  return (<u64>space + 1) * MULTIPLIER;
}

/**
 * Extends a hash by a number. From one hash, different numbers lead to different hashes; by one number, different
 * hashes stay different.
 */
// @ts-ignore: decorator
@inline
export function hashNumber(hash: u64, value: u64): u64 {
  const product = (hash ^ value) * MULTIPLIER;
  return product ^ (product >>> 32);
}

/**
 * Extends a hash by the whole words of the first `end` bytes.
 *
 * @param start how many bytes it covers so far, a multiple of a word
 */
export function hashForward(hash: u64, s: Slice, start: i32, end: i32): u64 {
  for (let i = start; i + WORD <= end; i += WORD) hash = hashNumber(hash, eightBytesAt(s, i));
  return hash;
}

/** The hash of the first `end` bytes. @param hash extended by their whole words */
export function endForward(hash: u64, s: Slice, end: i32): u64 {
  return hashRest(hash, s, wholeWords(end), end);
}

/**
 * As `hashForward`, from a value's end: extends by the whole words of the last `end` bytes, the last word first.
 *
 * @param start how many bytes it covers so far, counted from the value's end
 */
export function hashBackward(hash: u64, s: Slice, start: i32, end: i32): u64 {
  const last = lengthOf(s) - WORD;
  for (let i = start; i + WORD <= end; i += WORD) hash = hashNumber(hash, eightBytesAt(s, last - i));
  return hash;
}

/** The hash of the last `end` bytes. @param hash extended by their whole words */
export function endBackward(hash: u64, s: Slice, end: i32): u64 {
  const length = lengthOf(s);
  return hashRest(hash, s, length - end, length - wholeWords(end));
}

/** Extends a hash by the bytes from `start` to `end`, less than a word, as a number with their count above it. */
function hashRest(hash: u64, s: Slice, start: i32, end: i32): u64 {
  const count = <u64>(end - start);
  let rest: u64 = 0;
  if (count >= 4) {
    const last = <u64>fourBytesAt(s, end - 4);
    rest = (<u64>fourBytesAt(s, start)) | (last << ((count - 4) * 8));
  } else if (count != 0) {
    // The first, the middle and the last byte: of one, two or three bytes, each is among them.
    const middle = <u64>byteAt(s, start + ((<i32>count) >> 1));
    rest = (<u64>byteAt(s, start)) | (middle << 8) | ((<u64>byteAt(s, end - 1)) << 16);
  }
  return hashNumber(hash, rest | (count << 56));
}

/** How many of `length` bytes form whole words: where hashing continues. */
// @ts-ignore: decorator
@inline
export function wholeWords(length: i32): i32 {
  return length & ~(WORD - 1);
}

/** The hash of all bytes of a key. */
export function hashKey(space: Space, key: Slice): u64 {
  const length = lengthOf(key);
  return endForward(hashForward(beginHash(space), key, 0, length), key, length);
}

const FEWEST_ENTRIES: i32 = 8;


@unmanaged
class Slot {
  hash: u64;
  key: Slice;
  value: i32;
  /** The next entry in the same bucket. */
  next: Entry;
}


@unmanaged
export class HashTable {
  private slots: Records;
  /** The first entry of each bucket; the number of buckets is a power of two. */
  private buckets: IntList;
  /** The bucket is in the hash's upper bits, because multiplication carries only upwards. */
  private shift: u64;
  private count: i32;
  private capacity: i32;

  /**
   * @param region holds the table
   * @param capacity for how many entries it has room; it grows if there are more
   */
  static create(region: Region, capacity: i32 = 0): HashTable {
    const table = newRecord<HashTable>(region);
    // Two empty buckets, until there is room.
    table.buckets = TWO_MINUS_ONE;
    table.shift = 63;
    if (capacity > 0) table.allocate(region, capacity);
    return table;
  }

  /**
   * Adds an entry. Other entries of the same key stay.
   *
   * @param region of the table
   * @param hash of the key, begun with `beginHash(space)`
   * @param key its bytes, which must outlive the table; EMPTY if the hash represents the key
   */
  add(region: Region, hash: u64, key: Slice, value: i32): void {
    if (this.count == this.capacity) this.grow(region);
    const entry = this.count++;
    const slot = this.slot(entry);
    slot.hash = hash;
    slot.key = key;
    slot.value = value;
    this.link(entry);
  }

  /** The first entry of that key, or NO_ENTRY. */
  // @ts-ignore: decorator
  @inline
  find(hash: u64, key: Slice): Entry {
    return this.findFrom(intAt(this.buckets, this.bucketOf(hash)), hash, key);
  }

  /** The next entry of that key after `entry`, or NO_ENTRY. */
  // @ts-ignore: decorator
  @inline
  findNext(entry: Entry, hash: u64, key: Slice): Entry {
    return this.findFrom(this.slot(entry).next, hash, key);
  }

  // @ts-ignore: decorator
  @inline
  value(entry: Entry): i32 {
    return this.slot(entry).value;
  }

  private findFrom(start: Entry, hash: u64, key: Slice): Entry {
    let entry = start;
    while (entry != NO_ENTRY) {
      const slot = this.slot(entry);
      if (slot.hash == hash && equals(slot.key, key)) return entry;
      entry = slot.next;
    }
    return NO_ENTRY;
  }

  private link(entry: Entry): void {
    const slot = this.slot(entry);
    const bucket = this.bucketOf(slot.hash);
    slot.next = intAt(this.buckets, bucket);
    setInt(this.buckets, bucket, entry);
  }

  /** Doubles the room for entries. */
  private grow(region: Region): void {
    const slots = this.slots;
    this.allocate(region, max(this.capacity * 2, FEWEST_ENTRIES));
    copyRecords<Slot>(this.slots, slots, this.count);
    for (let entry = 0; entry < this.count; entry++) this.link(entry);
  }

  /** Makes room for entries, and at least two buckets for each. */
  private allocate(region: Region, capacity: i32): void {
    const bits = 33 - clz(capacity);
    this.capacity = capacity;
    this.shift = <u64>(64 - bits);
    this.buckets = newInts(region, 1 << bits);
    fillMinusOne(this.buckets, 1 << bits);
    this.slots = newRecords<Slot>(region, capacity);
  }

  // @ts-ignore: decorator
  @inline
  private slot(entry: Entry): Slot {
    return recordAt<Slot>(this.slots, entry);
  }

  // @ts-ignore: decorator
  @inline
  private bucketOf(hash: u64): i32 {
    return <i32>(hash >>> this.shift);
  }
}

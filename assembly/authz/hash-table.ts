/**
 * A hash table from keys in several spaces to integers. One key may have several entries. The table grows while a
 * configuration is loaded and is only read afterwards.
 *
 * A key is a byte slice or a number. A slice's hash can be extended from one length to the next, so hashing all
 * prefixes of a value costs one pass over it, and so does hashing all suffixes. A number is represented by its hash
 * alone. Values of requests are looked up but never stored, so only the author of the configuration can make keys
 * collide.
 */
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
  } else {
    for (let i = end - 1; i >= start; i--) rest = (rest << 8) | (<u64>byteAt(s, i));
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
export class HashTable {
  private hashes: StaticArray<u64> = new StaticArray<u64>(8);
  private keys: StaticArray<Slice> = new StaticArray<Slice>(8);
  private values: StaticArray<i32> = new StaticArray<i32>(8);
  /** The next entry in the same bucket. */
  private nexts: StaticArray<Entry> = new StaticArray<Entry>(8);
  /** The first entry of each bucket; the number of buckets is a power of two. */
  private buckets: StaticArray<Entry> = new StaticArray<Entry>(16).fill(NO_ENTRY);
  /** The bucket is in the hash's upper bits, because multiplication carries only upwards. */
  private shift: u64 = 60;
  private count: i32 = 0;

  /**
   * Adds an entry. Other entries of the same key stay.
   *
   * @param hash of the key, begun with `beginHash(space)`
   * @param key its bytes, which must outlive the table; EMPTY if the hash represents the key
   */
  add(hash: u64, key: Slice, value: i32): void {
    if (this.count == this.values.length) this.grow();
    const entry = this.count++;
    unchecked((this.hashes[entry] = hash));
    unchecked((this.keys[entry] = key));
    unchecked((this.values[entry] = value));
    this.link(entry);
  }

  /** The first entry of that key, or NO_ENTRY. */
  // @ts-ignore: decorator
  @inline
  find(hash: u64, key: Slice): Entry {
    return this.findFrom(unchecked(this.buckets[<i32>(hash >>> this.shift)]), hash, key);
  }

  /** The next entry of that key after `entry`, or NO_ENTRY. */
  // @ts-ignore: decorator
  @inline
  findNext(entry: Entry, hash: u64, key: Slice): Entry {
    return this.findFrom(unchecked(this.nexts[entry]), hash, key);
  }

  // @ts-ignore: decorator
  @inline
  value(entry: Entry): i32 {
    return unchecked(this.values[entry]);
  }

  private findFrom(start: Entry, hash: u64, key: Slice): Entry {
    for (let entry = start; entry != NO_ENTRY; entry = unchecked(this.nexts[entry])) {
      if (unchecked(this.hashes[entry]) == hash && equals(unchecked(this.keys[entry]), key)) return entry;
    }
    return NO_ENTRY;
  }

  private link(entry: Entry): void {
    const bucket = <i32>(unchecked(this.hashes[entry]) >>> this.shift);
    unchecked((this.nexts[entry] = this.buckets[bucket]));
    unchecked((this.buckets[bucket] = entry));
  }

  /** Doubles the room for entries, with two buckets for each. */
  private grow(): void {
    const capacity = this.count * 2;
    this.hashes = enlarged<u64>(this.hashes, capacity);
    this.keys = enlarged<Slice>(this.keys, capacity);
    this.values = enlarged<i32>(this.values, capacity);
    this.nexts = enlarged<Entry>(this.nexts, capacity);
    this.buckets = new StaticArray<Entry>(capacity * 2).fill(NO_ENTRY);
    this.shift--;
    for (let entry = 0; entry < this.count; entry++) this.link(entry);
  }
}

function enlarged<T>(from: StaticArray<T>, length: i32): StaticArray<T> {
  const result = new StaticArray<T>(length);
  for (let i = 0; i < from.length; i++) unchecked((result[i] = from[i]));
  return result;
}

/**
 * Finds all predicates that hold of a value by looking up its beginnings, its ends and the whole value. The cost grows
 * with the value and with the number of matches, not with the number of predicates.
 *
 * A subject is what predicates are about: the path, one header, one claim and so on. For each subject the index knows
 * the lengths of its keys. The value's bytes are hashed once and looked up at each of those lengths. Segments between
 * operators of URI templates are looked up one by one.
 */
import { IntList, intAt, newInts, setInt } from "../memory/records";
import { Region } from "../memory/region";
import { Slice, indexOfByte, lengthOf, subslice } from "../memory/slice";
import {
  HashTable,
  NO_ENTRY,
  beginHash,
  endBackward,
  endForward,
  hashBackward,
  hashForward,
  hashKey,
  wholeWords,
} from "./hash-table";
import { Anchor, Check, MAX_SEGMENTS, Pattern } from "./matchers";
import { SparseSet } from "../memory/sparse-set";

const SLASH: u8 = 0x2f;
/** Collisions of a key are counted up to this number; more make no difference to the choice of keys. */
const MAX_COLLISIONS: i32 = 16;

/** A number from `ValueIndex.addSubject`. */
export type Subject = i32;

/** A table's value is a predicate and, below it, these flags. */
const IS_WHOLE: i32 = 1;
const HAS_CHECK: i32 = 2;
const FLAG_BITS: i32 = 2;

/**
 * A subject's record is a list of integers: the length of the longest key that is a whole value, how many segments are
 * looked up, the numbers of beginnings and of ends, then their lengths.
 */
const LONGEST_WHOLE: i32 = 0;
const SEGMENTS: i32 = 1;
const START_COUNT: i32 = 2;
const END_COUNT: i32 = 3;
const STARTS: i32 = 4;

export class ValueIndex {
  private readonly table: HashTable;
  /** By subject, the address of its record (`KeyLengths.write`). */
  private records: IntList = 0;
  /** While predicates are added: by subject. */
  private lengths: Array<KeyLengths> = [];
  /** By predicate: the further condition on the value, or null. */
  private readonly checks: StaticArray<Check | null>;

  /**
   * @param tables holds what requests read
   * @param predicates how many predicates the configuration has
   */
  constructor(
    private readonly tables: Region,
    predicates: i32,
  ) {
    this.table = HashTable.create(tables, predicates);
    this.checks = new StaticArray<Check | null>(predicates);
  }

  addSubject(): Subject {
    this.lengths.push(new KeyLengths());
    return this.lengths.length - 1;
  }

  /** Adds a predicate that holds if a value of `subject` matches `pattern`. */
  add(subject: Subject, pattern: Pattern, predicate: i32): void {
    let rarest = pattern;
    let fewest = this.collisions(subject, pattern);
    for (let i = 0; i < pattern.alternatives.length && fewest > 0; i++) {
      const alternative = pattern.alternatives[i];
      const collisions = this.collisions(subject, alternative);
      if (collisions >= fewest) continue;
      rarest = alternative;
      fewest = collisions;
    }
    const lengths = this.lengths[subject];
    const length = lengthOf(rarest.key);
    if (rarest.anchor == Anchor.End) insertSorted(lengths.ofEnds, length);
    else if (rarest.anchor == Anchor.Start) insertSorted(lengths.ofStarts, length);
    else if (rarest.anchor == Anchor.Segment) lengths.segments = max(lengths.segments, rarest.segment + 1);
    else lengths.longestWhole = max(lengths.longestWhole, length);
    const check = pattern.check;
    this.checks[predicate] = check;
    const flags = (rarest.anchor == Anchor.Whole ? IS_WHOLE : 0) | (check === null ? 0 : HAS_CHECK);
    this.table.add(this.tables, hashOf(subject, rarest), rarest.key, (predicate << FLAG_BITS) | flags);
  }

  /** Ends the adding. Values can be matched afterwards. */
  seal(): void {
    const lengths = this.lengths;
    this.records = newInts(this.tables, lengths.length);
    for (let i = 0; i < lengths.length; i++) setInt(this.records, i, <i32>lengths[i].write(this.tables));
    this.lengths = [];
  }

  /** How many predicates already have a pattern's key, counted up to `MAX_COLLISIONS`. */
  private collisions(subject: Subject, pattern: Pattern): i32 {
    const hash = hashOf(subject, pattern);
    let count = 0;
    let entry = this.table.find(hash, pattern.key);
    while (entry != NO_ENTRY && count < MAX_COLLISIONS) {
      count++;
      entry = this.table.findNext(entry, hash, pattern.key);
    }
    return count;
  }

  /** Adds to `found` every predicate of `subject` that holds of `value`. */
  match(subject: Subject, value: Slice, found: SparseSet): void {
    const record: IntList = intAt(this.records, subject);
    const valueLength = lengthOf(value);

    let hash = beginHash(startSpace(subject));
    let hashed = 0;
    let lookedUp = -1;
    const startsEnd = STARTS + intAt(record, START_COUNT);
    for (let i = STARTS; i < startsEnd; i++) {
      const length = intAt(record, i);
      if (length > valueLength) break;
      hash = hashForward(hash, value, hashed, length);
      hashed = wholeWords(length);
      lookedUp = length;
      this.collect(endForward(hash, value, length), subslice(value, 0, length), value, found);
    }
    if (lookedUp < valueLength && valueLength <= intAt(record, LONGEST_WHOLE)) {
      hash = hashForward(hash, value, hashed, valueLength);
      this.collect(endForward(hash, value, valueLength), value, value, found);
    }

    const endCount = intAt(record, END_COUNT);
    if (endCount != 0) this.matchEnds(subject, record, startsEnd, startsEnd + endCount, value, found);
    const segments = intAt(record, SEGMENTS);
    if (segments != 0) this.matchSegments(subject, segments, value, found);
  }

  /** @param first where the ends' lengths begin in the record, and `last` where they end */
  private matchEnds(
    subject: Subject,
    record: IntList,
    first: i32,
    last: i32,
    value: Slice,
    found: SparseSet,
  ): void {
    const valueLength = lengthOf(value);
    let hash = beginHash(endSpace(subject));
    let hashed = 0;
    for (let i = first; i < last; i++) {
      const length = intAt(record, i);
      if (length > valueLength) break;
      hash = hashBackward(hash, value, hashed, length);
      hashed = wholeWords(length);
      const end = subslice(value, valueLength - length, valueLength);
      this.collect(endBackward(hash, value, length), end, value, found);
    }
  }

  private matchSegments(subject: Subject, segments: i32, value: Slice, found: SparseSet): void {
    const valueLength = lengthOf(value);
    for (let segment = 0, start = 1; segment < segments && start <= valueLength; segment++) {
      const slash = indexOfByte(value, SLASH, start);
      const end = slash < 0 ? valueLength : slash;
      const key = subslice(value, start, end);
      this.collect(hashKey(segmentSpace(subject, segment), key), key, value, found);
      start = end + 1;
    }
  }

  /** Adds the predicates of that key that hold of the value. */
  private collect(hash: u64, key: Slice, value: Slice, found: SparseSet): void {
    const keyIsValue = lengthOf(key) == lengthOf(value);
    for (
      let entry = this.table.find(hash, key);
      entry != NO_ENTRY;
      entry = this.table.findNext(entry, hash, key)
    ) {
      const flagged = this.table.value(entry);
      if ((flagged & IS_WHOLE) != 0 && !keyIsValue) continue;
      const predicate = flagged >> FLAG_BITS;
      if ((flagged & HAS_CHECK) == 0 || this.passes(predicate, value, found)) found.add(predicate);
    }
  }

  /** Whether the value passes the predicate's check, if that is not known yet. */
  private passes(predicate: i32, value: Slice, found: SparseSet): bool {
    const check = unchecked(this.checks[predicate]);
    return check !== null && !found.has(predicate) && check.matches(value);
  }
}

/** The lengths of a subject's keys. */
class KeyLengths {
  /** Ascending, each once. */
  readonly ofStarts: Array<i32> = [];
  readonly ofEnds: Array<i32> = [];
  longestWhole: i32 = -1;
  /** How many segments are looked up, counted from the first. */
  segments: i32 = 0;

  /** Writes the subject's record. */
  write(tables: Region): IntList {
    const starts = this.ofStarts.length;
    const ends = this.ofEnds.length;
    const record = newInts(tables, STARTS + starts + ends);
    setInt(record, LONGEST_WHOLE, this.longestWhole);
    setInt(record, SEGMENTS, this.segments);
    setInt(record, START_COUNT, starts);
    setInt(record, END_COUNT, ends);
    for (let i = 0; i < starts; i++) setInt(record, STARTS + i, this.ofStarts[i]);
    for (let i = 0; i < ends; i++) setInt(record, STARTS + starts + i, this.ofEnds[i]);
    return record;
  }
}

function hashOf(subject: Subject, pattern: Pattern): u64 {
  const key = pattern.key;
  const length = lengthOf(key);
  if (pattern.anchor == Anchor.End) {
    return endBackward(hashBackward(beginHash(endSpace(subject)), key, 0, length), key, length);
  }
  const isSegment = pattern.anchor == Anchor.Segment;
  return hashKey(isSegment ? segmentSpace(subject, pattern.segment) : startSpace(subject), key);
}

/** Keys that begin a value and keys that equal it share a space, so one pass over the value finds both. */
function startSpace(subject: Subject): i32 {
  return 2 * subject;
}

function endSpace(subject: Subject): i32 {
  return 2 * subject + 1;
}

/** Negative, where no other space is. */
function segmentSpace(subject: Subject, segment: i32): i32 {
  return -2 - (subject * MAX_SEGMENTS + segment);
}

/** Inserts `value` into an ascending array unless it is already there. */
function insertSorted(array: Array<i32>, value: i32): void {
  let low = 0;
  let high = array.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (array[middle] < value) low = middle + 1;
    else high = middle;
  }
  if (low < array.length && array[low] == value) return;
  array.push(value);
  for (let i = array.length - 1; i > low; i--) array[i] = array[i - 1];
  array[low] = value;
}

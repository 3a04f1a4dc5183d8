/**
 * Requests that wait for keys. For each, the list keeps only the stream's id, a deadline and what it waits for: the
 * request is read again when it resumes. The list is made once and bounded.
 *
 * Requests that wait for the same thing form a group: the first keys of a key set, or a refetch that may bring a key of
 * one `kid`. Before the refetch ends, a made-up kid cannot be distinguished from that of a new key. But a rotation
 * brings one kid in many requests, while an attacker has to bring many kids, or many requests with one. So groups keep
 * an attacker from filling the list:
 *
 * - at most `maxKids` unknown kids of a key set wait at a time; a further one displaces the oldest group that one
 *   callback can resume;
 * - if the list is full, a request displaces one of the largest group, unless its own is as large.
 *
 * A displaced request is answered at once with the keys in force.
 */
import { maxResumedPerCallback, maxWaitingKids, maxWaitingRequests } from "../config/schema";
import { Reader } from "../document/reader";
import { Node } from "../encoding/json";
import { JwksCounters } from "../metrics";
import { RemoteJwks } from "./remote-jwks";

/** In place of a kid's hash: the request waits for the first keys of the set. */
export const FIRST_KEYS: u64 = 0;

/** One waiting request. */
export class Waiting {
  streamId: u32 = 0;
  /** Milliseconds since 1970. Every request may wait equally long, so the oldest request has the earliest deadline. */
  deadline: u64 = 0;
  /** How many times the request has waited, this time included. */
  waits: i32 = 0;
  group: WaitingGroup | null = null;
  /** Its neighbours in the group, by deadline. */
  previous: Waiting | null = null;
  next: Waiting | null = null;
  /** The next entry of its bucket, or of the free list. */
  chained: Waiting | null = null;
}

/** Requests that wait for the same thing, by deadline. */
class WaitingGroup {
  source: RemoteJwks | null = null;
  /** A hash of the kid, or FIRST_KEYS. */
  kid: u64 = 0;
  count: i32 = 0;
  /** Whether what it waited for has happened: its requests resume, and no other joins them. */
  isReady: bool = false;
  head: Waiting | null = null;
  tail: Waiting | null = null;
}

export class WaitingList {
  /** How many requests wait now. */
  count: i32 = 0;
  /** How many more requests this callback may resume. */
  private left: i32;
  /** The group from which `nextDisplaced` takes requests, and how many. */
  private displaced: WaitingGroup | null = null;
  private displacedLeft: i32 = 0;
  /** The first `groupCount` groups have requests; they are in the order in which they formed. */
  private readonly groups: StaticArray<WaitingGroup>;
  private groupCount: i32 = 0;
  /** The latest time given to `takeDue`. */
  private latest: u64 = 0;
  private free: Waiting | null = null;
  /** Entries by the lowest bits of the stream's id; the host numbers streams consecutively. */
  private readonly buckets: StaticArray<Waiting | null>;

  /**
   * @param capacity how many requests may wait; 0 for none
   * @param maxKids how many unknown kids of one key set may wait
   * @param maxPerCallback how many requests one callback resumes. The host ends a request inside the call in which it
   *   ended the one before, so each takes a part of its stack (proxy-wasm-cpp-host, doAfterVmCallActions)
   * @param counters of the gauge of waiting requests
   */
  private constructor(
    private readonly capacity: i32,
    private readonly maxKids: i32,
    private readonly maxPerCallback: i32,
    private readonly counters: JwksCounters,
  ) {
    this.left = maxPerCallback;
    // One more than capacity: a request is added before the one that it displaces is removed.
    const size = capacity == 0 ? 0 : capacity + 1;
    let buckets = 1;
    while (buckets < size) buckets <<= 1;
    this.groups = new StaticArray<WaitingGroup>(size);
    this.buckets = new StaticArray<Waiting | null>(buckets);
    for (let i = 0; i < size; i++) {
      unchecked((this.groups[i] = new WaitingGroup()));
      const entry = new Waiting();
      entry.chained = this.free;
      this.free = entry;
    }
  }

  /**
   * @param limits of a configuration, or NONE
   * @param hasSources whether there are keys to wait for
   */
  static load(reader: Reader, limits: Node, hasSources: bool, counters: JwksCounters): WaitingList {
    return new WaitingList(
      hasSources ? <i32>maxWaitingRequests(reader, limits) : 0,
      <i32>maxWaitingKids(reader, limits),
      <i32>maxResumedPerCallback(reader, limits),
      counters,
    );
  }

  /** Whether any request may wait. */
  get isOpen(): bool {
    return this.capacity > 0;
  }

  /** Begins a callback, which may resume `maxPerCallback` requests. */
  // @ts-ignore: decorator
  @inline
  beginCallback(): void {
    this.left = this.maxPerCallback;
  }

  /**
   * Adds a request. `nextDisplaced` returns those that it displaces.
   *
   * @param deadline milliseconds since 1970
   * @param kid a hash of the token's kid, or FIRST_KEYS
   * @param waits how many times the request has waited, this time included
   * @returns false if there is no room for it
   */
  add(streamId: u32, deadline: u64, source: RemoteJwks, kid: u64, waits: i32): bool {
    let group = this.find(source, kid);
    if (!this.makeRoom(source, kid, group)) return false;
    if (!group) {
      group = unchecked(this.groups[this.groupCount++]);
      group.source = source;
      group.kid = kid;
      group.isReady = false;
    }
    const entry = this.free as Waiting;
    this.free = entry.chained;
    entry.streamId = streamId;
    entry.deadline = deadline;
    entry.waits = waits;
    const bucket = this.bucketOf(streamId);
    entry.chained = unchecked(this.buckets[bucket]);
    unchecked((this.buckets[bucket] = entry));
    join(group, entry);
    this.count++;
    this.counters.waited(1);
    return true;
  }

  /** @returns the next request that the latest `add` displaced, valid until the next `add`; null if there is none */
  nextDisplaced(): Waiting | null {
    const group = this.displaced;
    if (!group || this.displacedLeft == 0) return null;
    this.displacedLeft--;
    return this.take(group.head as Waiting);
  }

  /** Releases the requests that wait for `source`, because a fetch of it has ended. */
  release(source: RemoteJwks): void {
    for (let i = 0; i < this.groupCount; i++) {
      const group = unchecked(this.groups[i]);
      if (group.source == source && (group.kid != FIRST_KEYS || !source.mayBringFirstKeys))
        group.isReady = true;
    }
  }

  /**
   * Takes the oldest request that is due: one that was released or whose deadline has passed.
   *
   * @param now milliseconds since 1970
   * @returns the request, valid until the next `add`; null if none is due or this callback has resumed enough
   */
  takeDue(now: u64): Waiting | null {
    if (now < this.latest) this.expireAll();
    this.latest = now;
    if (this.left == 0) return null;
    const oldest = this.findDue(now);
    return oldest ? this.take(oldest) : null;
  }

  /** Whether a due request is left that `takeDue` has not returned. */
  hasDue(now: u64): bool {
    return this.findDue(now) != null;
  }

  /** Removes a stream that has ended. */
  remove(streamId: u32): void {
    if (this.count == 0) return;
    const entry = entryOf(unchecked(this.buckets[this.bucketOf(streamId)]), streamId);
    if (entry) this.forget(entry);
  }

  /** Subtracts every request from the gauge. */
  dispose(): void {
    this.counters.waited(-this.count);
  }

  /** Makes every deadline due, because the clock was set back. */
  private expireAll(): void {
    for (let i = 0; i < this.groupCount; i++) {
      let entry = unchecked(this.groups[i]).head;
      while (entry) {
        entry.deadline = 0;
        entry = entry.next;
      }
    }
  }

  private findDue(now: u64): Waiting | null {
    let oldest: Waiting | null = null;
    for (let i = 0; i < this.groupCount; i++) {
      const group = unchecked(this.groups[i]);
      const head = group.head as Waiting;
      if (!group.isReady && head.deadline > now) continue;
      if (!oldest || head.deadline < oldest.deadline) oldest = head;
    }
    return oldest;
  }

  /** The group that a request joins, or null. */
  private find(source: RemoteJwks, kid: u64): WaitingGroup | null {
    for (let i = 0; i < this.groupCount; i++) {
      const group = unchecked(this.groups[i]);
      if (group.kid == kid && group.source == source && !group.isReady) return group;
    }
    return null;
  }

  /**
   * Decides which request is displaced, if any.
   *
   * @param own the group that it joins, or null for a new one
   * @returns false if there is no room for it
   */
  private makeRoom(source: RemoteJwks, kid: u64, own: WaitingGroup | null): bool {
    this.displacedLeft = 0;
    if (!own && kid != FIRST_KEYS) {
      let kids = 0;
      let victim: WaitingGroup | null = null;
      for (let i = 0; i < this.groupCount; i++) {
        const group = unchecked(this.groups[i]);
        if (group.source != source || group.isReady || group.kid == FIRST_KEYS) continue;
        kids++;
        if (!victim && group.count <= this.left) victim = group;
      }
      if (kids >= this.maxKids) {
        if (!victim) return false;
        victim.isReady = true;
        return this.displace(victim, victim.count);
      }
    }
    if (this.count < this.capacity) return true;
    let largest: WaitingGroup | null = null;
    for (let i = 0; i < this.groupCount; i++) {
      const group = unchecked(this.groups[i]);
      if (!largest || group.count > largest.count) largest = group;
    }
    if (!largest || this.left == 0 || largest.count <= (own ? own.count : 0) + 1) return false;
    return this.displace(largest, 1);
  }

  private displace(group: WaitingGroup, count: i32): bool {
    this.displaced = group;
    this.displacedLeft = count;
    return true;
  }

  /** Resumes a request: removes it and counts it for this callback. */
  private take(entry: Waiting): Waiting {
    this.left--;
    this.forget(entry);
    return entry;
  }

  private forget(entry: Waiting): void {
    const group = entry.group as WaitingGroup;
    leave(group, entry);
    if (group.count == 0) this.removeGroup(group);
    const bucket = this.bucketOf(entry.streamId);
    const first = unchecked(this.buckets[bucket]) as Waiting;
    if (first == entry) {
      unchecked((this.buckets[bucket] = entry.chained));
    } else {
      let before = first;
      while (before.chained != entry) before = before.chained as Waiting;
      before.chained = entry.chained;
    }
    entry.chained = this.free;
    this.free = entry;
    this.count--;
    this.counters.waited(-1);
  }

  private removeGroup(group: WaitingGroup): void {
    group.source = null;
    if (this.displaced == group) this.displacedLeft = 0;
    let i = 0;
    while (unchecked(this.groups[i]) != group) i++;
    const last = --this.groupCount;
    for (; i < last; i++) unchecked((this.groups[i] = this.groups[i + 1]));
    unchecked((this.groups[last] = group));
  }

  private bucketOf(streamId: u32): i32 {
    return streamId & (this.buckets.length - 1);
  }
}

/** Finds a stream in its bucket, starting at `first`. */
function entryOf(first: Waiting | null, streamId: u32): Waiting | null {
  let entry = first;
  while (entry && entry.streamId != streamId) entry = entry.chained;
  return entry;
}

/** Adds a request to a group, before those with later deadlines: a request that waits again keeps its deadline. */
function join(group: WaitingGroup, entry: Waiting): void {
  let previous = group.tail;
  while (previous && previous.deadline > entry.deadline) previous = previous.previous;
  const next = previous ? previous.next : group.head;
  entry.group = group;
  entry.previous = previous;
  entry.next = next;
  if (previous) previous.next = entry;
  else group.head = entry;
  if (next) next.previous = entry;
  else group.tail = entry;
  group.count++;
}

function leave(group: WaitingGroup, entry: Waiting): void {
  const previous = entry.previous;
  const next = entry.next;
  if (previous) previous.next = next;
  else group.head = next;
  if (next) next.previous = previous;
  else group.tail = previous;
  entry.group = null;
  entry.previous = null;
  entry.next = null;
  group.count--;
}

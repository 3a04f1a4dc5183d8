/**
 * Requests that wait for keys. Of each it keeps the stream's id, a deadline and what it waits for, no more: whatever the
 * request said is read anew when it goes on. The list is made once and bounded.
 */
import { RemoteJwks } from "./remote-jwks";

export class Waiting {
  streamId: u32 = 0;
  /** Milliseconds since 1970. */
  deadline: u64 = 0;
  source: RemoteJwks | null = null;
  /** Whether the source had keys, only not the token's: any end of the fetch lets the request go on. */
  hasKeys: bool = false;
  /** How often it has begun to wait. */
  waits: i32 = 0;
  /** In which round it was added. */
  round: u32 = 0;
}

export class WaitingList {
  /** Requests that wait now. */
  count: i32 = 0;
  private round: u32 = 0;
  private readonly entries: StaticArray<Waiting>;

  constructor(capacity: i32) {
    this.entries = new StaticArray<Waiting>(capacity);
    for (let i = 0; i < capacity; i++) unchecked((this.entries[i] = new Waiting()));
  }

  /** What is added from now on belongs to a new round. */
  beginRound(): void {
    this.round++;
  }

  /** Whether the entry was there before the last `beginRound`: what waits again is not let go at once. */
  isOfEarlierRound(entry: Waiting): bool {
    return entry.round != this.round;
  }

  get isFull(): bool {
    return this.count == this.entries.length;
  }

  /** 0 ≤ i < count. */
  at(i: i32): Waiting {
    return unchecked(this.entries[i]);
  }

  /** Not where the list is full. */
  add(streamId: u32, deadline: u64, source: RemoteJwks, hasKeys: bool, waits: i32): void {
    const entry = unchecked(this.entries[this.count++]);
    entry.streamId = streamId;
    entry.deadline = deadline;
    entry.source = source;
    entry.hasKeys = hasKeys;
    entry.waits = waits;
    entry.round = this.round;
  }

  /** Takes entry `i` out; the last one takes its place. @returns the entry, good until the next `add` */
  take(i: i32): Waiting {
    const entry = unchecked(this.entries[i]);
    const last = --this.count;
    unchecked((this.entries[i] = this.entries[last]));
    unchecked((this.entries[last] = entry));
    entry.source = null;
    return entry;
  }

  /** Forgets a stream that has ended. @returns whether it waited */
  remove(streamId: u32): bool {
    for (let i = 0; i < this.count; i++) {
      if (unchecked(this.entries[i]).streamId == streamId) {
        this.take(i);
        return true;
      }
    }
    return false;
  }
}

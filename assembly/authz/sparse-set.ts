/**
 * A set of small integers that is emptied in constant time and lists its members in insertion order, so that resetting
 * it for a request costs nothing (Briggs and Torczon, "An efficient representation for sparse sets", 1993).
 */
export class SparseSet {
  private readonly members: StaticArray<i32>;
  /**
   * By value: its position in `members` if it is a member. A stale position is detected by comparing with `members`.
   */
  private readonly places: StaticArray<i32>;
  /** How many members there are. */
  count: i32 = 0;

  /** @param universe members are 0 to `universe - 1` */
  constructor(universe: i32) {
    this.members = new StaticArray<i32>(universe);
    this.places = new StaticArray<i32>(universe);
  }

  // @ts-ignore: decorator
  @inline
  clear(): void {
    this.count = 0;
  }

  // @ts-ignore: decorator
  @inline
  has(value: i32): bool {
    const place = unchecked(this.places[value]);
    return place < this.count && unchecked(this.members[place]) == value;
  }

  /** Adds the value. @returns whether it is new */
  add(value: i32): bool {
    if (this.has(value)) return false;
    unchecked((this.members[this.count] = value));
    unchecked((this.places[value] = this.count));
    this.count++;
    return true;
  }

  /** The member that was added as number `i` (0 ≤ i < count). */
  // @ts-ignore: decorator
  @inline
  at(i: i32): i32 {
    return unchecked(this.members[i]);
  }
}

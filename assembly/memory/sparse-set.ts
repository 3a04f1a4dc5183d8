/**
 * A set of small integers that is emptied in constant time and lists its members in insertion order, so that resetting
 * it for a request costs nothing (Briggs and Torczon, "An efficient representation for sparse sets", 1993).
 */
import { Region } from "./region";

/** Bytes of a slot: member number i, and the place of the value i among the members if it is one. */
const SLOT_SHIFT: usize = 3;
/** Where the first slot begins, and the place in it. */
const MEMBER: usize = 8;
const PLACE: usize = 12;


@unmanaged
export class SparseSet {
  /** How many members there are. */
  count: i32;
  reserved: i32;

  /**
   * @param region holds the set
   * @param universe members are 0 to `universe - 1`
   */
  static create(region: Region, universe: i32): SparseSet {
    return changetype<SparseSet>(region.allocate(<i32>MEMBER + (universe << (<i32>SLOT_SHIFT))));
  }

  // @ts-ignore: decorator
  @inline
  clear(): void {
    this.count = 0;
  }

  /** A stale place is detected by comparing with the member there. */
  // @ts-ignore: decorator
  @inline
  has(value: i32): bool {
    const place = load<i32>(this.slot(value), PLACE);
    return place < this.count && this.at(place) == value;
  }

  /** Adds the value. @returns whether it is new */
  add(value: i32): bool {
    if (this.has(value)) return false;
    store<i32>(this.slot(this.count), value, MEMBER);
    store<i32>(this.slot(value), this.count, PLACE);
    this.count++;
    return true;
  }

  /** The member that was added as number `i` (0 ≤ i < count). */
  // @ts-ignore: decorator
  @inline
  at(i: i32): i32 {
    return load<i32>(this.slot(i), MEMBER);
  }

  // @ts-ignore: decorator
  @inline
  private slot(i: i32): usize {
    return changetype<usize>(this) + ((<usize>i) << SLOT_SHIFT);
  }
}

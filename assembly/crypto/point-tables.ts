/**
 * Tables of multiples of often-used points: public keys. The number of tables is fixed. A table is computed when its
 * point is used again, and a table that was not used for long enough is given to another point. So neither memory nor
 * time grows with the number of keys in a configuration, and many keys in turn do not make the filter compute tables
 * all the time.
 */

/** A table is kept for this many verifications after its last use. */
const REST: u64 = 1024;

/** A table and its point. */
export class PointTable {
  readonly multiples: StaticArray<u8>;
  /** Whether `multiples` must be computed, because the point has changed. */
  isNew: bool = true;
  readonly point: StaticArray<u8>;
  /** The point for which it was allocated; zeros for none. */
  readonly reason: StaticArray<u8>;
  /** The number of the verification that used it last; 0 if it was never used. */
  lastUse: u64 = 0;

  constructor(pointSize: i32, size: i32) {
    this.multiples = new StaticArray<u8>(size);
    this.point = new StaticArray<u8>(pointSize);
    this.reason = new StaticArray<u8>(pointSize);
  }
}

export class PointTables {
  private readonly tables: Array<PointTable> = new Array<PointTable>();
  /** The number of verifications so far. */
  private uses: u64 = 0;

  /**
   * @param pointSize how many bytes identify a point
   * @param size of a table, in bytes
   */
  constructor(
    private readonly pointSize: i32,
    private readonly size: i32,
  ) {}

  /**
   * Allocates a table, unless there are `limit` of them. Runs while keys are loaded, because the memory is never freed.
   */
  add(limit: i32): void {
    if (this.tables.length < limit) this.tables.push(new PointTable(this.pointSize, this.size));
  }

  /**
   * Allocates a table for a point, once however often it is loaded, so a reloaded configuration needs no more memory.
   */
  addFor(point: usize, limit: i32): void {
    const size = <usize>this.pointSize;
    for (let i = 0; i < this.tables.length; i++) {
      if (memory.compare(changetype<usize>(this.tables[i].reason), point, size) == 0) return;
    }
    if (this.tables.length >= limit) return;
    this.add(limit);
    memory.copy(changetype<usize>(this.tables[this.tables.length - 1].reason), point, size);
  }

  /**
   * The point's table; null if it has none and none is assigned.
   *
   * @param point `pointSize` bytes
   * @param mayKeep whether the point is likely to be used again, so that a table for it pays off
   */
  take(point: usize, mayKeep: bool): PointTable | null {
    const now = ++this.uses;
    const tables = this.tables;
    const size = <usize>this.pointSize;
    let oldest: PointTable | null = null;
    for (let i = 0; i < tables.length; i++) {
      const table = unchecked(tables[i]);
      if (table.lastUse != 0 && memory.compare(changetype<usize>(table.point), point, size) == 0) {
        table.isNew = false;
        table.lastUse = now;
        return table;
      }
      if (oldest === null || table.lastUse < oldest.lastUse) oldest = table;
    }
    if (!mayKeep || oldest === null || (oldest.lastUse != 0 && now - oldest.lastUse < REST)) return null;
    oldest.lastUse = now;
    oldest.isNew = true;
    memory.copy(changetype<usize>(oldest.point), point, size);
    return oldest;
  }
}

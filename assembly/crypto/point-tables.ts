/**
 * Tables of multiples of points that are used often: public keys. There are only so many tables, each is computed when its
 * point is used again, and one that rested long enough is given to another point. So neither memory nor time grows with
 * the number of keys that a configuration has, and many keys in turn do not make the filter compute tables all the time.
 */

/** How many verifications a table outlives its last use. */
const REST: u64 = 1024;

/** A table, and the point that it is of. */
export class PointTable {
  readonly multiples: StaticArray<u8>;
  /** Whether `multiples` has to be computed: its point is another than before. */
  isNew: bool = true;
  readonly point: StaticArray<u8>;
  /** The point for which room was made; zeros if for none. */
  readonly reason: StaticArray<u8>;
  /** The number of the verification that used it last; 0 for one that is still empty. */
  lastUse: u64 = 0;

  constructor(pointSize: i32, size: i32) {
    this.multiples = new StaticArray<u8>(size);
    this.point = new StaticArray<u8>(pointSize);
    this.reason = new StaticArray<u8>(pointSize);
  }
}

export class PointTables {
  private readonly tables: Array<PointTable> = new Array<PointTable>();
  /** How many verifications there were. */
  private uses: u64 = 0;

  /**
   * @param pointSize of what tells points apart, in bytes
   * @param size of a table, in bytes
   */
  constructor(
    private readonly pointSize: i32,
    private readonly size: i32,
  ) {}

  /** Makes room for a table, unless there are `limit` of them. While keys are loaded: what this allocates stays. */
  add(limit: i32): void {
    if (this.tables.length < limit) this.tables.push(new PointTable(this.pointSize, this.size));
  }

  /** The same for a point, once however often it is loaded: a configuration that comes again needs no more room. */
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
   * The point's table; null if it has none and gets none.
   *
   * @param point `pointSize` bytes
   * @param mayKeep whether the point is likely to come again, so that a table of it pays
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

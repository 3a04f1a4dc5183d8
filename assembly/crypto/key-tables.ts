/**
 * Tables of often-used public keys: what verifications need and only the key determines, such as multiples of its
 * point. The number of tables is fixed. A table is computed when its key is used again, and a table that was not used
 * for long enough is given to another key. So neither memory nor time grows with the number of keys in a configuration,
 * and many keys in turn do not make the filter compute tables all the time.
 */

/** A table is kept for this many verifications after its last use. */
const REST: u64 = 1024;

/** A table and its key. */
export class KeyTable {
  readonly content: StaticArray<u8>;
  /** Whether `content` must be computed, because the key has changed. */
  isNew: bool = true;
  readonly key: StaticArray<u8>;
  /** The key for which it was allocated; zeros for none. */
  readonly reason: StaticArray<u8>;
  /** The number of the verification that used it last; 0 if it was never used. */
  lastUse: u64 = 0;

  constructor(keySize: i32, size: i32) {
    this.content = new StaticArray<u8>(size);
    this.key = new StaticArray<u8>(keySize);
    this.reason = new StaticArray<u8>(keySize);
  }
}

export class KeyTables {
  private readonly tables: Array<KeyTable> = new Array<KeyTable>();
  /** The number of verifications so far. */
  private uses: u64 = 0;

  /**
   * @param keySize how many bytes identify a key
   * @param size of a table, in bytes
   */
  constructor(
    private readonly keySize: i32,
    private readonly size: i32,
  ) {}

  /**
   * Allocates a table, unless there are `limit` of them. Runs while keys are loaded, because the memory is never freed.
   */
  add(limit: i32): void {
    if (this.tables.length < limit) this.tables.push(new KeyTable(this.keySize, this.size));
  }

  /**
   * Allocates a table for a key, once however often it is loaded, so a reloaded configuration needs no more memory.
   */
  addFor(key: usize, limit: i32): void {
    const size = <usize>this.keySize;
    for (let i = 0; i < this.tables.length; i++) {
      if (memory.compare(changetype<usize>(this.tables[i].reason), key, size) == 0) return;
    }
    if (this.tables.length >= limit) return;
    this.add(limit);
    memory.copy(changetype<usize>(this.tables[this.tables.length - 1].reason), key, size);
  }

  /**
   * The key's table; null if it has none and none is assigned.
   *
   * @param key `keySize` bytes
   * @param mayKeep whether the key is likely to be used again, so that a table for it pays off
   */
  take(key: usize, mayKeep: bool): KeyTable | null {
    const now = ++this.uses;
    const tables = this.tables;
    const size = <usize>this.keySize;
    let oldest: KeyTable | null = null;
    for (let i = 0; i < tables.length; i++) {
      const table = unchecked(tables[i]);
      if (table.lastUse != 0 && memory.compare(changetype<usize>(table.key), key, size) == 0) {
        table.isNew = false;
        table.lastUse = now;
        return table;
      }
      if (oldest === null || table.lastUse < oldest.lastUse) oldest = table;
    }
    if (!mayKeep || oldest === null || (oldest.lastUse != 0 && now - oldest.lastUse < REST)) return null;
    oldest.lastUse = now;
    oldest.isNew = true;
    memory.copy(changetype<usize>(oldest.key), key, size);
    return oldest;
  }
}

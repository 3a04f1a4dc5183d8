/** Random choices from a seed, the same everywhere: a failure can be seen again. */
export class Random {
  constructor(private state: number) {}

  /** 0 ≤ result < 1 (Mulberry32). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** An integer, 0 ≤ result < limit. */
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  /** True one time in `times`. */
  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  /** Up to `most` of what `make` makes, at least `least`. */
  list<T>(least: number, most: number, make: (index: number) => T): T[] {
    return Array.from({ length: least + this.below(most - least + 1) }, (_, index) => make(index));
  }

  /** Some of these, in their order. */
  some<T>(list: readonly T[]): T[] {
    return list.filter(() => this.oneIn(2));
  }

  /** Bytes as latin-1 text, mostly printable. */
  bytes(length: number): string {
    return Array.from({ length }, () =>
      String.fromCharCode(this.oneIn(3) ? this.below(256) : 0x20 + this.below(95)),
    ).join("");
  }
}

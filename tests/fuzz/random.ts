/**
 * Random choices: from a seed, the same everywhere, so that a failure can be seen again; or drawn by fast-check
 * (tests/support/for-all.ts), which then looks for the smallest choices that fail.
 */
export class Random {
  /** An integer, 0 ≤ result < limit. The limit is at most 2^31. */
  readonly below: (limit: number) => number;

  /** @param source a seed, or what draws an integer, 0 ≤ result < limit */
  constructor(source: number | ((limit: number) => number)) {
    this.below = typeof source === "number" ? seeded(source) : source;
  }

  /** 0 ≤ result < 1. */
  next(): number {
    return this.below(2 ** 31) / 2 ** 31;
  }

  /** True with this probability, 0 to 1. */
  chance(probability: number): boolean {
    return this.below(1000) < probability * 1000;
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

  /** This many of what `make` makes. */
  times<T>(count: number, make: () => T): T[] {
    return Array.from({ length: count }, make);
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

/** Mulberry32. */
function seeded(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * limit);
  };
}

import { describe, expect, it } from "vitest";
import { estimate } from "../../bench/statistics.ts";

/** 1 to n: a sample's rank is its value. */
const ranks = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);

describe("the interval of a median", () => {
  // Ranks for p = 1/2 as in tables of the sign test (Conover, Practical Nonparametric Statistics, table A3).
  it.each([
    [6, 1, 6],
    [10, 2, 9],
    [20, 6, 15],
  ])("of %i samples", (n, low, high) => {
    expect(estimate(ranks(n))).toEqual({ median: (n + 1) / 2, low, high });
  });

  it.each([100, 1000, 1500, 20_000])("of %i samples is about the normal distribution's", (n) => {
    const { low, high } = estimate(ranks(n));
    const half = 0.98 * Math.sqrt(n);
    expect((n + 1) / 2 - low).toBeGreaterThan(half - 2);
    expect((n + 1) / 2 - low).toBeLessThan(half + 2);
    expect(low + high).toBe(n + 1);
  });
});

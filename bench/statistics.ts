/** Medians with intervals that assume nothing about how measurements scatter. */

export interface Estimate {
  median: number;
  /** The 95 % interval of the median. */
  low: number;
  high: number;
}

/**
 * The median and its 95 % interval: the narrowest pair of order statistics, placed alike from both ends, between which the
 * median lies with that probability whatever the distribution (binomial, p = 1/2; David and Nagaraja, Order Statistics, 7.1).
 *
 * @param samples at least one; under six the interval is all of them
 */
export function estimate(samples: readonly number[]): Estimate {
  const sorted = [...samples].sort((a, b) => a - b);
  const n = sorted.length;
  const at = (i: number): number => sorted[i] ?? Number.NaN;
  const median = (at(Math.floor((n - 1) / 2)) + at(Math.ceil((n - 1) / 2))) / 2;
  // How many of the smallest and of the largest may be left out, so that each tail has at most 2.5 %.
  let cut = 0;
  // In logarithms, for of a thousand samples and more the first probabilities are too small for a number.
  let probability = -n * Math.LN2;
  let tail = Math.exp(probability);
  for (; tail <= 0.025 && cut < (n - 1) / 2; cut++) {
    probability += Math.log((n - cut) / (cut + 1));
    tail += Math.exp(probability);
  }
  // `cut` of them are below the tail's limit: the interval is from the one before.
  const first = Math.max(0, cut - 1);
  return { median, low: at(first), high: at(n - 1 - first) };
}

/** What one series is over another: measurement by measurement, taken side by side, then the median. */
export function ratio(of: readonly number[], to: readonly number[]): Estimate {
  return estimate(of.map((value, i) => value / (to[i] ?? Number.NaN)));
}

/** What one series adds to another, pair by pair. */
export function difference(of: readonly number[], over: readonly number[]): number[] {
  return of.map((value, i) => value - (over[i] ?? Number.NaN));
}

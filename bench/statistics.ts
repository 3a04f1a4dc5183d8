/** Medians with intervals that assume nothing about the distribution of measurements. */

export interface Estimate {
  median: number;
  /** The 95 % interval of the median. */
  low: number;
  high: number;
}

/**
 * The median and its 95 % interval: the narrowest pair of order statistics, symmetric from both ends, that contains the
 * median with that probability for any distribution (binomial, p = 1/2; David and Nagaraja, Order Statistics, 7.1).
 *
 * @param samples at least one; with fewer than six, the interval spans all of them
 */
export function estimate(samples: readonly number[]): Estimate {
  const sorted = [...samples].sort((a, b) => a - b);
  const n = sorted.length;
  const at = (i: number): number => sorted[i] ?? Number.NaN;
  const median = (at(Math.floor((n - 1) / 2)) + at(Math.ceil((n - 1) / 2))) / 2;
  // How many of the smallest and of the largest samples can be left out with at most 2.5 % in each tail.
  let cut = 0;
  // In logarithms, because with a thousand samples and more the first probabilities are too small for a double.
  let probability = -n * Math.LN2;
  let tail = Math.exp(probability);
  for (; tail <= 0.025 && cut < (n - 1) / 2; cut++) {
    probability += Math.log((n - cut) / (cut + 1));
    tail += Math.exp(probability);
  }
  // `cut` of them are below the tail's limit, so the interval starts at the one before.
  const first = Math.max(0, cut - 1);
  return { median, low: at(first), high: at(n - 1 - first) };
}

/** The ratio of one series to another: per measurement, taken side by side, then the median. */
export function ratio(of: readonly number[], to: readonly number[]): Estimate {
  return estimate(of.map((value, i) => value / (to[i] ?? Number.NaN)));
}

/** What one series adds to another, pair by pair. */
export function difference(of: readonly number[], over: readonly number[]): number[] {
  return of.map((value, i) => value - (over[i] ?? Number.NaN));
}

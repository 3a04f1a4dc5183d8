/**
 * Measures side by side: every round measures each contender, so that disturbances of the machine affect all of them.
 */

/** One thing to measure. */
export interface Series<Name> {
  name: Name;
  /** Prepares and measures once. @returns microseconds per request */
  measure: (round: number) => Promise<number>;
}

/**
 * Measures every series once per round. Each round begins with another one, and every second round has the reverse
 * order, so that no series always follows the same one.
 *
 * @param progress called after each round
 * @returns for each series one number per round, by name
 */
export async function interleave<Name>(
  series: readonly Series<Name>[],
  rounds: number,
  progress: (round: number) => void,
): Promise<Map<Name, number[]>> {
  const samples = new Map<Name, number[]>(series.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    const start = round % series.length;
    const order = [...series.slice(start), ...series.slice(0, start)];
    if (round % 2 === 1) order.reverse();
    for (const { name, measure } of order) samples.get(name)?.push(await measure(round));
    progress(round + 1);
  }
  return samples;
}

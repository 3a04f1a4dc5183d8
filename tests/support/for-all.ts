/** Tests that must hold for every random choice. */
import fc from "fast-check";
import { Random } from "../fuzz/random.ts";

/** From an empty list the first is chosen, which is undefined, as with a seed. */
const integerBelow = (limit: number): fc.Arbitrary<number> => fc.nat({ max: Math.max(0, limit - 1) });

/**
 * Checks something for random choices. If it fails, fast-check looks for the smallest choices that fail, and says them with
 * the seed that makes them again.
 *
 * @param runs how often it is checked
 * @param check throws if it does not hold for these choices
 * @param seed makes it another run
 */
export function forAll(runs: number, check: (random: Random) => void, seed = 1): void {
  const property = fc.property(fc.gen(), (draw) => check(new Random((limit) => draw(integerBelow, limit))));
  fc.assert(property, { numRuns: runs, seed });
}

/** As `forAll`, of what takes time. */
export async function forAllAsync(
  runs: number,
  check: (random: Random) => Promise<void>,
  seed = 1,
): Promise<void> {
  const property = fc.asyncProperty(fc.gen(), (draw) =>
    check(new Random((limit) => draw(integerBelow, limit))),
  );
  await fc.assert(property, { numRuns: runs, seed });
}

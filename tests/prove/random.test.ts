/** Comparisons of random policies withstand random requests; `npm run prove:random` tries longer. */
import { expect, test } from "vitest";
import { compare } from "../../tools/prove/diff.ts";
import { Random } from "../fuzz/random.ts";
import { attack } from "./attack.ts";
import { compiled, MODULE, policies, type Resource } from "./random.ts";

const SEED = Number(process.env["RANDOM_SEED"] ?? 1);
const PAIRS = Number(process.env["RANDOM_PAIRS"] ?? 60);
const REQUESTS = Number(process.env["RANDOM_REQUESTS"] ?? 1000);

test("policies that are declared equal decide every request alike, and every difference is found", async () => {
  const result = await attack(SEED, PAIRS, REQUESTS);
  expect(result.refuted).toEqual([]);
  expect(result.found).toBe(result.distinguished);
  // Enough of each to have shown something.
  expect(result.equal).toBeGreaterThan(PAIRS / 6);
  expect(result.distinguished).toBeGreaterThan(PAIRS / 6);
  expect(result.undecided).toBeLessThan(PAIRS / 10);
});

/** The same policies, written otherwise. */
function rewritten(random: Random, resources: readonly Resource[]): Resource[] {
  const shuffled = <T>(list: readonly T[]): T[] => {
    const rest = [...list];
    return list.map(() => rest.splice(random.below(rest.length), 1)[0] as T);
  };
  const deep = (value: unknown): unknown => {
    if (Array.isArray(value)) {
      const list = shuffled(value.map(deep));
      // A value twice is the value once.
      return typeof list[0] === "string" && random.oneIn(3) ? [...list, list[0]] : list;
    }
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(shuffled(Object.entries(value)).map(([name, inner]) => [name, deep(inner)]));
  };
  return shuffled(resources).map((resource) =>
    // The order of a RequestAuthentication's rules and places matters.
    resource.kind === "AuthorizationPolicy" ? (deep(resource) as Resource) : resource,
  );
}

test("policies are equal to themselves in another order", async () => {
  for (let seed = 0; seed < PAIRS; seed++) {
    const random = new Random(SEED + seed);
    const old = policies(random);
    const [before, after] = [compiled(old), compiled(rewritten(random, old))];
    if (before === undefined || after === undefined) throw new Error(`seed ${seed} does not compile`);
    const { classes, undecided } = await compare(before, after, { module: MODULE });
    expect({ classes, undecided }, JSON.stringify(old)).toEqual({ classes: [], undecided: [] });
  }
});

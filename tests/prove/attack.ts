/**
 * Tries to refute comparisons: random policies, one of their conditions changed, and random requests to both. It is a test
 * with small numbers; `npm run prove:random` runs it with large ones.
 */
import type { CompileResult } from "../../tools/compile.ts";
import { compare } from "../../tools/prove/diff.ts";
import { Random } from "../fuzz/random.ts";
import { BulkGate, RequestPool } from "./bulk.ts";
import { compiled, MODULE, mutated, policies, Sender, type Sent, seen } from "./random.ts";

export interface Attacked {
  /** Pairs that compile. */
  pairs: number;
  /** Pairs that are declared equal, with a difference, and undecided without one. */
  equal: number;
  different: number;
  undecided: number;
  /** Pairs that a random request distinguishes, and those of them that the comparison found. */
  distinguished: number;
  found: number;
  /** Pairs with a difference that no random request showed. */
  onlyFound: number;
  /** Pairs that are declared equal although a request distinguishes them: there must be none. */
  refuted: string[];
  /** Why pairs are undecided. */
  reasons: Record<string, number>;
  requests: number;
}

/**
 * @param seed of the first pair
 * @param pairs how many
 * @param requests how many are sent to pairs that are declared equal
 * @param equal ends after this many pairs that are declared equal
 */
export async function attack(
  seed: number,
  pairs: number,
  requests: number,
  equal = Number.POSITIVE_INFINITY,
  onPair: (done: number, result: Attacked) => void = () => {},
): Promise<Attacked> {
  const result: Attacked = {
    ...{
      pairs: 0,
      equal: 0,
      different: 0,
      undecided: 0,
      distinguished: 0,
      found: 0,
      onlyFound: 0,
      requests: 0,
    },
    refuted: [],
    reasons: {},
  };
  for (let i = 0; i < pairs && result.equal < equal; i++) {
    await attackPair(seed + i, requests, result);
    onPair(i + 1, result);
  }
  return result;
}

/** How many requests are sent to pairs with a difference, to see how often random search finds one too. */
const SEARCHED = 20_000;
/** How many random requests are taken apart for the requests to a pair: a quarter of these, within limits. */
const [LEAST_PARTS, MOST_PARTS] = [100, 2_000];
/** The interval, in requests, at which one is also sent through the TypeScript host, which must answer alike. */
const CHECK_INTERVAL = 20_000;

async function attackPair(seed: number, requests: number, result: Attacked): Promise<void> {
  const random = new Random(seed);
  const old = policies(random);
  const fresh = mutated(random, old);
  const sides = [compiled(old), compiled(fresh)];
  const [before, after] = sides;
  if (before === undefined || after === undefined) return;
  result.pairs++;
  const { equal, classes, undecided } = await compare(before, after, { module: MODULE });
  for (const reason of undecided) result.reasons[reason] = (result.reasons[reason] ?? 0) + 1;
  if (equal) result.equal++;
  else if (classes.length > 0) result.different++;
  else result.undecided++;

  const difference = await search(
    [before, after],
    random,
    equal ? requests : Math.min(requests, SEARCHED),
    result,
  );
  if (difference === undefined) {
    if (classes.length > 0) result.onlyFound++;
    return;
  }
  result.distinguished++;
  if (classes.length > 0) result.found++;
  if (equal) result.refuted.push(JSON.stringify({ seed, old, fresh, ...difference }));
}

/** Looks for a request that two sides answer or forward differently. */
async function search(
  sides: readonly [CompileResult, CompileResult],
  random: Random,
  requests: number,
  result: Attacked,
): Promise<{ sent: Sent; one: string; two: string } | undefined> {
  const addresses = sides.map(({ configuration }) => configuration?.directRemoteAddress);
  const parts = Math.min(MOST_PARTS, Math.max(LEAST_PARTS, requests / 4));
  const pool = new RequestPool(random, parts, addresses[0] ?? addresses[1]);
  const [fast, fastToo] = sides.map((side) => new BulkGate(side, pool)) as [BulkGate, BulkGate];
  const [exact, exactToo] = sides.map((side) => new Sender(side)) as [Sender, Sender];
  for (let i = 0; i < requests; i++) {
    pool.next(random);
    result.requests++;
    const [effects, effectsToo] = [fast.send(), fastToo.send()];
    const isSame = effects.equals(effectsToo);
    if (isSame && i % CHECK_INTERVAL !== 0) continue;
    const { sent } = pool;
    const outcome = await exact.send(sent);
    if (fast.status !== outcome.answer?.status) {
      throw new Error(`the fast host is wrong: ${fast.status} for ${JSON.stringify({ sent, outcome })}`);
    }
    const [one, two] = [seen(outcome), seen(await exactToo.send(sent))];
    if (one !== two) return { sent, one, two };
  }
  return undefined;
}

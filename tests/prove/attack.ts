/**
 * Tries to refute comparisons: random policies, one of their conditions changed, and random requests to both. It is a test
 * with small numbers; `npm run prove:random` runs it with large ones.
 */
import { compare } from "../../tools/prove/diff.ts";
import { Random } from "../fuzz/random.ts";
import { compiled, MODULE, mutated, policies, request, Sender, seen } from "./random.ts";

export interface Attacked {
  /** Pairs that compile. */
  pairs: number;
  /** Pairs that are declared equal, with a difference, and undecided without one. */
  equal: number;
  different: number;
  undecided: number;
  /** Pairs that a random request distinguishes, and those of them that the comparison found. */
  told: number;
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
 */
export async function attack(
  seed: number,
  pairs: number,
  requests: number,
  onPair: (done: number) => void = () => {},
): Promise<Attacked> {
  const result: Attacked = {
    ...{ pairs: 0, equal: 0, different: 0, undecided: 0, told: 0, found: 0, onlyFound: 0, requests: 0 },
    refuted: [],
    reasons: {},
  };
  for (let i = 0; i < pairs; i++) {
    await attackPair(seed + i, requests, result);
    onPair(i + 1);
  }
  return result;
}

/** How many requests are sent to pairs with a difference, to see how often random search finds one too. */
const SEARCHED = 300;

async function attackPair(seed: number, requests: number, result: Attacked): Promise<void> {
  const random = new Random(seed);
  const old = policies(random);
  const fresh = mutated(random, old);
  const [before, after] = [compiled(old), compiled(fresh)];
  if (before === undefined || after === undefined) return;
  result.pairs++;
  const comparison = await compare(before, after, { module: MODULE });
  const { equal, classes, undecided } = comparison;
  for (const reason of undecided) result.reasons[reason] = (result.reasons[reason] ?? 0) + 1;
  if (equal) result.equal++;
  else if (classes.length > 0) result.different++;
  else result.undecided++;
  const senders = [new Sender(before), new Sender(after)] as const;
  for (let i = 0; i < (equal ? requests : Math.min(requests, SEARCHED)); i++) {
    const sent = request(random);
    result.requests++;
    const [one, two] = [seen(await senders[0].send(sent)), seen(await senders[1].send(sent))];
    if (one === two) continue;
    result.told++;
    if (classes.length > 0) result.found++;
    if (equal) result.refuted.push(JSON.stringify({ seed, old, fresh, sent, one, two }));
    return;
  }
  if (classes.length > 0) result.onlyFound++;
}

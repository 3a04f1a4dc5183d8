/** What the stages share. */
import type { Configuration } from "../../tools/config/schema.ts";
import { type Bench, Contender, type ContenderName } from "../contenders.ts";
import { type Condition, conditionsOf, type Neighbour } from "../neighbour.ts";
import type { Target } from "../policies.ts";
import { interleave } from "../rounds.ts";

export interface StageOptions extends Bench {
  /** How often everything is measured. */
  rounds: number;
  /** How many requests one measurement has. */
  requests: number;
  /** The program that makes the machine busy; absent: everything is measured without it alone. */
  neighbour?: Neighbour;
  /** Receives progress; a line replaces the one before if `volatile`. */
  progress: (line: string, volatile?: boolean) => void;
}

/** Runs `work` with contenders that were proven to work, and always ends them. */
export async function withContenders<T>(
  names: readonly ContenderName[],
  configuration: Configuration,
  proof: { target: Target; token: string },
  bench: Bench,
  work: (contenders: Contender[]) => Promise<T>,
): Promise<T> {
  const contenders: Contender[] = [];
  try {
    for (const name of names) {
      const contender = await Contender.start(name, configuration, bench);
      contenders.push(contender);
      await contender.prove(proof.target, proof.token);
    }
    return await work(contenders);
  } finally {
    await Promise.all(contenders.map((contender) => contender.stop()));
  }
}

/**
 * Measures contenders side by side: in each round without the neighbour and, if there is one, with it.
 *
 * @param take the requests of a round
 * @returns microseconds per request, by condition and contender, one number per round
 */
export async function measureContenders(
  contenders: readonly Contender[],
  take: (round: number) => readonly Buffer[],
  rounds: number,
  neighbour: Neighbour | undefined,
  progress: (round: number) => void,
): Promise<Map<Condition, Map<ContenderName, number[]>>> {
  const conditions = conditionsOf(neighbour);
  if (neighbour !== undefined) for (const contender of contenders) contender.keepAway();
  const series = conditions.flatMap((condition) =>
    contenders.map((contender) => ({
      name: { condition, contender: contender.name },
      measure: async (round: number) => {
        await neighbour?.set(condition);
        return contender.measure(take(round));
      },
    })),
  );
  const results = new Map(conditions.map((one) => [one, new Map<ContenderName, number[]>()]));
  for (const [{ condition, contender }, numbers] of await interleave(series, rounds, progress)) {
    results.get(condition)?.set(contender, numbers);
  }
  await neighbour?.set("quiet");
  return results;
}

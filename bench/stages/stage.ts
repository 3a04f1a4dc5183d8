/** What the stages share. */
import type { Configuration } from "../../tools/config/schema.ts";
import { type Bench, Contender, type ContenderName } from "../contenders.ts";
import type { Target } from "../policies.ts";

export interface StageOptions extends Bench {
  /** How often everything is measured. */
  rounds: number;
  /** How many requests one measurement has. */
  requests: number;
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

/** The memory of a contender with a full cache. */
import type { ContenderName } from "../contenders.ts";
import { CACHE_ENTRIES } from "../contenders.ts";
import { compilePolicy, requestBytes, targets } from "../policies.ts";
import type { Memory } from "../process-clock.ts";
import { Signer } from "../tokens.ts";
import { type StageOptions, withContenders } from "./stage.ts";

export interface MemoryOptions extends StageOptions {
  contenders: readonly ContenderName[];
  tokenBytes: number;
  /** How often every contender is started and filled. */
  runs: number;
}

export type MemoryResult = Map<ContenderName, Memory[]>;

/** Each run starts with a policy of one rule and one worker, and sends three times the tokens that a cache holds. */
export async function measureMemory(options: MemoryOptions): Promise<MemoryResult> {
  const { contenders: names, tokenBytes, runs, progress } = options;
  const result: MemoryResult = new Map(names.map((name) => [name, []]));
  const signer = new Signer("HS256");
  const configuration = compilePolicy(signer.jwks, "exact", 1);
  const [target] = targets("exact", 1);
  if (target === undefined) throw new Error("a policy of one rule has one target");
  const tokens = Array.from({ length: 3 * CACHE_ENTRIES }, () => signer.token(tokenBytes));
  const requests = tokens.map((token) => requestBytes(target, token));
  const proof = { target, token: signer.token(tokenBytes) };
  for (let run = 1; run <= runs; run++) {
    for (const name of names) {
      progress(`memory: run ${run} of ${runs}, ${name}`, true);
      await withContenders([name], configuration, proof, options, async ([contender]) => {
        await contender?.measure(requests);
        if (contender) result.get(name)?.push(contender.memory);
      });
    }
  }
  return result;
}

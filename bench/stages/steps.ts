/** What the time for a known token is spent on: filters that do more and more of jwtgate's work, and jwtgate. */

import type { ContenderName } from "../contenders.ts";
import { STEPS } from "../filters.ts";
import type { Condition } from "../neighbour.ts";
import { compilePolicy, requestBytes, targets } from "../policies.ts";
import { Signer } from "../tokens.ts";
import { measureContenders, type StageOptions, withContenders } from "./stage.ts";

/** Microseconds per request, by condition and contender, one number per round. */
export type StepsResult = Map<Condition, Map<ContenderName, number[]>>;

export async function measureSteps(options: StageOptions & { tokenBytes: number }): Promise<StepsResult> {
  const { rounds, requests: count, progress } = options;
  const signer = new Signer("RS256");
  const token = signer.token(options.tokenBytes);
  const [target] = targets("exact", 1);
  if (target === undefined) throw new Error("a policy of one rule has one target");
  const requests = Array.from({ length: count }, () => requestBytes(target, token));
  const configuration = compilePolicy(signer.jwks, "exact", 1);
  const names = ["none", ...STEPS, "jwtgate"] as const;
  return withContenders(names, configuration, { target, token }, options, async (contenders) => {
    for (const contender of contenders)
      for (let i = 0; i < 3_000; i += count) await contender.measure(requests);
    return measureContenders(
      contenders,
      () => requests,
      rounds,
      options.neighbour,
      (round) => progress(`steps: round ${round} of ${rounds}`, true),
    );
  });
}

/** What is fuzzed, by name. A round of each is a number of steps with its own state. */
import { fuzzConfigurations } from "./configurations.ts";
import { fuzzKeySets } from "./key-sets.ts";
import { fuzzPolicies } from "./policies.ts";
import type { Random } from "./random.ts";
import { fuzzRequests } from "./requests.ts";

/** Rejects with what went wrong. */
export type Target = (module: WebAssembly.Module, random: Random, steps: number) => Promise<void>;

export const TARGETS: Readonly<Record<string, Target>> = {
  requests: fuzzRequests,
  configurations: fuzzConfigurations,
  "key-sets": fuzzKeySets,
  policies: fuzzPolicies,
};

/** Steps of a round. */
export const STEPS = 150;

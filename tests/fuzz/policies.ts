/**
 * Files of policies, valid and invalid ones: the output of every valid one loads, and every error has its
 * position in the file.
 */
import fc from "fast-check";
import { Agreement } from "../conformance/agreement.ts";
import { anyFile, anyOptions } from "../conformance/policies.ts";
import type { Random } from "./random.ts";

export async function fuzzPolicies(module: WebAssembly.Module, random: Random, steps: number): Promise<void> {
  const agreement = await Agreement.create(module);
  fc.assert(
    fc.property(anyFile, anyOptions, (text, options) => agreement.check(text, options)),
    { seed: random.below(2 ** 31), numRuns: steps },
  );
}

/** The worker's operations by name. Structured clone can copy each input and output. */
import { type Review, review } from "../../tools/check/review.ts";
import { type CurlRequest, parseCurl } from "../../tools/explain/curl.ts";
import type { Modules } from "../../tools/explain/gate.ts";
import type { TestFile } from "../../tools/testing/schema.ts";
import { makeTrialKey, type TrialKey } from "../../tools/wizard/keys.ts";
import { type Explained, explainOne, type Ran, runAll } from "./evaluate.ts";
import type { PageKeys } from "./keys.ts";
import { type Addition, addTest } from "./save.ts";
import type { TextFile } from "./suite.ts";
import { runWizard, type WizardInput, type WizardResult } from "./wizard.ts";

/** The input of every operation on requests. */
interface Asked {
  policies: readonly TextFile[];
  keys: PageKeys;
  /** Milliseconds since 1970. */
  now: number;
}

export const operations = {
  /** Compiles policies and reviews them, as `jwtgate check` does. */
  async check({ policies }: { policies: readonly TextFile[] }): Promise<Review> {
    return review(policies);
  },

  /** Explains one request, as `jwtgate explain` does. */
  async explain(
    { policies, file, keys, now }: Asked & { file: Omit<TestFile, "policies"> },
    modules: Modules,
  ): Promise<Explained> {
    return explainOne(policies, file, keys, modules, now);
  },

  /** Runs the requests of a test file, as `jwtgate test` does, and explains each. */
  async run({ policies, tests, keys, now }: Asked & { tests: TextFile }, modules: Modules): Promise<Ran> {
    return runAll(policies, tests, keys, modules, now);
  },

  /** Writes a request into a test file. */
  async save(addition: Addition): Promise<string> {
    return addTest(addition);
  },

  /** Reads a curl line. */
  async curl({ line }: { line: string }): Promise<CurlRequest> {
    return parseCurl(line);
  },

  /** Reads the wizard's form, writes the policies, and runs their four requests. */
  async wizard(input: WizardInput, modules: Modules): Promise<WizardResult> {
    return runWizard(input, modules);
  },

  /** Makes a key for trying a policy. */
  async trialKey({ alg }: { alg: string }): Promise<TrialKey> {
    return makeTrialKey(alg);
  },
};

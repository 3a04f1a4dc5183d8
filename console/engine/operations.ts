/** What the worker can do, by name. An input and an output are what structured clone takes. */
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

/** An operation as the worker calls it. */
export type Operation = (input: unknown, modules: Modules) => unknown;

/** What all operations on requests need. */
interface Asked {
  policies: readonly TextFile[];
  keys: PageKeys;
  /** Milliseconds since 1970. */
  now: number;
}

export const operations = {
  /** Compiles policies and says what a reviewer would, as `jwtgate check` does. */
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

  /** Reads the wizard's form, writes the result, and runs its four requests. */
  async wizard(input: WizardInput, modules: Modules): Promise<WizardResult> {
    return runWizard(input, modules);
  },

  /** Makes a key to try a policy with. */
  async trialKey({ alg }: { alg: string }): Promise<TrialKey> {
    return makeTrialKey(alg);
  },
};

export type Operations = typeof operations;

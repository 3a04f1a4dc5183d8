/** What the worker can do, by name. An input and an output are what structured clone takes. */
import { type Review, review } from "../../tools/check/review.ts";
import type { Modules } from "../../tools/explain/gate.ts";

/** An operation as the worker calls it. */
export type Operation = (input: unknown, modules: Modules) => unknown;

/** A file as an editor holds it. */
export interface TextFile {
  name: string;
  text: string;
}

export const operations = {
  /** Compiles policies and says what a reviewer would, as `jwtgate check` does. */
  async check({ policies }: { policies: TextFile[] }): Promise<Review> {
    return review(policies);
  },
};

export type Operations = typeof operations;

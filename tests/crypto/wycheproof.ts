/** Reads the vectors in tests/vectors/wycheproof (see compact.mjs there). */
import { readVectors } from "../support/vectors.ts";

export type Result = "valid" | "invalid" | "acceptable";

export interface Group<About, Values extends unknown[]> {
  about: About;
  /** Number, what Wycheproof expects, comment, and values in base64url. */
  tests: [number, Result, string, ...Values][];
}

export function readSet<About, Values extends unknown[] = string[]>(name: string): Group<About, Values>[] {
  return readVectors<{ groups: Group<About, Values>[] }>(`wycheproof/${name}`).groups;
}

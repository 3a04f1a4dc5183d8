/** Reads the vectors in tests/vectors/wycheproof (see compact.mjs there). */
import { readFileSync } from "node:fs";

export type Result = "valid" | "invalid" | "acceptable";

export interface Group<About, Values extends unknown[]> {
  about: About;
  /** Number, what Wycheproof expects, comment, and values in base64url. */
  tests: [number, Result, string, ...Values][];
}

export function readSet<About, Values extends unknown[] = string[]>(name: string): Group<About, Values>[] {
  const file = new URL(`../vectors/wycheproof/${name}.json`, import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { groups: Group<About, Values>[] }).groups;
}

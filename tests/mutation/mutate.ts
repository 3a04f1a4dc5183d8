/** Applies a mutant to its file, in memory. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Mutant } from "./mutants.ts";

/**
 * Applies a mutant.
 *
 * @param root the folder of the project
 * @returns the text of the mutant's file with the change
 * @throws Error if `from` does not occur exactly once in the file, or if the mutant changes nothing
 */
export function mutated(root: string, mutant: Mutant): string {
  const source = readFileSync(join(root, mutant.file), "utf8");
  const parts = source.split(mutant.from);
  if (parts.length !== 2) {
    const times = parts.length - 1;
    throw new Error(
      `${mutant.file}: the text to change occurs ${times} times instead of once: ${mutant.from}`,
    );
  }
  if (mutant.from === mutant.to) throw new Error(`${mutant.file}: nothing changes: ${mutant.from}`);
  return parts.join(mutant.to);
}

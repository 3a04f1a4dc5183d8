/** The list of mutants is true: each changes one place of a file that is there, and names tests that are there. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { MUTANTS } from "./mutants.ts";
import { mutated } from "./mutate.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

test.each(MUTANTS)("$file: $from", (mutant) => {
  expect(() => mutated(ROOT, mutant)).not.toThrow();
  expect(mutant.tests.filter((file) => !existsSync(join(ROOT, file)))).toEqual([]);
  expect(mutant.tests).not.toEqual([]);
});

describe("a mutant is refused", () => {
  const mutant = { file: "assembly/memory/bits.ts", to: "", tests: [], why: "" };

  test("if its text occurs more than once", () => {
    expect(() => mutated(ROOT, { ...mutant, from: "return" })).toThrow(/occurs \d+ times instead of once/);
  });

  test("if its text does not occur", () => {
    expect(() => mutated(ROOT, { ...mutant, from: "no such text" })).toThrow("occurs 0 times");
  });
});

/** The list of mutants is true: each changes one place of a file that is there, and names tests that are there. */
import { existsSync, readdirSync } from "node:fs";
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

/** Generated, and compared with its source by the build; tests; the compiler's own library, changed. */
const WITHOUT_MUTANTS = ["config", "__tests__", "lib", "tsconfig.json"];
const ROOMS = readdirSync(join(ROOT, "assembly"))
  .map((name) => name.replace(".ts", ""))
  .filter((room) => !WITHOUT_MUTANTS.includes(room));

test.each(ROOMS)("%s has three mutants or more", (room) => {
  const own = MUTANTS.filter(({ file }) => new RegExp(`^assembly/${room}[/.]`).test(file));
  expect(own.length).toBeGreaterThanOrEqual(3);
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

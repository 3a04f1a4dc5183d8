/**
 * Breaks the filter on purpose, one small change at a time, and runs the tests that have to notice (tests/mutation/mutants.ts).
 *
 *   npm run mutate [-- TEXT …]
 *
 *   TEXT    only the mutants whose file or change contains one of these
 *
 * Everything happens in a copy of the project. Prints one line for each mutant and a summary. The exit code is 0 if every
 * mutant is killed or explained.
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ProjectCopy } from "../support/project-copy.ts";
import { MUTANTS, type Mutant } from "./mutants.ts";
import { mutated } from "./mutate.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const SPEC_CONFIG = "as-pect.mutation.config.js";
/** How long one file of tests may take, in milliseconds. A mutant that takes longer is caught in a loop. */
const TIME_LIMIT = 300_000;

interface Verdict {
  verdict: "killed" | "explained" | "survived";
  reason: string;
}

const wanted = process.argv.slice(2);
const chosen = MUTANTS.filter(
  ({ file, from, to }) =>
    wanted.length === 0 || wanted.some((text) => [file, from, to].some((part) => part.includes(text))),
);
// All of the list, so that a stale entry is found before minutes have passed.
for (const mutant of MUTANTS) mutated(ROOT, mutant);
if (chosen.length === 0) throw new Error("no mutant matches");

const copy = ProjectCopy.make(ROOT);
try {
  process.exitCode = (await run()) ? 0 : 1;
} finally {
  copy.remove();
}

/** Runs all of it. @returns whether every mutant is killed or explained */
async function run(): Promise<boolean> {
  copy.compileSoon();
  await copy.compile("release");
  await copy.compile("trace");
  const tried = chosen.filter(({ equivalent }) => equivalent === undefined);
  const failure = await firstFailure([...new Set(tried.flatMap(({ tests }) => tests))]);
  if (failure !== undefined) {
    console.log(`a test fails without any change: ${failure}`);
    return false;
  }
  const counts = { killed: 0, explained: 0, survived: 0 };
  for (const mutant of chosen) {
    const started = performance.now();
    const { verdict, reason } = await judge(mutant);
    counts[verdict]++;
    const seconds = ((performance.now() - started) / 1000).toFixed(0);
    console.log(`${verdict.padEnd(9)} ${mutant.file}: ${oneLine(mutant.from)} → ${oneLine(mutant.to)}`);
    console.log(`          ${reason} (${seconds} s)`);
  }
  const { killed, explained, survived } = counts;
  console.log(`\n${chosen.length} mutants: ${killed} killed, ${survived} survived, ${explained} explained`);
  return survived === 0;
}

async function judge(mutant: Mutant): Promise<Verdict> {
  if (mutant.equivalent !== undefined) return { verdict: "explained", reason: mutant.equivalent };
  const file = copy.path(mutant.file);
  const original = readFileSync(file);
  writeFileSync(file, mutated(ROOT, mutant));
  try {
    // Specs compile what they test themselves.
    if (!mutant.tests.every(isSpec)) {
      try {
        await copy.compile(mutant.file === "assembly/trace.ts" ? "trace" : "release");
      } catch (error) {
        // No test has noticed anything yet, so it counts as one that survives.
        return { verdict: "survived", reason: (error as Error).message };
      }
    }
    const failure = await firstFailure(mutant.tests);
    return failure === undefined
      ? { verdict: "survived", reason: mutant.why }
      : { verdict: "killed", reason: `by ${failure}` };
  } finally {
    writeFileSync(file, original);
  }
}

/**
 * Runs files of tests one after another, up to the first failure.
 *
 * @param files tests for Vitest, or specs for as-pect
 * @returns what failed, or undefined
 */
async function firstFailure(files: readonly string[]): Promise<string | undefined> {
  for (const file of files) {
    const failure = isSpec(file) ? await runSpec(file) : await runVitest(file);
    if (failure !== undefined) return failure;
  }
  return undefined;
}

function isSpec(file: string): boolean {
  return file.endsWith(".spec.ts");
}

/** @returns what failed, or undefined */
async function runVitest(file: string): Promise<string | undefined> {
  const report = copy.path("mutation-report.json");
  rmSync(report, { force: true });
  const { status, output } = await copy.run(
    [
      ...["node_modules/vitest/vitest.mjs", "run", "--config", "tests/mutation/vitest.config.ts"],
      ...["--bail", "1", "--reporter", "json", "--outputFile", report, file],
    ],
    TIME_LIMIT,
  );
  if (status === 0) return undefined;
  if (status === null) return `${file}, which does not end`;
  try {
    const { testResults } = JSON.parse(readFileSync(report, "utf8")) as Report;
    for (const { status: result, assertionResults } of testResults) {
      const failed = assertionResults.find((assertion) => assertion.status === "failed");
      if (failed !== undefined) return `${file}: ${failed.fullName}`;
      if (result === "failed") return `${file}, which cannot be loaded`;
    }
  } catch {
    // Vitest wrote no report: what it printed says why.
  }
  throw new Error(`Vitest failed, but no test did:\n${output}`);
}

/** The part of Vitest's JSON report that is read. */
interface Report {
  testResults: { status: string; assertionResults: { status: string; fullName: string }[] }[];
}

/** @returns what failed, or undefined */
async function runSpec(file: string): Promise<string | undefined> {
  // The command's own list of files only adds to that of its configuration.
  const config = `import base from "./as-pect.config.js";\nexport default { ...base, entries: ["${file}"] };\n`;
  writeFileSync(copy.path(SPEC_CONFIG), config);
  const command = ["node_modules/@as-pect/cli/bin/asp.js", "--summary", "--config", SPEC_CONFIG];
  const { status } = await copy.run(command, TIME_LIMIT);
  if (status === null) return `${file}, which does not end`;
  return status === 0 ? undefined : file;
}

function oneLine(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line === "" ? "(nothing)" : line;
}

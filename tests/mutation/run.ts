/**
 * Breaks the filter on purpose, one small change at a time, and runs the tests that have to notice (tests/mutation/mutants.ts).
 *
 *   npm run mutate [-- TEXT …]
 *
 *   TEXT    only the mutants whose file or change contains one of these
 *
 * Everything happens in a copy of the project. Prints one line for each mutant and a summary. The exit code is 0 if every
 * mutant is killed or explained.
 *
 * Compiling the whole filter takes most of the time. Specs and the tests of some folders compile only the files that they
 * test, so they run first, and the whole is compiled only if none of them fails.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ProjectCopy } from "../support/project-copy.ts";
import { MUTANTS, type Mutant } from "./mutants.ts";
import { mutated } from "./mutate.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const SPEC_CONFIG = "as-pect.mutation.config.js";
/** Tests for Vitest that compile the parts of the filter that they test. */
const WITH_OWN_MODULE = /^tests\/(authz\/|crypto\/|cache\/token-cache\.)/;
/** The whole filter, which other tests load. */
const MODULES = { release: "build/jwtgate.wasm", trace: "build/jwtgate.trace.wasm" } as const;
/** Every error of the compiler has a number. */
const COMPILER_ERROR = /\bERROR (?:TS|AS)\d+:/;
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
  const tried = chosen.filter(({ equivalent }) => equivalent === undefined);
  for (const test of new Set(tried.flatMap(({ tests }) => tests))) {
    const failure = await failureOf(test);
    if (failure === undefined) continue;
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
  const target = mutant.file === "assembly/trace.ts" ? "trace" : "release";
  // The tests of the trace load both modules, so what was compiled of the mutant is put back too.
  const originals = [mutant.file, MODULES[target]].map((name) => {
    const file = copy.path(name);
    return { file, bytes: readFileSync(file) };
  });
  writeFileSync(copy.path(mutant.file), mutated(ROOT, mutant));
  try {
    let isCompiled = false;
    const own = mutant.tests.filter(hasOwnModule);
    for (const test of [...own, ...mutant.tests.filter((file) => !own.includes(file))]) {
      if (!hasOwnModule(test) && !isCompiled) {
        await copy.compile(target);
        isCompiled = true;
      }
      const failure = await failureOf(test);
      if (failure !== undefined) return { verdict: "killed", reason: `by ${failure}` };
    }
    return { verdict: "survived", reason: mutant.why };
  } catch (error) {
    // No test has noticed anything, so it counts as one that survives.
    if (COMPILER_ERROR.test(String(error))) return { verdict: "survived", reason: String(error) };
    throw error;
  } finally {
    for (const { file, bytes } of originals) writeFileSync(file, bytes);
  }
}

/** Whether a file of tests compiles what it tests, and does not load the whole filter. */
function hasOwnModule(file: string): boolean {
  return isSpec(file) || WITH_OWN_MODULE.test(file);
}

/**
 * Runs a file of tests.
 *
 * @param file tests for Vitest, or a spec for as-pect
 * @returns what failed, or undefined
 * @throws Error if Vitest fails without a test that does, or with the compiler's message if what it tests does not compile
 */
function failureOf(file: string): Promise<string | undefined> {
  return isSpec(file) ? runSpec(file) : runVitest(file);
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
  const text = existsSync(report) ? readFileSync(report, "utf8") : output;
  if (COMPILER_ERROR.test(text)) throw new Error(text);
  if (text === output) throw new Error(`Vitest wrote no report:\n${output}`);
  for (const { status: result, assertionResults } of (JSON.parse(text) as Report).testResults) {
    const failed = assertionResults.find((assertion) => assertion.status === "failed");
    if (failed !== undefined) return `${file}: ${failed.fullName}`;
    if (result === "failed") return `${file}, which cannot be loaded`;
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
  const { status, output } = await copy.run(command, TIME_LIMIT);
  if (COMPILER_ERROR.test(output)) throw new Error(output);
  if (status === null) return `${file}, which does not end`;
  return status === 0 ? undefined : file;
}

function oneLine(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line === "" ? "(nothing)" : line;
}

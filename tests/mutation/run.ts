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
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { MUTANTS, type Mutant } from "./mutants.ts";
import { mutated } from "./mutate.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
/** What the tests do not need, or what the copy links to. */
const NOT_COPIED = new Set(["node_modules", ".git", ".cache", "coverage", ".stryker-tmp"]);
const SPEC_CONFIG = "as-pect.mutation.config.js";
/** A run that takes longer has been caught in a loop, in milliseconds. */
const TIME_LIMIT = 300_000;

interface Outcome {
  passed: boolean;
  /** The first test that failed, or what happened instead. */
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

const copy = mkdtempSync(join(tmpdir(), "jwtgate-mutants-"));
try {
  for (const name of readdirSync(ROOT)) {
    if (!NOT_COPIED.has(name)) cpSync(join(ROOT, name), join(copy, name), { recursive: true });
  }
  symlinkSync(join(ROOT, "node_modules"), join(copy, "node_modules"));
  compileSoon();
  process.exitCode = run() ? 0 : 1;
} finally {
  rmSync(copy, { recursive: true, force: true });
}

/** Runs all of it. @returns whether every mutant is killed or explained */
function run(): boolean {
  compile("release");
  compile("trace");
  const files = [...new Set(chosen.filter(isTried).flatMap(({ tests }) => tests))];
  const { passed, reason } = runTests(files);
  if (!passed) {
    console.log(`the tests fail without any change: ${reason}`);
    return false;
  }
  const counts = { killed: 0, explained: 0, survived: 0 };
  for (const mutant of chosen) {
    const started = performance.now();
    const { verdict, reason } = judge(mutant);
    counts[verdict]++;
    const seconds = ((performance.now() - started) / 1000).toFixed(0);
    console.log(`${verdict.padEnd(9)} ${mutant.file}: ${oneLine(mutant.from)} → ${oneLine(mutant.to)}`);
    console.log(`          ${reason} (${seconds} s)`);
  }
  const { killed, explained, survived } = counts;
  console.log(`\n${chosen.length} mutants: ${killed} killed, ${survived} survived, ${explained} explained`);
  return survived === 0;
}

function isTried(mutant: Mutant): boolean {
  return mutant.equivalent === undefined;
}

function judge(mutant: Mutant): { verdict: "killed" | "explained" | "survived"; reason: string } {
  if (mutant.equivalent !== undefined) return { verdict: "explained", reason: mutant.equivalent };
  const file = join(copy, mutant.file);
  const original = readFileSync(file);
  writeFileSync(file, mutated(ROOT, mutant));
  try {
    compile(mutant.file === "assembly/trace.ts" ? "trace" : "release");
    const { passed, reason } = runTests(mutant.tests);
    return passed ? { verdict: "survived", reason: mutant.why } : { verdict: "killed", reason };
  } finally {
    writeFileSync(file, original);
  }
}

/** Changes the copy's configuration of the compiler: little is optimized, so that a mutant is there in seconds. */
function compileSoon(): void {
  const file = join(copy, "asconfig.json");
  const config = JSON.parse(readFileSync(file, "utf8")) as { targets: Record<string, object> };
  for (const target of Object.values(config.targets)) {
    Object.assign(target, { optimizeLevel: 1, converge: false });
  }
  writeFileSync(file, JSON.stringify(config));
}

/** Compiles the copy's filter. @throws Error if the mutant does not compile */
function compile(target: "release" | "trace"): void {
  const { status, stderr } = spawnSync(
    process.execPath,
    [
      join("node_modules", "assemblyscript", "bin", "asc.js"),
      ...["--config", "asconfig.json", "--target", target],
    ],
    { cwd: copy, encoding: "utf8" },
  );
  if (status !== 0) throw new Error(`the mutant does not compile:\n${stderr}`);
}

/** @param files tests for Vitest, or specs for as-pect */
function runTests(files: readonly string[]): Outcome {
  const specs = files.filter((file) => file.endsWith(".spec.ts"));
  const tests = files.filter((file) => !file.endsWith(".spec.ts"));
  const failure = (specs.length > 0 && runSpecs(specs)) || (tests.length > 0 && runVitest(tests));
  return failure ? { passed: false, reason: failure } : { passed: true, reason: "" };
}

/** @returns the first failure, or undefined */
function runVitest(files: readonly string[]): string | undefined {
  const report = join(copy, "mutation-report.json");
  rmSync(report, { force: true });
  const { status, error, stdout, stderr } = spawnSync(
    process.execPath,
    [
      ...[join("node_modules", "vitest", "vitest.mjs"), "run", "--config", "tests/mutation/vitest.config.ts"],
      ...["--bail", "1", "--reporter", "json", "--outputFile", report, ...files],
    ],
    { cwd: copy, encoding: "utf8", timeout: TIME_LIMIT, killSignal: "SIGKILL", maxBuffer: 64 * 1024 * 1024 },
  );
  if (status === 0) return undefined;
  if (error !== undefined) return "the tests do not end";
  try {
    const { testResults } = JSON.parse(readFileSync(report, "utf8")) as Report;
    for (const { name, status, assertionResults } of testResults) {
      const failed = assertionResults.find((assertion) => assertion.status === "failed");
      if (failed !== undefined) return `by ${name.slice(copy.length + 1)}: ${failed.fullName}`;
      if (status === "failed") return `by ${name.slice(copy.length + 1)}, which cannot be loaded`;
    }
  } catch {
    // Vitest wrote no report: what it printed says why.
  }
  throw new Error(`Vitest failed, but no test did:\n${stdout}${stderr}`);
}

/** The part of Vitest's JSON report that is read. */
interface Report {
  testResults: {
    name: string;
    status: string;
    assertionResults: { status: string; fullName: string }[];
  }[];
}

/** @returns the first failure, or undefined */
function runSpecs(files: readonly string[]): string | undefined {
  for (const file of files) {
    // The command's own list of files only adds to that of its configuration.
    const config = `import base from "./as-pect.config.js";\nexport default { ...base, entries: ["${file}"] };\n`;
    writeFileSync(join(copy, SPEC_CONFIG), config);
    const { status, error } = spawnSync(
      process.execPath,
      [join("node_modules", "@as-pect", "cli", "bin", "asp.js"), "--summary", "--config", SPEC_CONFIG],
      { cwd: copy, encoding: "utf8", timeout: TIME_LIMIT, killSignal: "SIGKILL" },
    );
    if (error !== undefined) return "the tests do not end";
    if (status !== 0) return `by ${file}`;
  }
  return undefined;
}

function oneLine(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line === "" ? "(nothing)" : line;
}

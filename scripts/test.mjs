#!/usr/bin/env node
/**
 * Runs every test after a clean build: builds, checks format, style and types, runs the unit tests of the
 * filter (as-pect) and all others (vitest), and prints what they cover (tests/coverage). The last line is `N
 * passed, N failed`, over everything; each check counts as one. The exit code is 0 only if nothing failed.
 *
 *   node scripts/test.mjs [--raise]
 *
 *   --raise    raises the floors of coverage (tests/coverage/floors.json) to what is measured
 */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const folder = mkdtempSync(join(tmpdir(), "jwtgate-test-"));
const report = join(folder, "vitest.json");
/** What the tests run of the tool: in their own process, and in those that they start. */
const coverage = join(folder, "coverage");
const coverageOfChildren = join(folder, "children");
mkdirSync(coverageOfChildren);
const raise = process.argv.slice(2).filter((argument) => argument === "--raise");

/** Each may have a function that counts its tests; without one, it is one test. */
const STEPS = [
  { name: "build", command: ["scripts/build.mjs"] },
  {
    name: "style and format of TypeScript",
    command: [bin("@biomejs/biome", "bin/biome"), "check", "--error-on-warnings"],
  },
  {
    name: "format of AssemblyScript",
    command: [
      bin("prettier", "bin/prettier.cjs"),
      "--log-level",
      "warn",
      "--no-error-on-unmatched-pattern",
      "--check",
      "assembly",
      "bench/filters",
      "tests/support/guest",
    ],
  },
  { name: "plain English of documents, comments and messages", command: ["scripts/prose.mjs"] },
  { name: "types", command: [bin("typescript", "bin/tsc"), "--project", "."] },
  {
    name: "unit tests of the filter",
    command: [bin("@as-pect/cli", "bin/asp.js"), "--summary"],
    count: countAsPect,
  },
  {
    name: "all other tests",
    command: [
      bin("vitest", "vitest.mjs"),
      "run",
      "--coverage",
      `--coverage.reportsDirectory=${coverage}`,
      "--reporter=default",
      "--reporter=json",
      `--outputFile.json=${report}`,
    ],
    environment: { JWTGATE_COVERAGE_CHILDREN: coverageOfChildren },
    count: countVitest,
  },
  {
    name: "coverage of the tool",
    command: [
      "scripts/run.mjs",
      "tests/coverage/tools.ts",
      join(coverage, "coverage-final.json"),
      coverageOfChildren,
      ...raise,
    ],
  },
  { name: "coverage of the filter", command: ["scripts/run.mjs", "tests/coverage/filter.ts", ...raise] },
];

const total = { passed: 0, failed: 0 };
try {
  for (const [index, step] of STEPS.entries()) {
    console.log(`\n[${index + 1}/${STEPS.length}] ${step.name}`);
    const started = performance.now();
    const { succeeded, output } = await run(step.command, step.environment);
    const counted = step.count?.(output) ?? { passed: 0, failed: 0 };
    // A step that fails without a failed test, or has no tests at all, counts as a failure.
    if (!succeeded && counted.failed === 0) counted.failed = 1;
    if (succeeded && step.count === undefined) counted.passed = 1;
    if (step.count !== undefined && counted.passed + counted.failed === 0) counted.failed = 1;
    total.passed += counted.passed;
    total.failed += counted.failed;
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(
      `[${index + 1}/${STEPS.length}] ${counted.passed} passed, ${counted.failed} failed in ${seconds} s`,
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = total.failed === 0 ? 0 : 1;
console.log(`\n${total.passed} passed, ${total.failed} failed`);

/** A package's own program. */
function bin(name, path) {
  return join("node_modules", name, path);
}

/** Runs a script of Node's, showing what it writes. */
function run(command, environment = {}) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, command, {
      env: { ...process.env, ...environment },
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      output += text;
      process.stdout.write(text);
    });
    child.on("error", (error) => {
      console.error(error.message);
      resolve({ succeeded: false, output });
    });
    child.on("close", (code) => resolve({ succeeded: code === 0, output }));
  });
}

/** as-pect ends with `[Tests]: PASSED / ALL`. */
function countAsPect(output) {
  const [, passed, all] = /\[Tests\]: (\d+) \/ (\d+)/.exec(stripVTControlCharacters(output)) ?? [];
  return { passed: Number(passed ?? 0), failed: Number(all ?? 0) - Number(passed ?? 0) };
}

/** A skipped test proves nothing, and the tests of a file that cannot be loaded did not run. */
function countVitest() {
  let results;
  try {
    results = JSON.parse(readFileSync(report, "utf8"));
  } catch {
    return { passed: 0, failed: 0 };
  }
  const broken = results.testResults.filter(
    ({ status, assertionResults }) =>
      status === "failed" && !assertionResults.some((assertion) => assertion.status === "failed"),
  );
  return {
    passed: results.numPassedTests,
    failed: results.numTotalTests - results.numPassedTests + broken.length,
  };
}

#!/usr/bin/env node
/**
 * Runs the demo, the recorded cases and the integration tests with each Envoy that is supported, and prints a table.
 *
 *   npm run test:envoys [-- VERSION …]
 *
 * Each Envoy is installed once, into the user's cache folder. The exit code is 0 only if nothing failed.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { importProgram } from "./bundle-program.mjs";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const folder = mkdtempSync(join(tmpdir(), "jwtgate-envoys-"));

/** By the column's title: the folders of tests. */
const SUITES = {
  "recorded cases": ["tests/differential/cases.test.ts"],
  integration: ["tests/integration"],
  "failing servers": ["tests/faults"],
};

function node(args, environment) {
  const { status } = spawnSync(process.execPath, args, {
    stdio: "inherit",
    env: { ...process.env, ...environment },
  });
  return status === 0;
}

function runSuite(paths, environment) {
  const outputFile = join(folder, "vitest.json");
  rmSync(outputFile, { force: true });
  const reporters = ["--reporter=dot", "--reporter=json", `--outputFile=${outputFile}`];
  node(["node_modules/vitest/vitest.mjs", "run", ...reporters, ...paths], environment);
  try {
    const { numPassedTests, numTotalTests, numFailedTestSuites } = JSON.parse(
      readFileSync(outputFile, "utf8"),
    );
    const failed = numTotalTests - numPassedTests;
    const isGood = failed === 0 && numFailedTestSuites === 0 && numPassedTests > 0;
    return { text: failed === 0 ? `${numPassedTests}` : `${numPassedTests}, ${failed} failed`, isGood };
  } catch {
    return { text: "did not run", isGood: false };
  }
}

let isGood = true;
const rows = [["Envoy", "demo", ...Object.keys(SUITES)]];
try {
  if (!node(["scripts/build.mjs", "--if-stale", "--quiet"], {})) process.exit(1);
  // The tool's own functions, which the bundle of the command does not export.
  const { PINS } = await importProgram("tools/envoy/pins.ts");
  const { pinFor, provisionEnvoy } = await importProgram("tools/envoy/provision.ts");
  const chosen = process.argv.slice(2);
  for (const version of chosen.length > 0 ? chosen : Object.keys(PINS)) {
    if (!(version in PINS)) throw new Error(`${version} is not one of ${Object.keys(PINS).join(", ")}`);
    const pin = pinFor(process.platform, process.arch, version);
    const binary = await provisionEnvoy({ pin, progress: (line) => console.error(line) });
    const environment = { ENVOY_BIN: binary };
    console.error(`\nEnvoy ${version}`);
    const demo = node(["dist/jwtgate.mjs", "demo", "--once"], environment);
    const results = Object.values(SUITES).map((paths) => runSuite(paths, environment));
    isGood &&= demo && results.every((result) => result.isGood);
    rows.push([version, demo ? "passed" : "failed", ...results.map(({ text }) => text)]);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
const line = (row) => `| ${row.map((cell, column) => cell.padEnd(widths[column])).join(" | ")} |`;
const [head, ...body] = rows;
console.log([line(head), line(widths.map((width) => "-".repeat(width))), ...body.map(line)].join("\n"));
process.exitCode = isGood ? 0 : 1;

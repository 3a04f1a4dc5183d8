/** What `compile` accepts, the filter and Envoy load: whole documents with any values. */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import fc from "fast-check";
import { expect, test } from "vitest";
import { envoyBinary, MODULE } from "../support/envoy.ts";
import { Agreement, inOneBootstrap } from "./agreement.ts";
import { anyFile, anyOptions } from "./policies.ts";

const SEED = Number(process.env["RANDOM_SEED"] ?? 2026);
const RUNS = Number(process.env["RANDOM_RUNS"] ?? 800);
/** How many bootstraps Envoy is given. */
const BOOTSTRAPS = 100;

const module = await WebAssembly.compile(readFileSync(MODULE));

const agreement = await Agreement.create(module);

test("what compile accepts, the filter loads, and reads as it was meant", () => {
  fc.assert(
    fc.property(anyFile, anyOptions, (text, options) => agreement.check(text, options)),
    { seed: SEED, numRuns: RUNS },
  );
  // Often enough to be conclusive.
  expect(agreement.accepted).toBeGreaterThan(RUNS / 10);
  expect(agreement.fetched).toBeGreaterThan(RUNS / 40);
});

test("what compile accepts, Envoy starts with", async () => {
  const folder = mkdtempSync(join(tmpdir(), "jwtgate-agreement-"));
  try {
    const file = join(folder, "envoy.json");
    const bootstraps = agreement.bootstraps.slice(0, BOOTSTRAPS);
    expect(bootstraps.length).toBeGreaterThan(Math.min(RUNS, BOOTSTRAPS) / 20);
    writeFileSync(file, JSON.stringify(inOneBootstrap(bootstraps)));
    const { stdout, stderr } = await promisify(execFile)(await envoyBinary(), [
      ...["--mode", "validate", "--config-path", file, "--log-level", "error"],
    ]);
    expect(stderr).toBe("");
    expect(stdout).toContain("OK");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

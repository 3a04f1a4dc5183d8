/**
 * What each artefact may weigh, in bytes. Every proxy loads the modules, and every installation has the rest.
 * A change that needs more bytes raises the number, and its commit explains why. The console's own budget is
 * in tests/console/budget.test.ts.
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

const BUDGETS: Record<string, number> = {
  "build/jwtgate.wasm": 230_000,
  "build/jwtgate.trace.wasm": 235_000,
  "dist/core.mjs": 1_020_000,
  "dist/index.mjs": 1_200_000,
  "dist/jwtgate.mjs": 2_100_000,
};

test.each(Object.entries(BUDGETS))("%s has at most %i bytes", (file, budget) => {
  const { size } = statSync(join(ROOT, file));
  expect(size).toBeLessThanOrEqual(budget);
  // A budget far above the current size would not notice a change.
  expect(size).toBeGreaterThan(budget * 0.75);
});

test("each bundle has a budget", () => {
  const bundles = readdirSync(join(ROOT, "dist")).filter((name) => name.endsWith(".mjs"));
  expect(bundles.map((name) => `dist/${name}`).filter((file) => !(file in BUDGETS))).toEqual([]);
});

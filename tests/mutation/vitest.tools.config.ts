/**
 * The tests that Stryker runs for a folder of the tool (scripts/mutate-tools.mjs): those of its functions alone, which need
 * neither Envoy nor another process for each case. Random and large inputs are left out, because they would run again for
 * each of thousands of changes.
 */
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const TESTS: Record<string, string[]> = {
  istio: ["tests/istio/!(cases|random|yaml-agreement|yaml-limits).test.ts"],
  jwks: ["tests/jwks/*.test.ts", "tests/istio/request-authentication.test.ts"],
  render: ["tests/render/!(yaml-readers).test.ts"],
};
const folder = process.env["MUTATED_FOLDER"] ?? "";

export default defineConfig({
  test: {
    root: fileURLToPath(new URL("../..", import.meta.url)),
    include: TESTS[folder] ?? [],
    // Modules are read once for each change instead of once for each file of tests.
    isolate: false,
    setupFiles: "tests/mutation/setup.ts",
    testTimeout: 60_000,
  },
});

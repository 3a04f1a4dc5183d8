/** The tests that run the compiler, its outputs and its key sets in their own process, for Stryker. */
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    root: fileURLToPath(new URL("../..", import.meta.url)),
    include: [
      ...["core", "import", "istio", "render"].map((folder) => `tests/${folder}/**/*.test.ts`),
      ...["jwk", "jwks", "names", "hostile-text"].map((name) => `tests/cli/${name}.test.ts`),
      "tests/check/rule-index.test.ts",
      "tests/conformance/key-sets.test.ts",
      "tests/docs/istio-fields.test.ts",
    ],
    testTimeout: 60_000,
  },
});

/** The fast tests without a build before them: the mutation runs build what they test. */
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    root: fileURLToPath(new URL("../..", import.meta.url)),
    include: ["tests/**/*.test.ts"],
    setupFiles: ["tests/support/breathe.ts", "tests/mutation/setup.ts"],
    testTimeout: 30_000,
  },
});

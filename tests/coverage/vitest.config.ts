/** The fast tests in a copy of the project whose filter counts its statements. */
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    root: fileURLToPath(new URL("../..", import.meta.url)),
    include: ["tests/**/*.test.ts"],
    setupFiles: ["tests/support/breathe.ts", "tests/coverage/setup.ts"],
    // Vitest's own choice leaves one of two cores idle.
    maxWorkers: availableParallelism(),
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});

import { availableParallelism } from "node:os";
import { configDefaults, defineConfig } from "vitest/config";

/** What needs an Envoy, and so more time. */
const WITH_ENVOY = ["integration", "differential", "faults"].map((folder) => `tests/${folder}/**/*.test.ts`);

/** Only what hangs takes so long: a busy machine needs five times the time of an idle one. */
const TIMEOUTS = { testTimeout: 300_000, hookTimeout: 300_000, expect: { poll: { timeout: 100_000 } } };

export default defineConfig({
  test: {
    // Most tests wait for other processes (the tool, Envoy, Chromium), so two files at a time keep two cores busy.
    maxWorkers: Math.max(2, Math.floor(availableParallelism() / 2)),
    coverage: {
      provider: "v8",
      include: ["tools/**/*.ts"],
      reporter: ["json"],
      reportsDirectory: "coverage",
      reportOnFailure: true,
    },
    projects: [
      {
        test: {
          name: "fast",
          include: ["tests/**/*.test.ts"],
          exclude: [...configDefaults.exclude, ...WITH_ENVOY],
          globalSetup: "tests/support/build.ts",
          setupFiles: ["tests/support/breathe.ts", "tests/coverage/children.ts"],
          ...TIMEOUTS,
        },
      },
      {
        test: {
          name: "envoy",
          include: WITH_ENVOY,
          globalSetup: "tests/support/build.ts",
          setupFiles: "tests/coverage/children.ts",
          ...TIMEOUTS,
        },
      },
    ],
  },
});

import { configDefaults, defineConfig } from "vitest/config";

/** What needs an Envoy: one test file at a time, so that never more than one or two Envoys share the machine. */
const WITH_ENVOY = ["integration", "differential", "faults"].map((folder) => `tests/${folder}/**/*.test.ts`);

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "fast",
          include: ["tests/**/*.test.ts"],
          exclude: [...configDefaults.exclude, ...WITH_ENVOY],
          globalSetup: "tests/support/build.ts",
          setupFiles: "tests/support/breathe.ts",
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: "envoy",
          include: WITH_ENVOY,
          globalSetup: "tests/support/build.ts",
          pool: "forks",
          poolOptions: { forks: { singleFork: true } },
          testTimeout: 60_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});

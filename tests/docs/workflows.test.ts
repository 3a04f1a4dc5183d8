/** The workflows of GitHub name only existing files and scripts, and use only pinned actions. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { PINS } from "../../tools/envoy/pins.ts";
import { ROOT } from "./markdown.ts";

interface Step {
  uses?: string;
  run?: string;
}
interface Workflow {
  permissions: unknown;
  jobs: Record<string, { steps: Step[]; strategy?: { matrix: Record<string, unknown[]> } }>;
}

const folder = join(ROOT, ".github/workflows");
const read = (name: string) => readFileSync(join(folder, name), "utf8");
const names = readdirSync(folder);
const workflow = (name: string) => parse(read(name)) as Workflow;
const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
  scripts: Record<string, string>;
};

describe.each(names)("%s", (name) => {
  const steps = Object.values(workflow(name).jobs).flatMap((job) => job.steps);

  test("pins every action by its commit, and names its version", () => {
    const used = read(name).match(/uses: .*/g) ?? [];
    expect(used.length).toBeGreaterThan(0);
    for (const line of used) expect(line).toMatch(/^uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  });

  test("gives jobs no permission that they do not name", () => {
    expect(workflow(name).permissions).toEqual(name === "ci.yml" ? { contents: "read" } : {});
  });

  test("runs commands and folders that exist", () => {
    const commands = steps.flatMap(({ run }) => run ?? []).join("\n");
    for (const [, script = ""] of commands.matchAll(/\bnpm run ([\w:]+)/g)) {
      expect(manifest.scripts).toHaveProperty([script]);
    }
    for (const [path] of commands.matchAll(/\b(?:tests\/\w+|\.ci\/run|\.github\/[\w.]+)/g)) {
      expect(existsSync(join(ROOT, path)), path).toBe(true);
    }
  });
});

test("CI tries every Envoy that is supported, on every Node", () => {
  const { test: all, envoys, macos } = workflow("ci.yml").jobs;
  expect(envoys?.strategy?.matrix["envoy"]).toEqual(Object.keys(PINS));
  for (const job of [all, envoys, macos]) expect(job?.strategy?.matrix["node"]).toEqual([20, 22, 24]);
});

/**
 * A test runner for Stryker (scripts/mutate-tools.mjs) that loads the tests and the tool once and then tries each change in
 * the same process: a change takes milliseconds. Vitest would load everything again for each of thousands of changes.
 *
 * The tests are those of functions alone, which need neither Envoy nor another process for each case. Random and large inputs
 * are left out, because they would run again for each change.
 *
 * What one change leaves behind must not fail the tests of the next: a test that has failed must pass without the change, or
 * everything is loaded anew.
 */
import { readdirSync } from "node:fs";
import { register } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { determineHitLimitReached, toMutantRunResult } from "@stryker-mutator/api/test-runner";
import { collect, run } from "./registered-tests.mjs";

/** By folder of the tool: the folder of its tests and what is left out there, and other files. */
const TESTS = {
  istio: { folder: "tests/istio", without: ["cases", "random", "yaml-agreement", "yaml-limits"], others: [] },
  jwks: { folder: "tests/jwks", without: [], others: ["tests/istio/request-authentication.test.ts"] },
  render: { folder: "tests/render", without: ["yaml-readers"], others: [] },
};

/** The global that the changed code reads (INSTRUMENTER_CONSTANTS.NAMESPACE of Stryker). */
const NAMESPACE = "__stryker__";

/** The codes of Stryker's API. */
const SUCCESS = 0;
const FAILED = 1;

function testFiles() {
  const { folder, without, others } = TESTS[process.env["MUTATED_FOLDER"] ?? ""] ?? {};
  if (folder === undefined) throw new Error(`MUTATED_FOLDER is none of ${Object.keys(TESTS).join(", ")}`);
  const own = readdirSync(folder).filter(
    (name) => name.endsWith(".test.ts") && !without.includes(name.slice(0, -".test.ts".length)),
  );
  return [...own.sort().map((name) => `${folder}/${name}`), ...others];
}

class InProcessRunner {
  #version = 0;
  #tests = [];

  constructor() {
    globalThis[NAMESPACE] ??= {};
    this.state = globalThis[NAMESPACE];
  }

  capabilities() {
    return { reloadEnvironment: true };
  }

  async init() {
    register("./typescript-hooks.mjs", import.meta.url);
    await import(this.#urlOf("tests/mutation/setup.ts"));
  }

  async dryRun() {
    await this.#load();
    const results = await run(this.#tests, {
      isBailing: false,
      onTest: (id) => {
        this.state.currentTestId = id;
      },
    });
    return {
      status: "complete",
      tests: results.map(toStryker),
      mutantCoverage: this.state.mutantCoverage,
    };
  }

  async mutantRun({ activeMutant, testFilter, hitLimit, mutantActivation, disableBail }) {
    const isStatic = mutantActivation === "static";
    this.state.hitCount = 0;
    this.state.hitLimit = hitLimit;
    this.state.activeMutant = isStatic ? activeMutant.id : undefined;
    if (isStatic || this.#tests.length === 0) await this.#load();
    this.state.activeMutant = activeMutant.id;
    const chosen =
      testFilter === undefined ? this.#tests : this.#tests.filter(({ id }) => testFilter.includes(id));
    const results = await run(chosen, { isBailing: !disableBail });
    const { hitCount } = this.state;
    this.state.activeMutant = undefined;
    this.state.hitLimit = undefined;
    const failed = results.filter(({ failure }) => failure !== undefined).map(({ id }) => id);
    if (isStatic || (await this.#isSpoilt(failed))) this.#tests = [];
    return toMutantRunResult(
      determineHitLimitReached(hitCount, hitLimit) ?? { status: "complete", tests: results.map(toStryker) },
    );
  }

  async #load() {
    this.#version++;
    this.#tests = await collect(testFiles(), (file) => import(this.#urlOf(file)));
  }

  #urlOf(file) {
    return `${pathToFileURL(resolve(file)).href}?${this.#version}`;
  }

  /** Whether tests fail without a change. */
  async #isSpoilt(ids) {
    const results = await run(
      this.#tests.filter(({ id }) => ids.includes(id)),
      { isBailing: true },
    );
    return results.some(({ failure }) => failure !== undefined);
  }
}

function toStryker({ id, file, milliseconds, failure }) {
  const result = {
    id,
    name: id.slice(id.indexOf("#") + 1),
    fileName: resolve(file),
    timeSpentMs: milliseconds,
  };
  return failure === undefined
    ? { ...result, status: SUCCESS }
    : { ...result, status: FAILED, failureMessage: failure };
}

export const strykerPlugins = [
  { kind: "TestRunner", name: "in-process", factory: () => new InProcessRunner() },
];

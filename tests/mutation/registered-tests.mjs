/**
 * Replaces `vitest` in the process of runner.mjs: keeps the tests of each file, and runs some of them again and again
 * without loading anything. It has what the tests of functions use, and no more.
 */
import { readFileSync } from "node:fs";
import { format } from "node:util";
import { expect } from "vitest";

export { expect };

/** A describe block, or a file. */
const newSuite = (name, parent) => ({
  name,
  parent,
  beforeAll: [],
  afterAll: [],
  beforeEach: [],
  afterEach: [],
});

let tests = [];
let file = "";
let suite;

/**
 * Loads files of tests.
 *
 * @param {string[]} files their paths
 * @param {(file: string) => Promise<unknown>} importFile
 * @returns {Promise<{ id: string, file: string }[]>} their tests; an id is the same in each process
 */
export async function collect(files, importFile) {
  tests = [];
  for (const one of files) {
    file = one;
    suite = newSuite("", undefined);
    await importFile(one);
  }
  return tests;
}

/** The suites around a test, the file first. */
function around(one) {
  const suites = [];
  for (let at = one.suite; at !== undefined; at = at.parent) suites.unshift(at);
  return suites;
}

/**
 * Runs tests in their order.
 *
 * @param chosen of `collect`
 * @param {{ isBailing: boolean, onTest?: (id?: string) => void }} options whether the first failure is the end; what learns
 *   which test runs
 * @returns {Promise<{ id: string, file: string, milliseconds: number, failure?: string }[]>}
 */
export async function run(chosen, { isBailing, onTest }) {
  const results = [];
  const open = [];
  const close = async (isStaying) => {
    while (open.length > 0 && !isStaying(open.at(-1))) for (const hook of open.pop().afterAll) await hook();
  };
  for (const one of chosen) {
    const began = performance.now();
    const suites = around(one);
    let failure;
    try {
      await close((at) => suites.includes(at));
      for (const at of suites) {
        if (open.includes(at)) continue;
        open.push(at);
        for (const hook of at.beforeAll) await hook();
      }
      file = one.file;
      onTest?.(one.id);
      for (const at of suites) for (const hook of at.beforeEach) await hook();
      try {
        await one.run();
      } finally {
        for (const at of suites.toReversed()) for (const hook of at.afterEach) await hook();
      }
    } catch (error) {
      failure = error instanceof Error ? error.message : String(error);
    }
    onTest?.(undefined);
    results.push({ id: one.id, file: one.file, milliseconds: performance.now() - began, failure });
    if (failure !== undefined && isBailing) break;
  }
  await close(() => false).catch(() => {});
  return results;
}

export function describe(name, body) {
  const outer = suite;
  suite = newSuite(name, outer);
  body();
  suite = outer;
}
describe.each = each(describe);

export function test(name, ...rest) {
  const body = rest.findLast((one) => typeof one === "function");
  const names = [name];
  for (let at = suite; at !== undefined; at = at.parent) if (at.name !== "") names.unshift(at.name);
  const title = names.join(" > ");
  const before = tests.filter((one) => one.file === file && one.title === title).length;
  const id = `${file}#${title}${before > 0 ? ` (${before + 1})` : ""}`;
  tests.push({ id, title, file, suite, run: () => body() });
}
test.each = each(test);

export { test as it };

/** A row is a list of arguments, or the only one. Titles have Node's `%s` and similar. */
function each(define) {
  return (rows) =>
    (name, ...rest) => {
      const body = rest.findLast((one) => typeof one === "function");
      for (const row of rows) {
        const values = Array.isArray(row) ? row : [row];
        const count = name.match(/%[sdijfoOc]/g)?.length ?? 0;
        define(format(name, ...values.slice(0, count)), () => body(...values));
      }
    };
}

export const beforeAll = (hook) => suite.beforeAll.push(hook);
export const afterAll = (hook) => suite.afterAll.push(hook);
export const beforeEach = (hook) => suite.beforeEach.push(hook);
export const afterEach = (hook) => suite.afterEach.push(hook);

expect.extend({
  toMatchFileSnapshot(text, path) {
    const pass = text === readFileSync(new URL(path, `file://${file}`), "utf8");
    return { pass, message: () => `the text differs from ${path}` };
  },
});

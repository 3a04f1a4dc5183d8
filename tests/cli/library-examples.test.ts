/**
 * Each function and class of the library has an example in its reference, and each example prints the output
 * in its comments.
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import * as library from "../../tools/lib.ts";
import { blocks, readMarkdown } from "../docs/markdown.ts";
import { ROOT, Workspace } from "../support/cli.ts";

const workspace = new Workspace();
afterAll(() => workspace.remove());
beforeAll(() => {
  mkdirSync(workspace.path("node_modules"));
  symlinkSync(ROOT, workspace.path("node_modules/jwtgate"));
});

const page = readMarkdown("docs/reference/library.md");
/** The sections of exported names, by name. */
const sections = new Map(
  page.split(/^### /m).map((section) => [/^\w+/.exec(section)?.[0] ?? "", section] as const),
);

/** The example of a section: the first block of code in which a name is imported from the package. */
function exampleOf(name: string): string {
  const found = blocks(sections.get(name) ?? "").find(({ text }) => /from "jwtgate(\/core)?";/.test(text));
  if (found === undefined) throw new Error(`docs/reference/library.md: ${name} has no example`);
  return found.text;
}

test.each(Object.keys(library).sort())("the example of %s prints its output", (name) => {
  const example = exampleOf(name);
  const expected = [...example.matchAll(/(?:^|console\.log\(.*\); )\/\/ (.*)$/gm)]
    .map(([line, text = ""]) => ({ isOutput: line.startsWith("console.log") || !/\.$/.test(text), text }))
    .filter(({ isOutput }) => isOutput)
    .map(({ text }) => `${text}\n`);
  expect(expected.length, example).toBeGreaterThan(0);
  writeFileSync(workspace.path("example.mjs"), example);
  const { status, stdout, stderr } = spawnSync(process.execPath, ["example.mjs"], {
    cwd: workspace.folder,
    encoding: "utf8",
  });
  expect({ status, stderr, stdout }).toEqual({ status: 0, stderr: "", stdout: expected.join("") });
});

test("the reference has every exported type", () => {
  const declared = readFileSync(join(ROOT, "tools/core.ts"), "utf8").matchAll(
    /^export type (?:\{([^}]*)\}|(\w+))|^ {2}type (\w+)/gm,
  );
  const names = [...declared]
    .flatMap(([, list = "", ...others]) => [...list.split(","), ...others])
    .map((name) => /(\w+)\s*$/.exec(name ?? "")?.[1])
    .filter((name) => name !== undefined);
  expect(names.length).toBeGreaterThan(30);
  expect(names.filter((name) => !sections.has(name))).toEqual([]);
});

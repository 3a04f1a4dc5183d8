#!/usr/bin/env node
/**
 * Finds banned idioms (scripts/prose/idioms.yml) in documents, comments and messages. Prints each with its position, and
 * exits with 1 if there is any.
 *
 *   node scripts/prose.mjs [FILE …]
 *
 * Without a file it reads all that git tracks.
 */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { importProgram } from "./bundle-program.mjs";

const FILES = [
  "*.md",
  "docs/*.md",
  ...["assembly", "bench", "console", "scripts", "tests", "tools"].flatMap((folder) =>
    [".md", ".mjs", ".ts", ".tsx"].map((extension) => `${folder}/*${extension}`),
  ),
];

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const { lintFile } = await importProgram("scripts/prose/lint.ts", "prose");

const named = process.argv.slice(2);
const tracked = () =>
  execFileSync("git", ["ls-files", "-z", "--", ...FILES], { encoding: "utf8" }).split("\0");
const paths = named.length > 0 ? named : tracked().filter((path) => path !== "");
let count = 0;
for (const path of paths) {
  for (const { line, column, message } of await lintFile(path)) {
    console.log(`${path}:${line}:${column}: ${message}`);
    count++;
  }
}
console.log(`${count} idioms in ${paths.length} files`);
process.exitCode = count === 0 ? 0 : 1;

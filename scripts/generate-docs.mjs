#!/usr/bin/env node
/** Writes the files that are generated from sources (scripts/docs). A test fails if they are out of date. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { importProgram } from "./bundle-program.mjs";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));

// The page of commands is what the tool prints, that of the library is made of its declarations.
const parts = ["scripts/build.mjs", "--tool", "--library", "--if-stale", "--quiet"];
const built = spawnSync(process.execPath, parts, { stdio: "inherit" });
if (built.status !== 0) process.exit(1);

const { GENERATED } = await importProgram("scripts/docs/index.ts", "generate-docs");

for (const [path, render] of Object.entries(GENERATED)) {
  const text = await render();
  // A file that stays as it is keeps its time: one of them is a source of the filter, which takes a minute to build.
  if (existsSync(path) && readFileSync(path, "utf8") === text) continue;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  console.log(path);
}

#!/usr/bin/env node
/**
 * Runs a TypeScript program of the project, after a build of the filter if its sources are newer.
 *
 *   node scripts/run.mjs PROGRAM.ts [ARGUMENTS …]
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { bundleProgram } from "./bundle-program.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const [program = "", ...args] = process.argv.slice(2);

const { status } = spawnSync(
  process.execPath,
  [join(root, "scripts/build.mjs"), "--filter", "--if-stale", "--quiet"],
  { stdio: "inherit" },
);
if (status !== 0) process.exit(1);

const file = await bundleProgram(program);
process.argv.splice(1, process.argv.length - 1, file, ...args);
await import(pathToFileURL(file).href);

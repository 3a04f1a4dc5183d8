#!/usr/bin/env node
/**
 * Runs a TypeScript program of the project, after a build of the filter if its sources are newer.
 *
 *   node scripts/run.mjs PROGRAM.ts [ARGUMENTS …]
 */
import { spawnSync } from "node:child_process";
import { basename, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const [program = "", ...args] = process.argv.slice(2);

const { status } = spawnSync(
  process.execPath,
  [join(root, "scripts/build.mjs"), "--filter", "--if-stale", "--quiet"],
  { stdio: "inherit" },
);
if (status !== 0) process.exit(1);

// One folder below the project's own, as the tool's bundle is: the program finds the project's files from there.
const file = join(root, "build", `${basename(program, ".ts")}.mjs`);
await build({
  entryPoints: [join(root, program)],
  outfile: file,
  bundle: true,
  packages: "external",
  platform: "node",
  format: "esm",
  target: "node20",
  sourcemap: "inline",
  logLevel: "error",
});
process.argv.splice(1, process.argv.length - 1, file, ...args);
await import(pathToFileURL(file).href);

#!/usr/bin/env node
/** Writes the files that are generated from sources (scripts/docs). A test says when they are out of date. */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));

// The page of commands is what the tool says.
const built = spawnSync(process.execPath, ["scripts/build.mjs", "--tool", "--if-stale", "--quiet"], {
  stdio: "inherit",
});
if (built.status !== 0) process.exit(1);

// A file beside the packages: TypeScript's compiler is one of them, and reads sources for docs/library.md.
const file = join("build", "generate-docs.mjs");
await build({
  entryPoints: ["scripts/docs/index.ts"],
  outfile: file,
  bundle: true,
  packages: "external",
  platform: "node",
  format: "esm",
  logLevel: "error",
});
const { GENERATED } = await import(pathToFileURL(file).href);

for (const [path, render] of Object.entries(GENERATED)) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, render());
  console.log(path);
}

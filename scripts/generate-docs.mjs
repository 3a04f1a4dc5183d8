#!/usr/bin/env node
/** Writes the files that are generated from sources (scripts/docs). A test says when they are out of date. */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));

// The page of commands is what the tool says.
const built = spawnSync(process.execPath, ["scripts/build.mjs", "--tool", "--if-stale", "--quiet"], {
  stdio: "inherit",
});
if (built.status !== 0) process.exit(1);

const { outputFiles } = await build({
  entryPoints: ["scripts/docs/index.ts"],
  bundle: true,
  platform: "node",
  format: "esm",
  write: false,
  logLevel: "error",
});
const { GENERATED } = await import(
  `data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString("base64")}`
);

for (const [path, render] of Object.entries(GENERATED)) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, render());
  console.log(path);
}

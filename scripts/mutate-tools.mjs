#!/usr/bin/env node
/**
 * Makes Stryker's small changes to folders of the tool, and runs the unit tests of each folder, which must
 * fail (tests/mutation/stryker.config.json).
 *
 *   npm run mutate:tools [-- FOLDER … [-- ARGUMENTS …]]
 *
 *   FOLDER       istio, jwks or render; default: one after another
 *   ARGUMENTS    for Stryker, such as `--mutate tools/jwks/json.ts`
 *
 * Prints the changes that no test notices, and the score: the part of the changes that a test notices. What was found is kept
 * in .cache/, so that a second run tries only what has changed. The exit code is 0 if each score is 85 or more.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const FOLDERS = ["istio", "jwks", "render"];

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const args = process.argv.slice(2);
const end = args.includes("--") ? args.indexOf("--") : args.length;
const chosen = end === 0 ? FOLDERS : args.slice(0, end);
const unknown = chosen.filter((folder) => !FOLDERS.includes(folder));
if (unknown.length > 0) throw new Error(`${unknown.join(", ")} is not one of ${FOLDERS.join(", ")}`);

let isGood = true;
for (const folder of chosen) {
  console.log(`tools/${folder}`);
  const { status } = spawnSync(
    process.execPath,
    [
      ...["node_modules/@stryker-mutator/core/bin/stryker.js", "run", "tests/mutation/stryker.config.json"],
      ...["--mutate", `tools/${folder}/**/*.ts`, "--incrementalFile", `.cache/stryker-${folder}.json`],
      ...args.slice(end + 1),
    ],
    { stdio: "inherit", env: { ...process.env, MUTATED_FOLDER: folder } },
  );
  isGood &&= status === 0;
}
process.exitCode = isGood ? 0 : 1;

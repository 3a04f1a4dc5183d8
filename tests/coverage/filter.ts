/**
 * Which lines of the filter the fast tests run: prints them for each room, and compares the whole with its floor
 * (tests/coverage/floors.json).
 *
 *   npm run coverage:filter [-- --uncovered] [--raise]
 *
 *   --uncovered    prints each line that no test runs
 *   --raise        raises the floor to what was measured
 *
 * A copy of the project is compiled with a counter in each statement (instrument.ts), and the unit tests of the filter and
 * the tests that run it in Node are run there. What only Envoy runs is not counted.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { ProjectCopy } from "../support/project-copy.ts";
import { checkFloor, type Figures, percent } from "./floors.ts";
import { countersOf, instrument, type Site } from "./instrument.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
/** Tests that run the filter in Node, without those that repeat the same lines with many vectors. */
const TESTS = [
  ...["authz", "cache", "conformance"].map((folder) => `tests/${folder}`),
  ...["ecdsa", "ed25519", "host", "ml-dsa", "rsa"].map((name) => `tests/crypto/${name}.test.ts`),
  "tests/trace/same.test.ts",
];
/** For each of the two runs of tests, in milliseconds. */
const TIME_LIMIT = 1_200_000;

const { values: options } = parseArgs({
  options: { uncovered: { type: "boolean", default: false }, raise: { type: "boolean", default: false } },
});
const copy = ProjectCopy.make(ROOT);
try {
  process.exitCode = (await run()) ? 0 : 1;
} finally {
  copy.remove();
}

/** @returns whether the tests pass and the floor holds */
async function run(): Promise<boolean> {
  const sites = addCounters();
  const folder = copy.path("counted");
  mkdirSync(folder);
  const environment = {
    JWTGATE_COVERAGE_SITES: String(sites.length),
    JWTGATE_COVERAGE_FOLDER: folder,
  };
  copy.compileSoon();
  await Promise.all([copy.compile("release"), copy.compile("trace")]);
  const collect = pathToFileURL(copy.path("tests/coverage/collect.mjs")).href;
  const vitest = ["node_modules/vitest/vitest.mjs", "run", "--config", "tests/coverage/vitest.config.ts"];
  const asPect = ["node_modules/@as-pect/cli/bin/asp.js", "--summary", "--no-logo"];
  const ended = [
    await copy.run([...vitest, "--reporter=github-actions", ...TESTS], TIME_LIMIT, environment),
    await copy.run(asPect, TIME_LIMIT, { ...environment, NODE_OPTIONS: `--import=${collect}` }),
  ];
  for (const { status, output } of ended) if (status !== 0) console.log(output);
  if (ended.some(({ status }) => status !== 0)) return false;
  const ran = new Set<number>();
  for (const name of readdirSync(folder)) {
    for (const site of JSON.parse(readFileSync(join(folder, name), "utf8")) as number[]) ran.add(site);
  }
  return report(sites, ran);
}

/** Adds the counters to the copy's filter. @returns what each counts */
function addCounters(): Site[] {
  const sites: Site[] = [];
  for (const file of readdirSync(copy.path("assembly"), { recursive: true, encoding: "utf8" })) {
    if (!file.endsWith(".ts") || file.startsWith("lib/") || file.startsWith("__tests__/")) continue;
    const path = `assembly/${file}`;
    const text = readFileSync(copy.path(path), "utf8");
    writeFileSync(copy.path(path), instrument(path, text, sites));
  }
  const entries = [
    "assembly/index.ts",
    ...["assembly/__tests__", "tests/support/guest"].flatMap((entryFolder) =>
      readdirSync(copy.path(entryFolder)).map((file) => `${entryFolder}/${file}`),
    ),
  ];
  for (const entry of entries) {
    // Specs import this one. What has no code of the filter has no counters.
    if (entry.endsWith("/support.ts")) continue;
    const text = readFileSync(copy.path(entry), "utf8");
    const isPart = entry === "assembly/index.ts" || /from "(\.\.\/)+/.test(text);
    if (isPart) writeFileSync(copy.path(entry), countersOf(sites.length) + text);
  }
  return sites;
}

/** Prints the figures. @returns whether the floor holds */
function report(sites: readonly Site[], ran: ReadonlySet<number>): boolean {
  /** By room and line: whether a statement that begins there ran. */
  const rooms = new Map<string, Map<string, boolean>>();
  for (const [number, { file, line }] of sites.entries()) {
    const [, room = ""] = /^assembly\/([^/.]+)/.exec(file) ?? [];
    const lines = rooms.get(room) ?? new Map<string, boolean>();
    rooms.set(room, lines);
    const place = `${file}:${line}`;
    lines.set(place, (lines.get(place) ?? false) || ran.has(number));
  }
  const all = new Map([...rooms.values()].flatMap((lines) => [...lines]));
  const coveredOf = (lines: ReadonlyMap<string, boolean>): Figures[string] => ({
    covered: [...lines.values()].filter((isCovered) => isCovered).length,
    all: lines.size,
  });
  for (const [room, lines] of [...rooms].sort(([a], [b]) => a.localeCompare(b))) {
    console.log(`assembly/${room.padEnd(14)} lines ${percent(coveredOf(lines))}`);
  }
  if (options.uncovered) {
    for (const [place, isCovered] of all) if (!isCovered) console.log(place);
  }
  return checkFloor("assembly", { lines: coveredOf(all) }, options.raise);
}

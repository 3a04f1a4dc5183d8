/**
 * Which lines and branches of tools/ the tests run: prints them for each folder, and compares the whole with its floors
 * (tests/coverage/floors.json).
 *
 *   node scripts/run.mjs tests/coverage/tools.ts VITEST CHILDREN [--raise]
 *
 *   VITEST      what Vitest has noted of its own process: coverage-final.json
 *   CHILDREN    folder of what Node has noted of the built tool, in the processes that tests started
 *   --raise     raises the floors to what was measured
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { mergeScriptCovs, type ScriptCov } from "@bcoe/v8-coverage";
import { convert } from "ast-v8-to-istanbul";
import { parseAstAsync } from "vite";
import { checkFloor, type Figures, percent } from "./floors.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const TOOL = join(ROOT, "dist/jwtgate.mjs");
/** Of the tool; its sources are relative to the tool. */
const SOURCE_MAP = join(ROOT, "build/jwtgate.mjs.map");
/** How many files of Node's are read before they are merged: each is a megabyte. */
const AT_A_TIME = 20;

/** The figures of a file that are used, in Istanbul's form. */
interface FileCoverage {
  statementMap: Record<string, { start: { line: number } }>;
  s: Record<string, number>;
  branchMap: Record<string, { type: string; loc: { start: { line: number } }; locations: unknown[] }>;
  b: Record<string, number[]>;
}

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { raise: { type: "boolean", default: false } },
});
const [own = "", children = ""] = positionals;
process.exitCode = (await run()) ? 0 : 1;

async function run(): Promise<boolean> {
  const tests = JSON.parse(readFileSync(own, "utf8")) as Record<string, FileCoverage>;
  const tool = await coverageOfTool();
  const folders = new Map<string, Figures>();
  const all = emptyFigures();
  for (const [path, coverage] of Object.entries(tests)) {
    const file = path.slice(ROOT.length);
    const [, folder = ""] = /^(tools\/[^/]+?)(\/|\.ts$)/.exec(file) ?? [];
    const figures = folders.get(folder) ?? emptyFigures();
    folders.set(folder, figures);
    for (const [what, ran] of Object.entries(union(coverage, tool[path]))) {
      for (const sum of [figures, all]) {
        const figure = sum[what] as Figures[string];
        figure.all += ran.length;
        figure.covered += ran.filter((hasRun) => hasRun).length;
      }
    }
  }
  for (const [folder, { lines, branches }] of [...folders].sort(([a], [b]) => a.localeCompare(b))) {
    if (lines === undefined || branches === undefined || lines.all === 0) continue;
    const ofBranches = branches.all === 0 ? "" : `, branches ${percent(branches)}`;
    console.log(`${folder.padEnd(20)} lines ${percent(lines)}${ofBranches}`);
  }
  return checkFloor("tools", all, options.raise);
}

function emptyFigures(): Figures {
  return { lines: { covered: 0, all: 0 }, branches: { covered: 0, all: 0 } };
}

/** Whether each line and each branch of a file ran, in the tests' own process or in the tool's. */
function union(
  tests: FileCoverage,
  tool: FileCoverage | undefined,
): { lines: boolean[]; branches: boolean[] } {
  const lines = linesOf(tests);
  const branches = branchesOf(tests);
  if (tool !== undefined) {
    for (const [line, ran] of linesOf(tool)) if (ran && lines.has(line)) lines.set(line, true);
    for (const [branch, ran] of branchesOf(tool)) if (ran && branches.has(branch)) branches.set(branch, true);
  }
  return { lines: [...lines.values()], branches: [...branches.values()] };
}

/** By line: whether a statement that begins there ran. */
function linesOf({ statementMap, s }: FileCoverage): Map<number, boolean> {
  const lines = new Map<number, boolean>();
  for (const [id, { start }] of Object.entries(statementMap)) {
    lines.set(start.line, (lines.get(start.line) ?? false) || (s[id] ?? 0) > 0);
  }
  return lines;
}

/**
 * By place: whether a branch ran. The place is its line, its kind and the how manieth of them it is there: columns of the
 * bundle do not lead back to exactly those of the sources.
 */
function branchesOf({ branchMap, b }: FileCoverage): Map<string, boolean> {
  const counts = new Map<string, number>();
  const branches = new Map<string, boolean>();
  for (const [id, { type, loc, locations }] of Object.entries(branchMap)) {
    const kind = `${loc.start.line} ${type}`;
    const number = counts.get(kind) ?? 0;
    counts.set(kind, number + 1);
    for (const index of locations.keys()) {
      branches.set(`${kind} ${number} ${index}`, (b[id]?.[index] ?? 0) > 0);
    }
  }
  return branches;
}

/** The counts of a process. If a test ended it while it wrote, its file is incomplete and is ignored. */
function scriptsOf(file: string): ScriptCov[] {
  try {
    return (JSON.parse(readFileSync(file, "utf8")) as { result: ScriptCov[] }).result;
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}

/** What the processes of tests ran of the tool, by file. */
async function coverageOfTool(): Promise<Record<string, FileCoverage>> {
  const url = pathToFileURL(TOOL).href;
  let merged: ScriptCov | undefined;
  let waiting: ScriptCov[] = [];
  const merge = (): void => {
    merged = mergeScriptCovs(merged === undefined ? waiting : [merged, ...waiting]);
    waiting = [];
  };
  for (const name of readdirSync(children)) {
    waiting.push(...scriptsOf(join(children, name)).filter((script) => script.url === url));
    if (waiting.length >= AT_A_TIME) merge();
  }
  if (waiting.length > 0) merge();
  if (merged === undefined) throw new Error("no test has started the tool");
  const code = readFileSync(TOOL, "utf8");
  const sourceMap = JSON.parse(readFileSync(SOURCE_MAP, "utf8")) as { sources: string[] };
  sourceMap.sources = sourceMap.sources.map((source) => join(dirname(TOOL), source));
  const converted = await convert({
    ast: parseAstAsync(code),
    code,
    coverage: merged,
    sourceMap: sourceMap as never,
    wrapperLength: 0,
  });
  return converted as unknown as Record<string, FileCoverage>;
}

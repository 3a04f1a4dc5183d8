/** `npm run bench`: jwtgate compared with Envoy's own filters, on a real Envoy, in one interleaved run. */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { dirname, join, relative } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { findEnvoy } from "../tools/envoy/provision.ts";
import { MODULE_FILE, PACKAGE_FOLDER } from "../tools/package.ts";
import { CONTENDERS, type ContenderName } from "./contenders.ts";
import { compileFilters } from "./filters.ts";
import { Neighbour } from "./neighbour.ts";
import { SHAPES } from "./policies.ts";
import { drawing } from "./report/drawing.ts";
import { type Measured, report } from "./report/results.ts";
import { tables } from "./report/table.ts";
import { measureHost } from "./stages/host.ts";
import { measureMemory } from "./stages/memory.ts";
import { measureRules } from "./stages/rules.ts";
import type { StageOptions } from "./stages/stage.ts";
import { measureSteps } from "./stages/steps.ts";
import { MODES, measureTokens } from "./stages/tokens.ts";
import { measureUpdate } from "./stages/update.ts";
import { ALGORITHMS } from "./tokens.ts";

const STAGES = ["tokens", "steps", "rules", "memory", "update", "host"] as const;

/** Contenders of the stage `rules` and of `update`: an empty filter has no rules, and caches have no effect on them. */
const WITH_RULES: readonly ContenderName[] = ["none", "native-cache", "jwtgate-other", "jwtgate"];
const UPDATED: readonly ContenderName[] = ["native", "jwtgate-other", "jwtgate"];

function choices<T extends string>(known: readonly T[]): (text: string) => T[] {
  return (text) =>
    text.split(",").map((name) => {
      const found = known.find((choice) => choice === name);
      if (found === undefined) throw new InvalidArgumentError(`${name}: known are ${known.join(", ")}`);
      return found;
    });
}

function count(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("must be a number");
  return Number(text);
}

const EXAMPLES = `
Examples:
  Everything, in about a quarter of an hour:
    $ npm run bench
  What a token costs that comes again and again, and nothing else:
    $ npm run bench -- --stages tokens --algorithms RS256 --modes hot
  How the cost grows with rules on paths, up to 100,000:
    $ npm run bench -- --stages rules --shapes exact,prefix --rules 1,100,10000,100000`;

const program = new Command("npm run bench --")
  .description("compare jwtgate with Envoy's own filters, on a real Envoy, in one interleaved run")
  .option("--stages <names>", `of ${STAGES.join(", ")}`, choices(STAGES), [...STAGES])
  .option("--algorithms <names>", `of ${ALGORITHMS.join(", ")}`, choices(ALGORITHMS), [
    "HS256",
    "RS256",
    "ES256",
    "PS256",
    "EdDSA",
  ])
  .option("--modes <names>", `of ${MODES.join(", ")}`, choices(MODES), [...MODES])
  .option("--contenders <names>", `of ${CONTENDERS.join(", ")}`, choices(CONTENDERS), [...CONTENDERS])
  .option("--shapes <names>", `of the policies with many rules: of ${SHAPES.join(", ")}`, choices(SHAPES), [
    ...SHAPES,
  ])
  .option(
    "--rules <numbers>",
    "how many they have",
    (text) => text.split(",").map(count),
    [1, 10, 100, 1_000, 10_000],
  )
  .option("--rounds <number>", "how often everything is measured", count, 121)
  .option("--starts <number>", "over how many starts of Envoy those of tokens are spread", count, 12)
  .option("--requests <number>", "of one measurement", count, 200)
  .option("--runs <number>", "how often memory and updates are measured", count, 5)
  .option("--token-bytes <number>", "the least length of a token", count, 600)
  .option("--connections <number>", "of the load generator, one request at a time on each", count, 8)
  .option("--busy", "measure tokens and steps also while another program fills the caches", false)
  .option("--module <file>", "the filter", MODULE_FILE)
  .option("--other-module <file>", "another build of it, to see what a change brings")
  .option(
    "--output <folder>",
    "where bench.json, bench.txt and bench.svg go",
    join(PACKAGE_FOLDER, "build/bench"),
  )
  .addHelpText("after", EXAMPLES);

const options = program.parse().opts<{
  stages: (typeof STAGES)[number][];
  algorithms: (typeof ALGORITHMS)[number][];
  modes: (typeof MODES)[number][];
  contenders: ContenderName[];
  shapes: (typeof SHAPES)[number][];
  rules: number[];
  rounds: number;
  starts: number;
  requests: number;
  runs: number;
  tokenBytes: number;
  connections: number;
  busy: boolean;
  module: string;
  otherModule?: string;
  output: string;
}>();

const progress = progressTo(process.stderr);
const envoy = await findEnvoy({ progress });
const neighbour = options.busy ? await Neighbour.start() : undefined;
const stage: StageOptions = {
  envoy,
  module: options.module,
  otherModule: options.otherModule ?? "",
  steps: await compileFilters(join(PACKAGE_FOLDER, "build/bench")),
  connections: options.connections,
  rounds: options.rounds,
  requests: options.requests,
  ...(neighbour && { neighbour }),
  progress,
};
const { algorithms, modes, shapes, rules, tokenBytes, runs } = options;
const wanted = (name: (typeof STAGES)[number]): boolean => options.stages.includes(name);
const among = (names: readonly ContenderName[]): ContenderName[] =>
  names.filter(
    (name) =>
      options.contenders.includes(name) && (name !== "jwtgate-other" || options.otherModule !== undefined),
  );
const contenders = among(CONTENDERS);

const started = performance.now();
const measured: Measured = {
  tokens: wanted("tokens")
    ? await measureTokens({ ...stage, algorithms, modes, contenders, tokenBytes, starts: options.starts })
    : [],
  steps: wanted("steps") ? await measureSteps({ ...stage, tokenBytes }) : new Map(),
  rules: wanted("rules")
    ? await measureRules({ ...stage, shapes, rules, tokenBytes, contenders: among(WITH_RULES) })
    : [],
  memory: wanted("memory") ? await measureMemory({ ...stage, contenders, tokenBytes, runs }) : new Map(),
  update: wanted("update")
    ? await measureUpdate({ ...stage, shapes, contenders: among(UPDATED), rules: Math.max(...rules), runs })
    : [],
  host: wanted("host") ? await measureHost({ ...stage, algorithms, tokenBytes, pairs: 30 }) : [],
};
neighbour?.stop();
const result = report(measured, {
  machine: {
    cpu: cpus()[0]?.model ?? "unknown processor",
    cores: cpus().length,
    kernel: `Linux ${release()}`,
    node: process.version,
    envoy: /\d+\.\d+\.\d+/.exec(execFileSync(envoy, ["--version"], { encoding: "utf8" }))?.[0] ?? "unknown",
  },
  date: new Date().toISOString().slice(0, 10),
  rounds: options.rounds,
  requests: options.requests,
});

const text = tables(result);
process.stdout.write(`\n${text}`);
for (const [name, contents] of [
  ["bench.json", `${JSON.stringify(result, null, 1)}\n`],
  ["bench.txt", text],
  ["bench.svg", drawing(result)],
] as const) {
  const file = join(options.output, name);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, contents);
  progress(`wrote ${relative(process.cwd(), file)}`);
}
progress(`took ${((performance.now() - started) / 1000).toFixed(0)} s`);

/** Prints lines that stay, and on a terminal also lines that the next one replaces. */
function progressTo(stream: NodeJS.WriteStream): StageOptions["progress"] {
  let shown = 0;
  return (line, volatile = false) => {
    if (!stream.isTTY) {
      // A log keeps the beginning of each task, not each round.
      const piece = line.replace(/round \d+ of|pair \d+ of|run \d+ of/, "").length;
      if (volatile && piece === shown) return;
      shown = volatile ? piece : 0;
      stream.write(`${line}\n`);
      return;
    }
    stream.write(`\r\x1b[K${line}${volatile ? "" : "\n"}`);
  };
}

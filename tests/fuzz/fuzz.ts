/**
 * `npm run fuzz`: hostile requests, configurations, key sets and files of policies, in the project's own host, until the time is over or
 * something fails; then it says how to see that again.
 */
import { readFileSync } from "node:fs";
import { Command, InvalidArgumentError, Option } from "commander";
import { MODULE_FILE } from "../../tools/package.ts";
import { Random } from "./random.ts";
import { STEPS, TARGETS } from "./targets.ts";

function number(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError("It is a number.");
  return value;
}

const program = new Command("fuzz")
  .option("--seconds <number>", "how long", number, 60)
  .option("--seed <number>", "of the first round", number, Date.now() % 2 ** 31)
  .option("--rounds <number>", "no more than this many", number, Number.MAX_SAFE_INTEGER)
  .option("--module <file>", "the module", MODULE_FILE)
  .addOption(new Option("--target <name>", "this one only").choices(Object.keys(TARGETS)))
  .parse();
const {
  seconds,
  seed,
  rounds,
  module: file,
  target,
} = program.opts<{
  seconds: number;
  seed: number;
  rounds: number;
  module: string;
  target?: string;
}>();

const module = await WebAssembly.compile(readFileSync(file));
const targets = Object.entries(TARGETS).filter(([name]) => target === undefined || name === target);
const end = performance.now() + seconds * 1000;
let round = 0;
console.log(`seed ${seed}, ${seconds} s`);
for (; round < rounds && performance.now() < end; round++) {
  for (const [name, run] of targets) {
    try {
      await run(module, new Random(seed + round), STEPS);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      process.stderr.write(`${name}, round ${round}: ${message}\n`);
      process.stderr.write(`Again: npm run fuzz -- --target ${name} --seed ${seed + round} --rounds 1\n`);
      process.exit(1);
    }
  }
}
console.log(`${round} rounds of ${STEPS} steps: ${targets.map(([name]) => name).join(", ")}; nothing failed`);

/** `npm run prove:random`: tries to refute comparisons until the numbers are reached; prints each refutation and the sums. */
import { Command, InvalidArgumentError } from "commander";
import { attack } from "./attack.ts";

function number(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError("It is a number.");
  return value;
}

const { seed, pairs, requests, equal } = new Command("prove:random")
  .option("--seed <number>", "of the first pair", number, 1)
  .option("--pairs <number>", "of policies, and the same with one change", number, 2_000)
  .option("--requests <number>", "to each pair that is declared equal", number, 1_000)
  .option("--equal <number>", "end after this many pairs that are declared equal", number)
  .parse()
  .opts<{ seed: number; pairs: number; requests: number; equal?: number }>();

const begun = performance.now();
const result = await attack(seed, pairs, requests, equal, (done, { equal: declared }) => {
  if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${pairs}, ${declared} equal`);
});
for (const one of result.refuted) console.log(`refuted: ${one}`);
const { refuted, ...sums } = result;
console.log({ ...sums, refuted: refuted.length, seconds: Math.round((performance.now() - begun) / 1000) });
process.exitCode = refuted.length === 0 && result.distinguished === result.found ? 0 : 1;

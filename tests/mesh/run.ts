/**
 * `npm run test:mesh`: the scenarios in a real mesh on this machine. Prints a line for each comparison that differs and a
 * table; the exit code is 1 if anything differs. tests/mesh/README.md says what it needs.
 */
import { writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { envoyBinary } from "../support/envoy.ts";
import { startUpstream } from "../support/upstream.ts";
import { Mesh } from "./mesh.ts";
import { play, SCENARIOS, setStage } from "./scenarios.ts";

interface Options {
  programs: string;
  envoy?: string;
  only?: string;
  keepLogs: boolean;
  record?: string;
}

async function main(): Promise<void> {
  const options = new Command("test:mesh")
    .description("runs policies in a mesh of a real istiod")
    .option("--programs <folder>", "those of tests/mesh/programs.sh", join(homedir(), ".cache/jwtgate/mesh"))
    .option("--envoy <file>", "an Envoy with V8 (default: the one of the other tests)")
    .option("--only <text>", "only scenarios whose name has this in it")
    .option("--record <folder>", "write there what istiod made, for tests/mesh/recorded.test.ts")
    .option("--keep-logs", "keep the folder with the logs of all processes", false)
    .parse()
    .opts<Options>();
  const upstream = await startUpstream();
  const mesh = await Mesh.start(options.programs, options.envoy ?? (await envoyBinary()), options.keepLogs);
  const results: { name: string; right: number; wrong: number }[] = [];
  try {
    let right = 0;
    let wrong = 0;
    const stage = await setStage(mesh, upstream.port, {
      want(what, got, status, body) {
        if (got.status === status && (body === undefined || got.body === body)) {
          right++;
          return;
        }
        wrong++;
        console.log(`differs: ${what}: wanted ${status} ${body ?? ""}, got ${got.status} ${got.body}`);
      },
      record(name, value) {
        if (options.record === undefined) return;
        writeFileSync(join(options.record, `${name}.json`), `${JSON.stringify(value, null, 2)}\n`);
      },
    });
    for (const scenario of SCENARIOS) {
      if (options.only !== undefined && !scenario.name.includes(options.only)) continue;
      [right, wrong] = [0, 0];
      try {
        await play(scenario, stage);
      } catch (error) {
        wrong++;
        console.log(`failed: ${scenario.name}: ${(error as Error).message}`);
      }
      results.push({ name: scenario.name, right, wrong });
      console.log(`${wrong === 0 ? "✓" : "✗"} ${scenario.name}: ${right} right, ${wrong} wrong`);
    }
  } finally {
    await mesh.stop();
    await upstream.close();
  }
  const sum = (field: "right" | "wrong") => results.reduce((total, result) => total + result[field], 0);
  console.log(`${sum("right")} right, ${sum("wrong")} wrong in ${results.length} scenarios`);
  if (sum("wrong") > 0 || results.length === 0) process.exitCode = 1;
}

await main();

/** `npm run meter`: counts what the module does for each kind of request, on any machine to the same digit. */
import { readFileSync, writeFileSync } from "node:fs";
import { Command } from "commander";
import { BUDGETS_FILE, PAGE_FILE, table, withTable } from "./meter/budgets.ts";
import { COLUMNS, type Counts, measure } from "./meter/meter.ts";

const options = new Command("npm run meter --")
  .description("count what the module does for each kind of request")
  .option("--module <file>", "the module", "build/jwtgate.wasm")
  .option("--other <file>", "a build from before a change: prints both, and their ratio")
  .option("--json", "print JSON")
  .option("--write", "take the counts as the budgets of npm test, and write the table of docs/performance.md")
  .parse()
  .opts<{ module: string; other?: string; json?: boolean; write?: boolean }>();

const counts = await measure(readFileSync(options.module));
if (options.other !== undefined) compare(await measure(readFileSync(options.other)), counts);
else if (options.json) console.log(JSON.stringify(Object.fromEntries(counts), null, 2));
else console.log(table(counts));
if (options.write) {
  writeFileSync(BUDGETS_FILE, `${JSON.stringify(Object.fromEntries(counts), null, 2)}\n`);
  writeFileSync(PAGE_FILE, withTable(readFileSync(PAGE_FILE, "utf8"), counts));
}

function compare(before: Map<string, Counts>, after: Map<string, Counts>): void {
  for (const [name, now] of after) {
    const then = before.get(name);
    if (then === undefined) continue;
    console.log(name);
    for (const column of Object.keys(COLUMNS) as (keyof Counts)[]) {
      const ratio = (now[column] / then[column]).toFixed(3);
      console.log(`  ${COLUMNS[column].padEnd(20)}${then[column]} → ${now[column]} (${ratio})`);
    }
  }
}

/**
 * Counts what the module does for each kind of request, on any machine to the same digit.
 *
 *   npm run meter [-- --module FILE] [--other FILE] [--json] [--write]
 *
 *   --module  the module (default: build/jwtgate.wasm)
 *   --other   a build from before a change: prints both, and their ratio
 *   --json    prints JSON
 *   --write   takes the counts as the budgets of npm test, and writes the table of docs/performance.md
 */
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { BUDGETS_FILE, PAGE_FILE, table, withTable } from "./meter/budgets.ts";
import { COLUMNS, type Counts, measure } from "./meter/meter.ts";

const { values: options } = parseArgs({
  options: {
    module: { type: "string", default: "build/jwtgate.wasm" },
    other: { type: "string" },
    json: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
  },
});

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

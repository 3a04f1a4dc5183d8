/** The counts that npm test holds the module to, and their table in the docs. */
import { COLUMNS, type Counts } from "./meter.ts";

export const BUDGETS_FILE = "bench/meter/budgets.json";
export const PAGE_FILE = "docs/performance.md";

const BEGIN = "<!-- The table below is written by `npm run meter -- --write`. -->\n";
const END = "\n<!-- End of the table. -->";

/** The counts as a table in Markdown. */
export function table(counts: ReadonlyMap<string, Counts>): string {
  const columns = Object.keys(COLUMNS) as (keyof Counts)[];
  const rows = [...counts].map(([name, one]) => [
    name,
    ...columns.map((column) => one[column].toLocaleString("en-US")),
  ]);
  const lines = [["request", ...Object.values(COLUMNS)], ["---", ...columns.map(() => "--:")], ...rows];
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/**
 * @param page the text of docs/performance.md
 * @returns the page with these counts in its table
 * @throws {Error} if the page has no place for the table
 */
export function withTable(page: string, counts: ReadonlyMap<string, Counts>): string {
  const [before, rest] = page.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error(`${PAGE_FILE} has no place for the table`);
  return `${before}${BEGIN}\n${table(counts)}\n${END}${after}`;
}

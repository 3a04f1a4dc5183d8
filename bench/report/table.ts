/** A report as text. */
import type { Condition } from "../neighbour.ts";
import type { Estimate } from "../statistics.ts";
import type { Report } from "./results.ts";

/** The report as tables of plain text. */
export function tables({
  machine,
  date,
  rounds,
  requests,
  tokens,
  steps,
  rules,
  memory,
  update,
  host,
}: Report): string {
  const { envoy, cpu, cores, kernel, node } = machine;
  const sections = [
    `${envoy}; ${cores} × ${cpu}; ${kernel}; Node ${node}; ${date}; medians of ${rounds} rounds of ${requests} requests with 95 % intervals`,
  ];
  for (const { algorithm, mode, condition, tokenBytes, costs, cacheOnToOff } of tokens) {
    const rows = costs.map(({ title, total, added, toNative, toNativeCache }) => [
      title,
      number(total.median),
      interval(added),
      interval(toNative),
      interval(toNativeCache),
    ]);
    const heading = `${algorithm}, ${mode}${among(condition)} (tokens of ${tokenBytes} bytes): CPU, µs a request`;
    sections.push(
      `${heading}\n${table(["", "in all", "added", "÷ native", "÷ native with its cache"], rows)}`,
    );
    if (cacheOnToOff) sections.push(`jwtgate, cache on ÷ off, of what is added: ${interval(cacheOnToOff)}`);
  }
  for (const { condition, costs } of steps) {
    const rows = costs.map(({ title, total, added }) => [title, number(total.median), interval(added)]);
    sections.push(
      `Steps towards jwtgate, one token${among(condition)}: CPU, µs a request\n${table(["", "in all", "added"], rows)}`,
    );
  }
  for (const { shape, series } of rules) {
    const numbers = [...new Set(series.flatMap(({ points }) => points.map((point) => point.rules)))];
    const rows = series.flatMap(({ title, points }) => [
      [title, ...points.map(({ added }) => interval(added))],
      ["  ÷ fewest", ...points.map(({ toFewest }) => interval(toFewest))],
    ]);
    const columns = numbers.map((count) => `${count.toLocaleString("en-US")} rules`);
    sections.push(`${shape}: added CPU, µs a request, one token\n${table(["", ...columns], rows)}`);
  }
  if (memory.length > 0) {
    const base = memory.find(({ contender }) => contender === "none");
    const rows = memory.map(({ title, resident, anonymous }) => [
      title,
      megabytes(resident),
      base ? megabytes(resident - base.resident) : "",
      megabytes(anonymous),
      base ? megabytes(anonymous - base.anonymous) : "",
    ]);
    const columns = ["", "resident", "over no filter", "anonymous", "over no filter"];
    sections.push(`Memory with the caches full, MiB\n${table(columns, rows)}`);
  }
  if (update.length > 0) {
    const rows = update.map(({ shape, rules: count, title, milliseconds, toNative }) => [
      `${shape}, ${count.toLocaleString("en-US")} rules`,
      title,
      interval(milliseconds, 0),
      interval(toNative),
    ]);
    sections.push(
      `From a new listener to the first answer under it, ms\n${table(["", "", "ms", "÷ native"], rows)}`,
    );
  }
  if (host.length > 0) {
    const rows = host.map(({ algorithm, cacheOn, cacheOff, onToOff }) => [
      algorithm,
      interval(cacheOn),
      interval(cacheOff),
      interval(onToOff, 3),
    ]);
    sections.push(
      `In the TypeScript host, tokens that come once: µs a request\n${table(["", "cache on", "cache off", "on ÷ off"], rows)}`,
    );
  }
  return `${sections.join("\n\n")}\n`;
}

/** `12.3 [12.1, 12.5]` */
/** The part of a heading that describes the machine. */
function among(condition: Condition): string {
  return condition === "busy" ? ", busy machine" : "";
}

function interval(value: Estimate | undefined, digits?: number): string {
  if (value === undefined) return "";
  const places = digits ?? (Math.abs(value.median) >= 100 ? 0 : Math.abs(value.median) >= 10 ? 1 : 2);
  return `${number(value.median, places)} [${number(value.low, places)}, ${number(value.high, places)}]`;
}

function number(value: number, digits = 1): string {
  return value.toFixed(digits);
}

function megabytes(bytes: number): string {
  return (bytes / 1024 / 1024).toFixed(1);
}

/** Columns as wide as they must be, the first to the left, the others to the right. */
function table(heading: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [heading, ...rows];
  const widths = heading.map((_, i) => Math.max(...lines.map((line) => line[i]?.length ?? 0)));
  const pad = (cell: string, i: number): string =>
    i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0);
  return lines.map((line) => `  ${line.map(pad).join("  ").trimEnd()}`).join("\n");
}

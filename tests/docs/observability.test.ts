/** The page of metrics names exactly those that the filter has; queries and the dashboard use no other. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { blocks, ROOT, readMarkdown } from "./markdown.ts";

const page = readMarkdown("docs/observability.md");
const source = readFileSync(join(ROOT, "assembly/metrics.ts"), "utf8");
const COUNTERS = [...source.matchAll(/block\.counter\("(\w+)"\)/g)].map(([, name]) => `jwtgate_${name}`);
const GAUGES = [...source.matchAll(/Metric\.gauge\("(\w+)"\)/g)].map(([, name = ""]) => name);

/** The text in a cell of a table's first column or in a block, if it asks for metrics. */
const QUERIES = [
  ...blocks(page).flatMap(({ info, text }) => (info === "promql" ? [text] : [])),
  ...[...page.matchAll(/^\| `([^`]*jwtgate_[^`]*[[>][^`]*)`/gm)].map(([, query = ""]) => query),
];

interface Panel {
  id: number;
  title: string;
  description: string;
  gridPos: Record<"x" | "y" | "w" | "h", number>;
  targets: { refId: string; expr: string }[];
}

interface Dashboard {
  panels: Panel[];
  templating: { list: { name: string; query: string | { query: string } }[] };
}

const dashboard = JSON.parse(readFileSync(join(ROOT, "envoy/grafana/dashboard.json"), "utf8")) as Dashboard;
const EXPRESSIONS = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));

const metricsIn = (query: string) => [...query.matchAll(/\bjwtgate_\w+/g)].map(([name]) => name);

test("docs/observability.md names exactly the filter's metrics", () => {
  const documented = [...page.matchAll(/^\| `(jwtgate_\w+)` \|/gm)]
    .map(([, name]) => name)
    .filter((name) => name !== "jwtgate_host_failure");
  expect(documented.sort()).toEqual([...COUNTERS, ...GAUGES].sort());
});

describe("queries", () => {
  test.each(QUERIES)("%s uses only existing metrics", (query) => {
    expect(metricsIn(query)).not.toEqual([]);
    for (const name of metricsIn(query)) expect([...COUNTERS, ...GAUGES]).toContain(name);
    // A counter restarts at 0 with each start of Envoy.
    for (const name of metricsIn(query).filter((name) => COUNTERS.includes(name)))
      expect(query).toMatch(new RegExp(`(?:rate|increase)\\(${name}\\b`));
  });

  test("are in the page", () => expect(QUERIES).toHaveLength(8));
});

describe("the dashboard", () => {
  test("shows every metric, and no other", () => {
    expect([...new Set(EXPRESSIONS.flatMap(metricsIn))].sort()).toEqual([...COUNTERS, ...GAUGES].sort());
  });

  test.each(EXPRESSIONS)("%s is well formed, and takes counters as rates", (expr) => {
    expect(expr.split("(")).toHaveLength(expr.split(")").length);
    for (const name of metricsIn(expr).filter((name) => COUNTERS.includes(name)))
      expect(expr).toMatch(new RegExp(`(?:rate|increase)\\(${name}\\{`));
  });

  test("fills in only the variables that it uses", () => {
    const names = dashboard.templating.list.map(({ name }) => name);
    const used = [...JSON.stringify(dashboard).matchAll(/\$\{?([a-z]+)\b/g)].map(([, name = ""]) => name);
    expect(used.filter((name) => !names.includes(name))).toEqual([]);
  });

  test("has panels with a description each, side by side", () => {
    const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    for (const { title, description } of dashboard.panels) expect(`${title}${description}`).not.toBe(title);
  });
});

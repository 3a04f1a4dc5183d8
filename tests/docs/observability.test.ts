/** The page of metrics names exactly those that the filter has. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ROOT, readMarkdown } from "./markdown.ts";

test("docs/observability.md names exactly the filter's metrics", () => {
  const source = readFileSync(join(ROOT, "assembly/metrics.ts"), "utf8");
  const counters = [...source.matchAll(/new Counter\("(\w+)"\)/g)].map(([, name]) => `jwtgate_${name}`);
  const gauges = [...source.matchAll(/Metric\.gauge\("(\w+)"\)/g)].map(([, name]) => name);
  const documented = [...readMarkdown("docs/observability.md").matchAll(/^\| `(jwtgate_\w+)` \|/gm)]
    .map(([, name]) => name)
    .filter((name) => name !== "jwtgate_host_failure");
  expect(documented.sort()).toEqual([...counters, ...gauges].sort());
});

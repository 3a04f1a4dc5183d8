/** The coverage of tests: in the margin of the policies' YAML, as lcov, as JSON. */
import { formatPosition, positionToJson, printable, printableJson, type Style } from "../diagnostics.ts";
import type { Excerpts } from "../excerpts.ts";
import {
  type CoverageCounts,
  type CoveredPart,
  countsOf,
  type Missing,
  missingOf,
  type PolicyCoverage,
  percentOf,
} from "./coverage.ts";

export const COVERAGE_FORMATS = ["text", "lcov", "json"] as const;
export type CoverageFormat = (typeof COVERAGE_FORMATS)[number];

/** What the text shows besides the numbers. */
export interface Shown {
  style: Style;
  /** The lines of the policies, under the names that the coverage has. */
  excerpts: Excerpts;
}

/** @param pathOf how other programs find a file: relative to the repository's folder */
export function formatCoverage(
  policies: readonly PolicyCoverage[],
  format: CoverageFormat,
  shown: Shown,
  pathOf: (file: string) => string = (file) => file,
): string {
  switch (format) {
    case "text":
      return formatText(policies, shown);
    case "lcov":
      return formatLcov(policies, pathOf);
    case "json":
      return `${printableJson(toJson(policies), 2)}\n`;
  }
}

/** The total in one line. */
export function coverageLine(policies: readonly PolicyCoverage[]): string {
  const counts = totalOf(policies);
  const all = policies.length === 1 ? "1 policy" : `${policies.length} policies`;
  return `coverage: ${formatCounts(counts)} in ${all}`;
}

export function totalOf(policies: readonly PolicyCoverage[]): CoverageCounts {
  return countsOf(policies.flatMap(({ parts }) => parts));
}

function formatCounts(counts: CoverageCounts): string {
  return `${percentOf(counts).toFixed(1)} % (${counts.covered} of ${counts.total})`;
}

function formatText(policies: readonly PolicyCoverage[], shown: Shown): string {
  const { style } = shown;
  const lines = policies.flatMap((policy) => [...formatPolicy(policy, shown), ""]);
  return `${[...lines, style.strong(coverageLine(policies))].join("\n")}\n`;
}

function formatPolicy(policy: PolicyCoverage, shown: Shown): string[] {
  const { kind, namespace, name, action, at, inForce, parts } = policy;
  const { style } = shown;
  const counts = countsOf(parts);
  const mark = markOf(counts, style);
  const what = printable(`${kind} ${namespace}/${name}${action === undefined ? "" : ` (${action})`}`);
  const head = `${mark} ${style.strong(what)}: ${formatCounts(counts)}  ${style.faint(formatPosition(at))}`;
  if (!inForce && counts.total > 0)
    return [head, "    it does not apply to the workload of any test file here"];
  const missing = missingOf(parts);
  if (missing.length === 0) return [head];
  return [head, ...margin(parts, shown), ...missing.map((one) => formatMissing(one, style))];
}

/** The lines of a policy from its first part to its last, each with a mark. */
function margin(parts: readonly CoveredPart[], { style, excerpts }: Shown): string[] {
  const [first] = parts;
  if (first === undefined) return [];
  const places = parts.map(({ at }) => at.line);
  const lines: string[] = [];
  for (let line = Math.min(...places); line <= Math.max(...places); line++) {
    const excerpt = excerpts.at({ file: first.at.file, line, column: 1 });
    if (excerpt === undefined) continue;
    const counts = countsOf(parts.filter(({ at }) => at.line === line));
    const mark = counts.total === 0 ? " " : markOf(counts, style);
    lines.push(`  ${mark} ${style.faint(`${String(line).padStart(5)} |`)} ${excerpt.text}`);
  }
  return lines;
}

function markOf({ covered, total }: CoverageCounts, style: Style): string {
  if (covered === total) return style.good("✓");
  return covered === 0 ? style.bad("✗") : style.bad("~");
}

function formatMissing(missing: Missing, style: Style): string {
  const place = formatPosition(missing.part.at);
  return `    ${style.faint(`${place}:`)} ${printable(sentenceOf(missing))}`;
}

/** What no test showed, in words. */
function sentenceOf({ part: { kind, name }, outcome }: Missing): string {
  const isMatched = outcome === "matched";
  if (kind === "jwtRule") return `${name}: no test has one that is ${isMatched ? "accepted" : "refused"}`;
  const own = `${name}: no test has a request that it ${isMatched ? "matches" : "does not match"}`;
  if (kind === "rule") return own;
  return `${own}, ${isMatched ? "and the rest of the rule too" : "and the rest of the rule does"}`;
}

/**
 * The tracefile of `geninfo`(1), which genhtml and editors read. A rule is a function, and the outcomes of each part are
 * branches. A line is hit as often as the part on it that matched most tests.
 */
function formatLcov(policies: readonly PolicyCoverage[], pathOf: (file: string) => string): string {
  const files = new Map<string, { policy: PolicyCoverage; part: CoveredPart }[]>();
  for (const policy of policies)
    for (const part of policy.parts) {
      const list = files.get(part.at.file) ?? [];
      list.push({ policy, part });
      files.set(part.at.file, list);
    }
  return [...files].map(([file, parts]) => lcovOf(pathOf(file), parts)).join("");
}

function lcovOf(file: string, all: readonly { policy: PolicyCoverage; part: CoveredPart }[]): string {
  const functions: string[] = [];
  const calls: string[] = [];
  const branches: string[] = [];
  const lines = new Map<number, number>();
  const taken = { functions: 0, branches: 0 };
  for (const [block, { policy, part }] of all.entries()) {
    const { at, kind, matched, unmatched } = part;
    const counts = [matched, unmatched].filter((count) => count !== undefined);
    const [hits = 0] = counts;
    lines.set(at.line, Math.max(lines.get(at.line) ?? 0, hits));
    for (const [nth, count] of counts.entries()) {
      branches.push(`BRDA:${at.line},${block},${nth},${count}`);
      if (count > 0) taken.branches++;
    }
    if (kind !== "rule" && kind !== "jwtRule") continue;
    const name = printable(`${policy.namespace}/${policy.name}: ${part.name}`).replaceAll(",", " ");
    functions.push(`FN:${at.line},${name}`);
    calls.push(`FNDA:${hits},${name}`);
    if (hits > 0) taken.functions++;
  }
  const sorted = [...lines].sort(([a], [b]) => a - b);
  return `${[
    "TN:",
    `SF:${printable(file)}`,
    ...functions,
    ...calls,
    `FNF:${functions.length}`,
    `FNH:${taken.functions}`,
    ...branches,
    `BRF:${branches.length}`,
    `BRH:${taken.branches}`,
    ...sorted.map(([line, count]) => `DA:${line},${count}`),
    `LF:${sorted.length}`,
    `LH:${sorted.filter(([, count]) => count > 0).length}`,
    "end_of_record",
  ].join("\n")}\n`;
}

function toJson(policies: readonly PolicyCoverage[]): object {
  const counted = (counts: CoverageCounts) => ({ ...counts, percent: percentOf(counts) });
  return {
    ...counted(totalOf(policies)),
    policies: policies.map(({ at, parts, ...policy }) => ({
      ...policy,
      ...positionToJson(at),
      ...counted(countsOf(parts)),
      parts: parts.map(({ at: place, ...part }) => ({ ...part, ...positionToJson(place) })),
    })),
    missing: policies.flatMap(({ parts }) =>
      missingOf(parts).map((one) => ({ ...positionToJson(one.part.at), message: sentenceOf(one) })),
    ),
  };
}

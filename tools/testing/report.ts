/** Results of tests: for people, as TAP, as JUnit's XML, as JSON. */
import { formatPosition, printable, printableJson } from "../diagnostics.ts";
import { nameOfRule, type Style } from "../explain/format.ts";
import { toBareYaml } from "../render/yaml.ts";
import type { CaseResult, Failure, SuiteResult } from "./run.ts";

export const REPORTERS = ["people", "tap", "junit", "json"] as const;
export type Reporter = (typeof REPORTERS)[number];

/** The results as the reporter prints them. */
export function formatResults(results: readonly SuiteResult[], reporter: Reporter, style: Style): string {
  switch (reporter) {
    case "people":
      return formatForPeople(results, style);
    case "tap":
      return formatTap(results);
    case "junit":
      return formatJunit(results);
    case "json":
      return `${printableJson(toJson(results), 2)}\n`;
  }
}

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

export function count(results: readonly SuiteResult[]): Counts {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const result of results.flatMap(({ cases }) => cases)) counts[verdictOf(result)]++;
  return counts;
}

function verdictOf({ failures, skipped }: CaseResult): keyof Counts {
  if (skipped !== undefined) return "skipped";
  return failures.length === 0 ? "passed" : "failed";
}

function formatForPeople(results: readonly SuiteResult[], style: Style): string {
  const lines = results.flatMap(({ file, cases }) => [
    style.strong(printable(file)),
    ...cases.flatMap((result) => formatCase(result, style)),
    "",
  ]);
  const { passed, failed, skipped } = count(results);
  const parts = [
    ...(failed > 0 ? [style.bad(`${failed} failed`)] : []),
    style.good(`${passed} passed`),
    ...(skipped > 0 ? [`${skipped} skipped`] : []),
  ];
  return `${[...lines, parts.join(", ")].join("\n")}\n`;
}

function formatCase(result: CaseResult, style: Style): string[] {
  const { at, failures, skipped, decidedBy } = result;
  const [name, answer] = [printable(result.name), printable(result.answer)];
  if (skipped !== undefined) return [`  - ${name}: skipped: ${printable(skipped)}`];
  const place = decidedBy ? style.faint(`  ${formatPosition(decidedBy.at)}`) : "";
  if (failures.length === 0) return [`  ${style.good("✓")} ${name}${place}`];
  return [
    `  ${style.bad("✗")} ${name}  ${style.faint(formatPosition(at))}`,
    ...failures.flatMap((failure) => formatFailure(failure, style)),
    `      answer: ${answer}`,
    ...(result.because === undefined ? [] : [`      because ${printable(result.because)}`]),
  ];
}

function formatFailure({ what, at, expected, actual }: Failure, style: Style): string[] {
  const lines = (mark: string, text: string) =>
    text.split("\n").map((line) => `        ${mark} ${printable(line)}`);
  return [
    `      ${printable(what)}  ${style.faint(formatPosition(at))}`,
    ...lines("-", expected).map(style.good),
    ...lines("+", actual).map(style.bad),
  ];
}

/** TAP version 14: a test point each, with a YAML block where it failed. */
function formatTap(results: readonly SuiteResult[]): string {
  const all = results.flatMap(({ file, cases }) => cases.map((result) => ({ file, result })));
  const lines = ["TAP version 14", `1..${all.length}`];
  for (const [i, { file, result }] of all.entries()) {
    // A description ends where a # begins, and has no line breaks.
    const shown = (text: string) => printable(text.replace(/\s+/g, " ")).replace(/[\\#]/g, "\\$&");
    const name = shown(`${file}: ${result.name}`);
    const directive = result.skipped === undefined ? "" : ` # SKIP ${shown(result.skipped)}`;
    lines.push(`${result.failures.length === 0 ? "ok" : "not ok"} ${i + 1} - ${name}${directive}`);
    if (result.failures.length === 0) continue;
    const diagnosis = {
      at: formatPosition(result.at),
      answer: result.answer,
      ...(result.because !== undefined && { because: result.because }),
      failures: result.failures.map(({ what, at, expected, actual }) => {
        return { what, at: formatPosition(at), expected, actual };
      }),
    };
    const block = toBareYaml([diagnosis]).trimEnd().split("\n");
    lines.push("  ---", ...block.map((line) => `  ${line}`), "  ...");
  }
  return `${lines.join("\n")}\n`;
}

/** The form that Jenkins, GitLab and GitHub's actions read. */
function formatJunit(results: readonly SuiteResult[]): string {
  const attributes = (cases: readonly CaseResult[]) => {
    const { failed, skipped } = count([{ file: "", cases: [...cases] }]);
    const seconds = cases.reduce((sum, { milliseconds }) => sum + milliseconds, 0) / 1000;
    return `tests="${cases.length}" failures="${failed}" errors="0" skipped="${skipped}" time="${seconds.toFixed(3)}"`;
  };
  const lines = [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="jwtgate test" ${attributes(results.flatMap(({ cases }) => cases))}>`,
  ];
  for (const { file, cases } of results) {
    lines.push(`  <testsuite name="${xml(file)}" ${attributes(cases)}>`);
    for (const result of cases) {
      const { name, at, milliseconds, skipped, failures } = result;
      const place = `file="${xml(at.file)}" line="${at.line}" time="${(milliseconds / 1000).toFixed(3)}"`;
      const open = `    <testcase classname="${xml(file)}" name="${xml(name)}" ${place}`;
      if (skipped !== undefined) {
        lines.push(`${open}><skipped message="${xml(skipped)}"/></testcase>`);
      } else if (failures.length === 0) {
        lines.push(`${open}/>`);
      } else {
        const why = failures.map(
          ({ what, expected, actual }) => `${what}: expected ${expected}, got ${actual}`,
        );
        const details = [
          ...why,
          `answer: ${result.answer}`,
          ...(result.because ? [`because ${result.because}`] : []),
        ];
        const failure = `<failure message="${xml(why[0] ?? "")}">${xml(details.join("\n"))}</failure>`;
        lines.push(`${open}>`, `      ${failure}`, "    </testcase>");
      }
    }
    lines.push("  </testsuite>");
  }
  return `${[...lines, "</testsuites>"].join("\n")}\n`;
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/** Text in XML 1.0, which cannot have most control characters at all, and takes the others for spaces in attributes. */
function xml(text: string): string {
  const lines = text.split("\n").map((line) =>
    printable(line)
      .replace(/[\ufffe\uffff]|\p{Surrogate}/gu, "\ufffd")
      .replace(/[&<>"]/g, (character) => ENTITIES[character] ?? ""),
  );
  return lines.join("&#10;");
}

function toJson(results: readonly SuiteResult[]): object {
  return {
    ...count(results),
    files: results.map(({ file, cases }) => ({
      file,
      tests: cases.map((result) => ({
        name: result.name,
        at: formatPosition(result.at),
        verdict: verdictOf(result),
        answer: result.answer,
        ...(result.because !== undefined && { because: result.because }),
        ...(result.decidedBy && {
          decidedBy: {
            rule: result.decidedBy.rule,
            name: nameOfRule(result.decidedBy.rule),
            at: formatPosition(result.decidedBy.at),
          },
        }),
        ...(result.skipped !== undefined && { skipped: result.skipped }),
        failures: result.failures.map(({ at, ...rest }) => ({ ...rest, at: formatPosition(at) })),
      })),
    })),
  };
}

/** Results of tests: as text, as TAP, as JUnit's XML, as JSON, as annotations on GitHub. */
import {
  type Diagnostic,
  diagnosticToJson,
  formatDiagnostic,
  formatPosition,
  type Position,
  positionToJson,
  printable,
  printableJson,
  type Style,
} from "../diagnostics.ts";
import { decisionToJson } from "../explain/format.ts";
import { annotation } from "../github.ts";
import { toBareYaml } from "../render/yaml.ts";
import type { CaseResult, Failure, SuiteResult } from "./run.ts";
import { PROPERTIES } from "./select.ts";

export const REPORTERS = ["text", "tap", "junit", "json", "github"] as const;
export type Reporter = (typeof REPORTERS)[number];

/**
 * The results as the reporter prints them.
 *
 * @param milliseconds how long all of them took
 * @param pathOf how GitHub names a file: relative to the repository's folder
 */
export function formatResults(
  results: readonly SuiteResult[],
  reporter: Reporter,
  style: Style,
  milliseconds = total(results),
  pathOf: (file: string) => string = (file) => file,
): string {
  switch (reporter) {
    case "text":
      return formatText(results, style, milliseconds);
    case "tap":
      return formatTap(results);
    case "junit":
      return formatJunit(results, milliseconds);
    case "json":
      return `${printableJson(toJson(results, milliseconds), 2)}\n`;
    case "github":
      return formatGithub(results, pathOf);
  }
}

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
  /** Tests that were not selected. */
  unselected: number;
  /** Files with an error; none of their tests was run. */
  faulty: number;
}

export function count(results: readonly SuiteResult[]): Counts {
  const counts = { passed: 0, failed: 0, skipped: 0, unselected: 0, faulty: 0 };
  for (const { cases, unselected, errors } of results) {
    for (const result of cases) counts[verdictOf(result)]++;
    counts.unselected += unselected;
    if (errors.length > 0) counts.faulty++;
  }
  return counts;
}

function total(results: readonly SuiteResult[]): number {
  return results.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
}

function verdictOf({ failures, skipped }: CaseResult): "passed" | "failed" | "skipped" {
  if (skipped !== undefined) return "skipped";
  return failures.length === 0 ? "passed" : "failed";
}

/** The name of a test in its file. */
function titleOf({ table, name }: CaseResult): string {
  return table === undefined ? name : `${table} > ${name}`;
}

const FAULTY = "the file has an error, so none of its tests was run";

function formatText(results: readonly SuiteResult[], style: Style, milliseconds: number): string {
  const lines = results.flatMap(({ file, cases, errors, milliseconds: time }) => {
    if (cases.length === 0 && errors.length === 0) return [];
    return [
      `${style.strong(printable(file))} ${style.faint(`(${durationOf(time)})`)}`,
      ...errors.map((error) => `  ${style.bad("✗")} ${formatDiagnostic(error)}`),
      ...cases.flatMap((result) => formatCase(result, style)),
      "",
    ];
  });
  const { passed, failed, skipped, unselected, faulty } = count(results);
  const parts = [
    ...(faulty > 0 ? [style.bad(`${faulty} file${faulty === 1 ? "" : "s"} with an error`)] : []),
    ...(failed > 0 ? [style.bad(`${failed} failed`)] : []),
    style.good(`${passed} passed`),
    ...(skipped > 0 ? [`${skipped} skipped`] : []),
    ...(unselected > 0 ? [`${unselected} not selected`] : []),
  ];
  return `${[...lines, `${parts.join(", ")} in ${durationOf(milliseconds)}`].join("\n")}\n`;
}

function durationOf(milliseconds: number): string {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

function formatCase(result: CaseResult, style: Style): string[] {
  const { at, failures, skipped, decidedBy, milliseconds } = result;
  const [name, answer] = [printable(titleOf(result)), printable(result.answer)];
  if (skipped !== undefined) return [`  - ${name}: skipped: ${printable(skipped)}`];
  const place = decidedBy ? style.faint(`  ${formatPosition(decidedBy.at)}`) : "";
  const time = style.faint(` (${durationOf(milliseconds)})`);
  const proof = result.table === PROPERTIES ? style.faint(`  ${answer}`) : "";
  if (failures.length === 0) return [`  ${style.good("✓")} ${name}${time}${place}${proof}`];
  return [
    `  ${style.bad("✗")} ${name}${time}  ${style.faint(formatPosition(at))}`,
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

/** TAP version 14: a test point each, with a YAML block if it failed. */
function formatTap(results: readonly SuiteResult[]): string {
  // A description ends at a #, and has no line breaks.
  const shown = (text: string) => printable(text.replace(/\s+/g, " ")).replace(/[\\#]/g, "\\$&");
  const points = results.flatMap(({ file, cases, errors }) => [
    ...(errors.length === 0
      ? []
      : [{ name: `${file}: ${FAULTY}`, directive: "", diagnosis: faultOf(errors) }]),
    ...cases.map((result) => ({
      name: `${file}: ${titleOf(result)}`,
      directive: result.skipped === undefined ? "" : ` # SKIP ${shown(result.skipped)}`,
      diagnosis: result.failures.length === 0 ? undefined : diagnosisOf(result),
    })),
  ]);
  const lines = ["TAP version 14", `1..${points.length}`];
  for (const [i, { name, directive, diagnosis }] of points.entries()) {
    lines.push(`${diagnosis === undefined ? "ok" : "not ok"} ${i + 1} - ${shown(name)}${directive}`);
    if (diagnosis === undefined) continue;
    const block = toBareYaml([diagnosis]).trimEnd().split("\n");
    lines.push("  ---", ...block.map((line) => `  ${line}`), "  ...");
  }
  return `${lines.join("\n")}\n`;
}

function faultOf(errors: readonly Diagnostic[]): object {
  return { errors: errors.map((error) => ({ at: formatPosition(error), message: error.message })) };
}

function diagnosisOf({ at, answer, because, failures, milliseconds }: CaseResult): object {
  return {
    at: formatPosition(at),
    duration_ms: Math.round(milliseconds),
    answer,
    ...(because !== undefined && { because }),
    failures: failures.map(({ what, at, expected, actual }) => {
      return { what, at: formatPosition(at), expected, actual };
    }),
  };
}

/** The details of a failed test besides its name, one on each line. */
function reasonsOf({ failures, answer, because }: CaseResult): string[] {
  return [
    ...failures.map(({ what, expected, actual }) => `${what}: expected ${expected}, got ${actual}`),
    `answer: ${answer}`,
    ...(because ? [`because ${because}`] : []),
  ];
}

/** The form that Jenkins, GitLab and GitHub's actions read. */
function formatJunit(results: readonly SuiteResult[], milliseconds: number): string {
  const seconds = (time: number) => `time="${(time / 1000).toFixed(3)}"`;
  const attributes = (suites: readonly SuiteResult[], time: number) => {
    const { passed, failed, skipped, faulty } = count(suites);
    const tests = passed + failed + skipped + faulty;
    return `tests="${tests}" failures="${failed}" errors="${faulty}" skipped="${skipped}" ${seconds(time)}`;
  };
  const lines = [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="jwtgate test" ${attributes(results, milliseconds)}>`,
  ];
  for (const suite of results) {
    const { file, cases, errors } = suite;
    const open = (name: string, at: Position, time: number) =>
      `    <testcase classname="${xml(file)}" name="${xml(name)}" file="${xml(at.file)}" line="${at.line}" ${seconds(time)}`;
    lines.push(`  <testsuite name="${xml(file)}" ${attributes([suite], suite.milliseconds)}>`);
    const [first] = errors;
    if (first !== undefined) {
      const details = errors.map(formatDiagnostic).join("\n");
      const error = `<error message="${xml(formatDiagnostic(first))}">${xml(details)}</error>`;
      lines.push(`${open(FAULTY, first, 0)}>`, `      ${error}`, "    </testcase>");
    }
    for (const result of cases) {
      const { at, skipped, failures } = result;
      const start = open(titleOf(result), at, result.milliseconds);
      if (skipped !== undefined) {
        lines.push(`${start}><skipped message="${xml(skipped)}"/></testcase>`);
      } else if (failures.length === 0) {
        lines.push(`${start}/>`);
      } else {
        const details = reasonsOf(result);
        const failure = `<failure message="${xml(details[0] ?? "")}">${xml(details.join("\n"))}</failure>`;
        lines.push(`${start}>`, `      ${failure}`, "    </testcase>");
      }
    }
    lines.push("  </testsuite>");
  }
  return `${[...lines, "</testsuites>"].join("\n")}\n`;
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/** Text in XML 1.0, which does not allow most control characters, and reads the others as spaces in attributes. */
function xml(text: string): string {
  const lines = text.split("\n").map((line) =>
    printable(line)
      .replace(/[\ufffe\uffff]|\p{Surrogate}/gu, "\ufffd")
      .replace(/[&<>"]/g, (character) => ENTITIES[character] ?? ""),
  );
  return lines.join("&#10;");
}

/** An annotation for each failure and each error of a file. */
function formatGithub(results: readonly SuiteResult[], pathOf: (file: string) => string): string {
  const lines = results.flatMap(({ file, cases, errors }) => [
    ...errors.map((error) => annotation("error", error, file, error.message, pathOf)),
    ...cases
      .filter(({ failures }) => failures.length > 0)
      .map((result) => {
        const at = result.failures[0]?.at ?? result.at;
        const title = `${file} > ${titleOf(result)}`;
        return annotation("error", at, title, reasonsOf(result).join("\n"), pathOf);
      }),
  ]);
  return lines.join("");
}

function toJson(results: readonly SuiteResult[], milliseconds: number): object {
  return {
    ...count(results),
    milliseconds,
    files: results.map(({ file, cases, unselected, errors, milliseconds: time }) => ({
      file,
      milliseconds: time,
      unselected,
      ...(errors.length > 0 && { errors: errors.map(diagnosticToJson) }),
      tests: cases.map((result) => ({
        name: result.name,
        ...(result.table !== undefined && { table: result.table }),
        ...positionToJson(result.at),
        verdict: verdictOf(result),
        milliseconds: result.milliseconds,
        answer: result.answer,
        ...(result.because !== undefined && { because: result.because }),
        ...(result.decidedBy && {
          decidedBy: decisionToJson(result.decidedBy),
        }),
        ...(result.skipped !== undefined && { skipped: result.skipped }),
        failures: result.failures.map(({ at, ...rest }) => ({ ...rest, ...positionToJson(at) })),
      })),
    })),
  };
}

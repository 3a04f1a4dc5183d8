/** Prints a review as text, as JSON, as SARIF for code scanning, and as GitHub's annotations. */
import type { Log, ReportingDescriptor, Result } from "sarif";
import {
  type Diagnostic,
  diagnosticToJson,
  formatPosition,
  oneLine,
  type Position,
  positionToJson,
  printableJson,
  type Style,
} from "../diagnostics.ts";
import type { Excerpts } from "../excerpts.ts";
import { type AnnotationLevel, annotation } from "../github.ts";
import { VERSION } from "../version.ts";
import { type Finding, KINDS, type Kind, SEVERITIES, type Severity } from "./findings.ts";
import type { Review } from "./review.ts";
import type { Suppressed } from "./suppressions.ts";

export const FORMATS = ["text", "json", "sarif", "github"] as const;
/** How a review is printed. */
export type Format = (typeof FORMATS)[number];

/** What a format needs to know about its destination. */
export interface FormatOptions {
  style: Style;
  excerpts: Excerpts;
  /** How GitHub and code scanning name a file: relative to the repository's folder. */
  pathOf: (file: string) => string;
}

/** The review as text. Its errors are among the findings in every format but `text`, which prints them elsewhere. */
export function formatReview(review: Review, format: Format, options: FormatOptions): string {
  switch (format) {
    case "text":
      return formatText(review, options);
    case "json":
      return `${printableJson(toJson(review), 2)}\n`;
    case "sarif":
      return `${printableJson(toSarif(review, options.pathOf), 2)}\n`;
    case "github":
      return formatGithub(review, options.pathOf);
  }
}

function errorsOf({ diagnostics }: Review): Diagnostic[] {
  return diagnostics.filter(({ severity }) => severity === "error");
}

function formatText({ findings, suppressed }: Review, { style, excerpts }: FormatOptions): string {
  const hidden = suppressed.length > 0 ? [`${suppressed.length} suppressed`] : [];
  if (findings.length === 0) return `${[style.good("no findings"), ...hidden].join(", ")}\n`;
  const lines = findings.flatMap((finding) => [
    formatFinding(finding, style),
    ...excerpts.format(finding, style),
  ]);
  const counts = SEVERITIES.flatMap((severity) => {
    const count = findings.filter((finding) => finding.severity === severity).length;
    return count === 0 ? [] : [`${count} ${severity}${count > 1 && severity !== "info" ? "s" : ""}`];
  });
  return `${lines.join("\n")}\n\n${[...counts, ...hidden].join(", ")}\n`;
}

/** A finding as one line: its position, severity and code, what is wrong, and what to write. */
export function formatFinding(finding: Finding, style: Pick<Style, "bad">): string {
  const { severity, code } = finding;
  const mark = severity === "error" ? style.bad(severity) : severity;
  return `${formatPosition(finding)}: ${mark} ${code}: ${messageOf(finding)}`;
}

function messageOf({ message, remedy }: Finding): string {
  return `${oneLine(message)}; ${oneLine(clauseOf(remedy))}`;
}

/** A sentence as a part of another one. */
function clauseOf(sentence: string): string {
  return sentence.replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase()).replace(/\.$/, "");
}

function toJson(review: Review): object {
  const finding = (one: Finding) => {
    const { code, severity, message, remedy } = one;
    return { code, severity, ...positionToJson(one), message, remedy };
  };
  return {
    findings: review.findings.map(finding),
    suppressed: review.suppressed.map((one) => ({ ...finding(one), because: one.because })),
    diagnostics: errorsOf(review).map(diagnosticToJson),
  };
}

const LEVELS: Record<Severity, { github: AnnotationLevel; sarif: "error" | "warning" | "note" }> = {
  error: { github: "error", sarif: "error" },
  warning: { github: "warning", sarif: "warning" },
  info: { github: "notice", sarif: "note" },
};

/** Findings that suppressions hide are left out. */
function formatGithub(review: Review, pathOf: (file: string) => string): string {
  return [
    ...errorsOf(review).map((error) => annotation("error", error, UNCOMPILED.title, error.message, pathOf)),
    ...review.findings.map((finding) => {
      const { code, severity } = finding;
      const title = `${code}: ${KINDS[code].title}`;
      return annotation(LEVELS[severity].github, finding, title, messageOf(finding), pathOf);
    }),
  ].join("");
}

/** The rule for resources that do not compile, which have no code. */
const UNCOMPILED = {
  id: "compile",
  title: "The policies do not compile",
  reason: "What does not compile is not reviewed, and no proxy gets it.",
  remedy: "Follow the message.",
};

/** SARIF 2.1.0 (OASIS), which GitHub's code scanning and editors read. */
function toSarif(review: Review, pathOf: (file: string) => string): Log {
  const kinds = Object.entries(KINDS) as [string, Kind][];
  const rules: ReportingDescriptor[] = [
    ...kinds.map(([id, kind]) => ruleOf(id, kind, LEVELS[kind.severity].sarif)),
    ruleOf(UNCOMPILED.id, UNCOMPILED, "error"),
  ];
  const result = (id: string, level: Result["level"], text: string, at: Position): Result => ({
    ruleId: id,
    ruleIndex: rules.findIndex((rule) => rule.id === id),
    ...(level !== undefined && { level }),
    message: { text },
    locations: [locationOf(at, pathOf)],
  });
  const finding = (one: Finding) => result(one.code, LEVELS[one.severity].sarif, messageOf(one), one);
  const suppressed = (one: Suppressed): Result => ({
    ...finding(one),
    suppressions: [{ kind: one.isInSource ? "inSource" : "external", justification: one.because }],
  });
  const errors = errorsOf(review);
  return {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [
      {
        tool: { driver: { name: "jwtgate", version: VERSION, rules } },
        columnKind: "utf16CodeUnits",
        invocations: [{ executionSuccessful: errors.length === 0 }],
        results: [
          ...errors.map((error) => result(UNCOMPILED.id, "error", oneLine(error.message), error)),
          ...review.findings.map(finding),
          ...review.suppressed.map(suppressed),
        ],
      },
    ],
  };
}

function ruleOf(
  id: string,
  { title, reason, remedy }: Omit<Kind, "severity">,
  level: "error" | "warning" | "note",
): ReportingDescriptor {
  return {
    id,
    shortDescription: { text: title },
    fullDescription: { text: reason },
    help: { text: remedy },
    defaultConfiguration: { level },
  };
}

function locationOf({ file, line, column }: Position, pathOf: (file: string) => string) {
  const region = { startLine: line, ...(column > 0 && { startColumn: column }) };
  return {
    physicalLocation: {
      artifactLocation: { uri: uriOf(pathOf(file)) },
      ...(line > 0 && { region }),
    },
  };
}

/** A path as a relative reference of RFC 3986, with any characters. */
function uriOf(path: string): string {
  const segments = path.replace(/\p{Surrogate}/gu, "\ufffd").split("/");
  // A colon in the first segment would end a scheme; encodeURIComponent writes it as %3A.
  return segments.map(encodeURIComponent).join("/");
}

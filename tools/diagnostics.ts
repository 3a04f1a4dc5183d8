/** Diagnostics about an input, with their positions. */
export interface Position {
  /** As the user named it; `<stdin>` for `-`. */
  file: string;
  /** From 1; 0 for the file as a whole. */
  line: number;
  /** From 1, in UTF-16 code units as editors count; 0 for the line as a whole. */
  column: number;
}

/** With an error there is no configuration; with a warning there is. */
export type Severity = "error" | "warning";

/** A fault at a position in a source, and what to write instead. */
export interface Diagnostic extends Position {
  severity: Severity;
  /** What is wrong and what to write instead; one line. */
  message: string;
}

/** How parts of a text are highlighted: with colours, or not at all. */
export interface Style {
  good(text: string): string;
  bad(text: string): string;
  faint(text: string): string;
  strong(text: string): string;
}

/**
 * How many errors of a file are reported: with more, it is probably the wrong file, or one mistake that is repeated.
 */
export const MAX_ERRORS = 50;

/**
 * Writes a position as `FILE:LINE:COLUMN`.
 *
 * @param position a line or a column of 0 is left out
 * @returns one line; control characters of the file's name are escaped
 *
 * @example
 * ```ts
 * import { formatPosition } from "jwtgate";
 *
 * console.log(formatPosition({ file: "policy.yaml", line: 3, column: 7 })); // policy.yaml:3:7
 * console.log(formatPosition({ file: "policy.yaml", line: 0, column: 0 })); // policy.yaml
 * ```
 */
export function formatPosition({ file, line, column }: Position): string {
  return [printable(file), line || undefined, column || undefined]
    .filter((part) => part !== undefined)
    .join(":");
}

/**
 * Writes a diagnostic as `FILE:LINE:COLUMN: message`, with `warning: ` before the message of a warning.
 *
 * @param diagnostic of `compile`, `check` or `loadSuite`
 * @returns one line
 *
 * @example
 * ```ts
 * import { compile, formatDiagnostic } from "jwtgate";
 *
 * const { diagnostics } = compile([{ name: "policy.yaml", text: "kind: [" }], { target: "envoy" });
 * console.log(diagnostics.map(formatDiagnostic).join("\n").startsWith("policy.yaml:1:")); // true
 * ```
 */
export function formatDiagnostic(diagnostic: Diagnostic): string {
  const mark = diagnostic.severity === "warning" ? "warning: " : "";
  return `${formatPosition(diagnostic)}: ${mark}${oneLine(diagnostic.message)}`;
}

/** A position in JSON: its parts, and `at`, all of them in the form of messages. */
export function positionToJson(position: Position): Position & { at: string } {
  const { file, line, column } = position;
  return { file, line, column, at: formatPosition(position) };
}

/** A diagnostic in JSON. */
export function diagnosticToJson(diagnostic: Diagnostic): object {
  const { severity, message } = diagnostic;
  return { severity, ...positionToJson(diagnostic), message };
}

/** No message is longer, apart from what it quotes from a file. */
const MAX_MESSAGE_LENGTH = 2000;

/** A message as one line without control characters. If it is cut, its end stays, which explains what to write. */
export function oneLine(message: string): string {
  const text =
    message.length > MAX_MESSAGE_LENGTH ? `${message.slice(0, 200)}…${message.slice(-150)}` : message;
  return printable(text);
}

/**
 * Control characters, characters that end a line for some reader, and characters that change the direction of the text
 * after them.
 */
const UNPRINTABLE = /[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/**
 * Text from outside, as one line that cannot control a terminal: line ends, control and direction characters are
 * escaped.
 */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, escapeUnit);
}

/** The same for text of several lines, which stay lines. */
export function printableLines(text: string): string {
  return text.split("\n").map(printable).join("\n");
}

/**
 * A value as JSON that cannot control a terminal. Strings contain no line end in JSON, so each escape here is one of
 * JSON's own.
 */
export function printableJson(value: unknown, indent?: number): string {
  return printableLines(JSON.stringify(value, null, indent));
}

/** A value as JSON in ASCII, which every reader of JSON and YAML reads as the same text. */
export function asciiJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, null, indent).replace(/[\x7f-\uffff]/g, escapeUnit);
}

/** A UTF-16 code unit as JSON and YAML escape it. */
export function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** The first position first; errors and warnings together, as a compiler prints them. */
export function byPosition(a: Position, b: Position): number {
  return a.file === b.file ? a.line - b.line || a.column - b.column : a.file < b.file ? -1 : 1;
}

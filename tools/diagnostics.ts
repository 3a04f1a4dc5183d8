/** What the tooling has to say about an input, with the place it is about. */
export interface Position {
  /** As the user named it; `<stdin>` for `-`. */
  file: string;
  /** From 1; 0 where the file as a whole is meant. */
  line: number;
  /** From 1, in UTF-16 code units as editors count; 0 where the line as a whole is meant. */
  column: number;
}

export type Severity = "error" | "warning";

export interface Diagnostic extends Position {
  severity: Severity;
  /** What is wrong and what to write instead; one line. */
  message: string;
}

/** How many errors of a file are told: more is another file than was meant, or one mistake made again and again. */
export const MAX_ERRORS = 50;

/** `FILE:LINE:COLUMN`, without what is 0. */
export function formatPosition({ file, line, column }: Position): string {
  return [file, line || undefined, column || undefined].filter((part) => part !== undefined).join(":");
}

/** `FILE:LINE:COLUMN: message`, a warning marked as such. */
export function formatDiagnostic(diagnostic: Diagnostic): string {
  const mark = diagnostic.severity === "warning" ? "warning: " : "";
  return `${formatPosition(diagnostic)}: ${mark}${oneLine(diagnostic.message)}`;
}

/** No message is longer but for what it quotes from a file. */
const MAX_MESSAGE_LENGTH = 2000;

/** A message as one line that a terminal only shows, whatever it quotes: its end, which says what to write, stays. */
export function oneLine(message: string): string {
  const text =
    message.length > MAX_MESSAGE_LENGTH ? `${message.slice(0, 200)}…${message.slice(-150)}` : message;
  return printable(text);
}

/** Text that came from outside, without what a terminal would obey: control and direction characters are escaped. */
export function printable(text: string): string {
  return text.replace(
    /[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** The first position first; errors and warnings together, as a compiler prints them. */
export function byPosition(a: Diagnostic, b: Diagnostic): number {
  return a.file === b.file ? a.line - b.line || a.column - b.column : a.file < b.file ? -1 : 1;
}

/** What all commands do alike: results to standard output, everything else to standard error, one exit code. */
import { type Diagnostic, formatDiagnostic, MAX_ERRORS, printable } from "../diagnostics.ts";

/** What a process ends with; documented, so that scripts can rely on it. */
export const EXIT = {
  /** Everything was as asked. */
  ok: 0,
  /** The input is wrong, or an answer was not the expected one. */
  failure: 1,
  /** The command line is wrong. */
  usage: 2,
} as const;

/** The input or the surroundings are at fault; the message is for the user as it stands. */
export class UserError extends Error {
  override readonly name = "UserError";
}

/** Writes a result. A reader that stops reading (`| head`) is no error. */
export function print(text: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => {
      if (!error || isClosedPipe(error)) resolve();
      else reject(error);
    });
  });
}

/** Writes diagnostics, of each file not more than anybody reads, and says whether there is an error among them. */
export function report(diagnostics: readonly Diagnostic[]): boolean {
  const errors = new Map<string, number>();
  const lines: string[] = [];
  for (const diagnostic of diagnostics) {
    const { file, severity } = diagnostic;
    const before = errors.get(file) ?? 0;
    if (severity === "error") errors.set(file, before + 1);
    if (before > MAX_ERRORS) continue;
    const isLast = severity === "error" && before === MAX_ERRORS;
    lines.push(isLast ? `${printable(file)}: ${MORE_ERRORS}\n` : `${formatDiagnostic(diagnostic)}\n`);
  }
  process.stderr.write(lines.join(""));
  return errors.size > 0;
}

const MORE_ERRORS = `there are more errors in this file than these ${MAX_ERRORS}: mend these first`;

/** Whether the other end of our output was closed. */
export function isClosedPipe(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === "EPIPE";
}

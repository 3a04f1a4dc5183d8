/**
 * What all commands share: results go to standard output, everything else to standard error, and there is one exit
 * code.
 */
import { Option } from "commander";
import { type Diagnostic, formatDiagnostic, MAX_ERRORS, printable, type Style } from "../diagnostics.ts";
import type { Excerpts } from "../excerpts.ts";
import { type WriteOptions, writeFileSafely } from "../files.ts";
import { reasonOf, writeReasonOf } from "./sources.ts";

/** The exit codes of the process; documented, so that scripts can rely on them. */
export const EXIT = {
  /** Everything succeeded. */
  ok: 0,
  /** The input is wrong, or an answer was not the expected one. */
  failure: 1,
  /** The command line is wrong. */
  usage: 2,
  /** The exit code after Ctrl-C, as shells define it: 128 plus the number of the signal. */
  interrupted: 130,
} as const;

/** The input or the environment is at fault; the message is printed unchanged. */
export class UserError extends Error {
  override readonly name = "UserError";

  /** @param code the exit code of the process */
  constructor(
    message: string,
    readonly code: number = EXIT.failure,
  ) {
    super(message);
  }
}

/** The file that results go into instead of standard output. */
let resultFile: string | undefined;

/** `-o FILE`, of every command that prints a document. */
export function outputFileOption(): Option {
  return new Option(
    "-o, --output-file <file>",
    "write the result into this file, as a whole or not at all (default: standard output)",
  );
}

/** An option with its former name: it does the same, warns, and is not in the help. The next version removes it. */
export function formerOption<T>(
  flags: string,
  current: string,
  parse: (text: string, previous?: T) => T,
): Option {
  const [former = flags] = flags.split(" ");
  return new Option(flags, `the former name of ${current}`)
    .argParser((text: string, previous: T | undefined) => {
      tell(
        `warning: ${former} is ${current} now, and will be removed in the next version: write ${current}`,
        process.stderr,
      );
      return parse(text, previous);
    })
    .hideHelp();
}

/** From now on results go to a file; `-` means standard output. */
export function writeResultsTo(file: string): void {
  resultFile = file === "-" ? undefined : file;
}

/** Whether results go to a file. */
export function isResultInFile(): boolean {
  return resultFile !== undefined;
}

/** The stream that results go to, as far as colours depend on it. */
export function resultStream(): { isTTY?: boolean } {
  return resultFile === undefined ? process.stdout : {};
}

/**
 * Writes a file that the user named: completely, or not at all.
 *
 * @param what it is, for the message, such as `the private key`
 * @throws {UserError} with one line, if it cannot be written
 */
export async function writeUserFile(
  what: string,
  file: string,
  data: string | Uint8Array,
  options?: WriteOptions,
): Promise<void> {
  try {
    await writeFileSafely(file, data, options);
  } catch (error) {
    throw new UserError(`${file}: ${what} cannot be written: ${writeReasonOf(error)}`);
  }
}

/**
 * Writes a result to standard output, or to the file of `-o`. A reader that stops reading (`| head`) is not an error.
 *
 * @throws {UserError} if the file cannot be written
 */
export function print(text: string | Uint8Array): Promise<void> {
  return resultFile === undefined
    ? printTo(process.stdout, text)
    : writeUserFile("the result", resultFile, text);
}

/** Writes to standard output or standard error, whatever `-o` says. */
export function printTo(stream: NodeJS.WriteStream, text: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(text, (error) => {
      if (!error || isClosedPipe(error)) resolve();
      else reject(error);
    });
  });
}

/** Whether this process serves others besides the reader of its output. */
let serving = false;
const lost = new Set<NodeJS.WriteStream>();

/** From now on the process continues even if its output has no reader. */
export function serveUnread(): void {
  serving = true;
}

/** Writes a line about an event while serving, without waiting for it. A line that cannot be written is lost. */
export function tell(line: string, stream: NodeJS.WriteStream = process.stdout): void {
  if (!lost.has(stream)) stream.write(`${line}\n`);
}

/**
 * Decides what happens if our output cannot be written. If the reader stops reading (`| head`), the process ends
 * quietly, like other tools. Any other failure, such as a full disk, is reported; if even that fails, the exit code
 * reports it. A gate that serves continues.
 */
export function watchOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: Error) => {
      const isFirst = !lost.has(stream);
      lost.add(stream);
      if (!serving && isClosedPipe(error)) process.exit();
      if (stream === process.stdout && isFirst) {
        const rest = serving ? ": requests are no longer printed, and the gate continues" : "";
        tell(`standard output: ${reasonOf(error)}${rest}`, process.stderr);
      }
      if (!serving) process.exit(EXIT.failure);
    });
  }
}

/**
 * Writes diagnostics, a limited number for each file.
 *
 * @param shown whether to print the source line under each
 * @returns whether there is an error among them
 */
export function report(
  diagnostics: readonly Diagnostic[],
  shown?: { excerpts: Excerpts; style: Style },
): boolean {
  const errors = new Map<string, number>();
  const lines: string[] = [];
  for (const diagnostic of diagnostics) {
    const { file, severity } = diagnostic;
    const before = errors.get(file) ?? 0;
    if (severity === "error") errors.set(file, before + 1);
    if (before > MAX_ERRORS) continue;
    const isLast = severity === "error" && before === MAX_ERRORS;
    lines.push(isLast ? `${printable(file)}: ${MORE_ERRORS}` : formatDiagnostic(diagnostic));
    if (shown !== undefined && diagnostics.length <= MAX_SHOWN)
      lines.push(...shown.excerpts.format(diagnostic, shown.style));
  }
  if (lines.length > 0) tell(lines.join("\n"), process.stderr);
  return errors.size > 0;
}

/** With more messages than these, the source lines between them would hide them. */
const MAX_SHOWN = 10;

const MORE_ERRORS = `there are more errors in this file than these ${MAX_ERRORS}: fix these first`;

/** Whether the reader of our output has closed it. */
function isClosedPipe(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === "EPIPE";
}

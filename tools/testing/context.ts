/** What the readers of a test file share: positions in it, its faults, and the files that it names. */
import type { Position } from "../diagnostics.ts";
import { closest } from "../istio/fields.ts";
import { quote, type Report } from "../istio/report.ts";
import type { PemReader } from "../token/private-key.ts";
import type { KeyMaker } from "./mint.ts";

export interface Context {
  report: Report;
  /** The position of a value of the test file, by the names and indexes that lead to it. */
  at(...path: (string | number)[]): Position;
  /** A file that the test file names; none, with an error at the position, if it cannot be read. */
  text(path: string, at: Position): string | undefined;
  /** Reads private keys in PEM; only PKCS #8 if absent. */
  readonly readPem?: PemReader | undefined;
  readonly makeKey: KeyMaker;
}

/** Reports that nothing has that name, and suggests a similar one. */
export function unknownName(what: string, name: string, names: string[]): string {
  const meant = closest(name, names);
  const advice = meant
    ? `did you mean ${meant}?`
    : `write it under ${what}s, where there is ${names.join(", ") || "none"}`;
  return `there is no ${what} ${quote(name)}: ${advice}`;
}

/** Selects which tests of a file are run. */
import type { Diagnostic } from "../diagnostics.ts";
import type { Suite } from "./suite.ts";

/**
 * Whether a test's full name, `FILE > TABLE > TEST`, contains the pattern: literally, so that a name can be pasted, or
 * as a regular expression of JavaScript.
 *
 * @param pattern one that is not a regular expression is only searched for literally
 */
export function namePattern(pattern: string): (name: string) => boolean {
  const expression = compile(pattern);
  return (name) => name.includes(pattern) || (expression?.test(name) ?? false);
}

function compile(pattern: string): RegExp | undefined {
  try {
    return new RegExp(pattern, "u");
  } catch {
    return undefined;
  }
}

/** The name of all properties together, in full names. */
export const PROPERTIES = "properties";

/** `FILE > TEST`, or `FILE > TABLE > CELL`. */
export function fullName(file: string, { table, name }: { table?: string; name: string }): string {
  return [file, ...(table === undefined ? [] : [table]), name].join(" > ");
}

/**
 * The suite with the selected tests: those with `only`, if the file has any, whose names match.
 *
 * @param matches absent: any name matches
 */
export function select(suite: Suite, matches: (name: string) => boolean = () => true): Suite {
  const hasOnly = suite.cases.some(({ only }) => only !== undefined);
  const cases = suite.cases.filter(
    (test) => (!hasOnly || test.only !== undefined) && matches(fullName(suite.file, test)),
  );
  const properties = suite.properties.filter(
    ({ name }) => !hasOnly && matches(fullName(suite.file, { table: PROPERTIES, name })),
  );
  const left = suite.cases.length - cases.length + suite.properties.length - properties.length;
  return { ...suite, cases, properties, unselected: suite.unselected + left };
}

/** An error at each `only`: it leaves out tests that others rely on. */
export function refuseOnly(suite: Suite): Diagnostic[] {
  const places = suite.cases.flatMap(({ only }) => only ?? []);
  const message =
    "only leaves out the other tests of this file, and is refused if CI is set or with --forbid-only: remove it";
  const found = places.map((place): [string, Diagnostic] => [
    `${place.line}:${place.column}`,
    { ...place, severity: "error", message },
  ]);
  return [...new Map(found).values()];
}

/** Ends a run after some failures. */
export class Bail {
  private failures = 0;

  /** @param limit how many failures end the run; absent: it does not end before all tests were run */
  constructor(private readonly limit = Number.POSITIVE_INFINITY) {}

  /** Counts a failure. */
  count(failed: boolean): void {
    if (failed) this.failures++;
  }

  /** Why the run ends; undefined if it continues. */
  get reason(): string | undefined {
    const { limit } = this;
    return this.failures < limit
      ? undefined
      : `not run: --bail after ${limit} failure${limit === 1 ? "" : "s"}`;
  }
}

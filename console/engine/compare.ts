/** What a change of policies opens and closes, as `jwtgate diff` finds it. */
import { compile, INSPECTED } from "../../tools/compile.ts";
import type { Diagnostic, Position } from "../../tools/diagnostics.ts";
import type { Modules } from "../../tools/explain/gate.ts";
import { type Change, compare, type Decided, Interrupted } from "../../tools/prove/diff.ts";
import { CHANGE_WORDS, describeDecided, requestLines, upstreamLines } from "../../tools/prove/format.ts";
import { WITNESS_TIME, type Witness } from "../../tools/prove/witness.ts";
import type { TestFile } from "../../tools/testing/schema.ts";
import type { TextFile } from "./suite.ts";

/** A longer comparison, in milliseconds, ends with what it has found. */
const TIME_LIMIT_MS = 10_000;

/** One side's answer to a request. */
export interface SideAnswer {
  answer: string;
  /** What decided; may be empty. */
  reason: string;
  /** The line that decided. */
  at?: Position;
}

/** A class of requests whose answer changes, for the page. */
export interface ChangedClass {
  change: Change;
  words: string;
  /** The request in words. */
  lines: string[];
  witness: Witness;
  /** When it was sent, as ISO 8601. */
  at: string;
  before: SideAnswer;
  now: SideAnswer;
  /** What differs for the service, if only that does. */
  upstream: string[];
}

/** Two versions of the policies. */
export interface Versions {
  before: readonly TextFile[];
  now: readonly TextFile[];
  /** The workload and the listener, as a test file names them. */
  setting: Pick<TestFile, "workload" | "listener">;
}

/** Two versions of the policies, compared. */
export interface Compared {
  /** Errors of either version; if there are any, nothing was compared. */
  diagnostics: Diagnostic[];
  equal: boolean;
  classes: ChangedClass[];
  undecided: string[];
  /** Whether there may be more classes. */
  isCut: boolean;
}

/** Compares two versions of the policies. */
export async function compareVersions(
  { before, now, setting: { workload, listener } }: Versions,
  { release: module }: Modules,
): Promise<Compared> {
  const options = { ...workload, target: INSPECTED };
  const [old, fresh] = [compile(before, options), compile(now, options)];
  const diagnostics = [...old.diagnostics, ...fresh.diagnostics].filter(
    ({ severity }) => severity === "error",
  );
  if (!old.configuration || !fresh.configuration)
    return { diagnostics, equal: false, classes: [], undecided: [], isCut: false };
  const at = new Date(WITNESS_TIME).toISOString();
  const end = performance.now() + TIME_LIMIT_MS;
  const { equal, classes, undecided, isCut } = await compare(old, fresh, {
    module,
    ...(listener?.pathNormalization && { pathNormalization: listener.pathNormalization }),
    onProgress: () => {
      if (performance.now() > end) throw new Interrupted();
    },
  });
  return {
    ...{ diagnostics, equal, undecided, isCut },
    classes: classes.map(({ change, witness, old: was, new: is, upstream }) => ({
      ...{ change, words: CHANGE_WORDS[change], lines: requestLines(witness), witness, at },
      ...{ before: sideAnswer(was), now: sideAnswer(is) },
      upstream: upstream ? upstreamLines(upstream) : [],
    })),
  };
}

function sideAnswer(decided: Decided): SideAnswer {
  const { position } = decided;
  return { ...describeDecided(decided), ...(position && { at: position }) };
}

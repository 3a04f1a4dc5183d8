/** Runs prepared tests in the project's own host, and compares the results with the expectations. */
import type { Diagnostic, Position } from "../diagnostics.ts";
import { type DecidedBy, decidingRule, ruleOf, type Subject } from "../explain/explain.ts";
import { because } from "../explain/format.ts";
import { Gate } from "../explain/gate.ts";
import { readable } from "../host/bytes.ts";
import type { Outcome } from "../host/host.ts";
import type { UpstreamRequest } from "../host/http-connection-manager.ts";
import type { ForeignFunction } from "../host/imports.ts";
import { requestLines } from "../prove/format.ts";
import { prove } from "../prove/property.ts";
import type { CoverageCollector } from "./coverage.ts";
import type { Expectation } from "./schema.ts";
import { Bail, PROPERTIES } from "./select.ts";
import type { PreparedCase, PreparedProperty, Suite } from "./suite.ts";

/** One point in which a test fails. */
export interface Failure {
  /** What differs, such as `status`. */
  what: string;
  /** The position of the expectation. */
  at: Position;
  expected: string;
  actual: string;
}

/** The result of one test. */
export interface CaseResult {
  name: string;
  /** Name of the table that the test is a cell of. */
  table?: string;
  at: Position;
  /** Empty if the test passed. */
  failures: Failure[];
  /** Why the test could not be run. */
  skipped?: string;
  /** The answer, in a few words. */
  answer: string;
  /** The reason for the answer. */
  because?: string;
  /** The line of YAML that decided. */
  decidedBy?: DecidedBy;
  /** How long the request took. */
  milliseconds: number;
}

/** The result of a file of tests. */
export interface SuiteResult {
  file: string;
  cases: CaseResult[];
  /** How many of its tests were not selected. */
  unselected: number;
  /** Why none of its tests was run; empty if the file has no error. */
  errors: Diagnostic[];
  /** How long the file took, with its preparation. */
  milliseconds: number;
}

/**
 * Runs the tests of a suite.
 *
 * @param verifySignature Envoy's foreign function, if there is a faster one than that of `host/web.ts`
 * @param bail ends the run after some failures; absent: all tests are run
 * @param coverage collects what the tests decided
 * @returns a result for each test
 * @throws {Error} if the module does not load the policies; the promise is rejected
 *
 * @example
 * ```ts
 * import { loadModules, loadSuite, runSuite } from "jwtgate";
 *
 * const policy = `apiVersion: security.istio.io/v1
 * kind: AuthorizationPolicy
 * metadata: {name: no-admin}
 * spec: {action: DENY, rules: [{to: [{operation: {paths: [/admin]}}]}]}`;
 * const tests = `policies: [policy.yaml]
 * tests:
 * - {name: admin is refused, request: {path: /admin}, expect: 403}
 * - {name: other paths pass, request: {path: /}, expect: 200}`;
 * const files = {
 *   policies: () => ({ files: [{ name: "policy.yaml", text: policy }], diagnostics: [] }),
 *   text: () => "",
 * };
 * const { suite, diagnostics } = await loadSuite({ name: "policy.test.yaml", text: tests }, files, Date.now());
 * if (suite === undefined) throw new Error(diagnostics[0]?.message);
 * const { cases } = await runSuite(suite, (await loadModules()).release);
 * for (const { name, failures } of cases) console.log(name, failures.length);
 * // admin is refused 0
 * // other paths pass 0
 * ```
 */
export async function runSuite(
  suite: Suite,
  module: WebAssembly.Module,
  verifySignature?: ForeignFunction,
  bail = new Bail(),
  coverage?: CoverageCollector,
): Promise<SuiteResult> {
  const begun = performance.now();
  const recorder = coverage?.suite(suite, verifySignature);
  const gates = new Map<number, Gate>();
  const cases: CaseResult[] = [];
  for (const test of suite.cases) {
    const reason = test.skip ?? bail.reason;
    if (reason !== undefined) {
      cases.push(skippedCase(test, reason));
      continue;
    }
    const subject: Subject = { ...suite.subject, now: test.now };
    const gate = gates.get(test.now) ?? (await Gate.open({ module, verifySignature, ...subject }));
    gates.set(test.now, gate);
    const started = performance.now();
    const outcome = await gate.send(test.request);
    const result = judge(test, subject, outcome, performance.now() - started);
    await recorder?.record(test);
    bail.count(result.failures.length > 0);
    cases.push(result);
  }
  for (const property of suite.properties) {
    const reason = property.skip ?? bail.reason;
    const result =
      reason === undefined
        ? await runProperty(property, suite.subject, module)
        : skippedProperty(property, reason);
    bail.count(result.failures.length > 0);
    cases.push(result);
  }
  return suiteResult(suite, cases, performance.now() - begun);
}

/** Proves a property, or shows a request that refutes it. */
async function runProperty(
  property: PreparedProperty,
  subject: Subject,
  module: WebAssembly.Module,
): Promise<CaseResult> {
  const started = performance.now();
  const { configuration, listener } = subject;
  const { pathNormalization } = listener;
  const { holds, counterexample, undecided, cases } = await prove(configuration, property, {
    module,
    pathNormalization,
  });
  const { name, at, are } = property;
  const result: CaseResult = {
    name,
    table: PROPERTIES,
    at,
    failures: [],
    answer: `proven: ${cases} cases`,
    milliseconds: performance.now() - started,
  };
  if (holds) return result;
  const expected = `every such request is ${are}`;
  if (counterexample === undefined) {
    const failure = { what: "not decided", at, expected, actual: undecided ?? "" };
    return { ...result, failures: [failure], answer: "none" };
  }
  const { witness, reply } = counterexample;
  const decidedBy = decidingRule(reply.outcome, subject);
  return {
    ...result,
    failures: [{ what: "property", at, expected, actual: requestLines(witness).join("\n") }],
    answer: answerOf(reply.outcome),
    because: because({ outcome: reply.outcome, ...(decidedBy && { decidedBy }) }, configuration),
    ...(decidedBy && { decidedBy }),
  };
}

/**
 * The result of a property that was not proven.
 *
 * @internal
 */
export function skippedProperty({ name, at }: PreparedProperty, reason: string): CaseResult {
  return { name, table: PROPERTIES, at, failures: [], skipped: reason, answer: "none", milliseconds: 0 };
}

/**
 * The result of a suite.
 *
 * @internal
 */
export function suiteResult(
  { file, unselected }: Suite,
  cases: CaseResult[],
  milliseconds: number,
): SuiteResult {
  return { file, cases, unselected, errors: [], milliseconds };
}

/**
 * The result of a test that was not run.
 *
 * @internal
 */
export function skippedCase({ name, table, at }: PreparedCase, reason: string): CaseResult {
  return {
    name,
    ...(table !== undefined && { table }),
    at,
    failures: [],
    skipped: reason,
    answer: "none",
    milliseconds: 0,
  };
}

/**
 * Compares the results with the expectations.
 *
 * @param outcome of the request, wherever it ran, with the filter's own filter state among its properties
 * @internal
 */
export function judge(
  test: PreparedCase,
  subject: Subject,
  outcome: Outcome,
  milliseconds: number,
): CaseResult {
  const decidedBy = decidingRule(outcome, subject);
  return {
    name: test.name,
    ...(test.table !== undefined && { table: test.table }),
    at: test.at,
    failures: failuresOf(test, outcome),
    answer: answerOf(outcome),
    because: because({ outcome, ...(decidedBy && { decidedBy }) }, subject.configuration),
    ...(decidedBy && { decidedBy }),
    milliseconds,
  };
}

/** The answer in a few words. */
function answerOf({ answer, upstream }: Outcome): string {
  const body = answer && answer.body !== "" ? ` ${readable(answer.body)}` : "";
  return upstream ? `${statusOf(upstream)}, forwarded` : `${answer?.status ?? 0}${body}`;
}

/** The upstream's status in tests: the status in the answer of a request that passed. */
function statusOf({ headers }: UpstreamRequest): number {
  return headers.some(([name]) => name === "upgrade") ? 101 : 200;
}

function failuresOf({ expect, positionOf }: PreparedCase, outcome: Outcome): Failure[] {
  const { answer, upstream } = outcome;
  const found: Failure[] = [];
  const same = (what: string, wanted: string | undefined, is: string, ...path: string[]): void => {
    if (wanted === undefined || wanted === is) return;
    found.push({ what, at: positionOf(...path), expected: wanted, actual: is });
  };
  const status = upstream ? statusOf(upstream) : (answer?.status ?? 0);
  same("status", expect.status?.toString(), String(status), "status");
  if (expect.body !== undefined) {
    same("body", expect.body, answer ? readable(answer.body) : "the upstream's own", "body");
  }
  same("details", expect.details, answer ? answer.details : "none: it was forwarded", "details");
  compareHeaders(expect.headers, answer?.headers, "answer", ["headers"], same);
  if (expect.upstream) {
    if (upstream === undefined) {
      found.push({
        what: "upstream",
        at: positionOf("upstream"),
        expected: "to be reached",
        actual: "not reached",
      });
    } else {
      same("method at the upstream", expect.upstream.method, upstream.method, "upstream", "method");
      same("path at the upstream", expect.upstream.path, upstream.path, "upstream", "path");
      compareHeaders(expect.upstream.headers, upstream.headers, "upstream", ["upstream", "headers"], same);
    }
  }
  const rule = ruleOf(outcome);
  if (expect.rule !== undefined && !namesRule(expect.rule, rule)) {
    same("rule", expect.rule, rule || "none", "rule");
  }
  return found;
}

const ABSENT = "absent";

function compareHeaders(
  wanted: Expectation["headers"],
  headers: readonly (readonly [string, string])[] = [],
  where: string,
  path: string[],
  same: (what: string, wanted: string, is: string, ...path: string[]) => void,
): void {
  for (const [name, value] of Object.entries(wanted ?? {})) {
    const values = headers
      .filter(([other]) => other === name.toLowerCase())
      .map(([, other]) => readable(other));
    const say = (list: readonly string[]) => (list.length === 0 ? ABSENT : list.join("\n"));
    const should = value === null ? [] : [value].flat();
    same(`header ${name} of the ${where}`, say(should), say(values), ...path, name);
  }
}

/** Whether a rule is the one that a test names: by id, `NAMESPACE/POLICY`, `NAMESPACE/POLICY[INDEX]` or `none`. */
function namesRule(wanted: string, id: string): boolean {
  if (wanted === "none" || id === "") return wanted === "none" && id === "";
  const [, namespace, policy, index] = /^ns\[(.*)\]-policy\[(.*)\]-rule\[(\d+)\]$/.exec(id) ?? [];
  return [id, `${namespace}/${policy}`, `${namespace}/${policy}[${index}]`].includes(wanted);
}

/** Explains requests: for each, the module's answer and the steps that led to it. */
import { INSPECTED } from "../../tools/compile.ts";
import type { Provider } from "../../tools/config/schema.ts";
import type { Diagnostic, Position } from "../../tools/diagnostics.ts";
import { ProviderGates } from "../../tools/explain/custom.ts";
import { type Explanation, explain, type Gates, type Subject } from "../../tools/explain/explain.ts";
import { because, headersNotSet } from "../../tools/explain/format.ts";
import { type Modules, TracedGate } from "../../tools/explain/gate.ts";
import type { Action } from "../../tools/explain/rules.ts";
import type { CompleteRequest } from "../../tools/host/http-connection-manager.ts";
import { type CaseResult, judge } from "../../tools/testing/run.ts";
import type { Request, TestFile } from "../../tools/testing/schema.ts";
import type { PreparedCase, Suite } from "../../tools/testing/suite.ts";
import type { PageKeys } from "./keys.ts";
import { openSuite, type TextFile } from "./suite.ts";

/** A rule of a RequestAuthentication, for the page. */
export interface Issuer {
  name: string;
  issuer?: string;
  at?: Position;
  audiences: readonly string[];
  /** Where its keys or its discovery document are fetched from, if they are. */
  keysAt?: string;
}

/** A request and its result. */
export interface Evaluated {
  explanation: Explanation;
  /** The reason for the answer. */
  because: string;
  headersNotSet: { header: string; because: string }[];
  /** As it was sent. */
  request: CompleteRequest;
  /** Milliseconds since 1970. */
  now: number;
  /** How many rules of each action do not match and are not in the explanation. */
  hidden: Partial<Record<Action, number>>;
}

/** How many requests evaluated a rule, and how many of them it matched. */
export interface Reach {
  at: Position;
  asked: number;
  matched: number;
}

/** One request of the page. */
export interface Explained {
  diagnostics: Diagnostic[];
  issuers?: Issuer[];
  evaluated?: Evaluated;
  /** The request's token, if it has one. */
  token?: string;
  keys: PageKeys;
}

/** A saved request. */
export interface Saved {
  result: CaseResult;
  /** Absent if it was not run. */
  evaluated?: Evaluated;
  /** The test in the file. */
  written: Request;
}

/** All requests of a test file. */
export interface Ran {
  diagnostics: Diagnostic[];
  cases: Saved[];
  /** The file's content. Absent if it has an error. */
  content?: TestFile;
  /** Its tokens by their names, as they were sent. */
  tokens: Record<string, string>;
  /** Which rules the requests reach. */
  reach: Reach[];
  keys: PageKeys;
}

/** The name of the test file that a request of the page is written to. */
const REQUEST_FILE = "request";
const TOKEN = "token";

/**
 * Explains one request.
 *
 * @param file a test file of one test, without its policies; its token is named `token`
 */
export async function explainOne(
  policies: readonly TextFile[],
  file: Omit<TestFile, "policies">,
  keys: PageKeys,
  modules: Modules,
  now: number,
): Promise<Explained> {
  const text = JSON.stringify({ policies: policies.map(({ name }) => name), ...file });
  const {
    suite,
    diagnostics,
    keys: added,
  } = await openSuite(policies, { name: REQUEST_FILE, text }, keys, now, INSPECTED);
  const [test] = suite?.cases ?? [];
  if (suite === undefined || test === undefined) return { diagnostics, keys: added };
  const token = suite.tokens.get(TOKEN);
  const evaluator = new Evaluator(modules, suite, suite.custom);
  return {
    diagnostics,
    issuers: issuersOf(suite.subject),
    evaluated: await evaluator.evaluate(test),
    ...(token !== undefined && { token }),
    keys: added,
  };
}

/** Runs all requests of a test file. */
export async function runAll(
  policies: readonly TextFile[],
  tests: TextFile,
  keys: PageKeys,
  modules: Modules,
  now: number,
): Promise<Ran> {
  const { suite, diagnostics, keys: added } = await openSuite(policies, tests, keys, now);
  if (suite === undefined) return { diagnostics, cases: [], tokens: {}, reach: [], keys: added };
  const evaluator = new Evaluator(modules, suite);
  const cases: Saved[] = [];
  for (const test of suite.cases) cases.push(await evaluator.run(test));
  const { content, tokens } = suite;
  const { reach } = evaluator;
  return { diagnostics, cases, content, tokens: Object.fromEntries(tokens), reach, keys: added };
}

/** The gates of a suite, one for each time that its tests name. */
class Evaluator {
  private readonly gates = new Map<number, Promise<Gates>>();
  private readonly reached = new Map<string, Reach>();

  constructor(
    private readonly modules: Modules,
    private readonly suite: Suite,
    /** External authorizers that are asked; none in test files. */
    private readonly custom: Suite["custom"] = [],
  ) {}

  async evaluate({ request, now }: PreparedCase): Promise<Evaluated> {
    const subject = { ...this.suite.subject, now };
    const gates = this.gates.get(now) ?? this.open(subject);
    this.gates.set(now, gates);
    const explanation = await explain(await gates, subject, request);
    this.note(explanation);
    return {
      ...withoutMost(explanation),
      because: because(explanation, subject.configuration),
      headersNotSet: headersNotSet(explanation, subject.configuration),
      request,
      now,
    };
  }

  /** The rules that the requests have reached so far. */
  get reach(): Reach[] {
    return [...this.reached.values()];
  }

  private note({ actions = [] }: Explanation): void {
    for (const { id, at, asked, matched } of actions.flatMap(({ rules }) => rules)) {
      const reach = this.reached.get(id) ?? { at, asked: 0, matched: 0 };
      if (asked) reach.asked++;
      if (asked && matched) reach.matched++;
      this.reached.set(id, reach);
    }
  }

  async run(test: PreparedCase): Promise<Saved> {
    const { name, table, at, written, skip } = test;
    if (skip !== undefined) {
      const none = { failures: [], answer: "none", milliseconds: 0 };
      return { result: { name, ...(table !== undefined && { table }), at, skipped: skip, ...none }, written };
    }
    const started = performance.now();
    const evaluated = await this.evaluate(test);
    const subject = { ...this.suite.subject, now: test.now };
    const result = judge(test, subject, evaluated.explanation.outcome, performance.now() - started);
    return { result, evaluated, written };
  }

  private async open(subject: Subject): Promise<Gates> {
    const providers = await ProviderGates.open(this.modules, this.custom, subject.sources, subject);
    return { gate: await TracedGate.open(this.modules, subject), providers };
  }
}

/** How many rules of one action are shown although they do not match. */
const MAX_UNMATCHED = 20;

/**
 * The explanation without most of the rules that do not match. There may be thousands, and drawing them takes
 * long.
 */
function withoutMost(explanation: Explanation): Pick<Evaluated, "explanation" | "hidden"> {
  const { actions } = explanation;
  if (actions === undefined) return { explanation, hidden: {} };
  const hidden: Evaluated["hidden"] = {};
  const shown = actions.map(({ action, rules }) => {
    const left = new Set(rules.filter(({ matched }) => !matched).slice(MAX_UNMATCHED));
    if (left.size > 0) hidden[action] = left.size;
    return { action, rules: rules.filter((rule) => !left.has(rule)) };
  });
  return { explanation: { ...explanation, actions: shown }, hidden };
}

function issuersOf({ configuration, positions }: Subject): Issuer[] {
  return (configuration.providers ?? []).map((provider: Provider) => {
    const { name, issuer, audiences = [], remoteJwks } = provider;
    const at = positions.providers[name];
    const keysAt = remoteJwks?.uri ?? remoteJwks?.discovery?.uri;
    return {
      name,
      ...(issuer !== undefined && { issuer }),
      ...(at && { at }),
      audiences,
      ...(keysAt !== undefined && { keysAt }),
    };
  });
}

/**
 * Which rules, clauses and values of policies tests have decided. The traced module reports what each request matched;
 * nothing is decided here.
 */
import type { Position } from "../diagnostics.ts";
import { STATUS } from "../explain/events.ts";
import { type GateOptions, Tracer } from "../explain/gate.ts";
import { Asked, negation, type RuleSource } from "../explain/rules.ts";
import { resourcesOf } from "../explain/subject.ts";
import type { Trace, TracedProvider } from "../explain/trace.ts";
import type { ForeignFunction } from "../host/imports.ts";
import { ruleId } from "../istio/authorization.ts";
import type { Clause, PolicyRule } from "../istio/authorization-policy.ts";
import type { JwtRule } from "../istio/request-authentication.ts";
import type { AuthorizationPolicyResource, Resource } from "../istio/resource.ts";
import type { PreparedCase, Suite } from "./suite.ts";

/** What tests can decide: a part of a policy. */
export interface CoveredPart {
  kind: "rule" | "source" | "operation" | "condition" | "value" | "jwtRule";
  /** As messages name it. */
  name: string;
  at: Position;
  /** How many tests it matched: of a rule of tokens, how many it accepted a token of. Absent if it never can. */
  matched?: number;
  /** How many tests it did not match, or refused a token of. Absent if that decides nothing. */
  unmatched?: number;
}

/** A policy with its parts. */
export interface PolicyCoverage {
  kind: Resource["kind"];
  namespace: string;
  name: string;
  /** Of an AuthorizationPolicy, with `dry run` if it is one. */
  action?: string;
  at: Position;
  /** Whether it applies to the workload of a test file. */
  inForce: boolean;
  parts: CoveredPart[];
}

/** How many outcomes tests can have, and how many they had. */
export interface CoverageCounts {
  covered: number;
  total: number;
}

/** Something that no test showed. */
export interface Missing {
  part: CoveredPart;
  outcome: "matched" | "unmatched";
}

/** What is counted of a rule, by the names of `ruleKey`, `entryKey` and `valueKey`. */
type RuleParts = Map<string, CoveredPart>;

/** Collects the coverage of test runs. */
export class CoverageCollector {
  private readonly known = new Map<string, { policy: PolicyCoverage; rules: RuleParts[] }>();

  /**
   * @param module the traced one
   * @param fileOf the name of a file, by the name that a test file leads to: the same for the same file
   */
  constructor(
    private readonly module: WebAssembly.Module,
    private readonly fileOf: (file: string) => string = (file) => file,
  ) {}

  /** The policies of all suites, in the order of files and positions. */
  get policies(): PolicyCoverage[] {
    return [...this.known.values()]
      .map(({ policy }) => policy)
      .sort(({ at: a }, { at: b }) => (a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1));
  }

  /**
   * Adds the policies of a suite, decided or not.
   *
   * @param verifySignature Envoy's foreign function, if there is a faster one than that of `host/web.ts`
   * @returns what records its tests
   * @internal
   */
  suite({ subject, sources, content }: Suite, verifySignature?: ForeignFunction): SuiteRecorder {
    const rules = new Map<string, { parts: RuleParts; source: RuleSource | undefined }>();
    const providers: (CoveredPart | undefined)[] = [];
    for (const resource of resourcesOf(sources, content.workload?.namespace)) {
      if (resource.kind === "AuthorizationPolicy" && resource.spec.action === "CUSTOM") continue;
      const { policy, rules: own } = this.add(resource);
      if (resource.kind === "AuthorizationPolicy") {
        for (const [index, parts] of own.entries()) {
          const id = ruleId(resource.metadata, index);
          if (subject.positions.rules[id] === undefined) continue;
          policy.inForce = true;
          rules.set(id, { parts, source: subject.sources.get(id) });
        }
        continue;
      }
      for (const [index, { name }] of (subject.configuration.providers ?? []).entries()) {
        const at = subject.positions.providers[name];
        const place = resource.spec.jwtRules.findIndex((rule) => at && isSamePlace(rule.at, at));
        if (place < 0) continue;
        policy.inForce = true;
        providers[index] = policy.parts[place];
      }
    }
    return new SuiteRecorder({ module: this.module, verifySignature, ...subject }, rules, providers);
  }

  private add(resource: Resource) {
    const at = this.placed(resource.at);
    const key = `${resource.kind} ${at.file}:${at.line}:${at.column}`;
    const known = this.known.get(key);
    if (known) return known;
    const { namespace, name } = resource.metadata;
    const isPolicy = resource.kind === "AuthorizationPolicy";
    const rules = isPolicy ? this.rulesOf(resource) : [];
    const parts = isPolicy
      ? rules.flatMap((rule) => [...rule.values()])
      : resource.spec.jwtRules.map((rule) => this.jwtRule(rule));
    const policy: PolicyCoverage = {
      ...{ kind: resource.kind, namespace, name, at, inForce: false, parts },
      ...(isPolicy && { action: `${resource.spec.action}${resource.spec.dryRun ? ", dry run" : ""}` }),
    };
    const made = { policy, rules };
    this.known.set(key, made);
    return made;
  }

  private placed(at: Position): Position {
    return { ...at, file: this.fileOf(at.file) };
  }

  private jwtRule({ at, issuer }: JwtRule): CoveredPart {
    const name = issuer ? `the tokens of ${issuer.value}` : "the tokens of any issuer";
    return { kind: "jwtRule", name, at: this.placed(at), matched: 0, unmatched: 0 };
  }

  private rulesOf({ at, spec }: AuthorizationPolicyResource): RuleParts[] {
    if (spec.rules.length > 0)
      return spec.rules.map((rule, index) => this.ruleParts(rule, index, spec.action));
    // Nothing matches it: an ALLOW policy without rules allows nothing.
    return [new Map([[RULE, { kind: "rule", name: "no rule", at: this.placed(at), unmatched: 0 }]])];
  }

  private ruleParts(rule: PolicyRule, index: number, action: string): RuleParts {
    const parts: RuleParts = new Map();
    const entries = entriesOf(rule);
    // istiod leaves such an ALLOW rule out.
    if (action === "ALLOW" && !entries.every(({ clauses }) => clauses.every(isAsked))) return parts;
    const asked = entries.filter(({ clauses }) => clauses.some(isAsked));
    parts.set(RULE, {
      ...{ kind: "rule", name: `rule ${index}`, at: this.placed(rule.at), matched: 0 },
      ...(asked.length > 0 && { unmatched: 0 }),
    });
    for (const { kind, key, clauses } of asked) {
      const [first] = clauses;
      const name = kind === "condition" ? first?.name : kind;
      // A clause that is alone is decided with its rule, and a value that is alone with its clause.
      if (asked.length > 1 && first && name !== undefined)
        parts.set(key, { kind, name, at: this.placed(first.at), matched: 0, unmatched: 0 });
      const values = clauses.flatMap(valuesOf).filter(({ clause }) => isAsked(clause));
      if (values.length === 1) continue;
      for (const { clause, value, isNegated, name: nth } of values) {
        const field = isNegated ? negation(clause.name) : clause.name;
        const text = `${field} ${JSON.stringify(value.value)}`;
        parts.set(`${key}.${nth}`, { kind: "value", name: text, at: this.placed(value.at), matched: 0 });
      }
    }
    return parts;
  }
}

/**
 * Records the tests of one suite.
 *
 * @internal
 */
export class SuiteRecorder {
  private readonly tracers = new Map<number, Promise<Tracer>>();

  constructor(
    private readonly options: GateOptions,
    private readonly rules: ReadonlyMap<string, { parts: RuleParts; source: RuleSource | undefined }>,
    private readonly providers: readonly (CoveredPart | undefined)[],
  ) {}

  /** Sends the request of a test to the traced module, and counts what it reports. */
  async record({ request, now }: PreparedCase): Promise<void> {
    const opened = this.tracers.get(now) ?? Tracer.open({ ...this.options, now });
    this.tracers.set(now, opened);
    const trace = await (await opened).trace(request);
    if (trace) this.count(trace);
  }

  private count({ authentication, policies }: Trace): void {
    const asked = new Map<number, TracedProvider["tokens"]>();
    for (const { index, tokens } of authentication?.providers ?? [])
      asked.set(index, [...(asked.get(index) ?? []), ...tokens]);
    for (const [index, tokens] of asked) {
      const part = this.providers[index];
      const has = (test: (status: number) => boolean) => tokens.some(({ status }) => test(status));
      if (part && has((status) => status === STATUS.Ok)) add(part, "matched");
      if (part && has((status) => status !== STATUS.Ok && status !== STATUS.JwtUnknownIssuer))
        add(part, "unmatched");
    }
    const { authorization, directRemoteAddress } = this.options.configuration;
    if (policies === undefined || authorization === undefined) return;
    const conditions = new Asked(policies, authorization, `filter_state.${directRemoteAddress}`);
    for (const { id, matched, asked } of policies.ruleSets.flatMap(({ rules }) => rules)) {
      const rule = this.rules.get(id);
      if (rule === undefined || !asked) continue;
      add(rule.parts.get(RULE), matched ? "matched" : "unmatched");
      if (rule.source) countClauses(rule.parts, rule.source, conditions);
    }
  }
}

/** Counts the clauses and values of a rule that the filter asked. One counts if the rest of the rule holds. */
function countClauses(parts: RuleParts, { rule, context }: RuleSource, asked: Asked): void {
  const has = ({ attribute }: Clause, { value }: Value) =>
    attribute !== undefined && asked.holds(attribute.expression(value, context));
  const isIn = (clause: Clause) =>
    clause.values.length === 0 || clause.values.some((value) => has(clause, value));
  const isOut = (clause: Clause) => clause.notValues.some((value) => has(clause, value));
  const holds = (clause: Clause) => !isAsked(clause) || (isIn(clause) && !isOut(clause));
  const entries = entriesOf(rule).map((entry) => ({ ...entry, holds: entry.clauses.every(holds) }));
  const sectionHolds = (kind: Entry["kind"]) => {
    const own = entries.filter((entry) => entry.kind === kind);
    return own.length === 0 || own.some((entry) => entry.holds);
  };
  for (const entry of entries) {
    const others = (["source", "operation"] as const).filter((kind) => kind !== entry.kind);
    const conditions = entries.filter((other) => other.kind === "condition" && other !== entry);
    if (!others.every(sectionHolds) || !conditions.every((other) => other.holds)) continue;
    add(parts.get(entry.key), entry.holds ? "matched" : "unmatched");
    for (const clause of entry.clauses) {
      if (!entry.clauses.every((other) => other === clause || holds(other))) continue;
      for (const { value, isNegated, name } of valuesOf(clause, entry.clauses.indexOf(clause))) {
        const decides = isNegated ? isIn(clause) : !isOut(clause);
        if (decides && has(clause, value)) add(parts.get(`${entry.key}.${name}`), "matched");
      }
    }
  }
}

function add(part: CoveredPart | undefined, outcome: "matched" | "unmatched"): void {
  const count = part?.[outcome];
  if (part && count !== undefined) part[outcome] = count + 1;
}

/** The name of a rule itself among its parts. */
const RULE = "rule";

/** An entry of `from`, `to` or `when`. */
interface Entry {
  kind: "source" | "operation" | "condition";
  /** Its name among the parts of the rule. */
  key: string;
  clauses: Clause[];
}

function entriesOf({ from, to, when }: PolicyRule): Entry[] {
  const entries = (kind: Entry["kind"], list: Clause[][]) =>
    list.map((clauses, index) => ({ kind, key: `${kind} ${index}`, clauses }));
  return [
    ...entries("source", from),
    ...entries("operation", to),
    ...entries(
      "condition",
      when.map((clause) => [clause]),
    ),
  ];
}

type Value = Clause["values"][number];

/** The values of a clause, each with its name in its entry. @param index of the clause in its entry */
function valuesOf(clause: Clause, index: number) {
  const named = (list: Value[], isNegated: boolean) =>
    list.map((value, nth) => ({
      clause,
      value,
      isNegated,
      name: `${index}.${isNegated ? "not " : ""}${nth}`,
    }));
  return [...named(clause.values, false), ...named(clause.notValues, true)];
}

/** istiod leaves out a condition that it has no matcher for. */
function isAsked({ attribute }: Clause): boolean {
  return attribute !== undefined;
}

function isSamePlace(a: Position, b: Position): boolean {
  return a.file === b.file && a.line === b.line && a.column === b.column;
}

/** What is counted of some parts, and was not shown by any test. */
export function missingOf(parts: readonly CoveredPart[]): Missing[] {
  return parts.flatMap((part) =>
    (["matched", "unmatched"] as const)
      .filter((outcome) => part[outcome] === 0)
      .map((outcome) => ({ part, outcome })),
  );
}

/** How many outcomes of some parts are counted, and how many a test showed. */
export function countsOf(parts: readonly CoveredPart[]): CoverageCounts {
  const outcomes = parts.flatMap(({ matched, unmatched }) => [matched, unmatched]);
  return {
    covered: outcomes.filter((count) => (count ?? 0) > 0).length,
    total: outcomes.filter((count) => count !== undefined).length,
  };
}

/** In per cent, rounded down to a decimal; 100 if nothing can be covered. */
export function percentOf({ covered, total }: CoverageCounts): number {
  return total === 0 ? 100 : Math.floor((1000 * covered) / total) / 10;
}

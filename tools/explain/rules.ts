/** Each rule of the policies as its author wrote it, with what each of its conditions says of a request. */
import type { Configuration, Predicate, Rule } from "../config/schema.ts";
import type { Position } from "../diagnostics.ts";
import type { AttributeContext } from "../istio/attributes.ts";
import type { Clause, PolicyRule } from "../istio/authorization-policy.ts";
import type { Expression } from "../istio/expression.ts";
import type { Resource } from "../istio/resource.ts";
import { type Claims, claimAt, conditionHolds, DIRECT_PEER, type Facts, predicateHolds } from "./evaluate.ts";

export type Action = "AUDIT" | "DENY" | "ALLOW";

/** A condition of a rule: one field of `source` or `operation`, or one entry of `when`, or its negation. */
export interface ConditionStep {
  /** As the user wrote it. */
  name: string;
  at: Position;
  values: string[];
  verdict: boolean;
  /** What the request has, for people. */
  actual: string;
}

/** Entries of `from` or `to`, any of which must hold, each with conditions that must all hold. */
export interface RuleStep {
  id: string;
  at: Position;
  /** On trial: it decides nothing. */
  dryRun: boolean;
  matched: boolean;
  /** Whether it was looked at: behind a refusal, and behind the first rule that matched, none is. */
  asked: boolean;
  /** Absent for a rule that never matches, such as that of a policy without rules. */
  from?: ConditionStep[][];
  to?: ConditionStep[][];
  when?: ConditionStep[];
}

export interface ActionStep {
  action: Action;
  rules: RuleStep[];
}

/** Where a rule came from. */
export interface RuleSource {
  rule: PolicyRule;
  context: AttributeContext;
}

/** The rules of AuthorizationPolicies by their ids. */
export function ruleSources(resources: readonly Resource[], trustDomain: string): Map<string, RuleSource> {
  const sources = new Map<string, RuleSource>();
  for (const resource of resources) {
    if (resource.kind !== "AuthorizationPolicy") continue;
    const { namespace, name } = resource.metadata;
    for (const [index, rule] of resource.spec.rules.entries()) {
      const id = `ns[${namespace}]-policy[${name}]-rule[${index}]`;
      sources.set(id, { rule, context: { namespace, trustDomain } });
    }
  }
  return sources;
}

/** What is known of a request when its policies are asked. */
export interface Asked {
  facts: Facts;
  claims: Claims | undefined;
}

/** Every rule of every action, in the order in which the filter asks them. */
export function explainRules(
  configuration: Configuration,
  positions: Readonly<Record<string, Position>>,
  sources: ReadonlyMap<string, RuleSource>,
  asked: Asked,
): ActionStep[] {
  const { authorization } = configuration;
  if (authorization === undefined) return [];
  const holds = ({ condition }: Rule) => conditionHolds(condition, authorization, asked.facts, asked.claims);
  let open = true;
  const steps: ActionStep[] = [];
  for (const action of ["AUDIT", "DENY", "ALLOW"] as const) {
    const set = authorization[action.toLowerCase() as "audit" | "deny" | "allow"];
    if (set === undefined) continue;
    const explain = (rules: readonly Rule[], dryRun: boolean): RuleStep[] => {
      let searching = open;
      return rules.map((rule) => {
        const matched = holds(rule);
        const step: RuleStep = {
          id: rule.id,
          at: positions[rule.id] ?? { file: "", line: 0, column: 0 },
          dryRun,
          matched,
          asked: searching,
          ...conditionsOf(sources.get(rule.id), asked),
        };
        if (matched) searching = false;
        return step;
      });
    };
    const enforced = explain(set.rules ?? [], false);
    steps.push({ action, rules: [...enforced, ...explain(set.shadowRules ?? [], true)] });
    const matched = enforced.some((rule) => rule.matched);
    if (action === "DENY" && matched) open = false;
  }
  return steps;
}

function conditionsOf(source: RuleSource | undefined, asked: Asked): Pick<RuleStep, "from" | "to" | "when"> {
  if (source === undefined) return {};
  const { rule, context } = source;
  const steps = (clauses: Clause[]) => clauses.flatMap((clause) => conditionSteps(clause, context, asked));
  return { from: rule.from.map(steps), to: rule.to.map(steps), when: steps(rule.when) };
}

/** A clause with values, with notValues, or with both. */
function conditionSteps(clause: Clause, context: AttributeContext, asked: Asked): ConditionStep[] {
  const { attribute, values, notValues } = clause;
  // istiod takes some keys that it has no matcher for, and leaves them out.
  if (attribute === undefined) return [];
  const step = (list: Clause["values"], negated: boolean): ConditionStep[] => {
    const [first] = list;
    if (first === undefined) return [];
    const expressions = list.map(({ value }) => attribute.expression(value, context));
    const any = expressions.some((expression) => expressionHolds(expression, asked));
    return [
      {
        name: negated ? negation(clause.name) : clause.name,
        at: first.at,
        values: list.map(({ value }) => value),
        verdict: any !== negated,
        actual: actualOf(expressions.flatMap(predicatesOf), asked),
      },
    ];
  };
  return [...step(values, false), ...step(notValues, true)];
}

/** `paths` → `notPaths`; a key of `when` stays what it is. */
function negation(name: string): string {
  return /^[a-z][A-Za-z]*$/.test(name) ? `not${name[0]?.toUpperCase()}${name.slice(1)}` : `not ${name}`;
}

function expressionHolds(expression: Expression, asked: Asked): boolean {
  if ("and" in expression) return expression.and.every((part) => expressionHolds(part, asked));
  if ("or" in expression) return expression.or.some((part) => expressionHolds(part, asked));
  if ("not" in expression) return !expressionHolds(expression.not, asked);
  return predicateHolds(expression, asked.facts, asked.claims);
}

function predicatesOf(expression: Expression): Predicate[] {
  if ("and" in expression) return expression.and.flatMap(predicatesOf);
  if ("or" in expression) return expression.or.flatMap(predicatesOf);
  return "not" in expression ? predicatesOf(expression.not) : [expression];
}

/** Headers whose values may be secrets. */
const SECRET_HEADER = /^(authorization|proxy-authorization|cookie|set-cookie)$|token|secret|key|jwt|auth/;

/** What the request has where the predicates look. */
function actualOf(predicates: readonly Predicate[], { facts, claims }: Asked): string {
  const found = new Set(predicates.map((predicate) => actual(predicate, facts, claims)));
  return [...found].join(", ");
}

function actual(predicate: Predicate, facts: Facts, claims: Claims | undefined): string {
  const { headers, properties = {}, peerNames = [] } = facts;
  const values = (name: string) => headers.filter(([other]) => other === name).map(([, value]) => value);
  const property = (name: string) => String(properties[name] ?? "unknown");
  if ("claim" in predicate) {
    if (claims === undefined) return "there is no verified token";
    const value = claimAt(claims, predicate.claim);
    const name = predicate.claim.length === 1 ? predicate.claim[0] : `[${predicate.claim.join("][")}]`;
    return value === undefined ? `the token has no ${name}` : `${name} is ${shorten(JSON.stringify(value))}`;
  }
  if ("path" in predicate) return `the path is ${(values(":path")[0] ?? "").replace(/[?#].*/s, "")}`;
  if ("host" in predicate) return `the host is ${values(":authority")[0]}`;
  if ("method" in predicate) return `the method is ${values(":method")[0]}`;
  if ("header" in predicate) {
    const { header } = predicate;
    const found = values(header === "host" ? ":authority" : header);
    if (found.length === 0) return `there is no header ${header}`;
    if (SECRET_HEADER.test(header)) return `the header ${header} is there`;
    return `${header} is ${found.map((value) => shorten(JSON.stringify(value))).join(" and ")}`;
  }
  if ("destinationPort" in predicate) return `the listener's port is ${property("destination.port")}`;
  if ("destinationIp" in predicate) return `the listener is ${property("destination.address")}`;
  if ("sourceIp" in predicate) return `the peer is ${property(DIRECT_PEER)}`;
  if ("remoteIp" in predicate) return `the client is ${property("source.address")}`;
  if ("sni" in predicate) {
    const name = properties["connection.requested_server_name"];
    return name ? `the server name is ${name}` : "there is no TLS server name";
  }
  if (peerNames.length === 0) return "there is no client certificate";
  return `the client's certificate says ${peerNames.join(", ")}`;
}

function shorten(text: string): string {
  return text.length > 100 ? `${text.slice(0, 97)}…` : text;
}

/**
 * Each rule of the policies as its author wrote it, with the module's result for each of its conditions. A condition
 * holds if the predicates that it was compiled to hold.
 */
import type { Authorization, Predicate } from "../config/schema.ts";
import type { Position } from "../diagnostics.ts";
import { latin1Encode, utf8Decode } from "../host/bytes.ts";
import { type AttributeContext, type SeenRequest, sawFor } from "../istio/attributes.ts";
import { ruleId } from "../istio/authorization.ts";
import type { Clause, PolicyRule } from "../istio/authorization-policy.ts";
import type { Expression } from "../istio/expression.ts";
import type { Resource } from "../istio/resource.ts";
import type { TracedPolicies } from "./trace.ts";

export type Action = "AUDIT" | "DENY" | "ALLOW";

/** A condition of a rule: one field of `source` or `operation`, or one entry of `when`, or its negation. */
export interface ConditionStep {
  /** As the user wrote it. */
  name: string;
  at: Position;
  values: string[];
  verdict: boolean;
  /** The request's value, as text. */
  actual: string;
}

/** Entries of `from` or `to`, any of which must hold, each with conditions that must all hold. */
export interface RuleStep {
  id: string;
  at: Position;
  /** Whether it is a dry run, which decides nothing. */
  dryRun: boolean;
  matched: boolean;
  /** Whether it was evaluated: after a refusal and after the first match, the rest is skipped. */
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

/** The source of a rule. */
export interface RuleSource {
  rule: PolicyRule;
  context: AttributeContext;
}

/** The rules of AuthorizationPolicies by their ids. */
export function ruleSources(resources: readonly Resource[], trustDomain: string): Map<string, RuleSource> {
  const sources = new Map<string, RuleSource>();
  for (const resource of resources) {
    if (resource.kind !== "AuthorizationPolicy") continue;
    const { metadata, spec } = resource;
    const context = { namespace: metadata.namespace, trustDomain };
    for (const [index, rule] of spec.rules.entries()) sources.set(ruleId(metadata, index), { rule, context });
  }
  return sources;
}

/**
 * Every rule of every action, in the order in which the filter evaluates them.
 *
 * @param sourceOf the source of a rule, by its id
 * @param directPeer the property that has the direct peer's address
 */
export function explainRules(
  traced: TracedPolicies,
  authorization: Authorization,
  positions: Readonly<Record<string, Position>>,
  sourceOf: ReadonlyMap<string, RuleSource>,
  directPeer: string,
): ActionStep[] {
  const asked = new Asked(traced, authorization, directPeer);
  const steps = new Map<Action, ActionStep>();
  for (const { action, dryRun, rules } of traced.ruleSets) {
    const step = steps.get(action) ?? { action, rules: [] };
    steps.set(action, step);
    for (const { id, matched, asked: wasAsked } of rules) {
      const at = positions[id] ?? { file: "", line: 0, column: 0 };
      const source = sourceOf.get(id);
      step.rules.push({
        ...{ id, at, dryRun, matched, asked: wasAsked },
        ...(source && conditionsOf(source, asked)),
      });
    }
  }
  return [...steps.values()];
}

function conditionsOf({ rule, context }: RuleSource, asked: Asked): Pick<RuleStep, "from" | "to" | "when"> {
  const steps = (clauses: Clause[]) => clauses.flatMap((clause) => conditionSteps(clause, context, asked));
  return { from: rule.from.map(steps), to: rule.to.map(steps), when: steps(rule.when) };
}

/** A clause with values, with notValues, or with both. */
function conditionSteps(clause: Clause, context: AttributeContext, asked: Asked): ConditionStep[] {
  const { attribute, values, notValues } = clause;
  // istiod accepts some keys that it has no matcher for, and leaves them out.
  if (attribute === undefined) return [];
  const step = (list: Clause["values"], negated: boolean): ConditionStep[] => {
    const [first] = list;
    if (first === undefined) return [];
    const expressions = list.map(({ value }) => attribute.expression(value, context));
    const any = expressions.some((expression) => asked.holds(expression));
    return [
      {
        name: negated ? negation(clause.name) : clause.name,
        at: first.at,
        values: list.map(({ value }) => value),
        verdict: any !== negated,
        actual: asked.sawFor(expressions.flatMap(predicatesOf)),
      },
    ];
  };
  return [...step(values, false), ...step(notValues, true)];
}

/** `paths` → `notPaths`; a key of `when` does not change. */
export function negation(name: string): string {
  return /^[a-z][A-Za-z]*$/.test(name) ? `not${name[0]?.toUpperCase()}${name.slice(1)}` : `not ${name}`;
}

function predicatesOf(expression: Expression): Predicate[] {
  if ("and" in expression) return expression.and.flatMap(predicatesOf);
  if ("or" in expression) return expression.or.flatMap(predicatesOf);
  return "not" in expression ? predicatesOf(expression.not) : [expression];
}

/** The module's results for one request. */
export class Asked {
  /** The numbers of predicates, by their text. */
  private readonly numbers: Map<string, number>;
  private readonly request: SeenRequest;

  /** @param directPeer the property that has the direct peer's address */
  constructor(
    private readonly traced: TracedPolicies,
    { predicates }: Authorization,
    directPeer: string,
  ) {
    this.numbers = new Map(predicates.map((predicate, number) => [JSON.stringify(predicate), number]));
    const { claims, seen, headers, hidden, properties } = traced;
    const property = (path: string) => properties.get(path) || undefined;
    this.request = {
      claims,
      values: (field) => (seen.get(field) ?? []).map((value) => utf8Decode(latin1Encode(value))),
      header: (name) => (hidden.has(name) ? "hidden" : (headers.get(name) ?? [])),
      property,
      directPeer: property(directPeer),
    };
  }

  /** Whether an expression holds, given its predicates. */
  holds(expression: Expression): boolean {
    if ("and" in expression) return expression.and.every((part) => this.holds(part));
    if ("or" in expression) return expression.or.some((part) => this.holds(part));
    if ("not" in expression) return !this.holds(expression.not);
    const number = this.numbers.get(JSON.stringify(expression));
    if (number === undefined) throw new RangeError("a condition was compiled to other predicates");
    return this.traced.held.has(number);
  }

  /** The request's values that the predicates compare. */
  sawFor(predicates: readonly Predicate[]): string {
    return [...new Set(predicates.map((predicate) => sawFor(predicate, this.request)))].join(", ");
  }
}

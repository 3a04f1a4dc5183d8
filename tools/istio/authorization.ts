/**
 * Converts AuthorizationPolicies to the filter's rules, as istiod generates Envoy's RBAC from them (istio
 * pilot/pkg/security/authz/builder/builder.go, model/model.go).
 */
import type { Authorization, Rule, RuleSet } from "../config/schema.ts";
import type { Position } from "../diagnostics.ts";
import type { AttributeContext } from "./attributes.ts";
import type { Action, Clause, PolicyRule } from "./authorization-policy.ts";
import { ALWAYS, and, type Expression, NEVER, not, or, PredicateTable } from "./expression.ts";
import type { ExtensionProvider } from "./extension-providers.ts";
import { guardOf } from "./guard.ts";
import type { Metadata } from "./metadata.ts";
import type { Report } from "./report.ts";
import type { AuthorizationPolicyResource } from "./resource.ts";
import { nameOf } from "./selection.ts";
import type { Located } from "./yaml.ts";

export interface AuthorizationOptions {
  trustDomain: string;
  /** Whether the filter runs in a waypoint. */
  inWaypoint?: boolean;
  target: {
    /** What messages call it, with its article. */
    noun: string;
    /** Whether it can pass the direct peer's address to the filter. */
    knowsDirectPeer: boolean;
  };
}

export interface CompiledAuthorization {
  /** Absent if there is no policy. */
  authorization?: Authorization;
  /** Of each rule, by its id. */
  positions: Record<string, Position>;
  /** The first place that asks for the direct peer's address. */
  needsDirectPeer?: Position;
}

/** An extension provider that CUSTOM policies ask, and the requests that they ask about. */
export interface CompiledProvider {
  /** Its name in the first policy that names it. */
  name: Located<string>;
  /** What it is; absent if no mesh config names it. */
  provider?: ExtensionProvider;
  /** The policies, such as `AuthorizationPolicy foo/bar`. */
  policies: string[];
  /** Matches the requests that it is asked about: the rules of all its policies, as if those were DENY policies. */
  matches: Authorization & { deny: { rules: Rule[] } };
  /** Of each rule, by its id. */
  positions: Record<string, Position>;
  /** Whether a rule asks for the direct peer's address. */
  needsDirectPeer: boolean;
}

/**
 * The extension providers that CUSTOM policies ask, sorted by name as istiod orders their filters
 * (pilot/pkg/security/authz/builder/builder.go). Envoy asks them itself, so all attributes are available.
 */
export function compileCustom(
  policies: readonly AuthorizationPolicyResource[],
  trustDomain: string,
  report: Report,
): CompiledProvider[] {
  const byName = new Map<string, { name: Located<string>; policies: AuthorizationPolicyResource[] }>();
  for (const policy of policies) {
    const { provider } = policy.spec;
    if (provider === undefined) continue;
    const one = byName.get(provider.value) ?? { name: provider, policies: [] };
    one.policies.push(policy);
    byName.set(provider.value, one);
  }
  const target = { noun: "an Envoy", knowsDirectPeer: true };
  return [...byName.values()]
    .sort(({ name: { value: a } }, { name: { value: b } }) => (a < b ? -1 : 1))
    .map(({ name, policies: own }) => {
      const translation = new Translation({ trustDomain, target }, report);
      const rules = translation.rules(own);
      return {
        name,
        policies: own.map(nameOf),
        matches: { predicates: translation.table.predicates, deny: { rules } },
        positions: translation.positions,
        needsDirectPeer: translation.needsDirectPeer !== undefined,
      };
    });
}

export function compileAuthorization(
  policies: AuthorizationPolicyResource[],
  options: AuthorizationOptions,
  report: Report,
): CompiledAuthorization {
  if (policies.length === 0) return { positions: {} };
  const translation = new Translation(options, report);
  const ruleSet = (action: Action) =>
    translation.ruleSet(policies.filter(({ spec }) => spec.action === action));
  const [audit, deny, allow] = [ruleSet("AUDIT"), ruleSet("DENY"), ruleSet("ALLOW")];
  return {
    authorization: {
      predicates: translation.table.predicates,
      ...(audit && { audit }),
      ...(deny && { deny }),
      ...(allow && { allow }),
    },
    positions: translation.positions,
    ...(translation.needsDirectPeer && { needsDirectPeer: translation.needsDirectPeer }),
  };
}

class Translation {
  readonly table = new PredicateTable();
  readonly positions: Record<string, Position> = {};
  needsDirectPeer: Position | undefined;

  constructor(
    private readonly options: AuthorizationOptions,
    private readonly report: Report,
  ) {}

  /** The policies of one action. If all are dry runs, nothing is enforced, which differs from enforcing no rules. */
  ruleSet(policies: AuthorizationPolicyResource[]): RuleSet | undefined {
    if (policies.length === 0) return undefined;
    const rules = (dryRun: boolean): Rule[] | undefined => {
      const chosen = policies.filter(({ spec }) => spec.dryRun === dryRun);
      return chosen.length === 0 ? undefined : this.rules(chosen);
    };
    const [enforced, shadow] = [rules(false), rules(true)];
    return { ...(enforced && { rules: enforced }), ...(shadow && { shadowRules: shadow }) };
  }

  /** In the byte order of their ids, which are ASCII. */
  rules(policies: AuthorizationPolicyResource[]): Rule[] {
    return policies.flatMap((policy) => this.policy(policy)).sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  private policy({ at, metadata, spec }: AuthorizationPolicyResource): Rule[] {
    // A policy without rules gets one that never matches: an ALLOW policy then allows nothing.
    if (spec.rules.length === 0) return [this.rule(ruleId(metadata, 0), at, NEVER)];
    const context = { namespace: metadata.namespace, trustDomain: this.options.trustDomain };
    return spec.rules.flatMap((rule, index) => {
      const expression = this.expression(rule, spec.action, context);
      return expression === undefined ? [] : [this.rule(ruleId(metadata, index), rule.at, expression)];
    });
  }

  private rule(id: string, at: Position, expression: Expression): Rule {
    this.positions[id] = at;
    const condition = this.table.condition(expression);
    const guard = guardOf(condition, this.table);
    return { id, condition, ...(guard && { guard }) };
  }

  /** @returns none if istiod leaves the rule out */
  private expression(rule: PolicyRule, action: Action, context: AttributeContext): Expression | undefined {
    const when = this.generatable(rule.when, action);
    if (when === undefined) return undefined;
    const anyOf = (alternatives: Clause[][]) =>
      alternatives.length === 0 ? ALWAYS : or(alternatives.map((clauses) => this.allOf(clauses, context)));
    return and([anyOf(rule.to), anyOf(rule.from), this.allOf(when, context)]);
  }

  /**
   * istiod accepts keys without a matcher for them. It then leaves out the whole rule of an ALLOW policy, and only the
   * condition in any other: both narrow what may pass.
   */
  private generatable(when: Clause[], action: Action): Clause[] | undefined {
    const missing = when.filter(({ attribute }) => attribute === undefined);
    for (const { name, at } of missing) {
      const effect =
        action === "ALLOW"
          ? "leaves this rule out, so it allows nothing"
          : "leaves this condition out, so the rule is wider";
      this.report.warning(at, `${name} is not an attribute, and Istio ${effect}: correct the key`);
    }
    if (missing.length > 0 && action === "ALLOW") return undefined;
    return when.filter(({ attribute }) => attribute !== undefined);
  }

  private allOf(clauses: Clause[], context: AttributeContext): Expression {
    return and(clauses.flatMap((clause) => this.clause(clause, context)));
  }

  private clause(clause: Clause, context: AttributeContext): Expression[] {
    const { name, at, attribute } = clause;
    if (attribute?.needsDirectPeer) this.directPeer(name, at);
    if (attribute?.needsClientTls && this.options.inWaypoint) this.report.error(at, noClientTls(name));
    return clauseExpressions(clause, context);
  }

  private directPeer(name: string, at: Position): void {
    this.needsDirectPeer ??= at;
    const { noun, knowsDirectPeer } = this.options.target;
    if (knowsDirectPeer) return;
    const instead = name === "ipBlocks" ? "remoteIpBlocks and notRemoteIpBlocks" : "the key remote.ip";
    this.report.error(
      at,
      `${noun} cannot see the address of the direct peer, so ${name} would go unchecked: use ${instead} (the client as the proxy trusts X-Forwarded-For), or leave this policy to Istio`,
    );
  }
}

/** The id of a rule, as istiod names it. @param index of the rule in its policy */
export function ruleId({ namespace, name }: Metadata, index: number): string {
  return `ns[${namespace}]-policy[${name}]-rule[${index}]`;
}

/** The conditions of a clause, all of which must hold; none for a key that istiod has no matcher for. */
export function clauseExpressions(
  { attribute, values, notValues }: Clause,
  context: AttributeContext,
): Expression[] {
  if (attribute === undefined) return [];
  const anyOf = (list: Clause["values"]) => or(list.map(({ value }) => attribute.expression(value, context)));
  return [
    ...(values.length > 0 ? [anyOf(values)] : []),
    ...(notValues.length > 0 ? [not(anyOf(notValues))] : []),
  ];
}

function noClientTls(name: string): string {
  return `a waypoint does not see the TLS connections of clients, so ${name} is never there, and its negation is always true: use hosts`;
}

/** Lints policies. A library: it uses neither files nor a process. */
import type { CompileResult } from "../compile.ts";
import type { Condition, Configuration, Predicate } from "../config/schema.ts";
import { type Diagnostic, formatPosition, type Position } from "../diagnostics.ts";
import type { Attribute } from "../istio/attributes.ts";
import { clauseExpressions, ruleId } from "../istio/authorization.ts";
import type { AuthorizationPolicy, Clause, PolicyRule } from "../istio/authorization-policy.ts";
import { and, PredicateTable } from "../istio/expression.ts";
import { quote } from "../istio/report.ts";
import type {
  Attachment,
  AuthorizationPolicyResource,
  RequestAuthenticationResource,
  Resource,
} from "../istio/resource.ts";
import type { Located } from "../istio/yaml.ts";
import { checkJwtRule } from "./authentication.ts";
import { checkClause, type Surroundings } from "./conditions.ts";
import { byPlace, type Finding, Findings, MAX_COMPARED_RULES, MAX_PROVEN_RULES } from "./findings.ts";
import { covers } from "./patterns.ts";
import { RuleIndex } from "./rule-index.ts";
import { clausesOf, ruleCovers } from "./rules.ts";

/** How rules are compared exactly (prove/rules.ts). A page that reviews at each key does without. */
export type RuleProver = (
  configuration: Configuration,
  applies: (other: string, id: string) => boolean,
  protections: readonly Protection[],
) => {
  idle: readonly { id: string; why: "never" | "denied" | "redundant"; by: readonly string[] }[];
  openings: readonly { protection: number; by: string; example: { method: string; path: string } }[];
  undecided: readonly string[];
};

/** A path for which a rule asks for a token. */
interface Protection {
  /** The id of the rule. */
  id: string;
  /** Matches the requests for the path, with or without a token. */
  condition: Condition;
  predicates: readonly Predicate[];
  path: Located<string>;
}

export interface CheckOptions {
  /** The same resources, compiled, and what compares rules exactly. */
  proof?: Pick<CompileResult, "configuration"> & { prover: RuleProver };
  /** The namespace whose policies apply to every namespace. */
  rootNamespace: string;
}

/** How many rules that together cover another are named. */
const MAX_NAMED = 5;

/** Claims that are always lists, for any rule. */
const ALWAYS_SPACE_DELIMITED = ["permission", "scope"];

/**
 * @param resources that the compiler accepts
 * @param warnings of the compiler
 * @returns findings in the order of their positions
 */
export function check(
  resources: readonly Resource[],
  warnings: readonly Diagnostic[],
  options: CheckOptions,
): Finding[] {
  return new Reviewer(resources, options).review(warnings);
}

class Reviewer {
  private readonly findings = new Findings();
  private readonly authentications: RequestAuthenticationResource[];
  private readonly policies: AuthorizationPolicyResource[];
  private readonly selections = new Map<Resource, string>();
  /** The policies that decide. */
  private readonly enforced: AuthorizationPolicyResource[];
  /** Those of them for which a request needs a token. */
  private readonly requiring: AuthorizationPolicyResource[];

  constructor(
    resources: readonly Resource[],
    private readonly options: CheckOptions,
  ) {
    this.authentications = resources.filter((resource) => resource.kind === "RequestAuthentication");
    this.policies = resources.filter((resource) => resource.kind === "AuthorizationPolicy");
    this.enforced = this.policies.filter(({ spec }) => !spec.dryRun);
    this.requiring = this.enforced.filter(requiresToken);
  }

  review(warnings: readonly Diagnostic[]): Finding[] {
    // For keys, the check reports more than the compiler does.
    for (const warning of warnings.filter(({ message }) => !message.startsWith("jwks: "))) {
      this.findings.add("JG000", warning, warning.message);
    }
    for (const authentication of this.authentications) this.checkAuthentication(authentication);
    const surroundings = this.surroundings();
    for (const policy of this.policies) this.checkPolicy(policy, surroundings);
    this.checkSpellings();
    this.checkCoverage();
    this.proveCoverage();
    return this.findings.list.sort(byPlace);
  }

  private surroundings(): Surroundings {
    const rules = this.authentications.flatMap(({ spec }) => spec.jwtRules);
    const issuers = rules.map(({ issuer }) => issuer?.value);
    return {
      issuers: issuers.includes(undefined)
        ? undefined
        : new Set(issuers.filter((issuer) => issuer !== undefined)),
      spaceDelimited: new Set([
        ...ALWAYS_SPACE_DELIMITED,
        ...rules.flatMap((rule) => rule.spaceDelimitedClaims),
      ]),
    };
  }

  private checkAuthentication(authentication: RequestAuthenticationResource): void {
    const { spec, at, metadata } = authentication;
    for (const rule of spec.jwtRules) checkJwtRule(rule, this.findings);
    if (spec.jwtRules.length === 0 || spec.jwtRules.some(({ presence }) => presence === "REQUIRED")) return;
    if (this.isTokenRequired(authentication)) return;
    const message = `requests without a token pass: no policy requires one where ${metadata.name} is in force`;
    const remedy =
      'add an AuthorizationPolicy with action: ALLOW and from: [{source: {requestPrincipals: ["*"]}}]';
    this.findings.add("JG001", at, message, remedy);
  }

  private checkPolicy(policy: AuthorizationPolicyResource, surroundings: Surroundings): void {
    const { spec, metadata } = policy;
    if (spec.dryRun) {
      this.findings.add(
        "JG209",
        policy.at,
        `${metadata.name} is a dry run (istio.io/dry-run) and changes no answer`,
      );
    }
    for (const rule of spec.rules) {
      const clauses = clausesOf(rule);
      for (const clause of clauses) checkClause(clause, surroundings, this.findings);
      if (spec.action === "DENY") this.checkDeny(policy, clauses);
      if (spec.action === "ALLOW") this.checkAllow(rule, clauses);
      if (spec.action === "CUSTOM") this.checkPaths(clauses, "asked about");
      if (spec.action !== "AUDIT") this.checkHosts(clauses);
      // The requests that a rule lets pass if no host of its list matches.
      if (spec.action === "DENY") this.checkTrailingDots(clauses, "values", "denied and", "is not");
      if (spec.action === "CUSTOM") this.checkTrailingDots(clauses, "values", "asked about and", "is not");
      if (spec.action === "ALLOW") this.checkTrailingDots(clauses, "notValues", "left out and", "is allowed");
    }
  }

  private checkDeny(policy: AuthorizationPolicyResource, clauses: readonly Clause[]): void {
    for (const { name, at, attribute, values } of clauses) {
      if (attribute?.source === "certificate" && values.length > 0) {
        this.findings.add(
          "JG201",
          at,
          `${name} is never true without mutual TLS, and then nothing is denied`,
        );
      }
    }
    this.checkPaths(clauses, "denied");
    const token = clauses.find(({ attribute, values }) => attribute?.source === "token" && values.length > 0);
    if (token && !this.isTokenRequired(policy)) {
      const message = `${token.name} is never true without a token, and no policy requires one`;
      this.findings.add("JG203", token.at, message);
    }
  }

  /** @param what the effect on requests with the paths of a rule */
  private checkPaths(clauses: readonly Clause[], what: string): void {
    for (const { name, attribute, values } of clauses) {
      if (name === "paths") this.checkPathValues(attribute, values, what);
    }
  }

  private checkPathValues(
    attribute: Attribute | undefined,
    values: readonly Located<string>[],
    what: string,
  ): void {
    for (const { value, at } of values) {
      if (!/^\/[^*{}]*[^*{}/]$/.test(value)) continue;
      const below = `${value}/`;
      if (covers(attribute, values, below)) continue;
      const remedy = `write ${quote(value)} and ${quote(`${below}*`)}`;
      this.findings.add("JG205", at, `${quote(value)} is ${what} and ${quote(below)} is not`, remedy);
    }
  }

  private checkAllow(rule: PolicyRule, clauses: readonly Clause[]): void {
    if (clauses.length === 0) {
      this.findings.add("JG208", rule.at, "this rule has no condition, so it allows everything");
      return;
    }
    for (const { name, at, attribute, notValues } of clauses) {
      if (notValues.length > 0 && attribute?.source === "certificate") {
        this.findings.add("JG202", at, `the negated ${name} is always true without mutual TLS`);
      }
    }
    const excluding = rule.to
      .flat()
      .find(({ values, notValues }) => values.length === 0 && notValues.length > 0);
    const isOpen = rule.to.some((entry) => entry.every(({ values }) => values.length === 0));
    if (excluding && isOpen) {
      const { name, at, notValues } = excluding;
      const what = notValues.map(({ value }) => quote(value)).join(", ");
      this.findings.add("JG211", at, `all ${name} but ${what} are allowed`);
    }
    this.checkHeadersOnly(rule, clauses);
  }

  /**
   * Reports a rule that trusts headers which a client writes. Headers that the filter writes, it also removes from
   * every request.
   */
  private checkHeadersOnly({ to }: PolicyRule, clauses: readonly Clause[]): void {
    const written = new Set(
      this.authentications.flatMap(({ spec }) =>
        spec.jwtRules.flatMap(({ outputPayloadToHeader, outputClaimToHeaders }) => [
          outputPayloadToHeader?.toLowerCase(),
          ...outputClaimToHeaders.map(({ header }) => header.toLowerCase()),
        ]),
      ),
    );
    const identifying = clauses.filter((clause) => !to.flat().includes(clause));
    const [first] = identifying;
    if (
      first === undefined ||
      !identifying.every((clause) => clause.attribute?.source === "header" && clause.values.length > 0)
    )
      return;
    if (identifying.some(({ name }) => written.has(name.slice("request.headers[".length, -1).toLowerCase())))
      return;
    this.findings.add("JG212", first.at, `${first.name} is the only condition, and any client can send it`);
  }

  private checkHosts(clauses: readonly Clause[]): void {
    for (const { attribute, values, notValues } of clauses.filter(({ name }) => name === "hosts")) {
      for (const list of [values, notValues]) {
        for (const { value, at } of list) {
          if (value.includes(":") || value.endsWith("*")) continue;
          if (covers(attribute, list, `${value}:80`)) continue;
          // After a leading asterisk, a trailing one is literal.
          const isSuffix = value.startsWith("*");
          if (
            isSuffix &&
            list.some((other) => other.value.startsWith(`${value}:`) && !other.value.endsWith("*"))
          )
            continue;
          const remedy = isSuffix
            ? `write each port that clients name too, such as ${quote(value)} and ${quote(`${value}:443`)}, or name the hosts one by one`
            : `write ${quote(value)} and ${quote(`${value}:*`)}`;
          this.findings.add("JG210", at, `${quote(value)} does not match ${quote(`${value}:8080`)}`, remedy);
        }
      }
    }
  }

  private checkTrailingDots(
    clauses: readonly Clause[],
    list: "values" | "notValues",
    what: string,
    other: string,
  ): void {
    for (const clause of clauses.filter(({ name }) => name === "hosts")) {
      const hosts = clause[list];
      const missing = new Map<string, { first: Located<string>; dotted: string[] }>();
      for (const host of hosts) {
        // No port, a port, or any port. An IPv6 address, and a text that ends in an asterisk, has no name.
        const [, name, port = ""] = /^([^:[\]]*[^:[\].*])(:.*)?$/.exec(host.value) ?? [];
        if (name === undefined || (name.startsWith("*") && port.endsWith("*"))) continue;
        if (covers(clause.attribute, hosts, `${name}.${port}`)) continue;
        const known = missing.get(name) ?? { first: host, dotted: [] };
        known.dotted.push(`${name}.${port}`);
        missing.set(name, known);
      }
      for (const { first, dotted } of missing.values()) {
        const message = `${quote(first.value)} is ${what} ${quote(dotted[0] ?? "")} ${other}`;
        this.findings.add("JG213", first.at, message, `write ${dotted.map(quote).join(" and ")} too`);
      }
    }
  }

  /** Reports paths that services often treat as one. Only those of different rules: in one list both are intended. */
  private checkSpellings(): void {
    const seen = new Map<string, { value: Located<string>; rule: PolicyRule; list: string[] }>();
    for (const rule of this.enforced.flatMap(({ spec }) => spec.rules)) {
      for (const { name, values, notValues } of clausesOf(rule)) {
        if (name !== "paths") continue;
        const list = [...values, ...notValues].map(({ value }) => value);
        for (const value of [...values, ...notValues]) {
          const key = value.value.replace(/(.)\/(\*?)$/, "$1$2").toLowerCase();
          const first = seen.get(key);
          seen.set(key, first ?? { value, rule, list });
          if (first === undefined || first.rule === rule || first.value.value === value.value) continue;
          if (list.includes(first.value.value) || first.list.includes(value.value)) continue;
          const message = `${quote(value.value)} here and ${quote(first.value.value)} at ${formatPosition(first.value.at)} differ only by a slash or by case`;
          this.findings.add("JG204", value.at, message);
        }
      }
    }
  }

  /** Reports rules that another rule makes unreachable or redundant. */
  private checkCoverage(): void {
    const all = this.enforced.flatMap((policy) => policy.spec.rules.map((rule) => ({ policy, rule })));
    const [first] = all;
    if (first === undefined) return;
    if (all.length > MAX_COMPARED_RULES) {
      const message = `there are ${all.length} rules, and more than ${MAX_COMPARED_RULES} are not compared with each other`;
      this.findings.add("JG214", first.policy.at, message);
      return;
    }
    const groupOf = (action: string, namespace: string) => `${action} ${namespace}`;
    const index = new RuleIndex(
      all.map(({ rule }) => rule),
      (place) => {
        const { spec, metadata } = (all[place] as (typeof all)[number]).policy;
        return groupOf(actionOf(spec), metadata.namespace);
      },
    );
    for (const [place, { policy, rule }] of all.entries()) {
      const action = actionOf(policy.spec);
      const namespaces = new Set([policy.metadata.namespace, this.options.rootNamespace]);
      const wider = (wanted: string) => {
        const groups = [...namespaces].map((namespace) => groupOf(wanted, namespace));
        for (const i of index.candidates(rule, groups)) {
          const other = all[i];
          if (other === undefined || i === place || !this.appliesWherever(other.policy, policy)) continue;
          if (!ruleCovers(other.rule, rule)) continue;
          // Of two equal rules, the later one is redundant.
          if (i < place || wanted !== action || !ruleCovers(rule, other.rule)) return other;
        }
        return undefined;
      };
      const denied = action === "ALLOW" ? wider("DENY") : undefined;
      if (denied) {
        const message = `this rule allows no request: the DENY rule at ${formatPosition(denied.rule.at)} matches all that it matches`;
        this.findings.add("JG206", rule.at, message);
        continue;
      }
      const same = wider(action);
      if (same) {
        this.findings.add(
          "JG207",
          rule.at,
          `the rule at ${formatPosition(same.rule.at)} matches all that this one matches`,
        );
      }
    }
  }

  /**
   * Reports further rules without effect: those that several rules together cover, or that no possible
   * request matches.
   */
  private proveCoverage(): void {
    const { configuration, prover } = this.options.proof ?? {};
    if (configuration === undefined || prover === undefined) return;
    const rules = new Map(
      this.enforced.flatMap((policy) =>
        policy.spec.rules.map((rule, index) => [ruleId(policy.metadata, index), { policy, rule }] as const),
      ),
    );
    if (rules.size > MAX_PROVEN_RULES) {
      const message = `there are ${rules.size} rules, and more than ${MAX_PROVEN_RULES} are compared by their conditions alone, two at a time`;
      const [first] = rules.values();
      if (first && rules.size <= MAX_COMPARED_RULES) this.findings.add("JG214", first.policy.at, message);
      return;
    }
    const known = new Set(
      this.findings.list
        .filter(({ code }) => code === "JG206" || code === "JG207")
        .map(({ file, line, column }) => formatPosition({ file, line, column })),
    );
    const applies = (other: string, id: string) => {
      const [a, b] = [rules.get(other)?.policy, rules.get(id)?.policy];
      return a !== undefined && b !== undefined && this.appliesWherever(a, b);
    };
    // An extension provider may refuse what the policies let through.
    const isAsked = this.policies.some(({ spec }) => spec.action === "CUSTOM");
    const protections = [...rules].flatMap(([id, { policy, rule }]) =>
      policy.spec.action === "ALLOW" && !isAsked ? protectionsOf(id, rule, policy.metadata.namespace) : [],
    );
    const { idle, openings, undecided } = prover(configuration, applies, protections);
    const [first] = undecided.flatMap((id) => rules.get(id) ?? []);
    if (first !== undefined) {
      const count = undecided.length === 1 ? "this rule" : `this rule and ${undecided.length - 1} more`;
      const message = `${count} took too long to compare with the others, and may have no effect`;
      this.findings.add("JG214", first.rule.at, message);
    }
    for (const { id, why, by } of idle) {
      const found = rules.get(id);
      // Tokens that only other workloads accept would change what can arrive.
      if (found === undefined || known.has(formatPosition(found.rule.at))) continue;
      if (!this.authentications.every((one) => this.appliesWherever(one, found.policy))) continue;
      this.reportIdle(
        found.rule,
        why,
        by.flatMap((other) => rules.get(other)?.rule ?? []),
      );
    }
    const exempted = new Set(this.enforced.flatMap(exemptionsOf).map(({ path }) => path.value));
    const reported = new Set<string>();
    for (const { protection, by, example } of openings) {
      const { path } = protections[protection] as Protection;
      const opener = rules.get(by)?.rule;
      // An exemption of this very path is meant, and a rule without conditions is reported as such.
      if (opener === undefined || exempted.has(path.value) || clausesOf(opener).length === 0) continue;
      const at = this.exemptionAt(path.value, opener);
      if (reported.has(formatPosition(at))) continue;
      reported.add(formatPosition(at));
      const what = `${example.method} ${example.path} passes without a token`;
      const place = formatPosition(path.at);
      this.findings.add("JG216", at, `${what}, and ${quote(path.value)} at ${place} is to need one`);
    }
  }

  /** Where a path is exempted: in a DENY rule that asks for a token elsewhere, or in the rule that allows it. */
  private exemptionAt(path: string, opener: PolicyRule): Position {
    const covering = ({ attribute, path: value }: Exemption) => covers(attribute, [value], path);
    const denied = this.enforced.filter(({ spec }) => spec.action === "DENY").flatMap(exemptionsOf);
    const allowed = clausesOf(opener).flatMap(({ name, attribute, values }) =>
      name === "paths" ? values.map((value) => ({ attribute, path: value })) : [],
    );
    return [...denied, ...allowed].find(covering)?.path.at ?? opener.at;
  }

  private reportIdle(
    { at }: PolicyRule,
    why: "never" | "denied" | "redundant",
    by: readonly PolicyRule[],
  ): void {
    if (why === "never") {
      this.findings.add("JG215", at, "no request that can arrive matches this rule");
      return;
    }
    const places = by.slice(0, MAX_NAMED).map((rule) => formatPosition(rule.at));
    if (by.length > MAX_NAMED) places.push(`${by.length - MAX_NAMED} more`);
    const last = places.pop();
    const list = places.length === 0 ? last : `${places.join(", ")} and ${last}`;
    const kind = why === "denied" ? "DENY rule" : "rule";
    const what =
      by.length === 1 ? `the ${kind} at ${list} matches` : `the ${kind}s at ${list} together match`;
    if (why === "denied") this.findings.add("JG206", at, `this rule allows nothing: ${what} all of it`);
    else this.findings.add("JG207", at, `${what} all that this one does`);
  }

  /** Whether a policy requires a token for the workloads of the resource. */
  private isTokenRequired(resource: Resource): boolean {
    return this.requiring.some((policy) => this.canMeet(policy, resource));
  }

  /** Whether two resources can apply to the same workload. */
  private canMeet(a: Resource, b: Resource): boolean {
    const { rootNamespace } = this.options;
    const [first, second] = [a.metadata.namespace, b.metadata.namespace];
    if (first !== second && first !== rootNamespace && second !== rootNamespace) return false;
    const labels = b.attachment.matchLabels ?? {};
    return Object.entries(a.attachment.matchLabels ?? {}).every(
      ([name, value]) => !Object.hasOwn(labels, name) || labels[name] === value,
    );
  }

  /** Whether `a` applies to every workload that `b` applies to. */
  private appliesWherever(a: Resource, b: Resource): boolean {
    const selection = this.selection(a);
    if (a.metadata.namespace === b.metadata.namespace) {
      return selection === EVERY_WORKLOAD || selection === this.selection(b);
    }
    return a.metadata.namespace === this.options.rootNamespace && selection === EVERY_WORKLOAD;
  }

  /** A key that is equal for resources with the same workloads of their namespaces. */
  private selection(resource: Resource): string {
    const known = this.selections.get(resource) ?? selectionOf(resource.attachment);
    this.selections.set(resource, known);
    return known;
  }
}

/** The paths for which a rule asks for a token. */
function protectionsOf(id: string, rule: PolicyRule, namespace: string): Protection[] {
  const asks = (clauses: readonly Clause[]) =>
    clauses.some(({ attribute, values }) => attribute?.source === "token" && values.length > 0);
  if (!asks(rule.when) && !(rule.from.length > 0 && rule.from.every(asks))) return [];
  // No predicate of paths or of requests depends on the trust domain.
  const context = { namespace, trustDomain: "cluster.local" };
  const others = rule.when.filter(({ attribute }) => attribute?.source !== "token");
  return rule.to.flatMap((operation) =>
    operation
      .filter(({ name }) => name === "paths")
      .flatMap((paths) =>
        paths.values.flatMap((path) => {
          const clauses = operation.map((clause) =>
            clause === paths ? { ...clause, values: [path] } : clause,
          );
          const all = [...clauses, ...others];
          if (all.some(({ attribute }) => attribute === undefined || attribute.source === "certificate"))
            return [];
          const table = new PredicateTable();
          const condition = table.condition(and(all.flatMap((clause) => clauseExpressions(clause, context))));
          return [{ id, condition, predicates: table.predicates, path }];
        }),
      ),
  );
}

/** A path that needs no token. */
interface Exemption {
  attribute: Attribute | undefined;
  path: Located<string>;
}

/** The paths that a policy leaves without a token: of an ALLOW rule that asks for none, or next to a DENY rule that does. */
function exemptionsOf({ spec }: AuthorizationPolicyResource): Exemption[] {
  return spec.rules.flatMap((rule) => {
    const clauses = clausesOf(rule);
    const asks = (list: "values" | "notValues") =>
      clauses.some((clause) => clause.attribute?.source === "token" && clause[list].length > 0);
    const list = spec.action === "ALLOW" && !asks("values") ? "values" : "notValues";
    if (list === "notValues" && !(spec.action === "DENY" && asks("notValues"))) return [];
    return clauses.flatMap(({ name, attribute, [list]: values }) =>
      name === "paths" ? values.map((path) => ({ attribute, path })) : [],
    );
  });
}

function selectionOf({ matchLabels = {}, targetRefs }: Attachment): string {
  return JSON.stringify([Object.entries(matchLabels).sort(([a], [b]) => (a < b ? -1 : 1)), targetRefs]);
}

const EVERY_WORKLOAD = selectionOf({ targetRefs: [] });

/** The effect of a matching rule. Different extension providers answer differently. */
function actionOf({ action, provider }: AuthorizationPolicy): string {
  return provider === undefined ? action : `${action} ${provider.value}`;
}

/**
 * Whether the policy refuses some request because it has no token: an ALLOW rule that requires one, or a DENY rule for
 * its absence.
 */
function requiresToken({ spec }: AuthorizationPolicyResource): boolean {
  const asks = (rule: PolicyRule, list: "values" | "notValues") =>
    clausesOf(rule).some((clause) => clause.attribute?.source === "token" && clause[list].length > 0);
  if (spec.action === "ALLOW")
    return spec.rules.length === 0 || spec.rules.some((rule) => asks(rule, "values"));
  return spec.action === "DENY" && spec.rules.some((rule) => asks(rule, "notValues"));
}

/**
 * Converts Envoy's own jwt_authn and rbac filters, or Envoy Gateway's SecurityPolicy, to Istio's RequestAuthentication
 * and AuthorizationPolicy. What these cannot express is an error, unless it only refuses more or changes no answer.
 */
import { compile, type SourceFile } from "../compile.ts";
import { byPosition, type Diagnostic, type Position } from "../diagnostics.ts";
import { DRY_RUN } from "../istio/annotations.ts";
import { quote, Report } from "../istio/report.ts";
import { readYaml, type YamlNode } from "../istio/yaml.ts";
import { toYaml } from "../render/yaml.ts";
import { ChainFinder, configOf, type FilterChain, type HttpFilter, warnOfAddresses } from "./chains.ts";
import { type ClaimProvider, Claims, isOfToken } from "./claims.ts";
import { type Atom, all, any, type Expression, type Losses, mapAtoms, not, without } from "./expression.ts";
import { parseJson } from "./json.ts";
import { type ImportedAuthentication, outputsOf, readJwtAuthn } from "./jwt-authn.ts";
import type { JwtRule, ReadFile } from "./provider.ts";
import { type RbacPolicy, type RbacRules, readRules } from "./rbac.ts";
import { NoRule, type PolicyRule, rulesOf } from "./rules.ts";
import {
  type FirstMatch,
  readSecurityPolicies,
  resourcesOf,
  type SecurityPolicy,
} from "./security-policy.ts";

/** What is imported, and for which workloads. */
export interface ImportOptions {
  /** Reads a file that contains a provider's keys. */
  readFile: ReadFile;
  /** By the name of a provider: the URL that its keys are fetched from, instead of those in the file. */
  jwksUris?: Record<string, string> | undefined;
  /** The listener whose filters are imported, if several differ. */
  listener?: string | undefined;
  /** The SecurityPolicy that is imported, `NAME` or `NAMESPACE/NAME`. */
  policy?: string | undefined;
  /** A filter chain of the listener. */
  filterChain?: string | undefined;
  /** The name of the RequestAuthentication; other names begin with it. `imported` if absent. */
  name?: string | undefined;
  /** The namespace of all resources. */
  namespace?: string | undefined;
  /** The labels of the workloads that the policies apply to. */
  labels?: Record<string, string> | undefined;
  /** A Gateway of the Gateway API, instead of labels. */
  gateway?: string | undefined;
  /** Whether conditions without an equivalent are replaced by ones that refuse more. */
  keepGoing?: boolean | undefined;
  /** Whether every token has each claim in the type that a condition names. */
  assumeClaimTypes?: boolean | undefined;
  /** Whether no request has more than one token. */
  assumeOneToken?: boolean | undefined;
  /** What happens to CORS preflights that may carry a token in the query, if the source checks their tokens. */
  preflights?: "deny" | "pass" | undefined;
  /** Whether no route outside the file changes the filters. */
  noRouteOverrides?: boolean | undefined;
}

export interface ImportResult {
  /** YAML of the resources; absent if there is an error. */
  text?: string;
  /** In the order of the file. */
  diagnostics: Diagnostic[];
}

/** A resource, and its source. */
interface Resource {
  at: Position;
  content: { kind: string; metadata: { name: string; namespace?: string }; spec: object };
}

/**
 * Imports a file.
 *
 * @param source a bootstrap, a `/config_dump`, a listener, a list of HTTP filters or SecurityPolicies, in JSON or YAML
 * @returns the resources, or at least one error
 */
export function importPolicies(source: SourceFile, options: ImportOptions): ImportResult {
  const report = new Report();
  const resources = new Importer(options, report).read(source);
  if (!report.hasErrors) {
    checkCompiles(
      resources.filter(({ content }) => content.kind !== "RequestAuthentication"),
      report,
    );
  }
  if (!report.hasErrors && resources.length === 0) {
    report.error(
      { file: source.name, line: 0, column: 0 },
      "these filters let every request pass, so no policies are written",
    );
  }
  const diagnostics = report.diagnostics.sort(byPosition);
  if (report.hasErrors) return { diagnostics };
  const documents = resources.map(({ content }) => content);
  return {
    text: toYaml(documents, `Imported from ${source.name} by jwtgate import.`, { shortLists: true }),
    diagnostics,
  };
}

/** The output must be accepted by the compiler. */
function checkCompiles(resources: readonly Resource[], report: Report): void {
  for (const { at, content } of resources) {
    const text = toYaml([content], "");
    for (const { severity, message } of compile([{ name: "imported", text }]).diagnostics) {
      if (severity === "error") report.error(at, `the result is refused: ${message}`);
      else if (!report.diagnostics.some((one) => one.message.includes(message))) report.warning(at, message);
    }
  }
}

/** What the resources of one source have in common. */
interface Common {
  /** The beginning of their names. */
  prefix: string;
  namespace?: string | undefined;
  /** The part of the spec that selects workloads. */
  target: object;
}

class Importer {
  private readonly names = new Set<string>();
  private readonly resources: Resource[] = [];
  private common: Common;

  constructor(
    private readonly options: ImportOptions,
    private readonly report: Report,
  ) {
    const { name = "imported", namespace, labels, gateway } = options;
    const target = {
      ...(labels !== undefined && { selector: { matchLabels: labels } }),
      ...(gateway !== undefined && { targetRefs: [gatewayRef(gateway)] }),
    };
    this.common = { prefix: name, namespace, target };
  }

  read({ name: file, text }: SourceFile): Resource[] {
    const documents = this.documents(file, text);
    if (this.report.hasErrors) return [];
    const policies = readSecurityPolicies([...resourcesOf(documents)], this.report);
    if (policies.length > 0) {
      this.securityPolicies(policies);
      return this.resources;
    }
    const finder = new ChainFinder(this.report);
    for (const document of documents) finder.read(document);
    const chain = this.choose(finder.chains, file);
    if (chain !== undefined) {
      finder.check(chain, this.options.noRouteOverrides ?? false);
      this.chain(chain);
      if (
        this.resources.some(({ content }) =>
          /"(remoteIpBlocks|notRemoteIpBlocks|remote\.ip)"/.test(JSON.stringify(content.spec)),
        )
      )
        warnOfAddresses(chain, this.report);
    }
    return this.resources;
  }

  private securityPolicies(policies: readonly SecurityPolicy[]): void {
    const { policy: wanted } = this.options;
    const meant = policies.filter(
      ({ name, namespace }) => wanted === undefined || wanted === name || wanted === `${namespace}/${name}`,
    );
    const names = policies.map(({ name, namespace }) =>
      quote(namespace === undefined ? name : `${namespace}/${name}`),
    );
    const [first, second] = meant;
    if (first === undefined) {
      const at = policies[0]?.at ?? { file: "", line: 0, column: 0 };
      this.report.error(
        at,
        `there is no SecurityPolicy ${quote(wanted ?? "")}: there are ${names.join(", ")}`,
      );
      return;
    }
    const gateways = meant.flatMap(({ targets }) => targets.map(({ name }) => name));
    const areApart =
      new Set(gateways).size === gateways.length && meant.every((policy) => isForGateways(policy));
    if (second !== undefined && !areApart) {
      this.report.error(
        second.at,
        `these policies are for different routes, or for one Gateway, and Istio would allow what any of them allows: import each by itself, with --policy NAME (${names.join(", ")})`,
      );
      return;
    }
    for (const policy of meant) this.securityPolicy(policy);
  }

  private securityPolicy(policy: SecurityPolicy): void {
    const { name, namespace, jwtAuthn, authorization, targets } = policy;
    const given = this.options.labels ?? this.options.gateway;
    const whole = isForGateways(policy);
    this.common = {
      prefix: this.options.name ?? name,
      namespace: this.options.namespace ?? namespace,
      target:
        given === undefined && whole
          ? { targetRefs: targets.map((target) => gatewayRef(target.name)) }
          : this.common.target,
    };
    for (const { at, kind, name: target, section } of whole ? [] : targets) {
      const part = section === undefined || section === "" ? "" : `, ${quote(section)} of it`;
      this.report.warning(
        at,
        `this is for the ${kind} ${quote(target)}${part}, and policies cannot select routes: the output applies to every request; add hosts and paths to its rules, or select a workload that has only this route (--labels, --gateway)`,
      );
    }
    const {
      readFile,
      jwksUris = {},
      preflights,
      assumeOneToken = false,
      assumeClaimTypes = false,
    } = this.options;
    const authentication = jwtAuthn
      ? readJwtAuthn(configOf(jwtAuthn, "spec.jwt", this.report), {
          readFile,
          jwksUris,
          preflights,
          assumeOneToken,
        })
      : undefined;
    if (authentication && jwtAuthn) this.authentication(authentication, jwtAuthn.at);
    if (authorization === undefined) return;
    const claims = new Claims({ providers: authentication?.providers ?? [], assumeTypes: assumeClaimTypes });
    this.firstMatch(authorization.read(claims), authorization.at);
  }

  /** Istio's DENY policies decide before its ALLOW policies, in any order. So a rule excludes those before it. */
  private firstMatch({ rules, otherwise }: FirstMatch, at: Position): void {
    const wanted = otherwise === "Deny" ? "Allow" : "Deny";
    const conditions = rules.flatMap(({ action, condition }, index) => {
      const before = rules.slice(0, index).filter((rule) => rule.action !== wanted);
      return action === wanted ? [all(condition, ...before.map((rule) => not(rule.condition)))] : [];
    });
    this.policy(wanted === "Allow" ? "ALLOW" : "DENY", at, `${this.common.prefix}-authorization`, conditions);
  }

  private documents(file: string, text: string): YamlNode[] {
    const json = /^\s*[[{]/.test(text) ? parseJson(file, text) : undefined;
    if (json !== undefined) return [json];
    const diagnostics: Diagnostic[] = [];
    const documents = [...readYaml(file, text, diagnostics)];
    this.report.addAll(diagnostics);
    return documents;
  }

  /** The chain to import: the only one that has the filters, or one of several with equal filters. */
  private choose(chains: readonly FilterChain[], file: string): FilterChain | undefined {
    const { listener, filterChain } = this.options;
    const isMeant = (one: FilterChain) =>
      (listener === undefined || one.listener === listener) &&
      (filterChain === undefined || one.name === filterChain);
    const meant = chains.filter(isMeant);
    const guarded = meant.filter(({ filters }) =>
      filters.some(({ kind, isDisabled }) => kind !== "other" && !isDisabled),
    );
    const [first, ...others] = guarded;
    if (first === undefined) {
      const whole = { file, line: 0, column: 0 };
      const listeners = [...new Set(chains.map((one) => one.listener).filter((one) => one !== ""))];
      const known = listeners.length > 0 ? `; the listeners are ${listeners.map(quote).join(", ")}` : "";
      const where =
        listener === undefined && filterChain === undefined ? "here" : "in this listener and filter chain";
      this.report.error(
        whole,
        `there is no jwt_authn and no rbac filter ${where}, and no SecurityPolicy: nothing to import${known}`,
      );
      return undefined;
    }
    const different = others.find((one) => meaningOf(one) !== meaningOf(first));
    if (different !== undefined) {
      const isSame = different.listener === first.listener;
      const list = guarded.map((one) =>
        isSame ? `${quote(one.listener)} ${quote(one.name)}` : quote(one.listener),
      );
      const option = isSame ? "--filter-chain NAME" : "--listener NAME";
      this.report.error(
        different.at,
        `these filters are not those of line ${first.at.line}: name one with ${option} (${[...new Set(list)].join(", ")})`,
      );
      return undefined;
    }
    for (const one of meant) {
      if (guarded.includes(one)) continue;
      const name = [one.listener, one.name]
        .filter((part) => part !== "")
        .map(quote)
        .join(", filter chain ");
      this.report.warning(
        one.at,
        `${name || "this list"} has neither jwt_authn nor rbac: the imported policies are not for it`,
      );
    }
    return first;
  }

  private chain({ filters, hasProxyProtocol }: FilterChain): void {
    const active = filters.filter((filter) => !this.isOff(filter));
    this.warnOfOrder(active);
    const jwt = active.filter(({ kind }) => kind === "jwt_authn");
    const [first, second] = jwt;
    if (second !== undefined) {
      this.report.error(
        second.at,
        "this is a second jwt_authn filter, and Istio has one RequestAuthentication for all: merge them",
      );
      return;
    }
    const { readFile, jwksUris = {}, preflights, assumeOneToken = false } = this.options;
    const authentication = first?.config
      ? readJwtAuthn(configOf(first.config, "jwt_authn", this.report), {
          readFile,
          jwksUris,
          preflights,
          assumeOneToken,
        })
      : undefined;
    if (authentication) this.authentication(authentication, first?.at ?? { file: "", line: 0, column: 0 });
    const position = first === undefined ? -1 : active.indexOf(first);
    const rbac = active.flatMap((filter, index) => {
      if (filter.kind !== "rbac" || filter.config === undefined) return [];
      const isBefore = index < position;
      return this.rbac(filter, hasProxyProtocol, isBefore, authentication);
    });
    this.authorization(rbac);
  }

  private isOff({ kind, name, at, isDisabled }: HttpFilter): boolean {
    if (kind === "other" || !isDisabled) return isDisabled;
    this.report.warning(at, `the filter ${quote(name)} is disabled, so it is left out`);
    return true;
  }

  private warnOfOrder(filters: readonly HttpFilter[]): void {
    const ours = filters.flatMap(({ kind }, index) => (kind === "other" ? [] : [index]));
    const between = filters.slice(ours[0], ours.at(-1)).filter(({ kind }) => kind === "other");
    for (const { name, at } of between) {
      this.report.warning(
        at,
        `the filter ${quote(name)} runs between these filters, and will run before or after jwtgate, which is one: if it changes the request, put jwtgate where its decisions stay the same`,
      );
    }
  }

  private authentication({ rules, denials }: ImportedAuthentication, at: Position): void {
    const [first] = rules;
    if (first !== undefined) {
      // The compiler's messages are about one rule, so each is checked by itself.
      for (const one of rules)
        checkCompiles([this.requestAuthentication(one.at, [one.rule], "rule")], this.report);
      if (rules.some(({ rule }) => rule.jwks !== undefined)) {
        this.report.warning(
          at,
          "keys are written as they are in this file: if a control plane has fetched them, pass --jwks-uri NAME=URL, or new keys are not used",
        );
      }
      this.resources.push(
        this.requestAuthentication(
          at,
          rules.map(({ rule }) => rule),
          this.unique(this.common.prefix),
        ),
      );
    }
    for (const { name, at: place, condition } of denials)
      this.policy("DENY", place, `${this.common.prefix}-${name}`, [condition]);
  }

  private requestAuthentication(at: Position, jwtRules: readonly JwtRule[], name: string): Resource {
    return { at, content: this.resource("RequestAuthentication", { name }, { jwtRules }) };
  }

  /** The rules of a filter, enforced and dry-run. */
  private rbac(
    { config, at }: HttpFilter,
    hasProxyProtocol: boolean,
    isBefore: boolean,
    authentication: ImportedAuthentication | undefined,
  ): { rules: RbacRules; dryRun: boolean }[] {
    if (config === undefined) return [];
    const message = configOf(config, "rbac", this.report);
    const providers: readonly ClaimProvider[] = authentication?.providers ?? [];
    const fault = isBefore
      ? "this rbac filter runs before jwt_authn and sees no token, and Istio's policies see it"
      : undefined;
    const claims = new Claims({
      providers,
      ...(fault !== undefined && { fault }),
      assumeTypes: this.options.assumeClaimTypes ?? false,
    });
    if (isBefore) {
      this.report.warning(
        at,
        "this rbac filter runs before jwt_authn: what both refuse is answered 401 here and not 403",
      );
    }
    const [prefix] = [message.string("shadow_rules_stat_prefix")?.value];
    message.ignore("rules_stat_prefix", "track_per_rule_stats");
    for (const name of ["matcher", "shadow_matcher"]) {
      if (!message.has(name)) continue;
      message.ignore(name);
      const text = "matchers (xds.type.matcher.v3.Matcher) are not imported: write rules";
      if (name === "matcher") this.report.error(message.keyAt(name), text);
      else this.report.warning(message.keyAt(name), `${text}; they decide no answer, so they are left out`);
    }
    const read = (name: string, dryRun: boolean) => {
      const inner = message.message(name);
      if (inner === undefined) return [];
      const rules = readRules(inner, { claims, hasProxyProtocol });
      return [
        { rules: isBefore ? beforeTokens(rules, authentication) : guarded(rules, authentication), dryRun },
      ];
    };
    const [enforced, shadow] = [read("rules", false), read("shadow_rules", true)];
    message.finish();
    if (prefix === "istio_ext_authz_") {
      this.report.error(
        message.keyAt("shadow_rules"),
        "these rules select the requests that the filter ext_authz asks about (Istio's CUSTOM action), which is not imported: keep both filters before jwtgate, or write the policy with action: CUSTOM",
      );
    }
    return [...enforced, ...shadow];
  }

  private authorization(filters: readonly { rules: RbacRules; dryRun: boolean }[]): void {
    for (const { rules, dryRun } of filters) {
      if (rules.action !== "LOG") continue;
      if (!dryRun) this.policies("AUDIT", rules, false);
      else
        this.report.warning(
          rules.at,
          "shadow rules that only log have no equivalent: they are left out; no answer changes",
        );
    }
    for (const { rules, dryRun } of filters)
      if (rules.action === "DENY") this.policies("DENY", rules, dryRun);
    const allowing = filters.filter(({ rules }) => rules.action === "ALLOW");
    for (const { rules } of allowing.filter(({ dryRun }) => dryRun)) this.policies("ALLOW", rules, true);
    const enforced = allowing.filter(({ dryRun }) => !dryRun);
    const [first, ...others] = enforced;
    if (first === undefined) return;
    if (others.length === 0) {
      this.policies("ALLOW", first.rules, false);
      return;
    }
    // A request that passes must be allowed by each filter, but Istio's ALLOW policies allow what any of them allows.
    const conditions = enforced.map(({ rules }) => any(...rules.policies.map(({ condition }) => condition)));
    this.policy("ALLOW", first.rules.at, `${this.common.prefix}-allow`, [all(...conditions)]);
  }

  private policies(action: Losses["action"], { policies, at }: RbacRules, dryRun: boolean): void {
    if (policies.length === 0 && action === "ALLOW")
      this.policy(action, at, `${this.common.prefix}-allow-nothing`, [], dryRun);
    const groups = new Map<
      string,
      { name: string; namespace?: string; policies: (RbacPolicy & { order: number })[] }
    >();
    for (const policy of policies) {
      const istio = /^ns\[([^\]]*)\]-policy\[([^\]]*)\]-rule\[(\d+)\]$/.exec(policy.id);
      const [, namespace, name = policy.id, order = "0"] = istio ?? [];
      const key = istio ? `${namespace}/${name}` : policy.id;
      const group = groups.get(key) ?? { name, ...(namespace !== undefined && { namespace }), policies: [] };
      group.policies.push({ ...policy, order: Number(order) });
      groups.set(key, group);
    }
    for (const { name, namespace, policies: parts } of groups.values()) {
      const [first] = parts.sort((a, b) => a.order - b.order);
      if (first === undefined) continue;
      const conditions = parts.map(({ condition }) => condition);
      this.policy(action, first.at, name, conditions, dryRun, namespace);
    }
  }

  /** A policy; none if it would deny or report nothing. */
  private policy(
    action: Losses["action"],
    at: Position,
    name: string,
    conditions: readonly Expression[],
    dryRun = false,
    namespace?: string,
  ): void {
    const rules = conditions.flatMap((condition) => this.rules(condition, action, at));
    if (rules.length === 0 && action !== "ALLOW") return;
    // A policy can have at most this many rules.
    for (let start = 0; start < Math.max(rules.length, 1); start += MAX_RULES) {
      const content = this.resource(
        "AuthorizationPolicy",
        {
          name: this.unique(dnsName(name), namespace),
          ...(namespace !== undefined && { namespace }),
          ...(dryRun && { annotations: { [DRY_RUN]: "true" } }),
        },
        { action, ...(rules.length > 0 && { rules: rules.slice(start, start + MAX_RULES) }) },
      );
      this.resources.push({ at, content });
    }
  }

  private rules(condition: Expression, action: Losses["action"], at: Position): PolicyRule[] {
    const keepGoing = this.options.keepGoing ?? false;
    try {
      return rulesOf(condition, { report: this.report, action, keepGoing });
    } catch (error) {
      if (!(error instanceof NoRule)) throw error;
      if (!keepGoing) this.report.error(at, error.message);
      else
        this.report.warning(
          at,
          `${error.message}: it ${action === "DENY" ? "denies everything" : "is left out"} (--keep-going)`,
        );
      return action === "DENY" ? [{}] : [];
    }
  }

  private resource(
    kind: string,
    metadata: { name: string; namespace?: string },
    spec: object,
  ): Resource["content"] & { apiVersion: string } {
    const { namespace, target } = this.common;
    return {
      apiVersion: "security.istio.io/v1",
      kind,
      metadata: { ...metadata, ...(namespace !== undefined && { namespace }) },
      spec: { ...target, ...spec },
    };
  }

  /** A name that no other resource has. */
  private unique(name: string, namespace = ""): string {
    const of = (one: string) => `${this.common.namespace ?? namespace}/${one}`;
    let found = name;
    for (let number = 2; this.names.has(of(found)); number++) found = `${name}-${number}`;
    this.names.add(of(found));
    return found;
  }
}

function gatewayRef(name: string): object {
  return { group: "gateway.networking.k8s.io", kind: "Gateway", name };
}

/** Whether a policy applies to whole Gateways, as Istio's can. */
function isForGateways({ targets }: SecurityPolicy): boolean {
  return (
    targets.length > 0 && targets.every(({ kind, section }) => kind === "Gateway" && section === undefined)
  );
}

/** The API server accepts at most this many in one policy. */
const MAX_RULES = 512;

/** The imported part of a chain. */
function meaningOf({ filters, hasProxyProtocol }: FilterChain): string {
  const plain = (node: YamlNode): unknown => {
    switch (node.kind) {
      case "map":
        return [...node.entries].map(([name, { value }]) => [name, plain(value)]);
      case "list":
        return node.items.map(plain);
      case "string":
        return node.value;
      default:
        return { [node.kind]: node.source };
    }
  };
  const ours = filters.filter(({ kind }) => kind !== "other");
  return JSON.stringify([
    hasProxyProtocol,
    ours.map(({ config, isDisabled }) => [isDisabled, config && plain(config)]),
  ]);
}

/** A name as Kubernetes accepts it (RFC 1123). */
function dnsName(text: string): string {
  const name = text
    .toLowerCase()
    .replace(/[^a-z0-9.-]+/g, "-")
    .replace(/\.(?=[.-])|(?<=[-.])\./g, "-")
    .slice(0, 200)
    .replace(/^[-.]+|[-.]+$/g, "");
  return name === "" ? "policy" : name;
}

/**
 * If the source checks no token, conditions on one do not hold, and neither do those on headers that are written for a
 * token. Istio checks tokens everywhere and removes them from the request.
 */
function guarded(rules: RbacRules, authentication: ImportedAuthentication | undefined): RbacRules {
  const verified = authentication?.verified;
  if (verified === undefined) return rules;
  const [written, emptied] = [headersOf(authentication, outputsOf), headersOf(authentication, takenFrom)];
  const reason = "if no rule checks tokens, this header does not change, but Istio removes a token from it";
  return mapConditions(rules, (atom) => {
    if (emptied.has(atom.attribute.toLowerCase())) return without(atom.at, reason);
    const isGuarded = isOfToken(atom.attribute) || written.has(atom.attribute.toLowerCase());
    return isGuarded ? all(atom, verified) : atom;
  });
}

/** Headers that tokens are removed from, or claims are written to, change when tokens are checked. */
function beforeTokens(rules: RbacRules, authentication: ImportedAuthentication | undefined): RbacRules {
  const changed = headersOf(authentication, (rule) => [...outputsOf(rule), ...takenFrom(rule)]);
  const reason =
    "jwt_authn, which runs after this rbac filter and before Istio's policies, changes this header";
  return mapConditions(rules, (atom) =>
    changed.has(atom.attribute.toLowerCase()) ? without(atom.at, reason) : atom,
  );
}

/** Headers that a token is removed from. */
function takenFrom({
  forwardOriginalToken,
  fromHeaders = [],
  fromParams = [],
  fromCookies = [],
}: JwtRule): string[] {
  if (forwardOriginalToken) return [];
  const isDefault = fromHeaders.length + fromParams.length + fromCookies.length === 0;
  return isDefault ? ["authorization"] : fromHeaders.map(({ name }) => name);
}

/** The attributes of headers that rules name. */
function headersOf(
  authentication: ImportedAuthentication | undefined,
  names: (rule: JwtRule) => string[],
): ReadonlySet<string> {
  const rules = authentication?.rules ?? [];
  return new Set(
    rules.flatMap(({ rule }) => names(rule).map((name) => `request.headers[${name.toLowerCase()}]`)),
  );
}

function mapConditions(rules: RbacRules, map: (atom: Atom) => Expression): RbacRules {
  const policies = rules.policies.map((policy) => ({
    ...policy,
    condition: mapAtoms(policy.condition, map),
  }));
  return { ...rules, policies };
}

/**
 * Converts Envoy's jwt_authn (envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication) to jwtRules, and to
 * policies for requirements that a RequestAuthentication alone cannot express.
 */
import type { Position } from "../diagnostics.ts";
import { quote, type Report } from "../istio/report.ts";
import type { ClaimProvider } from "./claims.ts";
import { claimKey } from "./claims.ts";
import { textCondition } from "./conditions.ts";
import { ALWAYS, type Atom, all, any, type Expression, NEVER, not, without } from "./expression.ts";
import type { Message } from "./message.ts";
import { type ImportedProvider, type JwtRule, type KeyOptions, readProvider } from "./provider.ts";
import { type FormFound, formOf, isAsIstioWrites, type Requirement, usesOf } from "./requirement.ts";
import { readRouteMatch } from "./route-match.ts";

/** The requests that a policy denies. */
export interface Denial {
  /** The policy's name, after the common prefix. */
  name: string;
  at: Position;
  condition: Expression;
}

export interface ImportedAuthentication {
  rules: { at: Position; rule: JwtRule }[];
  denials: Denial[];
  providers: ClaimProvider[];
  /** Where tokens are verified; everywhere if absent. */
  verified?: Expression;
}

/** A provider, with audiences that may differ from its own. */
interface Use {
  provider: ImportedProvider;
  audiences: string[] | undefined;
  at: Position;
}

/** The requirement for requests that match this rule and no rule before it. */
interface Route {
  at: Position;
  match: Expression;
  requirement: Requirement;
}

export interface JwtAuthnOptions extends KeyOptions {
  /** What happens to CORS preflights that may carry a token in the query, if the filter checks their tokens. */
  preflights?: "deny" | "pass" | undefined;
  /** Whether no request has more than one token. */
  assumeOneToken: boolean;
}

/** Reads the filter's configuration. */
export function readJwtAuthn(message: Message, options: JwtAuthnOptions): ImportedAuthentication {
  const reader = new JwtAuthn(message, options);
  return reader.read();
}

class JwtAuthn {
  private readonly report: Report;
  private readonly uses: Use[] = [];
  private readonly providers = new Map<string, ImportedProvider>();
  private readonly named = new Map<string, Requirement>();

  constructor(
    private readonly message: Message,
    private readonly options: JwtAuthnOptions,
  ) {
    this.report = message.report;
  }

  read(): ImportedAuthentication {
    const { message, report } = this;
    for (const entry of message.map("providers")) {
      this.providers.set(entry.key.value, readProvider(entry, this.options));
    }
    for (const { key, value } of message.map("requirement_map"))
      this.named.set(key.value, this.requirement(value));
    const routes = this.routes();
    const bypassesPreflights = message.boolean("bypass_cors_preflight");
    if (message.has("filter_state_rules")) {
      report.error(
        message.keyAt("filter_state_rules"),
        "Istio cannot choose what is required by filter state: write rules",
      );
    }
    if (message.boolean("strip_failure_response")) {
      report.warning(
        message.keyAt("strip_failure_response"),
        "Istio's answer contains why a token is refused, and cannot leave it out",
      );
    }
    message.ignore("filter_state_rules", "stat_prefix");
    message.finish();
    const used = new Set(routes.flatMap(({ requirement }) => usesOf(requirement)));
    this.warnOfUnused(used);
    const chosen = this.uses.filter((_, index) => used.has(index));
    return this.plan(routes, chosen, bypassesPreflights);
  }

  /** A provider that nothing requires still has its headers removed from every request. */
  private warnOfUnused(used: ReadonlySet<number>): void {
    const chosen = new Set([...used].flatMap((index) => this.uses[index]?.provider ?? []));
    const removed = new Set([...chosen].flatMap(({ rule }) => outputsOf(rule)));
    for (const provider of this.providers.values()) {
      if (chosen.has(provider)) continue;
      const { name, at, rule } = provider;
      const header = outputsOf(rule).find((one) => !removed.has(one));
      if (header === undefined) {
        this.report.warning(at, `no rule requires the provider ${quote(name)}: it is left out`);
      } else {
        this.report.error(
          at,
          `no rule requires the provider ${quote(name)}, but Envoy removes its header ${quote(header)} from every request, and jwtgate would not: leave the provider out if no service reads the header`,
        );
      }
    }
  }

  /** The rules up to one that matches everything. */
  private routes(): Route[] {
    const routes: Route[] = [];
    for (const rule of this.message.messages("rules")) {
      const match = rule.message("match");
      const kind = rule.oneOf("requires", "requirement_name");
      const requires = kind === "requires" ? rule.message("requires") : undefined;
      const name = kind === "requirement_name" ? rule.string("requirement_name") : undefined;
      rule.finish();
      let requirement: Requirement = requires ? this.requirement(requires) : { nothing: true };
      if (name !== undefined) {
        const known = this.named.get(name.value);
        if (known === undefined)
          this.report.error(name.at, `there is no requirement ${quote(name.value)} in requirement_map`);
        requirement = known ?? requirement;
      }
      if (match === undefined) this.report.error(rule.at, `${rule.path} has no match`);
      routes.push({ at: rule.at, match: match ? readRouteMatch(match) : NEVER, requirement });
    }
    const last = routes.findIndex(({ match }) => isAlways(match));
    return last < 0 ? routes : routes.slice(0, last + 1);
  }

  private requirement(message: Message): Requirement {
    const kind = message.oneOf(
      "provider_name",
      "provider_and_audiences",
      "requires_any",
      "requires_all",
      "allow_missing_or_failed",
      "allow_missing",
    );
    const found = this.requirementOf(message, kind);
    message.finish();
    return found;
  }

  private requirementOf(message: Message, kind: string | undefined): Requirement {
    switch (kind) {
      case "provider_name":
        return this.use(message.string("provider_name")?.value ?? "", undefined, message.keyAt(kind));
      case "provider_and_audiences": {
        const both = message.message("provider_and_audiences");
        const name = both?.string("provider_name")?.value ?? "";
        const audiences = both?.strings("audiences").map(({ value }) => value) ?? [];
        both?.finish();
        return this.use(name, audiences.length > 0 ? audiences : undefined, message.keyAt(kind));
      }
      case "requires_all":
        return { all: this.list(message, kind).map((one) => this.requirement(one)) };
      case "requires_any":
        return this.anyOf(this.list(message, kind));
      case "allow_missing":
      case "allow_missing_or_failed": {
        message.message(kind)?.finish();
        // Without other requirements, it is about every provider of the filter.
        const any = [...this.providers.keys()].map((name) => this.use(name, undefined, message.at));
        if (kind === "allow_missing" && any.length > 1) {
          this.report.error(
            message.keyAt(kind),
            "allow_missing by itself refuses a bad token next to a good one of another provider, and Istio does not: name the providers in requires_any",
          );
        }
        const [provider] = this.providers.values();
        if (kind === "allow_missing" && provider && onlyPlaceOf(provider.rule) === undefined) {
          this.report.warning(
            message.keyAt(kind),
            "Istio refuses a request with several tokens if any is bad, and allow_missing by itself does not: more requests are refused",
          );
        }
        return { any, allowsMissing: true, allowsFailed: kind === "allow_missing_or_failed" };
      }
      default:
        return { nothing: true };
    }
  }

  private list(message: Message, name: string): Message[] {
    const list = message.message(name);
    const found = list?.messages("requirements") ?? [];
    list?.finish();
    return found;
  }

  private anyOf(list: readonly Message[]): Requirement {
    const has = (name: string) => list.some((one) => one.has(name));
    const [allowsMissing, allowsFailed] = [has("allow_missing"), has("allow_missing_or_failed")];
    const regular = list.filter((one) => !one.has("allow_missing") && !one.has("allow_missing_or_failed"));
    const [first] = list;
    if (regular.length === 0 && first !== undefined) {
      return this.requirement(list.find((one) => one.has("allow_missing_or_failed")) ?? first);
    }
    return { any: regular.map((one) => this.requirement(one)), allowsMissing, allowsFailed };
  }

  private use(name: string, audiences: string[] | undefined, at: Position): Requirement {
    const provider = this.providers.get(name);
    if (provider === undefined) {
      this.report.error(at, `there is no provider ${quote(name)}`);
      return { nothing: true };
    }
    const key = JSON.stringify([name, audiences]);
    const known = this.uses.findIndex((one) => JSON.stringify([one.provider.name, one.audiences]) === key);
    return { use: known < 0 ? this.uses.push({ provider, audiences, at }) - 1 : known };
  }

  private plan(
    routes: readonly Route[],
    chosen: readonly Use[],
    bypassesPreflights: boolean,
  ): ImportedAuthentication {
    const [first] = routes;
    const subjects = chosen.flatMap((use) => this.subjectDenial(use, chosen));
    const providers = distinctProviders(chosen).map(({ claims }) => claims);
    if (first === undefined || chosen.length === 0)
      return { rules: [], denials: [], providers: [], verified: NEVER };
    const isSingle = routes.length === 1 && isAlways(first.match);
    const own = isSingle
      ? this.everywhere(first, chosen, bypassesPreflights)
      : this.byRoute(routes, bypassesPreflights);
    return { providers, ...own, denials: [...own.denials, ...subjects] };
  }

  /** One requirement for every request. */
  private everywhere(
    { at, requirement }: Route,
    chosen: readonly Use[],
    bypassesPreflights: boolean,
  ): Omit<ImportedAuthentication, "providers"> {
    const found = this.form(at, requirement);
    if (found === undefined) return { rules: [], denials: [] };
    const { form } = found;
    this.checkSeveralTokens(at, chosen, form.kind === "required", isAsIstioWrites(requirement));
    const required = form.kind === "required" ? form.uses.map((index) => this.uses[index]) : [];
    const rules = chosen.map((use) => ({
      at: use.provider.at,
      rule: {
        ...use.provider.rule,
        ...(use.audiences && { audiences: use.audiences }),
        ...(required.includes(use) && { presence: "REQUIRED" as const }),
      },
    }));
    const denials: Denial[] = [];
    if (form.kind === "one") {
      this.warnOfStatus(at);
      denials.push({
        name: "require-token",
        at,
        condition: all(
          not(this.isFrom(chosen, at)),
          ...(bypassesPreflights ? [not(this.browserPreflight(at))] : []),
        ),
      });
    } else if (!bypassesPreflights && form.kind === "required") {
      this.report.warning(
        at,
        "Istio does not check tokens of a CORS preflight, and here one is required: preflights are denied, with 403",
      );
      denials.push({ name: "no-preflight", at, condition: preflight(at) });
    } else if (!bypassesPreflights) {
      denials.push(...this.preflightsWithTokens(at, chosen));
    }
    return { rules, denials };
  }

  private form(at: Position, requirement: Requirement): FormFound | undefined {
    const found = formOf(requirement);
    if (found === undefined) {
      this.report.error(
        at,
        "Istio has no requirement that is as strict as this one: it has optional tokens, required tokens (presence: REQUIRED), and one valid token of any provider",
      );
    } else if (found.isStricter) {
      this.report.warning(
        at,
        "Istio refuses some requests that this requirement lets pass, such as those with a token that cannot be verified",
      );
    }
    return found;
  }

  private warnOfStatus(at: Position): void {
    this.report.warning(
      at,
      "a request without a token is refused with 403 by a policy, and not with 401 and `Jwt is missing`",
    );
  }

  /**
   * Requirements that depend on the request: tokens are optional everywhere, and policies deny requests without a
   * matching one.
   */
  private byRoute(
    routes: readonly Route[],
    bypassesPreflights: boolean,
  ): Omit<ImportedAuthentication, "providers"> {
    const rules = this.mergedRules(routes);
    const [start] = routes;
    const everyUse = [...new Set(routes.flatMap(({ requirement }) => usesOf(requirement)))];
    if (start)
      this.checkSeveralTokens(
        start.at,
        everyUse.flatMap((use) => this.uses[use] ?? []),
        false,
        false,
      );
    const denials: Denial[] = [];
    const unverified: Expression[] = [];
    for (const [index, { at, match, requirement }] of routes.entries()) {
      const matched = all(match, ...routes.slice(0, index).map((before) => not(before.match)));
      const uses = usesOf(requirement);
      if (uses.length === 0) {
        unverified.push(matched);
        continue;
      }
      const found = this.form(at, requirement);
      if (found === undefined) continue;
      if (found.form.kind === "required" && uses.length > 1) {
        this.report.error(
          at,
          "Istio requires several tokens of every request or of none, and this rule is for some",
        );
        continue;
      }
      const isRequired = found.form.kind !== "optional";
      const strangers = everyUse.some((use) => !uses.includes(use));
      if (!isRequired && !strangers) continue;
      const chosen = uses.flatMap((use) => this.uses[use] ?? []);
      if (isRequired) this.warnOfStatus(at);
      denials.push({
        name: `rule-${index}`,
        at,
        condition: all(
          matched,
          ...(isRequired
            ? bypassesPreflights
              ? [not(this.browserPreflight(at))]
              : []
            : [{ attribute: claimKey(["iss"]), values: ["*"], at }]),
          not(this.isFrom(chosen, at)),
        ),
      });
    }
    const [first] = routes;
    if (!routes.some(({ match }) => isAlways(match)))
      unverified.push(not(any(...routes.map(({ match }) => match))));
    if (unverified.length > 0 && first !== undefined) {
      this.report.warning(
        first.at,
        "Istio checks tokens on every path: even if no rule requires one, a bad token is refused with 401, and a good one is removed from the request and its output headers are written",
      );
    }
    if (!bypassesPreflights && first !== undefined) {
      const chosen = everyUse.flatMap((use) => this.uses[use] ?? []);
      denials.push(...this.preflightsWithTokens(first.at, chosen));
    }
    return { rules, denials, ...(unverified.length > 0 && { verified: not(any(...unverified)) }) };
  }

  /** A provider's rule for all routes has the audiences of all of them. */
  private mergedRules(routes: readonly Route[]): ImportedAuthentication["rules"] {
    const uses = [...new Set(routes.flatMap(({ requirement }) => usesOf(requirement)))].flatMap(
      (use) => this.uses[use] ?? [],
    );
    return distinctProviders(uses).map((provider) => {
      const audiences = this.allAudiences(provider, uses);
      const { audiences: _own, ...rule } = provider.rule;
      return { at: provider.at, rule: { ...rule, ...(audiences && { audiences }) } };
    });
  }

  private allAudiences(provider: ImportedProvider, uses: readonly Use[]): string[] | undefined {
    const lists = uses
      .filter((use) => use.provider === provider)
      .map(({ audiences }) => audiences ?? provider.rule.audiences ?? []);
    return lists.some((list) => list.length === 0) ? undefined : [...new Set(lists.flat())];
  }

  /** Whether the token belongs to one of these uses, judged by its issuer and its audience. */
  private isFrom(chosen: readonly Use[], at: Position): Expression {
    const every = this.uses;
    return any(
      ...chosen.map((use) => {
        const { issuer } = use.provider.rule;
        const others = every.filter(
          ({ provider }) =>
            provider.rule.issuer === issuer && !chosen.some((one) => one.provider === provider),
        );
        if (issuer === undefined || others.length > 0) {
          return without(
            at,
            `tokens of the provider ${quote(use.provider.name)} cannot be distinguished from others by issuer`,
          );
        }
        const isIssuer: Atom = { attribute: claimKey(["iss"]), values: [issuer], at };
        const audiences = use.audiences ?? use.provider.rule.audiences ?? [];
        const known = this.allAudiences(use.provider, every) ?? [];
        if (audiences.length === 0 || (audiences.length === known.length && known.length > 0))
          return isIssuer;
        this.checkOneToken(use.at, use.provider, "its audience");
        return all(isIssuer, { attribute: "request.auth.audiences", values: audiences, at });
      }),
    );
  }

  /** Policies see one token of a provider, while Envoy checks every one. */
  private checkOneToken(at: Position, { rule, name }: ImportedProvider, what: string): void {
    if (this.options.assumeOneToken || onlyPlaceOf(rule) !== undefined) return;
    this.report.error(
      at,
      `a request can have several tokens of the provider ${quote(name)}, and a policy sees ${what} of one only: ${ONE_TOKEN}`,
    );
  }

  /**
   * With several tokens, Istio lets more pass than some requirements: a provider that verifies one token and refuses
   * another removes the first from the request, and then none is left that a second attempt would refuse. And whose
   * token policies see depends on the order of the providers, which Istio sorts by issuer.
   */
  private checkSeveralTokens(
    at: Position,
    chosen: readonly Use[],
    areRequired: boolean,
    isAsIstio: boolean,
  ): void {
    const rules = chosen.map(({ provider }) => provider.rule);
    const providers = distinctProviders(chosen);
    if (providers.length < 2 && chosen.length < 2) return;
    const inOrder = isSorted(rules);
    if (areRequired) {
      if (inOrder) return;
      this.report.error(
        at,
        "Istio tries providers in the order of their issuers, so that policies would see another one of several tokens: write the requirements in that order if that is acceptable",
      );
      return;
    }
    if (isAsIstio && inOrder) return;
    this.report.warning(at, "if several tokens are refused, the answer may name the fault of another one");
    if (this.options.assumeOneToken) return;
    const places = new Set(rules.map((rule) => onlyPlaceOf(rule) ?? ""));
    if (places.size === 1 && !places.has("")) return;
    const keepsTokens = rules.every((rule) => rule.forwardOriginalToken || onlyPlaceOf(rule) !== undefined);
    if (keepsTokens && inOrder) return;
    this.report.error(
      at,
      `Istio decides differently about requests with tokens of several providers, and can let requests pass that are refused here: ${ONE_TOKEN}`,
    );
  }

  private subjectDenial({ provider }: Use, chosen: readonly Use[]): Denial[] {
    const { subjects, rule, name, at } = provider;
    if (subjects === undefined) return [];
    const { issuer } = rule;
    if (
      issuer === undefined ||
      distinctProviders(chosen).some((one) => one !== provider && one.rule.issuer === issuer)
    ) {
      this.report.error(
        subjects.at,
        `tokens of the provider ${quote(name)} cannot be distinguished from others by issuer, so their subjects cannot be restricted`,
      );
      return [];
    }
    this.checkOneToken(subjects.at, provider, "its subject");
    this.report.warning(
      subjects.at,
      "a token with another subject is refused with 403 by a policy, and not with 401",
    );
    const isIssuer: Atom = { attribute: claimKey(["iss"]), values: [issuer], at };
    const isSubject = textCondition(claimKey(["sub"]), subjects, {
      star: { matches: "fewer", reason: `"*" is not an empty subject` },
    });
    return [{ name: `subjects-${name}`, at: subjects.at, condition: all(isIssuer, not(isSubject)) }];
  }

  /** A preflight as browsers send it. Envoy accepts any non-empty Origin and method, which Istio cannot express. */
  private browserPreflight(at: Position): Expression {
    return all(
      { attribute: "methods", values: ["OPTIONS"], at },
      { attribute: "request.headers[origin]", values: ["http*", "null"], at },
      {
        attribute: "request.headers[access-control-request-method]",
        values: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
        at,
      },
    );
  }

  /** Preflights with a possible token, which Istio would not check. */
  private preflightsWithTokens(at: Position, chosen: readonly Use[]): Denial[] {
    const rules = distinctProviders(chosen).map(({ rule }) => rule);
    const isDefault = ({ fromHeaders = [], fromParams = [], fromCookies = [] }: JwtRule) =>
      fromHeaders.length + fromParams.length + fromCookies.length === 0;
    const headers = new Set([
      ...rules.flatMap(({ fromHeaders = [] }) => fromHeaders.map(({ name }) => name.toLowerCase())),
      ...(rules.some(isDefault) ? ["authorization"] : []),
      ...(rules.some(({ fromCookies = [] }) => fromCookies.length > 0) ? ["cookie"] : []),
    ]);
    const hasParams = rules.some((rule) => isDefault(rule) || (rule.fromParams ?? []).length > 0);
    const { preflights } = this.options;
    const none = "Istio does not check tokens of a CORS preflight, and bypass_cors_preflight is off here";
    if (hasParams && preflights === undefined) {
      this.report.error(
        at,
        `${none}: a preflight with a bad token in its query would pass; pass --preflights deny to deny every preflight, or --preflights pass to let those pass`,
      );
    }
    if (preflights === "deny") {
      this.report.warning(at, `${none}: every preflight is denied (--preflights deny)`);
      return [{ name: "no-preflight", at, condition: preflight(at) }];
    }
    const rest = hasParams ? ", those with a token in the query pass (--preflights pass)" : "";
    const names = [...headers].join(" or ");
    this.report.warning(at, `${none}: preflights with a header ${names} are denied${rest}`);
    const condition = all(
      preflight(at),
      any(
        ...[...headers].map((name): Atom => ({ attribute: `request.headers[${name}]`, values: ["*"], at })),
      ),
    );
    return headers.size === 0 ? [] : [{ name: "no-preflight-with-token", at, condition }];
  }
}

/** Every request that Envoy may treat as a CORS preflight. */
function preflight(at: Position): Expression {
  return all(
    { attribute: "methods", values: ["OPTIONS"], at },
    { attribute: "request.headers[origin]", values: ["*"], at },
    { attribute: "request.headers[access-control-request-method]", values: ["*"], at },
  );
}

function distinctProviders(uses: readonly Use[]): ImportedProvider[] {
  return [...new Set(uses.map(({ provider }) => provider))];
}

function isAlways(expression: Expression): boolean {
  return expression === ALWAYS || ("all" in expression && expression.all.every(isAlways));
}

/** What to do if several tokens are the fault. */
const ONE_TOKEN =
  "if no request has more than one token, pass --assume-one-token, or give the provider one place, such as from_headers with Authorization";

/**
 * The only location of a request's token for a provider, if there is just one. Envoy joins only repeated Authorization
 * headers.
 */
function onlyPlaceOf({ fromHeaders = [], fromParams = [], fromCookies = [] }: JwtRule): string | undefined {
  const places = [
    ...fromHeaders.map(({ name, prefix = "" }) =>
      name.toLowerCase() === "authorization" ? `header ${prefix}` : undefined,
    ),
    ...fromParams.map((name) => `parameter ${name}`),
    ...fromCookies.map((name) => `cookie ${name}`),
  ];
  return places.length === 1 ? places[0] : undefined;
}

/** Headers that a rule writes, and that are first removed from every request. */
export function outputsOf({ outputPayloadToHeader, outputClaimToHeaders = [] }: JwtRule): string[] {
  const headers = [outputPayloadToHeader ?? "", ...outputClaimToHeaders.map(({ header }) => header)];
  return headers.filter((header) => header !== "").map((header) => header.toLowerCase());
}

function isSorted(rules: readonly JwtRule[]): boolean {
  const issuers = rules.map(({ issuer = "" }) => issuer);
  return issuers.every((issuer, i) => i === 0 || (issuers[i - 1] ?? "") <= issuer);
}

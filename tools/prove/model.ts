/**
 * Policies as formulas over what a request can be. A side is one compiled configuration; two sides share the space of
 * requests, and a scenario says what each side's authentication makes of the request's tokens.
 */
import type { Condition, Configuration, Predicate, Rule } from "../config/schema.ts";
import { wireText } from "../host/bytes.ts";
import { isSingleHeader } from "../host/header-map.ts";
import type { PathNormalization } from "../host/http-connection-manager.ts";
import type { Network } from "./addresses.ts";
import { FALSE, type Formula, TRUE } from "./formula.ts";
import { type Pattern, patternOf, peerPatternOf } from "./patterns.ts";
import {
  audiencesOf,
  type HeaderCondition,
  PREFLIGHT,
  type Scenario,
  type Source,
  type View,
} from "./scenarios.ts";
import { Space } from "./space.ts";
import { Undecided } from "./undecided.ts";

/** What a predicate compares, and with what. */
interface Comparison {
  subject: string;
  compared: Pattern | number | Network;
}

const PATH = "path";
const HOST = "host";
const METHOD = "method";
const SNI = "sni";
const PEER = "peer";
const PORT = "destinationPort";

/** Claims that are a string or absent in every token that parses (assembly/jose/jwt.ts). */
const STRING_CLAIMS = ["iss", "sub", "jti"];
/** Claims that are numbers, which no pattern matches. */
const NUMBER_CLAIMS = ["exp", "nbf", "iat"];
/** Claims whose strings are lists (assembly/authz/claim-index.ts). */
const ALWAYS_LISTS = ["scope", "permission"];

const CONTROL: Pattern = { kind: "control" };
const ANY: Pattern = { kind: "any" };
const SOME: Pattern = { kind: "some" };
const exactly = (text: string): Pattern => ({ kind: "exact", text });

/** The subject of a header. */
export function headerSubject(name: string): string {
  return `header:${name}`;
}

/** The subject of a claim of a scenario's token. */
export function claimSubject(slot: string, path: readonly string[]): string {
  return `claim:${JSON.stringify([slot, ...path])}`;
}

/** The subject of a claim that is a string, which the sides split differently. */
function textSubject(slot: string, name: string): string {
  return `claimtext:${JSON.stringify([slot, name])}`;
}

/** The subject of what a verified token wrote into a header. */
export function writtenSubject({ slot, claim }: Source): string {
  return `written:${JSON.stringify([slot, claim ?? null])}`;
}

/** The parts of a name that one of the functions above made; undefined if it is of another kind. */
export function partsOf(
  kind: "claim" | "claimtext" | "written",
  subject: string,
): (string | null)[] | undefined {
  return subject.startsWith(`${kind}:`)
    ? (JSON.parse(subject.slice(kind.length + 1)) as (string | null)[])
    : undefined;
}

/** Headers and lists of claims that scenarios need, besides those of predicates. */
export interface ModelOptions {
  normalization: PathNormalization;
  /** Conditions besides the sides' own, in the configurations' form. */
  extra?: readonly Configuration[];
}

/** The formulas of one or two sides. */
export class Model {
  readonly space = new Space();
  private readonly decided = new Map<string, Formula>();

  constructor(
    private readonly sides: readonly Configuration[],
    private readonly scenarios: readonly Scenario[],
    private readonly options: ModelOptions,
  ) {
    this.declare();
    this.space.freeze();
  }

  private get configurations(): readonly Configuration[] {
    return [...this.sides, ...(this.options.extra ?? [])];
  }

  private declare(): void {
    const { space } = this;
    const { normalization } = this.options;
    space.declare(PATH, { kind: "one", domain: { kind: "path", normalization }, usual: ["/"] });
    space.declare(METHOD, {
      kind: "one",
      domain: { kind: "method" },
      usual: ["GET", "POST", "PUT", "DELETE"],
    });
    for (const text of ["", "*"]) space.add(PATH, exactly(text));
    for (const text of ["CONNECT", "OPTIONS"]) space.add(METHOD, exactly(text));
    for (const name of PREFLIGHT) this.declareHeader(name);
    for (const name of PREFLIGHT) space.add(headerSubject(name), SOME);
    const slots = new Set<string>();
    const sources = new Map<string, Source[]>();
    for (const { views, tokens } of this.scenarios) {
      for (const { claims, written } of views) {
        if (claims) slots.add(claims.slot);
        for (const [header, own] of written) sources.set(header, [...(sources.get(header) ?? []), ...own]);
      }
      for (const { slot, token } of tokens) {
        if (token.audiences.length > 0) slots.add(slot);
      }
    }
    const predicates = this.configurations.flatMap(({ authorization }) => authorization?.predicates ?? []);
    for (const predicate of predicates) this.declarePredicate(predicate, slots, sources);
    this.declareTokens(slots);
    for (const { slot, token } of this.scenarios.flatMap(({ tokens }) => tokens)) {
      const subject = claimSubject(slot, token.spoiltClaim?.split(".") ?? []);
      if (token.spoiltClaim !== undefined && space.has(subject)) space.add(subject, CONTROL);
    }
    for (const { header, prefix } of this.scenarios.flatMap(({ headers }) => headers)) {
      if (space.has(headerSubject(header))) space.add(headerSubject(header), tokenPattern(prefix));
    }
  }

  private declareTokens(slots: ReadonlySet<string>): void {
    const { space } = this;
    for (const { tokens } of this.scenarios) {
      for (const { slot, token } of tokens) {
        if (!slots.has(slot)) continue;
        for (const { of } of token.audiences) {
          this.declareClaim(slot, ["aud"]);
          space.add(claimSubject(slot, ["aud"]), { kind: "audience", of });
        }
      }
    }
    for (const slot of slots) {
      const subject = claimSubject(slot, ["iss"]);
      if (!space.has(subject)) continue;
      for (const { issuer } of this.sides.flatMap(({ providers = [] }) => providers))
        if (issuer !== undefined) space.add(subject, exactly(wireText(issuer)));
    }
  }

  private declareHeader(name: string): void {
    const subject = headerSubject(name);
    if (name === ":scheme") {
      const usual = ["http", "https"];
      this.space.declare(subject, { kind: "one", domain: { kind: "header" }, only: usual });
    } else if (isSingleHeader(name)) {
      this.space.declare(subject, { kind: "one", domain: { kind: "header" }, mayBeAbsent: true });
    } else {
      this.space.declare(subject, { kind: "many", domain: { kind: "header" } });
    }
  }

  private declareClaim(slot: string, path: readonly string[]): void {
    const subject = claimSubject(slot, path);
    const domain = { kind: "claim" as const };
    const [first = ""] = path;
    if (path.length === 1 && STRING_CLAIMS.includes(first))
      this.space.declare(subject, { kind: "one", domain, mayBeAbsent: true });
    else this.space.declare(subject, { kind: "many", domain });
  }

  private declarePredicate(
    predicate: Predicate,
    slots: ReadonlySet<string>,
    sources: ReadonlyMap<string, readonly Source[]>,
  ): void {
    const { space } = this;
    if ("claim" in predicate) {
      if (isNeverText(predicate.claim)) return;
      const pattern = patternOf(predicate.match);
      for (const slot of slots) {
        this.declareClaim(slot, predicate.claim);
        space.add(claimSubject(slot, predicate.claim), pattern);
        const [name = ""] = predicate.claim;
        if (predicate.claim.length > 1 || !this.splitClaims.has(name)) continue;
        space.declare(textSubject(slot, name), { kind: "one", domain: { kind: "claim" }, mayBeAbsent: true });
        space.add(textSubject(slot, name), pattern);
        space.add(textSubject(slot, name), { kind: "element", of: pattern });
      }
      return;
    }
    const { subject, compared } = comparisonOf(predicate);
    if (subject === HOST)
      space.declare(HOST, {
        kind: "one",
        domain: { kind: "authority" },
        usual: ["localhost", "example.com"],
      });
    else if (subject === SNI) space.declare(SNI, { kind: "one", domain: { kind: "sni" }, usual: [""] });
    else if (subject === PEER) space.declare(PEER, { kind: "many", domain: { kind: "name" } });
    else if (subject === PORT) space.declare(PORT, { kind: "port", usual: 8080 });
    else if (["destinationIp", "sourceIp", "remoteIp"].includes(subject))
      space.declare(subject, { kind: "address", usual: "127.0.0.1" });
    else if ("header" in predicate && subject.startsWith("header:")) {
      this.declareHeader(predicate.header);
      for (const source of sources.get(predicate.header) ?? []) {
        space.declare(writtenSubject(source), { kind: "many", domain: { kind: "header" } });
        space.add(writtenSubject(source), compared);
      }
    }
    space.add(subject, compared);
  }

  /** Top-level claims that the sides' providers do not all split at spaces. */
  private get splitClaims(): ReadonlySet<string> {
    const lists = this.sides.flatMap(({ providers = [] }) =>
      providers.map(({ spaceDelimitedClaims = [] }) => new Set([...ALWAYS_LISTS, ...spaceDelimitedClaims])),
    );
    const all = new Set(lists.flatMap((list) => [...list]));
    return new Set([...all].filter((name) => lists.some((list) => !list.has(name))));
  }

  /** Whether some provider splits a top-level claim at spaces. */
  private isSplitBySome(name: string): boolean {
    const lists = this.sides.flatMap(({ providers = [] }) =>
      providers.flatMap(({ spaceDelimitedClaims = [] }) => spaceDelimitedClaims),
    );
    return [...ALWAYS_LISTS, ...lists].includes(name);
  }

  /** What a scenario requires of the rest of the request. */
  condition(scenario: Scenario): Formula {
    const { space } = this;
    const { formulas } = space;
    const path = (text: string) => space.formula(PATH, exactly(text));
    const method = (text: string) => space.formula(METHOD, exactly(text));
    const iff = (a: Formula, b: Formula) =>
      formulas.and([formulas.or([formulas.not(a), b]), formulas.or([a, formulas.not(b)])]);
    const preflight = formulas.and([
      method("OPTIONS"),
      ...PREFLIGHT.map((name) => space.formula(headerSubject(name), SOME)),
    ]);
    return formulas.and([
      iff(path(""), method("CONNECT")),
      formulas.or([formulas.not(path("*")), method("OPTIONS")]),
      scenario.isPreflight ? preflight : formulas.not(preflight),
      // Neither of the two paths without a slash has a query.
      ...(scenario.tokens.some(({ place }) => place.kind === "parameter")
        ? [formulas.not(path("")), formulas.not(path("*"))]
        : []),
      ...scenario.headers.map((condition) => this.headerCondition(condition)),
      ...this.tokenConditions(scenario),
      ...this.pathsBelow(scenario),
    ]);
  }

  private headerCondition({ header, prefix, holds }: HeaderCondition): Formula {
    if (!this.space.has(headerSubject(header))) return TRUE;
    const contains = this.space.formula(headerSubject(header), tokenPattern(prefix));
    return holds ? contains : this.space.formulas.not(contains);
  }

  private tokenConditions({ tokens, views }: Scenario): Formula[] {
    const { space } = this;
    const found: Formula[] = [];
    for (const { slot, token } of tokens) {
      const path = token.spoiltClaim?.split(".") ?? [];
      const spoilt = claimSubject(slot, path);
      // A claim that no header can carry is a string with a control character. One that is split has elements without.
      if (space.has(spoilt) && !(path.length === 1 && this.isSplitBySome(path[0] ?? "")))
        found.push(space.only(spoilt, CONTROL));
      const subject = claimSubject(slot, ["aud"]);
      for (const { of, isOne } of token.audiences) {
        if (!space.has(subject)) continue;
        const allowed = space.formula(subject, { kind: "audience", of });
        found.push(isOne ? allowed : space.formulas.not(allowed));
      }
    }
    for (const [side, { claims }] of views.entries()) {
      if (claims === undefined) continue;
      const provider = this.sides[side]?.providers?.[claims.provider];
      const subject = claimSubject(claims.slot, ["iss"]);
      if (provider?.issuer !== undefined && space.has(subject))
        found.push(space.formula(subject, exactly(wireText(provider.issuer))));
      const of = provider && audiencesOf(provider);
      const audience = claimSubject(claims.slot, ["aud"]);
      if (of && space.has(audience)) found.push(space.formula(audience, { kind: "audience", of }));
    }
    return found;
  }

  /** A claim that has members is neither a string nor a list. */
  private pathsBelow({ views }: Scenario): Formula[] {
    const { space } = this;
    const slots = new Set(views.flatMap(({ claims }) => (claims ? [claims.slot] : [])));
    const paths = space.names.flatMap((name) => {
      const parts = partsOf("claim", name) as string[] | undefined;
      const [slot = "", ...path] = parts ?? [];
      return parts && slots.has(slot) ? [{ name, slot, path }] : [];
    });
    const found: Formula[] = [];
    for (const upper of paths) {
      for (const lower of paths) {
        const isBelow =
          lower.slot === upper.slot &&
          lower.path.length > upper.path.length &&
          upper.path.every((part, i) => part === lower.path[i]);
        if (!isBelow) continue;
        const both = space.formulas.and([space.anyOf(upper.name), space.anyOf(lower.name)]);
        found.push(space.formulas.not(both));
      }
    }
    // A string is not a list either.
    for (const { name, slot, path } of paths) {
      const text = textSubject(slot, path[0] ?? "");
      if (path.length > 1 || !space.has(text)) continue;
      found.push(space.formulas.not(space.formulas.and([space.anyOf(name), space.anyOf(text)])));
    }
    return found;
  }

  /** The formula of requests that a side's policies allow. */
  allowed(side: number, view: View): Formula {
    const { authorization } = this.sides[side] as Configuration;
    const key = `${side} ${keyOf(view)}`;
    const known = this.decided.get(key);
    if (known !== undefined) return known;
    const { formulas } = this.space;
    const rules = (list: readonly Rule[] | undefined) =>
      list &&
      formulas.or(
        list.map(({ condition }) => this.rule(side, condition, authorization?.predicates ?? [], view)),
      );
    const denied = rules(authorization?.deny?.rules) ?? FALSE;
    const allowed = rules(authorization?.allow?.rules) ?? TRUE;
    const made = formulas.and([formulas.not(denied), allowed]);
    this.decided.set(key, made);
    return made;
  }

  /**
   * The formula of requests that are decided as another one was.
   *
   * @param rule the id of the rule that decided it; "" if none did
   * @param passed whether it passed
   */
  decidedAlike(side: number, view: View, rule: string, passed: boolean): Formula {
    if (view.refusal !== "") return TRUE;
    const { authorization: { predicates = [], deny, allow } = {} } = this.sides[side] as Configuration;
    const { formulas } = this.space;
    const matches = ({ condition }: Rule) => this.rule(side, condition, predicates, view);
    const decided = (passed ? allow : deny)?.rules?.find(({ id }) => id === rule);
    const allowed = this.allowed(side, view);
    const isDecidedByNone = decided === undefined && !passed;
    return formulas.and([
      passed ? allowed : formulas.not(allowed),
      ...(decided ? [matches(decided)] : []),
      ...(isDecidedByNone ? (deny?.rules ?? []).map((one) => formulas.not(matches(one))) : []),
    ]);
  }

  /** The formula of requests that match a condition, as a side sees them. */
  rule(side: number, condition: Condition, predicates: readonly Predicate[], view: View): Formula {
    const { formulas } = this.space;
    const known: (Formula | undefined)[] = [];
    const make = (part: Condition): Formula => {
      if (typeof part === "number") {
        known[part] ??= this.predicate(side, predicates[part] as Predicate, view);
        return known[part] as Formula;
      }
      if ("not" in part) return formulas.not(make(part.not));
      return "and" in part ? formulas.and(part.and.map(make)) : formulas.or(part.or.map(make));
    };
    return make(condition);
  }

  private predicate(side: number, predicate: Predicate, view: View): Formula {
    const { space } = this;
    if ("claim" in predicate) {
      if (view.claims === undefined || isNeverText(predicate.claim)) return FALSE;
      const { slot, provider } = view.claims;
      const pattern = patternOf(predicate.match);
      const [name = ""] = predicate.claim;
      const inList = space.formula(claimSubject(slot, predicate.claim), pattern);
      if (predicate.claim.length > 1 || !this.splitClaims.has(name)) return inList;
      const own = this.sides[side]?.providers?.[provider]?.spaceDelimitedClaims ?? [];
      const isSplit = ALWAYS_LISTS.includes(name) || own.includes(name);
      const compared: Pattern = isSplit ? { kind: "element", of: pattern } : pattern;
      return space.formulas.or([inList, space.formula(textSubject(slot, name), compared)]);
    }
    const { subject, compared } = comparisonOf(predicate);
    if (!("header" in predicate) || !subject.startsWith("header:")) return space.formula(subject, compared);
    const { header } = predicate;
    const written = view.written.get(header);
    if (written)
      return space.formulas.or(written.map((source) => space.formula(writtenSubject(source), compared)));
    return view.absent.has(header) ? FALSE : space.formula(subject, compared);
  }
}

function keyOf({ claims, absent, written }: View): string {
  return JSON.stringify([claims ?? null, [...absent].sort(), [...written]]);
}

/** A header with this prefix in it holds a token; without a prefix, every value is one. */
function tokenPattern(prefix: string): Pattern {
  return prefix === "" ? ANY : { kind: "contains", text: wireText(prefix) };
}

/** Whether no token that parses has text at the path. */
function isNeverText(path: readonly string[]): boolean {
  const [first = ""] = path;
  return NUMBER_CLAIMS.includes(first) || (path.length > 1 && [...STRING_CLAIMS, "aud"].includes(first));
}

/** @throws {Undecided} for what is not modelled */
function comparisonOf(predicate: Exclude<Predicate, { claim: string[] }>): Comparison {
  if ("path" in predicate) {
    const { path } = predicate;
    const compared: Pattern =
      "template" in path ? { kind: "template", text: wireText(path.template) } : patternOf(path);
    return { subject: PATH, compared };
  }
  if ("host" in predicate) return { subject: HOST, compared: patternOf(predicate.host, true) };
  if ("method" in predicate) return { subject: METHOD, compared: patternOf(predicate.method) };
  if ("sni" in predicate) return { subject: SNI, compared: patternOf(predicate.sni) };
  if ("destinationPort" in predicate) return { subject: PORT, compared: predicate.destinationPort };
  if ("destinationIp" in predicate)
    return { subject: "destinationIp", compared: { network: predicate.destinationIp } };
  if ("sourceIp" in predicate) return { subject: "sourceIp", compared: { network: predicate.sourceIp } };
  if ("remoteIp" in predicate) return { subject: "remoteIp", compared: { network: predicate.remoteIp } };
  if ("header" in predicate) {
    const compared = "present" in predicate.match ? ANY : patternOf(predicate.match);
    const { header } = predicate;
    if (header === ":path")
      throw new Undecided("request.headers[:path] compares path and query together: use paths");
    if (header === ":authority" || header === "host") return { subject: HOST, compared };
    if (header === ":method") return { subject: METHOD, compared };
    return { subject: headerSubject(header), compared };
  }
  const compared = peerPatternOf(predicate);
  if (compared === undefined)
    throw new Undecided(`a condition on ${Object.keys(predicate).join(", ")} is not known`);
  return { subject: PEER, compared };
}

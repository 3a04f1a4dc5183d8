/**
 * What a rule can refer to: the attributes of `source`, `operation` and `when`, what istiod's validation requires of
 * their values, and the predicate that each value becomes (istio pilot/pkg/security/authz/model/generator.go,
 * matcher/*.go); and the properties of each predicate. Everything that depends on the attribute is in these two tables.
 */
import type { Predicate, StringMatch } from "../config/schema.ts";
import { utf8Encode } from "../host/bytes.ts";
import { parseCidr } from "./cidr.ts";
import { and, type Expression } from "./expression.ts";
import { closest } from "./fields.ts";
import { checkPathTemplate, isPathTemplate } from "./path-template.ts";
import { quote, type Report } from "./report.ts";
import type { Located } from "./yaml.ts";

/** What the meaning of a value depends on besides the value. */
export interface AttributeContext {
  /** The policy's namespace: that of a service account without one. */
  namespace: string;
  /** The mesh's own trust domain, which `cluster.local` in a principal represents. */
  trustDomain: string;
}

export interface Attribute {
  /** Reports faults of a non-empty value. */
  check?(value: Located<string>, report: Report): void;
  /** The most values that a list of it can have. */
  maxValues?: number;
  /** The expression that holds for requests with `value`. */
  expression(value: string, context: AttributeContext): Expression;
  /** Present if values are exact, `x*`, `*x` or `*`. Values of other attributes are compared as they are written. */
  patterns?: Patterns;
  /** What a request lacks if no value matches it; clients choose the value of a header freely. */
  source?: "certificate" | "token" | "header";
  /** The claim that the values are compared with, from the payload down. */
  claim?: readonly string[];
  /** Whether the filter must know the address of the direct peer. */
  needsDirectPeer?: true;
  /** Whether it is about the TLS connection of the client, which a waypoint does not have. */
  needsClientTls?: true;
}

interface Patterns {
  /** Whether values are compared without regard to case. */
  ignoresCase?: true;
  /** Whether `*` also matches the empty value. */
  anyIsEmptyToo?: true;
}

const SPIFFE = "spiffe://";

/** Fields of `source`, without their negations, in the order of Istio's reference. */
export const SOURCE: Record<string, Attribute> = {
  principals: {
    source: "certificate",
    check: checkCertificateName,
    expression: (value, { trustDomain }) => principal(inTrustDomain(value, trustDomain)),
  },
  requestPrincipals: { source: "token", expression: requestPrincipal },
  namespaces: { source: "certificate", check: checkCertificateName, expression: namespace },
  serviceAccounts: {
    source: "certificate",
    check: checkServiceAccount,
    maxValues: 16,
    expression: serviceAccount,
  },
  trustDomains: {
    source: "certificate",
    check(value, report) {
      checkTrustDomain(value, report);
      if (value.value.includes("/"))
        report.error(value.at, `the trust domain ${quote(value.value)} must not contain /`);
    },
    expression: trustDomain,
  },
  ipBlocks: { needsDirectPeer: true, check: checkIp, expression: (value) => ({ sourceIp: cidr(value) }) },
  remoteIpBlocks: { check: checkIp, expression: (value) => ({ remoteIp: cidr(value) }) },
};

/** Fields of `operation`, without their negations, in the order of Istio's reference. */
export const OPERATION: Record<string, Attribute> = {
  hosts: { patterns: { ignoresCase: true }, expression: host },
  ports: { check: checkPort, expression: port },
  methods: { patterns: {}, expression: method },
  paths: { patterns: {}, check: checkPathTemplate, expression: path },
};

/** Keys of `when` without a name in brackets. */
const KEYS: Record<string, Attribute | undefined> = {
  "source.ip": SOURCE["ipBlocks"],
  "remote.ip": SOURCE["remoteIpBlocks"],
  "source.namespace": SOURCE["namespaces"],
  "source.principal": SOURCE["principals"],
  "source.serviceAccount": SOURCE["serviceAccounts"],
  "source.trustDomain": { source: "certificate", check: checkTrustDomain, expression: trustDomain },
  "request.auth.principal": SOURCE["requestPrincipals"],
  "request.auth.audiences": claim(["aud"]),
  "request.auth.presenter": claim(["azp"]),
  "destination.ip": { check: checkIp, expression: (value) => ({ destinationIp: cidr(value) }) },
  "destination.port": OPERATION["ports"],
  "connection.sni": {
    needsClientTls: true,
    patterns: {},
    expression: (value) => ({ sni: stringMatch(value) }),
  },
};

type NamesOf<P> = P extends unknown ? keyof P : never;
/** The field of a predicate other than `match`: what it is about. */
type PredicateField = Exclude<NamesOf<Predicate>, "match">;

/** The properties of the predicates of one field. */
interface PredicateKind<P> {
  /** How many requests in a thousand are expected to match. Absent if it is too common to be a guard. */
  cost?(predicate: P): number | undefined;
  /** The request's value that the predicate compares, as text. */
  saw(predicate: P, request: SeenRequest): string;
}

/** What the filter saw of a request. */
export interface SeenRequest {
  /** The verified token's claims, as policies see them; absent without a token. */
  claims: Readonly<Record<string, unknown>> | undefined;
  /** The values that predicates of that field were compared with. */
  values(field: PredicateField): readonly string[];
  /** The values of a header, or that it is present and may hold a secret. */
  header(name: string): readonly string[] | "hidden";
  /** A property of the host, `source.address`; undefined if it was not read or is unknown. */
  property(path: string): string | undefined;
  /** The direct peer's address, as the host writes it. */
  directPeer: string | undefined;
}

/** By field, the properties of predicates. */
const PREDICATES: { readonly [F in PredicateField]: PredicateKind<Extract<Predicate, Record<F, unknown>>> } =
  {
    claim: {
      cost: ({ claim: [name], match }) => costOfMatch(match, name === "sub" ? 2 : name === "iss" ? 200 : 40),
      saw: ({ claim }, { claims }) => sawClaim(claim, claims),
    },
    path: {
      cost: ({ path }) => ("template" in path ? PART : costOfMatch(path, 1)),
      saw: (_, { values }) => `the path is ${values("path")[0] ?? ""}`,
    },
    host: {
      cost: ({ host }) => costOfMatch(host, 30),
      saw: (_, { values }) => `the host is ${values("host")[0] ?? ""}`,
    },
    method: {
      cost: ({ method }) => costOfMatch(method, 250),
      saw: (_, { values }) => `the method is ${values("method")[0] ?? ""}`,
    },
    header: {
      cost: ({ match }) => ("present" in match ? undefined : costOfMatch(match, 20)),
      saw: ({ header }, request) =>
        sawHeader(header, request.header(header === "host" ? ":authority" : header)),
    },
    destinationPort: {
      saw: (_, { property }) => `the listener's port is ${portOf(property("destination.port"))}`,
    },
    destinationIp: {
      saw: (_, { property }) => `the listener is ${property("destination.address") ?? "unknown"}`,
    },
    sourceIp: { saw: (_, { directPeer }) => `the peer is ${directPeer ?? "unknown"}` },
    remoteIp: { saw: (_, { property }) => `the client is ${property("source.address") ?? "unknown"}` },
    sni: {
      cost: ({ sni }) => costOfMatch(sni, 30),
      saw(_, { values }) {
        const [name] = values("sni");
        return name ? `the server name is ${name}` : "there is no TLS server name";
      },
    },
    principal: { cost: ({ principal }) => costOfMatch(principal, 4), saw: sawCertificate },
    peer: { saw: sawCertificate },
    trustDomain: { saw: sawCertificate },
    serviceAccount: { saw: sawCertificate },
  };

function kindOf(predicate: Predicate): PredicateKind<Predicate> {
  const field = Object.keys(predicate).find((name) => name !== "match") as PredicateField;
  return PREDICATES[field] as PredicateKind<Predicate>;
}

/** Whether a predicate is about the peer, which a waypoint identifies differently from other proxies. */
export function isAboutPeer(predicate: Predicate): boolean {
  return ["principal", "peer", "trustDomain", "serviceAccount"].some((field) => field in predicate);
}

/** How many requests in a thousand are expected to match a predicate; undefined if it is too common to be a guard. */
export function costOf(predicate: Predicate): number | undefined {
  return kindOf(predicate).cost?.(predicate);
}

/** The request's value that the predicate compares, as text. */
export function sawFor(predicate: Predicate, request: SeenRequest): string {
  return kindOf(predicate).saw(predicate, request);
}

/** Keys of `when` with a name in brackets. */
const HEADERS = "request.headers";
const CLAIMS = "request.auth.claims";
const DYNAMIC_METADATA = "experimental.envoy.filters.";

/** Every key of `when`, as a user writes it. */
export const WHEN_KEYS = [...Object.keys(KEYS), `${HEADERS}[NAME]`, `${CLAIMS}[NAME]`];

/** Former keys, and what replaced them. */
const FORMER_KEYS: Record<string, string> = {
  "destination.namespace": "put the policy into that namespace",
  "destination.labels": "use spec.selector.matchLabels",
  "destination.name": "use spec.selector.matchLabels",
  "destination.user": "use spec.selector.matchLabels",
};

/**
 * The attribute of a key of `when`.
 *
 * @returns the attribute; `refused`, with the reason, for a key that istiod refuses or that no Wasm filter can
 *   evaluate; `ungeneratable` for one that istiod accepts without an Envoy matcher for it, such as
 *   `request.headersx[a]`
 */
export function whenAttribute(
  key: string,
): { attribute: Attribute } | { refused: string } | { ungeneratable: true } {
  const plain = Object.hasOwn(KEYS, key) ? KEYS[key] : undefined;
  if (plain !== undefined) return { attribute: plain };
  for (const base of [HEADERS, CLAIMS, DYNAMIC_METADATA]) {
    if (!key.startsWith(base)) continue;
    const open = key.indexOf("[");
    if (!key.endsWith("]") || open < 0 || open >= key.length - 2) {
      return {
        refused: `the key ${quote(key)} needs a name in brackets: write ${base.replace(/\.$/, "")}[NAME]`,
      };
    }
    const brackets = key.slice(base.length);
    if (base === DYNAMIC_METADATA) return { refused: metadataRefusal(brackets) };
    if (!brackets.startsWith("[")) return { ungeneratable: true };
    // Envoy refuses a configuration with these (well_known_regex HTTP_HEADER_NAME).
    if (base === HEADERS && /[\0\r\n]/.test(key)) return { refused: `${quote(key)} is not a header's name` };
    if (base === HEADERS) return { attribute: header(brackets.slice(1, -1)) };
    const names = claimPath(brackets);
    // And one with these (type.matcher.v3.MetadataMatcher.PathSegment).
    if (names.includes("")) return { refused: `the key ${quote(key)} has brackets without a name in them` };
    return { attribute: claim(names) };
  }
  const former = Object.keys(FORMER_KEYS).find((name) => key === name || key.startsWith(`${name}[`));
  if (former !== undefined)
    return { refused: `Istio has no key ${quote(key)} any more: ${FORMER_KEYS[former]}` };
  const meant = closest(key, WHEN_KEYS);
  const advice = meant === undefined ? `the keys are ${WHEN_KEYS.join(", ")}` : `did you mean ${meant}?`;
  return { refused: `unknown key ${quote(key)}: ${advice}` };
}

/** A Wasm filter runs before the native filters that write this metadata. */
function metadataRefusal(filter: string): string {
  const advice = "use request.auth.claims[NAME] or request.headers[NAME], or leave this policy to Istio";
  return `experimental.envoy.filters.${filter} is written by another filter, perhaps after this one has decided, so it cannot be evaluated: ${advice}`;
}

/**
 * The names in `[a][b]`. If the brackets nest, as in `[a[b]]`, everything between the first and the last is one name.
 *
 * @param brackets beginning with `[` and ending with `]`
 */
export function claimPath(brackets: string): string[] {
  const inner = brackets.slice(1, -1);
  return /^(\[[^[\]]*\])+$/.test(brackets) ? inner.split("][") : [inner];
}

/** `*` is any non-empty text, `x*` a prefix, `*x` a suffix, anything else the value itself. */
export function stringMatch(value: string): StringMatch {
  if (value === "*") return { nonEmpty: true };
  if (value.startsWith("*")) return { suffix: value.slice(1) };
  if (value.endsWith("*")) return { prefix: value.slice(0, -1) };
  return { exact: value };
}

function claim(names: string[]): Attribute {
  return {
    source: "token",
    claim: names,
    patterns: {},
    expression: (value) => ({ claim: names, match: stringMatch(value) }),
  };
}

/** `*` is any value, the empty one included. Envoy finds `host` under its HTTP/2 name. */
function header(name: string): Attribute {
  const lower = asciiLowerCase(name);
  const expression = (value: string) => headerPredicate(lower === "host" ? ":authority" : lower, value);
  return { source: "header", patterns: { anyIsEmptyToo: true }, expression };
}

/** Envoy folds the case of ASCII letters only. */
function asciiLowerCase(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function headerPredicate(name: string, value: string): Predicate {
  return { header: name, match: value === "*" ? { present: true } : stringMatch(value) };
}

function host(value: string): Expression {
  // Host names are case-insensitive; with one spelling, equal predicates are found equal.
  return value === "*" ? headerPredicate(":authority", value) : { host: stringMatch(asciiLowerCase(value)) };
}

function method(value: string): Expression {
  return value === "*" ? headerPredicate(":method", value) : { method: stringMatch(value) };
}

function path(value: string): Expression {
  return { path: isPathTemplate(value) ? { template: value } : stringMatch(value) };
}

function port(value: string): Expression {
  return { destinationPort: Number(value) };
}

/**
 * `ISSUER/SUBJECT`, split at the last slash. A wildcard is at one end of the whole value, so it widens the issuer or
 * the subject, not both; `ISSUER*` without a slash is about the issuer.
 */
function requestPrincipal(value: string): Expression {
  const slash = value.lastIndexOf("/");
  const issuer = slash < 0 ? value : value.slice(0, slash);
  const subject = slash < 0 ? "" : value.slice(slash + 1);
  const any: StringMatch = { nonEmpty: true };
  const both = (iss: StringMatch, sub: StringMatch) =>
    and([
      { claim: ["iss"], match: iss },
      { claim: ["sub"], match: sub },
    ]);
  if (value === "*") return both(any, any);
  if (value.startsWith("*")) {
    if (slash < 0) return both(any, { suffix: value.slice(1) });
    return both(issuer === "*" ? any : { suffix: issuer.slice(1) }, { exact: subject });
  }
  if (value.endsWith("*")) {
    if (slash < 0) return both({ prefix: value.slice(0, -1) }, any);
    return both({ exact: issuer }, subject === "*" ? any : { prefix: subject.slice(0, -1) });
  }
  return both({ exact: issuer }, { exact: subject });
}

function principal(value: string): Expression {
  if (value === "*") return { principal: { nonEmpty: true } };
  if (value.startsWith("*")) return { peer: [SPIFFE, value.slice(1)] };
  if (value.endsWith("*")) return { principal: { prefix: `${SPIFFE}${value.slice(0, -1)}` } };
  return { principal: { exact: `${SPIFFE}${value}` } };
}

/**
 * istiod's trust domain migration (pilot/pkg/security/trustdomain) in a mesh without aliases: in a whole principal,
 * `cluster.local`, and a pattern that the mesh's trust domain begins with, represent that trust domain.
 */
function inTrustDomain(value: string, own: string): string {
  const parts = value.split("/");
  const [named = ""] = parts;
  if (parts.length !== 5 || named === "*") return value;
  const isOwn = named === "cluster.local" || (named.endsWith("*") && own.startsWith(named.slice(0, -1)));
  return isOwn ? [own, ...parts.slice(1)].join("/") : value;
}

/** `*` anywhere is any text. */
function namespace(value: string): Expression {
  return { peer: ["", ...`/ns/${value}/`.split("*"), ""] };
}

function serviceAccount(value: string, context: AttributeContext): Expression {
  const slash = value.indexOf("/");
  const name = value.slice(slash + 1);
  return { serviceAccount: { namespace: slash < 0 ? context.namespace : value.slice(0, slash), name } };
}

function trustDomain(value: string): Expression {
  if (value === "*") return { principal: { prefix: SPIFFE } };
  const star = value.indexOf("*");
  if (star < 0) return { principal: { prefix: `${SPIFFE}${value}/` } };
  return { trustDomain: [value.slice(0, star), value.slice(star + 1)] };
}

function cidr(value: string): string {
  const range = parseCidr(value);
  if (range === undefined) throw new RangeError(`${value} was not checked`);
  return range;
}

function checkIp({ value, at }: Located<string>, report: Report): void {
  if (parseCidr(value) !== undefined) return;
  report.error(
    at,
    `${quote(value)} is not an IP address or CIDR range: write it like 10.0.0.1, 10.0.0.0/8 or 2001:db8::/32`,
  );
}

function checkPort({ value, at }: Located<string>, report: Report): void {
  if (/^\d+$/.test(value) && Number(value) <= 65535) return;
  report.error(at, `${quote(value)} is not a port: write a number from 0 to 65535 in quotes`);
}

/** Names in certificates are compared as lines. */
function checkCertificateName({ value, at }: Located<string>, report: Report): void {
  if (value.includes("\n"))
    report.error(at, `${quote(value)} has a line break, which no name has: remove it`);
}

function checkServiceAccount(account: Located<string>, report: Report): void {
  checkCertificateName(account, report);
  const { value, at } = account;
  if (value.includes("*")) {
    report.error(
      at,
      `serviceAccounts take no wildcard: write out ${quote(value)}, or use principals or namespaces`,
    );
  } else if (!/^[^/]+(\/[^/]+)?$/.test(value)) {
    report.error(at, `${quote(value)} is not a service account: write NAME or NAMESPACE/NAME`);
  } else if (utf8Encode(value).length > 320) {
    report.error(at, "a service account is at most 320 characters long");
  }
}

function checkTrustDomain(domain: Located<string>, report: Report): void {
  checkCertificateName(domain, report);
  const { value, at } = domain;
  const inner = value.slice(1, -1);
  const stars = value.split("*").length - 1;
  if (stars > 1 || inner.includes("*")) {
    report.error(at, `the trust domain ${quote(value)} can have one *, at its beginning or its end`);
  } else if (stars === 1 && value.includes("/")) {
    report.error(at, `the trust domain ${quote(value)} has a slash, which no trust domain has: remove it`);
  }
}

/**
 * A prefix or suffix is assumed to match this many times the requests that an exact value does; a template matches
 * those of its literal path.
 */
const PART = 4;

/** @returns requests in a thousand that match, if an exact value matches `exact` of them */
function costOfMatch(match: StringMatch, exact: number): number | undefined {
  if ("exact" in match) return exact;
  return "nonEmpty" in match ? undefined : PART * exact;
}

/**
 * What a token has at the path of a claim.
 *
 * @param path from the payload down
 * @param claims of the verified token, if there is one
 */
export function sawClaim(path: readonly string[], claims: SeenRequest["claims"]): string {
  if (claims === undefined) return "there is no verified token";
  const value = claimAt(path, claims);
  const [first = ""] = path;
  const name = path.length === 1 ? first : bracketed(path);
  if (value !== undefined) return `${name} is ${shorten(JSON.stringify(value))}`;
  const inside = first.split(".");
  const isInside = path.length === 1 && inside.length > 1 && claimAt(inside, claims) !== undefined;
  const hint = isInside ? `, but ${bracketed(inside)} is there: write ${CLAIMS}${bracketed(inside)}` : "";
  return `the token has no ${name}${hint}`;
}

/** The value of a claim, from the payload down; undefined if there is none. */
function claimAt(path: readonly string[], claims: Readonly<Record<string, unknown>>): unknown {
  let value: unknown = claims;
  for (const name of path) {
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    value =
      isObject && Object.hasOwn(value as object, name) ? (value as Record<string, unknown>)[name] : undefined;
  }
  return value;
}

/** The path of a claim as written in keys of conditions. */
function bracketed(path: readonly string[]): string {
  return `[${path.join("][")}]`;
}

function sawHeader(name: string, values: readonly string[] | "hidden"): string {
  if (values === "hidden") return `the header ${name} is there`;
  if (values.length === 0) return `there is no header ${name}`;
  return `${name} is ${values.map((value) => shorten(JSON.stringify(value))).join(" and ")}`;
}

function sawCertificate(_: Predicate, { values }: SeenRequest): string {
  const names = values("peer");
  if (names.length === 0) return "there is no client certificate";
  return `the client's certificate has ${names.join(", ")}`;
}

/** The host returns it as an integer of 64 bits, the lowest byte first. */
function portOf(bytes: string | undefined): string {
  return bytes?.length === 8 ? String(bytes.charCodeAt(0) + 256 * bytes.charCodeAt(1)) : "unknown";
}

function shorten(text: string): string {
  return text.length > 100 ? `${text.slice(0, 97)}…` : text;
}

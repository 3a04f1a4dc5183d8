/**
 * The policies' meaning, as plainly as possible: every condition of every rule is evaluated, in order, with
 * the regular expressions that istiod gives Envoy. The filter's engine, which is built for speed, must agree with it.
 */
import { isUtf8 } from "node:buffer";
import type {
  Authorization,
  Condition,
  Predicate,
  Rule,
  RuleSet,
  StringMatch,
} from "../../tools/config/schema.ts";
import { wireText } from "../../tools/host/bytes.ts";

/** What policies can know of a request. Text is latin-1: one character for each byte. */
export interface Facts {
  /** Names in lower case, pseudo-headers included. */
  headers: readonly (readonly [name: string, value: string])[];
  /** Attributes of the connection, by path, with dots between its segments. */
  properties?: Record<string, string | number>;
  /** The names in the peer's certificate. */
  peerNames?: readonly string[];
}

/** Claims as policies see them, with lists in place of the strings that a provider's `spaceDelimitedClaims` name. */
export type Claims = Record<string, unknown>;

/** Filter state that holds the direct peer's address, among `properties`. */
export const DIRECT_PEER = "filter_state.direct";

export interface Decision {
  /** Whether the answer is 403. */
  refused: boolean;
  /** "" if no rule decided. */
  ruleId: string;
  /** AUDIT, DENY, ALLOW: undefined if not asked, "" if none matched, else the first rule that did. */
  enforced: (string | undefined)[];
  shadow: (string | undefined)[];
}

/**
 * Decides like Envoy's RBAC filters in Istio's order: AUDIT, DENY, ALLOW.
 *
 * @param facts of the request as it would be forwarded
 * @param payload of the verified token, if there is one
 * @param spaceDelimited the `spaceDelimitedClaims` of its provider
 */
export function decide(
  authorization: Authorization,
  facts: Facts,
  payload: Claims | undefined,
  spaceDelimited: readonly string[],
): Decision {
  const claims = payload && withLists(payload, spaceDelimited);
  const first = (rules: Rule[] | undefined) =>
    rules && (rules.find((rule) => conditionHolds(rule.condition, authorization, facts, claims))?.id ?? "");
  const decision: Decision = {
    refused: false,
    ruleId: "",
    enforced: [undefined, undefined, undefined],
    shadow: [undefined, undefined, undefined],
  };
  const sets: (RuleSet | undefined)[] = [authorization.audit, authorization.deny, authorization.allow];
  for (const [action, set] of sets.entries()) {
    decision.shadow[action] = first(set?.shadowRules);
    const id = first(set?.rules);
    decision.enforced[action] = id;
    if (action > 0) decision.ruleId = id ?? "";
    if (action === 1 && id) decision.refused = true;
    if (action === 2 && id === "") decision.refused = true;
    if (decision.refused) break;
  }
  return decision;
}

/** Whether a rule's condition is true. */
export function conditionHolds(
  condition: Condition,
  authorization: Authorization,
  facts: Facts,
  claims: Claims | undefined,
): boolean {
  const holds = (part: Condition): boolean => {
    if (typeof part === "number") {
      const predicate = authorization.predicates[part];
      return predicate !== undefined && predicateHolds(predicate, facts, claims);
    }
    if ("and" in part) return part.and.every(holds);
    if ("or" in part) return part.or.some(holds);
    return !holds(part.not);
  };
  return holds(condition);
}

/** Claims that are always lists (istiod's space_delimited_claims). */
const ALWAYS_LISTS = ["scope", "permission"];

/**
 * The claims of a payload as policies see them.
 *
 * @param spaceDelimited names of string claims that are lists with spaces between their elements
 */
export function withLists(payload: Claims, spaceDelimited: readonly string[]): Claims {
  const result = { ...payload };
  for (const name of [...ALWAYS_LISTS, ...spaceDelimited]) {
    const value = payload[name];
    if (typeof value !== "string") continue;
    const elements = value.split(" ").filter((element) => element !== "");
    if (elements.length > 0) result[name] = elements;
  }
  return result;
}

/** The value at a path of claims; undefined if there is none. */
export function claimAt(claims: Claims | undefined, path: readonly string[]): unknown {
  let value: unknown = claims;
  for (const name of path) {
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    value = isObject && Object.hasOwn(value as object, name) ? (value as Claims)[name] : undefined;
  }
  return value;
}

/** Whether a predicate is true. */
export function predicateHolds(
  predicate: Predicate,
  { headers, properties = {}, peerNames = [] }: Facts,
  claims: Claims | undefined,
): boolean {
  const valuesOf = (name: string) =>
    headers.filter((header) => header[0] === name).map((header) => header[1]);
  if ("claim" in predicate) {
    return [claimAt(claims, predicate.claim)]
      .flat()
      .some((text) => typeof text === "string" && matches(mapped(predicate.match, wireText), wireText(text)));
  }
  if ("path" in predicate) {
    const path = (valuesOf(":path")[0] ?? "").replace(/[?#].*/s, "");
    return "template" in predicate.path
      ? templateToRegExp(predicate.path.template).test(path)
      : matches(predicate.path, path);
  }
  if ("host" in predicate)
    return matches(
      mapped(predicate.host, (text) => asciiLowerCase(wireText(text))),
      asciiLowerCase(valuesOf(":authority")[0] ?? ""),
    );
  if ("method" in predicate) return matches(predicate.method, valuesOf(":method")[0] ?? "");
  if ("header" in predicate) {
    const { match } = predicate;
    const values = valuesOf(predicate.header === "host" ? ":authority" : predicate.header);
    return "present" in match
      ? values.length > 0
      : values.some((value) => matches(mapped(match, wireText), value));
  }
  if ("destinationPort" in predicate) return properties["destination.port"] === predicate.destinationPort;
  if ("destinationIp" in predicate)
    return inBlock(predicate.destinationIp, hostOf(properties["destination.address"]));
  if ("sourceIp" in predicate) return inBlock(predicate.sourceIp, String(properties[DIRECT_PEER]));
  if ("remoteIp" in predicate) return inBlock(predicate.remoteIp, hostOf(properties["source.address"]));
  if ("sni" in predicate) {
    return matches(predicate.sni, String(properties["connection.requested_server_name"] ?? ""));
  }
  return peerNames.some((name) => peerHolds(predicate, name));
}

function peerHolds(
  predicate: Extract<
    Predicate,
    { principal: unknown } | { peer: unknown } | { trustDomain: unknown } | { serviceAccount: unknown }
  >,
  name: string,
): boolean {
  if ("principal" in predicate) return matches(predicate.principal, name);
  if ("peer" in predicate) return new RegExp(`^${predicate.peer.map(quote).join("[^\\n]*")}$`).test(name);
  if ("trustDomain" in predicate) {
    const [beginning, ending] = predicate.trustDomain.map(quote);
    return new RegExp(`^spiffe://${beginning}[^/]*${ending}/[^\\n]*$`).test(name);
  }
  const { namespace, name: account } = predicate.serviceAccount;
  return new RegExp(`^spiffe://${ANY}/ns/${quote(namespace)}/(${ANY}/|)sa/${quote(account)}(/${ANY})?$`).test(
    name,
  );
}

/** `.+` as Envoy's RE2 reads it: JavaScript's dot excludes more than a newline. */
const ANY = "[^\\n]+";

/** @param value bytes, like the match's text */
function matches(match: StringMatch, value: string): boolean {
  if ("exact" in match) return value === match.exact;
  if ("prefix" in match) return value.startsWith(match.prefix);
  if ("suffix" in match) return value.endsWith(match.suffix);
  // RE2's `.+`: any character but a newline, in well-formed UTF-8.
  return value !== "" && !value.includes("\n") && isUtf8(Buffer.from(value, "latin1"));
}

function quote(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}

/** As Envoy 1.40 does it (uri_template_internal.cc, toRegexPattern). */
function templateToRegExp(template: string): RegExp {
  const character = "a-zA-Z0-9\\-._~%!$&'()*+,;:@=";
  const source = template.split("/").map((segment) => {
    if (segment === "{*}") return `[${character}]+`;
    return segment === "{**}" ? `[${character}/]*` : quote(segment);
  });
  return new RegExp(`^${source.join("/")}$`);
}

function mapped(match: StringMatch, change: (text: string) => string): StringMatch {
  const entries = Object.entries(match) as [string, string | true][];
  return Object.fromEntries(
    entries.map(([kind, value]) => [kind, value === true ? value : change(value)]),
  ) as StringMatch;
}

function asciiLowerCase(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function inBlock(block: string, address: string): boolean {
  const [base = "", width = ""] = block.split("/");
  const [left, right] = [bitsOf(base), bitsOf(address)];
  return left.length === right.length && left.slice(0, Number(width)) === right.slice(0, Number(width));
}

/** `1.2.3.4:80` and `[::1]:80` without the port. */
function hostOf(address: string | number | undefined): string {
  return String(address).replace(/^\[?(.*?)\]?:\d+$/, "$1");
}

/** The address as a string of zeros and ones. */
function bitsOf(address: string): string {
  const bits = (text: string, radix: number, size: number) =>
    Number.parseInt(text, radix).toString(2).padStart(size, "0");
  if (!address.includes(":"))
    return address
      .split(".")
      .map((part) => bits(part, 10, 8))
      .join("");
  const [front = "", back] = address.split("::");
  const groups = (text: string) => (text === "" ? [] : text.split(":"));
  const missing = 8 - groups(front).length - groups(back ?? "").length;
  const all = [...groups(front), ...Array<string>(missing).fill("0"), ...groups(back ?? "")];
  return all.map((group) => bits(group, 16, 16)).join("");
}

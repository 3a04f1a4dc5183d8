/** Random policies and requests over few enough values that they often meet. */
import type { Authorization, Condition, Predicate, Rule, StringMatch } from "../../tools/config/schema.ts";
import type { Random } from "../fuzz/random.ts";
import type { Facts } from "../model/authz.ts";
import { certificate, pem, subjectAlternativeName, urlEncoded } from "../support/certificate.ts";

const PATHS = [
  "/",
  "/a",
  "/a/",
  "/a/b",
  "/a/b/c",
  "/ab",
  "/b/a.html",
  "/b/x=1",
  "/a/*",
  "/a//b",
  "/%41",
  "/a/b|c",
  "/a/x/b",
  "/a/b/c/d",
  "/a/b/b/c",
];
const HOSTS = ["a.example", "A.Example:80", "b.example", "example", ""];
const METHODS = ["GET", "POST", "get"];
const HEADERS = ["x-a", "x-b", "x-ab", "host", ":path"];
const VALUES = ["", "a", "ab", "abc", "b a", "bc", "é", "c\td"];
const CLAIMS = [["sub"], ["scope"], ["roles"], ["a", "b"], ["a"], ["a", "b", "c"], ["perms"], ["", "x"]];
const TEXTS = ["", "a", "ab", "a b", "b", " ", "  a", "line\nbreak", "é", "\r", "\u2028", "a\u2029"];
const ADDRESSES = ["10.0.0.1", "10.0.1.255", "192.168.7.1", "::1", "2001:db8::1", "2001:db8:8000::"];
const BLOCKS = [
  "10.0.0.0/8",
  "10.0.0.0/24",
  "10.0.0.1/32",
  "0.0.0.0/0",
  "192.168.0.0/16",
  "::/0",
  "::1/128",
  "2001:db8::/33",
];
const PEERS = [
  "spiffe://cluster.local/ns/foo/sa/bar",
  "spiffe://cluster.local/ns/foo/x/sa/bar/y",
  "spiffe://td-1.example/ns/foo/sa/barn",
  "spiffe:///ns/foo/sa/bar",
  "spiffe://a/ns/ns/foo/sa/sa/bar",
  "spiffe://a\n/ns/foo/sa/bar",
  "spiffe://a\r/ns/foo/sa/bar",
  "foo.example",
  "spiffe://td-1.example",
  "spiffe://cluster.local/ns/foo/sa/bar/",
];
const TEMPLATES = [
  "/{*}",
  "/a/{*}",
  "/a/{**}",
  "/{**}",
  "/{*}/b",
  "/{*}/{*}/{**}",
  "/a/{*}/",
  "/{**}/c",
  "/b/{*}",
  "/a/{*}/b",
  "/a/{*}/c",
  "/a/{*}/b/{**}",
  "/a/{*}/{*}/d",
  "/{*}/b/{**}",
  "/{*}/{*}/c",
];

function stringMatch(random: Random, values: readonly string[]): StringMatch {
  const value = random.pick(values);
  switch (random.below(4)) {
    case 0:
      return value === "" ? { nonEmpty: true } : { prefix: value.slice(0, 1 + random.below(value.length)) };
    case 1:
      return value === "" ? { nonEmpty: true } : { suffix: value.slice(random.below(value.length)) };
    case 2:
      return random.chance(0.3) ? { nonEmpty: true } : { exact: value };
    default:
      return { exact: value };
  }
}

function predicate(random: Random): Predicate {
  switch (random.below(14)) {
    case 0:
    case 1:
      return { claim: random.pick(CLAIMS), match: stringMatch(random, TEXTS) };
    case 2:
      return { path: stringMatch(random, PATHS) };
    case 3:
      return { path: { template: random.pick(TEMPLATES) } };
    case 4:
      return { host: stringMatch(random, HOSTS) };
    case 5:
      return { method: stringMatch(random, METHODS) };
    case 6:
      return { header: random.pick(HEADERS), match: stringMatch(random, [...VALUES, "/a", "a.example"]) };
    case 7:
      return { header: random.pick(HEADERS), match: { present: true } };
    case 8:
      return { destinationPort: random.pick([80, 443]) };
    case 9:
      return { [random.pick(["destinationIp", "sourceIp", "remoteIp"])]: random.pick(BLOCKS) } as Predicate;
    case 10:
      return { sni: stringMatch(random, ["a.example", "b"]) };
    case 11:
      return { principal: stringMatch(random, PEERS) };
    case 12:
      return random.chance(0.5)
        ? {
            peer: random.pick([
              ["", "/ns/foo/", ""],
              ["spiffe://", "r"],
              ["", "a", "a", ""],
            ]),
          }
        : {
            trustDomain: random.pick([
              ["", ""],
              ["td-", ""],
              ["", ".local"],
              ["td-1", "1.example"],
            ]),
          };
    default:
      return { serviceAccount: { namespace: "foo", name: random.pick(["bar", "barn"]) } };
  }
}

function condition(random: Random, predicates: number, depth: number): Condition {
  if (depth === 0 || random.chance(0.4)) return random.below(predicates);
  const parts = () => random.times(random.below(4), () => condition(random, predicates, depth - 1));
  switch (random.below(5)) {
    case 0:
      return { not: condition(random, predicates, depth - 1) };
    case 1:
    case 2:
      return { or: parts() };
    default:
      return { and: parts() };
  }
}

/** Predicates of which one holds whenever the condition does, if its structure shows some. */
export function guardOf(random: Random, of: Condition): number[] | undefined {
  if (typeof of === "number") return [of];
  if ("not" in of) return undefined;
  if ("and" in of) {
    const guards = of.and.map((part) => guardOf(random, part)).filter((guard) => guard !== undefined);
    return guards.length > 0 ? random.pick(guards) : undefined;
  }
  const guards = of.or.map((part) => guardOf(random, part));
  return guards.length > 0 && guards.every((guard) => guard !== undefined) ? guards.flat() : undefined;
}

/** @param wild whether guards may be any predicates, so that most are wrong */
export function authorization(random: Random, wild: boolean): Authorization {
  const predicates = random.times(1 + random.below(20), () => predicate(random));
  const rules = (): Rule[] => {
    const ids = random.times(random.below(6), () => `rule-${random.below(1000)}`);
    return [...new Set(ids)].sort().map((id) => {
      const rule: Rule = { id, condition: condition(random, predicates.length, 4) };
      const guard = wild
        ? random.times(1 + random.below(3), () => random.below(predicates.length))
        : guardOf(random, rule.condition);
      if (guard && random.chance(0.8)) rule.guard = guard;
      return rule;
    });
  };
  // A rule set, and the whole, is never empty, because the filter refuses an empty one.
  const ruleSet = () => {
    const set = {
      ...(random.chance(0.8) && { rules: rules() }),
      ...(random.chance(0.4) && { shadowRules: rules() }),
    };
    return set.rules || set.shadowRules ? set : { rules: rules() };
  };
  const sets = {
    ...(random.chance(0.4) && { audit: ruleSet() }),
    ...(random.chance(0.7) && { deny: ruleSet() }),
    ...(random.chance(0.7) && { allow: ruleSet() }),
  };
  return { predicates, ...(Object.keys(sets).length > 0 ? sets : { allow: ruleSet() }) };
}

export function payload(random: Random): Record<string, unknown> | undefined {
  if (random.chance(0.2)) return undefined;
  const value = (depth: number): unknown => {
    switch (random.below(depth > 0 ? 6 : 4)) {
      case 0:
        return random.pick([1, true, null, {}, []]);
      case 1:
        return random.times(random.below(4), () => random.pick<unknown>([...TEXTS, 1, ["a"], { a: "a" }]));
      case 2:
      case 3:
        return random.pick(TEXTS);
      default:
        return Object.fromEntries(
          random.times(3, () => [random.pick(["b", "c", "x", ""]), value(depth - 1)]),
        );
    }
  };
  return Object.fromEntries(
    ["sub", "scope", "roles", "a", "perms", "", "other"]
      .filter(() => random.chance(0.8))
      .map((name) => [name, value(2)]),
  );
}

export function request(random: Random): Facts {
  const address = () => {
    const text = random.pick(ADDRESSES);
    return text.includes(":") ? `[${text}]:1234` : `${text}:1234`;
  };
  const headers: Facts["headers"] = [
    [":authority", random.pick(HOSTS)],
    [":path", random.pick(PATHS) + random.pick(["", "?q", "#f"])],
    [":method", random.pick(METHODS)],
    ...random.times(random.below(5), (): [string, string] => [
      random.pick(["x-a", "x-b", "x-ab", "x-other"]),
      Buffer.from(random.pick(VALUES)).toString("latin1"),
    ]),
  ];
  const properties: Record<string, string | number> = {
    "destination.port": random.pick([80, 443, 8080]),
    "destination.address": address(),
    "source.address": address(),
    "filter_state.direct": random.pick(ADDRESSES),
  };
  if (random.chance(0.3)) return { headers, properties };
  properties["connection.requested_server_name"] = random.pick(["a.example", "b.example", "b"]);
  if (random.chance(0.3)) return { headers, properties };
  const uris = random.times(random.below(3), () => random.pick(PEERS));
  const dns = random.times(random.below(2), () => random.pick(PEERS));
  const subject = random.pick(["", "CN=/ns/foo/"]);
  const names = random.chance(0.9) ? [subjectAlternativeName({ uris, dns })] : [];
  const text = pem(certificate(names));
  properties["connection.peer_certificate"] = random.chance(0.5) ? text : urlEncoded(text);
  properties["connection.subject_peer_certificate"] = subject;
  const peerNames = [...(names.length > 0 ? [...uris, ...dns] : []), ...(subject ? [subject] : [])];
  return { headers, properties, peerNames };
}

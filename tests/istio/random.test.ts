/**
 * Policies made at random: valid ones compile to a configuration that the schema and the filter accept; one
 * fault is one error.
 */
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { configurationSchema } from "../../scripts/docs/schema.ts";
import type { Authorization, Condition, Rule } from "../../tools/config/schema.ts";
import { compile } from "../../tools/targets/compile.ts";
import type { Random } from "../fuzz/random.ts";
import { forAll } from "../support/for-all.ts";

const validate = new Ajv2020().compile(configurationSchema());

const WORDS = [
  "a",
  "ab",
  "admin",
  "x/y",
  "é",
  "no",
  "8080",
  "*",
  "a*",
  "*b",
  "**",
  "*a*",
  "a*b",
  "https://i/",
  "i/s",
  "i/*",
];
const ADDRESSES = ["1.2.3.4", "10.0.0.0/8", "10.1.2.3/7", "::1", "2001:db8::1/33"];
const ACCOUNTS = ["sa", "ns/sa"];
const DOMAINS = ["td", "td*", "*.td", "*"];
const VALUES: Record<string, string[]> = {
  principals: WORDS,
  requestPrincipals: WORDS,
  namespaces: WORDS,
  trustDomains: DOMAINS,
  ipBlocks: ADDRESSES,
  remoteIpBlocks: ADDRESSES,
  hosts: ["example.com", "*.example.com", "example.com:*", "*", "EXAMPLE.com:80"],
  methods: ["GET", "P*", "*", "*T"],
  paths: ["/", "/a", "/a/*", "*.jpg", "*", "/a/{*}", "/{**}", "/{*}/b/{**}/c", "no/slash"],
  ports: ["0", "80", "65535"],
  "source.ip": ADDRESSES,
  "remote.ip": ADDRESSES,
  "source.namespace": WORDS,
  "source.principal": WORDS,
  "source.serviceAccount": ACCOUNTS,
  "source.trustDomain": DOMAINS,
  "request.auth.principal": WORDS,
  "request.auth.audiences": WORDS,
  "request.auth.presenter": WORDS,
  "request.auth.claims[a]": WORDS,
  "request.auth.claims[a][b.c]": WORDS,
  "request.headers[X-A]": WORDS,
  "destination.ip": ADDRESSES,
  "destination.port": ["0", "443"],
  "connection.sni": WORDS,
};
const SOURCES = [
  "principals",
  "requestPrincipals",
  "namespaces",
  "trustDomains",
  "ipBlocks",
  "remoteIpBlocks",
];
const OPERATIONS = ["hosts", "methods", "paths", "ports"];
const KEYS = Object.keys(VALUES).filter((name) => name.includes("."));

type Fields = Record<string, unknown>;

function peer(random: Random, names: readonly string[]): Fields {
  const fields: Fields = {};
  for (const name of random.list(1, 3, () => random.pick(names))) {
    const field = random.chance(0.3) ? `not${name[0]!.toUpperCase()}${name.slice(1)}` : name;
    fields[field] = random.list(1, 3, () => random.pick(VALUES[name]!));
  }
  return fields;
}

function condition(random: Random): Fields {
  const key = random.pick(KEYS);
  const values = () => random.list(1, 3, () => random.pick(VALUES[key]!));
  const [positive, negative] = random.pick([
    [true, false],
    [false, true],
    [true, true],
  ]);
  return { key, ...(positive && { values: values() }), ...(negative && { notValues: values() }) };
}

function rule(random: Random): Fields {
  return {
    ...(random.chance(0.6) && { from: random.list(1, 3, () => ({ source: peer(random, SOURCES) })) }),
    ...(random.chance(0.6) && { to: random.list(1, 3, () => ({ operation: peer(random, OPERATIONS) })) }),
    ...(random.chance(0.5) && { when: random.list(1, 3, () => condition(random)) }),
  };
}

function policy(random: Random, index: number) {
  return {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name: `p${index}`, namespace: "foo" },
    spec: { action: random.pick(["ALLOW", "DENY", "AUDIT"]), rules: random.list(1, 4, () => rule(random)) },
  };
}

/** YAML 1.1, in which the strings above need quotes where Kubernetes wants them. */
const write = (resources: unknown[]) =>
  resources
    .map((resource) => stringify(resource, { version: "1.1", aliasDuplicateObjects: false }))
    .join("---\n");

function rulesOf({ allow, deny, audit }: Authorization): Rule[] {
  return [allow, deny, audit].flatMap((set) => [...(set?.rules ?? []), ...(set?.shadowRules ?? [])]);
}

function holds(condition: Condition, truths: readonly boolean[]): boolean {
  if (typeof condition === "number") return truths[condition]!;
  if ("and" in condition) return condition.and.every((part) => holds(part, truths));
  if ("or" in condition) return condition.or.some((part) => holds(part, truths));
  return !holds(condition.not, truths);
}

describe("random policies", () => {
  test("well-formed", () => {
    forAll(200, (random) => {
      const text = write(random.list(1, 4, (index) => policy(random, index)));
      const { configuration, diagnostics } = compile([{ name: "f", text }], { target: "envoy" });
      expect(diagnostics, text).toEqual([]);
      expect(validate(configuration), JSON.stringify(validate.errors)).toBe(true);
      const { predicates, ...sets } = configuration!.authorization!;
      expect(new Set(predicates.map((predicate) => JSON.stringify(predicate))).size).toBe(predicates.length);
      const rules = rulesOf({ predicates, ...sets });
      for (let round = 0; round < 50; round++) {
        const likelihood = random.pick([0.1, 0.5, 0.9]);
        const truths = predicates.map(() => random.chance(likelihood));
        for (const { condition: tested, guard } of rules) {
          if (guard === undefined || !holds(tested, truths)) continue;
          expect(guard.some((predicate) => truths[predicate])).toBe(true);
        }
      }
    });
  });

  /** Each makes one part of a well-formed policy wrong. */
  const FAULTS: Record<string, (spec: { action: unknown; rules: Fields[] }, random: Random) => void> = {
    "an unknown action": (spec, random) => {
      spec.action = random.pick(["allow", "Deny", "LOG", "custom", "", 1, true]);
    },
    "an unknown field": (spec, random) => {
      random.pick([spec as Fields, random.pick(spec.rules)])[
        random.pick(["form", "too", "selectors", "Rules"])
      ] = [];
    },
    "an empty value": (spec) => {
      spec.rules.push({ to: [{ operation: { methods: ["GET", ""] } }] });
    },
    "a value of another type": (spec, random) => {
      const value = random.pick([80, true, null, ["a"], { a: "b" }]);
      spec.rules.push({ from: [{ source: { principals: ["a", value] } }] });
    },
    "a scalar for a list": (spec) => {
      spec.rules.push({ to: [{ operation: { hosts: "example.com" } }] });
    },
    "an empty entry": (spec, random) => {
      spec.rules.push(
        random.pick([{ from: [{}] }, { to: [{}] }, { from: [{ source: {} }] }, { when: [{}] }]),
      );
    },
    "a bad port": (spec, random) => {
      spec.rules.push({
        to: [{ operation: { notPorts: [random.pick(["-1", "65536", "http", "0x50", "8 0"])] } }],
      });
    },
    "a bad address": (spec, random) => {
      const address = random.pick(["1.2.3", "1.2.3.4/33", "::1/129", "host", "1.2.3.4-5", "fe80::1%eth0"]);
      spec.rules.push({
        when: [{ key: random.pick(["source.ip", "remote.ip", "destination.ip"]), values: [address] }],
      });
    },
    "a bad key": (spec, random) => {
      const key = random.pick([
        "source",
        "request.headers",
        "request.auth.claims[]",
        "request.auth.claim[a]",
        "",
        "SOURCE.IP",
      ]);
      spec.rules.push({ when: [{ key, values: ["a"] }] });
    },
    "a condition without values": (spec) => {
      spec.rules.push({ when: [{ key: "connection.sni", values: [] }] });
    },
    "a bad path": (spec, random) => {
      const path = random.pick(["/{a}", "/a{*}", "/{*}/a*", "/{**}/{*}", "/{", "x/{*}", "//{*}", "/{*}/ /"]);
      spec.rules.push({ to: [{ operation: { paths: [path] } }] });
    },
    "a bad account": (spec, random) => {
      const account = random.pick(["*", "a*", "/a", "a/", "a/b/c", "a".repeat(321)]);
      spec.rules.push({ from: [{ source: { serviceAccounts: [account] } }] });
    },
  };

  test.each(Object.entries(FAULTS))("with %s", (_, spoil) => {
    forAll(30, (random) => {
      const resources = [policy(random, 0), policy(random, 1)];
      spoil(random.pick(resources).spec, random);
      const text = write(resources);
      const { configuration, diagnostics } = compile([{ name: "f", text }], { target: "envoy" });
      expect(configuration, text).toBeUndefined();
      expect(diagnostics, text).toHaveLength(1);
      expect(diagnostics[0]).toMatchObject({ severity: "error", file: "f" });
      expect(diagnostics[0]!.line).toBeGreaterThan(0);
      expect(diagnostics[0]!.column).toBeGreaterThan(0);
    });
  });
});

/** Single examples of the semantics, which do not depend on random choices. */
import { beforeAll, describe, expect, test } from "vitest";
import type { Authorization, Predicate, StringMatch } from "../../tools/config/schema.ts";
import type { Facts } from "../model/authz.ts";
import { certificate, pem, subjectAlternativeName } from "../support/certificate.ts";
import { AuthzGuest } from "./guest.ts";

let guest: AuthzGuest;
beforeAll(async () => {
  guest = AuthzGuest.create(await AuthzGuest.compile());
});

function load(authorization: Authorization): void {
  expect(guest.load(authorization)).toBeUndefined();
}

const GET: Facts = {
  headers: [
    [":method", "GET"],
    [":path", "/a?q=1#f"],
    [":authority", "Example.com:80"],
  ],
};

/** Whether the predicate is true for the request: a DENY rule then refuses it. */
function holds(predicate: Predicate, request = GET): boolean {
  load({ predicates: [predicate], deny: { rules: [{ id: "r", condition: 0, guard: [0] }] } });
  return guest.decide(request).refused;
}

describe("keys of every length", () => {
  const text = "/the-quick/brown-fox/jumps-over/the-lazy-dog";
  const lengths = Array.from({ length: text.length }, (_, i) => i + 1);
  const predicates: Predicate[] = [
    ...lengths.map((n) => ({ path: { prefix: text.slice(0, n) } })),
    ...lengths.map((n) => ({ path: { suffix: text.slice(-n) } })),
    ...lengths.map((n) => ({ path: { exact: text.slice(0, n) } })),
  ];

  /** Whether exactly these predicates of one index are true for the path. */
  function expectHeld(path: string, held: boolean[]): void {
    const all = { and: held.map((holds, i) => (holds ? i : { not: i })) };
    load({ predicates, deny: { rules: [{ id: "all", condition: all }] } });
    const headers: Facts["headers"] = [
      [":method", "GET"],
      [":path", path],
      [":authority", "example.com"],
    ];
    expect(guest.decide({ headers }).refused, path).toBe(true);
  }

  test("whichever byte differs", () => {
    for (let k = 0; k < text.length; k++) {
      const path = `${text.slice(0, k)}!${text.slice(k + 1)}`;
      expectHeld(path, [
        ...lengths.map((n) => n <= k),
        ...lengths.map((n) => n < text.length - k),
        ...lengths.map(() => false),
      ]);
    }
  });

  test("wherever the value ends", () => {
    for (let k = 1; k <= text.length; k++) {
      const path = text.slice(0, k);
      expectHeld(path, [
        ...lengths.map((n) => n <= k),
        ...lengths.map((n) => path.endsWith(text.slice(-n))),
        ...lengths.map((n) => n === k),
      ]);
    }
  });
});

describe("rules", () => {
  const always = { id: "always", condition: { and: [] } };
  const never = { id: "never", condition: { or: [] } };

  test.each<[what: string, policies: Omit<Authorization, "predicates">, refused: boolean, ruleId: string]>([
    ["an empty list of ALLOW rules allows nothing", { allow: { rules: [] } }, true, ""],
    ["an empty list of DENY rules denies nothing", { deny: { rules: [] } }, false, ""],
    ["ALLOW", { allow: { rules: [always, never] } }, false, "always"],
    ["ALLOW that does not match", { allow: { rules: [never] } }, true, ""],
    ["DENY", { deny: { rules: [always] } }, true, "always"],
    ["DENY before ALLOW", { deny: { rules: [always] }, allow: { rules: [always] } }, true, "always"],
    ["AUDIT refuses nothing", { audit: { rules: [always] } }, false, ""],
    ["dry-run refuses nothing", { deny: { shadowRules: [always] }, allow: { shadowRules: [] } }, false, ""],
  ])("%s", (_, policies, refused, ruleId) => {
    load({ predicates: [], ...policies });
    expect(guest.decide(GET)).toMatchObject({ refused, ruleId });
  });

  test.each<[what: string, policies: Omit<Authorization, "predicates">, fault: string]>([
    ["none", {}, '/: has none of "audit", "deny" and "allow"'],
    [
      "an empty rule set",
      { deny: { rules: [never] }, allow: {} },
      '/allow: has neither "rules" nor "shadowRules"',
    ],
  ])("%s is refused: a part of it may be lost", (_, policies, fault) => {
    expect(guest.load({ predicates: [], ...policies })).toContain(fault);
  });

  test("after the first refusal nothing else is evaluated", () => {
    const all = { rules: [always], shadowRules: [always] };
    load({ predicates: [], audit: all, deny: all, allow: all });
    expect(guest.decide(GET)).toEqual({
      refused: true,
      ruleId: "always",
      enforced: ["always", "always", undefined],
      shadow: ["always", "always", undefined],
    });
  });

  test("the first in order decides, guarded or not", () => {
    load({
      predicates: [{ path: { exact: "/a" } }, { path: { prefix: "/" } }, { method: { exact: "GET" } }],
      deny: {
        rules: [
          { id: "a", condition: { not: 0 } },
          { id: "b", condition: 1, guard: [1] },
          { id: "c", condition: 0, guard: [0] },
          { id: "d", condition: { and: [] } },
        ],
        shadowRules: [
          { id: "e", condition: { and: [0, { not: 2 }] }, guard: [0] },
          { id: "f", condition: { and: [] } },
          { id: "g", condition: { or: [1, 2] }, guard: [1, 2] },
        ],
      },
    });
    expect(guest.decide(GET)).toMatchObject({ ruleId: "b", shadow: [undefined, "f", undefined] });
  });
});

describe("claims", () => {
  function claimHolds(
    payload: object | undefined,
    claim: string[],
    match: StringMatch,
    delimited = "",
  ): boolean {
    const predicates = [{ claim, match }];
    load({ predicates, deny: { rules: [{ id: "r", condition: 0 }] } });
    guest.token(payload, delimited);
    return guest.decide(GET).refused;
  }
  const any: StringMatch = { nonEmpty: true };

  test.each<[payload: object | undefined, claim: string[], match: StringMatch, holds: boolean]>([
    [undefined, ["sub"], any, false],
    [{}, ["sub"], any, false],
    [{ sub: "" }, ["sub"], any, false],
    [{ sub: "" }, ["sub"], { exact: "" }, true],
    [{ sub: "a" }, ["sub"], any, true],
    [{ sub: "a\nb" }, ["sub"], any, false],
    [{ sub: "a\nb" }, ["sub"], { prefix: "a" }, true],
    [{ a: 1 }, ["a"], any, false],
    [{ a: true }, ["a"], any, false],
    [{ a: null }, ["a"], any, false],
    [{ a: { b: "c" } }, ["a"], any, false],
    [{ a: { b: "c" } }, ["a", "b"], { exact: "c" }, true],
    [{ a: { b: "c" } }, ["a.b"], { exact: "c" }, false],
    [{ "a.b": "c" }, ["a.b"], { exact: "c" }, true],
    [{ "https://x/y": "c" }, ["https://x/y"], { exact: "c" }, true],
    [{ a: ["x", "c"] }, ["a"], { exact: "c" }, true],
    [{ a: ["x", "c"] }, ["a"], { exact: "xc" }, false],
    [{ a: [["c"], { c: "c" }, 1] }, ["a"], { exact: "c" }, false],
    [{ a: [{ b: "c" }] }, ["a", "b"], { exact: "c" }, false],
    [{ "": { "": "c" } }, ["", ""], { exact: "c" }, true],
    [{ scope: "read write" }, ["scope"], { exact: "write" }, true],
    [{ scope: "read write" }, ["scope"], { exact: "read write" }, false],
    [{ scope: "read\twrite" }, ["scope"], { exact: "write" }, false],
    [{ scope: "  read " }, ["scope"], { exact: "" }, false],
    [{ scope: " " }, ["scope"], { exact: " " }, true],
    [{ scope: "" }, ["scope"], { exact: "" }, true],
    [{ scope: ["read write"] }, ["scope"], { exact: "write" }, false],
    [{ permission: "read write" }, ["permission"], { exact: "write" }, true],
    [{ a: { scope: "read write" } }, ["a", "scope"], { exact: "write" }, false],
    [{ roles: "read write" }, ["roles"], { exact: "write" }, false],
  ])("%j at %j is %j: %s", (payload, claim, match, expected) => {
    expect(claimHolds(payload, claim, match)).toBe(expected);
  });

  test("that the provider's spaceDelimitedClaims name", () => {
    expect(claimHolds({ roles: "read write" }, ["roles"], { exact: "write" }, "roles")).toBe(true);
    expect(claimHolds({ roles: "read write" }, ["roles"], { exact: "read write" }, "roles")).toBe(false);
  });

  test("of more predicates than the bits of a word", () => {
    const names = Array.from({ length: 200 }, (_, i) => `v${i}`);
    const predicates = names.map((name) => ({ claim: ["a"], match: { exact: name } }));
    const rules = names.map((name, i) => ({ id: name, condition: i, guard: [i] }));
    load({ predicates, deny: { rules: rules.sort((a, b) => (a.id < b.id ? -1 : 1)) } });
    for (const name of names) {
      guest.token({ a: [name, "other"] });
      expect(guest.decide(GET).ruleId).toBe(name);
    }
    guest.token(undefined);
    expect(guest.decide(GET).refused).toBe(false);
  });
});

describe("attributes", () => {
  const withHeaders = (...headers: [string, string][]): Facts => ({
    headers: [...GET.headers, ...headers],
  });
  const withProperties = (properties: Record<string, string | number>): Facts => ({
    ...GET,
    properties,
  });

  test("paths have no query and no fragment", () => {
    expect(holds({ path: { exact: "/a" } })).toBe(true);
    expect(holds({ path: { suffix: "1" } })).toBe(false);
    expect(holds({ path: { template: "/{*}" } })).toBe(true);
  });

  test("hosts include the port and ignore case", () => {
    expect(holds({ host: { exact: "eXample.COM:80" } })).toBe(true);
    expect(holds({ host: { exact: "example.com" } })).toBe(false);
    expect(holds({ host: { prefix: "EXAMPLE" } })).toBe(true);
    expect(holds({ host: { suffix: ".Com:80" } })).toBe(true);
  });

  test("`host` is another name of `:authority`", () => {
    expect(holds({ header: "host", match: { exact: "Example.com:80" } })).toBe(true);
    expect(holds({ header: "host", match: { exact: "example.com:80" } })).toBe(false);
    expect(holds({ header: ":authority", match: { present: true } })).toBe(true);
    expect(holds({ header: ":path", match: { exact: "/a?q=1#f" } })).toBe(true);
  });

  test("methods are case-sensitive", () => {
    expect(holds({ method: { exact: "GET" } })).toBe(true);
    expect(holds({ method: { exact: "get" } })).toBe(false);
  });

  test("each value of a header counts by itself", () => {
    const twice = withHeaders(["x-a", "a"], ["x-b", "c"], ["x-a", "b"]);
    expect(holds({ header: "x-a", match: { exact: "a" } }, twice)).toBe(true);
    expect(holds({ header: "x-a", match: { exact: "b" } }, twice)).toBe(true);
    expect(holds({ header: "x-a", match: { exact: "a,b" } }, twice)).toBe(false);
    expect(holds({ header: "x-a", match: { exact: "c" } }, twice)).toBe(false);
  });

  test("an empty header is present", () => {
    expect(holds({ header: "x-a", match: { present: true } }, withHeaders(["x-a", ""]))).toBe(true);
    expect(holds({ header: "x-a", match: { nonEmpty: true } }, withHeaders(["x-a", ""]))).toBe(false);
    expect(holds({ header: "x-a", match: { present: true } })).toBe(false);
  });

  test("headers with long names are distinguished", () => {
    const name = "x".repeat(100);
    expect(holds({ header: name, match: { present: true } }, withHeaders([name, ""]))).toBe(true);
    expect(holds({ header: name, match: { present: true } }, withHeaders([`${name}x`, ""]))).toBe(false);
  });

  test("a known port, and an unknown one", () => {
    expect(holds({ destinationPort: 80 }, withProperties({ "destination.port": 80 }))).toBe(true);
    expect(holds({ destinationPort: 80 }, withProperties({ "destination.port": 81 }))).toBe(false);
    expect(holds({ destinationPort: 80 })).toBe(false);
  });

  test("an unknown address fails closed", () => {
    load({
      predicates: [{ sourceIp: "10.0.0.0/8" }],
      deny: { rules: [{ id: "r", condition: { not: 0 } }] },
    });
    expect(() => guest.decide(GET)).toThrow("the host failed");
    expect(guest.decide(withProperties({ "filter_state.direct": "10.1.2.3" })).refused).toBe(false);
  });

  test("every name of the peer counts, URI, DNS and subject", () => {
    const names = subjectAlternativeName({
      uris: ["spiffe://a/ns/x/sa/y", "spiffe://b/ns/x/sa/y"],
      dns: ["d"],
    });
    const peer = withProperties({
      "connection.peer_certificate": pem(certificate([names])),
      "connection.subject_peer_certificate": "CN=s",
    });
    for (const exact of ["spiffe://a/ns/x/sa/y", "spiffe://b/ns/x/sa/y", "d", "CN=s"]) {
      expect(holds({ principal: { exact } }, peer)).toBe(true);
    }
    expect(holds({ principal: { exact: "x" } }, peer)).toBe(false);
    expect(holds({ serviceAccount: { namespace: "x", name: "y" } }, peer)).toBe(true);
    expect(holds({ trustDomain: ["b", ""] }, peer)).toBe(true);
    expect(holds({ peer: ["", "/ns/x/", ""] }, peer)).toBe(true);
    expect(holds({ principal: { nonEmpty: true } })).toBe(false);
  });

  test("a certificate that cannot be read, or that the host hides, fails closed", () => {
    load({
      predicates: [{ principal: { exact: "a" } }],
      deny: { rules: [{ id: "r", condition: { not: 0 } }] },
    });
    expect(guest.decide(GET).refused).toBe(true);
    expect(() => guest.decide(withProperties({ "connection.peer_certificate": "x" }))).toThrow(
      "the host failed",
    );
    expect(() => guest.decide(withProperties({ "connection.mtls": "\x01" }))).toThrow("the host failed");
    expect(guest.decide(withProperties({ "connection.mtls": "\x00" })).refused).toBe(true);
  });
});

test("a decision allocates no lasting memory", () => {
  const predicates: Predicate[] = [{ path: { prefix: "/" } }, { claim: ["a"], match: { exact: "a" } }];
  load({ predicates, deny: { rules: [{ id: "r", condition: { and: [0, 1] }, guard: [0] }] } });
  guest.token({ a: ["a"] });
  expect(guest.decide(GET).refused).toBe(true);
  const before = guest.memorySize;
  for (let i = 0; i < 1000; i++) {
    guest.read(GET);
    guest.repeat(1000);
  }
  expect(guest.memorySize).toBe(before);
});

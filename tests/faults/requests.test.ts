/**
 * Hostile requests in the project's own host: the filter answers or forwards each, never fails, and keeps no
 * memory. The random ones are made from a seed, so that a failure can be repeated.
 */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import type { Host } from "../../tools/host/host.ts";
import type { DownstreamRequest } from "../../tools/host/http-connection-manager.ts";
import { createNodeHost } from "../../tools/host/node.ts";
import { compile } from "../../tools/targets/compile.ts";
import { Random } from "../fuzz/random.ts";
import { MODULE } from "../support/envoy.ts";
import { bearer, TestKey } from "../support/tokens.ts";

const ISSUER = "https://issuer.example";
const key = TestKey.generate("HS256", "k");
const POLICIES = `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: a, namespace: foo}
spec:
  jwtRules:
  - issuer: ${ISSUER}
    jwks: '${key.jwks}'
    fromHeaders: [{name: authorization, prefix: 'Bearer '}, {name: x-t}, {name: x-1}, {name: x-2}, {name: x-3}]
    fromParams: [t, u]
    fromCookies: [c, d]
    outputPayloadToHeader: x-payload
    outputClaimToHeaders: [{header: x-a, claim: a}, {header: x-b, claim: a.b}, {header: x-c, claim: c}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: a, namespace: foo}
spec:
  action: DENY
  rules:
  - to: [{operation: {paths: ['/denied*']}}]
  - from: [{source: {notRequestPrincipals: ['*/s*']}}]
    to: [{operation: {paths: ['/x/{*}/y/{**}', '*.html', '/p*'], hosts: ['*.example'], notMethods: [GET]}}]
    when:
    - {key: 'request.auth.claims[a][b]', values: ['x*', '*']}
    - {key: 'request.auth.claims[scope]', notValues: [read]}
    - {key: 'request.headers[x-h]', values: ['*']}
    - {key: request.auth.audiences, notValues: ['none']}
`;

let host: Host;
beforeAll(async () => {
  const { configuration } = compile([{ name: "policies.yaml", text: POLICIES }], { target: "envoy" });
  host = await createNodeHost(readFileSync(MODULE));
  expect(host.configure(configuration).accepted).toBe(true);
});

/** The status of the answer; 200 if the request is forwarded. */
function statusOf(request: DownstreamRequest): number {
  const { outcome } = host.send(request);
  host.logs.length = 0;
  if (outcome === undefined) throw new Error("the filter holds the request");
  expect(outcome.trapped).toBeUndefined();
  return outcome.answer?.status ?? 200;
}

describe("limits", () => {
  const good = key.token({ iss: ISSUER, sub: "s" });
  const body = (request: DownstreamRequest): string | undefined => host.send(request).outcome?.answer?.body;

  test("a token over 16 KiB (S12)", () => {
    const large = (size: number): string => key.token({ iss: ISSUER, sub: "s", pad: "x".repeat(size) });
    expect(large(12_000).length).toBeLessThan(16 * 1024);
    expect(statusOf({ headers: [bearer(large(12_000))] })).toBe(200);
    expect(body({ headers: [bearer(large(12_500))] })).toBe("Jwt is too large");
    expect(body({ headers: [bearer("a".repeat(60_000))] })).toBe("Jwt is too large");
  });

  test("more than 8 tokens in a request (S12)", () => {
    const tokens = (count: number): DownstreamRequest => ({
      path: `/?t=${good}&u=${good}`,
      headers: [
        ["cookie", `c=${good}; d=${good}`],
        bearer(good),
        ...["x-t", "x-1", "x-2", "x-3"].slice(0, count - 5).map((name): [string, string] => [name, good]),
      ],
    });
    expect(statusOf(tokens(8))).toBe(200);
    expect(body(tokens(9))).toBe("Too many Jwts in the request");
  });

  test("a thousand headers, a path of 60 KB, many cookies", () => {
    const headers = Array.from({ length: 1000 }, (_, i): [string, string] => [`x-h${i}`, "v".repeat(i % 50)]);
    expect(statusOf({ headers: [...headers, bearer(good)] })).toBe(200);
    expect(
      statusOf({ path: `/${"a/".repeat(30_000)}?${"t&".repeat(10_000)}`, headers: [bearer(good)] }),
    ).toBe(401);
    const cookie = Array.from({ length: 3000 }, (_, i) => `c${i}=${i}`).join("; ");
    expect(statusOf({ headers: [["cookie", cookie], bearer(good)] })).toBe(200);
  });
});

describe("claims of any shape, rightly signed", () => {
  const nested = (depth: number, open: string, close: string): string =>
    open.repeat(depth) + close.repeat(depth);
  const shapes: Record<string, string> = {
    null: "null",
    "nested lists": nested(90, "[", "]"),
    "nested objects": `${'{"a":'.repeat(90)}1${"}".repeat(90)}`,
    "too deep": nested(101, "[", "]"),
    "far too deep": nested(7000, "[", "]"),
    "many elements": `[${"1,".repeat(4000)}1]`,
    "many members": `{${Array.from({ length: 1000 }, (_, i) => `"m${i}":${i}`).join(",")}}`,
    "the largest number": "1.7976931348623157e308",
    "a number over it": "1e400",
    "a tiny number": "1e-400",
    "many digits": "1".repeat(5000),
    "many decimals": `0.${"9".repeat(5000)}`,
    "minus zero": "-0",
    "a control character": '"a\\u0000b"',
    "a line break": '"a\\r\\nx-evil: 1"',
    "an escape of a surrogate pair": '"\\ud83d\\ude00"',
    "half of one": '"\\ud83d"',
    "not ASCII": '"é漢😀"',
    "an empty string": '""',
    "a long string": JSON.stringify("y".repeat(10_000)),
    "spaces around": '" a "',
    "quotes and backslashes": JSON.stringify('"\\/'.repeat(500)),
  };

  test.each(Object.entries(shapes))("%s", (_name, shape) => {
    for (const member of ["a", "c", "scope", "aud", "sub", "iss", "exp", "nbf", "jti", "other"]) {
      const own = { iss: `"${ISSUER}"`, sub: '"s"', exp: "4102444800", [member]: shape };
      const payload = `{${Object.entries(own)
        .map(([name, value]) => `"${name}":${value}`)
        .join(",")}}`;
      const status = statusOf({ headers: [bearer(key.tokenOf(payload)), ["x-h", "1"]], path: "/page.html" });
      expect([200, 401, 403]).toContain(status);
    }
  });
});

describe("random requests", () => {
  test("never make the filter fail, and leave memory as it was", () => {
    const choices = new Random(20_261_122);
    const { below } = choices;
    const pick = <T>(list: readonly T[]): T => choices.pick(list);
    const good = key.token({
      iss: ISSUER,
      sub: "s",
      a: { b: "x", c: [1, { d: null }] },
      scope: "read write",
      aud: ["x"],
    });
    const bytes = (length: number): string =>
      Array.from({ length }, () =>
        String.fromCharCode(pick([below(256), 0x20 + below(95), 0x2e, 0x3d])),
      ).join("");
    const mutated = (text: string): string => {
      let result = text;
      for (let i = below(4); i >= 0; i--) {
        const at = below(result.length + 1);
        result = pick([
          () => result.slice(0, at) + bytes(1) + result.slice(at + 1),
          () => result.slice(0, at) + result.slice(at + 1 + below(20)),
          () => result.slice(0, at) + bytes(1 + below(5)) + result.slice(at),
          () => result.slice(at) + result.slice(0, at),
          () => result + result.slice(at),
        ])();
      }
      return result;
    };
    const value = (): string =>
      pick([
        () => good,
        () => `Bearer ${good}`,
        () => `Bearer ${mutated(good)}`,
        () => mutated(good),
        () => `c=${mutated(good)}; d="${good}"; ${bytes(10)}`,
        () => bytes(below(100)),
        () => "",
      ])().replace(/[\r\n\0]/g, "");
    const names = [
      "authorization",
      "Authorization",
      "x-t",
      "cookie",
      "x-h",
      "origin",
      "content-type",
      "x-a",
      "host",
    ];
    const request = (): DownstreamRequest => ({
      method: pick(["GET", "POST", "OPTIONS", "HEAD"]),
      path: pick([
        "/",
        "/denied",
        "/x/1/y/2",
        "/page.html",
        `/p?t=${good}&u=${mutated(good)}`,
        `/?${bytes(50)}`,
        `/${bytes(20)}`,
      ]),
      authority: pick(["a.example", "", bytes(5).replace(/[\r\n\0]/g, "")]),
      headers: Array.from({ length: below(8) }, (): [string, string] => [pick(names), value()]),
    });

    const statuses = new Map<number, number>();
    const send = (count: number): void => {
      for (let i = 0; i < count; i++) {
        const status = statusOf(request());
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    };
    send(3000);
    const before = host.memorySize;
    send(12_000);
    expect(host.memorySize).toBe(before);
    expect(host.contextCount).toBe(1);
    // All kinds of decision were made.
    expect([...statuses.keys()].sort()).toEqual([200, 400, 401, 403]);
  });
});

/**
 * The requests of the documents this project comes from, in a real Envoy, through `jwtgate compile --output envoy`.
 */
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { Gate, type GateAnswer } from "../support/gate.ts";
import { type Http1Request, headerOf } from "../support/http1.ts";
import { bearer, TestKey } from "../support/tokens.ts";

/** Istio's sample key set and token (istio/istio, security/tools/jwt/samples). */
const ISTIO_JWKS = `{"keys":[{"e":"AQAB","kid":"DHFbpoIUqrY8t2zpA2qXfCmr5VO5ZEr4RzHU_-envvQ","kty":"RSA","n":"xAE7eB6qugXyCAG3yhh7pkDkT65pHymX-P7KfIupjf59vsdo91bSP9C8H07pSAGQO1MV_xFj9VswgsCg4R6otmg5PV2He95lZdHtOcU5DXIg_pbhLdKXbi66GlVeK6ABZOUW3WYtnNHD-91gVuoeJT_DwtGGcp4ignkgXfkiEm4sw-4sfb4qdt5oLbyVpmW6x9cfa7vs2WTfURiCrBoUqgBo_-4WTiULmmHSGZHOjzwa8WtrtOQGsAFjIbno85jp6MnGGGZPYZbDAa_b3y5u-YpW7ypZrvD8BgtKVjgtQgZhLAGezMt0ua3DRrWnKqTZ0BJ_EyxOGuHJrLsn00fnMQ"}]}`;
const TOKEN =
  "eyJhbGciOiJSUzI1NiIsImtpZCI6IkRIRmJwb0lVcXJZOHQyenBBMnFYZkNtcjVWTzVaRXI0UnpIVV8tZW52dlEiLCJ0eXAiOiJKV1QifQ.eyJleHAiOjQ2ODU5ODk3MDAsImZvbyI6ImJhciIsImlhdCI6MTUzMjM4OTcwMCwiaXNzIjoidGVzdGluZ0BzZWN1cmUuaXN0aW8uaW8iLCJzdWIiOiJ0ZXN0aW5nQHNlY3VyZS5pc3Rpby5pbyJ9.CfNnxWP2tcnR9q0vxyxweaF3ovQYHYZl82hAUsn21bwQd9zP7c-LS9qd_vpdLG4Tn1A15NxfCjp5f7QNBUo-KC9PJqYpgGbaXhaGx7bEdFWjcwv3nZzvc7M__ZpaCERdwU7igUmJqYGBYQ51vr2njU9ZimyKkfDe3axcyiBZde7G6dabliUosJvvKOPcKIWPccCgefSj_GNfwIip3-SsFdlR7BtbVUcqR-yv-XOxJ3Uc1MI0tz3uMiiZcyPV7sNCU4KRnemRIMHVOfuvHsU60_GhGbiSFzgPTAa9WTltbnarTbxudb_YEOx12JiwYToeX0DCPb43W1tzIBxgm8NxUg";

const DENIED = "RBAC: access denied";
const MALFORMED = "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections";

function authentication(issuer: string, jwks: string, more = ""): string {
  return `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: authentication, namespace: foo}
spec:
  jwtRules:
  - issuer: ${issuer}
    jwks: '${jwks}'
${more.replace(/^/gm, "    ")}
---
`;
}

function authorization(spec: string): string {
  return `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: authorization, namespace: foo}
spec: ${spec}
`;
}

let gate: Gate | undefined;
afterEach(async () => {
  await gate?.stop();
  gate = undefined;
});

async function start(...policies: string[]): Promise<Gate> {
  gate = await Gate.start(policies.join(""));
  return gate;
}

/** Status of each request, in order. */
async function statuses(running: Gate, paths: string[], request: Http1Request = {}): Promise<number[]> {
  const found: number[] = [];
  for (const path of paths) found.push((await running.request({ ...request, path })).status);
  return found;
}

const withIstioToken: Http1Request = { headers: [bearer(TOKEN)] };

/** What every 403 of a policy is like. */
function expectDenied(answer: GateAnswer, rule = "none"): void {
  expect(answer).toMatchObject({ status: 403, body: DENIED, received: undefined });
  expect(headerOf(answer, "content-length")).toBe("19");
  expect(headerOf(answer, "content-type")).toBe("text/plain");
  expect(headerOf(answer, "www-authenticate")).toBeUndefined();
  expect(answer.details).toBe(`rbac_access_denied_matched_policy[${rule}]`);
}

/** What every 401 is like. */
function expectUnauthorized(answer: GateAnswer, body: string, path: string): void {
  expect(answer).toMatchObject({ status: 401, body, received: undefined });
  expect(headerOf(answer, "content-length")).toBe(String(body.length));
  expect(headerOf(answer, "content-type")).toBe("text/plain");
  expect(headerOf(answer, "www-authenticate")).toBe(
    `Bearer realm="http://localhost${path}", error="invalid_token"`,
  );
  expect(answer.details).toBe(`jwt_authn_access_denied{${body.replaceAll(" ", "_")}}`);
}

const ISTIO = authentication("testing@secure.istio.io", ISTIO_JWKS);

describe("A: skip JWT for a path", () => {
  test("only the path named passes without a token", async () => {
    const running = await start(
      ISTIO,
      authorization(`
  action: DENY
  rules:
  - from: [{source: {notRequestPrincipals: ['*']}}]
    to: [{operation: {notPaths: [/productpage]}}]`),
    );
    const paths = ["/productpage", "/api/v1/products/0", "/api/v1/products/1"];
    expect(await statuses(running, paths)).toEqual([200, 403, 403]);
    expect(await statuses(running, paths, withIstioToken)).toEqual([200, 200, 200]);
    expectDenied(
      await running.request({ path: "/api/v1/products/0" }),
      "ns[foo]-policy[authorization]-rule[0]",
    );
  });
});

describe("B: protect a path", () => {
  test("the path needs a token, others need none but refuse a bad one", async () => {
    const running = await start(
      ISTIO,
      authorization(`
  action: DENY
  rules:
  - from: [{source: {notRequestPrincipals: ['*']}}]
    to: [{operation: {paths: [/productpage]}}]`),
    );
    const invalid: Http1Request = { headers: [["authorization", "Bearer invalid token"]] };
    expect(await statuses(running, ["/productpage"], withIstioToken)).toEqual([200]);
    expectDenied(await running.request({ path: "/productpage" }), "ns[foo]-policy[authorization]-rule[0]");
    expectUnauthorized(
      await running.request({ ...invalid, path: "/productpage" }),
      MALFORMED,
      "/productpage",
    );
    expect(await statuses(running, ["/api/v1/products/1"])).toEqual([200]);
    expectUnauthorized(
      await running.request({ ...invalid, path: "/api/v1/products/1" }),
      MALFORMED,
      "/api/v1/products/1",
    );
  });
});

describe("C: only RequestAuthentication, then with policies", () => {
  const key = TestKey.generate("RS256", "asm");
  const issuer = "testing@asm.test.io";
  const ASM = authentication(issuer, key.jwks);
  const valid: Http1Request = { headers: [bearer(key.token({ iss: issuer, sub: "demo@asm.test.io" }))] };
  const withoutSubject: Http1Request = { headers: [bearer(key.token({ iss: issuer }))] };
  const invalid: Http1Request = { headers: [["Authorization", "Bearer invalidToken"]] };

  test("requests with a valid token or without one pass, a bad token is refused", async () => {
    const running = await start(ASM);
    expect(await statuses(running, ["/"], valid)).toEqual([200]);
    expect(await statuses(running, ["/"])).toEqual([200]);
    expectUnauthorized(await running.request({ ...invalid, path: "/" }), MALFORMED, "/");
    expect(MALFORMED.length).toBe(79);
  });

  test("the same as HEAD: the same headers, no body", async () => {
    const running = await start(
      ASM,
      authorization(`{rules: [{from: [{source: {requestPrincipals: ['*']}}]}]}`),
    );
    for (const request of [{}, invalid]) {
      const got = await running.request(request);
      const head = await running.request({ ...request, method: "HEAD" });
      const headers = (answer: GateAnswer) => answer.headers.filter(([name]) => name !== "date").sort();
      expect(head.status).toBe(got.status);
      expect(headers(head)).toEqual(headers(got));
      expect(head.body).toBe("");
    }
    expect(headerOf(await running.request({ method: "HEAD" }), "content-length")).toBe("19");
    expect(headerOf(await running.request({ ...invalid, method: "HEAD" }), "content-length")).toBe("79");
  });

  test("an ALLOW policy for any principal", async () => {
    const running = await start(
      ASM,
      authorization(`{rules: [{from: [{source: {requestPrincipals: ['*']}}]}]}`),
    );
    expectDenied(await running.request({}));
    expectDenied(await running.request(withoutSubject));
    expect(await statuses(running, ["/"], valid)).toEqual([200]);
  });

  test("an ALLOW policy for one principal, with a path exempted", async () => {
    const running = await start(
      ASM,
      authorization(`
  rules:
  - from: [{source: {requestPrincipals: [testing@asm.test.io/demo@asm.test.io]}}]
  - to: [{operation: {paths: [/healthz]}}]`),
    );
    expectDenied(await running.request(withoutSubject));
    expect(await statuses(running, ["/"], valid)).toEqual([200]);
    expect(await statuses(running, ["/healthz"])).toEqual([200]);
    expectDenied(await running.request({ path: "/healthz/x" }));
  });
});

describe("D: one principal", () => {
  test("no token, another issuer, the principal", async () => {
    const other = TestKey.generate("RS256", "other");
    const running = await start(
      ISTIO,
      authorization(
        "{rules: [{from: [{source: {requestPrincipals: [testing@secure.istio.io/testing@secure.istio.io]}}]}]}",
      ),
    );
    expectDenied(await running.request({}));
    const foreign = { headers: [bearer(other.token({ iss: "https://other.example", sub: "x" }))] };
    expectUnauthorized(await running.request(foreign), "Jwt issuer is not configured", "/");
    expect(await statuses(running, ["/"], withIstioToken)).toEqual([200]);
  });
});

describe("E: positions, and forwarded headers", () => {
  const places = `
fromHeaders:
- name: x-jwt
- {name: x-auth, prefix: 'Token '}
fromParams: [access_token]
fromCookies: [session]`;
  const requests: Record<string, Http1Request> = {
    "a header without prefix": { headers: [["x-jwt", TOKEN]] },
    "a header with prefix": { headers: [["x-auth", `Token ${TOKEN}`]] },
    "a query parameter": { path: `/?a=1&access_token=${TOKEN}&b=2` },
    "a cookie": { headers: [["cookie", `a=1; session=${TOKEN}`]] },
  };
  const gates = new Map<boolean, Promise<Gate>>();
  const gateOf = (forward: boolean): Promise<Gate> => {
    const running =
      gates.get(forward) ??
      Gate.start(
        authentication(
          "testing@secure.istio.io",
          ISTIO_JWKS,
          `${places}
forwardOriginalToken: ${forward}
outputPayloadToHeader: x-payload
outputClaimToHeaders: [{header: x-foo, claim: foo}]`,
        ) + authorization("{rules: [{from: [{source: {requestPrincipals: ['*']}}]}]}"),
      );
    gates.set(forward, running);
    return running;
  };
  afterAll(async () => {
    for (const running of gates.values()) await (await running).stop();
  });

  test.each(Object.entries(requests))("%s", async (place, request) => {
    for (const forward of [true, false]) {
      const { status, received } = await (await gateOf(forward)).request(request);
      expect(status).toBe(200);
      const sent = JSON.stringify([
        received?.path,
        received?.headers.filter(([name]) => name !== "x-payload"),
      ]);
      // Cookies are never taken away, as in Envoy.
      expect(sent.includes(TOKEN)).toBe(forward || place === "a cookie");
      if (place === "a query parameter") {
        expect(received?.path).toBe(forward ? request.path : "/?a=1&b=2");
      }
      const values = (name: string) =>
        received?.headers.filter(([key]) => key === name).map(([, value]) => value);
      expect(values("x-payload")).toEqual([TOKEN.split(".")[1]]);
      expect(values("x-foo")).toEqual(["bar"]);
    }
  });

  test("Authorization is not a place once others are named", async () => {
    expectDenied(await (await gateOf(false)).request(withIstioToken));
  });

  test.each(["x-foo", "X-Foo", "x-payload"])(
    "a request that brings its own %s never gets it through",
    async (name) => {
      const running = await gateOf(false);
      const forged: [string, string] = [name, "forged"];
      for (const [place, request] of Object.entries(requests)) {
        const { received } = await running.request({
          ...request,
          headers: [forged, ...(request.headers ?? []), forged],
        });
        expect(JSON.stringify(received), place).not.toContain("forged");
      }
    },
  );

  test("nor without a token, nor in a CORS preflight", async () => {
    const open = await start(
      authentication(
        "testing@secure.istio.io",
        ISTIO_JWKS,
        "outputClaimToHeaders: [{header: x-foo, claim: foo}]",
      ),
    );
    const forged: [string, string][] = [
      ["x-foo", "forged"],
      ["X-FOO", "forged too"],
    ];
    const preflight: [string, string][] = [
      ["origin", "https://a.example"],
      ["access-control-request-method", "GET"],
    ];
    for (const request of [{ headers: forged }, { method: "OPTIONS", headers: [...forged, ...preflight] }]) {
      const { status, received } = await open.request(request);
      expect(status).toBe(200);
      expect(JSON.stringify(received)).not.toContain("forged");
    }
  });
});

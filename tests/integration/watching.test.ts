/** What operators see: shadow mode, dry-run, AUDIT, filter state in access logs, counters. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Envoy } from "../../tools/envoy/process.ts";
import { cluster, listener } from "../../tools/render/bootstrap.ts";
import { type CompileOptions, compile } from "../../tools/targets/compile.ts";
import { MODULE, startEnvoy } from "../support/envoy.ts";
import { Http1Client, type Http1Request, type Http1Response } from "../support/http1.ts";
import { bearer, TestKey } from "../support/tokens.ts";
import { receivedOf, startUpstream, type Upstream } from "../support/upstream.ts";

const ISSUER = "https://issuer.example";
const key = TestKey.generate("ES256", "k");

const POLICIES = `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: jwt, namespace: foo}
spec:
  jwtRules:
  - issuer: ${ISSUER}
    jwks: '${key.jwks}'
    outputClaimToHeaders: [{header: x-sub, claim: sub}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: audited, namespace: foo}
spec:
  action: AUDIT
  rules: [{to: [{operation: {paths: [/audited]}}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: tried
  namespace: foo
  annotations: {istio.io/dry-run: "true"}
spec:
  action: DENY
  rules: [{to: [{operation: {paths: [/tried]}}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: members, namespace: foo}
spec:
  rules: [{from: [{source: {requestPrincipals: ['${ISSUER}/*']}}]}]
`;

let upstream: Upstream;
beforeAll(async () => {
  upstream = await startUpstream();
});
afterAll(() => upstream?.close());

interface Watched {
  envoy: Envoy;
  get(request: Http1Request): Promise<Http1Response>;
  stop(): Promise<void>;
}

async function start(options: Partial<CompileOptions>): Promise<Watched> {
  const { configuration, diagnostics } = compile([{ name: "p.yaml", text: POLICIES }], {
    target: "envoy",
    ...options,
  });
  expect(diagnostics).toEqual([]);
  if (configuration === undefined) throw new Error("the policies do not compile");
  const envoy = await startEnvoy(
    {
      listeners: [
        listener({
          name: "gate",
          address: { host: "127.0.0.1", port: 0 },
          module: MODULE,
          configuration,
          cluster: "upstream",
        }),
      ],
      clusters: [cluster({ name: "upstream", address: { host: "127.0.0.1", port: upstream.port } })],
    },
    { logLevel: "info", logFlushMs: 10 },
  );
  const client = new Http1Client({ host: "127.0.0.1", port: await envoy.portOf("gate") });
  return {
    envoy,
    get: (request) => client.request(request),
    stop: () => {
      client.close();
      return envoy.stop();
    },
  };
}

/** Waits until Envoy has written the expected text. */
async function logged(envoy: Envoy, pattern: RegExp): Promise<RegExpMatchArray> {
  const end = Date.now() + 10_000;
  let found = envoy.log.match(pattern);
  while (!found && Date.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    found = envoy.log.match(pattern);
  }
  if (!found) throw new Error(`no ${pattern} in the log:\n${envoy.log}`);
  return found;
}

async function counted(envoy: Envoy, name: string, wanted: number): Promise<void> {
  const end = Date.now() + 10_000;
  let value: number | undefined;
  do {
    value = (await envoy.stats(`jwtgate_${name}`)).get(`wasmcustom.jwtgate_${name}`);
    if (value === wanted) return;
  } while (Date.now() < end);
  expect(value).toBe(wanted);
}

describe("AUDIT and dry-run", () => {
  test("change no answer, are counted and logged by rule, without headers or queries", async () => {
    const { envoy, get, stop } = await start({});
    try {
      const headers = [bearer(key.token({ iss: ISSUER, sub: "someone" }))];
      expect((await get({ path: "/audited?code=xyzzy", headers })).status).toBe(200);
      expect((await get({ path: "/tried", headers })).status).toBe(200);
      await logged(
        envoy,
        /AUDIT matched: ns\[foo\]-policy\[audited\]-rule\[0\] method=GET authority=\S+ path=\/audited\n/,
      );
      await logged(envoy, /dry-run would refuse: ns\[foo\]-policy\[tried\]-rule\[0\]/);
      await counted(envoy, "audit_matched", 1);
      await counted(envoy, "dry_run_denied", 1);
      await counted(envoy, "allowed", 2);
      expect(envoy.log).not.toMatch(/eyJ|xyzzy/);
    } finally {
      await stop();
    }
  });
});

describe("--shadow", () => {
  test("decides and counts, and forwards every request as it came", async () => {
    const { envoy, get, stop } = await start({ shadow: true });
    try {
      const token = key.token({ iss: ISSUER, sub: "someone" });
      const requests: [string, string][][] = [
        [],
        [["authorization", "Bearer junk"]],
        [bearer(token), ["x-sub", "forged"]],
        [["x-sub", "forged"]],
      ];
      for (const headers of requests) {
        const response = await get({ path: "/a?b", headers });
        expect(response.status).toBe(200);
        const received = receivedOf(response);
        const sent = headers.map(([name, value]) => [name.toLowerCase(), value]);
        const names = sent.map(([name]) => name);
        expect(received?.path).toBe("/a?b");
        expect(received?.headers.filter(([name]) => names.includes(name) || name === "x-sub")).toEqual(sent);
      }
      await logged(envoy, /shadow would refuse: rbac_access_denied_matched_policy\[none\]/);
      await logged(envoy, /shadow would refuse: Jwt is not in the form/);
      await counted(envoy, "shadow_denied", 3);
    } finally {
      await stop();
    }
  });
});

describe("--filter-state", () => {
  test("writes principal, policy and reason into access logs", async () => {
    const { envoy, get, stop } = await start({ filterState: true });
    try {
      const lines: [Http1Request, Record<string, unknown>][] = [
        [
          { path: "/yes", headers: [bearer(key.token({ iss: ISSUER, sub: "someone" }))] },
          {
            principal: `${ISSUER}/someone`,
            policy: "ns[foo]-policy[members]-rule[0]",
            reason: "allowed",
          },
        ],
        [{ path: "/none" }, { principal: null, policy: null, reason: "RBAC: access denied" }],
        [
          { path: "/junk", headers: [["authorization", "Bearer a.b.c"]] },
          { principal: null, policy: null, reason: "Jwt header is an invalid Base64url encoded" },
        ],
      ];
      for (const [request, expected] of lines) {
        await get(request);
        const [line] = await logged(envoy, new RegExp(`^\\{.*"path":"${request.path}".*\\}$`, "m"));
        expect(JSON.parse(line)).toMatchObject(expected);
      }
    } finally {
      await stop();
    }
  });
});

/** A TokenPolicy through Envoy: its YAML, compiled, decides which tokens pass. */

import { afterAll, beforeAll, expect, test } from "vitest";
import type { Configuration } from "../../tools/config/schema.ts";
import type { Envoy } from "../../tools/envoy/process.ts";
import { cluster, listener } from "../../tools/render/bootstrap.ts";
import { compile } from "../../tools/targets/compile.ts";
import { MODULE, startEnvoy } from "../support/envoy.ts";
import { http1 } from "../support/http1.ts";
import { bearer, TestKey } from "../support/tokens.ts";
import { startUpstream, type Upstream } from "../support/upstream.ts";

const key = TestKey.generate("ES256", "k");
const POLICIES = `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: jwt, namespace: shop}
spec: {jwtRules: [{issuer: https://idp.example, jwks: '${key.jwks}'}]}
---
apiVersion: jwtgate.dev/v1alpha1
kind: TokenPolicy
metadata: {name: access, namespace: shop}
spec:
  targetRefs: [{kind: RequestAuthentication, name: jwt}]
  tokenTypes: [at+jwt]
  requireType: true
  requiredClaims: [jti]
  maxLifetime: 1h
`;

let upstream: Upstream;
let envoy: Envoy;
beforeAll(async () => {
  upstream = await startUpstream();
  const { configuration, diagnostics } = compile([{ name: "p.yaml", text: POLICIES }], { target: "envoy" });
  expect(diagnostics).toEqual([]);
  const gate = {
    name: "gate",
    address: { host: "127.0.0.1", port: 0 },
    module: MODULE,
    configuration: configuration as Configuration,
    cluster: "upstream",
    accessLog: false,
  };
  const address = { host: "127.0.0.1", port: upstream.port };
  envoy = await startEnvoy({
    listeners: [listener(gate)],
    clusters: [cluster({ name: "upstream", address })],
  });
});
afterAll(async () => {
  await envoy?.stop();
  await upstream?.close();
});

const now = Math.floor(Date.now() / 1000);
const CLAIMS = { iss: "https://idp.example", sub: "alice", jti: "j", iat: now, exp: now + 3600 };

test.each<[string, object, object, string]>([
  ["an access token", {}, { typ: "at+jwt" }, "200"],
  ["its whole media type", {}, { typ: "application/AT+JWT" }, "200"],
  ["an ID token", {}, { typ: "JWT" }, "401 Jwt header [typ] is not allowed"],
  ["no type", {}, {}, "401 Jwt header [typ] is not allowed"],
  ["no identifier", { jti: undefined }, { typ: "at+jwt" }, "401 Jwt payload [jti] field is required"],
  ["a day", { exp: now + 86_400 }, { typ: "at+jwt" }, "401 Jwt lifetime is too long"],
])("%s, twice", async (_, claims, header, expected) => {
  const target = { host: "127.0.0.1", port: await envoy.portOf("gate") };
  const token = key.token({ ...CLAIMS, ...claims }, { kid: "k", ...header });
  for (let i = 0; i < 2; i++) {
    const { status, headers, body } = await http1(target, { headers: [bearer(token)] });
    expect(status === 200 ? "200" : `${status} ${body}`).toBe(expected);
    if (status === 401) expect(JSON.stringify(headers)).toContain('error=\\"invalid_token\\"');
  }
});

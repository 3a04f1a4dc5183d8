/** The reasons that tools show if a TokenPolicy's constraints refuse a token, each with the line of the field. */
import { readFileSync } from "node:fs";
import { beforeAll, expect, test } from "vitest";
import { Explainer } from "../../tools/explain/explainer.ts";
import { compile } from "../../tools/targets/compile.ts";
import { MODULE, TRACE_MODULE } from "../support/envoy.ts";
import { bearer, TestKey } from "../support/tokens.ts";

/** 1 January 2026. */
const NOW = 1_767_225_600;
const key = TestKey.generate("HS256", "k");
const text = `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: jwt}
spec: {jwtRules: [{issuer: i, jwks: '${key.jwks}'}]}
---
apiVersion: jwtgate.dev/v1alpha1
kind: TokenPolicy
metadata: {name: access}
spec:
  targetRefs: [{kind: RequestAuthentication, name: jwt}]
  tokenTypes: [at+jwt]
  requireType: true
  requiredClaims: [jti]
  maxLifetime: 1h
`;

let explainer: Explainer;
beforeAll(async () => {
  const sources = [{ name: "p.yaml", text }];
  const [release, trace] = await Promise.all(
    [MODULE, TRACE_MODULE].map((file) => WebAssembly.compile(readFileSync(file))),
  );
  const modules = { release: release as WebAssembly.Module, trace: trace as WebAssembly.Module };
  const result = compile(sources, { target: "envoy" });
  explainer = await Explainer.open(result, sources, { modules, now: NOW * 1000 });
});

test.each<[object, object, string, string | undefined]>([
  [
    {},
    { typ: "JWT" },
    "Jwt header [typ] is not allowed",
    'its typ is "JWT", and one of ["at+jwt"] is needed (p.yaml:11:3)',
  ],
  [{}, {}, "Jwt header [typ] is not allowed", 'it has no typ, and one of ["at+jwt"] is needed (p.yaml:11:3)'],
  [
    { jti: undefined },
    { typ: "at+jwt" },
    "Jwt payload [jti] field is required",
    "it has no jti (p.yaml:13:3)",
  ],
  [
    { iat: undefined },
    { typ: "at+jwt" },
    "Jwt payload [iat] field is required",
    "maxLifetime needs exp and iat (p.yaml:14:3)",
  ],
  [
    { exp: NOW + 7200 },
    { typ: "at+jwt" },
    "Jwt lifetime is too long",
    "iat is 2026-01-01T00:00:00Z, 0 s from now; exp is 2026-01-01T02:00:00Z, 7200 s from now; the limit is 3600 s (p.yaml:14:3)",
  ],
  [{}, { typ: "at+jwt" }, "", undefined],
])("%j %j", async (claims, header, refusal, reason) => {
  const token = key.token(
    { iss: "i", sub: "s", jti: "j", iat: NOW, exp: NOW + 3600, ...claims },
    { kid: "k", ...header },
  );
  const { authentication } = await explainer.explain({ headers: [bearer(token)] });
  const [step] = authentication?.steps[0]?.tokens ?? [];
  expect({ refusal: step?.refusal, reason: step?.reason }).toEqual({ refusal, reason });
});

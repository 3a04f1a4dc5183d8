import { describe, expect, test } from "vitest";
import type { Provider } from "../../tools/config/schema.ts";
import { compile } from "../../tools/targets/compile.ts";
import { compileText, faultsAtMark, JWKS, messages } from "./support.ts";

/** A RequestAuthentication with a rule for each issuer. */
function authentication(issuers: string[], { name = "jwt", namespace = "shop", more = "" } = {}): string {
  const rules = issuers.map((issuer) => `{issuer: ${issuer}, jwks: '${JWKS}'}`);
  return `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: ${name}, namespace: ${namespace}}
spec: {jwtRules: [${rules.join(", ")}]${more}}
`;
}

const TARGET = "targetRefs: [{kind: RequestAuthentication, name: jwt}]";

/** A TokenPolicy with these fields. */
function tokenPolicy(spec: string, { name = "api", namespace = "shop", target = TARGET } = {}): string {
  return `---
apiVersion: jwtgate.dev/v1alpha1
kind: TokenPolicy
metadata: {name: ${name}, namespace: ${namespace}}
spec: {${[target, spec].filter(Boolean).join(", ")}}
`;
}

const A = authentication(["a"]);

/** What TokenPolicies set in the providers, by issuer. */
function constraints(text: string): Record<string, Partial<Provider>> {
  const { configuration, diagnostics } = compileText(text);
  expect(diagnostics).toEqual([]);
  return Object.fromEntries(
    (configuration?.providers ?? []).map(
      ({ name, policy, localJwks, fromHeaders, fromParams, issuer = "none", ...rest }) => [issuer, rest],
    ),
  );
}

describe("the fields of a TokenPolicy are those of the providers of its targets", () => {
  test.each<[string, Partial<Provider>]>([
    ["tokenTypes: [at+jwt]", { tokenTypes: ["at+jwt"] }],
    [
      "tokenTypes: [application/AT+JWT, at+jwt, Example/Token], requireType: true",
      { tokenTypes: ["at+jwt", "example/token"], requireTokenType: true },
    ],
    ["tokenTypes: [jwt], requireType: false", { tokenTypes: ["jwt"] }],
    ["requiredClaims: [exp, sub, exp]", { requiredClaims: ["exp", "sub"] }],
    ["maxLifetime: 1h", { maxLifetimeSeconds: 3600 }],
    ["maxLifetime: 1h30m", { maxLifetimeSeconds: 5400 }],
    ["clockSkew: 0s", { clockSkewSeconds: 0 }],
    ["clockSkew: 30s", { clockSkewSeconds: 30 }],
  ])("%s", (spec, expected) => expect(constraints(A + tokenPolicy(spec))).toEqual({ a: expected }));

  test("its order in the input does not matter", () => {
    expect(constraints(`${tokenPolicy("clockSkew: 1s")}---\n${A}`)).toEqual({ a: { clockSkewSeconds: 1 } });
  });

  test("issuers selects rules; without it every rule is meant", () => {
    const both = authentication(["a", "b"]);
    expect(constraints(both + tokenPolicy("issuers: [b], clockSkew: 1s"))).toEqual({
      a: {},
      b: { clockSkewSeconds: 1 },
    });
    expect(constraints(both + tokenPolicy("clockSkew: 1s"))["a"]).toEqual({ clockSkewSeconds: 1 });
  });

  test("several policies set different fields of one rule", () => {
    const text = A + tokenPolicy("clockSkew: 1s") + tokenPolicy("maxLifetime: 5m", { name: "more" });
    expect(constraints(text)).toEqual({ a: { clockSkewSeconds: 1, maxLifetimeSeconds: 300 } });
  });

  test("the source map has the lines of the fields", () => {
    const { sourceMap } = compileText(A + tokenPolicy("clockSkew: 1s"));
    expect(sourceMap?.constraints).toEqual({
      "origins-0": { clockSkew: { file: "policy.yaml", line: 9, column: 64 } },
    });
  });

  test("a list of them is read, as kubectl prints it", () => {
    const item =
      "{apiVersion: jwtgate.dev/v1alpha1, kind: TokenPolicy, metadata: {name: t, namespace: shop}, spec: {targetRefs: [{group: security.istio.io, kind: RequestAuthentication, name: jwt}], clockSkew: 1s}}";
    const list = `---\napiVersion: jwtgate.dev/v1alpha1\nkind: TokenPolicyList\nitems: [${item}]\n`;
    expect(constraints(A + list)).toEqual({ a: { clockSkewSeconds: 1 } });
  });
});

describe("faults have a position and a remedy", () => {
  test.each([
    ["tokenTypes: [▲at jwt]", '"at jwt" is not a media type without parameters: write one like at+jwt'],
    [
      "tokenTypes: [▲'at+jwt; v=1']",
      '"at+jwt; v=1" is not a media type without parameters: write one like at+jwt',
    ],
    ["tokenTypes: [▲a/b/c]", '"a/b/c" is not a media type without parameters: write one like at+jwt'],
    [
      "tokenTypes: [▲application/a/b]",
      '"application/a/b" is not a media type without parameters: write one like at+jwt',
    ],
    ["▲tokenTypes: []", "spec.tokenTypes is empty: leave it out to accept any type"],
    ["tokenTypes: ▲at+jwt", 'spec.tokenTypes must be a list, not a string: write ["at+jwt"]'],
    ["▲requireType: true", "requireType needs tokenTypes: write tokenTypes: [at+jwt]"],
    ["▲requiredClaims: []", "spec.requiredClaims is empty: leave it out to require no claim"],
    ["requiredClaims: [▲'']", "spec.requiredClaims must not contain an empty value: remove it"],
    [
      "maxLifetime: ▲1 hour",
      'spec.maxLifetime "1 hour" is not a duration: write a number with its unit, such as 30s or 1h',
    ],
    ["maxLifetime: ▲0s", 'spec.maxLifetime "0s" is too short: at least 1s'],
    ["maxLifetime: ▲1500ms", 'spec.maxLifetime "1500ms" is too fine: whole seconds only'],
    ["maxLifetime: ▲9999999h", 'spec.maxLifetime "9999999h" is too long: at most 4294967295s'],
    ["clockSkew: ▲2h", 'spec.clockSkew "2h" is too long: at most 3600s'],
    ["clockSkew: ▲-1s", 'spec.clockSkew "-1s" is too short: at least 0s'],
    ["▲issuers: [], clockSkew: 1s", "spec.issuers selects no rule: leave it out for all rules"],
    ["issuers: [▲b], clockSkew: 1s", 'no rule of the targets has the issuer "b": did you mean "a"?'],
    [
      "issuers: [▲https://other], clockSkew: 1s",
      'no rule of the targets has the issuer "https://other": name the issuer of one of their rules',
    ],
    ["▲senderConstraint: {mtls: {mode: IfBound}}", "spec.senderConstraint is not supported yet: remove it"],
    ["▲revocation: {}", "spec.revocation is not supported yet: remove it"],
    ["▲introspection: {}", "spec.introspection is not supported yet: remove it"],
    ["▲resource: {}", "spec.resource is not supported yet: remove it"],
    ["▲mcp: {mode: VerifyBody}", "spec.mcp is not supported yet: remove it"],
    ["▲tokenType: [at+jwt]", 'unknown field "tokenType" in spec: did you mean `tokenTypes`?'],
    ["▲selector: {}", 'unknown field "selector" in spec: `selector` belongs in spec'],
  ])("%s", (spec, message) => {
    expect(faultsAtMark(A + tokenPolicy(spec))).toEqual([message]);
  });

  test.each([
    [
      "targetRefs: [{kind: ▲Service, name: jwt}]",
      'a TokenPolicy attaches to a RequestAuthentication, not to "Service"',
    ],
    [
      "targetRefs: [{group: ▲apps, kind: RequestAuthentication, name: jwt}]",
      "the group of RequestAuthentication is security.istio.io: write that, or remove group",
    ],
    [
      "targetRefs: [{kind: RequestAuthentication, name: jwt, namespace: ▲other}]",
      "spec.targetRefs[0] must be in the policy's own namespace: remove namespace",
    ],
    ["targetRefs: [▲{kind: RequestAuthentication}]", "spec.targetRefs[0].name is missing"],
    [
      "targetRefs: [{kind: RequestAuthentication, name: ▲jwks}]",
      "there is no RequestAuthentication shop/jwks here: correct the name, or add the file that has it",
    ],
    [
      "▲targetRefs: []",
      "spec.targetRefs is empty: write targetRefs: [{kind: RequestAuthentication, name: NAME}]",
    ],
  ])("%s", (target, message) => {
    expect(faultsAtMark(A + tokenPolicy("clockSkew: 1s", { target }))).toEqual([message]);
  });

  test("no target, and nothing asked", () => {
    expect(
      faultsAtMark(A + tokenPolicy("clockSkew: 1s", { target: "" }).replace("spec: {", "spec: ▲{")),
    ).toEqual(["spec.targetRefs is missing: write targetRefs: [{kind: RequestAuthentication, name: NAME}]"]);
    expect(faultsAtMark(A + tokenPolicy("").replace("spec: {", "spec: ▲{"))).toEqual([
      "this TokenPolicy asks nothing of tokens: write one of tokenTypes, requireType, requiredClaims, maxLifetime, clockSkew",
    ]);
  });

  test("a target of another namespace is missing", () => {
    const text = A + tokenPolicy("clockSkew: 1s", { namespace: "web" });
    expect(messages(text)).toEqual([
      "9:57: there is no RequestAuthentication web/jwt here: correct the name, or add the file that has it",
    ]);
  });

  test("a target without rules has no issuer", () => {
    const empty = authentication([]);
    expect(messages(empty + tokenPolicy("issuers: [a], clockSkew: 1s")).at(-1)).toBe(
      '9:74: no rule of the targets has the issuer "a": name the issuer of one of their rules',
    );
  });

  test("two policies that set one field of one rule, which names both", () => {
    const both = authentication(["a", "b"]);
    const other = { name: "more" };
    const text = both + tokenPolicy("clockSkew: 1s") + tokenPolicy("issuers: [a], ▲clockSkew: 1s", other);
    expect(faultsAtMark(text)).toEqual([
      'TokenPolicy shop/api (policy.yaml:9:64) already sets clockSkew for the issuer "a": keep one of the two',
    ]);
  });

  test("two targets that are one", () => {
    const target =
      "targetRefs: [{kind: RequestAuthentication, name: jwt}, {kind: RequestAuthentication, name: jwt}]";
    expect(constraints(A + tokenPolicy("clockSkew: 1s", { target }))).toEqual({ a: { clockSkewSeconds: 1 } });
  });

  test.each([
    [
      "apiVersion: ▲jwtgate.dev/v1\nkind: TokenPolicy",
      "jwtgate.dev/v1 is not a version of TokenPolicy: write jwtgate.dev/v1alpha1",
    ],
    [
      "apiVersion: ▲security.istio.io/v1\nkind: TokenPolicy",
      "TokenPolicy belongs to jwtgate.dev: write apiVersion: jwtgate.dev/v1alpha1",
    ],
    [
      "apiVersion: jwtgate.dev/v1alpha1\nkind: ▲TokenPolicies",
      'jwtgate.dev has no kind "TokenPolicies": did you mean TokenPolicy?',
    ],
    [
      "apiVersion: ▲jwtgate.dev/v1alpha1\nkind: RequestAuthentication",
      "RequestAuthentication belongs to security.istio.io: write apiVersion: security.istio.io/v1",
    ],
    ["▲kind: TokenPolicy", "apiVersion is missing: write jwtgate.dev/v1alpha1"],
  ])("%j", (head, message) => {
    expect(faultsAtMark(`${A}---\n${head}\nmetadata: {name: t}\n`)).toEqual([message]);
  });
});

describe("a workload", () => {
  const web = authentication(["b"], { name: "web", more: ", selector: {matchLabels: {app: web}}" });
  const toWeb = { name: "web", target: "targetRefs: [{kind: RequestAuthentication, name: web}]" };
  const labels = { app: "shop" };
  const options = { namespace: "shop", labels };

  test("gets the policies of its own RequestAuthentications", () => {
    const text = `${A}---\n${web}${tokenPolicy("clockSkew: 1s")}${tokenPolicy("clockSkew: 2s", toWeb)}`;
    const { configuration, diagnostics, resources } = compileText(text, options);
    expect(diagnostics).toEqual([]);
    expect(configuration?.providers?.map(({ clockSkewSeconds }) => clockSkewSeconds)).toEqual([1]);
    expect(resources.map(({ kind, name, selected }) => [kind, name, selected])).toEqual([
      ["RequestAuthentication", "jwt", true],
      ["RequestAuthentication", "web", false],
      ["TokenPolicy", "api", true],
      ["TokenPolicy", "web", false],
    ]);
  });

  test("is not compiled with a faulty policy, unless that is for others", () => {
    const own = A + tokenPolicy("clockSkew: 1");
    expect(messages(own, options)).toEqual([
      expect.stringMatching(/^9:\d+: spec.clockSkew must be a string/),
    ]);
    const others = `${A}---\n${web}${tokenPolicy("mcp: {}", toWeb)}`;
    expect(messages(others, options)).toEqual([
      expect.stringMatching(
        /warning: spec.mcp is not supported yet: remove it; TokenPolicy shop\/web is for other workloads/,
      ),
    ]);
    const conflict = `${A}---\n${web}${tokenPolicy("clockSkew: 2s", toWeb)}${tokenPolicy("clockSkew: 2s", { ...toWeb, name: "x" })}`;
    expect(messages(conflict, options)).toEqual([]);
  });

  test.each(["config", "envoy", "ecds", "wasmplugin", "envoygateway", "higress", "google"] as const)(
    "of the output %s gets them",
    (target) => {
      const files = [{ name: "a.yaml", text: A + tokenPolicy("clockSkew: 7s") }];
      const { configuration } = compile(files, { target });
      expect(configuration?.providers?.[0]?.clockSkewSeconds).toBe(7);
    },
  );
});

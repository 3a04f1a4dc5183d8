import { describe, expect, test } from "vitest";
import { compile } from "../../tools/targets/compile.ts";
import { authorizationOf, compileText, jwtRule, messages, onlyRule, resource, rule } from "./support.ts";

const id = (index: number, name = "p") => `ns[foo]-policy[${name}]-rule[${index}]`;

describe("a policy, whole", () => {
  const text = `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata:
  name: jwt
  namespace: foo
spec:
  jwtRules:
  - issuer: testing@secure.istio.io
    jwks: '{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"s"}]}'
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: auth
  namespace: foo
spec:
  action: DENY
  rules:
  - from:
    - source:
        notRequestPrincipals: ["*"]
    to:
    - operation:
        notPaths: [/productpage]
  - to:
    - operation:
        methods: [DELETE]
        paths: [/api/*, /api]
`;
  test("becomes this configuration", () => {
    expect(compileText(text, { compiler: "jwtgate 1" }).configuration).toEqual({
      version: 1,
      compiler: "jwtgate 1",
      providers: [
        {
          name: "origins-0",
          policy: "foo/jwt",
          issuer: "testing@secure.istio.io",
          localJwks: { keys: [{ kty: "oct", kid: "s", k: "c2VjcmV0" }] },
          fromHeaders: [{ name: "authorization", valuePrefix: "Bearer " }],
          fromParams: ["access_token"],
        },
      ],
      authorization: {
        predicates: [
          { path: { exact: "/productpage" } },
          { claim: ["iss"], match: { nonEmpty: true } },
          { claim: ["sub"], match: { nonEmpty: true } },
          { method: { exact: "DELETE" } },
          { path: { prefix: "/api/" } },
          { path: { exact: "/api" } },
        ],
        deny: {
          rules: [
            { id: id(0, "auth"), condition: { and: [{ not: 0 }, { not: { and: [1, 2] } }] } },
            { id: id(1, "auth"), condition: { and: [3, { or: [4, 5] }] }, guard: [4, 5] },
          ],
        },
      },
      contents: { providers: 1, rules: 2 },
    });
  });
  test("and this source map", () => {
    expect(compileText(text).sourceMap).toEqual({
      rules: {
        [id(0, "auth")]: { file: "policy.yaml", line: 19, column: 5 },
        [id(1, "auth")]: { file: "policy.yaml", line: 25, column: 5 },
      },
      providers: { "origins-0": { file: "policy.yaml", line: 8, column: 5 } },
      constraints: {},
    });
  });
});

describe("targets", () => {
  const direct = rule("{from: [{source: {notIpBlocks: [10.0.0.0/8]}}]}", "DENY");
  const when = rule("{when: [{key: source.ip, values: [10.0.0.1]}]}");

  test("a bootstrap passes the direct peer only if a policy uses it", () => {
    expect(compileText(direct).configuration!.directRemoteAddress).toBe("jwtgate.direct_remote_address");
    expect(compileText(rule("{}")).configuration).not.toHaveProperty("directRemoteAddress");
  });
  test("a configuration alone names the resources that it needs", () => {
    expect(compileText(direct, { target: "config" }).configuration).toHaveProperty("directRemoteAddress");
    expect(messages(direct, { target: "config" })).toEqual([
      "4:48: warning: this needs the filter state jwtgate.direct_remote_address to hold the direct peer's address: --output envoy sets it",
    ]);
  });
  test("a WasmPlugin cannot have it", () => {
    const errors = (text: string) =>
      messages(text, { target: "wasmplugin" }).filter((message) => !message.includes("TCP ports"));
    expect(errors(direct)).toEqual([
      "4:48: a WasmPlugin cannot see the address of the direct peer, so ipBlocks would go unchecked: use remoteIpBlocks and notRemoteIpBlocks (the client as the proxy trusts X-Forwarded-For), or leave this policy to Istio",
    ]);
    expect(errors(when)).toEqual([
      "4:45: a WasmPlugin cannot see the address of the direct peer, so source.ip would go unchecked: use the key remote.ip (the client as the proxy trusts X-Forwarded-For), or leave this policy to Istio",
    ]);
    expect(compileText(direct, { target: "wasmplugin" }).workloads).toEqual([]);
  });
  test("a WasmPlugin leaves TCP open, and the warning has the policy that closes it", () => {
    const [warning] = messages(rule("{}").replace("spec: {", "spec: {selector: {matchLabels: {app: a}}, "), {
      target: "wasmplugin",
    });
    expect(warning).toBe(
      '1:1: warning: TCP ports are not covered by an HTTP filter: keep a policy for them in the cluster, such as {"apiVersion":"security.istio.io/v1","kind":"AuthorizationPolicy","metadata":{"name":"tcp-without-jwtgate","namespace":"foo"},"spec":{"selector":{"matchLabels":{"app":"a"}},"action":"DENY","rules":[{"to":[{"operation":{"ports":["YOUR TCP PORTS"]}}]}]}}',
    );
    expect(messages(jwtRule("issuer: i"), { target: "wasmplugin" })).toEqual([]);
  });
  test("shadow", () => {
    expect(compileText(rule("{}"), { shadow: true }).configuration).toMatchObject({
      version: 1,
      shadow: true,
    });
  });
});

describe("predicates", () => {
  test("are listed once, for all policies and actions", () => {
    const { predicates } = authorizationOf(
      `${rule("{to: [{operation: {paths: [/a], notMethods: [GET]}}]}")}---\n${resource(
        "AuthorizationPolicy",
        "{action: DENY, rules: [{to: [{operation: {paths: [/a], hosts: [A.example, a.example]}}]}]}",
        "q",
      )}`,
    );
    expect(predicates).toEqual([
      { host: { exact: "a.example" } },
      { path: { exact: "/a" } },
      { method: { exact: "GET" } },
    ]);
  });
  test("are found by the rule that they are shown in", () => {
    expect(onlyRule(rule("{to: [{operation: {hosts: [A.example, a.example]}}]}")).condition).toEqual({
      host: { exact: "a.example" },
    });
  });
});

describe("files", () => {
  test("diagnostics are in the order of the files, and of the places in them", () => {
    const policy = (name: string) =>
      resource("AuthorizationPolicy", "{action: a, provider: {name: b}}", name);
    const { diagnostics } = compile(
      [
        { name: "z.yaml", text: `${policy("a")}---\n${policy("b")}` },
        { name: "a.yaml", text: policy("c") },
      ],
      { target: "config" },
    );
    expect(diagnostics.map(({ file, line }) => `${file}:${line}`)).toEqual([
      "z.yaml:4",
      "z.yaml:9",
      "a.yaml:4",
    ]);
  });
  test("resources are reported with their places", () => {
    expect(compileText(`${rule("{}")}---\n${jwtRule("issuer: i")}`).resources).toEqual([
      {
        kind: "AuthorizationPolicy",
        namespace: "foo",
        name: "p",
        at: { file: "policy.yaml", line: 1, column: 1 },
        selected: true,
      },
      {
        kind: "RequestAuthentication",
        namespace: "foo",
        name: "p",
        at: { file: "policy.yaml", line: 6, column: 1 },
        selected: true,
      },
    ]);
  });
  test("a list of resources is its items", () => {
    const items = [rule("{}"), jwtRule("issuer: i")].map(
      (text) => `- ${text.trimEnd().replaceAll("\n", "\n  ")}\n`,
    );
    for (const heading of [
      "apiVersion: v1\nkind: List\nmetadata: {resourceVersion: ''}\n",
      "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicyList\n",
    ]) {
      expect(compileText(`${heading}items:\n${items.join("")}`).resources).toHaveLength(2);
    }
  });
  test("what `kubectl get -o yaml` adds is read over", () => {
    const text = rule("{}").replace(
      "{name: p,",
      "{name: p, uid: u, resourceVersion: '1', generation: 1, managedFields: [], labels: {a: b}, creationTimestamp: null,",
    );
    expect(messages(`${text}status: {conditions: []}\n`)).toEqual([]);
  });
  test("the same resource twice", () => {
    expect(messages(`${rule("{}")}---\n${rule("{}")}`)).toEqual([
      "6:1: AuthorizationPolicy foo/p already exists, at policy.yaml:1:1, and a cluster would keep only one of them: rename or remove one",
    ]);
  });
});

describe("other resources", () => {
  const other = (apiVersion: string, kind: string) =>
    messages(`${rule("{}")}---\napiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: x}\n`);
  test.each([
    ["v1", "Service", "6:1: warning: Service x (v1) is not a policy and is not compiled"],
    ["apps/v1", "Deployment", "6:1: warning: Deployment x (apps/v1) is not a policy and is not compiled"],
    [
      "security.istio.io/v1",
      "PeerAuthentication",
      "7:7: warning: PeerAuthentication x is not compiled: the listener (--tls-client-ca) or Istio decides who must use mTLS",
    ],
    [
      "security.istio.io/v1",
      "AuthorisationPolicy",
      '7:7: security.istio.io has no kind "AuthorisationPolicy": did you mean AuthorizationPolicy?',
    ],
    [
      "security.istio.io/v1",
      "Secret",
      '7:7: security.istio.io has no kind "Secret": jwtgate compiles RequestAuthentication and AuthorizationPolicy',
    ],
    [
      "security.istio.io/v1alpha1",
      "AuthorizationPolicy",
      "6:13: security.istio.io/v1alpha1 is not a version of AuthorizationPolicy: write security.istio.io/v1 or security.istio.io/v1beta1",
    ],
    [
      "istio.io/v1",
      "AuthorizationPolicy",
      "6:13: AuthorizationPolicy belongs to security.istio.io: write apiVersion: security.istio.io/v1",
    ],
    [
      "authentication.istio.io/v1alpha1",
      "Policy",
      "6:13: Istio removed authentication.istio.io: write RequestAuthentication and AuthorizationPolicy of security.istio.io/v1 instead",
    ],
  ])("%s %s", (apiVersion, kind, expected) => expect(other(apiVersion, kind)).toEqual([expected]));

  test.each([
    [
      "a: b\n",
      [
        "1:1: apiVersion is missing: write security.istio.io/v1",
        "1:1: kind is missing: write RequestAuthentication or AuthorizationPolicy",
      ],
    ],
    ["- a\n", ["1:1: a document must be an object with fields, not a list"]],
    ["a\n", ["1:1: a document must be an object with fields, not a string"]],
    [
      "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nspec: {}\n",
      ["1:1: metadata is missing: write a name"],
    ],
    [
      "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {nam: a}\n",
      ['3:12: unknown field "nam" in metadata: did you mean `name`?'],
    ],
    [
      "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {namespace: a}\n",
      ["3:11: metadata.name is missing: rules are named after it"],
    ],
    [
      "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: A_b, namespace: c.d}\n",
      [
        '3:18: metadata.name "A_b" is not a name in Kubernetes: use lower-case letters, digits, - and ., at most 253 characters',
        '3:34: metadata.namespace "c.d" is not a namespace: use lower-case letters, digits and -, at most 63 characters',
      ],
    ],
    [
      "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a}\nrules: []\n",
      ['4:1: unknown field "rules" here: `rules` belongs in spec of an AuthorizationPolicy'],
    ],
    [
      "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a, annotations: {internal.istio.io/parents: b}}\n",
      ["3:35: the annotation internal.istio.io/parents is Istio's own: remove it"],
    ],
    [
      "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a, creationTimestamp: yesterday}\n",
      ['3:40: metadata.creationTimestamp "yesterday" is not a time: leave it out'],
    ],
    [
      "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
      [
        "there is no RequestAuthentication and no AuthorizationPolicy here: a filter would let everything through",
        "1:1: warning: ConfigMap a (v1) is not a policy and is not compiled",
      ],
    ],
    ["\n", ["there is no RequestAuthentication and no AuthorizationPolicy here: the input is empty"]],
    [
      "policies: [a.yaml]\ntests: [{name: a, expect: 200}]\n",
      ["1:1: these are tests: run them with `jwtgate test FILE`"],
    ],
    [
      '{"keys": [{"kty": "EC"}]}\n',
      [
        "1:1: this is a key set, not a policy: `jwtgate new --jwks FILE` writes a policy that trusts its keys",
      ],
    ],
    [
      "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
      ["1:1: this is PEM, not a policy: `jwtgate new --jwks FILE` writes a policy that trusts its key"],
    ],
    [
      "static_resources: {listeners: []}\n",
      [
        "1:1: this is a configuration of Envoy: `jwtgate import FILE` turns its jwt_authn and rbac filters into policies",
      ],
    ],
    [
      "keys: {a: b}\n",
      [
        "1:1: apiVersion is missing: write security.istio.io/v1",
        "1:1: kind is missing: write RequestAuthentication or AuthorizationPolicy",
      ],
    ],
  ])("%j", (text, expected) => {
    expect(messages(text)).toEqual(expected);
  });
});

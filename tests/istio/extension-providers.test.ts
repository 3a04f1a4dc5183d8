/** CUSTOM policies, and the extension providers of a mesh config. */
import { describe, expect, test } from "vitest";
import {
  type CompileOptions,
  type CompileTarget,
  compile,
  STANDALONE,
  WHOLE_ENVOY,
} from "../../tools/compile.ts";
import { formatDiagnostic } from "../../tools/diagnostics.ts";
import { targetOf } from "../../tools/targets/index.ts";
import { faultsAtMark, resource } from "./support.ts";

const CUSTOM = resource("AuthorizationPolicy", "{action: CUSTOM, provider: {name: a}, rules: [{}]}");

function compileWith(mesh: string, options: Partial<CompileOptions> = {}, policies = CUSTOM) {
  const meshConfig = { name: "mesh.yaml", text: mesh };
  return compile([{ name: "policy.yaml", text: policies }], { target: WHOLE_ENVOY, meshConfig, ...options });
}

/** What is wrong with a mesh config, for a policy that asks the provider `a`. */
function faults(mesh: string, policies = CUSTOM): string[] {
  return compileWith(mesh, {}, policies).diagnostics.map(formatDiagnostic);
}

/** The provider of a mesh config that has it in each of its forms. */
function providerOf(mesh: string) {
  const { workloads, diagnostics } = compileWith(mesh);
  expect(diagnostics).toEqual([]);
  return workloads[0]?.custom[0]?.provider;
}

const http = (fields: string) => `extensionProviders: [{name: a, envoyExtAuthzHttp: {${fields}}}]\n`;
const grpc = (fields: string) => `extensionProviders: [{name: a, envoyExtAuthzGrpc: {${fields}}}]\n`;
const HERE = "service: authz.example.com, port: 9000";

describe("a mesh config", () => {
  const expected = { host: "authz.example.com", port: 9000, name: "a" };

  test("is a file of its own, whose other settings are ignored", () => {
    expect(providerOf(`trustDomain: x\ndefaultConfig: {a: 1}\n${http(HERE)}`)).toMatchObject(expected);
  });

  test.each([
    ["as a block", `mesh: |-\n    ${http(HERE).trim()}`],
    ["as a block with lines", `mesh: |\n    rootNamespace: a\n\n    ${http(HERE).trim()}\n`],
    ["in quotes", `mesh: ${JSON.stringify(http(HERE))}`],
    ["folded", `mesh: >\n    ${http(HERE)}`],
  ])("is in Istio's ConfigMap, %s", (_, data) => {
    const configMap = `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio}\ndata:\n  ${data}\n`;
    expect(providerOf(configMap)).toMatchObject(expected);
  });

  test("is in Helm values, and in an IstioOperator", () => {
    expect(providerOf(`global: {}\nmeshConfig: {${http(HERE).trim()}}`)).toMatchObject(expected);
    const operator = `apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec:\n  meshConfig: {${http(HERE).trim()}}`;
    expect(providerOf(operator)).toMatchObject(expected);
  });

  test("has its faults at their places, in a ConfigMap too", () => {
    const lines = [
      "extensionProviders:",
      "- name: a",
      "  envoyExtAuthzHttp:",
      "    service: b",
      "    port: 70000",
    ];
    expect(faults(lines.join("\n"))).toEqual([
      "mesh.yaml:5:11: extensionProviders[0].envoyExtAuthzHttp.port must be a number from 1 to 65535",
    ]);
    const block = [
      "kind: ConfigMap",
      "data:",
      "  mesh: |",
      "    # one",
      "",
      ...lines.map((line) => `    ${line}`),
    ];
    expect(faults(block.join("\n"))).toEqual([
      "mesh.yaml:10:15: extensionProviders[0].envoyExtAuthzHttp.port must be a number from 1 to 65535",
    ]);
    const quoted = `kind: ConfigMap\ndata: {mesh: ${JSON.stringify(lines.join("\n"))}}`;
    expect(faults(quoted)[0]).toMatch(/^mesh\.yaml \(data\.mesh\):5:11: /);
  });

  test.each([
    ["", "mesh.yaml: this file has no mesh config: "],
    ["a: 1", "mesh.yaml: this file has no mesh config: "],
    ["kind: ConfigMap\ndata: {other: a}", "mesh.yaml: this file has no mesh config: "],
    ["kind: ConfigMap\ndata:\n  mesh: |\n    a: [", "mesh.yaml:5:"],
    [`${http(HERE)}---\n${http(HERE)}`, "mesh.yaml:3:1: there is a mesh config before this one: keep one"],
    ["extensionProviders: 1", "mesh.yaml:1:21: extensionProviders must be a list, not a number"],
  ])("is refused as %j", (mesh, expected) => {
    expect(faults(mesh)[0]).toContain(expected);
  });
});

describe("an extension provider", () => {
  test("in HTTP has all that Istio's has", () => {
    const fields = [
      "service: foo/authz.foo.svc.cluster.local, port: '9000', timeout: 1.5s, pathPrefix: /check, failOpen: true",
      "statusOnError: '503', clearRouteCache: true, includeRequestHeadersInCheck: [x-a, 'x-*', '*-b']",
      "includeHeadersInCheck: [not-this], includeAdditionalHeadersInCheck: {x-z: z, x-b: b}",
      "includeRequestBodyInCheck: {maxRequestBytes: 10, allowPartialMessage: true, packAsBytes: true}",
      "headersToUpstreamOnAllow: [a], headersToDownstreamOnDeny: [b], headersToDownstreamOnAllow: [c]",
    ];
    expect(providerOf(http(fields.join(", ")))).toEqual({
      name: "a",
      host: "authz.foo.svc.cluster.local",
      port: 9000,
      timeoutMs: 1500,
      failOpen: true,
      statusOnError: 503,
      clearRouteCache: true,
      body: { maxRequestBytes: 10, allowPartialMessage: true, packAsBytes: true },
      http: {
        pathPrefix: "/check",
        includeRequestHeaders: ["x-a", "x-*", "*-b"],
        includeAdditionalHeaders: [
          ["x-b", "b"],
          ["x-z", "z"],
        ],
        toUpstreamOnAllow: ["a"],
        toDownstreamOnDeny: ["b"],
        toDownstreamOnAllow: ["c"],
      },
    });
  });

  test("in gRPC has no fields of HTTP, and refuses after ten minutes by default", () => {
    expect(providerOf(grpc(`service: 127.0.0.1, port: 1`))).toEqual({
      name: "a",
      host: "127.0.0.1",
      port: 1,
      timeoutMs: 600_000,
      failOpen: false,
      clearRouteCache: false,
    });
    expect(faults(grpc(`${HERE}, pathPrefix: /a`))[0]).toContain('unknown field "pathPrefix"');
  });

  test.each<[string, object]>([
    ["timeout: 0.001s", { timeoutMs: 1 }],
    ["timeout: 2s", { timeoutMs: 2000 }],
    ["timeout: 0.25s", { timeoutMs: 250 }],
    ["timeout: 100000.5s", { timeoutMs: 100_000_500 }],
    ["statusOnError: '503'", { statusOnError: 503 }],
    ["statusOnError: ''", { timeoutMs: 600_000 }],
    ["failOpen: true", { failOpen: true, clearRouteCache: false }],
    ["clearRouteCache: true", { failOpen: false, clearRouteCache: true }],
    [
      "includeRequestBodyInCheck: {maxRequestBytes: 4294967295}",
      { body: { maxRequestBytes: 4_294_967_295, allowPartialMessage: false, packAsBytes: false } },
    ],
    [
      "includeRequestBodyInCheck: {maxRequestBytes: '1', packAsBytes: true}",
      { body: { maxRequestBytes: 1, allowPartialMessage: false, packAsBytes: true } },
    ],
  ])("takes %s", (fields, expected) => {
    expect(providerOf(grpc(`${HERE}, ${fields}`))).toMatchObject(expected);
  });

  test.each([
    ["istio-system/authz", "authz"],
    ["authz.example.com.", "authz.example.com."],
    ["'2001:db8::1'", "2001:db8::1"],
    [
      `${`${"a".repeat(63)}.`.repeat(3)}${"b".repeat(63)}`,
      `${`${"a".repeat(63)}.`.repeat(3)}${"b".repeat(63)}`,
    ],
  ])("answers at the service %s", (service, host) => {
    expect(providerOf(http(`service: ${service}, port: 65535`))).toMatchObject({ host, port: 65_535 });
  });

  test("has a path prefix in HTTP, unless it is empty", () => {
    expect(providerOf(http(`${HERE}, pathPrefix: /`))?.http).toHaveProperty("pathPrefix", "/");
    expect(providerOf(http(`${HERE}, pathPrefix: ''`))?.http).not.toHaveProperty("pathPrefix");
    expect(providerOf(http(HERE))?.http).not.toHaveProperty("pathPrefix");
  });

  test("sends additional headers in the order of their names", () => {
    const additional = "includeAdditionalHeadersInCheck: {x-c: '1', x-a: '2', x-d: '100%%', x-b: '4'}";
    expect(providerOf(http(`${HERE}, ${additional}`))?.http?.includeAdditionalHeaders).toEqual([
      ["x-a", "2"],
      ["x-b", "4"],
      ["x-c", "1"],
      ["x-d", "100%%"],
    ]);
  });

  test("takes the former name of a field if the new one is absent", () => {
    expect(providerOf(http(`${HERE}, includeHeadersInCheck: [x-a]`))?.http?.includeRequestHeaders).toEqual([
      "x-a",
    ]);
  });

  test.each([
    ["service: 'http://a', port: 1", '"http://a" is not a service'],
    ["service: 'a:80', port: 1", '"a:80" is not a service'],
    ["service: '*.example.com', port: 1", '"*.example.com" is not a service'],
    ["service: a/b/c, port: 1", '"a/b/c" is not a service'],
    ["service: A/b, port: 1", '"A/b" is not a service'],
    ["service: '', port: 1", '"" is not a service'],
    ["port: 1", "service is missing"],
    ["service: a", "port is missing"],
    ["service: a, port: 0", "port must be a number from 1 to 65535"],
    ["service: a, port: 1.5", "port must be a whole number"],
    [`${HERE}, timeout: 5m`, '"5m" is not a timeout: write seconds, such as 0.5s'],
    ["service: ' a', port: 1", '" a" is not a service'],
    ['service: "a\\nb", port: 1', "is not a service"],
    [`service: ${"a.".repeat(128)}a, port: 1`, "is not a service"],
    ["service: 5, port: 1", "service must be a string, and YAML reads 5 as a number"],
    ["service: a, port: 65536", "port must be a number from 1 to 65535"],
    [`${HERE}, timeout: x5s`, '"x5s" is not a timeout'],
    [`${HERE}, timeout: 5sx`, '"5sx" is not a timeout'],
    [`${HERE}, timeout: 0.0009s`, '"0.0009s" is not a timeout'],
    [`${HERE}, timeout: ''`, '"" is not a timeout'],
    [`${HERE}, statusOnError: '1503'`, '"1503" is not a status that Envoy knows'],
    [`${HERE}, statusOnError: '5030'`, '"5030" is not a status that Envoy knows'],
    [`${HERE}, statusOnError: '0503'`, '"0503" is not a status that Envoy knows'],
    [`${HERE}, pathPrefix: x/check`, '"x/check" is not a prefix of a path'],
    [`${HERE}, pathPrefix: '/a b'`, '"/a b" is not a prefix of a path'],
    [
      `${HERE}, includeRequestBodyInCheck: {maxRequestBytes: 4294967296}`,
      "must be a number from 1 to 4294967295",
    ],
    [`${HERE}, timeout: 0s`, '"0s" is not a timeout'],
    [`${HERE}, timeout: 5`, "timeout must be a string"],
    [`${HERE}, statusOnError: '299'`, '"299" is not a status that Envoy knows'],
    [`${HERE}, statusOnError: 503`, "statusOnError must be a string"],
    [`${HERE}, failOpen: 'true'`, "failOpen must be true or false, without quotes"],
    [`${HERE}, includeRequestBodyInCheck: {}`, "maxRequestBytes is missing"],
    [`${HERE}, includeRequestBodyInCheck: {maxRequestBytes: 0}`, "must be a number from 1"],
    [`${HERE}, pathPrefix: check`, '"check" is not a prefix of a path'],
    [`${HERE}, headersToUpstreamOnAllow: ['*']`, 'Istio takes no lone "*" in headersToUpstreamOnAllow'],
    [`${HERE}, headersToUpstreamOnAllow: ['a b']`, '"a b" is not a header\'s name'],
    [`${HERE}, headersToDownstreamOnDeny: ['']`, '"" is not a header\'s name'],
    [`${HERE}, includeAdditionalHeadersInCheck: {'a:': b}`, '"a:" is not a header\'s name'],
    [`${HERE}, includeAdditionalHeadersInCheck: {a: "b\\n"}`, "must be printable ASCII"],
    [`${HERE}, includeAdditionalHeadersInCheck: {a: "50%"}`, "write %% for a percent sign"],
    [
      `${HERE}, failopen: true`,
      'unknown field "failopen" in extensionProviders[0].envoyExtAuthzHttp: did you mean `failOpen`?',
    ],
  ])("is refused with {%s}", (fields, expected) => {
    const found = faults(http(fields));
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(expected);
    expect(found[0]).toMatch(/^mesh\.yaml:1:\d+: /);
  });

  test.each([
    ["[]", 'policy.yaml:4:41: mesh.yaml has no extension provider "a": it has no extensionProviders'],
    [
      `[{name: b, envoyExtAuthzHttp: {${HERE}}}]`,
      'policy.yaml:4:41: mesh.yaml has no extension provider "a": it has "b"',
    ],
    [
      `[{name: a, envoyExtAuthzHttp: {${HERE}}}, {name: a, envoyExtAuthzGrpc: {${HERE}}}]`,
      'the extension provider "a" is there twice',
    ],
    ["[{name: a, zipkin: {service: b, port: 1}}]", 'the extension provider "a" is one of zipkin'],
    ["[{name: a}]", 'the extension provider "a" names no authorizer'],
    [
      `[{name: a, envoyExtAuthzHttp: {${HERE}}, envoyExtAuthzGrpc: {${HERE}}}]`,
      "envoyExtAuthzHttp and envoyExtAuthzGrpc exclude each other: keep one",
    ],
    [`[{name: a, envoyExtAuthz: {${HERE}}}]`, 'unknown field "envoyExtAuthz"'],
  ])("is not found in %s", (providers, expected) => {
    expect(faults(`extensionProviders: ${providers}`).join("\n")).toContain(expected);
  });

  test("without a name is not found, and its fault is not the policy's", () => {
    expect(faults(`extensionProviders: [{envoyExtAuthzHttp: {${HERE}}}]`)).toEqual([
      'policy.yaml:4:41: mesh.yaml has no extension provider "a": it has no extensionProviders',
    ]);
  });

  test("counts with its faults only if a policy asks it", () => {
    expect(
      faults(
        `extensionProviders: [{name: b, envoyExtAuthzHttp: {}}, {name: a, envoyExtAuthzGrpc: {${HERE}}}]`,
      ),
    ).toEqual([]);
  });

  test("has a unique name", () => {
    const policies = resource("AuthorizationPolicy", "{action: CUSTOM, provider: {name: A}, rules: [{}]}");
    const mesh = `extensionProviders: [{name: A, envoyExtAuthzGrpc: {${HERE}}}]`;
    expect(faults(mesh, policies)[0]).toContain('the extension provider\'s name "A" cannot be used');
  });
});

describe("a CUSTOM policy", () => {
  const meshConfig = { name: "mesh.yaml", text: http(HERE) };
  const custom = (rules: string) =>
    resource("AuthorizationPolicy", `{action: CUSTOM, provider: {name: a}, rules: ${rules}}`);
  const options = { meshConfig };

  test("names its rules, and adds no rule to the filter", () => {
    const text = custom("[{to: [{operation: {paths: [/a]}}], from: [{source: {ipBlocks: [10.0.0.0/8]}}]}]");
    const [workload] = compileWith(http(HERE), {}, text).workloads;
    expect(workload?.configuration).toMatchObject({ authorization: { predicates: [], deny: { rules: [] } } });
    expect(workload?.configuration).not.toHaveProperty("directRemoteAddress");
    expect(workload?.custom).toMatchObject([
      {
        name: { value: "a" },
        policies: ["AuthorizationPolicy foo/p"],
        matches: {
          predicates: [{ path: { exact: "/a" } }, { sourceIp: "10.0.0.0/8" }],
          deny: { rules: [{ id: "ns[foo]-policy[p]-rule[0]", condition: { and: [0, 1] } }] },
        },
        needsDirectPeer: true,
      },
    ]);
    expect(workload?.sourceMap.rules).toHaveProperty("ns[foo]-policy[p]-rule[0]");
  });

  test.each([
    ["▲{action: CUSTOM, provider: {name: a}}", "a CUSTOM policy without rules would never ask its provider"],
    [
      "{action: CUSTOM, provider: {name: a}, ▲rules: []}",
      "a CUSTOM policy without rules would never ask its provider",
    ],
    ["{action: ▲CUSTOM, rules: [{}]}", "provider.name is missing"],
    ["{action: CUSTOM, provider: ▲{}, rules: [{}]}", "provider.name is missing"],
    ["{action: CUSTOM, provider: {name: ▲''}, rules: [{}]}", "provider.name is missing"],
    ["{action: CUSTOM, provider: {name: ▲1}, rules: [{}]}", "spec.provider.name must be a string"],
    ["{action: CUSTOM, provider: {name: a, ▲nam: b}, rules: [{}]}", 'unknown field "nam" in spec.provider'],
  ])("is refused as %s", (spec, expected) => {
    const found = faultsAtMark(resource("AuthorizationPolicy", spec), options);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(expected);
    expect(found[0]).not.toMatch(/^\d/);
  });

  test.each([
    ["[{from: [{source: {▲principals: ['*']}}]}]", "principals"],
    ["[{from: [{source: {▲notRequestPrincipals: ['*']}}]}]", "requestPrincipals"],
    ["[{from: [{source: {▲namespaces: [a]}}]}]", "namespaces"],
    ["[{from: [{source: {▲serviceAccounts: [a]}}]}]", "serviceAccounts"],
    ["[{from: [{source: {▲trustDomains: [a]}}]}]", "trustDomains"],
    ["[{when: [{key: ▲source.principal, values: [a]}]}]", "source.principal"],
    ["[{when: [{key: ▲'request.auth.claims[a]', values: [a]}]}]", "request.auth.claims[a]"],
    ["[{when: [{key: ▲request.auth.audiences, notValues: [a]}]}]", "request.auth.audiences"],
    ["[{when: [{key: ▲'request.auth.claimsx[a]', values: [a]}]}]", "request.auth.claimsx[a]"],
  ])("asks about requests, and not about identities: %s", (rules, name) => {
    const found = faultsAtMark(custom(rules), options);
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(`Istio takes no ${name} in a CUSTOM policy`);
  });

  test("refuses the dry-run annotation", () => {
    const text = custom("[{}]").replace(
      "namespace: foo",
      "namespace: foo, annotations: {▲istio.io/dry-run: 'true'}",
    );
    expect(faultsAtMark(text, options)).toEqual([
      "istio.io/dry-run is for ALLOW and DENY: Istio refuses it in a CUSTOM policy",
    ]);
  });

  test("needs a mesh config for an Envoy, and is an error for an output without authorizers", () => {
    const one = (target: CompileTarget) =>
      compile([{ name: "policy.yaml", text: CUSTOM }], { target }).diagnostics;
    expect(one(WHOLE_ENVOY)[0]).toMatchObject({ severity: "error", line: 4, column: 41 });
    expect(one(WHOLE_ENVOY)[0]?.message).toContain("--mesh-config FILE");
    expect(one(STANDALONE)[0]).toMatchObject({ severity: "error", line: 4, column: 41 });
    expect(one(STANDALONE)[0]?.message).toContain(
      "CUSTOM asks an external authorizer, which an Envoy cannot do",
    );
  });

  test("is not asked in shadow, which is reported", () => {
    const { workloads, diagnostics } = compileWith(http(HERE), { shadow: true });
    expect(workloads[0]?.custom).toEqual([]);
    expect(diagnostics.map(formatDiagnostic)).toEqual([
      "policy.yaml:4:41: warning: in shadow Envoy does not ask this extension provider, because its answer would be enforced: its refusals are not seen",
    ]);
  });

  test("of another workload refuses no request", () => {
    const other = resource(
      "AuthorizationPolicy",
      "{selector: {matchLabels: {app: b}}, action: CUSTOM, provider: {name: zz}, rules: [{}]}",
      "other",
    );
    const { workloads, diagnostics } = compileWith(
      http(HERE),
      { namespace: "foo", labels: { app: "a" } },
      `${CUSTOM}---\n${other}`,
    );
    expect(diagnostics).toEqual([]);
    expect(workloads[0]?.custom.map(({ name }) => name.value)).toEqual(["a"]);
  });
});

describe("for a WasmPlugin, a CUSTOM policy", () => {
  const target = targetOf("wasmplugin");
  const labelled = (name: string, app: string, rest: string) =>
    resource("AuthorizationPolicy", `{selector: {matchLabels: {app: ${app}}}, ${rest}}`, name);
  const deny = labelled("deny", "a", "action: DENY, rules: [{}]");
  const left = (policies: string, options: Partial<CompileOptions> = {}) => {
    const { workloads, diagnostics } = compile([{ name: "policy.yaml", text: policies }], {
      target,
      ...options,
    });
    const notes = diagnostics.map(formatDiagnostic).filter((text) => !text.includes("TCP ports"));
    return { workloads, notes };
  };

  test("stays in the cluster, and is named in the output", () => {
    const { workloads, notes } = left(`${deny}---\n${CUSTOM}`);
    expect(notes).toEqual([
      "policy.yaml:9:41: warning: AuthorizationPolicy foo/p stays in the cluster: Istio asks its extension provider before it runs the plugin, which has nothing of this policy",
    ]);
    expect(workloads).toHaveLength(1);
    const { text } = target.render(workloads, { image: "oci://a/b:1", mode: "sidecar" } as object, {
      module: "",
      exists: () => true,
      resolve: (path) => path,
    });
    expect(text).toContain(
      '# Leave these policies in the cluster, where Istio asks their extension providers before it runs the plugin:\n#   AuthorizationPolicy foo/p ("a")\napiVersion:',
    );
    expect(text).not.toContain("CUSTOM");
  });

  test("neither needs its own plugin nor causes two", () => {
    const other = labelled("ask", "b", "action: CUSTOM, provider: {name: a}, rules: [{}]");
    const { workloads, notes } = left(`${deny}---\n${other}`);
    expect(workloads.map(({ selection }) => selection?.matchLabels)).toEqual([{ app: "a" }]);
    expect(workloads[0]?.custom).toEqual([]);
    expect(notes).toHaveLength(1);
  });

  test("without other policies there is no filter to compile", () => {
    const { workloads, notes } = left(CUSTOM);
    expect(workloads).toEqual([]);
    expect(notes[0]).toContain("there are only CUSTOM policies here, and nothing for the filter to decide");
  });
});

/**
 * `compile --mode waypoint`: which policies a waypoint enforces, the target of its plugin, and its limits.
 */
import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { type CompileOptions, compile } from "../../tools/compile.ts";
import { formatDiagnostic } from "../../tools/diagnostics.ts";
import { targetOf } from "../../tools/targets/index.ts";
import { NotRendered } from "../../tools/targets/target.ts";
import { JWKS } from "./support.ts";

const target = targetOf("wasmplugin");

/** A policy; its spec in flow style. */
const policy = (name: string, namespace: string, spec: string, kind = "AuthorizationPolicy") =>
  `apiVersion: security.istio.io/v1\nkind: ${kind}\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: {${spec}}\n---\n`;
const service = (name: string) => `targetRefs: [{group: "", kind: Service, name: ${name}}]`;
const entry = (name: string) =>
  `targetRefs: [{group: networking.istio.io, kind: ServiceEntry, name: ${name}}]`;
const gateway = (name: string, kind = "Gateway") =>
  `targetRefs: [{group: gateway.networking.k8s.io, kind: ${kind}, name: ${name}}]`;
const everyWaypoint = gateway("istio-waypoint", "GatewayClass");

function compiled(text: string, options: Partial<CompileOptions> = {}) {
  const { workloads, resources, diagnostics } = compile([{ name: "f", text }], {
    target,
    waypoint: true,
    ...options,
  });
  const said = diagnostics.map(formatDiagnostic).filter((message) => !message.includes("TCP ports"));
  const selected = resources.flatMap((resource) => (resource.selected ? [resource.name] : []));
  return { workloads, said, selected };
}

const ALL =
  policy("mesh", "istio-system", everyWaypoint) +
  policy("wp", "foo", gateway("wp")) +
  policy("a", "foo", service("a")) +
  policy("ab", "foo", `targetRefs: [{kind: Service, name: a}, {kind: Service, name: b}]`) +
  policy("entry", "foo", entry("a")) +
  policy("far", "bar", service("a"));

describe("the policies of a waypoint", () => {
  test.each<[Partial<CompileOptions>, string[]]>([
    [{ gateway: "wp", service: { kind: "Service", name: "a" } }, ["mesh", "wp", "a", "ab"]],
    [{ gateway: "wp", service: { kind: "Service", name: "b" } }, ["mesh", "wp", "ab"]],
    [{ gateway: "wp", service: { kind: "Service", name: "c" } }, ["mesh", "wp"]],
    [{ gateway: "other", service: { kind: "Service", name: "c" } }, ["mesh"]],
    [{ gateway: "wp", service: { kind: "ServiceEntry", name: "a" } }, ["mesh", "wp", "entry"]],
  ])("%j are those of the Service, the Gateway and the class", (workload, expected) => {
    const { said, selected, workloads } = compiled(ALL, { namespace: "foo", ...workload });
    expect(said).toEqual([]);
    expect(selected).toEqual(expected);
    const group = workload.service?.kind === "Service" ? "" : "networking.istio.io";
    expect(workloads[0]?.selection).toEqual({
      namespace: "foo",
      targetRefs: [{ group, ...workload.service }],
    });
    expect(workloads[0]?.configuration.peerPrincipal).toBe("io.istio.peer_principal");
  });

  test("of only a Gateway are those of the Gateway and the class", () => {
    const text = policy("wp", "foo", gateway("wp")) + policy("mesh", "istio-system", everyWaypoint);
    const { said, selected, workloads } = compiled(text, { namespace: "foo", gateway: "wp" });
    expect(said).toEqual([]);
    expect(selected).toEqual(["wp", "mesh"]);
    expect(workloads[0]?.selection?.targetRefs).toEqual([
      { group: "gateway.networking.k8s.io", kind: "Gateway", name: "wp" },
    ]);
  });

  test("are never chosen by a selector, or for a whole namespace", () => {
    const text =
      policy("ns", "foo", "") +
      policy("labels", "foo", "selector: {matchLabels: {app: a}}") +
      policy("jwt", "foo", `jwtRules: [{issuer: i, jwks: '${JWKS}'}]`, "RequestAuthentication") +
      policy("root", "istio-system", "") +
      policy("far", "bar", "") +
      policy("a", "foo", service("a"));
    const { said, selected } = compiled(text, { namespace: "foo", service: { kind: "Service", name: "a" } });
    expect(selected).toEqual(["a"]);
    expect(said).toEqual([
      "f:1:1: warning: AuthorizationPolicy foo/ns has no targetRefs, so no waypoint enforces it, and it is not compiled; ztunnel enforces its conditions about connections",
      "f:6:1: warning: AuthorizationPolicy foo/labels has no targetRefs, so no waypoint enforces it, and it is not compiled; ztunnel enforces its conditions about connections",
      "f:11:1: warning: RequestAuthentication foo/jwt has no targetRefs, so no waypoint enforces it, and it is not compiled",
      "f:16:1: warning: AuthorizationPolicy istio-system/root has no targetRefs, so no waypoint enforces it, and it is not compiled; ztunnel enforces its conditions about connections",
    ]);
  });

  test("of the class are in the root namespace, and are those of Istio's own class", () => {
    const text =
      policy("elsewhere", "foo", everyWaypoint) +
      policy("other", "istio-system", gateway("istio", "GatewayClass")) +
      policy("a", "foo", service("a"));
    const { said, selected } = compiled(text);
    expect(selected).toEqual(["a"]);
    expect(said.map((message) => message.slice(0, 62))).toEqual([
      "f:1:1: warning: AuthorizationPolicy foo/elsewhere is for the G",
      "f:6:1: warning: AuthorizationPolicy istio-system/other is for ",
    ]);
    const options = {
      namespace: "foo",
      rootNamespace: "foo",
      service: { kind: "Service", name: "a" },
    } as const;
    expect(compiled(text, options).selected).toEqual(["elsewhere", "a"]);
  });

  test("without a flag that names one, are a plugin for each target", () => {
    const text =
      policy("a", "foo", service("a")) +
      policy("a2", "foo", service("a")) +
      policy("b", "foo", service("b")) +
      policy("entry", "foo", entry("a")) +
      policy("wp", "bar", gateway("wp"));
    const { said, workloads } = compiled(text);
    expect(said).toEqual([]);
    expect(
      workloads.map(({ selection }) => selection?.targetRefs?.map(({ kind, name }) => `${kind} ${name}`)),
    ).toEqual([["Service a"], ["Service b"], ["ServiceEntry a"], ["Gateway wp"]]);
  });
});

describe("cases that are undecided for a waypoint are refused", () => {
  const namespace = "foo";
  test("a Service, next to a plugin for its Gateway", () => {
    expect(compiled(ALL, { namespace, gateway: "wp" }).said[0]).toBe(
      "f:11:1: AuthorizationPolicy foo/a is for the Service a, and a plugin for the Gateway wp would run on its requests too, next to one for it: compile with --service NAME or --service-entry NAME for each, or leave the policy out if another waypoint serves it",
    );
  });
  test("a Gateway, for a Service whose waypoint no flag names", () => {
    expect(compiled(ALL, { namespace, service: { kind: "Service", name: "a" } }).said).toEqual([
      "f:6:1: AuthorizationPolicy foo/wp is for the Gateway wp: pass --gateway NAME, the waypoint that serves the Service a",
    ]);
  });
  test("everything, for only a namespace", () => {
    expect(compiled(policy("a", "foo", service("a")), { namespace }).said).toEqual([
      "f:1:1: AuthorizationPolicy foo/a is for the Service a: pass --gateway NAME, --service NAME or --service-entry NAME",
    ]);
  });
  test("plugins that would run on the same requests", () => {
    const text = policy("a", "foo", service("a")) + policy("wp", "foo", gateway("wp"));
    expect(compiled(text).said[0]).toContain("can be for the same workload, where two plugins would run");
    const mesh = policy("a", "foo", service("a")) + policy("mesh", "istio-system", everyWaypoint);
    expect(compiled(mesh).said[0]).toContain("can be for the same workload, where two plugins would run");
  });
  test("nothing", () => {
    expect(compiled(policy("ns", "foo", "")).said[0]).toContain(
      "no policy here is for a waypoint: give it targetRefs",
    );
    const other = compiled(policy("a", "foo", service("a")), {
      namespace,
      gateway: "w",
      service: { kind: "Service", name: "b" },
    });
    expect(other.said).toEqual([
      "f: no policy here is for this workload: a filter would let everything through; correct --namespace, --gateway, --service or --service-entry",
    ]);
  });
  test("a waypoint of another namespace", () => {
    const text = policy("a", "foo", service("a")) + policy("wp", "infra", gateway("wp"));
    const { said } = compiled(text, { namespace, gateway: "wp", service: { kind: "Service", name: "a" } });
    expect(said).toEqual([
      "f:6:1: warning: AuthorizationPolicy infra/wp is for a Gateway of that name in another namespace than foo, so it is not compiled here: if that is the waypoint, move the policy to targetRefs of the Services that it serves",
    ]);
  });
});

describe("the limits of a plugin in a waypoint", () => {
  const one = (rule: string) =>
    compiled(policy("a", "foo", `${service("a")}, action: DENY, rules: [${rule}]`)).said;

  test.each([
    [
      "{from: [{source: {notIpBlocks: [10.0.0.0/8]}}]}",
      "a WasmPlugin cannot see the address of the direct peer",
    ],
    [
      "{when: [{key: source.ip, values: [10.0.0.1]}]}",
      "a WasmPlugin cannot see the address of the direct peer",
    ],
    [
      "{when: [{key: connection.sni, notValues: [a]}]}",
      "a waypoint does not see the TLS connections of clients, so connection.sni is never there, and its negation is always true: use hosts",
    ],
  ])("%s is refused with the reason", (rule, expected) => {
    const said = one(rule);
    expect(said).toHaveLength(1);
    expect(said[0]).toContain(expected);
    expect(said[0]).not.toContain("warning");
  });

  test("everything else is not", () => {
    const rule =
      "{from: [{source: {principals: [a], notNamespaces: [b], remoteIpBlocks: [10.0.0.0/8]}}], to: [{operation: {ports: ['80'], hosts: [a]}}], when: [{key: destination.ip, values: [10.0.0.1]}]}";
    expect(one(rule)).toEqual([]);
  });

  test("fetching keys needs a cluster, which istiod does not give it", () => {
    const jwt = policy(
      "jwt",
      "foo",
      `${service("a")}, jwtRules: [{issuer: i, jwksUri: "https://keys.example.com/jwks"}]`,
      "RequestAuthentication",
    );
    const { said, workloads } = compiled(jwt);
    expect(said).toContainEqual(
      expect.stringContaining(
        "istiod gives a waypoint no cluster for the server of https://keys.example.com/jwks",
      ),
    );
    expect(workloads).toHaveLength(1);
  });
});

describe("the plugin", () => {
  const render = (
    text: string,
    mode: { waypoint?: true; mode?: "sidecar" | "gateway" },
    options: Partial<CompileOptions> = {},
  ) => {
    const { workloads } = compiled(text, { waypoint: mode.waypoint, ...options });
    const files = { module: "", exists: () => true, resolve: (path: string) => path };
    const chosen = { image: "oci://a/b:1", ...mode };
    return parseAllDocuments(target.render(workloads, chosen as object, files).text).map((one) => one.toJS());
  };

  test("runs where istiod puts what passes a waypoint", () => {
    const [plugin] = render(policy("a", "foo", service("a")), { waypoint: true });
    expect(plugin).toMatchObject({
      kind: "WasmPlugin",
      metadata: { namespace: "foo" },
      spec: {
        targetRefs: [{ group: "", kind: "Service", name: "a" }],
        phase: "AUTHN",
        match: [{ mode: "SERVER" }],
        pluginConfig: { peerPrincipal: "io.istio.peer_principal" },
      },
    });
  });

  test("for a Service is not rendered for another proxy, where its peers would be unknown", () => {
    for (const mode of [{ mode: "sidecar" }, { mode: "gateway" }, {}] as const) {
      expect(() => render(policy("a", "foo", service("a")), mode)).toThrow(NotRendered);
    }
    const [plugin] = render(policy("a", "foo", ""), { mode: "sidecar" }, { namespace: "foo" });
    expect(plugin.spec.pluginConfig).not.toHaveProperty("peerPrincipal");
  });

  test("for a Gateway needs a mode if it is about peers, which a gateway and a waypoint find differently", () => {
    const about = (source: string) =>
      policy("a", "foo", `${gateway("g")}, rules: [{from: [{source: {${source}}}]}]`);
    for (const source of [
      "principals: [a]",
      "notNamespaces: [a]",
      "serviceAccounts: [a]",
      "trustDomains: [a*]",
    ]) {
      expect(() => render(about(source), {}), source).toThrow(/needs --mode gateway, sidecar or waypoint/);
      expect(render(about(source), { mode: "gateway" })[0].spec.match).toEqual([{ mode: "CLIENT" }]);
    }
    expect(render(about("remoteIpBlocks: [10.0.0.1]"), {})[0].spec).not.toHaveProperty("match");
  });
});

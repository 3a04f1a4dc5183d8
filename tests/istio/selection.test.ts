import { describe, expect, test } from "vitest";
import type { CompileOptions } from "../../tools/targets/compile.ts";
import { compileText, faultsAtMark, messages } from "./support.ts";

/** An AuthorizationPolicy without rules; its attachment in flow style. */
const policy = (name: string, namespace: string, attachment = "") =>
  `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: {${attachment}}\n---\n`;
const gateway = (name: string) =>
  `targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: ${name}}]`;
const labels = (text: string) => `selector: {matchLabels: {${text}}}`;

/** The names of the policies that are compiled. */
function selected(text: string, options: Partial<CompileOptions>): string[] {
  const { resources, diagnostics } = compileText(text, options);
  expect(diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
  return resources.flatMap((resource) => (resource.selected ? [resource.name] : []));
}

describe("policies that no workload has both of, compiled together", () => {
  const allow = (name: string, namespace: string, attachment = "") =>
    policy(name, namespace, attachment ? `${attachment}, rules: [{}]` : "rules: [{}]");

  test.each([
    ["namespaces", allow("a", "foo") + allow("b", "bar")],
    ["labels", allow("a", "foo", labels("app: a")) + allow("b", "foo", labels("app: b"))],
    ["gateways", allow("a", "foo", gateway("g")) + allow("b", "foo", gateway("h"))],
  ])("of two %s are named: a request that one allows is allowed for the other", (_what, text) => {
    expect(messages(text)).toEqual([
      expect.stringMatching(
        /^6:1: warning: no workload has both this AuthorizationPolicy \w+\/b and AuthorizationPolicy foo\/a \(policy\.yaml:1:1\)/,
      ),
    ]);
    expect(messages(text, { namespace: "foo", labels: { app: "a" }, gateway: "g" })).toEqual([]);
  });

  test("others are not", () => {
    const text =
      allow("a", "foo") + allow("b", "foo", labels("app: a")) + allow("c", "istio-system", labels("tier: b"));
    expect(messages(text)).toEqual([]);
  });
});

describe("which policies are for a workload", () => {
  const all =
    policy("mesh", "istio-system") +
    policy("mesh-a", "istio-system", labels("app: a")) +
    policy("ns", "foo") +
    policy("ns-a", "foo", labels("app: a")) +
    policy("ns-a-v1", "foo", labels("app: a, version: v1")) +
    policy("empty", "foo", "selector: {}") +
    policy("gateway", "foo", gateway("g")) +
    policy("other", "bar");

  test("without a workload, all", () => expect(selected(all, {})).toHaveLength(8));
  test.each<[CompileOptions["labels"], string[]]>([
    [{}, ["mesh", "ns", "empty"]],
    [{ app: "a" }, ["mesh", "mesh-a", "ns", "ns-a", "empty"]],
    [{ app: "a", version: "v1", more: "b" }, ["mesh", "mesh-a", "ns", "ns-a", "ns-a-v1", "empty"]],
    [{ app: "b" }, ["mesh", "ns", "empty"]],
  ])("in the namespace foo with the labels %j", (workload, expected) => {
    expect(selected(all, { namespace: "foo", labels: workload })).toEqual(expected);
  });
  test("in a namespace without policies, those of the root", () => {
    expect(selected(all, { namespace: "baz", labels: {} })).toEqual(["mesh"]);
  });
  test("in the root namespace, its own", () => {
    expect(selected(all, { namespace: "istio-system", labels: { app: "a" } })).toEqual(["mesh", "mesh-a"]);
  });
  test("another root namespace", () => {
    const options = { namespace: "foo", labels: {}, rootNamespace: "bar" };
    expect(selected(all, options)).toEqual(["ns", "empty", "other"]);
  });
  test("for a gateway, those that target it and those without labels", () => {
    expect(selected(all, { namespace: "foo", gateway: "g", labels: {} })).toEqual([
      "mesh",
      "ns",
      "empty",
      "gateway",
    ]);
    expect(selected(all, { namespace: "foo", gateway: "h", labels: {} })).toEqual(["mesh", "ns", "empty"]);
    const named = { "gateway.networking.k8s.io/gateway-name": "g" };
    expect(selected(all, { namespace: "foo", labels: named })).toEqual(["mesh", "ns", "empty", "gateway"]);
  });
  test("a gateway's name is one of its labels", () => {
    const text = policy("a", "foo", labels("gateway.networking.k8s.io/gateway-name: g"));
    expect(selected(text, { namespace: "foo", gateway: "g" })).toEqual(["a"]);
  });
  test("a gateway of the root namespace is targeted from there", () => {
    const text = policy("a", "istio-system", gateway("g")) + policy("b", "foo");
    expect(selected(text, { namespace: "foo", gateway: "g" })).toEqual(["b"]);
    expect(selected(text, { namespace: "istio-system", gateway: "g" })).toEqual(["a"]);
  });
  test("resources without a namespace are in the workload's", () => {
    const text = policy("a", "foo").replace(", namespace: foo", "");
    expect(selected(text, { namespace: "foo" })).toEqual(["a"]);
    expect(compileText(text, {}).resources[0]!.namespace).toBe("default");
  });
  test("labels are enough if there is one namespace", () => {
    const text = policy("a", "foo", labels("app: a")) + policy("b", "foo", labels("app: b"));
    expect(selected(text, { labels: { app: "b" } })).toEqual(["b"]);
  });
});

describe("undecided cases are refused", () => {
  test("labels, without a namespace, if there are several", () => {
    expect(messages(policy("a", "foo") + policy("b", "bar"), { labels: {} })).toEqual([
      "6:1: the policies are of several namespaces, foo and bar: pass --namespace",
    ]);
  });
  test("a selector, without labels", () => {
    expect(messages(policy("a", "foo", labels("app: a, v: b")), { namespace: "foo" })).toEqual([
      "1:1: AuthorizationPolicy foo/a is for workloads with the labels app=a,v=b: pass its labels with --labels",
    ]);
  });
  test("a target, without a gateway or labels", () => {
    expect(messages(policy("a", "foo", gateway("g")), { namespace: "foo" })).toEqual([
      "1:1: AuthorizationPolicy foo/a is for Gateway g: pass --gateway NAME if the workload is a gateway, or --labels if it is not",
    ]);
  });
  test("a workload without a policy", () => {
    expect(messages(policy("a", "foo"), { namespace: "bar" })).toEqual([
      "no policy here is for this workload: a filter would let everything through; correct --namespace, --labels or --gateway",
    ]);
  });
  test("a waypoint's policy is named when it is left out", () => {
    const service = policy("a", "foo", "targetRefs: [{kind: Service, name: s}]");
    expect(messages(service + policy("b", "foo"), { namespace: "foo", gateway: "g" })).toEqual([
      "1:1: warning: AuthorizationPolicy foo/a is for waypoints (its target is the Service s), so it is not compiled for the gateway g",
    ]);
  });
});

describe("WasmPlugins without a workload, one for each selection", () => {
  const plugins = (text: string) => {
    const { workloads, configuration, diagnostics } = compileText(text, { target: "wasmplugin" });
    expect(diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
    expect(configuration === undefined).toBe(workloads.length !== 1);
    return workloads.map(({ selection, sourceMap }) => [selection, Object.keys(sourceMap.rules)]);
  };
  const gatewayRef = (name: string) => ({ group: "gateway.networking.k8s.io", kind: "Gateway", name });

  test("equal selections, however they are written, share one", () => {
    const text =
      policy("a", "foo", labels("app: a, v: b")) +
      policy("b", "foo", labels("v: b, app: a")) +
      policy("c", "foo", labels("app: c"));
    expect(plugins(text)).toEqual([
      [
        { namespace: "foo", matchLabels: { app: "a", v: "b" } },
        ["ns[foo]-policy[a]-rule[0]", "ns[foo]-policy[b]-rule[0]"],
      ],
      [{ namespace: "foo", matchLabels: { app: "c" } }, ["ns[foo]-policy[c]-rule[0]"]],
    ]);
  });
  test("namespaces do not overlap", () => {
    expect(plugins(policy("a", "foo") + policy("b", "bar")).map(([selection]) => selection)).toEqual([
      { namespace: "foo" },
      { namespace: "bar" },
    ]);
  });
  test("gateways do not overlap", () => {
    expect(
      plugins(policy("a", "foo", gateway("g")) + policy("b", "foo", gateway("h"))).map(([s]) => s),
    ).toEqual([
      { namespace: "foo", targetRefs: [gatewayRef("g")] },
      { namespace: "foo", targetRefs: [gatewayRef("h")] },
    ]);
  });
  test("with a workload there is one plugin, for that workload", () => {
    const text = policy("a", "istio-system") + policy("b", "foo", labels("app: a"));
    const workloads = (options: Partial<CompileOptions>) =>
      compileText(text, { target: "wasmplugin", ...options }).workloads.map(({ selection }) => selection);
    expect(workloads({ namespace: "foo", labels: { app: "a" } })).toEqual([
      { namespace: "foo", matchLabels: { app: "a" } },
    ]);
    expect(workloads({ namespace: "bar" })).toEqual([{ namespace: "bar" }]);
    expect(workloads({ namespace: "bar", gateway: "g" })).toEqual([
      { namespace: "bar", targetRefs: [gatewayRef("g")] },
    ]);
  });
  test.each([
    ["the whole namespace and a workload of it", policy("a", "foo"), policy("b", "foo", labels("app: a"))],
    ["different labels", policy("a", "foo", labels("app: a")), policy("b", "foo", labels("version: b"))],
    ["the root namespace and another", policy("a", "istio-system"), policy("b", "foo")],
    ["a gateway and a namespace", policy("a", "foo", gateway("g")), policy("b", "foo")],
    [
      "a gateway and a service",
      policy("a", "foo", gateway("g")),
      policy("b", "foo", "targetRefs: [{kind: Service, name: s}]"),
    ],
  ])("%s can overlap", (_, first, second) => {
    const namespace = first.includes("istio-system") ? "istio-system" : "foo";
    expect(messages(first + second, { target: "wasmplugin" })).toEqual([
      `6:1: AuthorizationPolicy foo/b and AuthorizationPolicy ${namespace}/a (policy.yaml:1:1) can be for the same workload, where two plugins would run: compile for one workload at a time, with --namespace and --labels, --gateway or (for a waypoint) --service`,
    ]);
  });
});

describe("attachments that the API server or istiod refuse", () => {
  test.each([
    [
      `selector: {matchLabels: {app: a}}, ▲${gateway("g")}`,
      "only one of selector and targetRefs can be set: remove the other",
    ],
    [labels("▲'a*': b"), "a selector takes no wildcards: name each label's value, or leave the label out"],
    [labels("▲a: '*'"), "a selector takes no wildcards: name each label's value, or leave the label out"],
    [labels("▲'': b"), "a label's name must not be empty"],
    [
      labels("a: ▲1"),
      'spec.selector.matchLabels[a] must be a string, and YAML reads 1 as a number: put it in quotes, "1"',
    ],
    [
      labels(`▲a: ${"b".repeat(64)}`),
      "the label's value is longer than the 63 characters that a label can have",
    ],
    [
      "selector: {▲labels: {a: b}}",
      'unknown field "labels" in spec.selector: the fields here are matchLabels',
    ],
    ["targetRefs: [▲{kind: Gateway}]", "spec.targetRefs[0].name is missing"],
    ["targetRefs: [{kind: Service, ▲name: ''}]", "spec.targetRefs[0].name is missing"],
    [
      "targetRefs: [▲{kind: Gateway, name: g}]",
      'spec.targetRefs[0] names no target: the group of Gateway is "gateway.networking.k8s.io"',
    ],
    [
      "targetRefs: [{kind: Service, group: ▲apps, name: g}]",
      'spec.targetRefs[0] names no target: the group of Service is ""',
    ],
    [
      "targetRefs: [{kind: ▲Pod, name: g}]",
      "spec.targetRefs[0] names no target: a policy attaches to Gateway, GatewayClass, Service, ServiceEntry",
    ],
    [
      "targetRefs: [{kind: Service, name: g, namespace: ▲foo}]",
      "spec.targetRefs[0] must be in the policy's own namespace: remove namespace",
    ],
    [
      `▲targetRefs: [${Array(17).fill("{kind: Service, name: s}").join(",")}]`,
      "spec.targetRefs has more than 16 entries",
    ],
  ])("%s", (attachment, expected) => {
    expect(faultsAtMark(policy("a", "foo", attachment))).toEqual([expected]);
  });
  test("a selector without labels selects everything, which is reported", () => {
    expect(messages(policy("a", "foo", "selector: {}"))).toEqual([
      "4:18: warning: this selector has no labels, so it selects every workload",
    ]);
  });
  test("the older targetRef is read", () => {
    const text = policy("a", "foo", "targetRef: {group: core, kind: Service, name: s}");
    expect(compileText(text, { target: "wasmplugin" }).workloads[0]!.selection).toEqual({
      namespace: "foo",
      targetRefs: [{ group: "", kind: "Service", name: "s" }],
    });
  });
});

describe("a policy that the filter cannot do, or that is of a newer Istio", () => {
  const own = policy("own", "foo", labels("app: a"));
  const NEWER = "rules: [{from: [{source: {newField: [a]}}]}]";
  const NEW_TARGET = "targetRefs: [{group: example.com, kind: Pool, name: a}]";
  const LABELS = labels("app: b");
  const workload = { namespace: "foo", labels: { app: "a" } };

  test.each([
    ["in another namespace", policy("new", "bar", NEWER)],
    ["with targets that are not known, in another namespace", policy("new", "bar", NEW_TARGET)],
    ["with other labels", policy("new", "foo", `${LABELS}, ${NEWER}`)],
    ["of the root namespace, with other labels", policy("new", "istio-system", `${LABELS}, ${NEWER}`)],
    ["for a gateway", policy("new", "foo", `${gateway("g")}, ${NEWER}`)],
  ])("%s is left out with a warning", (_, text) => {
    expect(selected(own + text, workload)).toEqual(["own"]);
    expect(messages(own + text, workload)).toEqual([
      expect.stringMatching(
        /^9:\d+: warning: .*; AuthorizationPolicy [-a-z]+\/new is for other workloads, so it is left out here$/,
      ),
    ]);
    expect(messages(own + text)).toEqual(expect.arrayContaining([expect.stringMatching(/^9:\d+: [^w]/)]));
  });

  test.each<[string, string, Partial<CompileOptions>?]>([
    ["for the workload", policy("new", "foo", NEWER)],
    ["for every namespace", policy("new", "istio-system", NEWER)],
    ["with a target that is not known", policy("new", "foo", NEW_TARGET)],
    ["with a selector that is misspelt", policy("new", "foo", "selectr: {matchLabels: {app: b}}")],
    ["with labels that are misspelt", policy("new", "foo", "selector: {matchLabel: {app: b}}")],
    [
      "with a label that is a number",
      policy("new", "foo", `selector: {matchLabels: {app: b, v: 1}}, ${NEWER}`),
    ],
    ["for unknown labels", policy("new", "foo", `${LABELS}, ${NEWER}`), { namespace: "foo" }],
    ["in an invalid namespace", policy("new", "Bar", NEWER)],
    ["with a namespace that is misspelt", policy("new", "foo", NEWER).replace("namespace", "namespce")],
    ["without a name", policy("new", "bar", NEWER).replace("name: new, ", "")],
    [
      "for a gateway, which the workload may be",
      policy("new", "foo", `${gateway("g")}, ${NEWER}`),
      { namespace: "foo" },
    ],
    [
      "for the gateway",
      policy("new", "foo", `${gateway("g")}, ${NEWER}`),
      { namespace: "foo", gateway: "g" },
    ],
  ])("%s is an error", (_, text, options = workload) => {
    const { diagnostics, configuration } = compileText(own + text, options);
    expect(diagnostics.some(({ severity, line }) => severity === "error" && line > 5)).toBe(true);
    expect(configuration).toBeUndefined();
  });

  test("on a Service is for a waypoint, and not for the gateway", () => {
    const text =
      own.replace(labels("app: a"), "") +
      policy("w", "foo", `targetRefs: [{kind: Service, name: s}], ${NEWER}`);
    expect(messages(text, { namespace: "foo", gateway: "g" })).toEqual([
      expect.stringContaining("is for waypoints"),
      expect.stringContaining("is for other workloads, so it is left out here"),
    ]);
  });
});

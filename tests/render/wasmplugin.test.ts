/** The WasmPlugin: it is valid under Istio's schema, and runs exactly once for each request. */

import { WasmPlugin } from "@kubernetes-models/istio/extensions.istio.io/v1alpha1";
import { describe, expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import type { Selection } from "../../tools/istio/selection.ts";
import { printResources } from "../../tools/render/resources.ts";
import {
  isForGateway,
  reasonsFor,
  renderWasmPlugin,
  type WasmPluginOptions,
} from "../../tools/render/wasmplugin.ts";
import { OPEN } from "../support/configuration.ts";

const CONFIGURATION = OPEN;
const PRINTED = { version: "1.0.0", output: "wasmplugin", reasons: reasonsFor({ isShadow: false }) };
const IMAGE = "oci://registry.example.com/jwtgate:1";
const GATEWAY: Selection = {
  namespace: "foo",
  targetRefs: [{ group: "gateway.networking.k8s.io", kind: "Gateway", name: "edge" }],
};

function render(selection: Selection, options: Partial<WasmPluginOptions> = {}) {
  const plugin = renderWasmPlugin(selection, CONFIGURATION, { image: IMAGE, ...options });
  new WasmPlugin(plugin as never).validate();
  return plugin as { metadata: { name: string; namespace: string }; spec: Record<string, unknown> };
}

describe("a WasmPlugin", () => {
  test("refuses if it cannot decide, and runs before Istio's own authentication", () => {
    expect(render({ namespace: "foo" }, { mode: "sidecar" })).toEqual({
      apiVersion: "extensions.istio.io/v1alpha1",
      kind: "WasmPlugin",
      metadata: { name: "jwtgate", namespace: "foo" },
      spec: {
        url: IMAGE,
        phase: "AUTHN",
        failStrategy: "FAIL_RELOAD",
        match: [{ mode: "SERVER" }],
        pluginConfig: CONFIGURATION,
      },
    });
  });

  test("in shadow refuses nothing, not even if it cannot be loaded, and a comment explains this", () => {
    const plugin = renderWasmPlugin(GATEWAY, { ...OPEN, shadow: true }, { image: IMAGE });
    expect(plugin["spec"]).toMatchObject({ failStrategy: "FAIL_OPEN", pluginConfig: { shadow: true } });
    expect(printResources([plugin], { ...PRINTED, reasons: reasonsFor({ isShadow: true }) })).toContain(
      "Without --shadow: FAIL_RELOAD.",
    );
  });

  test("of a gateway runs on the traffic that Istio calls the client side", () => {
    expect(render({ namespace: "foo" }, { mode: "gateway" }).spec["match"]).toEqual([{ mode: "CLIENT" }]);
  });

  test("copies labels", () => {
    const { spec, metadata } = render(
      { namespace: "foo", matchLabels: { app: "httpbin", "example.com/Version": "V_1.0" } },
      { mode: "sidecar" },
    );
    expect(spec["selector"]).toEqual({ matchLabels: { app: "httpbin", "example.com/Version": "V_1.0" } });
    expect(metadata.name).toMatch(/^jwtgate-httpbin-v-1-0-[0-9a-f]{10}$/);
  });

  test("copies targets, and needs no mode if they are Gateways", () => {
    const { spec, metadata } = render(GATEWAY);
    expect(spec["targetRefs"]).toEqual(GATEWAY.targetRefs);
    expect(spec).not.toHaveProperty("match");
    expect(metadata.name).toMatch(/^jwtgate-edge-[0-9a-f]{10}$/);
    expect(isForGateway(GATEWAY)).toBe(true);
    expect(isForGateway({ namespace: "foo" })).toBe(false);
    expect(isForGateway({ namespace: "foo", targetRefs: [{ group: "", kind: "Service", name: "a" }] })).toBe(
      false,
    );
  });

  test("pins the image if a digest is given", () => {
    expect(render(GATEWAY, { sha256: "a".repeat(64) }).spec["sha256"]).toBe("a".repeat(64));
  });

  test("has a name that Kubernetes accepts, for labels of any length", () => {
    const { metadata } = render({ namespace: "foo", matchLabels: { a: "x".repeat(56), b: "-".repeat(9) } });
    expect(metadata.name).toMatch(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/);
    expect(metadata.name.length).toBeLessThanOrEqual(63);
  });
});

describe("no two selections of a namespace have one name: the later plugin would replace the earlier", () => {
  const long = "x".repeat(60);
  const labelled = (...all: Record<string, string>[]): Selection[] =>
    all.map((matchLabels) => ({ namespace: "foo", matchLabels }));
  const selections: Selection[] = [
    { namespace: "foo" },
    ...labelled(
      { app: "a.b" },
      { app: "a_b" },
      { app: "a-b" },
      { app: "A-B" },
      { tier: "a-b" },
      { app: "a", tier: "b" },
      { app: `${long}1` },
      { app: `${long}2` },
    ),
    ...["Gateway", "Service"].map((kind) => ({
      namespace: "foo",
      targetRefs: [{ group: "", kind: kind as "Gateway", name: "a-b" }],
    })),
  ];

  test("for any characters that a name leaves out", () => {
    const names = selections.map((selection) => render(selection, { mode: "gateway" }).metadata.name);
    expect(new Set(names).size).toBe(selections.length);
    for (const name of names) expect(name).toMatch(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
  });

  test("and one selection has one name, in any order of its labels", () => {
    const [a, b] = labelled({ app: "a", tier: "b" }, { tier: "b", app: "a" }).map(
      (selection) => render(selection, { mode: "gateway" }).metadata.name,
    );
    expect(a).toBe(b);
  });
});

describe("the YAML", () => {
  const words = [
    "no",
    "y",
    "on",
    "010",
    "1:30",
    "1_000",
    "2001-01-01",
    "null",
    "~",
    "1e3",
    "0x1f",
    ".5",
    "=",
    "<<",
    "# a",
  ];

  test("reads the same in YAML 1.1, as in Kubernetes, and in YAML 1.2", () => {
    const content = {
      words,
      nested: Object.fromEntries(words.filter((word) => word !== "<<").map((word) => [word, word])),
    };
    const text = printResources([content], PRINTED);
    expect(parse(text, { version: "1.1" })).toEqual(content);
    expect(parse(text, { version: "1.2" })).toEqual(content);
  });

  test("contains a document for each resource, with reasons", () => {
    const text = printResources([render(GATEWAY), render(GATEWAY)], PRINTED);
    expect(parseAllDocuments(text).map((document) => document.toJS())).toEqual([
      render(GATEWAY),
      render(GATEWAY),
    ]);
    expect(text).toContain(
      "# A filter that fails or cannot be loaded refuses every request. A filter that has failed is started again.\n",
    );
  });
});

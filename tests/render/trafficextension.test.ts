/** The TrafficExtension: what Istio's schema says (istio/api extensions/v1alpha1/traffic_extension.proto), and a WasmPlugin's part. */
import { describe, expect, test } from "vitest";
import type { Selection } from "../../tools/istio/selection.ts";
import type { Message } from "../../tools/render/bootstrap.ts";
import { printResources } from "../../tools/render/resources.ts";
import {
  reasonsFor,
  renderTrafficExtension,
  renderWasmPlugin,
  type WasmPluginOptions,
} from "../../tools/render/wasmplugin.ts";
import { OPEN } from "../support/configuration.ts";
import { closed, expectValid, reference, resource } from "./schema.ts";

/** The fields of the resource that Istio defines. */
const SCHEMA = resource("extensions.istio.io/v1alpha1", "TrafficExtension", {
  ...closed(
    {
      selector: closed({
        matchLabels: { type: "object", additionalProperties: { type: "string", maxLength: 63 } },
      }),
      targetRefs: { type: "array", maxItems: 16, items: reference("Gateway", "Service") },
      phase: { enum: ["AUTHN", "AUTHZ", "STATS"] },
      priority: { type: "integer" },
      match: { type: "array", items: closed({ mode: { enum: ["CLIENT", "SERVER", "CLIENT_AND_SERVER"] } }) },
      wasm: closed(
        {
          url: { type: "string", pattern: "^(oci|https?|file)://" },
          sha256: { type: "string", pattern: "^[a-f0-9]{64}$" },
          failStrategy: { enum: ["FAIL_CLOSE", "FAIL_OPEN", "FAIL_RELOAD"] },
          pluginConfig: { type: "object" },
        },
        "url",
      ),
    },
    "wasm",
  ),
  not: { required: ["selector", "targetRefs"] },
});

const IMAGE = "oci://registry.example.com/jwtgate:1";
const SELECTIONS: [Selection, Partial<WasmPluginOptions>][] = [
  [{ namespace: "foo" }, { mode: "sidecar" }],
  [
    { namespace: "foo", matchLabels: { app: "httpbin" } },
    { mode: "gateway", sha256: "a".repeat(64) },
  ],
  [
    {
      namespace: "foo",
      targetRefs: [{ group: "gateway.networking.k8s.io", kind: "Gateway", name: "edge" }],
    },
    {},
  ],
];

describe("a TrafficExtension", () => {
  test.each(SELECTIONS)("of %j is as Istio wants it", (selection, options) => {
    expectValid(SCHEMA, renderTrafficExtension(selection, OPEN, { image: IMAGE, ...options }));
  });

  test.each(SELECTIONS)("of %j has the settings of a WasmPlugin", (selection, options) => {
    const [extension, plugin] = [renderTrafficExtension, renderWasmPlugin].map((render) =>
      render(selection, OPEN, { image: IMAGE, ...options }),
    ) as [Message, Message];
    // Istio makes a TrafficExtension of each WasmPlugin, member by member.
    const { wasm, ...attached } = extension["spec"] as { wasm: object };
    expect({ ...attached, ...wasm }).toEqual(plugin["spec"]);
    expect(extension["metadata"]).toEqual(plugin["metadata"]);
  });

  test("refuses if it cannot decide; in shadow it refuses nothing, and a comment explains this", () => {
    const [selection] = SELECTIONS[0] ?? [];
    if (selection === undefined) throw new Error("there is no selection");
    const render = (shadow: boolean) =>
      renderTrafficExtension(selection, { ...OPEN, ...(shadow && { shadow }) }, { image: IMAGE });
    expect(render(false)["spec"]).toMatchObject({ wasm: { failStrategy: "FAIL_RELOAD" } });
    expect(render(true)["spec"]).toMatchObject({ wasm: { failStrategy: "FAIL_OPEN" } });
    const printed = (isShadow: boolean) => ({
      version: "1.0.0",
      output: "trafficextension",
      reasons: reasonsFor({ isShadow }),
    });
    expect(printResources([render(false)], printed(false))).toMatch(
      /^# Written by jwtgate 1\.0\.0 .*trafficextension/,
    );
    expect(printResources([render(true)], printed(true))).toContain("Without --shadow: FAIL_RELOAD.");
  });
});

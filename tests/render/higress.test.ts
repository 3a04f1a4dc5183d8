/** Higress's WasmPlugin: what its schema says (alibaba/higress v2.2.1, api/extensions/v1alpha1), and what it must not say. */
import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { formatDiagnostic } from "../../tools/diagnostics.ts";
import { renderHigressPlugin } from "../../tools/render/higress.ts";
import { compile } from "../../tools/targets/compile.ts";
import { higress } from "../../tools/targets/higress.ts";
import { OPEN } from "../support/configuration.ts";
import { closed, expectValid, resource } from "./schema.ts";

const SCHEMA = resource(
  "extensions.higress.io/v1alpha1",
  "WasmPlugin",
  closed(
    {
      url: { type: "string", pattern: "^(oci|https?|file)://" },
      sha256: { type: "string", pattern: "^[a-f0-9]{64}$" },
      phase: { enum: ["AUTHN", "AUTHZ", "STATS"] },
      priority: { type: "integer" },
      failStrategy: { enum: ["FAIL_CLOSE", "FAIL_OPEN"] },
      pluginConfig: { type: "object", required: ["version", "contents"] },
    },
    "url",
    "pluginConfig",
  ),
);
const IMAGE = "oci://registry.example.com/jwtgate:1";
const NAMESPACE = "higress-system";

describe("a WasmPlugin of Higress", () => {
  test("refuses if it cannot decide, for every route of the gateway", () => {
    const plugin = renderHigressPlugin(OPEN, { image: IMAGE, namespace: NAMESPACE, sha256: "a".repeat(64) });
    expectValid(SCHEMA, plugin);
    expect(plugin).toMatchObject({
      metadata: { name: "jwtgate", namespace: NAMESPACE },
      spec: { phase: "AUTHN", failStrategy: "FAIL_CLOSE", pluginConfig: OPEN },
    });
  });

  test("in shadow refuses nothing", () => {
    const plugin = renderHigressPlugin({ ...OPEN, shadow: true }, { image: IMAGE, namespace: NAMESPACE });
    expectValid(SCHEMA, plugin);
    expect(plugin["spec"]).toMatchObject({ failStrategy: "FAIL_OPEN", pluginConfig: { shadow: true } });
  });
});

describe("keys that are fetched", () => {
  const policies = (jwksUri: string) => `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: a, namespace: foo}
spec: {jwtRules: [{issuer: i, jwksUri: "${jwksUri}"}]}
`;

  const compiled = (jwksUri: string, options: { higressNamespace?: string } = {}) => {
    const { workloads, diagnostics } = compile([{ name: "a.yaml", text: policies(jwksUri) }], {
      target: "higress",
    });
    const { text } = higress.render(workloads, { image: IMAGE, ...options });
    const documents = parseAllDocuments(text).map(
      (document) => document.toJS() as { kind: string; metadata: { namespace: string }; spec: object },
    );
    return { documents, messages: diagnostics.map(formatDiagnostic) };
  };

  test("come through clusters as Istio names them, whose server's name is compared", () => {
    const { documents, messages } = compiled("https://keys.example.com/jwks");
    expect(documents.map(({ kind, metadata }) => `${kind} ${metadata.namespace}`)).toEqual(
      ["WasmPlugin", "ServiceEntry", "DestinationRule"].map((kind) => `${kind} ${NAMESPACE}`),
    );
    expect(documents[0]?.spec).toMatchObject({
      pluginConfig: { providers: [{ remoteJwks: { cluster: "outbound|10443||keys.example.com" } }] },
    });
    expect(JSON.stringify(documents[2]?.spec)).toContain('"subjectAltNames":["keys.example.com"]');
    expect(messages).toEqual([
      expect.stringMatching(
        /^a\.yaml:5:19: warning: .*"outbound\|10443\|\|keys\.example\.com".*docs\/higress\.md/,
      ),
    ]);
  });

  test("of a service of the cluster need no resource", () => {
    const { documents, messages } = compiled("http://keys.bar.svc:8080/jwks", {
      higressNamespace: "gateways",
    });
    expect(documents.map(({ kind, metadata }) => `${kind} ${metadata.namespace}`)).toEqual([
      "WasmPlugin gateways",
    ]);
    expect(messages[0]).toContain('"outbound|8080||keys.bar.svc.cluster.local"');
  });
});

test("the direct peer is an error", () => {
  const policy = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: a}
spec: {rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}]}]}
`;
  const { configuration, diagnostics } = compile([{ name: "a.yaml", text: policy }], { target: "higress" });
  expect(configuration).toBeUndefined();
  expect(diagnostics.map(({ message }) => message)).toEqual([
    expect.stringContaining("a WasmPlugin of Higress cannot see the address of the direct peer"),
  ]);
});

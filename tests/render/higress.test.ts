/**
 * Higress's WasmPlugin: it is valid under its schema (alibaba/higress v2.2.1, api/extensions/v1alpha1), and
 * omits fields that it must not have.
 */
import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { formatDiagnostic } from "../../tools/diagnostics.ts";
import { renderHigressPlugin } from "../../tools/render/higress.ts";
import { printResources } from "../../tools/render/resources.ts";
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

describe("what is written for Higress", () => {
  const written = (options: { shadow?: boolean; sha256?: string } = {}) => {
    const text =
      "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a}\nspec: {rules: [{}]}\n";
    const { shadow, ...image } = options;
    const { workloads } = compile([{ name: "a.yaml", text }], {
      target: "higress",
      ...(shadow && { shadow }),
    });
    return higress.render(workloads, { image: IMAGE, ...image } as never).text;
  };

  test("begins with the version and how to apply it", () => {
    expect(written()).toMatch(
      /^# Written by jwtgate \S+ \(compile --output higress\)\.\n# Apply it: kubectl apply -f THIS_FILE\n/,
    );
  });
  test("says why it has the settings that it has", () => {
    const comments = written();
    expect(comments).toContain("Where Higress's own plugin for JWTs runs");
    expect(comments).toContain("A filter that fails or cannot be loaded refuses");
    expect(comments).toContain("Not defaultConfig, to which Higress adds rules");
    expect(comments).not.toContain("In shadow");
  });
  test("says that it refuses nothing in shadow", () => {
    const comments = written({ shadow: true });
    expect(comments).toContain("In shadow the filter protects nothing");
    expect(comments).toContain("Where Higress's own plugin for JWTs runs");
    expect(comments).not.toContain("A filter that fails or cannot be loaded refuses");
  });
  test("has the module's digest if one is given", () => {
    expect(written({ sha256: "b".repeat(64) })).toContain(`sha256: ${"b".repeat(64)}`);
    expect(written()).not.toContain("sha256");
  });
});

test("notes of an output come after the heading of its resources", () => {
  const printed = { version: "1.2.3", output: "x", reasons: {} };
  const lines = (notes?: string[]) =>
    printResources([{ kind: "A" }], { ...printed, ...(notes && { notes }) })
      .split("\n")
      .slice(0, 4);
  expect(lines(["one", "two"])).toEqual([
    "# Written by jwtgate 1.2.3 (compile --output x).",
    "# Apply it: kubectl apply -f THIS_FILE",
    "# one",
    "# two",
  ]);
  expect(lines().filter((line) => line.startsWith("#"))).toHaveLength(2);
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

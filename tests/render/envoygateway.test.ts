/**
 * Envoy Gateway's resources: what its schemas say (envoyproxy/gateway v1.9.0, api/v1alpha1), and what makes it create the
 * cluster that the filter asks for.
 */
import { describe, expect, test } from "vitest";
import type { Configuration } from "../../tools/config/schema.ts";
import { formatDiagnostic } from "../../tools/diagnostics.ts";
import {
  type GatewaySelection,
  gatewaysOf,
  renderEnvoyExtensionPolicy,
  renderGatewayKeyServers,
} from "../../tools/render/envoygateway.ts";
import { type CompileOptions, compile } from "../../tools/targets/compile.ts";
import { OPEN } from "../support/configuration.ts";
import { closed, expectValid, reference, resource, text } from "./schema.ts";

const GATEWAY_API = "gateway.networking.k8s.io/v1";
const API = "gateway.envoyproxy.io/v1alpha1";
const port = { type: "integer", minimum: 1, maximum: 65_535 };
const sha256 = { type: "string", pattern: "^[a-f0-9]{64}$" };
const list = (items: object) => ({ type: "array", minItems: 1, items });

const SCHEMAS = {
  EnvoyExtensionPolicy: resource(
    API,
    "EnvoyExtensionPolicy",
    closed(
      {
        targetRefs: list(reference("Gateway", "HTTPRoute")),
        wasm: list(
          closed(
            {
              name: text,
              code: {
                oneOf: [
                  closed(
                    { type: { const: "Image" }, image: closed({ url: text, sha256 }, "url") },
                    "type",
                    "image",
                  ),
                  closed(
                    { type: { const: "HTTP" }, http: closed({ url: text, sha256 }, "url") },
                    "type",
                    "http",
                  ),
                ],
              },
              failOpen: { type: "boolean" },
              config: { type: "object" },
            },
            "code",
          ),
        ),
      },
      "targetRefs",
    ),
  ),
  Backend: resource(
    API,
    "Backend",
    closed(
      {
        endpoints: list({
          oneOf: [
            closed(
              {
                fqdn: closed(
                  {
                    hostname: {
                      type: "string",
                      pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+$",
                    },
                    port,
                  },
                  "hostname",
                  "port",
                ),
              },
              "fqdn",
            ),
            closed(
              {
                ip: closed(
                  {
                    address: {
                      type: "string",
                      pattern: "^\\d+(\\.\\d+){3}$|^([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}$",
                    },
                    port,
                  },
                  "address",
                  "port",
                ),
              },
              "ip",
            ),
          ],
        }),
        tls: {
          ...closed(
            {
              wellKnownCACertificates: { const: "System" },
              caCertificateRefs: list(reference("ConfigMap")),
              // Without it Envoy Gateway compares the certificate with the Host of the request.
              sni: text,
            },
            "sni",
          ),
          oneOf: [{ required: ["wellKnownCACertificates"] }, { required: ["caCertificateRefs"] }],
        },
      },
      "endpoints",
    ),
  ),
  HTTPRoute: resource(
    GATEWAY_API,
    "HTTPRoute",
    closed(
      {
        parentRefs: list(reference("Gateway")),
        rules: list(
          closed({
            matches: list(
              closed({
                headers: list(
                  closed({ type: { const: "RegularExpression" }, name: text, value: text }, "name", "value"),
                ),
              }),
            ),
            backendRefs: list(reference("Backend")),
          }),
        ),
      },
      "parentRefs",
      "rules",
    ),
  ),
  BackendTrafficPolicy: resource(
    API,
    "BackendTrafficPolicy",
    closed(
      {
        targetRefs: list(reference("HTTPRoute")),
        timeout: closed({ tcp: closed({ connectTimeout: { type: "string", pattern: "^\\d+s$" } }) }),
      },
      "targetRefs",
    ),
  ),
};

type Kind = keyof typeof SCHEMAS;
interface Resource {
  kind: Kind;
  metadata: { name: string; namespace: string };
  spec: Record<string, unknown>;
}

const gateway = (name: string) => ({ group: "gateway.networking.k8s.io", kind: "Gateway" as const, name });
const EDGE: GatewaySelection = { namespace: "foo", targetRefs: [gateway("edge")] };
const IMAGE = "oci://registry.example.com/jwtgate:1";

function policies(jwksUri: string, namespace = "foo"): string {
  return `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: a, namespace: ${namespace}}
spec: {jwtRules: [{issuer: "https://issuer.example", jwksUri: "${jwksUri}"}]}
`;
}

function compiled(sources: string, options: Partial<CompileOptions> = {}) {
  const target = { target: "envoygateway", namespace: "foo", gateway: "edge" } as const;
  const { configuration, diagnostics } = compile([{ name: "a.yaml", text: sources }], {
    ...target,
    ...options,
  });
  return { configuration, messages: diagnostics.map(formatDiagnostic) };
}

function configurationOf(sources: string, options: Partial<CompileOptions> = {}): Configuration {
  const { configuration, messages } = compiled(sources, options);
  if (configuration === undefined) throw new Error(messages.join("\n"));
  expect(messages).toEqual([]);
  return configuration;
}

function keyServers(configuration: Configuration, selection = EDGE, caConfigMap?: string): Resource[] {
  const options = caConfigMap === undefined ? {} : { caConfigMap };
  const resources = renderGatewayKeyServers(configuration, selection, options) as unknown as Resource[];
  for (const one of resources) expectValid(SCHEMAS[one.kind], one);
  return resources;
}

describe("an EnvoyExtensionPolicy", () => {
  const render = (configuration: Configuration, image = IMAGE, digest?: string) => {
    const options = { image, ...(digest !== undefined && { sha256: digest }) };
    const policy = renderEnvoyExtensionPolicy(EDGE, configuration, options);
    expectValid(SCHEMAS.EnvoyExtensionPolicy, policy);
    const { spec } = policy as unknown as Resource;
    return (spec["wasm"] as Record<string, unknown>[])[0];
  };

  test("refuses if it cannot decide", () => {
    expect(render(OPEN)).toEqual({
      name: "jwtgate",
      code: { type: "Image", image: { url: "registry.example.com/jwtgate:1" } },
      failOpen: false,
      config: OPEN,
    });
  });

  test("in shadow refuses nothing", () => {
    expect(render({ ...OPEN, shadow: true })).toMatchObject({ failOpen: true, config: { shadow: true } });
  });

  test("names a bare module by its URL, and its digest in hexadecimal", () => {
    expect(render(OPEN, "https://a.example/jwtgate.wasm", "a".repeat(64))).toMatchObject({
      code: { type: "HTTP", http: { url: "https://a.example/jwtgate.wasm", sha256: "a".repeat(64) } },
    });
    expect(render(OPEN, IMAGE, "b".repeat(64))).toMatchObject({
      code: { image: { sha256: "b".repeat(64) } },
    });
  });
});

describe("which Gateways", () => {
  test("are those of targetRefs, or of the label that a Gateway's pods have", () => {
    expect(gatewaysOf(EDGE)).toEqual(EDGE);
    const matchLabels = { app: "a", "gateway.networking.k8s.io/gateway-name": "edge" };
    expect(gatewaysOf({ namespace: "foo", matchLabels })).toEqual(EDGE);
  });

  test.each([
    {},
    { matchLabels: { app: "a" } },
    { targetRefs: [{ group: "", kind: "Service" as const, name: "edge" }] },
    { targetRefs: [gateway("edge"), { group: "", kind: "Service" as const, name: "edge" }] },
  ])("not for %j", (selection) => expect(gatewaysOf({ namespace: "foo", ...selection })).toBeUndefined());
});

describe("a server of keys", () => {
  test.each([
    [
      "https://keys.example.com/jwks",
      { fqdn: { hostname: "keys.example.com", port: 443 } },
      "keys.example.com",
    ],
    [
      "https://keys.example.com./jwks",
      { fqdn: { hostname: "keys.example.com", port: 443 } },
      "keys.example.com",
    ],
    ["http://keys.example.com:8080/jwks", { fqdn: { hostname: "keys.example.com", port: 8080 } }, undefined],
    ["http://keys/jwks", { fqdn: { hostname: "keys.foo.svc.cluster.local", port: 80 } }, undefined],
    [
      "https://idp.auth.svc:8443/k",
      { fqdn: { hostname: "idp.auth.svc.cluster.local", port: 8443 } },
      "idp.auth.svc",
    ],
    ["http://203.0.113.7/jwks", { ip: { address: "203.0.113.7", port: 80 } }, undefined],
    ["http://[2001:db8::7:8:9]/jwks", { ip: { address: "2001:db8:0:0:0:7:8:9", port: 80 } }, undefined],
  ])("%s has its own Backend, route and settings", (uri, endpoint, sni) => {
    const configuration = configurationOf(policies(uri));
    const [backend, route, settings, ...more] = keyServers(configuration);
    expect(more).toEqual([]);
    expect([backend?.kind, route?.kind, settings?.kind]).toEqual([
      "Backend",
      "HTTPRoute",
      "BackendTrafficPolicy",
    ]);
    const name = backend?.metadata.name;
    expect([route?.metadata.name, settings?.metadata.name]).toEqual([name, name]);
    expect(backend?.spec).toEqual({
      endpoints: [endpoint],
      ...(sni !== undefined && { tls: { wellKnownCACertificates: "System", sni } }),
    });
    expect(route?.spec["parentRefs"]).toEqual(EDGE.targetRefs);
    expect(configuration.providers?.[0]?.remoteJwks?.cluster).toBe(`httproute/foo/${name}/rule/0`);
  });

  test("under authorities of a ConfigMap", () => {
    const [backend] = keyServers(configurationOf(policies("https://keys.example.com/jwks")), EDGE, "idp-ca");
    expect(backend?.spec["tls"]).toEqual({
      caCertificateRefs: [{ group: "", kind: "ConfigMap", name: "idp-ca" }],
      sni: "keys.example.com",
    });
  });

  test("of a discovery document, and each origin that it may name", () => {
    const text = policies("").replace(', jwksUri: ""', "");
    const configuration = configurationOf(text, { jwksHosts: ["https://keys.example:8443"] });
    const { cluster, discovery } = configuration.providers?.[0]?.remoteJwks ?? {};
    const routes = keyServers(configuration).filter(({ kind }) => kind === "HTTPRoute");
    expect(routes.map(({ metadata }) => `httproute/foo/${metadata.name}/rule/0`)).toEqual([
      cluster,
      discovery?.jwksHosts?.[0]?.cluster,
    ]);
  });

  test("is in the Gateway's namespace, also for a policy of the root namespace", () => {
    const configuration = configurationOf(policies("http://keys/jwks", "istio-system"));
    const resources = keyServers(configuration);
    expect(resources.map(({ metadata }) => metadata.namespace)).toEqual(["foo", "foo", "foo"]);
    expect(resources[0]?.spec["endpoints"]).toEqual([
      { fqdn: { hostname: "keys.istio-system.svc.cluster.local", port: 80 } },
    ]);
    expect(configuration.providers?.[0]?.remoteJwks?.cluster).toMatch(/^httproute\/foo\//);
  });

  test("of two Gateways has two names: the later would take the earlier's route away", () => {
    const text = policies("https://keys.example.com/jwks");
    const names = ["edge", "inside"].map((name) => {
      const configuration = configurationOf(text, { gateway: name });
      return keyServers(configuration, { namespace: "foo", targetRefs: [gateway(name)] })[0]?.metadata.name;
    });
    expect(new Set(names).size).toBe(2);
  });

  test("with and without TLS at one port has two names", () => {
    const text = `${policies("http://keys.example:443/a")}---${policies("https://keys.example/b").replace("name: a", "name: b")}`;
    const configuration = configurationOf(text);
    const names = keyServers(configuration).map(({ metadata }) => metadata.name);
    expect(new Set(names).size).toBe(2);
  });

  test("is reached by no request", () => {
    const [, route] = keyServers(configurationOf(policies("https://keys.example.com/jwks")));
    const rules = route?.spec["rules"] as { matches: { headers: { value: string }[] }[] }[];
    const patterns = rules.flatMap(({ matches }) =>
      matches.map(({ headers }) => headers.map(({ value }) => value)),
    );
    // Matches are alternatives: each needs one that holds for no request.
    expect(patterns).toEqual([["[^\\s\\S]"]]);
  });
});

describe("what Envoy Gateway cannot do is an error with its place and reason", () => {
  test.each([
    ["https://203.0.113.7/jwks", "compares certificates with host names only"],
    ["https://[2001:db8::7]/jwks", "compares certificates with host names only"],
    ["http://127.0.0.1/jwks", "no Backend on the loopback"],
    ["http://[::1]/jwks", "no Backend on the loopback"],
    ["http://localhost/jwks", "no Backend on the loopback"],
    ["https://my_keys.example/jwks", "lower-case letters, digits, - and ."],
  ])("keys at %s", (uri, reason) => {
    const { configuration, messages } = compiled(policies(uri));
    expect(configuration).toBeUndefined();
    expect(messages).toEqual([expect.stringMatching(/^a\.yaml:5:19: /)]);
    expect(messages[0]).toContain(reason);
  });

  const rule = (text: string) => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: a, namespace: foo}
spec: {action: DENY, rules: [${text}]}
`;

  test.each([
    ['{to: [{operation: {ports: ["80"]}}]}', "80"],
    ['{to: [{operation: {notPorts: ["443", "8443"]}}]}', "443"],
    ['{when: [{key: destination.port, values: ["10443", "443", "80"]}]}', "80"],
    ['{when: [{key: destination.port, notValues: ["1023"]}]}', "1023"],
  ])("ports that its Envoy does not listen at: %s", (text, written) => {
    const { configuration, messages } = compiled(rule(text));
    expect(configuration).toBeUndefined();
    expect(messages).toEqual([
      expect.stringContaining(`write both, "${written}" and "${Number(written) + 10_000}"`),
    ]);
  });

  test.each([
    '{to: [{operation: {ports: ["80", "10080"]}}]}',
    '{to: [{operation: {ports: ["1024", "8443"]}}]}',
    '{when: [{key: destination.port, notValues: ["10443", "443"]}]}',
  ])("but these it does: %s", (text) => {
    expect(compiled(rule(text)).messages).toEqual([]);
  });

  test("the direct peer", () => {
    const { configuration, messages } = compiled(rule("{from: [{source: {ipBlocks: [10.0.0.0/8]}}]}"));
    expect(configuration).toBeUndefined();
    expect(messages[0]).toContain("an EnvoyExtensionPolicy cannot see the address of the direct peer");
  });
});

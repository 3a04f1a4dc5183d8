/**
 * Whole bootstraps, as text. A change of one shows in the review of tests/render/bootstraps (`npx vitest run
 * tests/render/bootstrap -u` writes them again); that Envoy takes them, and what it does then, is in tests/integration.
 */
import { describe, expect, test } from "vitest";
import { compile, DIRECT_REMOTE_ADDRESS, WHOLE_ENVOY } from "../../tools/compile.ts";
import {
  type BootstrapOptions,
  cluster,
  type Message,
  printBootstrap,
  renderBootstrap,
  systemCaFile,
} from "../../tools/render/bootstrap.ts";
import { printEcds, renderEcds } from "../../tools/render/ecds.ts";
import { renderExtAuthz } from "../../tools/render/ext-authz.ts";
import { rbacPolicies } from "../../tools/render/rbac.ts";
import { whole } from "../support/configuration.ts";

const OPTIONS: BootstrapOptions = {
  listen: { host: "127.0.0.1", port: 8080 },
  upstream: { host: "127.0.0.1", port: 8000 },
  mode: "gateway",
  pathNormalization: "BASE",
  module: "/opt/jwtgate.wasm",
};

const resource = (kind: string, name: string, spec: object) =>
  JSON.stringify({
    apiVersion: "security.istio.io/v1",
    kind,
    metadata: { name, namespace: "foo" },
    spec,
  });

const DENY_ADMIN = resource("AuthorizationPolicy", "admin", {
  action: "DENY",
  rules: [{ to: [{ operation: { paths: ["/admin"] } }] }],
});
const FROM_URLS = resource("RequestAuthentication", "keys", {
  jwtRules: [
    { issuer: "a", jwksUri: "https://keys.example.com/jwks" },
    { issuer: "b", jwksUri: "http://10.0.0.1:8080/jwks" },
    { issuer: "c", jwksUri: "https://keys.example.com/other" },
    { issuer: "https://discovered.example.com" },
  ],
});

function compileWith(policies: string[], providers: object[]) {
  const meshConfig = { name: "mesh.yaml", text: JSON.stringify({ extensionProviders: providers }) };
  return compile([{ name: "policies.yaml", text: policies.join("\n---\n") }], {
    target: WHOLE_ENVOY,
    meshConfig,
    jwksHosts: ["https://other.example.com:8443"],
  });
}

/** Compiles policies and renders them. */
function bootstrapOf(
  policies: string[],
  options: Partial<BootstrapOptions> = {},
  providers: object[] = [],
): Message {
  const { workloads, diagnostics } = compileWith(policies, providers);
  const [workload] = workloads;
  if (workload === undefined) throw new Error(JSON.stringify(diagnostics));
  const { configuration, custom } = workload;
  return renderBootstrap(configuration, { ...OPTIONS, before: renderExtAuthz(custom), ...options });
}

const custom = (name: string, provider: string, rules: object[]) =>
  resource("AuthorizationPolicy", name, { action: "CUSTOM", provider: { name: provider }, rules });

describe("a bootstrap", () => {
  test.each<[string, () => Message]>([
    ["gateway", () => bootstrapOf([DENY_ADMIN])],
    [
      "sidecar-with-every-option",
      () =>
        bootstrapOf([DENY_ADMIN], {
          listen: { host: "::1", port: 8443 },
          admin: { host: "127.0.0.1", port: 9901 },
          mode: "sidecar",
          pathNormalization: "MERGE_SLASHES",
          maxHeapBytes: 512 * 1024 ** 2,
          sharesPort: false,
          logsUpgrades: true,
          tls: { certificate: "/tls/cert.pem", key: "/tls/key.pem", clientCa: "/tls/clients.pem" },
          upstream: {
            host: "api.example.com",
            port: 443,
            protocol: "HTTP/2",
            requestHost: "api.example.com",
            tls: {
              serverName: "api.example.com",
              caFile: "/tls/ca.pem",
              client: { certificate: "/tls/own.pem", key: "/tls/own-key.pem" },
            },
          },
        }),
    ],
    [
      "tls-without-client-certificates",
      () =>
        bootstrapOf([DENY_ADMIN], {
          pathNormalization: "DECODE_AND_MERGE_SLASHES",
          tls: { certificate: "/tls/cert.pem", key: "/tls/key.pem" },
          upstream: {
            host: "10.0.0.2",
            port: 443,
            tls: { serverName: "10.0.0.2", caFile: "/tls/ca.pem" },
          },
        }),
    ],
    [
      "fetched-keys",
      () => bootstrapOf([FROM_URLS], { pathNormalization: "NONE", jwksCa: "/tls/keys-ca.pem" }),
    ],
    [
      "discovered-configuration",
      () =>
        bootstrapOf([DENY_ADMIN], {
          ecds: { path: "/etc/envoy/jwtgate.yaml", directRemoteAddress: DIRECT_REMOTE_ADDRESS },
        }),
    ],
    [
      "direct-peer-and-filter-state",
      () => {
        const policy = resource("AuthorizationPolicy", "peers", {
          rules: [{ from: [{ source: { ipBlocks: ["10.0.0.0/8"] } }] }],
        });
        const { configuration } = compile([{ name: "p.yaml", text: policy }], {
          target: WHOLE_ENVOY,
          filterState: true,
        });
        if (configuration === undefined) throw new Error("it does not compile");
        return renderBootstrap(configuration, OPTIONS);
      },
    ],
    [
      "authorizers",
      () =>
        bootstrapOf(
          [
            DENY_ADMIN,
            custom("requests", "by-http", [
              {
                to: [{ operation: { hosts: ["shop.example.com"], notMethods: ["GET"], ports: ["8080"] } }],
                from: [{ source: { ipBlocks: ["10.0.0.0/8"], notRemoteIpBlocks: ["192.0.2.1"] } }],
                when: [
                  { key: "request.headers[x-a]", values: ["*", "b*", "*c", "d"] },
                  { key: "request.headers[x-present]", notValues: ["*"] },
                  { key: "connection.sni", values: ["shop.example.com"] },
                  { key: "destination.ip", values: ["10.1.0.0/16"] },
                ],
              },
              { to: [{ operation: { paths: ["/a/{*}/b/{**}", "/exact", "/prefix*", "*suffix"] } }] },
            ]),
            custom("everything", "by-grpc", [{}]),
          ],
          {},
          [
            {
              name: "by-http",
              envoyExtAuthzHttp: {
                service: "foo/authz.example.com",
                port: 8000,
                timeout: "0.25s",
                failOpen: true,
                statusOnError: "503",
                clearRouteCache: true,
                pathPrefix: "/check",
                includeRequestBodyInCheck: {
                  maxRequestBytes: 1024,
                  allowPartialMessage: true,
                  packAsBytes: false,
                },
                includeRequestHeadersInCheck: ["cookie", "x-*", "*-id"],
                includeAdditionalHeadersInCheck: { "x-from": "gate" },
                headersToUpstreamOnAllow: ["x-user"],
                headersToDownstreamOnAllow: ["set-cookie"],
                headersToDownstreamOnDeny: ["location"],
              },
            },
            { name: "by-grpc", envoyExtAuthzGrpc: { service: "10.0.0.3", port: 9000 } },
          ],
        ),
    ],
    [
      "plain-authorizer",
      () =>
        bootstrapOf([DENY_ADMIN, custom("a", "by-http", [{}])], {}, [
          { name: "by-http", envoyExtAuthzHttp: { service: "fd00::1", port: 8000 } },
        ]),
    ],
  ])("%s", async (name, render) => {
    await expect(printBootstrap(render(), "1.0.0")).toMatchFileSnapshot(`bootstraps/${name}.yaml`);
  });

  test("without jwksCa takes the authorities of Debian and of Envoy's images", () => {
    const text = JSON.stringify(bootstrapOf([FROM_URLS]));
    expect(text).toContain('"trusted_ca":{"filename":"/etc/ssl/certs/ca-certificates.crt"}');
  });
});

test("the file of --output ecds", async () => {
  const { configuration } = compile([{ name: "p.yaml", text: DENY_ADMIN }], { target: WHOLE_ENVOY });
  if (configuration === undefined) throw new Error("it does not compile");
  const text = printEcds(renderEcds(configuration, "/opt/jwtgate.wasm"), "1.0.0");
  await expect(text).toMatchFileSnapshot("bootstraps/ecds.yaml");
  const other = renderEcds({ ...configuration, shadow: true }, "/opt/jwtgate.wasm");
  expect(other["version_info"]).not.toBe(renderEcds(configuration, "/opt/jwtgate.wasm")["version_info"]);
});

test.each<[string[], string]>([
  [["/etc/ssl/cert.pem"], "/etc/ssl/cert.pem"],
  [["/etc/ssl/ca-bundle.pem", "/etc/pki/tls/certs/ca-bundle.crt"], "/etc/pki/tls/certs/ca-bundle.crt"],
  [[], "/etc/ssl/certs/ca-certificates.crt"],
])("of a system with %j the authorities are in %s", (files, expected) => {
  expect(systemCaFile((file) => files.includes(file))).toBe(expected);
});

test("a cluster connects within its own time", () => {
  const address = { host: "10.0.0.1", port: 80 };
  expect(cluster({ name: "a", address, connectTimeoutMs: 250 })).toMatchObject({ connect_timeout: "0.25s" });
});

describe("Envoy's RBAC", () => {
  const predicates = [
    { path: { exact: "/a" } },
    { sourceIp: "10.0.0.0/8" },
    { destinationPort: 80 },
    { claim: ["sub"], match: { exact: "a" } },
  ] as const;
  const policy = (condition: Parameters<typeof rbacPolicies>[0][number]["condition"]) => {
    const { authorization } = whole({ authorization: { predicates: [...predicates], deny: { rules: [] } } });
    if (authorization === undefined) throw new Error("there is no authorization");
    return rbacPolicies([{ id: "r", condition }], authorization, ({ id }) => `p-${id}`);
  };
  const path = { url_path: { path: { exact: "/a" } } };
  const peer = { direct_remote_ip: { address_prefix: "10.0.0.0", prefix_len: 8 } };
  const port = { destination_port: 80 };
  const any = { any: true };

  test.each([
    ["one predicate of the request", 0, path, any],
    ["one of the caller", 1, any, peer],
    ["all of nothing", { and: [] }, any, any],
    ["any of nothing", { or: [] }, { not_rule: any }, any],
    ["both", { and: [0, 1, 2] }, { and_rules: { rules: [path, port] } }, peer],
    ["any of two requests", { or: [0, 2] }, { or_rules: { rules: [path, port] } }, any],
    [
      "any of two that only the caller's half can say",
      { or: [0, 1] },
      any,
      { or_ids: { ids: [path, peer] } },
    ],
    ["a negation of the caller", { not: 1 }, any, { not_id: peer }],
    [
      "a negation of the request",
      { not: { and: [0, 2] } },
      { not_rule: { and_rules: { rules: [path, port] } } },
      any,
    ],
  ])("has %s", (_, condition, permission, principal) => {
    expect(policy(condition)).toEqual({ "p-r": { permissions: [permission], principals: [principal] } });
  });

  test.each([
    ["any of the caller or the port", { or: [1, 2] }, "cannot express OR"],
    ["a claim", 3, "cannot ask for this"],
    ["a predicate that does not exist", 9, "no predicate 9"],
  ])("refuses %s", (_, condition, message) => {
    expect(() => policy(condition)).toThrow(message);
  });
});

test("an authorizer that the mesh config does not have is refused", () => {
  const { workloads } = compileWith(
    [custom("a", "known", [{}])],
    [{ name: "known", envoyExtAuthzGrpc: { service: "10.0.0.3", port: 9000 } }],
  );
  const unknown = (workloads[0]?.custom ?? []).map(({ provider: _, ...asked }) => asked);
  expect(() => renderExtAuthz(unknown)).toThrow("no extension provider is called known");
});

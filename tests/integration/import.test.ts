/**
 * A handwritten bootstrap with Envoy's own jwt_authn and rbac: Envoy's /config_dump of it is imported and
 * compiled, and both Envoys give the same answers.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { askAdmin } from "../../tools/envoy/admin.ts";
import { Envoy } from "../../tools/envoy/process.ts";
import { Workspace } from "../support/cli.ts";
import { envoyBinary } from "../support/envoy.ts";
import { type Http1Request, http1 } from "../support/http1.ts";
import { JwksServer, keys, type SigningKey, signingKey } from "../support/jwks-server.ts";
import { bearer } from "../support/tokens.ts";
import { receivedOf, startUpstream, type Upstream } from "../support/upstream.ts";

const ISSUER = "https://issuer.example";
const PARTNER = "https://partner.example";

/** In YAML as people write it: comments, flow lists, names in either spelling. */
function handWritten(upstreamPort: number, keysPort: number, keysFile: string): string {
  return `
static_resources:
  listeners:
    - name: ingress
      address: { socket_address: { address: 127.0.0.1, port_value: 0 } }
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: ingress
                normalize_path: true
                route_config:
                  virtual_hosts:
                    - name: all
                      domains: ["*"]
                      routes: [{ match: { prefix: "/" }, route: { cluster: service } }]
                http_filters:
                  - name: envoy.filters.http.jwt_authn
                    typedConfig:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
                      bypass_cors_preflight: true
                      providers:
                        own:
                          issuer: ${ISSUER}
                          audiences: [api]
                          from_headers: [{ name: Authorization, value_prefix: "Bearer " }]
                          payload_in_metadata: jwt
                          claim_to_headers: [{ header_name: x-user, claim_name: sub }]
                          remote_jwks:
                            http_uri: { uri: "http://127.0.0.1:${keysPort}/keys", cluster: keys, timeout: 2s }
                            cache_duration: { seconds: 300 }
                        partner:
                          issuer: ${PARTNER}
                          from_headers: [{ name: Authorization, value_prefix: "Bearer " }]
                          payload_in_metadata: jwt
                          forward: true
                          local_jwks: { filename: ${keysFile} }
                      rules:
                        # No token is needed here.
                        - match: { prefix: /health }
                        - match: { prefix: /partner/ }
                          requires: { providerName: partner }
                        - match: { prefix: / }
                          requires:
                            requires_any:
                              requirements: [{ provider_name: own }, { provider_name: partner }]
                  - name: envoy.filters.http.rbac
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
                      rules:
                        action: DENY
                        policies:
                          no deleting but by admins:
                            permissions: [{ header: { name: ":method", string_match: { exact: DELETE } } }]
                            principals:
                              - not_id:
                                  metadata:
                                    filter: envoy.filters.http.jwt_authn
                                    path: [{ key: jwt }, { key: roles }]
                                    value:
                                      or_match:
                                        value_matchers:
                                          - string_match: { exact: admin }
                                          - list_match: { one_of: { string_match: { exact: admin } } }
                  - name: envoy.filters.http.router
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
    - name: service
      load_assignment:
        cluster_name: service
        endpoints:
          - lb_endpoints:
              - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${upstreamPort} } } }
    - name: keys
      load_assignment:
        cluster_name: keys
        endpoints:
          - lb_endpoints:
              - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: ${keysPort} } } }
`;
}

const workspace = new Workspace();
let upstream: Upstream;
let server: JwksServer;
let own: SigningKey;
let partner: SigningKey;
let native: Envoy;
let imported: Envoy;
/** What was written, from the dump and from the bootstrap. */
const policies: string[] = [];

beforeAll(async () => {
  upstream = await startUpstream();
  [own, partner] = [await signingKey("own"), await signingKey("partner")];
  server = await JwksServer.start(keys([own.publicJwk]));
  const keysFile = workspace.path("partner.jwks.json");
  writeFileSync(keysFile, JSON.stringify({ keys: [partner.publicJwk] }));
  const text = handWritten(upstream.port, Number(new URL(server.origin).port), keysFile);
  writeFileSync(workspace.path("native.yaml"), text);
  native = await Envoy.start({ binary: await envoyBinary(), bootstrap: parse(text) });
  const dump = await askAdmin(native.admin, "/config_dump");
  writeFileSync(workspace.path("dump.json"), dump.body);
  for (const file of ["dump.json", "native.yaml"]) {
    const { status, stderr } = workspace.run(["import", file, "-o", `${file}.policies.yaml`]);
    expect(status, stderr).toBe(0);
    expect(stderr).toContain("keys are fetched from the host of this URL");
    policies.push(readFileSync(workspace.path(`${file}.policies.yaml`), "utf8"));
  }
  const compiled = workspace.run([
    ...["compile", "-f", "dump.json.policies.yaml", "--output", "envoy", "--listen", "127.0.0.1:0"],
    ...["--upstream", `127.0.0.1:${upstream.port}`],
  ]);
  expect(compiled.status, compiled.stderr).toBe(0);
  imported = await Envoy.start({ binary: await envoyBinary(), bootstrap: parse(compiled.stdout) });
});

afterAll(async () => {
  await native?.stop();
  await imported?.stop();
  await upstream?.close();
  await server?.close();
  workspace.remove();
});

test("a dump and the bootstrap that it is of become the same", () => {
  const [dump, bootstrap] = policies.map((text) =>
    parseAllDocuments(text).map((one) => one.toJS() as unknown),
  );
  expect(dump).toEqual(bootstrap);
  expect(dump?.length).toBe(4);
});

/** The answer of one of them, without their differences. */
async function answerOf(envoy: Envoy, request: Http1Request): Promise<object> {
  const name = envoy === native ? "ingress" : "gate";
  const response = await http1({ host: "127.0.0.1", port: await envoy.portOf(name) }, request);
  const received = receivedOf(response);
  const mine = /^(x-request-id|x-envoy-.*|x-forwarded-.*)$/;
  return {
    status: response.status,
    body: received ? "" : response.body,
    headers: received?.headers.filter(([header]) => !mine.test(header)),
  };
}

describe("answers", () => {
  const STATUSES: [string, string, (() => Promise<string>) | undefined, number, number?][] = [
    ["GET", "/", undefined, 401, 403],
    ["GET", "/health", undefined, 200],
    ["GET", "/a", () => own.sign(ISSUER, { aud: "api" }), 200],
    ["GET", "/a", () => own.sign(ISSUER, { aud: "else" }), 403],
    ["GET", "/a", () => own.sign(PARTNER), 401],
    ["GET", "/a", () => partner.sign(PARTNER), 200],
    ["GET", "/partner/a", () => partner.sign(PARTNER), 200],
    // Envoy says that the issuer is another; the policy that it is not the one that is needed.
    ["GET", "/partner/a", () => own.sign(ISSUER, { aud: "api" }), 401, 403],
    ["GET", "/partner/a", undefined, 401, 403],
    ["DELETE", "/a", () => own.sign(ISSUER, { aud: "api" }), 403],
    ["DELETE", "/a", () => own.sign(ISSUER, { aud: "api", roles: ["user", "admin"] }), 200],
    ["DELETE", "/a", () => own.sign(ISSUER, { aud: "api", roles: "admin" }), 200],
    // If nothing is verified, a token has no effect.
    ["DELETE", "/health", () => own.sign(ISSUER, { aud: "api", roles: "admin" }), 403],
    // Istio looks at tokens here too: stricter.
    ["GET", "/health", () => Promise.resolve("junk"), 200, 401],
  ];

  test.each(STATUSES)("%s %s %#", async (method, path, token, status, otherwise) => {
    const headers = token ? [bearer(await token())] : [];
    const request = { method, path, headers };
    const [was, is] = [await answerOf(native, request), await answerOf(imported, request)];
    expect(was).toMatchObject({ status });
    if (otherwise === undefined) expect(is).toEqual(was);
    else expect(is).toMatchObject({ status: otherwise });
  });
});

/**
 * What Envoy Gateway makes of its resources, in a real Envoy: the filter is in the chain, switched off, and routes switch it
 * on (internal/xds/translator/wasm.go); a server of keys is the cluster of a route (internal/gatewayapi/helpers.go).
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import type { Envoy } from "../../tools/envoy/process.ts";
import { cluster, listener, type Message } from "../../tools/render/bootstrap.ts";
import { compile } from "../../tools/targets/compile.ts";
import { envoygateway } from "../../tools/targets/envoygateway.ts";
import { connectionManager, MODULE, startEnvoy } from "../support/envoy.ts";
import { http1 } from "../support/http1.ts";
import { JwksServer, keys, type SigningKey, signingKey } from "../support/jwks-server.ts";
import { receivedOf, startUpstream, type Upstream } from "../support/upstream.ts";

const ISSUER = "https://issuer.example";
const POLICIES = `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: jwt, namespace: foo}
spec: {jwtRules: [{issuer: "${ISSUER}", jwksUri: "http://keys.example/jwks"}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: members, namespace: foo}
spec: {rules: [{from: [{source: {requestPrincipals: ["${ISSUER}/*"]}}]}]}
`;

interface Resource {
  kind: string;
  metadata: { name: string; namespace: string };
  spec: { rules: { matches: { headers: { name: string; value: string }[] }[] }[] };
}

let upstream: Upstream;
let server: JwksServer;
let key: SigningKey;
let envoy: Envoy;

beforeAll(async () => {
  upstream = await startUpstream();
  key = await signingKey("k");
  server = await JwksServer.start(keys([key.publicJwk]));
  const { workloads, configuration, diagnostics } = compile([{ name: "p.yaml", text: POLICIES }], {
    target: "envoygateway",
    namespace: "foo",
    gateway: "edge",
  });
  expect(diagnostics).toEqual([]);
  if (configuration === undefined) throw new Error("the policies do not compile");
  const { text } = envoygateway.render(workloads, { image: "oci://a/b" });
  const resources = parseAllDocuments(text).map((document) => document.toJS() as Resource);
  const route = resources.find(({ kind }) => kind === "HTTPRoute");
  if (route === undefined) throw new Error("there is no route");
  const gate = listener({
    name: "gate",
    address: { host: "127.0.0.1", port: 0 },
    module: MODULE,
    configuration,
    cluster: "upstream",
  });
  const keyCluster = `httproute/${route.metadata.namespace}/${route.metadata.name}/rule/0`;
  const manager = connectionManager(gate);
  const [filter] = manager["http_filters"] as Message[];
  Object.assign(filter ?? {}, { disabled: true });
  const enabled = {
    jwtgate: { "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", config: {} },
  };
  const keyRoutes = route.spec.rules.flatMap(({ matches }) =>
    matches.map(({ headers }) => ({
      match: {
        prefix: "/",
        headers: headers.map(({ name, value }) => ({ name, string_match: { safe_regex: { regex: value } } })),
      },
      route: { cluster: keyCluster },
      typed_per_filter_config: enabled,
    })),
  );
  const [host] = (manager["route_config"] as { virtual_hosts: { routes: Message[] }[] }).virtual_hosts;
  host?.routes.splice(0, 1, ...keyRoutes, {
    match: { prefix: "/" },
    route: { cluster: "upstream" },
    typed_per_filter_config: enabled,
  });
  const { port } = new URL(server.origin);
  envoy = await startEnvoy({
    listeners: [gate],
    clusters: [
      cluster({ name: "upstream", address: { host: "127.0.0.1", port: upstream.port } }),
      cluster({ name: keyCluster, address: { host: "127.0.0.1", port: Number(port) } }),
    ],
  });
});

afterAll(async () => {
  await envoy?.stop();
  await server?.close();
  await upstream?.close();
});

const get = async (headers: [string, string][] = []) =>
  http1({ host: "127.0.0.1", port: await envoy.portOf("gate") }, { headers });

describe("Envoy Gateway's arrangement", () => {
  test("requires a token, with keys through the cluster of the route", async () => {
    expect((await get()).status).toBe(403);
    const token = await key.sign(ISSUER);
    const response = await get([["authorization", `Bearer ${token}`]]);
    expect(response.status).toBe(200);
    expect(receivedOf(response)?.headers.map(([name]) => name)).not.toContain("authorization");
    expect(new Set(server.requests)).toEqual(new Set(["/jwks"]));
  });

  test.each(["", "a", "\\s", "[^\\s\\S]", "\xff", "x".repeat(1000)])(
    "sends no request to the server of keys: x-jwtgate %j",
    async (value) => {
      const before = server.count;
      const token = await key.sign(ISSUER);
      const response = await get([
        ["authorization", `Bearer ${token}`],
        ["x-jwtgate", value],
      ]);
      // The upstream answers with what it received, the server of keys with keys.
      expect(response.body).not.toContain('"keys"');
      expect(receivedOf(response)).toBeDefined();
      expect(server.count).toBe(before);
    },
  );
});

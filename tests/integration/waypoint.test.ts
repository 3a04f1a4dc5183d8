/**
 * A waypoint as istiod makes one (pilot/pkg/networking/core/listener_waypoint.go): the outer listener ends mutual TLS and takes
 * CONNECT, and hands the peer's principal in filter state to an internal listener, in which the filter runs. The listener of
 * the filter sees no certificate. What `compile --mode waypoint` writes decides there as Envoy's own RBAC does.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import type { Configuration } from "../../tools/config/schema.ts";
import { Envoy } from "../../tools/envoy/process.ts";
import { bootstrap, cluster, listener, type Message } from "../../tools/render/bootstrap.ts";
import type { Names } from "../support/certificate.ts";
import { connectionManager, envoyBinary, envoyMinorVersion, MODULE } from "../support/envoy.ts";
import { jwtgate } from "../support/gate.ts";
import { withFilters } from "../support/native.ts";
import { CertificateAuthority } from "../support/pki.ts";
import { bearer, TestKey } from "../support/tokens.ts";
import { startUpstream, type Upstream } from "../support/upstream.ts";

const ISSUER = "https://issuer.example";
const tokens = TestKey.generate("ES256", "one");
const SLEEP = "spiffe://cluster.local/ns/foo/sa/sleep";
const OTHER = "spiffe://cluster.local/ns/bar/sa/other";
const STATE = "io.istio.peer_principal";

const SERVED = [{ group: "", kind: "Service", name: "httpbin" }];

/** By path, the sources that are allowed. */
const SOURCES = {
  "/principals": { principals: ["cluster.local/ns/foo/sa/sleep"] },
  "/any-principal": { principals: ["*"] },
  "/not-principals": { notPrincipals: ["cluster.local/ns/foo/sa/sleep"] },
  "/namespaces": { namespaces: ["foo"] },
  "/not-namespaces": { notNamespaces: ["foo"] },
  "/accounts": { serviceAccounts: ["foo/sleep"] },
  "/trust-domains": { trustDomains: ["cluster.local"] },
  "/token": { requestPrincipals: ["*"] },
};
type Path = keyof typeof SOURCES | "/open";

const POLICIES = [
  {
    kind: "RequestAuthentication",
    spec: { targetRefs: SERVED, jwtRules: [{ issuer: ISSUER, jwks: tokens.jwks }] },
  },
  {
    kind: "AuthorizationPolicy",
    spec: {
      targetRefs: SERVED,
      rules: [
        { to: [{ operation: { paths: ["/open"] } }] },
        ...Object.entries(SOURCES).map(([path, source]) => ({
          from: [{ source }],
          to: [{ operation: { paths: [path] } }],
        })),
      ],
    },
  },
];

const folder = mkdtempSync(join(tmpdir(), "jwtgate-waypoint-"));
const authority = new CertificateAuthority();
let upstream: Upstream;

beforeAll(async () => {
  upstream = await startUpstream();
});
afterAll(async () => {
  await upstream?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** What `compile --mode waypoint` writes into the plugin. */
function compiled(): Configuration {
  const file = join(folder, "policies.yaml");
  const [apiVersion, metadata] = ["security.istio.io/v1", { name: "p", namespace: "foo" }];
  writeFileSync(
    file,
    POLICIES.map((one) => JSON.stringify({ apiVersion, metadata, ...one })).join("\n---\n"),
  );
  const { status, stdout, stderr } = jwtgate(
    ...["compile", "-f", file, "--output", "wasmplugin", "--mode", "waypoint"],
    ...["--image", "oci://registry.example.com/jwtgate:1"],
  );
  if (status !== 0) throw new Error(stderr);
  const { spec } = parse(stdout);
  expect(spec).toMatchObject({ targetRefs: SERVED, phase: "AUTHN", match: [{ mode: "SERVER" }] });
  return spec.pluginConfig;
}

const type = (name: string) => `type.googleapis.com/${name}`;
const INTERNAL = "main_internal";

/** How the outer listener fills filter state; undefined: it does not. */
interface State {
  factory: string;
  format: string;
}
const PEER: State = { factory: "envoy.string", format: "%DOWNSTREAM_PEER_URI_SAN%" };

/** istiod's connect_terminate. */
function outer(state: State | undefined): Message {
  const server = authority.issue({ dns: ["waypoint.example"] });
  const set = state && {
    name: "connect_authority",
    typed_config: {
      "@type": type("envoy.extensions.filters.http.set_filter_state.v3.Config"),
      on_request_headers: [
        {
          object_key: STATE,
          factory_key: state.factory,
          format_string: { text_format_source: { inline_string: state.format } },
          shared_with_upstream: "ONCE",
        },
      ],
    },
  };
  const router = {
    name: "envoy.filters.http.router",
    typed_config: { "@type": type("envoy.extensions.filters.http.router.v3.Router") },
  };
  const upgrade = { upgrade_type: "CONNECT" };
  return {
    name: "connect_terminate",
    address: { socket_address: { address: "127.0.0.1", port_value: 0 } },
    filter_chains: [
      {
        transport_socket: {
          name: "tls",
          typed_config: {
            "@type": type("envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"),
            require_client_certificate: true,
            common_tls_context: {
              alpn_protocols: ["h2"],
              tls_certificates: [
                {
                  certificate_chain: { inline_string: server.certificate },
                  private_key: { inline_string: server.key },
                },
              ],
              validation_context: { trusted_ca: { inline_string: authority.certificate } },
            },
          },
        },
        filters: [
          {
            name: "envoy.filters.network.http_connection_manager",
            typed_config: {
              "@type": type(
                "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
              ),
              stat_prefix: "connect_terminate",
              upgrade_configs: [upgrade],
              http2_protocol_options: { allow_connect: true },
              route_config: {
                virtual_hosts: [
                  {
                    name: "default",
                    domains: ["*"],
                    routes: [
                      {
                        match: { connect_matcher: {} },
                        route: {
                          cluster: INTERNAL,
                          upgrade_configs: [{ ...upgrade, connect_config: {} }],
                        },
                      },
                    ],
                  },
                ],
              },
              http_filters: [...(set ? [set] : []), router],
            },
          },
        ],
      },
    ],
  };
}

/** The cluster that leads to the internal listener. */
const INNER_CLUSTER: Message = {
  name: INTERNAL,
  load_assignment: {
    cluster_name: INTERNAL,
    endpoints: [
      {
        lb_endpoints: [
          { endpoint: { address: { envoy_internal_address: { server_listener_name: INTERNAL } } } },
        ],
      },
    ],
  },
  transport_socket: {
    name: "internal_upstream",
    typed_config: {
      "@type": type("envoy.extensions.transport_sockets.internal_upstream.v3.InternalUpstreamTransport"),
      transport_socket: {
        name: "raw_buffer",
        typed_config: { "@type": type("envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer") },
      },
    },
  },
};

async function start(
  configuration: Configuration,
  state: State | undefined,
  native?: Message,
): Promise<Envoy> {
  const { address: _, ...inner } = listener({
    name: INTERNAL,
    address: { host: "127.0.0.1", port: 0 },
    mode: "sidecar",
    module: MODULE,
    configuration,
    cluster: "upstream",
    accessLog: false,
  });
  if (native !== undefined) withFilters(inner, [native]);
  expect(connectionManager(inner)).toBeDefined();
  return Envoy.start({
    binary: await envoyBinary(),
    bootstrap: {
      ...bootstrap({
        listeners: [outer(state), { ...inner, internal_listener: {} }],
        clusters: [
          INNER_CLUSTER,
          cluster({ name: "upstream", address: { host: "127.0.0.1", port: upstream.port } }),
        ],
      }),
      bootstrap_extensions: [
        {
          name: "envoy.bootstrap.internal_listener",
          typed_config: { "@type": type("envoy.extensions.bootstrap.internal_listener.v3.InternalListener") },
        },
      ],
    },
  });
}

/** The status of a request through a tunnel, as ztunnel opens one for a workload with these names. */
async function through(
  envoy: Envoy,
  names: Names,
  path: Path,
  headers: [string, string][] = [],
): Promise<number> {
  const { certificate, key } = authority.issue(names);
  const session = connect(`https://127.0.0.1:${await envoy.portOf("connect_terminate")}`, {
    ca: authority.certificate,
    servername: "waypoint.example",
    cert: certificate,
    key,
  });
  try {
    const tunnel = session.request(
      { ":method": "CONNECT", ":authority": "10.0.0.1:80" },
      { endStream: false },
    );
    const lines = [`GET ${path} HTTP/1.1`, "host: httpbin", ...headers.map((pair) => pair.join(": "))];
    tunnel.write(`${[...lines, "connection: close"].join("\r\n")}\r\n\r\n`);
    const answer = await firstOf(tunnel);
    return Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);
  } finally {
    session.destroy();
  }
}

/** The first bytes that arrive; none if the stream ends, which Envoy does with a reset. */
function firstOf(stream: Duplex): Promise<string> {
  return new Promise((resolve) => {
    stream.once("data", (bytes: Buffer) => resolve(bytes.toString("latin1")));
    stream.on("error", (error) => resolve(error.message));
    stream.once("close", () => resolve(""));
  });
}

async function statuses(envoy: Envoy, names: Names): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const path of Object.keys(SOURCES) as Path[]) found[path] = await through(envoy, names, path);
  return found;
}

const OF_SLEEP = {
  "/principals": 200,
  "/any-principal": 200,
  "/not-principals": 403,
  "/namespaces": 200,
  "/not-namespaces": 403,
  "/accounts": 200,
  "/trust-domains": 200,
  "/token": 403,
};
const OF_OTHER = {
  "/principals": 403,
  "/any-principal": 200,
  "/not-principals": 200,
  "/namespaces": 403,
  "/not-namespaces": 200,
  "/accounts": 403,
  "/trust-domains": 200,
  "/token": 403,
};
/** The peer is unknown; there is a token. */
const UNKNOWN = Object.fromEntries(Object.keys(SOURCES).map((path) => [path, path === "/token" ? 403 : 500]));

/** Istio's own kind, `istio.hashable_string`, is a string of Envoy's too; older Envoys have none that is hashable. */
const FACTORIES = ["envoy.string", ...((await envoyMinorVersion()) >= 38 ? ["envoy.hashable_string"] : [])];

describe.each(FACTORIES)("a peer's principal in filter state of %s", (factory) => {
  let envoy: Envoy;
  beforeAll(async () => {
    envoy = await start(compiled(), { ...PEER, factory });
  });
  afterAll(() => envoy?.stop());

  test("is what policies see of the peer", async () => {
    expect(await statuses(envoy, { uris: [SLEEP] })).toEqual(OF_SLEEP);
    expect(await statuses(envoy, { uris: [OTHER] })).toEqual(OF_OTHER);
  });

  test("does not matter to policies about tokens, or about no peer", async () => {
    const token = bearer(tokens.token({ iss: ISSUER, sub: "alice" }));
    expect(await through(envoy, { uris: [SLEEP] }, "/open")).toBe(200);
    expect(await through(envoy, { uris: [OTHER] }, "/token", [token])).toBe(200);
    expect(await through(envoy, { uris: [OTHER] }, "/principals", [token])).toBe(403);
    expect(await through(envoy, { uris: [SLEEP] }, "/open", [["authorization", "Bearer a.b.c"]])).toBe(401);
  });

  test("without one, no policy about the peer allows a request, not even by a negative condition", async () => {
    // Envoy's formatter writes `-`.
    expect(await statuses(envoy, { dns: ["client.example"] })).toEqual(UNKNOWN);
    expect(await through(envoy, { dns: ["client.example"] }, "/open")).toBe(200);
  });
});

test("a proxy other than a waypoint has no such filter state, and allows no request by it", async () => {
  for (const state of [undefined, { ...PEER, format: "%REQ(x-absent)%" }]) {
    const envoy = await start(compiled(), state);
    try {
      expect(await statuses(envoy, { uris: [SLEEP] })).toEqual(UNKNOWN);
      expect(await through(envoy, { uris: [SLEEP] }, "/open")).toBe(200);
    } finally {
      await envoy.stop();
    }
  }
});

test("Envoy's own RBAC, as istiod generates it for a waypoint, gives the same answers for known peers", async () => {
  const known = (match: Message): Message => ({ filter_state: { key: STATE, string_match: match } });
  const regex = (pattern: string): Message => known({ safe_regex: { regex: pattern } });
  const sleep = known({ exact: SLEEP });
  const namespace = regex(".*/ns/foo/.*");
  const principals: Partial<Record<Path, Message>> = {
    "/principals": sleep,
    "/any-principal": regex(".+"),
    "/not-principals": { not_id: sleep },
    "/namespaces": namespace,
    "/not-namespaces": { not_id: namespace },
    "/accounts": regex("spiffe://.+/ns/foo/(.+/|)sa/sleep(/.+)?"),
    "/trust-domains": known({ prefix: "spiffe://cluster.local/" }),
  };
  const policies = Object.entries(principals).map(([path, principal]) => [
    path,
    { principals: [principal], permissions: [{ url_path: { path: { exact: path } } }] },
  ]);
  const envoy = await start(compiled(), PEER, {
    name: "envoy.filters.http.rbac",
    typed_config: {
      "@type": type("envoy.extensions.filters.http.rbac.v3.RBAC"),
      rules: { action: "ALLOW", policies: Object.fromEntries(policies) },
    },
  });
  try {
    expect(await statuses(envoy, { uris: [SLEEP] })).toEqual(OF_SLEEP);
    expect(await statuses(envoy, { uris: [OTHER] })).toEqual(OF_OTHER);
  } finally {
    await envoy.stop();
  }
});

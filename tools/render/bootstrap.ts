/**
 * An Envoy bootstrap that runs the filter in front of an upstream: the HTTP connection manager as istiod configures it
 * (docs/semantics.md, "Generated filters"), with the limits that Envoy's guide for edge proxies requires.
 *
 * `renderBootstrap` makes the whole; `listener`, `cluster` and `bootstrap` are its parts, for callers that put several
 * listeners into one Envoy.
 */

import type { Configuration, Provider } from "../config/schema.ts";
import { asciiJson } from "../diagnostics.ts";
import { isAddress } from "../encoding/address.ts";
import { hostOf, portOf } from "../jwks/source.ts";
import { UPGRADES } from "../upgrades.ts";
import { type Reasons, toYaml } from "./yaml.ts";

/** A socket's address. An IPv6 host has no brackets. */
export interface Address {
  host: string;
  port: number;
}

/** The role of Envoy: the edge, where clients connect, or a workload's own sidecar, behind another proxy. */
export type Mode = "gateway" | "sidecar";

/** Istio's meshConfig.pathNormalization. */
export const PATH_NORMALIZATIONS = ["BASE", "NONE", "MERGE_SLASHES", "DECODE_AND_MERGE_SLASHES"] as const;
export type PathNormalization = (typeof PATH_NORMALIZATIONS)[number];

/** Files of a listener's TLS, as Envoy will see them. */
export interface Tls {
  certificate: string;
  key: string;
  /** If set, clients must present a certificate of this authority (mutual TLS). */
  clientCa?: string;
}

export interface ListenerOptions {
  name: string;
  address: Address;
  /** `gateway` if absent. */
  mode?: Mode;
  /** `BASE` if absent. */
  pathNormalization?: PathNormalization;
  tls?: Tls;
  /** The filter's module, as Envoy will see it. */
  module: string;
  configuration: Configuration;
  /** Set if the filter's configuration is read from a file, which can be replaced, instead of from here. */
  ecds?: EcdsFile;
  /** Envoy's own filters that see a request before the filter does. */
  filtersBefore?: readonly Message[];
  /** The cluster that requests go to. */
  cluster: string;
  /** The host in requests to the upstream, such as `api.example.com`; the client's own if absent. */
  upstreamHost?: string;
  /** Whether each request is logged to standard output, as JSON; true if absent. */
  accessLog?: boolean;
  /**
   * Whether the access log also has a line when a connection becomes a WebSocket, not only at its end, and marks which
   * of the two a line is; false if absent, because line counts serve as request counts.
   */
  logsUpgrades?: boolean;
  /**
   * Whether a second process may listen at the address too, and the kernel distributes connections to both;
   * true if absent, as in Envoy (`enable_reuse_port`). Each worker then has a socket of its own, which
   * spreads connections evenly, and a new Envoy can take over: right for a bootstrap that another program
   * runs, with as many workers as it has cores. There, the lock of Envoy's hot restart (`--base-id`) refuses
   * a second one by mistake. Where we run Envoy it has one worker and no hot restart, and a second gate at
   * the address would serve other policies without a warning: false.
   */
  sharesPort?: boolean;
}

/** A file for Envoy's extension config discovery (ECDS), as `compile --output ecds` writes it. */
export interface EcdsFile {
  /** Absolute, as Envoy will see it. */
  path: string;
  /** The filter state key under which any configuration in the file may ask for the direct peer's address. */
  directRemoteAddress: string;
}

/** A message of Envoy's API as JSON. */
export type Message = { [name: string]: unknown };

const type = (name: string) => `type.googleapis.com/${name}`;

/** The filter's name, and its namespace of shared data. */
const NAME = "jwtgate";

/** How much Envoy buffers of a connection in either direction before it stops reading, on listeners and on clusters. */
const CONNECTION_BUFFER_BYTES = 32 * 1024;

/**
 * Detects that a peer has disappeared, because no timeout ends a silent stream: after five minutes of silence the
 * kernel probes every minute, and nine probes without an answer (the kernel's own number) end the connection. Listeners
 * have the same only from Envoy 1.37 on.
 */
const TCP_KEEPALIVE = { keepalive_time: 300, keepalive_interval: 60 };

/** How much a stream and a connection of HTTP/2 may send before it is read, in bytes, as in Envoy's guide. */
const HTTP2_WINDOWS = { initial_stream_window_size: 65_536, initial_connection_window_size: 1_048_576 };

/** How many connections one listener accepts at a time, and all listeners together. */
const LISTENER_CONNECTIONS = 10_000;
const ALL_CONNECTIONS = 50_000;

/** The default limit of Envoy's heap: `--max-heap-size`. */
export const DEFAULT_MAX_HEAP_BYTES = 2 * 1024 ** 3;

/** An envoy.config.listener.v3.Listener with the filter. */
export function listener(options: ListenerOptions): Message {
  const { name, address, tls, mode = "gateway", accessLog = true, sharesPort = true } = options;
  const { logsUpgrades = false } = options;
  return {
    name,
    address: socketAddress(address),
    ...(!sharesPort && { enable_reuse_port: false }),
    per_connection_buffer_limit_bytes: CONNECTION_BUFFER_BYTES,
    ...(tls && {
      listener_filters: [
        {
          name: "envoy.filters.listener.tls_inspector",
          typed_config: { "@type": type("envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector") },
        },
      ],
    }),
    filter_chains: [
      {
        ...(tls && { transport_socket: downstreamTls(tls), transport_socket_connect_timeout: "10s" }),
        filters: [
          {
            name: "envoy.filters.network.http_connection_manager",
            typed_config: {
              "@type": type(
                "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
              ),
              stat_prefix: name,
              codec_type: "AUTO",
              ...pathOptions(options.pathNormalization ?? "BASE"),
              use_remote_address: mode === "gateway",
              upgrade_configs: UPGRADES.map((upgrade_type) => ({ upgrade_type })),
              request_headers_timeout: "30s",
              request_timeout: "0s",
              stream_idle_timeout: "0s",
              stream_flush_timeout: "300s",
              common_http_protocol_options: {
                idle_timeout: "3600s",
                headers_with_underscores_action: "ALLOW",
              },
              http2_protocol_options: { max_concurrent_streams: 100, ...HTTP2_WINDOWS },
              ...(accessLog && {
                access_log: [stdoutAccessLog(options.configuration.filterState === true, logsUpgrades)],
              }),
              ...(logsUpgrades && {
                access_log_options: { flush_log_on_tunnel_successfully_established: true },
              }),
              route_config: {
                virtual_hosts: [
                  {
                    name: "upstream",
                    domains: ["*"],
                    routes: [{ match: { prefix: "/" }, route: routeTo(options) }],
                  },
                ],
              },
              http_filters: httpFilters(options),
            },
          },
        ],
      },
    ],
  };
}

function routeTo({ cluster, upstreamHost }: ListenerOptions): Message {
  return {
    cluster,
    timeout: "0s",
    ...(upstreamHost !== undefined && { host_rewrite_literal: upstreamHost }),
  };
}

/** The connection manager's settings for the path that policies see (docs/semantics.md, "Generated filters"). */
function pathOptions(normalization: PathNormalization): Message {
  const decode = normalization === "DECODE_AND_MERGE_SLASHES";
  return {
    normalize_path: normalization !== "NONE",
    merge_slashes: decode || normalization === "MERGE_SLASHES",
    path_with_escaped_slashes_action: decode ? "UNESCAPE_AND_FORWARD" : "KEEP_UNCHANGED",
  };
}

function httpFilters({ configuration, module, ecds, filtersBefore = [] }: ListenerOptions): Message[] {
  const { directRemoteAddress } = ecds ?? configuration;
  return [
    ...filtersBefore,
    ...(directRemoteAddress === undefined ? [] : [directRemoteAddressFilter(directRemoteAddress)]),
    ecds === undefined ? jwtgateFilter(configuration, module) : discoveredFilter(ecds),
    {
      name: "envoy.filters.http.router",
      typed_config: { "@type": type("envoy.extensions.filters.http.router.v3.Router") },
    },
  ];
}

/** Passes the direct peer's address to the filter, which has no attribute for it. */
function directRemoteAddressFilter(key: string): Message {
  return {
    name: "envoy.filters.http.set_filter_state",
    typed_config: {
      "@type": type("envoy.extensions.filters.http.set_filter_state.v3.Config"),
      on_request_headers: [
        {
          object_key: key,
          factory_key: "envoy.string",
          format_string: {
            text_format_source: { inline_string: "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%" },
          },
        },
      ],
    },
  };
}

const WASM = type("envoy.extensions.filters.http.wasm.v3.Wasm");

/** The filter, with a configuration that Envoy reads from a file, and again after another file is moved to its name. */
function discoveredFilter({ path }: EcdsFile): Message {
  return {
    name: NAME,
    config_discovery: {
      config_source: {
        path_config_source: { path, watched_directory: { path: path.replace(/\/[^/]*$/, "") || "/" } },
        resource_api_version: "V3",
      },
      type_urls: [WASM],
    },
  };
}

/**
 * The filter itself: an HTTP filter of type envoy.extensions.filters.http.wasm.v3.Wasm, or a TypedExtensionConfig of
 * extension config discovery.
 */
export function jwtgateFilter(configuration: Configuration, module: string): Message {
  return {
    name: NAME,
    typed_config: {
      "@type": WASM,
      config: {
        name: NAME,
        failure_policy: "FAIL_RELOAD",
        vm_config: {
          vm_id: NAME,
          runtime: "envoy.wasm.runtime.v8",
          code: { local: { filename: module } },
        },
        configuration: {
          "@type": type("google.protobuf.StringValue"),
          value: asciiJson(configuration, 1),
        },
      },
    },
  };
}

/** One line of JSON for each request. The path is without its query, which may hold a token. */
function stdoutAccessLog(filterState: boolean, hasType: boolean): Message {
  return {
    name: "envoy.access_loggers.stdout",
    typed_config: {
      "@type": type("envoy.extensions.access_loggers.stream.v3.StdoutAccessLog"),
      log_format: {
        json_format: {
          ...(hasType && { type: "%ACCESS_LOG_TYPE%" }),
          time: "%START_TIME%",
          client: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
          protocol: "%PROTOCOL%",
          method: "%REQ(:METHOD)%",
          authority: "%REQ(:AUTHORITY)%",
          path: "%PATH(NQ:PATH)%",
          status: "%RESPONSE_CODE%",
          grpc_status: "%GRPC_STATUS_NUMBER%",
          details: "%RESPONSE_CODE_DETAILS%",
          ...(filterState && {
            principal: "%FILTER_STATE(wasm.jwtgate.principal:PLAIN)%",
            policy: "%FILTER_STATE(wasm.jwtgate.policy:PLAIN)%",
            reason: "%FILTER_STATE(wasm.jwtgate.reason:PLAIN)%",
          }),
          flags: "%RESPONSE_FLAGS%",
          duration_ms: "%DURATION%",
          bytes_received: "%BYTES_RECEIVED%",
          bytes_sent: "%BYTES_SENT%",
          upstream: "%UPSTREAM_HOST%",
          request_id: "%REQ(X-REQUEST-ID)%",
        },
      },
    },
  };
}

/** The server's side of TLS; with a client CA, mutual. */
function downstreamTls({ certificate, key, clientCa }: Tls): Message {
  return {
    name: "envoy.transport_sockets.tls",
    typed_config: {
      "@type": type("envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"),
      require_client_certificate: clientCa !== undefined,
      common_tls_context: {
        alpn_protocols: ["h2", "http/1.1"],
        tls_params: { tls_minimum_protocol_version: "TLSv1_2" },
        tls_certificates: [{ certificate_chain: { filename: certificate }, private_key: { filename: key } }],
        ...(clientCa !== undefined && { validation_context: { trusted_ca: { filename: clientCa } } }),
      },
    },
  };
}

/** TLS to a server. Files are as Envoy will see them. */
export interface UpstreamTls {
  /** The name or IP address that its certificate must have. A name is sent as SNI. */
  serverName: string;
  caFile: string;
  /** The client's own certificate chain and its key, for servers that ask for them (mutual TLS). */
  client?: { certificate: string; key: string };
}

export interface ClusterOptions {
  name: string;
  address: Address;
  tls?: UpstreamTls;
  /** The protocol; HTTP/1.1 if absent. */
  protocol?: UpstreamProtocol;
  connectTimeoutMs?: number;
}

export type UpstreamProtocol = "HTTP/1.1" | "HTTP/2";

/** An envoy.config.cluster.v3.Cluster with one endpoint: an address, or a name that Envoy resolves periodically. */
export function cluster(options: ClusterOptions): Message {
  const { name, address, tls, protocol = "HTTP/1.1", connectTimeoutMs = 5_000 } = options;
  return {
    name,
    type: isAddress(address.host) ? "STATIC" : "STRICT_DNS",
    connect_timeout: seconds(connectTimeoutMs),
    per_connection_buffer_limit_bytes: CONNECTION_BUFFER_BYTES,
    upstream_connection_options: { tcp_keepalive: TCP_KEEPALIVE },
    ...(!isAddress(address.host) && { dns_lookup_family: "V4_PREFERRED" }),
    ...(protocol === "HTTP/2" && { typed_extension_protocol_options: SPEAKS_HTTP2 }),
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: socketAddress(address) } }] }],
    },
    ...(tls && { transport_socket: upstreamTls(tls, protocol) }),
  };
}

/** HTTP/2 without negotiation: with TLS, ALPN must agree on it. */
const SPEAKS_HTTP2 = {
  "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
    "@type": type("envoy.extensions.upstreams.http.v3.HttpProtocolOptions"),
    explicit_http_config: { http2_protocol_options: HTTP2_WINDOWS },
  },
};

/** TLS to a server whose certificate must be valid under the CA and for the name. */
function upstreamTls({ serverName, caFile, client }: UpstreamTls, protocol: UpstreamProtocol): Message {
  const byAddress = isAddress(serverName);
  const matcher = { san_type: byAddress ? "IP_ADDRESS" : "DNS", matcher: { exact: serverName } };
  return {
    name: "envoy.transport_sockets.tls",
    typed_config: {
      "@type": type("envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"),
      ...(!byAddress && { sni: serverName }),
      common_tls_context: {
        ...(protocol === "HTTP/2" && { alpn_protocols: ["h2"] }),
        tls_params: { tls_minimum_protocol_version: "TLSv1_2" },
        ...(client && {
          tls_certificates: [
            { certificate_chain: { filename: client.certificate }, private_key: { filename: client.key } },
          ],
        }),
        validation_context: { trusted_ca: { filename: caFile }, match_typed_subject_alt_names: [matcher] },
      },
    },
  };
}

export interface BootstrapParts {
  listeners: Message[];
  clusters: Message[];
  admin?: Address;
  /** How much heap Envoy may use before it refuses requests, in bytes; DEFAULT_MAX_HEAP_BYTES if absent. */
  maxHeapBytes?: number;
}

/** An envoy.config.bootstrap.v3.Bootstrap. */
export function bootstrap({ listeners, clusters, admin, maxHeapBytes }: BootstrapParts): Message {
  return {
    node: { id: NAME, cluster: NAME },
    ...(admin && { admin: { address: socketAddress(admin) } }),
    layered_runtime: {
      layers: [
        {
          name: "istio",
          static_layer: { "envoy.reloadable_features.http_reject_path_with_fragment": false },
        },
        { name: "connections", static_layer: connectionLimits(listeners) },
      ],
    },
    overload_manager: overloadManager(maxHeapBytes ?? DEFAULT_MAX_HEAP_BYTES),
    static_resources: { listeners, clusters },
  };
}

/** Runtime keys that limit the connections of each listener. */
function connectionLimits(listeners: readonly Message[]): Message {
  return Object.fromEntries(
    listeners.map(({ name }) => [
      `envoy.resource_limits.listener.${name}.connection_limit`,
      LISTENER_CONNECTIONS,
    ]),
  );
}

const HEAP_MONITOR = "envoy.resource_monitors.fixed_heap";

/** An envoy.config.overload.v3.OverloadManager. */
function overloadManager(maxHeapBytes: number): Message {
  const monitorType = (name: string) => type(`envoy.extensions.resource_monitors.${name}`);
  const atHeap = (value: number) => [{ name: HEAP_MONITOR, threshold: { value } }];
  return {
    refresh_interval: "0.25s",
    resource_monitors: [
      {
        name: HEAP_MONITOR,
        typed_config: {
          "@type": monitorType("fixed_heap.v3.FixedHeapConfig"),
          max_heap_size_bytes: maxHeapBytes,
        },
      },
      {
        name: "envoy.resource_monitors.global_downstream_max_connections",
        typed_config: {
          "@type": monitorType("downstream_connections.v3.DownstreamConnectionsConfig"),
          max_active_downstream_connections: ALL_CONNECTIONS,
        },
      },
    ],
    actions: [
      { name: "envoy.overload_actions.shrink_heap", triggers: atHeap(0.95) },
      { name: "envoy.overload_actions.stop_accepting_requests", triggers: atHeap(0.98) },
    ],
  };
}

/** The service that requests go to. */
export interface Upstream extends Address {
  /** Plain text if absent. */
  tls?: UpstreamTls;
  /** HTTP/1.1 if absent. */
  protocol?: UpstreamProtocol;
  /** See `upstreamHost` of ListenerOptions. */
  requestHost?: string;
}

/** Envoy's own filters that see requests before the filter does, and the clusters that they need. */
export interface FiltersBefore {
  filters: Message[];
  clusters: Message[];
}

/** The options of `compile --output envoy`. */
export interface BootstrapOptions {
  listen: Address;
  upstream: Upstream;
  admin?: Address;
  mode: Mode;
  pathNormalization: PathNormalization;
  tls?: Tls;
  module: string;
  /** Authorities of key servers, as Envoy will see the file; this system's if absent. */
  jwksCa?: string;
  /** How much heap Envoy may use before it refuses requests, in bytes; DEFAULT_MAX_HEAP_BYTES if absent. */
  maxHeapBytes?: number;
  /** None if absent. */
  before?: FiltersBefore;
  /** See ListenerOptions. */
  ecds?: EcdsFile;
  sharesPort?: boolean;
  logsUpgrades?: boolean;
}

/** The whole bootstrap for one listener and its upstream, with a cluster for each key server. */
export function renderBootstrap(configuration: Configuration, options: BootstrapOptions): Message {
  const { listen, admin, jwksCa, maxHeapBytes, before } = options;
  const { host, port, requestHost, ...protocol } = options.upstream;
  const clusterName = "upstream";
  return bootstrap({
    listeners: [
      listener({
        name: "gate",
        address: listen,
        mode: options.mode,
        pathNormalization: options.pathNormalization,
        ...(options.tls && { tls: options.tls }),
        ...(options.sharesPort !== undefined && { sharesPort: options.sharesPort }),
        ...(options.logsUpgrades !== undefined && { logsUpgrades: options.logsUpgrades }),
        ...(options.ecds && { ecds: options.ecds }),
        module: options.module,
        configuration,
        ...(before && { filtersBefore: before.filters }),
        cluster: clusterName,
        ...(requestHost !== undefined && { upstreamHost: requestHost }),
      }),
    ],
    clusters: [
      cluster({ name: clusterName, address: { host, port }, ...protocol }),
      ...jwksClusters(configuration.providers ?? [], jwksCa ?? SYSTEM_CA_FILES[0]),
      ...(before?.clusters ?? []),
    ],
    ...(admin && { admin }),
    ...(maxHeapBytes !== undefined && { maxHeapBytes }),
  });
}

/** One cluster for each server that the providers fetch from. */
function jwksClusters(providers: readonly Provider[], caFile: string): Message[] {
  const clusters = new Map<string, Message>();
  for (const { remoteJwks } of providers) {
    if (remoteJwks === undefined) continue;
    const targets = [
      { cluster: remoteJwks.cluster, uri: remoteJwks.uri ?? remoteJwks.discovery?.uri },
      ...(remoteJwks.discovery?.jwksHosts ?? []).map(({ origin, cluster }) => ({ cluster, uri: origin })),
    ];
    for (const { cluster: name, uri } of targets) {
      if (uri !== undefined && !clusters.has(name))
        clusters.set(name, jwksCluster(name, new URL(uri), caFile));
    }
  }
  return [...clusters.values()];
}

function jwksCluster(name: string, url: URL, caFile: string): Message {
  const host = hostOf(url);
  return cluster({
    name,
    address: { host, port: portOf(url) },
    ...(url.protocol === "https:" && { tls: { serverName: host, caFile } }),
  });
}

/** Where systems keep their certificate authorities; the first is that of Debian and of Envoy's own images. */
const SYSTEM_CA_FILES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/ssl/cert.pem",
] as const;

/**
 * The certificate authorities that a system trusts.
 *
 * @param exists whether there is such a file
 */
export function systemCaFile(exists: (file: string) => boolean): string {
  return SYSTEM_CA_FILES.find((file) => exists(file)) ?? SYSTEM_CA_FILES[0];
}

function socketAddress({ host, port }: Address): Message {
  return { socket_address: { address: host, port_value: port } };
}

/** A google.protobuf.Duration in JSON. */
function seconds(milliseconds: number): string {
  return `${milliseconds / 1000}s`;
}

/** The reasons for the values in the filter's own message, by the names of its members. */
export const FILTER_REASONS: Reasons = {
  failure_policy: "A filter that fails answers 503 to every request, and is started again.",
  vm_id: "A separate namespace of shared data.",
};

/** As `FILTER_REASONS`, for the whole bootstrap. */
const REASONS: Reasons = {
  ...FILTER_REASONS,
  admin: "Anyone who reaches it can read this whole configuration, HMAC secrets included, and can end Envoy.",
  layered_runtime:
    "As in Istio: a fragment in a path is cut off, not refused. Also: how many connections the listener accepts.",
  overload_manager:
    "Envoy has no limits of its own. Near --max-heap-size it gives memory back (95%), then answers 503 (98%).",
  per_connection_buffer_limit_bytes: "How much Envoy buffers for one connection.",
  listener_filters: "For connection.sni in policies.",
  transport_socket_connect_timeout: "Against clients that do not finish the TLS handshake.",
  normalize_path: "Policies compare paths as they will be forwarded (Istio's meshConfig.pathNormalization).",
  use_remote_address:
    "The client's address: at the edge (gateway) the peer's; in a sidecar the last one in X-Forwarded-For.",
  request_headers_timeout: "Against clients that send their headers a byte at a time.",
  upgrade_configs:
    "As in Istio: a WebSocket may begin; the filter decides on its first request. No other upgrade, no CONNECT.",
  request_timeout: "As in Istio: no limit for a whole upload.",
  stream_idle_timeout: "As in Istio: event streams and WebSockets may be silent.",
  stream_flush_timeout: "Against clients that do not read an answer that is complete (HTTP/2).",
  tcp_keepalive: "A service that disappears without closing the connection is detected within 15 minutes.",
  host_rewrite_literal: "Policies see the host that the client sent.",
  headers_with_underscores_action:
    "As in Istio. If a backend treats X_User as x-user: compile with --remove-lookalikes.",
  http2_protocol_options: "Against clients that open streams or windows without end.",
  access_log: "Without the query, which may hold a token.",
  timeout: "As in Istio: no limit for a whole response.",
  config_discovery:
    "The policies are in a separate file. Replace it with mv: a valid file takes effect, a bad one changes nothing.",
  shadow_rules: "CUSTOM policies: this filter refuses no request, and records the rule that matches.",
  filter_enabled_metadata: "The authorizer is asked only about requests with such a record.",
  failure_mode_allow: "Whether requests pass while the authorizer cannot be asked (failOpen).",
  factory_key: "The direct peer, which policies on source.ip need and which a Wasm filter cannot read.",
  match_typed_subject_alt_names: "The certificate must be of the host that was asked.",
};

/** The bootstrap as YAML, with the reasons in comments. */
export function printBootstrap(message: Message, version: string): string {
  const heading = `An Envoy bootstrap, written by jwtgate ${version} (compile --output envoy).\nRun it: envoy --config-path THIS_FILE`;
  return toYaml([message], heading, { reasons: REASONS });
}

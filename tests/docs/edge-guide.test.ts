/**
 * docs/envoy.md says of each setting of Envoy's guide for edge proxies what the guide has, what the bootstrap has, and
 * why they differ. Here the table is compared with the guide and with what `compile` prints.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Message } from "../../tools/render/bootstrap.ts";
import { connectionManager } from "../support/envoy.ts";
import { compileBootstrap } from "../support/gate.ts";
import { CertificateAuthority } from "../support/pki.ts";
import { readMarkdown } from "./markdown.ts";

const HEAP = "envoy.resource_monitors.fixed_heap";
const UPSTREAM_HTTP =
  "typed_extension_protocol_options[envoy.extensions.upstreams.http.v3.HttpProtocolOptions]";
const NO_VALUE = "no value";
const NOT_SET = "not set";

/**
 * The settings of the guide (Envoy 1.40: docs/root/configuration/best_practices/edge.rst and _include/edge.yaml) and of
 * the HTTP part of the page of timeouts that it refers to (docs/root/faq/configuration/timeouts.rst).
 */
const GUIDE: [place: string, setting: string, value: string][] = [
  ["bootstrap", "admin.address.socket_address.address", "127.0.0.1"],
  ["bootstrap", "overload_manager.refresh_interval", "0.25s"],
  ["bootstrap", `overload_manager.resource_monitors[${HEAP}].typed_config.max_heap_size_bytes`, "2147483648"],
  [
    "bootstrap",
    `overload_manager.actions[envoy.overload_actions.shrink_heap].triggers[${HEAP}].threshold.value`,
    "0.95",
  ],
  [
    "bootstrap",
    `overload_manager.actions[envoy.overload_actions.stop_accepting_requests].triggers[${HEAP}].threshold.value`,
    "0.98",
  ],
  ["bootstrap", "overload_manager.actions[envoy.overload_actions.reduce_timeouts]", NO_VALUE],
  [
    "bootstrap",
    "overload_manager.resource_monitors[envoy.resource_monitors.global_downstream_max_connections].typed_config.max_active_downstream_connections",
    "50000",
  ],
  [
    "bootstrap",
    "layered_runtime.layers[connections].static_layer[envoy.resource_limits.listener.gate.connection_limit]",
    "10000",
  ],
  ["listener", "per_connection_buffer_limit_bytes", "32768"],
  ["listener", "udp_listener_config.quic_options.quic_protocol_options.max_concurrent_streams", "100"],
  ["filter chain with TLS", "transport_socket_connect_timeout", NO_VALUE],
  ["connection manager", "use_remote_address", "true"],
  ["connection manager", "normalize_path", "true"],
  ["connection manager", "merge_slashes", "true"],
  ["connection manager", "path_with_escaped_slashes_action", "UNESCAPE_AND_REDIRECT"],
  ["connection manager", "common_http_protocol_options.headers_with_underscores_action", "REJECT_REQUEST"],
  ["connection manager", "common_http_protocol_options.idle_timeout", "3600s"],
  ["connection manager", "common_http_protocol_options.max_connection_duration", NO_VALUE],
  ["connection manager", "common_http_protocol_options.max_stream_duration", NO_VALUE],
  ["connection manager", "http2_protocol_options.max_concurrent_streams", "100"],
  ["connection manager", "http2_protocol_options.initial_stream_window_size", "65536"],
  ["connection manager", "http2_protocol_options.initial_connection_window_size", "1048576"],
  ["connection manager", "request_headers_timeout", NO_VALUE],
  ["connection manager", "request_timeout", "300s"],
  ["connection manager", "stream_idle_timeout", "300s"],
  ["route", "timeout", "15s"],
  ["route", "idle_timeout", "15s"],
  ["route", "max_stream_duration", NO_VALUE],
  ["route", "retry_policy", NO_VALUE],
  ["cluster", "per_connection_buffer_limit_bytes", "32768"],
  ["cluster", "connect_timeout", NO_VALUE],
  [
    "cluster",
    `${UPSTREAM_HTTP}.explicit_http_config.http2_protocol_options.initial_stream_window_size`,
    "65536",
  ],
  [
    "cluster",
    `${UPSTREAM_HTTP}.explicit_http_config.http2_protocol_options.initial_connection_window_size`,
    "1048576",
  ],
  ["cluster", `${UPSTREAM_HTTP}.common_http_protocol_options`, NO_VALUE],
];

/** Members of the bootstrap that the guide does not mention. */
const NO_MATTER: Record<string, RegExp> = {
  bootstrap: /^(node|static_resources)\.|\.name$|\.@type$|http_reject_path_with_fragment/,
  listener: /^(name$|enable_reuse_port$|address\.|listener_filters|filter_chains)/,
  "filter chain with TLS": /^(filters|transport_socket\.)/,
  "connection manager":
    /^(@type|stat_prefix|codec_type|stream_flush_timeout)$|^(access_log|http_filters|route_config|upgrade_configs)/,
  route: /^cluster$/,
  cluster:
    /^(name|type|dns_lookup_family)$|^(load_assignment|transport_socket|upstream_connection_options)\./,
};

interface Row {
  place: string;
  setting: string;
  guide: string;
  here: string;
  why: string;
}

const ROWS: Row[] = [
  ...readMarkdown("docs/envoy.md").matchAll(
    /^\| ([a-z][^|`]*) \| `([^`|]+)` \|([^|]*)\|([^|]*)\|([^|]*)\|$/gm,
  ),
].map(([, place = "", setting = "", guide = "", here = "", why = ""]) => {
  const value = (cell: string) => cell.trim().replaceAll("`", "");
  return { place, setting, guide: value(guide), here: value(here), why: why.trim() };
});

const POLICIES = `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: keys-from-two-servers}
spec:
  jwtRules:
  - {issuer: https://one.example, jwksUri: https://one.example/keys}
  - {issuer: https://two.example, jwksUri: http://127.0.0.1:8000/keys}
`;

/** By the names of the table's first column: all messages of that kind. */
let messages: Record<string, Message[]>;
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "jwtgate-edge-guide-"));
  const credentials = new CertificateAuthority().issue({ dns: ["gate.example"] });
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const certificate = write("gate.pem", credentials.certificate);
  const key = write("gate.key", credentials.key);
  const addresses = ["--listen", "0.0.0.0:443", "--upstream", "backend.example:80"];
  const bootstrap = compileBootstrap(POLICIES, [...addresses, "--tls-cert", certificate, "--tls-key", key]);
  const { listeners, clusters } = bootstrap["static_resources"] as Record<
    "listeners" | "clusters",
    Message[]
  >;
  const managers = listeners.map(connectionManager);
  messages = {
    bootstrap: [bootstrap],
    listener: listeners,
    "filter chain with TLS": listeners.flatMap((listener) => listener["filter_chains"] as Message[]),
    "connection manager": managers,
    route: managers.flatMap(routesOf),
    cluster: clusters,
  };
});
afterAll(() => rmSync(folder, { recursive: true }));

function routesOf(manager: Message): Message[] {
  const { virtual_hosts } = manager["route_config"] as { virtual_hosts: { routes: { route: Message }[] }[] };
  return virtual_hosts.flatMap(({ routes }) => routes.map(({ route }) => route));
}

/** What is at `a.b[c].d`: `[c]` is the element of that name, or the member. */
function at(message: unknown, setting: string): unknown {
  let value = message;
  for (const [, bracketed, plain] of setting.matchAll(/\[([^\]]+)\]|([^.[\]]+)/g)) {
    const name = bracketed ?? plain ?? "";
    value = Array.isArray(value)
      ? (value as { name?: string }[]).find((element) => element.name === name)
      : (value as Message | undefined)?.[name];
  }
  return value;
}

/** The settings of a message, each to a plain value. */
function settings(value: unknown, path = ""): string[] {
  if (typeof value !== "object" || value === null) return [path];
  return Object.entries(value).flatMap(([name, member]) => {
    const key = Array.isArray(value) ? String((member as { name?: string }).name ?? name) : name;
    const step = /[.[\]]/.test(key) || Array.isArray(value) ? `[${key}]` : path === "" ? key : `.${key}`;
    return settings(member, path + step);
  });
}

test("the table has each setting of the guide, with the guide's value, and no other", () => {
  expect(ROWS.map(({ place, setting, guide }) => [place, setting, guide])).toEqual(GUIDE);
});

describe("the bootstrap has the values of the table", () => {
  test.each(ROWS)("$place: $setting is $here", ({ place, setting, here }) => {
    const found = messages[place] ?? [];
    expect(found.length).toBeGreaterThan(place === "cluster" ? 2 : 0);
    for (const message of found) expect(String(at(message, setting) ?? NOT_SET)).toBe(here);
  });
});

test("a row gives a reason if it differs from the guide, and only then", () => {
  const silent = ROWS.filter(({ guide, here, why }) => (guide !== here) !== why.length > 20);
  expect(silent).toEqual([]);
});

test("every other limit of the bootstrap has a row too", () => {
  const rows = new Set(ROWS.map(({ place, setting }) => `${place}: ${setting}`));
  const unknown = Object.entries(messages).flatMap(([place, found]) =>
    found
      .flatMap((message) => settings(message))
      .filter((setting) => !NO_MATTER[place]?.test(setting))
      .map((setting) => `${place}: ${setting}`)
      .filter((row) => !rows.has(row)),
  );
  expect(unknown).toEqual([]);
});

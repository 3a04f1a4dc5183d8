/**
 * Envoy Gateway's resources (gateway.envoyproxy.io/v1alpha1): an EnvoyExtensionPolicy with the filter for each
 * selection of Gateways, and the resources that give their Envoys a cluster for each key server.
 */
import type { Configuration } from "../config/schema.ts";
import { parseAddress } from "../encoding/address.ts";
import type { TargetRef } from "../istio/resource.ts";
import type { Selection } from "../istio/selection.ts";
import { hostOf, isLoopback, meshHost } from "../jwks/source.ts";
import type { Message } from "./bootstrap.ts";
import { uniqueName } from "./names.ts";
import { nameOf } from "./wasmplugin.ts";
import type { Reasons } from "./yaml.ts";

export interface GatewayOptions {
  /** Where Envoy Gateway gets the module from: oci://, https:// or http://. */
  image: string;
  /** SHA-256 of what `image` names, in hexadecimal. */
  sha256?: string;
  /** A ConfigMap with authorities of the key servers (`ca.crt`); the system's if absent. */
  caConfigMap?: string;
}

/** A selection of Gateways. */
export interface GatewaySelection {
  namespace: string;
  targetRefs: TargetRef[];
}

/** The label of the pods of a Gateway, and therefore of a workload that is one. */
const GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name";
const GATEWAY_GROUP = "gateway.networking.k8s.io";
const GROUP = "gateway.envoyproxy.io";

/** The Gateways of a selection; undefined if it selects anything else. */
export function gatewaysOf({ namespace, matchLabels, targetRefs }: Selection): GatewaySelection | undefined {
  const name = matchLabels?.[GATEWAY_NAME];
  const refs = targetRefs ?? (name === undefined ? [] : [{ group: GATEWAY_GROUP, kind: "Gateway", name }]);
  const gateways = refs.filter((ref): ref is TargetRef => ref.kind === "Gateway");
  return gateways.length > 0 && gateways.length === refs.length
    ? { namespace, targetRefs: gateways }
    : undefined;
}

/** An EnvoyExtensionPolicy for the policies of one selection. */
export function renderEnvoyExtensionPolicy(
  selection: GatewaySelection,
  configuration: Configuration,
  { image, sha256 }: GatewayOptions,
): Message {
  const digest = sha256 === undefined ? {} : { sha256 };
  const code = image.startsWith("oci://")
    ? { type: "Image", image: { url: image.slice("oci://".length), ...digest } }
    : { type: "HTTP", http: { url: image, ...digest } };
  return {
    apiVersion: `${GROUP}/v1alpha1`,
    kind: "EnvoyExtensionPolicy",
    metadata: { name: nameOf(selection), namespace: selection.namespace },
    spec: {
      targetRefs: selection.targetRefs,
      wasm: [{ name: "jwtgate", code, failOpen: configuration.shadow === true, config: configuration }],
    },
  };
}

/** A key server, as Envoy Gateway knows it. */
interface KeyServer {
  /** The name of all its resources. */
  name: string;
  address: string;
  port: number;
  /** For https: the name that its certificate must have. */
  serverName?: string;
}

function keyServer(
  url: URL,
  policyNamespace: string,
  { namespace, targetRefs }: GatewaySelection,
): KeyServer {
  const { host, port, endpoint = { address: host, port } } = meshHost(url, policyNamespace);
  const { address } = endpoint;
  const gateways = targetRefs.map(({ name }) => name);
  const identity = [url.protocol, address, endpoint.port, namespace, gateways];
  return {
    name: uniqueName(["jwks", ...gateways, address, `${endpoint.port}`], identity),
    address,
    port: endpoint.port,
    ...(url.protocol === "https:" && { serverName: hostOf(url).replace(/\.$/, "") }),
  };
}

/**
 * The cluster that Envoy Gateway generates from the HTTPRoute of a key server (internal/gatewayapi/helpers.go,
 * irRouteDestinationName).
 *
 * @param policyNamespace of the policy that names the server
 */
export function gatewayCluster(url: URL, policyNamespace: string, selection: GatewaySelection): string {
  return `httproute/${selection.namespace}/${keyServer(url, policyNamespace, selection).name}/rule/0`;
}

/** A host name as a Backend accepts it. */
const FQDN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+$/;

/** Why Envoy Gateway cannot fetch from there (internal/gatewayapi/backend.go), or undefined. */
export function keyServerFault(url: URL, policyNamespace: string): string | undefined {
  const { host, endpoint } = meshHost(url, policyNamespace);
  const { address } = endpoint ?? { address: host };
  if (isLoopback(url))
    return "Envoy Gateway accepts no Backend on the loopback: name the host of the key server";
  if (parseAddress(address) === undefined) {
    return FQDN.test(address) && address.length <= 253
      ? undefined
      : "Envoy Gateway accepts only names of lower-case letters, digits, - and .: give the key server such a name";
  }
  return url.protocol === "https:"
    ? "Envoy Gateway compares certificates with host names only, and this is an IP address: write the key server's name"
    : undefined;
}

/** The resources for each server that the configuration fetches keys from. */
export function renderGatewayKeyServers(
  configuration: Configuration,
  selection: GatewaySelection,
  { caConfigMap }: Pick<GatewayOptions, "caConfigMap">,
): Message[] {
  const servers = new Map<string, KeyServer>();
  for (const { policy, remoteJwks } of configuration.providers ?? []) {
    const policyNamespace = policy?.split("/")[0] ?? selection.namespace;
    for (const uri of [
      remoteJwks?.uri ?? remoteJwks?.discovery?.uri,
      ...(remoteJwks?.discovery?.jwksHosts ?? []).map(({ origin }) => origin),
    ]) {
      if (uri === undefined) continue;
      const server = keyServer(new URL(uri), policyNamespace, selection);
      servers.set(server.name, server);
    }
  }
  return [...servers.values()].flatMap((server) => [
    backend(server, selection, caConfigMap),
    route(server, selection),
    trafficPolicy(server, selection),
  ]);
}

function backend(
  { name, address, port, serverName }: KeyServer,
  { namespace }: GatewaySelection,
  caConfigMap: string | undefined,
): Message {
  const bytes = parseAddress(address);
  const authorities =
    caConfigMap === undefined
      ? { wellKnownCACertificates: "System" }
      : { caCertificateRefs: [{ group: "", kind: "ConfigMap", name: caConfigMap }] };
  return {
    apiVersion: `${GROUP}/v1alpha1`,
    kind: "Backend",
    metadata: { name, namespace },
    spec: {
      endpoints: [
        bytes === undefined
          ? { fqdn: { hostname: address, port } }
          : { ip: { address: inFull(bytes), port } },
      ],
      ...(serverName !== undefined && { tls: { ...authorities, sni: serverName } }),
    },
  };
}

/** An IPv6 address without `::`, because a Backend does not accept every short form. */
function inFull(bytes: readonly number[]): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups = bytes.flatMap((byte, i) =>
    i % 2 === 0 ? [((byte << 8) | (bytes[i + 1] ?? 0)).toString(16)] : [],
  );
  return groups.join(":");
}

/** A regular expression, in Go's syntax and in RE2's, that matches nothing. */
const NOTHING = "[^\\s\\S]";

/**
 * Envoy Gateway generates clusters only for routes. No request matches this one, so no client reaches the
 * server through the Gateway.
 */
function route({ name }: KeyServer, { namespace, targetRefs }: GatewaySelection): Message {
  return {
    apiVersion: `${GATEWAY_GROUP}/v1`,
    kind: "HTTPRoute",
    metadata: { name, namespace },
    spec: {
      parentRefs: targetRefs,
      rules: [
        {
          matches: [{ headers: [{ type: "RegularExpression", name: "x-jwtgate", value: NOTHING }] }],
          backendRefs: [{ group: GROUP, kind: "Backend", name }],
        },
      ],
    },
  };
}

/** A route with its own traffic settings keeps its own cluster, whatever the Gateway's settings are. */
function trafficPolicy({ name }: KeyServer, { namespace }: GatewaySelection): Message {
  return {
    apiVersion: `${GROUP}/v1alpha1`,
    kind: "BackendTrafficPolicy",
    metadata: { name, namespace },
    spec: {
      targetRefs: [{ group: GATEWAY_GROUP, kind: "HTTPRoute", name }],
      timeout: { tcp: { connectTimeout: "5s" } },
    },
  };
}

const REASONS: Reasons = {
  failOpen: "A filter that fails or cannot be loaded refuses every request.",
  sni: "The certificate must be of this host.",
  matches:
    "No request takes this route. Envoy Gateway makes a cluster of it, which the filter uses for its own fetches.",
  timeout:
    "With separate settings, the route's cluster keeps the name that the filter uses (EnvoyProxy's mergeBackends).",
};

/** As `REASONS`, for a filter in shadow. */
const SHADOW_REASONS: Reasons = {
  ...REASONS,
  failOpen:
    "In shadow the filter protects nothing, so a failure must not refuse requests. Without --shadow: false.",
};

/** The comments for the resources. */
export function gatewayReasons({ isShadow }: { isShadow: boolean }): Reasons {
  return isShadow ? SHADOW_REASONS : REASONS;
}

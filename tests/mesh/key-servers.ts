/** Servers of keys as policies name them, with their resources in the mesh. */
import { loadAll } from "js-yaml";
import type { Configuration } from "../../tools/config/schema.ts";

export interface KeyServer {
  uri: string;
  /** Resources of the mesh, in addition to the policies. */
  resources?: string;
}

/** Where the policies are. */
export const NAMESPACE = "istio-system";

const entry = (host: string, spec: string) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${host.replaceAll(".", "-")}, namespace: ${NAMESPACE}}
spec: {hosts: [${host}], location: MESH_EXTERNAL, ${spec}}
---
`;
const rule = (host: string, policy: string) => `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ${host.replaceAll(".", "-")}, namespace: ${NAMESPACE}}
spec: {host: ${host}, trafficPolicy: ${policy}}
---
`;
const service = (name: string, port: number) => `
apiVersion: v1
kind: Service
metadata: {name: ${name}, namespace: ${NAMESPACE}}
spec: {ports: [{port: ${port}, name: http}]}
---
`;

const HTTPS = "resolution: DNS, ports: [{number: 443, name: https, protocol: HTTPS}]";
const TLS = "{mode: SIMPLE, sni: HOST, subjectAltNames: [HOST]}";

export const KEY_SERVERS: readonly KeyServer[] = [
  { uri: "https://outside.example/jwks" },
  { uri: "http://plain.example:8080/jwks" },
  { uri: "https://203.0.113.7/jwks" },
  { uri: "http://in-mesh/jwks", resources: service("in-mesh", 80) },
  { uri: `https://secure.${NAMESPACE}.svc.cluster.local/jwks`, resources: service("secure", 443) },
  {
    uri: "http://known.example/jwks",
    resources: entry("known.example", "resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP}]"),
  },
  {
    uri: "https://known-tls.example/jwks",
    resources:
      entry("known-tls.example", HTTPS) +
      rule("known-tls.example", `{tls: ${TLS.replaceAll("HOST", "known-tls.example")}}`),
  },
  {
    uri: "https://originated.example/jwks",
    resources:
      entry(
        "originated.example",
        "resolution: DNS, ports: [{number: 80, name: http, protocol: HTTP, targetPort: 443}]",
      ) +
      rule(
        "originated.example",
        `{portLevelSettings: [{port: {number: 80}, tls: ${TLS.replaceAll("HOST", "originated.example")}}]}`,
      ),
  },
  // Without TLS of a DestinationRule the keys get a separate name.
  { uri: "https://lacking.example/jwks", resources: entry("lacking.example", HTTPS) },
];

/** A policy for each server. */
export const POLICIES = `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: key-servers, namespace: ${NAMESPACE}}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  jwtRules:
${KEY_SERVERS.map(({ uri }, i) => `  - {issuer: "https://issuer${i}.example", jwksUri: "${uri}"}\n`).join("")}---
`;

export const RESOURCES = KEY_SERVERS.map(({ resources = "" }) => resources).join("");

/** A cluster as istiod gives it to a proxy: the fields that matter to keys. */
export interface Cluster {
  /** Absent for plain text. */
  tls?: { sni?: string; names: string[] };
  /** `address:port` of the endpoints that are in the cluster itself. */
  endpoints: string[];
}

interface Validation {
  match_subject_alt_names?: { exact: string }[];
}

interface DumpedCluster {
  name: string;
  load_assignment?: {
    endpoints?: {
      lb_endpoints?: { endpoint: { address: { socket_address: { address: string; port_value: number } } } }[];
    }[];
  };
  transport_socket?: {
    typed_config: {
      sni?: string;
      common_tls_context?: {
        combined_validation_context?: { default_validation_context?: Validation };
        validation_context?: Validation;
      };
    };
  };
}

/**
 * Reads clusters from what Envoy's admin interface dumps.
 *
 * @param dump of `/config_dump?resource=dynamic_active_clusters`
 */
export function clustersOf(dump: string): Record<string, Cluster> {
  const { configs = [] } = JSON.parse(dump) as { configs?: { cluster: DumpedCluster }[] };
  return Object.fromEntries(
    configs.map(({ cluster }) => {
      const tls = cluster.transport_socket?.typed_config;
      const context = tls?.common_tls_context;
      const validation =
        context?.combined_validation_context?.default_validation_context ?? context?.validation_context;
      const names = validation?.match_subject_alt_names?.map(({ exact }) => exact) ?? [];
      const endpoints = (cluster.load_assignment?.endpoints ?? []).flatMap(({ lb_endpoints = [] }) =>
        lb_endpoints.map(({ endpoint }) => {
          const { address, port_value } = endpoint.address.socket_address;
          return `${address}:${port_value}`;
        }),
      );
      const { name } = cluster;
      return [name, { ...(tls && { tls: { ...(tls.sni && { sni: tls.sni }), names } }), endpoints }];
    }),
  );
}

/** The server of each rule and its cluster, from what `compile --output wasmplugin` writes. */
export function wantedClusters(written: string): { uri: string; cluster: string }[] {
  const plugin = (loadAll(written) as { kind: string; spec: { pluginConfig: Configuration } }[]).find(
    ({ kind }) => kind === "WasmPlugin",
  );
  return (plugin?.spec.pluginConfig.providers ?? []).flatMap(({ remoteJwks }) =>
    remoteJwks === undefined ? [] : [{ uri: remoteJwks.uri ?? "", cluster: remoteJwks.cluster }],
  );
}

/**
 * Istio's resources for key servers that the mesh does not have: a ServiceEntry for each, so that the proxy has a
 * cluster for it, and a DestinationRule if the proxy makes the TLS connection.
 */

import type { Configuration } from "../config/schema.ts";
import { isAddress } from "../encoding/address.ts";
import { clusterOf, hostOf, type MeshHost, meshHost } from "../jwks/source.ts";
import type { Message } from "./bootstrap.ts";
import { uniqueName } from "./names.ts";

export interface KeyServerOptions {
  /** The plugin's namespace: only the plugin uses the resources. */
  namespace: string;
  /** Authorities of the servers' certificates, a file as the proxy sees it; the system's if absent. */
  caFile?: string;
  /** Clusters that the mesh has. */
  coveredClusters?: ReadonlySet<string>;
}

/** One ServiceEntry, and for https one DestinationRule, for each server that the mesh does not have. */
export function renderKeyServers(
  configuration: Configuration,
  { namespace, caFile, coveredClusters = new Set() }: KeyServerOptions,
): Message[] {
  const rendered = new Map<string, Message[]>();
  for (const { policy, remoteJwks } of configuration.providers ?? []) {
    if (remoteJwks === undefined) continue;
    const policyNamespace = policy?.split("/")[0] ?? namespace;
    const servers = [
      { uri: remoteJwks.uri ?? remoteJwks.discovery?.uri, cluster: remoteJwks.cluster },
      ...(remoteJwks.discovery?.jwksHosts ?? []).map(({ origin, cluster }) => ({ uri: origin, cluster })),
    ];
    for (const { uri, cluster } of servers) {
      if (uri === undefined || coveredClusters.has(cluster) || rendered.has(cluster)) continue;
      const url = new URL(uri);
      const server = [false, true]
        .map((isApart) => meshHost(url, policyNamespace, isApart))
        .find((one) => clusterOf(one) === cluster);
      if (server && !server.inMesh) rendered.set(cluster, renderServer(url, server, namespace, caFile));
    }
  }
  return [...rendered.values()].flat();
}

function renderServer(url: URL, server: MeshHost, namespace: string, caFile: string | undefined): Message[] {
  const metadata = { name: nameOf(server), namespace };
  return url.protocol === "https:"
    ? [serviceEntry(server, metadata), destinationRule(url, server, metadata, caFile)]
    : [serviceEntry(server, metadata)];
}

function serviceEntry({ host, port, endpoint }: MeshHost, metadata: Message): Message {
  const moved = endpoint !== undefined && endpoint.port !== port;
  const elsewhere = endpoint !== undefined && endpoint.address !== host;
  return {
    apiVersion: "networking.istio.io/v1",
    kind: "ServiceEntry",
    metadata,
    spec: {
      hosts: [host],
      exportTo: ["."],
      location: "MESH_EXTERNAL",
      // Calls arrive as plain HTTP; if there is TLS, the proxy makes it.
      ports: [
        { number: port, name: "http-jwks", protocol: "HTTP", ...(moved && { targetPort: endpoint.port }) },
      ],
      resolution: elsewhere && isAddress(endpoint.address) ? "STATIC" : "DNS",
      ...(elsewhere && { endpoints: [{ address: endpoint.address }] }),
    },
  };
}

function destinationRule(
  url: URL,
  { host, port }: MeshHost,
  metadata: Message,
  caFile: string | undefined,
): Message {
  const certificateName = hostOf(url);
  return {
    apiVersion: "networking.istio.io/v1",
    kind: "DestinationRule",
    metadata,
    spec: {
      host,
      exportTo: ["."],
      trafficPolicy: {
        portLevelSettings: [
          {
            port: { number: port },
            tls: {
              mode: "SIMPLE",
              ...(!isAddress(certificateName) && { sni: certificateName }),
              subjectAltNames: [certificateName],
              ...(caFile !== undefined && { caCertificates: caFile }),
            },
          },
        ],
      },
    },
  };
}

function nameOf({ host, port }: MeshHost): string {
  const name = `${host.replace(/\.jwtgate\.internal$/, "")}-${port}`;
  return uniqueName([name.startsWith("jwks-") ? name : `jwks-${name}`], [host, port]);
}

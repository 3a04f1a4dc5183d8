/**
 * Where keys are fetched from: the Envoy cluster that serves a URL, in a bootstrap of our own or in a mesh, and which
 * URLs nobody should fetch from.
 */
import { BlockList, isIP } from "node:net";

/** A server of keys, as a mesh knows it. */
export interface MeshHost {
  /** Fully qualified; a made-up name where the server's own cannot be used (see `meshHost`). */
  host: string;
  /** The port that the mesh knows. */
  port: number;
  /** Whether the mesh has it without a ServiceEntry. */
  inMesh: boolean;
  /** Where a ServiceEntry sends calls, where that is not `host` and `port`. */
  endpoint?: { address: string; port: number };
}

const CLUSTER_DOMAIN = "svc.cluster.local";

/** Where made-up names are. */
const OWN_DOMAIN = "jwtgate.internal";

/** What is added to a port of HTTPS: see `meshHost`. */
const ORIGINATION_OFFSET = 10_000;

/** The URL's host without brackets. */
export function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, "");
}

/** The URL's port, or its scheme's own. */
export function portOf({ port, protocol }: URL): number {
  if (port !== "") return Number(port);
  return protocol === "https:" ? 443 : 80;
}

/** The name of the cluster in a bootstrap that `compile --output envoy` writes. */
export function bootstrapCluster(url: URL): string {
  return `jwks|${portOf(url)}|${hostOf(url)}`;
}

/**
 * The server as Istio names it. A host without a dot is a Service of the policy's namespace, `NAME.NAMESPACE.svc` one of
 * that namespace.
 *
 * Where the proxy has to speak TLS itself, it must not do so for the application's own calls to the same server, which
 * are TLS already: so the mesh knows the server under a port, or inside the mesh under a name, of its own. An IP address
 * cannot be a host at all and gets a name too.
 *
 * @param namespace of the policy
 */
export function meshHost(url: URL, namespace: string): MeshHost {
  const host = hostOf(url).replace(/\.$/, "");
  const port = portOf(url);
  if (isIP(host) !== 0) {
    return {
      host: `jwks-${labelOf(host)}.${OWN_DOMAIN}`,
      port,
      inMesh: false,
      endpoint: { address: host, port },
    };
  }
  const service = serviceHost(host, namespace);
  const secure = url.protocol === "https:";
  if (service !== undefined) {
    if (!secure) return { host: service, port, inMesh: true };
    return { host: `${service}.${OWN_DOMAIN}`, port, inMesh: false, endpoint: { address: service, port } };
  }
  if (!secure) return { host, port, inMesh: false };
  const known = port + ORIGINATION_OFFSET <= 65_535 ? port + ORIGINATION_OFFSET : port - ORIGINATION_OFFSET;
  return { host, port: known, inMesh: false, endpoint: { address: host, port } };
}

/** An IP address as a DNS label. Each has its own: by the name alone keys are one server's or another's. */
function labelOf(address: string): string {
  return address.replace(/^:/, "0:").replace(/:$/, ":0").replace(/[.:]/g, "-");
}

/** A Service's full name; none for a host outside the mesh. */
function serviceHost(host: string, namespace: string): string | undefined {
  if (!host.includes(".")) return `${host}.${namespace}.${CLUSTER_DOMAIN}`;
  if (host.endsWith(".svc")) return `${host.slice(0, -".svc".length)}.${CLUSTER_DOMAIN}`;
  return host.endsWith(`.${CLUSTER_DOMAIN}`) ? host : undefined;
}

/** The name of the cluster that Istio gives a proxy for that host (istio pilot/pkg/model/service.go, BuildSubsetKey). */
export function meshCluster(url: URL, namespace: string): string {
  const { host, port } = meshHost(url, namespace);
  return `outbound|${port}||${host}`;
}

/** Addresses that only a machine itself or its cloud's metadata service answers on. */
const METADATA = new BlockList();
METADATA.addSubnet("169.254.0.0", 16, "ipv4");
METADATA.addSubnet("fe80::", 10, "ipv6");
METADATA.addAddress("100.100.100.200", "ipv4");
METADATA.addAddress("192.0.0.192", "ipv4");
METADATA.addAddress("fd00:ec2::254", "ipv6");

const METADATA_HOSTS = ["metadata", "metadata.google.internal", "instance-data", "metadata.azure.internal"];

/** Whether the URL names a link-local address or a cloud's metadata service, which tell secrets and have no key sets. */
export function isMetadataService(url: URL): boolean {
  const host = hostOf(url).toLowerCase().replace(/\.$/, "");
  const family = isIP(host);
  if (family === 0) return METADATA_HOSTS.includes(host);
  return METADATA.check(host, family === 4 ? "ipv4" : "ipv6");
}

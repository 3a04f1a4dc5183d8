/**
 * Where keys are fetched from: the Envoy cluster for a URL, in our own bootstrap or in a mesh, and URLs that should not
 * be fetched from.
 */
import { isAddress, isInNetwork, parseAddress } from "../encoding/address.ts";

/** A key server, as a mesh knows it. */
export interface MeshHost {
  /** Fully qualified; a made-up name if the server's own cannot be used (see `meshHost`). */
  host: string;
  /** The port in the mesh. */
  port: number;
  /** Whether the mesh has it without a ServiceEntry. */
  inMesh: boolean;
  /** Where a ServiceEntry sends calls, if that differs from `host` and `port`. */
  endpoint?: { address: string; port: number };
}

const CLUSTER_DOMAIN = "svc.cluster.local";

/** The domain of made-up names. */
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

/** A URL that the filter accepts unchanged. */
const PLAIN_URL = /^https?:\/\/([\w.~-]+|\[[\da-fA-F:.]+\])(:[1-9]\d{0,4})?(\/[!-~]*)?$/;

/**
 * A URL as the filter accepts it: unchanged, or in ASCII with the escapes of a URL, so that a server receives what a
 * browser would request.
 *
 * @returns undefined for URLs that parsers read differently, such as `https:/host`, a backslash or port 0
 */
export function requestUrl(text: string): string | undefined {
  if (!/^https?:\/\/[^/?#]/i.test(text) || text.replace(/[?#].*/s, "").includes("\\")) return undefined;
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  url.hash = "";
  if (url.port === "0") return undefined;
  return PLAIN_URL.test(text) ? text : url.href;
}

/** The name of the cluster in a bootstrap that `compile --output envoy` writes. */
export function bootstrapCluster(url: URL): string {
  return `jwks|${portOf(url)}|${hostOf(url)}`;
}

/**
 * The server as Istio names it. A host without a dot is a Service of the policy's namespace, `NAME.NAMESPACE.svc` one
 * of that namespace.
 *
 * If the proxy has to make the TLS connection, it must not do so for the application's own calls to the same server,
 * which already use TLS: so the mesh knows the server under another port, or inside the mesh under another name. An IP
 * address cannot be a host at all and gets a name too.
 *
 * @param namespace of the policy
 * @param isApart whether the mesh already has the server's own name, so that another is needed
 */
export function meshHost(url: URL, namespace: string, isApart = false): MeshHost {
  const host = hostOf(url).replace(/\.$/, "");
  const port = portOf(url);
  if (isAddress(host)) {
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
  if (isApart)
    return { host: `${host}.${OWN_DOMAIN}`, port, inMesh: false, endpoint: { address: host, port } };
  if (!secure) return { host, port, inMesh: false };
  const known = port + ORIGINATION_OFFSET <= 65_535 ? port + ORIGINATION_OFFSET : port - ORIGINATION_OFFSET;
  return { host, port: known, inMesh: false, endpoint: { address: host, port } };
}

/** An IP address as a DNS label. Each address has its own label, because the name alone identifies the server. */
function labelOf(address: string): string {
  return address.replace(/^:/, "0:").replace(/:$/, ":0").replace(/[.:]/g, "-");
}

/** A Service's full name; none for a host outside the mesh. */
export function serviceHost(host: string, namespace: string): string | undefined {
  if (!host.includes(".")) return `${host}.${namespace}.${CLUSTER_DOMAIN}`;
  if (host.endsWith(".svc")) return `${host.slice(0, -".svc".length)}.${CLUSTER_DOMAIN}`;
  return host.endsWith(`.${CLUSTER_DOMAIN}`) ? host : undefined;
}

/** The name of the cluster that Istio generates for that host (istio pilot/pkg/model/service.go, BuildSubsetKey). */
export function clusterOf({ host, port }: Pick<MeshHost, "host" | "port">): string {
  return `outbound|${port}||${host}`;
}

/** The cluster of the server of a URL, for a policy of that namespace. */
export function meshCluster(url: URL, namespace: string): string {
  return clusterOf(meshHost(url, namespace));
}

/** A network: the bytes of an address in it, and the length of its prefix in bits. */
type Network = readonly [address: readonly number[], bits: number];

/** Addresses that only the machine itself or its cloud's metadata service answers. */
const METADATA = networks(
  // Link-local, where most clouds have theirs.
  "169.254.0.0/16",
  "fe80::/10",
  // Alibaba Cloud, Oracle Cloud, Azure.
  "100.100.100.200/32",
  "192.0.0.192/32",
  "168.63.129.16/32",
  // AWS (metadata, credentials of EKS), Google Cloud.
  "fd00:ec2::/32",
  "fd20:ce::254/128",
);

const METADATA_HOSTS = [
  "metadata",
  "metadata.google.internal",
  "metadata.goog",
  "metadata.azure.internal",
  "metadata.tencentyun.com",
  "instance-data",
  "instance-data.ec2.internal",
];

/** Addresses of the machine itself, which `0.0.0.0` and `::` reach too. */
const LOOPBACK = networks("127.0.0.0/8", "0.0.0.0/32", "::/128", "::1/128");

/** RFC 6761, section 6.3, and what distributions have in /etc/hosts. */
const LOOPBACK_HOST = /^(.*\.)?localhost$|^(localhost\.localdomain|ip6-localhost|ip6-loopback)$/;

function networks(...ranges: readonly string[]): Network[] {
  return ranges.map((range) => {
    const [address = "", bits] = range.split("/");
    return [parseAddress(address) ?? [], Number(bits)];
  });
}

/**
 * Whether the URL names a link-local address or a cloud's metadata service, which returns secrets and has no key sets.
 * Other spellings of an address (hexadecimal, octal, as one number) are the same address in a URL.
 */
export function isMetadataService(url: URL): boolean {
  return names(url, METADATA, (host) => METADATA_HOSTS.includes(host));
}

/** Whether the URL names the machine itself: in a mesh the proxy's own pod, with Envoy's admin port. */
export function isLoopback(url: URL): boolean {
  return names(url, LOOPBACK, (host) => LOOPBACK_HOST.test(host));
}

function names(url: URL, addresses: readonly Network[], isNamed: (host: string) => boolean): boolean {
  const host = hostOf(url).toLowerCase().replace(/\.$/, "");
  const address = parseAddress(host);
  if (address === undefined) return isNamed(host);
  return [address, embeddedIpv4(address)].some(
    (one) => one && addresses.some(([network, bits]) => isInNetwork(one, network, bits)),
  );
}

/** IPv6 networks whose addresses embed an IPv4 address in their last 32 bits. */
const EMBEDDING = networks(
  // Compatible and mapped (RFC 4291, section 2.5.5), translated (RFC 2765), NAT64 (RFC 6052, RFC 8215).
  "::/96",
  "::ffff:0:0/96",
  "::ffff:0:0:0/96",
  "64:ff9b::/96",
  "64:ff9b:1::/48",
);

/** RFC 3056: the IPv4 address is in bits 16 to 47. */
const SIX_TO_FOUR = networks("2002::/16");

/** The IPv4 address that an IPv6 address embeds, if it does. */
function embeddedIpv4(address: readonly number[]): readonly number[] | undefined {
  const isIn = ([network, bits]: Network) => isInNetwork(address, network, bits);
  if (EMBEDDING.some(isIn)) return address.slice(12);
  return SIX_TO_FOUR.some(isIn) ? address.slice(2, 6) : undefined;
}

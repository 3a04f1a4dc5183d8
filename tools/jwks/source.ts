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

/** A URL that the filter takes as it is written. */
const PLAIN_URL = /^https?:\/\/([\w.~-]+|\[[\da-fA-F:.]+\])(:[1-9]\d{0,4})?(\/[!-~]*)?$/;

/**
 * A URL as the filter takes it: as it is written, or else in ASCII with what a URL escapes, so that a server gets what a
 * browser would ask it for.
 *
 * @returns undefined for what readers of URLs take differently, such as `https:/host`, a backslash or port 0
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

/** IPv4 networks, each with its prefix's length. */
type Networks = readonly (readonly [address: string, bits: number])[];

/** Addresses that only a machine itself or its cloud's metadata service answers on. */
const METADATA_IPV4: Networks = [
  // Link-local, where most clouds have theirs.
  ["169.254.0.0", 16],
  // Alibaba Cloud, Oracle Cloud, Azure.
  ["100.100.100.200", 32],
  ["192.0.0.192", 32],
  ["168.63.129.16", 32],
];
const METADATA_IPV6: Networks = [
  ["fe80::", 10],
  // AWS (metadata, credentials of EKS), Google Cloud.
  ["fd00:ec2::", 32],
  ["fd20:ce::254", 128],
];
const METADATA = blockList(METADATA_IPV4, METADATA_IPV6);

const METADATA_HOSTS = [
  "metadata",
  "metadata.google.internal",
  "metadata.goog",
  "metadata.azure.internal",
  "metadata.tencentyun.com",
  "instance-data",
  "instance-data.ec2.internal",
];

/** Addresses of the machine itself: `0.0.0.0` and `::` reach it too. */
const LOOPBACK = blockList(
  [
    ["127.0.0.0", 8],
    ["0.0.0.0", 32],
  ],
  [
    ["::", 128],
    ["::1", 128],
  ],
);

/** RFC 6761, section 6.3, and what distributions have in /etc/hosts. */
const LOOPBACK_HOST = /^(.*\.)?localhost$|^(localhost\.localdomain|ip6-localhost|ip6-loopback)$/;

function blockList(ipv4: Networks, ipv6: Networks): BlockList {
  const list = new BlockList();
  for (const [address, bits] of ipv4) list.addSubnet(address, bits, "ipv4");
  for (const [address, bits] of ipv6) list.addSubnet(address, bits, "ipv6");
  return list;
}

/**
 * Whether the URL names a link-local address or a cloud's metadata service, which tell secrets and have no key sets. The
 * other spellings of an address (hexadecimal, octal, as one number) are one in a URL.
 */
export function isMetadataService(url: URL): boolean {
  return names(url, METADATA, (host) => METADATA_HOSTS.includes(host));
}

/** Whether the URL names the machine itself: in a mesh the proxy's own pod, with Envoy's admin port. */
export function isLoopback(url: URL): boolean {
  return names(url, LOOPBACK, (host) => LOOPBACK_HOST.test(host));
}

function names(url: URL, addresses: BlockList, isNamed: (host: string) => boolean): boolean {
  const host = hostOf(url).toLowerCase().replace(/\.$/, "");
  const family = isIP(host);
  if (family === 0) return isNamed(host);
  if (family === 4) return addresses.check(host, "ipv4");
  if (addresses.check(host, "ipv6")) return true;
  const embedded = embeddedIpv4(host);
  return embedded !== undefined && addresses.check(embedded, "ipv4");
}

/** Of IPv6 addresses that stand for an IPv4 address in their last 32 bits: the 96 bits before them. */
const EMBEDDING = [
  // Compatible and mapped (RFC 4291, section 2.5.5), translated (RFC 2765), NAT64 (RFC 6052, RFC 8215).
  /^(0:){6}$/,
  /^(0:){5}ffff:$/,
  /^(0:){4}ffff:0:$/,
  /^64:ff9b:(0:){4}$/,
  /^64:ff9b:1:(\w+:){3}$/,
];

/** The IPv4 address that an IPv6 address stands for, if it does. @param address as URLs have it: compressed, no dots */
function embeddedIpv4(address: string): string | undefined {
  const [before = "", after] = address.split("::");
  const head = before === "" ? [] : before.split(":");
  const tail = after === undefined || after === "" ? [] : after.split(":");
  const words = [...head, ...Array(8 - head.length - tail.length).fill("0"), ...tail];
  const prefix = words
    .slice(0, 6)
    .map((word) => `${word}:`)
    .join("");
  if (EMBEDDING.some((pattern) => pattern.test(prefix))) return ipv4Of(words.slice(6));
  // 6to4 (RFC 3056).
  return words[0] === "2002" ? ipv4Of(words.slice(1, 3)) : undefined;
}

function ipv4Of(words: readonly string[]): string {
  return words
    .map((word) => Number.parseInt(word, 16))
    .flatMap((word) => [word >> 8, word & 0xff])
    .join(".");
}

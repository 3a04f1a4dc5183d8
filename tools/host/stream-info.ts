/** What Envoy knows about a request besides its headers, and how `proxy_get_property` returns it. */
import { WasmResult } from "./abi.ts";
import { int64, latin1Decode, latin1Encode } from "./bytes.ts";
import type { HeaderMap } from "./header-map.ts";
import { encodePairs, type Pair } from "./pairs.ts";

/** An IP address with a port. */
export interface SocketAddress {
  /** Without brackets: `127.0.0.1`, `::1`. */
  ip: string;
  port: number;
}

/** TLS of the downstream connection. */
export interface TlsInfo {
  /** The server name that the client asked for. */
  serverName?: string;
  version?: string;
  /** From the client's certificate; absent if it presented none. */
  peer?: {
    /** The certificate as `connection.peer_certificate` gives it. */
    certificate?: string;
    subject?: string;
    /** In the certificate's order; Envoy gives only the first one. */
    uriSans?: readonly string[];
    dnsSans?: readonly string[];
    /** Hexadecimal. */
    sha256?: string;
  };
}

/** One request's stream. Strings are bytes (latin-1). */
export interface StreamInfo {
  /** The request's headers, as they are now. */
  readonly headers: HeaderMap;
  /** `HTTP/1.1`, `HTTP/2`. */
  readonly protocol: string;
  /** When the request came, nanoseconds since 1970. */
  readonly startTime: bigint;
  /** The client's address as the listener determines it (`source.address`). */
  readonly remote: SocketAddress;
  /** The listener's own address (`destination.address`). */
  readonly local: SocketAddress;
  readonly connectionId: bigint;
  readonly tls: TlsInfo | undefined;
  /** Filter state by its key; what `proxy_set_property` stores has keys that begin with `wasm.`. */
  readonly filterState: Map<string, string>;
}

/** What the plugin's configuration in Envoy contains. */
export interface PluginInfo {
  name: string;
  rootId: string;
  vmId: string;
}

/** A property before it is serialised: text, an integer, a boolean, or a map of properties. */
type Property = string | bigint | boolean | PropertyMap;
interface PropertyMap {
  get(name: string): Property | undefined;
  /** Envoy can list the entries of some maps (headers), but not of others. */
  entries?(): Iterable<[string, Property]>;
}

/** `127.0.0.1:80`, `[::1]:80`. */
export function formatAddress({ ip, port }: SocketAddress): string {
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}

function record(properties: Record<string, Property | undefined>): PropertyMap {
  return { get: (name) => (Object.hasOwn(properties, name) ? properties[name] : undefined) };
}

function address(of: SocketAddress): PropertyMap {
  return record({ address: formatAddress(of), port: BigInt(of.port) });
}

/** source/extensions/filters/common/expr/context.cc, RequestLookupValues. */
function request({ headers, protocol, startTime }: StreamInfo): PropertyMap {
  const path = headers.get(":path");
  const queryAt = path?.indexOf("?") ?? -1;
  const length = headers.get("content-length");
  return record({
    headers: new Map(headers.pairs().map(([name]) => [name, headers.getAll(name).join(",")])),
    time: startTime,
    size: length === undefined ? 0n : /^\d+$/.test(length) ? BigInt(length) : undefined,
    total_size: BigInt(headers.byteSize),
    protocol,
    path,
    url_path: queryAt < 0 ? path : path?.slice(0, queryAt),
    query: queryAt < 0 ? "" : path?.slice(queryAt + 1).replace(/#.*/s, ""),
    host: headers.get(":authority"),
    scheme: headers.get(":scheme"),
    method: headers.get(":method"),
    referer: headers.get("referer"),
    id: headers.get("x-request-id"),
    useragent: headers.get("user-agent"),
  });
}

/** ConnectionLookupValues and SslExtractorsValues of the same file. */
function connection({ tls, connectionId }: StreamInfo): PropertyMap {
  return record({
    mtls: tls?.peer !== undefined,
    requested_server_name: tls?.serverName ?? "",
    id: connectionId,
    tls_version: tls?.version,
    subject_peer_certificate: tls && (tls.peer?.subject ?? ""),
    uri_san_peer_certificate: tls?.peer?.uriSans?.[0],
    dns_san_peer_certificate: tls?.peer?.dnsSans?.[0],
    sha256_peer_certificate_digest: tls?.peer?.sha256,
    peer_certificate: tls?.peer?.certificate,
  });
}

/**
 * One level of a path; at the top, names that are not those of a request belong to the plugin, or to filter
 * state of Wasm.
 */
function topLevel(name: string, plugin: PluginInfo, info: StreamInfo | undefined): Property | undefined {
  switch (name) {
    case "request":
      return info && request(info);
    case "connection":
      return info && connection(info);
    case "source":
      return info && address(info.remote);
    case "destination":
      return info && address(info.local);
    case "filter_state":
      return info && record(Object.fromEntries(info.filterState));
    case "connection_id":
      return info?.connectionId;
    case "plugin_name":
      return plugin.name;
    case "plugin_root_id":
      return plugin.rootId;
    case "plugin_vm_id":
      return plugin.vmId;
    default:
      return info?.filterState.get(`wasm.${name}`);
  }
}

/** serializeValue of Envoy's context.cc: text raw, integers in 8 bytes, booleans in 1 byte, maps as pairs. */
function serialize(value: Property): Uint8Array | WasmResult {
  if (typeof value === "string") return latin1Encode(value);
  if (typeof value === "bigint") return int64(value);
  if (typeof value === "boolean") return Uint8Array.of(value ? 1 : 0);
  if (value.entries === undefined) return WasmResult.SerializationFailure;
  const pairs: Pair[] = [];
  for (const [name, inner] of value.entries()) {
    const bytes = serialize(inner);
    if (typeof bytes === "number") return bytes;
    pairs.push([name, latin1Decode(bytes)]);
  }
  return encodePairs(pairs);
}

/**
 * `proxy_get_property`.
 * @param path names with a zero byte between them
 * @param info absent in a root context
 */
export function getProperty(
  path: string,
  plugin: PluginInfo,
  info: StreamInfo | undefined,
): Uint8Array | WasmResult {
  // Envoy splits at zero bytes; one at the end ends the path rather than naming an empty member.
  const names = path.split("\0");
  if (names.at(-1) === "") names.pop();
  const [first, ...rest] = names;
  if (first === undefined) return WasmResult.SerializationFailure;
  let value = topLevel(first, plugin, info);
  for (const name of rest) {
    value = typeof value === "object" ? value.get(name) : undefined;
  }
  return value === undefined ? WasmResult.NotFound : serialize(value);
}

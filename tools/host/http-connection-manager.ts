/**
 * What Envoy's HTTP connection manager does to a request before any filter sees it, and what its router then forwards.
 * Refusals of the HTTP/1 codec that a policy test can cause are included (methods, targets); other refusals of a codec
 * are not imitated.
 *
 * Sources: source/common/http/conn_manager_utility.cc, path_utility.cc, http1/codec_impl.cc; the path's canonical form
 * is Chromium's (url/url_canon_path.cc), as Envoy uses it. tests/differential compares with the real Envoy.
 */
import { UPGRADES } from "../upgrades.ts";
import { HeaderMap } from "./header-map.ts";
import { type Answer, localReply } from "./local-reply.ts";
import type { Pair } from "./pairs.ts";
import type { SocketAddress, TlsInfo } from "./stream-info.ts";

/** Istio's meshConfig.pathNormalization. */
export type PathNormalization = "BASE" | "NONE" | "MERGE_SLASHES" | "DECODE_AND_MERGE_SLASHES";

/** A request as the client sends it. Strings are bytes (latin-1), names and values as sent. */
export interface DownstreamRequest {
  method?: string;
  /** The target: path with query. */
  path?: string;
  /** The Host header, or HTTP/2's `:authority`. */
  authority?: string;
  headers?: readonly Pair[];
  body?: string;
  /** The direct peer. */
  peer?: SocketAddress;
  tls?: TlsInfo;
  protocol?: "HTTP/1.1" | "HTTP/2";
}

/** The listener's configuration. */
export interface ListenerOptions {
  /** A gateway trusts only its peer (`use_remote_address`), a sidecar the last address in X-Forwarded-For. */
  mode?: "gateway" | "sidecar";
  pathNormalization?: PathNormalization;
  /** The listener's own address. */
  address?: SocketAddress;
  /** Envoy's own address, which a gateway adds to X-Forwarded-For for a peer on the loopback. */
  localAddress?: string;
  /** The filter state key under which an earlier filter put the direct peer's IP address. */
  directRemoteAddressKey?: string;
}

/** A request with every field; without `tls` it came in plain text. */
export type CompleteRequest = Required<Omit<DownstreamRequest, "tls">> & Pick<DownstreamRequest, "tls">;

/** A listener with every field that a received request depends on. */
export type CompleteListener = Required<Omit<ListenerOptions, "directRemoteAddressKey">>;

/** The default of each field of a request. */
export const DEFAULT_REQUEST: CompleteRequest = {
  method: "GET",
  path: "/",
  authority: "localhost",
  headers: [],
  body: "",
  peer: { ip: "127.0.0.1", port: 40_000 },
  protocol: "HTTP/1.1",
};

/** The default of each field of a listener. */
export const DEFAULT_LISTENER: CompleteListener = {
  mode: "gateway",
  pathNormalization: "BASE",
  address: { ip: "127.0.0.1", port: 8080 },
  localAddress: "127.0.0.1",
};

/** What the backend receives. */
export interface UpstreamRequest {
  method: string;
  path: string;
  /** `host` first; without Envoy's own (`x-request-id`, `x-envoy-*`, `x-forwarded-proto`). */
  headers: Pair[];
  body: string;
}

/** Methods that Envoy's HTTP/1 parser (balsa) knows. */
const METHODS = new Set(
  `ACL BIND CHECKOUT CONNECT COPY DELETE GET HEAD LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MOVE NOTIFY OPTIONS
  PATCH POST PROPFIND PROPPATCH PURGE PUT QUERY REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE UNBIND UNLINK UNLOCK
  UNSUBSCRIBE`.split(/\s+/),
);

/** Headers that concern one connection only and are never forwarded. */
const HOP_BY_HOP = ["keep-alive", "proxy-connection", "transfer-encoding"];

/** A request that was accepted: its headers as filters see them, and its client. */
export interface ReceivedRequest {
  headers: HeaderMap;
  /** Whether it becomes another protocol: then it does not end with its headers, nor with its body. */
  isOpen: boolean;
  /** The client's address as the listener determines it. */
  remote: SocketAddress;
}

/** Decodes a request, or refuses it as Envoy does before any filter. */
export function receiveRequest(
  request: CompleteRequest,
  listener: CompleteListener,
): ReceivedRequest | Answer {
  const isConnect = request.method === "CONNECT";
  if (request.protocol === "HTTP/1.1") {
    const refusal = refuseByCodec(request);
    if (refusal !== undefined) return badRequest(refusal, "Bad Request");
  }
  // An absolute URL as target contains the authority too (RFC 9112, 3.2.2); that of CONNECT is an authority (3.2.3).
  const absolute = /^https?:\/\/([^/?#]+)(.*)$/is.exec(request.path);
  const isConnectTarget = isConnect && request.protocol === "HTTP/1.1";
  const authority = isConnectTarget ? request.path : (absolute?.[1] ?? request.authority);
  const target = (absolute === null ? request.path : absolute[2] || "/").replace(/#.*/s, "");
  const path = isConnect ? "" : normalizePath(target, listener.pathNormalization);
  if (path === undefined) return badRequest("path_normalization_failed", "");

  const scheme = request.tls === undefined ? "http" : "https";
  const headers = new HeaderMap("request", [
    [":authority", trim(authority)],
    ...(isConnect ? [] : ([[":path", path]] as const)),
    [":method", request.method],
    [":scheme", scheme],
  ]);
  for (const [name, value] of request.headers) headers.add(name, trim(value));
  if (request.method === "QUERY" && headers.get("content-type") === undefined) {
    return badRequest("query_missing_content_type", "");
  }
  if (request.body !== "" && headers.get("content-length") === undefined) {
    headers.add("content-length", String(request.body.length));
  }
  if (isConnect) headers.remove("content-length");
  ignoreH2c(headers);
  const upgrade = upgradeOf(headers);
  // A request that becomes another protocol keeps the headers that request it, and all headers that they name.
  if (upgrade === undefined) {
    for (const name of nominated(headers)) {
      if (NOT_NOMINATED.test(name)) return badRequest("http1.connection_header_rejected", "Bad Request");
      if (name !== "te") headers.remove(name);
    }
    for (const name of ["connection", "upgrade"]) headers.remove(name);
  }
  for (const name of HOP_BY_HOP) headers.remove(name);
  if (headers.get(":authority") === undefined) return badRequest("missing_host_header", "");
  if (upgrade !== undefined && !isConnect && !UPGRADES.includes(upgrade)) {
    return localReply(headers, request.protocol, UPGRADE_FAILED);
  }

  const { peer } = request;
  const remote = (listener.mode === "sidecar" ? lastForwardedFor(headers) : undefined) ?? peer;
  if (listener.mode === "gateway") {
    headers.add("x-forwarded-for", isLoopback(peer.ip) ? listener.localAddress : peer.ip);
    headers.overwrite("x-forwarded-proto", scheme);
    // No address counts as internal (source/common/http/conn_manager_config.h): every client is an external one.
    headers.overwrite("x-envoy-external-address", peer.ip);
  } else {
    const forwardedProto = headers.get("x-forwarded-proto");
    if (forwardedProto === undefined) headers.add("x-forwarded-proto", scheme);
    // The proxy in front knows the scheme that the client used.
    else if (/^https?$/.test(forwardedProto)) headers.overwrite(":scheme", forwardedProto);
  }
  headers.overwrite("x-request-id", REQUEST_ID);
  return { headers, remote, isOpen: upgrade !== undefined || isConnect };
}

/** An upgrade that the listener does not allow is refused before any filter. */
const UPGRADE_FAILED = { status: 403, details: "upgrade_failed", body: "", headers: [] };

/**
 * The protocol that the client wants to change to, in lower case; undefined if there is none
 * (source/common/http/utility.cc, isUpgrade).
 */
function upgradeOf(headers: HeaderMap): string | undefined {
  return nominated(headers).includes("upgrade") ? headers.get("upgrade")?.toLowerCase() : undefined;
}

/**
 * Clients such as `curl --http2` offer HTTP/2 in plain text like this; Envoy continues with HTTP/1.1
 * (http1/codec_impl.cc).
 */
function ignoreH2c(headers: HeaderMap): void {
  if (upgradeOf(headers) !== "h2c") return;
  const others = nominated(headers).filter((name) => name !== "upgrade" && name !== "http2-settings");
  headers.overwrite("connection", others.join(","));
  headers.remove("upgrade");
  headers.remove("http2-settings");
}

/** Headers that the client declares as hop-by-hop (RFC 9110, 7.6.1). */
function nominated(headers: HeaderMap): string[] {
  return (headers.get("connection") ?? "").split(",").map((name) => name.trim().toLowerCase());
}

/** Headers that a client cannot have removed in this way (source/common/http/utility.cc, sanitizeConnectionHeader). */
const NOT_NOMINATED = /^(:.*|x-forwarded-(for|host|proto))$/;

/** One id for every request: no test depends on it, and answers are the same in every run. */
const REQUEST_ID = "00000000-0000-4000-8000-000000000000";

/** Envoy's own headers towards the backend. */
const OWN = /^(x-request-id|x-envoy-.*|x-forwarded-proto)$/;

/** What the router forwards, or answers itself: no route accepts CONNECT. */
export function forwardRequest(
  headers: HeaderMap,
  protocol: string,
  body: string,
): { upstream: UpstreamRequest } | { answer: Answer } {
  const method = headers.get(":method") ?? "";
  if (method === "CONNECT") return { answer: localReply(headers, protocol, ROUTE_NOT_FOUND) };
  const pairs = headers.pairs().filter(([name]) => !name.startsWith(":") && !OWN.test(name));
  // HTTP/1 to the backend: without a body, methods that could have one send its length.
  const bodiless = body === "" && !["DELETE", "GET", "HEAD", "TRACE"].includes(method);
  const isUpgrade = headers.get("upgrade") !== undefined;
  const length: Pair[] =
    bodiless && !isUpgrade && headers.get("content-length") === undefined ? [["content-length", "0"]] : [];
  return {
    upstream: {
      method,
      path: headers.get(":path") ?? "",
      headers: [["host", headers.get(":authority") ?? ""], ...pairs, ...length],
      body,
    },
  };
}

const ROUTE_NOT_FOUND = { status: 404, details: "route_not_found", body: "", headers: [] };

/** Optional white space around a field's value is not part of it (RFC 9110, 5.5). */
function trim(value: string): string {
  return value.replace(/^[ \t]+|[ \t]+$/g, "");
}

/** @returns the response-code details if the HTTP/1 codec refuses the request line */
function refuseByCodec({ method, path: target, headers, body }: CompleteRequest): string | undefined {
  if (!METHODS.has(method)) return "http1.codec_error";
  if (/[^\x21-\x7f]/.test(target)) return "http1.codec_error";
  if (target.includes("\x7f")) return "http1.invalid_characters";
  if (method === "CONNECT") {
    const port = /^(?:\[[^\]]*\]|[^:/?#@[\]]+):(\d+)$/.exec(target)?.[1];
    if (port === undefined || Number(port) > 65_535) return "http1.invalid_url";
    const length = headers.find(([name]) => name.toLowerCase() === "content-length")?.[1].trim();
    return body === "" && (length ?? "0") === "0" ? undefined : "http1.body_disallowed";
  }
  if (target === "*") return method === "OPTIONS" ? undefined : "http1.invalid_url";
  return /^\/|^https?:\/\/[^/?#]/i.test(target) ? undefined : "http1.codec_error";
}

function badRequest(details: string, body: string): Answer {
  // The request's headers were never decoded: no HEAD, no gRPC.
  return localReply(new HeaderMap("request"), "HTTP/1.1", { status: 400, details, body, headers: [] });
}

/** The last address of X-Forwarded-For, if it is one (source/common/http/utility.cc, getLastAddressFromXFF). */
function lastForwardedFor(headers: HeaderMap): SocketAddress | undefined {
  const last = headers.get("x-forwarded-for")?.split(",").at(-1)?.trim() ?? "";
  return isIp(last) ? { ip: last, port: 0 } : undefined;
}

function isIp(text: string): boolean {
  const octet = "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
  if (new RegExp(`^${octet}(\\.${octet}){3}$`).test(text)) return true;
  if (!text.includes(":")) return false;
  try {
    new URL(`http://[${text}]/`);
    return true;
  } catch {
    return false;
  }
}

function isLoopback(ip: string): boolean {
  return /^127\./.test(ip) || ip === "::1";
}

/**
 * The path as filters see it and the backend receives it, query included.
 * @returns undefined if Envoy refuses the path
 */
export function normalizePath(target: string, mode: PathNormalization): string | undefined {
  if (mode === "NONE" || target === "*") return target;
  const queryAt = target.indexOf("?");
  let path = queryAt < 0 ? target : target.slice(0, queryAt);
  const query = queryAt < 0 ? "" : target.slice(queryAt);
  if (mode === "DECODE_AND_MERGE_SLASHES") {
    path = path.replace(/%2f/gi, "/").replace(/%5c/gi, "\\");
  }
  const canonical = canonicalPath(path);
  if (canonical === undefined) return undefined;
  return (mode === "BASE" ? canonical : mergeSlashes(canonical)) + query;
}

/** PathTransformer::mergeSlashes. A path of nothing but slashes keeps two: the first and the last. */
function mergeSlashes(path: string): string {
  return /^\/\/+$/.test(path) ? "//" : path.replace(/\/{2,}/g, "/");
}

/** RFC 3986 2.3: characters that need no escape, so their escaped form is equivalent. */
const UNRESERVED = /[A-Za-z0-9\-._~]/;
/** Characters that Chromium escapes in a path. */
const ESCAPED = /[ "#<>?^`{|}]/;

/** One canonical form: dots resolved, `\` as `/`, escapes of unreserved characters undone. */
function canonicalPath(path: string): string | undefined {
  const segments: string[] = [];
  const parts = path.replace(/^[/\\]/, "").split(/[/\\]/);
  for (const [i, part] of parts.entries()) {
    const segment = canonicalSegment(part);
    if (segment === undefined) return undefined;
    const last = i === parts.length - 1;
    if (segment === "." || segment === "..") {
      if (segment === "..") segments.pop();
      if (last) segments.push("");
    } else {
      segments.push(segment);
    }
  }
  return `/${segments.join("/")}`;
}

function canonicalSegment(segment: string): string | undefined {
  let result = "";
  for (let i = 0; i < segment.length; i++) {
    const character = segment.charAt(i);
    const hex = character === "%" ? /^[0-9A-Fa-f]{2}/.exec(segment.slice(i + 1, i + 3))?.[0] : undefined;
    if (hex === undefined) {
      result += ESCAPED.test(character)
        ? `%${character.charCodeAt(0).toString(16).toUpperCase()}`
        : character;
      continue;
    }
    i += 2;
    const code = Number.parseInt(hex, 16);
    if (code === 0) return undefined;
    const decoded = String.fromCharCode(code);
    result += UNRESERVED.test(decoded) ? decoded : `%${hex}`;
  }
  return result;
}

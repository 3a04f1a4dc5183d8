/** An answer of Envoy itself (source/common/http/utility.cc, prepareLocalReply). */
import { HeaderMap } from "./header-map.ts";
import type { Pair } from "./pairs.ts";

/** What the client receives. Strings are bytes (latin-1). */
export interface Answer {
  status: number;
  /** Without `date` and `server`, which do not depend on the request. */
  headers: Pair[];
  body: string;
  /** Envoy's response-code details, for access logs. */
  details: string;
}

/** The requested answer. */
export interface LocalReply {
  status: number;
  details: string;
  body: string;
  headers: readonly Pair[];
  /** A gRPC status; negative (or absent): the one for the HTTP status. */
  grpcStatus?: number;
}

/**
 * `application/grpc` and `application/grpc+…`, case-sensitive, in a request with a path, which CONNECT lacks
 * (source/common/grpc/common.cc, isGrpcRequestHeaders, hasGrpcContentType).
 */
export function isGrpcRequest(headers: HeaderMap): boolean {
  return (
    headers.get(":path") !== undefined &&
    /^application\/grpc(\+.*)?$/s.test(headers.get("content-type") ?? "")
  );
}

/** https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md, as in source/common/grpc/status.cc. */
function grpcStatusOf(httpStatus: number): number {
  switch (httpStatus) {
    case 400:
      return 13; // INTERNAL
    case 401:
      return 16; // UNAUTHENTICATED
    case 403:
      return 7; // PERMISSION_DENIED
    case 404:
      return 12; // UNIMPLEMENTED
    case 429:
    case 502:
    case 503:
    case 504:
      return 14; // UNAVAILABLE
    default:
      return 2; // UNKNOWN
  }
}

/** gRPC over HTTP/2, "Percent-Encoded": bytes 0x20–0x7E except `%` are not escaped. */
function grpcMessage(text: string): string {
  return text.replace(
    /[^ -~]|%/g,
    (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}

/**
 * @param request the request's headers, which decide whether it is gRPC and whether there is a body
 * @param protocol of the request: HTTP/1 always sends a length
 */
export function localReply(request: HeaderMap, protocol: string, reply: LocalReply): Answer {
  const { status, details, body, headers, grpcStatus } = reply;
  if (isGrpcRequest(request)) {
    const code = grpcStatus === undefined || grpcStatus < 0 ? grpcStatusOf(status) : grpcStatus;
    const map = new HeaderMap("response", [
      [":status", "200"],
      ["content-type", "application/grpc"],
      ["grpc-status", String(code)],
    ]);
    for (const [name, value] of headers) map.add(name, value);
    map.remove("content-length");
    if (request.get(":method") !== "HEAD") {
      if (body !== "") map.set("grpc-message", grpcMessage(body));
      if (protocol === "HTTP/1.1") map.set("content-length", "0");
    }
    return { status: 200, headers: withoutStatus(map), body: "", details };
  }
  const map = new HeaderMap("response", [[":status", String(status)], ...headers]);
  map.remove("content-length");
  if (body === "") {
    map.remove("content-type");
    if (protocol === "HTTP/1.1" && request.get(":method") !== "HEAD") map.set("content-length", "0");
  } else {
    map.set("content-length", String(body.length));
    if (map.get("content-type") === undefined) map.set("content-type", "text/plain");
  }
  return {
    status,
    headers: withoutStatus(map),
    body: request.get(":method") === "HEAD" ? "" : body,
    details,
  };
}

function withoutStatus(map: HeaderMap): Pair[] {
  return map.pairs().filter(([name]) => name !== ":status");
}

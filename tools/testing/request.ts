/** A request of a test file, completed as it is sent. */
import type { Position } from "../diagnostics.ts";
import { isAddress } from "../encoding/address.ts";
import { tlsInfo } from "../explain/certificate.ts";
import { wireText } from "../host/bytes.ts";
import { type CompleteRequest, DEFAULT_REQUEST } from "../host/http-connection-manager.ts";
import { quote, type Report } from "../istio/report.ts";
import type { Placement, Request } from "./schema.ts";
import type { Tokens } from "./tokens.ts";

/** The position of a part of a request in the test file. */
export type PlaceOf = (...path: (string | number)[]) => Position;

/** The request with its tokens in their locations; faults are reported at the position of the part. */
export function completeRequest(
  request: Request,
  at: PlaceOf,
  tokens: Tokens,
  report: Report,
): CompleteRequest {
  const { method = "GET", path = "/", host = "localhost", peer = "127.0.0.1", body = "" } = request;
  const headers = Object.entries(request.headers ?? {}).flatMap(([name, value]): [string, string][] => {
    if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name))
      report.error(at("headers", name), `${quote(name)} is not a header's name`);
    return [value].flat().map((text) => {
      if (/[\0\r\n]/.test(text)) report.error(at("headers", name), "a header's value has no line breaks");
      return [wireText(name), wireText(text)];
    });
  });
  if (headers.some(([name]) => name.toLowerCase() === "host")) {
    report.error(at("headers"), "write the Host header as `host`, next to `path`");
  }
  if (!/^[A-Z]+$/.test(method))
    report.error(at("method"), `${quote(method)} is not a method: write it in capital letters`);
  if (/[^\x21-\x7e]/.test(path))
    report.error(at("path"), "a path has no spaces and nothing but ASCII: write %20 for a space");
  if (!isAddress(peer)) report.error(at("peer"), `${quote(peer)} is not an IP address`);
  const target = { path, headers };
  const placements = request.token === undefined ? [] : [request.token].flat();
  const isList = Array.isArray(request.token);
  for (const [i, placement] of placements.entries()) {
    place(placement, tokens, target, report, isList ? at("token", i) : at("token"));
  }
  const { sni, client } = request.tls ?? {};
  const tls = tlsInfo({
    ...(sni !== undefined && { serverName: sni }),
    ...(client && { uriSans: client }),
  });
  return {
    method,
    path: target.path,
    authority: wireText(host),
    headers: target.headers,
    body: wireText(body),
    peer: { ip: peer, port: DEFAULT_REQUEST.peer.port },
    protocol: "HTTP/1.1",
    ...(request.tls && { tls }),
  };
}

function place(
  placement: Placement,
  tokens: Tokens,
  target: { path: string; headers: [string, string][] },
  report: Report,
  at: Position,
): void {
  const { name, header, prefix, param, cookie } =
    typeof placement === "string" ? { name: placement } : placement;
  const places = [header, param, cookie].filter((place) => place !== undefined);
  if (places.length > 1) report.error(at, "a token is placed in one of header, param and cookie");
  if (prefix !== undefined && header === undefined)
    report.error(at, "prefix goes with header: name the header");
  const token = tokens.get(name, at);
  if (param !== undefined) {
    target.path += `${target.path.includes("?") ? "&" : "?"}${encodeURIComponent(param)}=${encodeURIComponent(token)}`;
  } else if (cookie !== undefined) {
    target.headers.push(["cookie", `${cookie}=${token}`]);
  } else if (header !== undefined) {
    target.headers.push([wireText(header), wireText(`${prefix ?? ""}${token}`)]);
  } else {
    target.headers.push(["authorization", `Bearer ${wireText(token)}`]);
  }
}

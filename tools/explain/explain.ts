/**
 * One request's way through the filter, told step by step. The verdict is the module's own, run in this process; the
 * steps are told by a second, plain evaluator of the same configuration. Where the two disagree, that is said too: it is
 * a bug of one of them.
 */
import type { Configuration, Provider } from "../config/schema.ts";
import type { Position } from "../diagnostics.ts";
import { readable } from "../host/bytes.ts";
import { HeaderMap } from "../host/header-map.ts";
import type { Outcome } from "../host/host.ts";
import {
  type DownstreamRequest,
  forwardRequest,
  type ListenerOptions,
  type ReceivedRequest,
  receiveRequest,
} from "../host/http-connection-manager.ts";
import type { Answer } from "../host/local-reply.ts";
import { formatAddress } from "../host/stream-info.ts";
import { type Authentication, authenticate } from "./authenticate.ts";
import { DIRECT_PEER, decide, type Facts, withLists } from "./evaluate.ts";
import { type Documents, type Gate, keysOf } from "./gate.ts";
import { REFUSAL } from "./jws.ts";
import { type ActionStep, type Asked, explainRules, type RuleSource } from "./rules.ts";

/** A request with everything that the connection manager's part needs. */
export type CompleteRequest = Required<Omit<DownstreamRequest, "tls">> & Pick<DownstreamRequest, "tls">;

/** What requests are explained against. */
export interface Subject {
  configuration: Configuration;
  /** Of rules and providers, by their names. */
  positions: { rules: Record<string, Position>; providers: Record<string, Position> };
  sources: ReadonlyMap<string, RuleSource>;
  documents: Documents;
  listener: Required<Omit<ListenerOptions, "directRemoteAddressKey">>;
  /** Milliseconds since 1970. */
  now: number;
}

/** What the second evaluator expects of the filter. */
export interface Expected {
  /** Envoy's own refusal, before any filter. */
  refusedByEnvoy?: Answer;
  authentication?: Authentication;
  /** What policies were asked about. */
  asked?: Asked;
  /** The rule that decided; "" where none matched; absent where policies were not asked. */
  ruleId?: string;
  answer?: { status: number; body: string; details: string };
  upstream?: ReturnType<typeof forwardRequest>;
}

export interface Explanation {
  expected: Expected;
  /** The module's verdict. */
  outcome: Outcome;
  /** Absent where policies were not asked. */
  actions?: ActionStep[];
  /** The rule that decided, where one did. */
  decidedBy?: { rule: string; at: Position };
  /** Header names that the upstream gets and the client did not send, with their values; and the other way round. */
  changes?: { added: [string, string][]; removed: string[]; path?: string };
  /** In what the second evaluator disagrees with the module; each a bug. */
  disagreements: string[];
}

/** Sends the request to the gate and explains what comes of it. */
export async function explain(gate: Gate, subject: Subject, request: CompleteRequest): Promise<Explanation> {
  const expected = predict(subject, request);
  const outcome = await gate.send(request);
  const { configuration, positions, sources } = subject;
  const { ruleId = "", asked } = expected;
  const at = positions.rules[ruleId];
  return {
    expected,
    outcome,
    ...(asked && { actions: explainRules(configuration, positions.rules, sources, asked) }),
    ...(at && { decidedBy: { rule: ruleId, at } }),
    ...(outcome.upstream && { changes: changes(subject, request, outcome.upstream) }),
    disagreements: compare(expected, outcome),
  };
}

/** What the plain evaluator says of a request. */
export function predict(subject: Subject, request: CompleteRequest): Expected {
  const received = receiveRequest(request, subject.listener);
  if ("status" in received) return { refusedByEnvoy: received };
  const { configuration, documents, now } = subject;
  const authentication = authenticate(
    configuration,
    received.headers.pairs(),
    Math.floor(now / 1000),
    (provider: Provider) => keysOf(provider, documents),
  );
  if (authentication.refusal !== "") {
    return { authentication, answer: refusedToken(authentication.refusal) };
  }
  const { verified, headers } = authentication;
  const facts = factsOf(subject, request, received, headers);
  const spaceDelimited = verified?.provider.spaceDelimitedClaims ?? [];
  const asked: Asked = { facts, claims: verified && withLists(verified.claims, spaceDelimited) };
  const upstream = forwardRequest(new HeaderMap("request", headers), request.body);
  const { authorization } = configuration;
  if (authorization === undefined) return { authentication, upstream };
  const decision = decide(authorization, facts, verified?.claims, spaceDelimited);
  const told = {
    authentication,
    asked,
    ruleId: decision.ruleId,
  };
  if (!decision.refused) return { ...told, upstream };
  const details = `rbac_access_denied_matched_policy[${decision.ruleId || "none"}]`;
  return { ...told, answer: { status: 403, body: "RBAC: access denied", details } };
}

function refusedToken(body: string): { status: number; body: string; details: string } {
  const details = `jwt_authn_access_denied{${body.replaceAll(" ", "_")}}`;
  return { status: body === REFUSAL.audience ? 403 : 401, body, details };
}

function factsOf(
  { listener }: Subject,
  { peer, tls }: CompleteRequest,
  { remote }: ReceivedRequest,
  headers: Facts["headers"],
): Facts {
  return {
    headers,
    properties: {
      "destination.port": listener.address.port,
      "destination.address": formatAddress(listener.address),
      "source.address": formatAddress(remote),
      "connection.requested_server_name": tls?.serverName ?? "",
      [DIRECT_PEER]: peer.ip,
    },
    peerNames: [...(tls?.peer?.uriSans ?? []), ...(tls?.peer?.dnsSans ?? [])],
  };
}

/** What the filter changed of what Envoy would have forwarded without it. */
function changes(
  { listener }: Subject,
  request: CompleteRequest,
  upstream: NonNullable<Outcome["upstream"]>,
): NonNullable<Explanation["changes"]> {
  const received = receiveRequest(request, listener);
  if ("status" in received) return { added: [], removed: [] };
  const before = forwardRequest(received.headers, request.body);
  const line = ([name, value]: readonly [string, string]) => `${name}: ${value}`;
  const [had, has] = [before, upstream].map(({ headers }) => new Set(headers.map(line)));
  const added = upstream.headers.filter((header) => !had?.has(line(header)));
  const removed = before.headers.filter((header) => !has?.has(line(header))).map(([name]) => name);
  return {
    added: added.map(([name, value]) => [name, value]),
    removed: [...new Set(removed)],
    ...(upstream.path !== before.path && { path: upstream.path }),
  };
}

/** @returns one line for each point in which the two say different things */
export function compare(expected: Expected, { answer, upstream, properties }: Outcome): string[] {
  const found: string[] = [];
  const same = (what: string, module: unknown, steps: unknown): void => {
    const [left, right] = [module, steps].map((value) => JSON.stringify(value) ?? "nothing");
    if (left !== right) found.push(`${what}: the filter says ${left}, the steps say ${right}`);
  };
  const own = expected.answer ?? expected.refusedByEnvoy;
  same("status", answer?.status, own && grpcStatus(answer, own.status));
  same("details", answer && readable(answer.details), own?.details.replaceAll(" ", "_"));
  // Only the gate lets the filter tell more.
  const { "jwtgate.reason": reason, "jwtgate.policy": policy = "" } = properties;
  if (reason !== undefined) {
    same("reason", readable(String(reason)), own?.body ?? "allowed");
    same("rule", readable(String(policy)), expected.ruleId ?? "");
  }
  if (upstream === undefined || expected.upstream === undefined) return found;
  same("path", upstream.path, expected.upstream.path);
  const seen = (headers: readonly (readonly [string, string])[]) =>
    headers.map(([name, value]) => `${name}: ${comparable(value)}`).sort();
  same("headers", seen(upstream.headers), seen(expected.upstream.headers));
  return found;
}

/** gRPC is refused with HTTP 200 and a status of its own (docs/semantics.md, "gRPC"). */
function grpcStatus(answer: Answer | undefined, status: number): number {
  const isGrpc = answer?.headers.some(([name]) => name === "grpc-status");
  return isGrpc ? 200 : status;
}

/** A claim that is a list or an object stands in a header as base64 of JSON, which has many spellings. */
function comparable(value: string): string {
  if (!/^[A-Za-z0-9+/]{4,}={0,2}$/.test(value)) return value;
  try {
    const decoded: unknown = JSON.parse(Buffer.from(value, "base64").toString());
    return typeof decoded === "object" ? JSON.stringify(decoded) : value;
  } catch {
    return value;
  }
}

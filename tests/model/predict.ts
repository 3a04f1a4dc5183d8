/** What the models together expect of the filter: first the tokens, then the policies (authenticate.ts, authz.ts). */
import type { Provider } from "../../tools/config/schema.ts";
import type { Subject } from "../../tools/explain/explain.ts";
import { HeaderMap } from "../../tools/host/header-map.ts";
import type { Outcome } from "../../tools/host/host.ts";
import {
  type CompleteRequest,
  forwardRequest,
  type ReceivedRequest,
  receiveRequest,
  type UpstreamRequest,
} from "../../tools/host/http-connection-manager.ts";
import type { Answer } from "../../tools/host/local-reply.ts";
import { formatAddress } from "../../tools/host/stream-info.ts";
import { type Authentication, authenticate } from "./authenticate.ts";
import { type Claims, DIRECT_PEER, decide, type Facts, withLists } from "./authz.ts";
import { REFUSAL } from "./jws.ts";
import { keysOf } from "./keys.ts";

/** The expected result of a request. */
export interface Expected {
  /** Envoy's own refusal, before any filter. */
  refusedByEnvoy?: Answer;
  authentication?: Authentication;
  /** The input of the policies. */
  asked?: { facts: Facts; claims: Claims | undefined };
  /** The rule that decided; "" if none matched; absent if policies were not asked. */
  ruleId?: string;
  answer?: { status: number; body: string; details: string };
  upstream?: UpstreamRequest;
}

/** The input of the models. */
export type Judged = Pick<Subject, "configuration" | "documents" | "listener" | "now">;

/** The models' result for a request. */
export function predict(subject: Judged, request: CompleteRequest): Expected {
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
  const asked = { facts, claims: verified && withLists(verified.claims, spaceDelimited) };
  const routed = forwardRequest(new HeaderMap("request", headers), request.protocol, request.body);
  const { authorization } = configuration;
  if (authorization === undefined) return { authentication, ...routed };
  const decision = decide(authorization, facts, verified?.claims, spaceDelimited);
  const base = {
    authentication,
    asked,
    ruleId: decision.ruleId,
  };
  if (!decision.refused) return { ...base, ...routed };
  const details = `rbac_access_denied_matched_policy[${decision.ruleId || "none"}]`;
  return { ...base, answer: { status: 403, body: "RBAC: access denied", details } };
}

function refusedToken(body: string): { status: number; body: string; details: string } {
  const details = `jwt_authn_access_denied{${body.replaceAll(" ", "_")}}`;
  return { status: body === REFUSAL.audience ? 403 : 401, body, details };
}

function factsOf(
  { listener }: Judged,
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
    peerNames: [
      ...(tls?.peer?.uriSans ?? []),
      ...(tls?.peer?.dnsSans ?? []),
      ...(tls?.peer?.subject ? [tls.peer.subject] : []),
    ],
  };
}

/** @returns one line for each difference */
export function compare(expected: Expected, { answer, upstream, properties }: Outcome): string[] {
  const found: string[] = [];
  const same = (what: string, module: unknown, steps: unknown): void => {
    const [left, right] = [module, steps].map((value) => JSON.stringify(value) ?? "nothing");
    if (left !== right) found.push(`${what}: the filter says ${left}, the steps say ${right}`);
  };
  const own = expected.answer ?? expected.refusedByEnvoy;
  same("status", answer?.status, own && grpcStatus(answer, own.status));
  same("details", answer?.details, own?.details.replaceAll(" ", "_"));
  // Only the gate makes the filter report more.
  if (properties["jwtgate.reason"] !== undefined) {
    same("reason", properties["jwtgate.reason"], own?.body ?? "allowed");
    same("rule", properties["jwtgate.policy"] ?? "", expected.ruleId ?? "");
  }
  if (upstream === undefined || expected.upstream === undefined) return found;
  same("path", upstream.path, expected.upstream.path);
  const seen = (headers: readonly (readonly [string, string])[]) =>
    headers.map(([name, value]) => `${name}: ${comparable(value)}`).sort();
  same("headers", seen(upstream.headers), seen(expected.upstream.headers));
  return found;
}

/** A gRPC refusal has HTTP status 200 and a separate status (docs/semantics.md, "gRPC"). */
function grpcStatus(answer: Answer | undefined, status: number): number {
  const isGrpc = answer?.headers.some(([name]) => name === "grpc-status");
  return isGrpc ? 200 : status;
}

/** A claim that is a list or an object is in a header as base64 of JSON, which has many spellings. */
function comparable(value: string): string {
  if (!/^[A-Za-z0-9+/]{4,}={0,2}$/.test(value)) return value;
  try {
    const decoded: unknown = JSON.parse(Buffer.from(value, "base64").toString());
    return typeof decoded === "object" ? JSON.stringify(decoded) : value;
  } catch {
    return value;
  }
}

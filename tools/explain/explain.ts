/**
 * One request's flow through the filter, step by step. The verdict is the module's own, run in this process. The steps
 * come from a second build of the same sources, which reports what it does (assembly/trace.ts).
 */
import type { SourceMap } from "../compile.ts";
import type { Configuration } from "../config/schema.ts";
import type { Position } from "../diagnostics.ts";
import type { HttpResponse } from "../host/context.ts";
import type { Outcome } from "../host/host.ts";
import {
  type CompleteListener,
  type CompleteRequest,
  DEFAULT_LISTENER,
  DEFAULT_REQUEST,
  forwardRequest,
  receiveRequest,
} from "../host/http-connection-manager.ts";
import type { ProviderGates, ProviderQuestion } from "./custom.ts";
import type { Documents, TracedGate } from "./gate.ts";
import { type ActionStep, explainRules, type RuleSource } from "./rules.ts";
import { type ProviderStep, providerSteps } from "./tokens.ts";
import type { Trace } from "./trace.ts";

/** For code that explains requests and knows nothing else of the host. */
export { type CompleteRequest, DEFAULT_LISTENER, DEFAULT_REQUEST };

/** What requests are explained against. */
export interface Subject {
  configuration: Configuration;
  /** Positions of rules and providers, by their names, and of the fields that TokenPolicies set. */
  positions: SourceMap;
  sources: ReadonlyMap<string, RuleSource>;
  documents: Documents;
  /** The answers of servers that returned no document, by URL. */
  answers?: ReadonlyMap<string, HttpResponse>;
  listener: CompleteListener;
  /** Milliseconds since 1970. */
  now: number;
}

/** The rule that decided, and its position. */
export interface DecidedBy {
  rule: string;
  at: Position;
}

export interface Authentication {
  /** "" if the request reaches the policies; else the response's body. */
  refusal: string;
  /** A CORS preflight is not authenticated. */
  preflight: boolean;
  /** The providers that were asked, in order; one whose tokens changed in between is there twice. */
  steps: ProviderStep[];
}

/** The verdict on a request, with the steps that led to it. */
export interface Explanation {
  /** The module's verdict, if every extension provider that is asked allows the request. */
  outcome: Outcome;
  /** Extension providers of CUSTOM policies, in the order in which Envoy asks them before the filter. */
  custom: ProviderQuestion[];
  /** Absent if Envoy itself refused the request. */
  authentication?: Authentication;
  /** Absent if policies were not evaluated. */
  actions?: ActionStep[];
  /** The rule that decided, if one did. */
  decidedBy?: DecidedBy;
  /**
   * Header names that the upstream receives and the client did not send, with their values; and names that the client
   * sent and the upstream does not receive.
   */
  changes?: { added: [string, string][]; removed: string[]; path?: string };
}

/** The gates that a request is sent to. */
export interface Gates {
  gate: TracedGate;
  providers: ProviderGates;
}

/** Sends the request to the gates and explains the result. */
export async function explain(
  { gate, providers }: Gates,
  subject: Subject,
  request: CompleteRequest,
): Promise<Explanation> {
  const { outcome, trace } = await gate.send(request);
  const decidedBy = decidingRule(outcome, subject);
  const actions = trace && actionsOf(trace, subject);
  return {
    outcome,
    custom: await providers.ask(request),
    ...(trace && { authentication: authenticationOf(trace, subject, gate.fetchFailures) }),
    ...(actions && { actions }),
    ...(decidedBy && { decidedBy }),
    ...(outcome.upstream && { changes: changes(subject, request, outcome.upstream) }),
  };
}

/** The rule that decided, as the filter writes it into filter state; "" if none did. */
export function ruleOf({ properties }: Outcome): string {
  return properties["jwtgate.policy"] ?? "";
}

/** The rule that decided, and its position; undefined if none did. */
export function decidingRule(outcome: Outcome, { positions }: Subject): DecidedBy | undefined {
  const rule = ruleOf(outcome);
  const at = positions.rules[rule];
  return at && { rule, at };
}

function authenticationOf(
  { authentication }: Trace,
  { configuration, positions, now }: Subject,
  fetchFailures: ReadonlyMap<string, string>,
): Authentication {
  if (authentication === undefined) return { refusal: "", preflight: false, steps: [] };
  const { refusal, preflight, providers } = authentication;
  const seconds = Math.floor(now / 1000);
  return {
    refusal,
    preflight,
    steps: providerSteps(providers, { configuration, positions, now: seconds, fetchFailures }),
  };
}

function actionsOf(
  { authentication, policies }: Trace,
  { configuration, positions, sources }: Subject,
): ActionStep[] | undefined {
  const { authorization, directRemoteAddress } = configuration;
  if (policies && authorization) {
    const directPeer = `filter_state.${directRemoteAddress}`;
    return explainRules(policies, authorization, positions.rules, sources, directPeer);
  }
  return authentication === undefined || authentication.refusal === "" ? [] : undefined;
}

/** What the filter changed in the request that Envoy would have forwarded without it. */
function changes(
  { listener }: Subject,
  request: CompleteRequest,
  upstream: NonNullable<Outcome["upstream"]>,
): NonNullable<Explanation["changes"]> {
  const received = receiveRequest(request, listener);
  if ("status" in received) return { added: [], removed: [] };
  const before = forwardRequest(received.headers, request.protocol, request.body);
  if ("answer" in before) return { added: [], removed: [] };
  const line = ([name, value]: readonly [string, string]) => `${name}: ${value}`;
  const [had, has] = [before.upstream, upstream].map(({ headers }) => new Set(headers.map(line)));
  const added = upstream.headers.filter((header) => !had?.has(line(header)));
  const removed = before.upstream.headers.filter((header) => !has?.has(line(header))).map(([name]) => name);
  return {
    added: added.map(([name, value]) => [name, value]),
    removed: [...new Set(removed)],
    ...(upstream.path !== before.upstream.path && { path: upstream.path }),
  };
}

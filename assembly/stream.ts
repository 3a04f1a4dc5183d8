/**
 * One request's flow: read → sanitise → authenticate → authorise → forward. It keeps nothing between callbacks, so a
 * request that had to wait starts again from the beginning.
 */
import { reset } from "./memory/arena";
import { EMPTY, Slice } from "./memory/slice";
import { setCurrentStream } from "./abi/stream-control";
import {
  Verdict,
  accessDenied,
  answerHostFailure,
  answerUnauthenticated,
  answerUnauthorized,
  policyDetails,
  refusalBody,
} from "./answer";
import { Authentication } from "./authn/authentication";
import { Authenticator } from "./authn/authenticator";
import { VerifiedToken } from "./authn/verified-token";
import { Decision } from "./authz/decision";
import { Engine } from "./authz/engine";
import { Request } from "./http/request";
import { Status } from "./jose/status";
import { Plugin } from "./plugin";
import { reportAllowed, reportRefused, reportShadowRefusal, reportUnenforced } from "./report";
import { TRACING, traceBegin, tracePreflight } from "./trace";

const request = new Request();
const decision = new Decision();

/**
 * Handles a stream's request headers. The stream is the effective context.
 *
 * @param mayWait whether the request may wait for keys
 * @param deadline when the wait ends, in milliseconds since 1970; 0 if it has not begun
 * @param authentication overwritten; names what the request waits for if the verdict is Wait
 */
export function handleRequest(
  plugin: Plugin,
  streamId: u32,
  mayWait: bool,
  deadline: u64,
  authentication: Authentication,
): Verdict {
  reset();
  setCurrentStream(streamId);
  if (TRACING) traceBegin();
  if (!request.read(plugin.directAddressProperty, plugin.peerProperty)) return fail(plugin);
  const authenticator = plugin.authenticator;
  if (authenticator) {
    authenticate(plugin, authenticator, mayWait, deadline, authentication);
    if (authentication.waitsFor) return Verdict.Wait;
    if (authentication.status == Status.HostFailed) return fail(plugin);
    if (authentication.status != Status.Ok) return refuseToken(plugin, authentication);
  } else {
    authentication.reset();
  }
  const verified = authentication.verified;
  const engine = plugin.engine;
  if (engine) {
    engine.decide(request, verified ? verified.bits : 0, decision);
    if (request.failed) return fail(plugin);
    if (TRACING) traceDecision(engine, verified, authenticator);
    reportUnenforced(plugin, request, decision);
    if (decision.refused) return refuseByPolicy(plugin, verified);
  }
  if (!plugin.shadow && !request.flush()) return fail(plugin);
  reportAllowed(plugin, verified, engine ? decision : null);
  return Verdict.Continue;
}

function authenticate(
  plugin: Plugin,
  authenticator: Authenticator,
  mayWait: bool,
  deadline: u64,
  authentication: Authentication,
): void {
  const counters = plugin.counters;
  authenticator.sanitize(request);
  if (request.isCorsPreflight) {
    if (TRACING) tracePreflight();
    counters.preflight.add(1);
    authentication.reset();
    return;
  }
  authenticator.authenticate(request, mayWait, deadline, authentication);
  counters.cacheHit.add(authentication.hits);
  counters.cacheMiss.add(authentication.misses);
}

/** Reports how the policies decided. */
function traceDecision(
  engine: Engine,
  verified: VerifiedToken | null,
  authenticator: Authenticator | null,
): void {
  let payload = EMPTY;
  let spaceDelimited: StaticArray<Slice> = [];
  if (verified && authenticator) {
    payload = verified.payloadSegment;
    spaceDelimited = authenticator.providers[verified.provider].spaceDelimitedClaims;
  }
  engine.trace(request, decision, payload, spaceDelimited);
}

function refuseToken(plugin: Plugin, authentication: Authentication): Verdict {
  const status = authentication.status;
  const body = refusalBody(status, authentication.refusedClaim);
  reportRefused(plugin, plugin.counters.unauthenticated, null, body, EMPTY);
  if (plugin.shadow) {
    reportShadowRefusal(plugin, request, body);
    return Verdict.Continue;
  }
  return answerUnauthenticated(request, status, body) ? Verdict.StopAllIterationAndWatermark : fail(plugin);
}

function refuseByPolicy(plugin: Plugin, verified: VerifiedToken | null): Verdict {
  reportRefused(plugin, plugin.counters.unauthorized, verified, accessDenied(), decision.ruleId);
  if (plugin.shadow) {
    reportShadowRefusal(plugin, request, policyDetails(decision.ruleId));
    return Verdict.Continue;
  }
  return answerUnauthorized(request, decision.ruleId) ? Verdict.StopAllIterationAndWatermark : fail(plugin);
}

/** Fails closed: a request that the host does not let us read or change is not forwarded. */
function fail(plugin: Plugin): Verdict {
  plugin.counters.failed.add(1);
  return plugin.shadow ? Verdict.Continue : answerHostFailure();
}

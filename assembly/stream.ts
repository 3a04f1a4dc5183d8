/**
 * One request's way: read → sanitise → authenticate → authorise → forward. It keeps nothing between callbacks, so a
 * request that had to wait goes the whole way again.
 */
import { reset } from "./memory/arena";
import { nowMilliseconds } from "./abi/clock";
import { EMPTY, Slice } from "./memory/slice";
import { continueRequest, setCurrentStream, setEffectiveContext } from "./abi/stream-control";
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
import { RemoteJwks } from "./authn/remote-jwks";
import { VerifiedToken } from "./authn/verified-token";
import { Waiting } from "./authn/waiting-list";
import { Decision } from "./authz/decision";
import { Engine } from "./authz/engine";
import { Request } from "./http/request";
import { Status } from "./jose/status";
import { Plugin } from "./plugin";
import { reportAllowed, reportRefused, reportShadowRefusal, reportUnenforced } from "./report";
import { TRACING, traceBegin, tracePreflight } from "./trace";

/** How often one request may wait: for its first keys, for a fetch under way, and for one of its own. */
const MAX_WAITS: i32 = 3;

const request = new Request();
const authentication = new Authentication();
const decision = new Decision();

/**
 * Handles a stream's request headers; the stream is the effective context.
 *
 * @param deadline until when it may wait for keys, in milliseconds since 1970; 0 if it has not begun to
 * @param waits how often it has begun to wait
 */
export function handleRequest(plugin: Plugin, streamId: u32, deadline: u64 = 0, waits: i32 = 0): Verdict {
  reset();
  setCurrentStream(streamId);
  if (TRACING) traceBegin();
  if (!request.read(plugin.directAddressProperty)) return fail(plugin);
  const authenticator = plugin.authenticator;
  if (authenticator) {
    authenticate(plugin, authenticator, plugin.mayWait && waits < MAX_WAITS, deadline);
    if (authentication.waitsFor) return wait(plugin, streamId, deadline, waits);
    if (authentication.status == Status.HostFailed) return fail(plugin);
    if (authentication.status != Status.Ok) return refuseToken(plugin);
  }
  const verified = authenticator ? authentication.verified : null;
  const engine = plugin.engine;
  if (engine) {
    engine.decide(request, verified ? verified.bits : 0, decision);
    if (request.failed) return fail(plugin);
    if (TRACING) traceDecision(engine, verified, authenticator);
    reportUnenforced(plugin, request, decision);
    if (decision.refused) return refuseByPolicy(plugin);
  }
  if (!plugin.shadow && !request.flush()) return fail(plugin);
  reportAllowed(plugin, verified, engine ? decision : null);
  return Verdict.Continue;
}

function authenticate(plugin: Plugin, authenticator: Authenticator, mayWait: bool, deadline: u64): void {
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

/** Says how the policies came to their decision. */
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

function refuseToken(plugin: Plugin): Verdict {
  const status = authentication.status;
  const body = refusalBody(status, authentication.refusedClaim);
  reportRefused(plugin, plugin.counters.unauthenticated, null, body, EMPTY);
  if (plugin.shadow) {
    reportShadowRefusal(plugin, request, body);
    return Verdict.Continue;
  }
  return answerUnauthenticated(request, status, body) ? Verdict.StopAllIterationAndWatermark : fail(plugin);
}

function refuseByPolicy(plugin: Plugin): Verdict {
  const verified = plugin.authenticator ? authentication.verified : null;
  reportRefused(plugin, plugin.counters.unauthorized, verified, accessDenied(), decision.ruleId);
  if (plugin.shadow) {
    reportShadowRefusal(plugin, request, policyDetails(decision.ruleId));
    return Verdict.Continue;
  }
  return answerUnauthorized(request, decision.ruleId) ? Verdict.StopAllIterationAndWatermark : fail(plugin);
}

/** Fail closed: nothing is forwarded that the host would not let us see or change. */
function fail(plugin: Plugin): Verdict {
  plugin.counters.failed.add(1);
  return plugin.shadow ? Verdict.Continue : answerHostFailure();
}

/** The request goes on when its keys have come or its time is over, and at once if there is no room for it. */
function wait(plugin: Plugin, streamId: u32, deadline: u64, waits: i32): Verdict {
  const waiting = plugin.waiting;
  const source = authentication.waitsFor as RemoteJwks;
  const until = deadline != 0 ? deadline : nowMilliseconds() + plugin.maxWait;
  if (!waiting.add(streamId, until, source, authentication.waitsForKid, waits + 1)) {
    return handleRequest(plugin, streamId, deadline, MAX_WAITS);
  }
  for (let other: Waiting | null = waiting.nextDisplaced(); other; other = waiting.nextDisplaced()) {
    resume(plugin, other.streamId, other.deadline, MAX_WAITS);
  }
  return Verdict.StopAllIterationAndWatermark;
}

/**
 * Lets requests go on whose keys have come or whose time is over, the oldest first, as many as one callback may: each is
 * read anew and goes the whole way again.
 *
 * @param now milliseconds since 1970
 */
export function resumeWaiting(plugin: Plugin, now: u64): void {
  const waiting = plugin.waiting;
  waiting.beginCallback();
  for (let entry: Waiting | null = waiting.takeDue(now); entry; entry = waiting.takeDue(now)) {
    resume(plugin, entry.streamId, entry.deadline, entry.deadline <= now ? MAX_WAITS : entry.waits);
  }
}

function resume(plugin: Plugin, streamId: u32, deadline: u64, waits: i32): void {
  // The stream has already ended.
  if (!setEffectiveContext(streamId)) return;
  if (handleRequest(plugin, streamId, deadline, waits) == Verdict.Continue) continueRequest();
}

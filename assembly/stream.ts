/**
 * One request's way: read → sanitise → authenticate → authorise → forward. It keeps nothing between callbacks, so a
 * request that had to wait goes the whole way again.
 */
import { reset } from "./abi/arena";
import { sendLocalResponse } from "./abi/local-response";
import { nowMilliseconds } from "./abi/clock";
import { logInfo } from "./abi/log";
import { setProperty } from "./abi/property";
import { EMPTY, Slice, Text, lengthOf, subslice, textOf } from "./abi/slice";
import { continueRequest, setCurrentStream, setEffectiveContext } from "./abi/stream-control";
import { Authenticator } from "./authn/authenticator";
import { RemoteJwks } from "./authn/remote-jwks";
import { Decision, RuleSet } from "./authz/decision";
import { ByteBuilder } from "./encoding/byte-builder";
import { Request } from "./http/request";
import { Status, claimRefusal, httpStatus, statusText } from "./jose/status";
import { Counter } from "./metrics";
import { Plugin } from "./plugin";

/** What the host is to do with the request (proxy-wasm FilterHeadersStatus). */
export const enum Verdict {
  Continue = 0,
  /**
   * It was answered, or it waits: all of it. StopIteration (1) would stop the headers only where the plugin's
   * `allow_on_headers_stop_iteration` says so, and the body would take them along to the backend.
   */
  StopAllIterationAndWatermark = 4,
}

/** How often one request may wait: for its first keys, for a fetch under way, and for one of its own. */
const MAX_WAITS: i32 = 3;

/** Envoy cuts the path of the realm at this many bytes (jwt_authn, filter.cc). */
const MAX_REALM_PATH_LENGTH: i32 = 256;

/** What of a path a log line says, in bytes: what a line leaves behind stays small until it is collected. */
const MAX_LOGGED_PATH_LENGTH: i32 = 256;

const WWW_AUTHENTICATE = new Text("www-authenticate");
const REALM = new Text('Bearer realm="');
const SCHEME_SEPARATOR = new Text("://");
const REALM_END = new Text('"');
const INVALID_TOKEN = new Text(', error="invalid_token"');
const AUTHENTICATION_DETAILS = new Text("jwt_authn_access_denied{");
const AUTHENTICATION_DETAILS_END = new Text("}");
const ACCESS_DENIED = new Text("RBAC: access denied");
const AUTHORIZATION_DETAILS = new Text("rbac_access_denied_matched_policy[");
const AUTHORIZATION_DETAILS_END = new Text("]");
const NO_RULE = new Text("none");
const REASON_PROPERTY = new Text("jwtgate.reason");
const POLICY_PROPERTY = new Text("jwtgate.policy");
const PRINCIPAL_PROPERTY = new Text("jwtgate.principal");
const ALLOWED = new Text("allowed");
const SLASH = new Text("/");
const HOST_FAILURE = new Text("The proxy refused a call of its filter");
const HOST_FAILURE_DETAILS = new Text("jwtgate_host_failure");

const request = new Request();
const decision = new Decision();
const builder = new ByteBuilder();

/**
 * Handles a stream's request headers; the stream is the effective context.
 *
 * @param deadline until when it may wait for keys, in milliseconds since 1970; 0 where it has not begun to
 * @param waits how often it has begun to wait
 */
export function handleRequest(plugin: Plugin, streamId: u32, deadline: u64 = 0, waits: i32 = 0): Verdict {
  reset();
  setCurrentStream(streamId);
  if (!request.read(plugin.directAddressProperty)) return answerHostFailure(plugin);
  const authenticator = plugin.authenticator;
  if (authenticator) {
    authenticator.mayWait = waits < MAX_WAITS && !plugin.waiting.isFull && !plugin.shadow;
    const status = authenticate(plugin, authenticator);
    if (status == Status.JwksPending) return wait(plugin, authenticator, streamId, deadline, waits);
    if (status == Status.HostFailed) return answerHostFailure(plugin);
    if (status != Status.Ok) return refuseToken(plugin, authenticator, status);
  }
  const engine = plugin.engine;
  if (engine) {
    const verified = authenticator ? authenticator.verified : null;
    engine.decide(request, verified ? verified.bits : 0, decision);
    if (request.failed) return answerHostFailure(plugin);
    reportUnenforced(plugin);
    if (decision.refused) return refuseByPolicy(plugin);
  }
  if (!plugin.shadow && !request.flush()) return answerHostFailure(plugin);
  if (plugin.filterState) tell(authenticator, ALLOWED.slice, engine ? decision.ruleId : EMPTY);
  plugin.counters.allowed.add(1);
  return Verdict.Continue;
}

/** The request goes on when its keys have come, or its time is over. */
function wait(
  plugin: Plugin,
  authenticator: Authenticator,
  streamId: u32,
  deadline: u64,
  waits: i32,
): Verdict {
  const source = authenticator.waitsFor as RemoteJwks;
  const until = deadline != 0 ? deadline : nowMilliseconds() + plugin.maxWait;
  plugin.waiting.add(streamId, until, source, source.keys != null, waits + 1);
  plugin.jwksCounters.waited(1);
  return Verdict.StopAllIterationAndWatermark;
}

/**
 * Lets requests go on whose keys have come: each is read anew and goes the whole way again.
 *
 * @param source whose fetch has come to an end
 */
export function resumeWaiting(plugin: Plugin, source: RemoteJwks): void {
  const waiting = plugin.waiting;
  waiting.beginRound();
  for (let i = 0; i < waiting.count;) {
    const entry = waiting.at(i);
    const goesOn = entry.source == source && (entry.hasKeys || source.keys != null);
    if (goesOn && waiting.isOfEarlierRound(entry)) resume(plugin, i, entry.waits);
    else i++;
  }
}

/** Answers requests that have waited long enough. @param now milliseconds since 1970 */
export function expireWaiting(plugin: Plugin, now: u64): void {
  for (let i = 0; i < plugin.waiting.count;) {
    const deadline = plugin.waiting.at(i).deadline;
    // Further ahead than any wait is long: the clock was set back.
    if (now >= deadline || deadline > now + plugin.maxWait) resume(plugin, i, MAX_WAITS);
    else i++;
  }
}

function resume(plugin: Plugin, i: i32, waits: i32): void {
  const entry = plugin.waiting.take(i);
  const streamId = entry.streamId;
  const deadline = entry.deadline;
  plugin.jwksCounters.waited(-1);
  // A stream that has ended meanwhile is nobody's loss.
  if (!setEffectiveContext(streamId)) return;
  if (handleRequest(plugin, streamId, deadline, waits) == Verdict.Continue) continueRequest();
}

function authenticate(plugin: Plugin, authenticator: Authenticator): Status {
  const counters = plugin.counters;
  authenticator.sanitize(request);
  if (request.isCorsPreflight) {
    counters.preflight.add(1);
    authenticator.skip();
    return Status.Ok;
  }
  const status = authenticator.authenticate(request);
  counters.cacheHit.add(authenticator.hits);
  counters.cacheMiss.add(authenticator.misses);
  return status;
}

function refuseToken(plugin: Plugin, authenticator: Authenticator, status: Status): Verdict {
  const body = refusalText(authenticator, status);
  if (plugin.filterState) tell(null, body, EMPTY);
  if (plugin.shadow) return watchRefusal(plugin, body);
  plugin.counters.unauthenticated.add(1);
  const details = builder
    .begin(lengthOf(body) + 32)
    .append(AUTHENTICATION_DETAILS.slice)
    .appendUnderscored(body)
    .append(AUTHENTICATION_DETAILS_END.slice).slice;
  return answer(plugin, httpStatus(status), details, body, WWW_AUTHENTICATE.slice, challenge(status));
}

function refuseByPolicy(plugin: Plugin): Verdict {
  if (plugin.filterState) tell(plugin.authenticator, ACCESS_DENIED.slice, decision.ruleId);
  if (plugin.shadow) return watchRefusal(plugin, policyDetails(decision.ruleId));
  plugin.counters.unauthorized.add(1);
  return answer(plugin, 403, policyDetails(decision.ruleId), ACCESS_DENIED.slice, EMPTY, EMPTY);
}

/** Fail closed: nothing is forwarded that the host would not let us see or change. */
function answerHostFailure(plugin: Plugin): Verdict {
  plugin.counters.failed.add(1);
  return plugin.shadow ? Verdict.Continue : answerUnconfigured();
}

/** A stream of no known configuration: never forwarded. */
export function answerUnconfigured(): Verdict {
  reset();
  sendLocalResponse(500, HOST_FAILURE_DETAILS.slice, HOST_FAILURE.slice, EMPTY, EMPTY);
  return Verdict.StopAllIterationAndWatermark;
}

function answer(
  plugin: Plugin,
  status: u32,
  details: Slice,
  body: Slice,
  headerName: Slice,
  headerValue: Slice,
): Verdict {
  // Access logs read the request's headers after the answer: a forged identity must not stand there either.
  if (!request.flush()) return answerHostFailure(plugin);
  if (!sendLocalResponse(status, details, body, headerName, headerValue)) {
    return answerHostFailure(plugin);
  }
  return Verdict.StopAllIterationAndWatermark;
}

/**
 * Puts what was decided into filter state, for access logs. Nothing rests on it, so a host that refuses is no failure.
 *
 * @param authenticator whose verified token is the principal; null for none
 * @param reason `allowed`, or the body of the refusal
 * @param ruleId the rule that decided, or EMPTY
 */
function tell(authenticator: Authenticator | null, reason: Slice, ruleId: Slice): void {
  setProperty(REASON_PROPERTY.slice, reason);
  if (ruleId != EMPTY) setProperty(POLICY_PROPERTY.slice, ruleId);
  const verified = authenticator ? authenticator.verified : null;
  if (!verified) return;
  const principal = builder
    .begin(lengthOf(verified.issuer) + lengthOf(verified.subject) + 1)
    .appendPrintable(verified.issuer)
    .append(SLASH.slice)
    .appendPrintable(verified.subject).slice;
  setProperty(PRINCIPAL_PROPERTY.slice, principal);
}

/** What Envoy says in the body. */
function refusalText(authenticator: Authenticator, status: Status): Slice {
  return status == Status.JwtClaimNotHeaderValue
    ? claimRefusal(authenticator.refusedClaim)
    : statusText(status);
}

/** RFC 6750 section 3, with the realm that Envoy writes: the URI as it was requested. */
function challenge(status: Status): Slice {
  const path = request.originalPathAndQuery;
  builder
    .begin(lengthOf(request.scheme) + lengthOf(request.authority) + MAX_REALM_PATH_LENGTH + 64)
    .append(REALM.slice)
    .append(request.scheme)
    .append(SCHEME_SEPARATOR.slice)
    .append(request.authority)
    .append(subslice(path, 0, min(lengthOf(path), MAX_REALM_PATH_LENGTH)))
    .append(REALM_END.slice);
  if (status != Status.JwtMissed) builder.append(INVALID_TOKEN.slice);
  return builder.slice;
}

/** Response-code details as Envoy's RBAC filter writes them. */
function policyDetails(ruleId: Slice): Slice {
  const id = ruleId == EMPTY ? NO_RULE.slice : ruleId;
  return builder
    .begin(lengthOf(id) + 64)
    .append(AUTHORIZATION_DETAILS.slice)
    .appendUnderscored(id)
    .append(AUTHORIZATION_DETAILS_END.slice).slice;
}

/** Counts and logs what policies say that change no answer: AUDIT and dry-run. */
function reportUnenforced(plugin: Plugin): void {
  const counters = plugin.counters;
  for (let left = decision.unenforced; left != 0; left &= left - 1) {
    const ruleSet: RuleSet = ctz(left);
    const ruleId = decision.firstMatch(ruleSet);
    if (ruleSet == RuleSet.Audit) report(plugin, counters.audited, "AUDIT matched", ruleId);
    else if (ruleSet == RuleSet.DryRunAudit)
      report(plugin, counters.audited, "dry-run AUDIT matched", ruleId);
    else report(plugin, counters.dryRunDenied, "dry-run would refuse", ruleId);
  }
}

/** In shadow: what would have been answered, and the request goes on untouched. */
function watchRefusal(plugin: Plugin, reason: Slice): Verdict {
  report(plugin, plugin.counters.shadowDenied, "shadow would refuse", reason);
  return Verdict.Continue;
}

/** The log line says method, host and path, never a header: tokens are not logged. */
function report(plugin: Plugin, counter: Counter, what: string, why: Slice): void {
  counter.add(1);
  if (!plugin.decisionLog.take()) return;
  const reason = why == EMPTY ? "none" : textOf(why);
  const path = subslice(request.path, 0, min(lengthOf(request.path), MAX_LOGGED_PATH_LENGTH));
  logInfo(
    `jwtgate: ${what}: ${reason} method=${textOf(request.method)} authority=${textOf(request.authority)} path=${textOf(path)}`,
  );
}

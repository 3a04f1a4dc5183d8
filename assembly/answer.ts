/** The filter's own answers, byte for byte those of Envoy's filters (docs/semantics.md). */
import { reset } from "./memory/arena";
import { sendLocalResponse } from "./abi/local-response";
import { EMPTY, Slice, Text, lengthOf, subslice } from "./memory/slice";
import { ByteBuilder } from "./encoding/byte-builder";
import { Request } from "./http/request";
import { Status, statusText } from "./jose/status";

/** What the host does with the request (proxy-wasm FilterHeadersStatus). */
export const enum Verdict {
  Continue = 0,
  /**
   * The request was answered, or it waits, as a whole. StopIteration (1) would stop only the headers, and only if the
   * plugin sets `allow_on_headers_stop_iteration`; the body would then pass them on to the backend.
   */
  StopAllIterationAndWatermark = 4,
  /** The request waits for keys. The host never sees this value. */
  Wait = -1,
}

/** Envoy cuts the path of the realm at this many bytes (jwt_authn, filter.cc). */
const MAX_REALM_PATH_LENGTH: i32 = 256;

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
const CLAIM_NOT_HEADER_VALUE = new Text("Jwt claim [");
const CLAIM_NOT_HEADER_VALUE_END = new Text("] is not a valid header value");
const CLAIM_MISSING = new Text("Jwt payload [");
const CLAIM_MISSING_END = new Text("] field is required");
const HOST_FAILURE = new Text("The proxy refused a call of its filter");
const HOST_FAILURE_DETAILS = new Text("jwtgate_host_failure");

const builder = new ByteBuilder();

/**
 * Returns the body of a refusal.
 *
 * @param status why a token is refused
 * @param claim the claim that the text names, if it names one
 * @returns the text, possibly in the arena
 */
export function refusalBody(status: Status, claim: Slice): Slice {
  if (status == Status.JwtClaimNotHeaderValue) {
    return around(claim, CLAIM_NOT_HEADER_VALUE, CLAIM_NOT_HEADER_VALUE_END);
  }
  if (status == Status.JwtClaimMissing) return around(claim, CLAIM_MISSING, CLAIM_MISSING_END);
  return statusText(status);
}

function around(claim: Slice, start: Text, end: Text): Slice {
  return builder
    .begin(lengthOf(start.slice) + lengthOf(claim) + lengthOf(end.slice))
    .append(start.slice)
    .appendPrintable(claim)
    .append(end.slice).slice;
}

/** The body of a refusal by policy. */
export function accessDenied(): Slice {
  return ACCESS_DENIED.slice;
}

/**
 * Response-code details of a refusal by policy, as Envoy's RBAC filter writes them.
 *
 * @param ruleId the rule that decided, or EMPTY
 */
export function policyDetails(ruleId: Slice): Slice {
  const id = ruleId == EMPTY ? NO_RULE.slice : ruleId;
  return builder
    .begin(lengthOf(id) + 64)
    .append(AUTHORIZATION_DETAILS.slice)
    .appendUnderscored(id)
    .append(AUTHORIZATION_DETAILS_END.slice).slice;
}

/**
 * Answers a request whose token is refused: 401, or 403 if the audience is not allowed (Envoy: jwt_authn/filter.cc).
 *
 * @param body from `refusalBody`
 * @returns false if the host failed
 */
export function answerUnauthenticated(request: Request, status: Status, body: Slice): bool {
  const details = builder
    .begin(lengthOf(body) + 32)
    .append(AUTHENTICATION_DETAILS.slice)
    .appendUnderscored(body)
    .append(AUTHENTICATION_DETAILS_END.slice).slice;
  const code = status == Status.JwtAudienceNotAllowed ? 403 : 401;
  return answer(request, code, details, body, WWW_AUTHENTICATE.slice, challenge(request, status));
}

/**
 * Answers a request that the policies refuse: 403.
 *
 * @param ruleId the rule that decided, or EMPTY
 * @returns false if the host failed
 */
export function answerUnauthorized(request: Request, ruleId: Slice): bool {
  return answer(request, 403, policyDetails(ruleId), ACCESS_DENIED.slice, EMPTY, EMPTY);
}

/**
 * Answers 500, because a host call failed or the stream belongs to no known configuration. Such a request is never
 * forwarded.
 */
export function answerHostFailure(): Verdict {
  reset();
  sendLocalResponse(500, HOST_FAILURE_DETAILS.slice, HOST_FAILURE.slice, EMPTY, EMPTY);
  return Verdict.StopAllIterationAndWatermark;
}

function answer(
  request: Request,
  status: u32,
  details: Slice,
  body: Slice,
  headerName: Slice,
  headerValue: Slice,
): bool {
  // Access logs read the request's headers after the answer, so they must not show a forged identity.
  return request.flush() && sendLocalResponse(status, details, body, headerName, headerValue);
}

/** RFC 6750 section 3, with the realm that Envoy writes: the URI as it was requested. */
function challenge(request: Request, status: Status): Slice {
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

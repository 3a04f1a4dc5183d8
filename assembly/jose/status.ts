/**
 * Why a token is refused: Envoy's Status (source/common/jwt/status.h), as far as a request can meet it, and what
 * jwtgate adds. Texts are the response's body, byte for byte.
 */
import { EMPTY, Slice, Text, lengthOf } from "../abi/slice";
import { ByteBuilder } from "../encoding/byte-builder";

/** Envoy's numbers up to 72; those from 73 on are jwtgate's (docs/strictness.md, S1, S9, S12). */
export const enum Status {
  Ok = 0,
  JwtMissed = 1,
  JwtNotYetValid = 2,
  JwtExpired = 3,
  JwtBadFormat = 4,
  JwtHeaderParseErrorBadBase64 = 5,
  JwtHeaderParseErrorBadJson = 6,
  JwtHeaderBadAlg = 7,
  JwtHeaderNotImplementedAlg = 8,
  JwtHeaderBadKid = 9,
  JwtPayloadParseErrorBadBase64 = 10,
  JwtPayloadParseErrorBadJson = 11,
  JwtPayloadParseErrorIssNotString = 12,
  JwtPayloadParseErrorSubNotString = 13,
  JwtPayloadParseErrorIatNotInteger = 14,
  JwtPayloadParseErrorIatOutOfRange = 15,
  JwtPayloadParseErrorNbfNotInteger = 16,
  JwtPayloadParseErrorNbfOutOfRange = 17,
  JwtPayloadParseErrorExpNotInteger = 18,
  JwtPayloadParseErrorExpOutOfRange = 19,
  JwtPayloadParseErrorJtiNotString = 20,
  JwtPayloadParseErrorAudNotString = 21,
  JwtSignatureParseErrorBadBase64 = 22,
  JwtEd25519SignatureWrongLength = 23,
  JwtUnknownIssuer = 24,
  JwtAudienceNotAllowed = 25,
  JwtVerificationFail = 26,
  JwksKidAlgMismatch = 32,
  JwksFetchFail = 40,
  /** S1. */
  JwtHeaderNotImplementedCrit = 73,
  /** S9; `claimRefusal` has the text. */
  JwtClaimNotHeaderValue = 74,
  /** S12. */
  JwtTooLarge = 75,
  /** S12. */
  TooManyJwts = 76,
  /** No answer: the request waits for keys. */
  JwksPending = 77,
  /** Nothing is known of the token, for the host failed: the request is answered 500. */
  HostFailed = 78,
}

/** By status; null for those that are no refusal or have a text of their own. */
const TEXTS: StaticArray<Text | null> = new StaticArray<Text | null>(Status.HostFailed + 1);

function define(status: Status, text: string): void {
  TEXTS[status] = new Text(text);
}

define(Status.JwtMissed, "Jwt is missing");
define(Status.JwtNotYetValid, "Jwt not yet valid");
define(Status.JwtExpired, "Jwt is expired");
define(
  Status.JwtBadFormat,
  "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
);
define(Status.JwtHeaderParseErrorBadBase64, "Jwt header is an invalid Base64url encoded");
define(Status.JwtHeaderParseErrorBadJson, "Jwt header is an invalid JSON");
define(Status.JwtHeaderBadAlg, "Jwt header [alg] field is required and must be a string");
define(Status.JwtHeaderNotImplementedAlg, "Jwt header [alg] is not supported");
define(Status.JwtHeaderBadKid, "Jwt header [kid] field is not a string");
define(Status.JwtPayloadParseErrorBadBase64, "Jwt payload is an invalid Base64url encoded");
define(Status.JwtPayloadParseErrorBadJson, "Jwt payload is an invalid JSON");
define(Status.JwtPayloadParseErrorIssNotString, "Jwt payload [iss] field is not a string");
define(Status.JwtPayloadParseErrorSubNotString, "Jwt payload [sub] field is not a string");
define(Status.JwtPayloadParseErrorIatNotInteger, "Jwt payload [iat] field is not an integer");
define(Status.JwtPayloadParseErrorIatOutOfRange, "Jwt payload [iat] field is not a positive 64 bit integer");
define(Status.JwtPayloadParseErrorNbfNotInteger, "Jwt payload [nbf] field is not an integer");
define(Status.JwtPayloadParseErrorNbfOutOfRange, "Jwt payload [nbf] field is not a positive 64 bit integer");
define(Status.JwtPayloadParseErrorExpNotInteger, "Jwt payload [exp] field is not an integer");
define(Status.JwtPayloadParseErrorExpOutOfRange, "Jwt payload [exp] field is not a positive 64 bit integer");
define(Status.JwtPayloadParseErrorJtiNotString, "Jwt payload [jti] field is not a string");
define(Status.JwtPayloadParseErrorAudNotString, "Jwt payload [aud] field is not a string or string list");
define(Status.JwtSignatureParseErrorBadBase64, "Jwt signature is an invalid Base64url encoded");
define(Status.JwtEd25519SignatureWrongLength, "Jwt ED25519 signature is wrong length");
define(Status.JwtUnknownIssuer, "Jwt issuer is not configured");
define(Status.JwtAudienceNotAllowed, "Audiences in Jwt are not allowed");
define(Status.JwtVerificationFail, "Jwt verification fails");
define(Status.JwksKidAlgMismatch, "Jwks doesn't have key to match kid or alg from Jwt");
define(Status.JwksFetchFail, "Jwks remote fetch is failed");
define(Status.JwtHeaderNotImplementedCrit, "Jwt header [crit] is not supported");
define(Status.JwtTooLarge, "Jwt is too large");
define(Status.TooManyJwts, "Too many Jwts in the request");

/** The body of a refusal, in static memory; EMPTY for what is none, and for JwtClaimNotHeaderValue. */
export function statusText(status: Status): Slice {
  const text = TEXTS[status];
  return text ? text.slice : EMPTY;
}

/** 403 for an audience that is not allowed, 401 for every other refusal (Envoy: jwt_authn/filter.cc). */
export function httpStatus(status: Status): i32 {
  return status == Status.JwtAudienceNotAllowed ? 403 : 401;
}

const builder = new ByteBuilder();
const CLAIM_REFUSAL_START = new Text("Jwt claim [");
const CLAIM_REFUSAL_END = new Text("] is not a valid header value");

/**
 * The body of a JwtClaimNotHeaderValue refusal.
 *
 * @param name the claim, as the configuration names it
 * @returns the text, in the arena
 */
export function claimRefusal(name: Slice): Slice {
  const start = CLAIM_REFUSAL_START.slice;
  const end = CLAIM_REFUSAL_END.slice;
  const size = lengthOf(start) + lengthOf(name) + lengthOf(end);
  return builder.begin(size).append(start).appendPrintable(name).append(end).slice;
}

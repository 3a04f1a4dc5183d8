/**
 * Why a token is refused: Envoy's Status (source/common/jwt/status.h), as far as requests can cause it, and jwtgate's
 * additions. Texts are the response's body, byte for byte.
 */
import { EMPTY, Slice, Text } from "../memory/slice";

/** Envoy's numbers up to 72; jwtgate's from 73 on (docs/strictness.md, S1, S9, S12; docs/token-policy.md). */
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
  /** S9; the text names the claim. */
  JwtClaimNotHeaderValue = 74,
  /** S12. */
  JwtTooLarge = 75,
  /** S12. */
  TooManyJwts = 76,
  /** The token's state is unknown because the host failed; the request is answered 500. */
  HostFailed = 77,
  /** The header's `typ` is none of the provider's token types. */
  JwtHeaderTypNotAllowed = 78,
  /** A required claim is missing or null; the text names it. */
  JwtClaimMissing = 79,
  /** `exp` is too long after `iat`. */
  JwtLifetimeTooLong = 80,
}

/** By status; null for statuses that are not refusals or build their own text. */
const TEXTS: StaticArray<Text | null> = new StaticArray<Text | null>(Status.JwtLifetimeTooLong + 1);

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
define(Status.JwtHeaderTypNotAllowed, "Jwt header [typ] is not allowed");
define(Status.JwtLifetimeTooLong, "Jwt lifetime is too long");

/**
 * The body of a refusal, in static memory; EMPTY for statuses that are not refusals, and for those whose text names a
 * claim.
 */
export function statusText(status: Status): Slice {
  const text = TEXTS[status];
  return text ? text.slice : EMPTY;
}

/** Whether the body of the refusal names a claim. */
export function namesClaim(status: Status): bool {
  return status == Status.JwtClaimNotHeaderValue || status == Status.JwtClaimMissing;
}

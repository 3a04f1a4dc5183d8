/**
 * The fields of the configuration: the names that each object may have, and a function for each integer that reads it, with
 * its range and default, from an object that may be NONE.
 *
 * Generated from tools/config/schema.ts by `npm run docs`.
 */
import { Reader } from "../document/reader";
import { Node } from "../encoding/json";

export const CONFIGURATION_FIELDS: StaticArray<string> = [
  "version",
  "compiler",
  "shadow",
  "filterState",
  "removeLookalikes",
  "directRemoteAddress",
  "peerPrincipal",
  "providers",
  "authorization",
  "limits",
  "tokenCache",
  "contents",
];
export const PROVIDER_FIELDS: StaticArray<string> = [
  "name",
  "policy",
  "issuer",
  "audiences",
  "localJwks",
  "remoteJwks",
  "fromHeaders",
  "fromParams",
  "fromCookies",
  "forward",
  "forwardPayloadHeader",
  "claimToHeaders",
  "spaceDelimitedClaims",
  "presence",
  "clockSkewSeconds",
  "tokenTypes",
  "requireTokenType",
  "requiredClaims",
  "maxLifetimeSeconds",
];
export const PROVIDER_LOCAL_JWKS_FIELDS: StaticArray<string> = ["keys"];
export const PROVIDER_FROM_HEADERS_FIELDS: StaticArray<string> = ["name", "valuePrefix"];
export const PROVIDER_CLAIM_TO_HEADERS_FIELDS: StaticArray<string> = ["headerName", "claimName"];
export function clockSkewSeconds(reader: Reader, object: Node): i64 {
  return reader.integerOr(object, "clockSkewSeconds", 0, 3_600, 60);
}

export function maxLifetimeSeconds(reader: Reader, object: Node): i64 {
  return reader.integerOr(object, "maxLifetimeSeconds", 0, 4_294_967_295, 0);
}

export const JWK_FIELDS: StaticArray<string> = ["kty", "kid", "alg", "n", "e", "crv", "x", "y", "k", "pub"];
export const REMOTE_JWKS_FIELDS: StaticArray<string> = [
  "uri",
  "discovery",
  "cluster",
  "timeoutMs",
  "refreshMs",
  "minRefreshMs",
  "maxRefreshMs",
  "staleMs",
  "backoffMs",
  "maxBackoffMs",
  "kidMissMs",
];
export const REMOTE_JWKS_DISCOVERY_FIELDS: StaticArray<string> = ["uri", "jwksHosts"];
export const REMOTE_JWKS_DISCOVERY_JWKS_HOSTS_FIELDS: StaticArray<string> = ["origin", "cluster"];
export function timeoutMs(reader: Reader, object: Node): i64 {
  return reader.integerOr(object, "timeoutMs", 1, 300_000, 5_000);
}

export function refreshMs(reader: Reader, object: Node): i64 {
  return reader.integerOr(object, "refreshMs", 20, 86_400_000, 300_000);
}

export function minRefreshMs(reader: Reader, object: Node): i64 {
  return reader.integerOr(object, "minRefreshMs", 20, 86_400_000, 30_000);
}

export function maxRefreshMs(reader: Reader, object: Node): i64 {
  return reader.integerOr(object, "maxRefreshMs", 20, 86_400_000, 3_600_000);
}

export function staleMs(reader: Reader, object: Node): i64 {
  return reader.integerOr(object, "staleMs", 0, 2_592_000_000, 86_400_000);
}

export function backoffMs(reader: Reader, object: Node): i64 {
  return reader.integerOr(object, "backoffMs", 10, 3_600_000, 1_000);
}

export function maxBackoffMs(reader: Reader, object: Node): i64 {
  return reader.integerOr(object, "maxBackoffMs", 10, 3_600_000, 60_000);
}

export function kidMissMs(reader: Reader, object: Node): i64 {
  return reader.integerOr(object, "kidMissMs", 10, 3_600_000, 2_000);
}

export const AUTHORIZATION_FIELDS: StaticArray<string> = ["predicates", "audit", "deny", "allow"];
export const PREDICATE_FIELDS: StaticArray<string> = [
  "claim",
  "match",
  "path",
  "host",
  "method",
  "header",
  "destinationPort",
  "destinationIp",
  "sourceIp",
  "remoteIp",
  "sni",
  "principal",
  "peer",
  "trustDomain",
  "serviceAccount",
];
export const PREDICATE_MATCH_FIELDS: StaticArray<string> = ["present"];
export const PREDICATE_PATH_FIELDS: StaticArray<string> = ["template"];
export const PREDICATE_SERVICE_ACCOUNT_FIELDS: StaticArray<string> = ["namespace", "name"];
export const STRING_MATCH_FIELDS: StaticArray<string> = ["exact", "prefix", "suffix", "nonEmpty"];
export const RULE_SET_FIELDS: StaticArray<string> = ["rules", "shadowRules"];
export const RULE_FIELDS: StaticArray<string> = ["id", "condition", "guard"];
export const CONDITION_FIELDS: StaticArray<string> = ["and", "or", "not"];
export const LIMITS_FIELDS: StaticArray<string> = [
  "maxTokenBytes",
  "maxTokens",
  "maxKeysTried",
  "maxJwksBytes",
  "maxJwksKeys",
  "maxWaitingRequests",
  "maxWaitingKids",
  "maxResumedPerCallback",
  "maxWaitMs",
  "maxDecisionLogsPerSecond",
];
export function maxTokenBytes(reader: Reader, object: Node): i64 {
  return reader.integerOr(object, "maxTokenBytes", 256, 65_536, 16_384);
}

export function maxTokens(reader: Reader, object: Node): i64 {
  return reader.integerOr(object, "maxTokens", 1, 64, 8);
}

export function maxKeysTried(reader: Reader, object: Node): i64 {
  return reader.integerOr(object, "maxKeysTried", 1, 100, 16);
}

export function maxJwksBytes(reader: Reader, object: Node): i64 {
  return reader.integerOr(object, "maxJwksBytes", 1_024, 4_194_304, 524_288);
}

export function maxJwksKeys(reader: Reader, object: Node): i64 {
  return reader.integerOr(object, "maxJwksKeys", 1, 1_000, 100);
}

export function maxWaitingRequests(reader: Reader, object: Node): i64 {
  return reader.integerOr(object, "maxWaitingRequests", 0, 100_000, 2_000);
}

export function maxWaitingKids(reader: Reader, object: Node): i64 {
  return reader.integerOr(object, "maxWaitingKids", 1, 1_000, 64);
}

export function maxResumedPerCallback(reader: Reader, object: Node): i64 {
  return reader.integerOr(object, "maxResumedPerCallback", 1, 64, 16);
}

export function maxWaitMs(reader: Reader, object: Node): i64 {
  return reader.integerOr(object, "maxWaitMs", 1, 60_000, 5_000);
}

export function maxDecisionLogsPerSecond(reader: Reader, object: Node): i64 {
  return reader.integerOr(object, "maxDecisionLogsPerSecond", 0, 1_000, 10);
}

export const TOKEN_CACHE_FIELDS: StaticArray<string> = ["maxEntries", "maxBytes"];
export function maxEntries(reader: Reader, object: Node): i64 {
  return reader.integerOr(object, "maxEntries", 0, 1_000_000, 4_096);
}

export function maxBytes(reader: Reader, object: Node): i64 {
  return reader.integerOr(object, "maxBytes", 0, 268_435_456, 4_194_304);
}

export const CONTENTS_FIELDS: StaticArray<string> = ["providers", "rules"];

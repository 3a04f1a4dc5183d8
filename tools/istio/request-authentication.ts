/** RequestAuthentication: its fields, and what istiod's validation, the CRD's schema and Envoy refuse in them. */
import type { Position } from "../diagnostics.ts";
import { DRY_RUN } from "./annotations.ts";
import { parseDuration } from "./duration.ts";
import type { Fields } from "./fields.ts";
import type { Metadata } from "./metadata.ts";
import { quote, type Report } from "./report.ts";
import type { RuleConstraints } from "./token-constraints.ts";
import type { Located } from "./yaml.ts";

export interface RequestAuthentication {
  jwtRules: JwtRule[];
}

export interface JwtRule {
  at: Position;
  issuer?: Located<string>;
  audiences: string[];
  jwksUri?: Located<string>;
  jwks?: Located<string>;
  fromHeaders: { name: string; prefix?: string }[];
  fromParams: string[];
  fromCookies: string[];
  outputPayloadToHeader?: string;
  outputClaimToHeaders: { header: string; claim: string; claimAt: Position }[];
  forwardOriginalToken: boolean;
  /** The timeout of a fetch of the keys. */
  timeoutMs?: number;
  spaceDelimitedClaims: string[];
  presence: "OPTIONAL" | "REQUIRED";
  /** What TokenPolicies ask of its tokens; absent if none is attached. */
  constraints?: RuleConstraints;
}

const MAX_JWT_RULES = 4096;
const MAX_SPACE_DELIMITED_CLAIMS = 64;
const MAX_URI_LENGTH = 2048;
const MAX_TIMEOUT_MS = 300_000;

/** RFC 9110 §5.6.2: what Envoy's codec accepts as a header's name. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** istiod's narrower form for the names of claim headers. */
const CLAIM_HEADER = /^[-_A-Za-z0-9]+$/;

/** They define where a request ends, or which protocol follows it. */
const FRAMING = new Set(["connection", "content-length", "transfer-encoding", "upgrade"]);

export function readRequestAuthentication(
  spec: Fields,
  metadata: Metadata | undefined,
  report: Report,
): RequestAuthentication {
  const dryRun = metadata?.annotations.get(DRY_RUN);
  if (dryRun)
    report.error(
      dryRun.at,
      `${DRY_RUN} is for AuthorizationPolicy only: remove it, or compile with --shadow`,
    );
  const rules = spec.objects("jwtRules");
  if (rules.length === 0) {
    report.warning(
      spec.keyAt("jwtRules"),
      "a RequestAuthentication without jwtRules checks no token: write one",
    );
  }
  if (rules.length > MAX_JWT_RULES) {
    report.error(spec.keyAt("jwtRules"), `spec.jwtRules has more than ${MAX_JWT_RULES} entries`);
  }
  return { jwtRules: rules.map((rule) => readJwtRule(rule, report)) };
}

function readJwtRule(fields: Fields, report: Report): JwtRule {
  const issuer = nonEmpty(fields, "issuer", "leave it out if any issuer is acceptable", report);
  const writtenJwks = fields.string("jwks");
  const jwks = present(writtenJwks);
  const timeoutMs = readTimeout(fields, report);
  const outputPayloadToHeader = present(fields.string("outputPayloadToHeader"));
  if (outputPayloadToHeader) checkOutputHeader(outputPayloadToHeader, TOKEN, report);
  const rule: JwtRule = {
    at: fields.at,
    ...(issuer && { issuer }),
    audiences: nonEmptyStrings(fields, "audiences", report),
    ...readJwksUri(fields, report),
    ...(jwks && { jwks }),
    fromHeaders: fields.objects("fromHeaders").flatMap((header) => readFromHeader(header, report) ?? []),
    fromParams: nonEmptyStrings(fields, "fromParams", report),
    fromCookies: nonEmptyStrings(fields, "fromCookies", report),
    ...(outputPayloadToHeader && { outputPayloadToHeader: outputPayloadToHeader.value }),
    outputClaimToHeaders: fields
      .objects("outputClaimToHeaders")
      .flatMap((claim) => readClaimToHeader(claim, report) ?? []),
    forwardOriginalToken: fields.boolean("forwardOriginalToken") ?? false,
    ...(timeoutMs !== undefined && { timeoutMs }),
    spaceDelimitedClaims: readSpaceDelimitedClaims(fields, report),
    presence: readPresence(fields, report),
  };
  checkKeySource(fields, rule, writtenJwks, report);
  fields.finish();
  return rule;
}

function readJwksUri(fields: Fields, report: Report): { jwksUri?: Located<string> } {
  // The CRD has both spellings.
  const names = ["jwksUri", "jwks_uri"].filter((name) => fields.has(name));
  fields.ignore("jwks_uri");
  if (names.length > 1)
    report.error(fields.keyAt("jwks_uri"), "jwks_uri is jwksUri in an old spelling: keep one");
  const jwksUri = nonEmpty(fields, names[0] ?? "jwksUri", "leave it out if there is none", report);
  if (jwksUri === undefined) return {};
  const url = URL.canParse(jwksUri.value) ? new URL(jwksUri.value) : undefined;
  const fault = faultOfUrl(jwksUri.value);
  if (url === undefined || !["http:", "https:"].includes(url.protocol)) {
    report.error(jwksUri.at, `jwksUri ${quote(jwksUri.value)} must be a URL with http:// or https://`);
  } else if (fault !== undefined) {
    report.error(jwksUri.at, `jwksUri ${quote(jwksUri.value)} ${fault}`);
  } else if (jwksUri.value.length > MAX_URI_LENGTH) {
    report.error(jwksUri.at, `jwksUri is longer than ${MAX_URI_LENGTH} characters`);
  }
  return { jwksUri };
}

/** Faults that istiod's URL parser (Go's net/url) refuses and ours repairs. */
function faultOfUrl(text: string): string | undefined {
  if (text.startsWith(" ") || /\p{Cc}/u.test(text)) return "has white space that no URL can have: remove it";
  const escaped = text.replace(/\?[^#]*/, "");
  return /%(?![\da-f]{2})/i.test(escaped) ? "has a % that escapes nothing: write it as %25" : undefined;
}

function checkKeySource(
  fields: Fields,
  { issuer, jwksUri, jwks }: JwtRule,
  writtenJwks: Located<string> | undefined,
  report: Report,
): void {
  if (!fields.has("issuer") && jwksUri === undefined) {
    const hint = jwks
      ? "name the issuer that the keys belong to"
      : "name the issuer whose tokens are to be accepted";
    fields.miss(`${fields.path} needs issuer or jwksUri: ${hint}`);
  } else if (jwks && jwksUri) {
    report.warning(
      jwksUri.at,
      "jwksUri is not used, because jwks has the keys; newer Kubernetes APIs refuse both together",
    );
  } else if (!fields.has("jwks") && jwksUri === undefined && issuer && !/^https:\/\//.test(issuer.value)) {
    const message = `the keys of ${quote(issuer.value)} cannot be discovered, because it is not an https:// URL: give jwks or jwksUri`;
    report.error(issuer.at, message);
  } else if (writtenJwks?.value === "" && jwksUri === undefined) {
    const message = "jwks is empty: give the keys, or leave it out to have them discovered from the issuer";
    report.error(fields.keyAt("jwks"), message);
  }
}

function readFromHeader(fields: Fields, report: Report): JwtRule["fromHeaders"][number] | undefined {
  const name = required(fields, "name", report);
  const prefix = present(fields.string("prefix"));
  fields.finish();
  if (name === undefined) return undefined;
  if (!TOKEN.test(name.value) || name.value.toLowerCase() === "host") {
    report.error(name.at, `${quote(name.value)} is not a header that can hold a token`);
  }
  // Envoy refuses a configuration with these (well_known_regex HTTP_HEADER_VALUE).
  if (prefix && /[\0\r\n]/.test(prefix.value)) {
    report.error(prefix.at, "the prefix must not contain line breaks, because no header's value does");
  }
  return { name: name.value, ...(prefix && { prefix: prefix.value }) };
}

function readClaimToHeader(
  fields: Fields,
  report: Report,
): JwtRule["outputClaimToHeaders"][number] | undefined {
  const header = required(fields, "header", report);
  const claim = required(fields, "claim", report);
  fields.finish();
  if (header === undefined || claim === undefined) return undefined;
  checkOutputHeader(header, CLAIM_HEADER, report);
  return { header: header.value, claim: claim.value, claimAt: claim.at };
}

/** Every output header is first removed from every request, and without a host there is no request left. */
function checkOutputHeader({ value, at }: Located<string>, pattern: RegExp, report: Report): void {
  if (!pattern.test(value)) {
    const allowed = pattern === TOKEN ? "a header's name" : "letters, digits, - and _";
    report.error(at, `${quote(value)} cannot be a header's name: use ${allowed}, such as x-jwt-claim`);
  } else if (value.toLowerCase() === "host") {
    report.error(
      at,
      "the Host header cannot be removed from requests: use another header, such as x-jwt-claim",
    );
  } else if (FRAMING.has(value.toLowerCase())) {
    report.error(
      at,
      `${quote(value)} defines where a request ends, which a claim must not: use another header, such as x-jwt-claim`,
    );
  }
}

function readTimeout(fields: Fields, report: Report): number | undefined {
  const text = fields.string("timeout");
  if (text === undefined) return undefined;
  const milliseconds = parseDuration(text.value);
  const name = `${fields.path}.timeout ${quote(text.value)}`;
  if (milliseconds === undefined) {
    report.error(text.at, `${name} is not a duration: write a number with its unit, such as 5s or 1500ms`);
  } else if (milliseconds < 1) {
    report.error(text.at, `${name} is too short: at least 1ms`);
  } else if (!Number.isInteger(milliseconds)) {
    report.error(text.at, `${name} is too fine: whole milliseconds only`);
  } else if (milliseconds > MAX_TIMEOUT_MS) {
    report.error(text.at, `${name} is too long: at most ${MAX_TIMEOUT_MS / 60_000}m`);
  } else {
    return milliseconds;
  }
  return undefined;
}

function readSpaceDelimitedClaims(fields: Fields, report: Report): string[] {
  const claims = nonEmptyStrings(fields, "spaceDelimitedClaims", report);
  if (claims.length > MAX_SPACE_DELIMITED_CLAIMS) {
    const message = `${fields.path}.spaceDelimitedClaims has more than ${MAX_SPACE_DELIMITED_CLAIMS} entries`;
    report.error(fields.keyAt("spaceDelimitedClaims"), message);
  }
  // Istio's requestPrincipals compare only strings, our predicate for claims also lists.
  const identity = claims.find((claim) => claim === "iss" || claim === "sub");
  if (identity !== undefined) {
    const message = `with ${identity} as a list no token of this rule has a principal: leave it out of spaceDelimitedClaims`;
    report.error(fields.keyAt("spaceDelimitedClaims"), message);
  }
  return claims;
}

function readPresence(fields: Fields, report: Report): JwtRule["presence"] {
  const presence = fields.string("presence");
  switch (presence?.value) {
    case undefined:
    case "OPTIONAL":
      return "OPTIONAL";
    case "REQUIRED":
      return "REQUIRED";
    default:
      if (presence)
        report.error(presence.at, `presence ${quote(presence.value)} must be OPTIONAL or REQUIRED`);
      return "OPTIONAL";
  }
}

/** As in protobuf, an empty string counts as absent. */
function present(field: Located<string> | undefined): Located<string> | undefined {
  return field?.value === "" ? undefined : field;
}

function required(fields: Fields, name: string, report: Report): Located<string> | undefined {
  if (!fields.has(name)) fields.miss(`${fields.path}.${name} is missing`);
  return nonEmpty(fields, name, "name it", report);
}

function nonEmpty(fields: Fields, name: string, advice: string, report: Report): Located<string> | undefined {
  const field = fields.string(name);
  if (field?.value !== "") return field;
  report.error(field.at, `${fields.path}.${name} must not be empty: ${advice}`);
  return undefined;
}

function nonEmptyStrings(fields: Fields, name: string, report: Report): string[] {
  const values = fields.strings(name);
  for (const { value, at } of values) {
    if (value === "") report.error(at, `${fields.path}.${name} must not contain an empty value: remove it`);
  }
  return values.map(({ value }) => value);
}

/** Converts a provider of Envoy's jwt_authn (JwtProvider) to a jwtRule of Istio's RequestAuthentication. */
import type { Position } from "../diagnostics.ts";
import { quote } from "../istio/report.ts";
import type { Located } from "../istio/yaml.ts";
import type { ClaimProvider } from "./claims.ts";
import type { Message } from "./message.ts";
import { readStringMatcher, type StringMatcher } from "./patterns.ts";

/** A jwtRule, as in YAML. */
export interface JwtRule {
  issuer?: string;
  audiences?: string[];
  jwks?: string;
  jwksUri?: string;
  timeout?: string;
  fromHeaders?: { name: string; prefix?: string }[];
  fromParams?: string[];
  fromCookies?: string[];
  forwardOriginalToken?: true;
  outputPayloadToHeader?: string;
  outputClaimToHeaders?: { header: string; claim: string }[];
  spaceDelimitedClaims?: string[];
  presence?: "REQUIRED";
}

export interface ImportedProvider {
  name: string;
  at: Position;
  rule: JwtRule;
  claims: ClaimProvider;
  /** Required values of the subject. */
  subjects?: StringMatcher;
}

/** Reads a file that a configuration names. @returns its text, or why it cannot be read */
export type ReadFile = (path: string) => { text: string } | { fault: string };

/** Envoy's default, and Istio's only value, in seconds. */
const CLOCK_SKEW = 60;

/** Istio's timeout for a fetch of keys. */
const DEFAULT_TIMEOUT_MS = 5_000;

const ALWAYS_DELIMITED = ["permission", "scope"];

/** Where keys come from, if not from the source in the configuration. */
export interface KeyOptions {
  readFile: ReadFile;
  /** By the provider's name: the URL that its keys are fetched from. */
  jwksUris: Readonly<Record<string, string>>;
}

/** Reads an envoy.extensions.filters.http.jwt_authn.v3.JwtProvider, with its name. */
export function readProvider(
  { key, value: message }: { key: Located<string>; value: Message },
  { readFile, jwksUris }: KeyOptions,
): ImportedProvider {
  const issuer = message.string("issuer");
  const audiences = message.strings("audiences").map(({ value }) => value);
  const subjects = message.message("subjects");
  const subjectMatcher = subjects && readStringMatcher(subjects);
  const payloadKey = message.string("payload_in_metadata")?.value;
  const normalized = message.message("normalize_payload_in_metadata");
  const spaceDelimited = normalized?.strings("space_delimited_claims").map(({ value }) => value) ?? [];
  normalized?.finish();
  const written = readKeys(message, readFile);
  const jwksUri = Object.hasOwn(jwksUris, key.value) ? jwksUris[key.value] : undefined;
  const keys = jwksUri === undefined ? written : { jwksUri };
  const fromHeaders = message.messages("from_headers").map((header) => {
    const [name, prefix] = [header.string("name"), header.string("value_prefix")];
    header.finish();
    return { name: name?.value ?? "", ...(prefix && { prefix: prefix.value }) };
  });
  const fromParams = message.strings("from_params").map(({ value }) => value);
  const fromCookies = message.strings("from_cookies").map(({ value }) => value);
  const forward = message.boolean("forward");
  const payloadHeader = message.string("forward_payload_header")?.value;
  const claimHeaders = message.messages("claim_to_headers").map((output) => {
    const [header, claim] = [output.string("header_name"), output.string("claim_name")];
    output.finish();
    return { header: header?.value ?? "", claim: claim?.value ?? "" };
  });
  reportLosses(message);
  if (issuer === undefined && keys.jwksUri === undefined) {
    message.report.error(
      message.at,
      `${message.path} has no issuer, and Istio needs one unless keys are fetched: pass --jwks-uri ${key.value}=URL`,
    );
  }
  message.finish();
  const own = spaceDelimited.filter((claim) => !ALWAYS_DELIMITED.includes(claim));
  return {
    name: key.value,
    at: key.at,
    rule: {
      ...(issuer && { issuer: issuer.value }),
      ...(audiences.length > 0 && { audiences }),
      ...keys,
      ...(fromHeaders.length > 0 && { fromHeaders }),
      ...(fromParams.length > 0 && { fromParams }),
      ...(fromCookies.length > 0 && { fromCookies }),
      ...(forward && { forwardOriginalToken: true }),
      ...(payloadHeader !== undefined && { outputPayloadToHeader: payloadHeader }),
      ...(claimHeaders.length > 0 && { outputClaimToHeaders: claimHeaders }),
      ...(own.length > 0 && { spaceDelimitedClaims: [...new Set(own)] }),
    },
    claims: {
      ...(issuer && { issuer: issuer.value }),
      ...(payloadKey !== undefined && { payloadKey }),
      spaceDelimited,
    },
    ...(subjectMatcher && { subjects: subjectMatcher }),
  };
}

function reportLosses(message: Message): void {
  const { report } = message;
  if (message.boolean("require_expiration")) {
    report.error(
      message.keyAt("require_expiration"),
      "Istio takes tokens without exp, which this provider refuses: they would be accepted",
    );
  }
  if (message.has("max_lifetime")) {
    report.error(
      message.keyAt("max_lifetime"),
      "Istio has no limit for the lifetime of tokens: tokens would be accepted that this provider refuses",
    );
  }
  message.ignore("max_lifetime");
  const skew = message.integer("clock_skew_seconds") || CLOCK_SKEW;
  if (skew < CLOCK_SKEW) {
    report.error(
      message.keyAt("clock_skew_seconds"),
      `Istio allows clocks to differ by ${CLOCK_SKEW} seconds: tokens would be accepted that expired up to ${CLOCK_SKEW} seconds ago, and this provider refuses them after ${skew}`,
    );
  } else if (skew > CLOCK_SKEW) {
    report.warning(
      message.keyAt("clock_skew_seconds"),
      `Istio allows clocks to differ by ${CLOCK_SKEW} seconds and not by ${skew}: tokens are refused earlier`,
    );
  }
  if (message.boolean("pad_forward_payload_header")) {
    report.warning(
      message.keyAt("pad_forward_payload_header"),
      "Istio writes the payload without padding: the service gets no = at its end",
    );
  }
  for (const field of ["header_in_metadata", "failed_status_in_metadata"]) {
    if (message.string(field) === undefined) continue;
    report.warning(message.keyAt(field), `${field} has no equivalent: jwtgate writes no metadata`);
  }
  // A cache of verified tokens is always on, and changed headers always clear the route.
  message.ignore("jwt_cache_config", "clear_route_cache");
}

/** A key set that is fetched, or is in the configuration or a file. */
function readKeys(message: Message, readFile: ReadFile): Pick<JwtRule, "jwks" | "jwksUri" | "timeout"> {
  const kind = message.oneOf("remote_jwks", "local_jwks");
  if (kind === undefined) {
    message.report.error(message.at, `${message.path} has no keys: neither remote_jwks nor local_jwks`);
    return {};
  }
  const source = message.message(kind);
  if (source === undefined) return {};
  return kind === "remote_jwks" ? readRemoteKeys(source) : readLocalKeys(source, readFile);
}

function readRemoteKeys(message: Message): Pick<JwtRule, "jwksUri" | "timeout"> {
  const http = message.message("http_uri");
  const uri = http?.string("uri");
  const cluster = http?.string("cluster");
  const timeout = http?.milliseconds("timeout");
  http?.finish();
  const ignored = ["cache_duration", "async_fetch", "retry_policy"].filter((name) => message.has(name));
  message.ignore("cache_duration", "async_fetch", "retry_policy");
  message.finish();
  if (uri === undefined) {
    message.report.error(message.at, `${message.path} has no http_uri.uri`);
    return {};
  }
  const losses = [
    ...(cluster
      ? [`keys are fetched from the host of this URL, and not from the cluster ${quote(cluster.value)}`]
      : []),
    ...(ignored.length > 0
      ? [`${ignored.join(", ")} ${ignored.length > 1 ? "have" : "has"} no equivalent`]
      : []),
  ];
  if (losses.length > 0) message.report.warning(uri.at, losses.join(", and "));
  const written = timeout === undefined || timeout === DEFAULT_TIMEOUT_MS ? undefined : `${timeout}ms`;
  return { jwksUri: uri.value, ...(written !== undefined && { timeout: written }) };
}

/** Reads an envoy.config.core.v3.DataSource. */
function readLocalKeys(message: Message, readFile: ReadFile): Pick<JwtRule, "jwks"> {
  const kind = message.oneOf("inline_string", "inline_bytes", "filename", "environment_variable");
  const value = kind === undefined ? undefined : message.string(kind);
  message.ignore("watched_directory");
  message.finish();
  if (value === undefined) {
    message.report.error(message.at, `${message.path} has no keys`);
    return {};
  }
  switch (kind) {
    case "inline_bytes":
      return { jwks: new TextDecoder().decode(Uint8Array.from(decodeBase64(value.value), (byte) => byte)) };
    case "filename": {
      const file = readFile(value.value);
      if ("text" in file) return { jwks: file.text };
      message.report.error(
        value.at,
        `${JSON.stringify(value.value)}: ${file.fault}: the keys are written into the policy, so the file must be here`,
      );
      return {};
    }
    case "environment_variable":
      message.report.error(
        value.at,
        "keys in an environment variable of Envoy cannot be read here: write them as inline_string",
      );
      return {};
    default:
      return { jwks: value.value };
  }
}

/** The bytes of standard base64; empty if the text is anything else. */
function decodeBase64(text: string): number[] {
  try {
    return Array.from(atob(text), (unit) => unit.charCodeAt(0));
  } catch {
    return [];
  }
}

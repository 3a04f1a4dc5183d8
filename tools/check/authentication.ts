/** Findings about RequestAuthentications: about each rule by itself, and about its keys. */
import type { Position } from "../diagnostics.ts";
import { hexEncode } from "../host/bytes.ts";
import { DEFAULT_PARAM } from "../istio/providers.ts";
import { quote } from "../istio/report.ts";
import type { JwtRule } from "../istio/request-authentication.ts";
import { algorithmsOf } from "../jwks/algorithms.ts";
import { decodeBase64 } from "../jwks/base64.ts";
import { JsonError, parseStrictJson } from "../jwks/json.ts";
import { normalizeJwks, privateMembersOf } from "../jwks/normalize.ts";
import { isLoopback } from "../jwks/source.ts";
import type { Findings } from "./findings.ts";

export function checkJwtRule(rule: JwtRule, findings: Findings): void {
  const { at, issuer, audiences, jwksUri, jwks, fromHeaders, fromParams, fromCookies } = rule;
  if (issuer === undefined) {
    findings.add("JG008", at, "tokens of any issuer are accepted, because this rule names none");
  } else if (issuer.value.includes("*")) {
    const message = `no token has the issuer ${quote(issuer.value)}: the asterisk is literal, and every token is refused`;
    findings.add("JG013", issuer.at, message);
  }
  if (audiences.length === 0) {
    const whose = issuer ? `of ${issuer.value}` : "of its issuers";
    const remedy = 'write audiences: ["YOUR-SERVICE"], as tokens for it have it in aud';
    findings.add(
      "JG002",
      at,
      `every token ${whose} is accepted, also one that was made for another service`,
      remedy,
    );
  }
  if (jwksUri && /^http:/i.test(jwksUri.value) && jwks === undefined) {
    findings.add("JG009", jwksUri.at, `the keys come over plain HTTP from ${quote(jwksUri.value)}`);
  }
  const source = jwks === undefined ? (jwksUri ?? issuer) : undefined;
  if (source && URL.canParse(source.value) && isLoopback(new URL(source.value))) {
    findings.add("JG012", source.at, `${quote(source.value)} is the proxy's own machine`);
  }
  if (fromParams.length > 0) {
    findings.add("JG010", at, `tokens are taken from the query parameter ${fromParams.join(", ")}`);
  } else if (fromHeaders.length + fromCookies.length === 0) {
    const message = `tokens are also taken from the query parameter ${DEFAULT_PARAM}, because the rule names no location of tokens`;
    findings.add("JG010", at, message, `write fromHeaders: ${DEFAULT_HEADER}`);
  }
  for (const { claim, claimAt } of rule.outputClaimToHeaders) {
    if (!isNameWithDots(claim)) continue;
    const names = claim.split(".");
    const message = `${quote(claim)} is read as the claim [${names.join("][")}], a value inside of objects`;
    findings.add("JG014", claimAt, message);
  }
  if (jwks) checkKeys(jwks.value, jwks.at, findings);
}

/** The header that tokens are taken from if a rule names no location, as YAML. */
const DEFAULT_HEADER = '[{name: Authorization, prefix: "Bearer "}]';

/**
 * Whether a claim's name is probably one name with dots in it: a URL, or a name that begins with a domain, as
 * `kubernetes.io` does.
 */
export function isNameWithDots(claim: string): boolean {
  if (!claim.includes(".")) return false;
  return claim.includes("://") || /\.(com|org|net|io|dev|cloud|app)(?=[./]|$)/.test(claim);
}

type Json = Record<string, unknown>;

const WEAK_RSA_BITS = 2048;
const GOOD_RSA_BITS = 3072;

function checkKeys(text: string, at: Position, findings: Findings): void {
  const keys = keysOf(text);
  for (const [index, key] of keys.entries()) {
    if (isObject(key)) checkKey(key, nameOf(key, index), at, findings);
  }
  for (const { message, keyIndex } of normalizeJwks(text).problems) {
    const key = keys[keyIndex ?? -1];
    const bits = isObject(key) ? rsaBits(key) : undefined;
    const isSaid = bits !== undefined && bits < WEAK_RSA_BITS;
    if (/: unusable: /.test(message) && !isSaid)
      findings.add("JG011", at, message.replace(": unusable: ", " is left out: "));
  }
}

function checkKey(key: Json, name: string, at: Position, findings: Findings): void {
  const { kty, alg } = key;
  const found = privateMembersOf(key);
  if (kty === "oct") {
    findings.add("JG003", at, `${name} is a shared secret (kty oct)`);
    const bytes = typeof key["k"] === "string" ? (decodeBase64(key["k"])?.length ?? 0) : 0;
    // RFC 7518 §3.2: a secret is at least as long as the hash.
    const algorithms = algorithmsOf({ kty });
    const { alg: what, hashBytes: needed = 0 } =
      algorithms.find((one) => one.alg === alg) ?? algorithms[0] ?? {};
    if (bytes < needed) {
      findings.add(
        "JG005",
        at,
        `${name} has a secret of ${bytes} bytes, and ${what} needs at least ${needed}`,
      );
    }
  } else if (found.length > 0) {
    findings.add("JG004", at, `${name} has private members (${found.join(", ")})`);
  }
  const bits = rsaBits(key);
  if (bits === undefined) return;
  if (bits < WEAK_RSA_BITS) findings.add("JG006", at, `${name} is an RSA key of ${bits} bits`);
  else if (bits < GOOD_RSA_BITS) findings.add("JG007", at, `${name} is an RSA key of ${bits} bits`);
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The elements of a key set; none for a map of certificates. */
function keysOf(text: string): unknown[] {
  try {
    const { keys } = parseStrictJson(text) as { keys?: unknown };
    return Array.isArray(keys) ? keys : [];
  } catch (error) {
    if (error instanceof JsonError) return [];
    throw error;
  }
}

function rsaBits({ kty, n }: Json): number | undefined {
  if (kty !== "RSA" || typeof n !== "string") return undefined;
  const modulus = BigInt(`0x0${hexEncode(decodeBase64(n) ?? new Uint8Array())}`);
  return modulus === 0n ? undefined : modulus.toString(2).length;
}

function nameOf({ kid }: Json, index: number): string {
  return typeof kid === "string" && kid !== "" ? `keys[${index}] (kid ${quote(kid)})` : `keys[${index}]`;
}

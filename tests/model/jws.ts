/**
 * A token read and verified as the filter must do it (assembly/jose), in plain TypeScript and with Node's cryptography.
 */
import {
  constants,
  createHmac,
  createPublicKey,
  type JsonWebKey,
  type KeyObject,
  timingSafeEqual,
  verify,
} from "node:crypto";
import type { Jwk } from "../../tools/config/schema.ts";
import type { KeyAttempt } from "../../tools/explain/tokens.ts";
import { JsonError, parseStrictJson } from "../../tools/jwks/json.ts";
import { ML_DSA } from "../support/ml-dsa.ts";
import type { Claims } from "./authz.ts";

/** The texts of refusals, as in the response's body (assembly/jose/status.ts). */
export const REFUSAL = {
  missing: "Jwt is missing",
  notYetValid: "Jwt not yet valid",
  expired: "Jwt is expired",
  format: "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
  issuer: "Jwt issuer is not configured",
  audience: "Audiences in Jwt are not allowed",
  verification: "Jwt verification fails",
  noKey: "Jwks doesn't have key to match kid or alg from Jwt",
  ed25519Length: "Jwt ED25519 signature is wrong length",
  fetch: "Jwks remote fetch is failed",
  tooLarge: "Jwt is too large",
  tooMany: "Too many Jwts in the request",
  type: "Jwt header [typ] is not allowed",
  lifetime: "Jwt lifetime is too long",
} as const;

/** A token that could be read. Nothing is verified. */
export interface Jws {
  header: Claims;
  payload: Claims;
  algorithm: string;
  /** "" if the header names no key. */
  kid: string;
  signedText: string;
  signature: Buffer;
  /** As received. */
  payloadSegment: string;
  /** Seconds since 1970; Infinity if the token never expires. */
  expiresAt: number;
  /** Seconds since 1970. */
  notBefore: number;
  /** Seconds since 1970; undefined if the token does not say it. */
  issuedAt: number | undefined;
}

const ALGORITHM = /^((RS|PS|ES|HS)(256|384|512)|EdDSA)$/;

const TWO_TO_64 = 2 ** 64;

/** Why a token cannot be read; the message is the response's body. */
export class Refusal extends Error {}

/**
 * @param token text whose characters are bytes
 * @throws {Refusal} the first fault, in Envoy's order (source/common/jwt/jwt.cc)
 */
export function parseJws(token: string): Jws {
  const parts = token.split(".");
  const [headerSegment = "", payloadSegment = "", signatureSegment = ""] = parts;
  if (parts.length !== 3 || parts.includes("")) throw new Refusal(REFUSAL.format);
  const header = parseSegment(headerSegment, "header");
  if (typeof header["alg"] !== "string")
    throw new Refusal("Jwt header [alg] field is required and must be a string");
  if (!ALGORITHM.test(header["alg"])) throw new Refusal("Jwt header [alg] is not supported");
  if (Object.hasOwn(header, "kid") && typeof header["kid"] !== "string") {
    throw new Refusal("Jwt header [kid] field is not a string");
  }
  const b64 = Object.hasOwn(header, "b64") ? header["b64"] : true;
  if (Object.hasOwn(header, "crit") || b64 !== true) throw new Refusal("Jwt header [crit] is not supported");
  const payload = parseSegment(payloadSegment, "payload");
  checkString(payload, "iss");
  checkString(payload, "sub");
  const issuedAt = readSeconds(payload, "iat");
  const notBefore = readSeconds(payload, "nbf") ?? 0;
  const expiresAt = readSeconds(payload, "exp") ?? Number.POSITIVE_INFINITY;
  checkString(payload, "jti");
  const audience = Object.hasOwn(payload, "aud") ? payload["aud"] : "";
  if (![audience].flat().every((element) => typeof element === "string")) {
    throw new Refusal("Jwt payload [aud] field is not a string or string list");
  }
  return {
    header,
    payload,
    algorithm: header["alg"],
    kid: typeof header["kid"] === "string" ? header["kid"] : "",
    signedText: `${headerSegment}.${payloadSegment}`,
    signature: decodeSegment(signatureSegment, "signature"),
    payloadSegment,
    expiresAt,
    notBefore,
    issuedAt,
  };
}

/** Base64url without padding, surplus characters or surplus bits (docs/strictness.md, S2). */
function decodeSegment(segment: string, name: string): Buffer {
  const bytes = Buffer.from(segment, "base64url");
  if (bytes.toString("base64url") === segment) return bytes;
  throw new Refusal(`Jwt ${name} is an invalid Base64url encoded`);
}

function parseSegment(segment: string, name: string): Claims {
  const bytes = decodeSegment(segment, name);
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    const value = parseStrictJson(text) ?? {};
    if (typeof value === "object" && !Array.isArray(value)) return value as Claims;
  } catch (error) {
    if (!(error instanceof JsonError || error instanceof TypeError)) throw error;
  }
  throw new Refusal(`Jwt ${name} is an invalid JSON`);
}

function checkString(payload: Claims, name: string): void {
  if (Object.hasOwn(payload, name) && typeof payload[name] !== "string") {
    throw new Refusal(`Jwt payload [${name}] field is not a string`);
  }
}

/** A NumericDate (RFC 7519 §2) without its fraction. */
function readSeconds(payload: Claims, name: string): number | undefined {
  if (!Object.hasOwn(payload, name)) return undefined;
  const value = payload[name];
  if (typeof value !== "number") throw new Refusal(`Jwt payload [${name}] field is not an integer`);
  if (value < 0 || value >= TWO_TO_64) {
    throw new Refusal(`Jwt payload [${name}] field is not a positive 64 bit integer`);
  }
  return Math.trunc(value);
}

/** Whether a value of `aud` is one of `audiences` (Envoy: source/common/jwt/check_audience.cc). */
export function audienceAllowed({ payload }: Jws, audiences: readonly string[]): boolean {
  if (!Object.hasOwn(payload, "aud")) return false;
  const allowed = new Set(audiences.map(sanitizeAudience));
  return [payload["aud"]].flat().some((audience) => allowed.has(sanitizeAudience(String(audience))));
}

function sanitizeAudience(audience: string): string {
  return audience.replace(/^https?:\/\//, "").replace(/\/$/, "");
}

/** Which key verifies a token, or why none does. */
export interface Verification {
  /** "" if one does; else the response's body. */
  refusal: string;
  attempts: KeyAttempt[];
}

const VERIFIED = "verified";

/**
 * Tries the keys that fit by `kid` and `alg`, in order (Envoy: source/common/jwt/verify.cc).
 *
 * @param maxKeysTried how many signatures are checked at most
 */
export function verifyJws(jws: Jws, keys: readonly Jwk[], maxKeysTried: number): Verification {
  const attempts: KeyAttempt[] = [];
  let matched = false;
  let tried = 0;
  for (const [index, key] of keys.entries()) {
    const { kid, kty, alg } = key;
    const note = (outcome: string) =>
      attempts.push({ index, ...(kid && { kid }), kty, ...(alg && { alg }), outcome });
    if (jws.kid !== "" && kid && kid !== jws.kid) {
      note(`not tried: its kid is not ${JSON.stringify(jws.kid)}`);
      continue;
    }
    if (alg && alg !== jws.algorithm) {
      note(`not tried: it is for ${alg} only, and the token has ${jws.algorithm}`);
      continue;
    }
    matched = true;
    if (kty === "OKP" && jws.signature.length !== 64) {
      note("the signature is not 64 bytes long, so the search ends here");
      return { refusal: jws.algorithm === "EdDSA" ? REFUSAL.ed25519Length : REFUSAL.verification, attempts };
    }
    if (!algorithmsOf(key).includes(jws.algorithm)) {
      note(`not tried: a key of this type does not verify ${jws.algorithm}`);
      continue;
    }
    if (tried++ === maxKeysTried) {
      note(`not tried: ${maxKeysTried} keys were`);
      break;
    }
    const good = verifySignature(jws, key);
    note(good ? VERIFIED : "tried: the signature is not by this key");
    if (good) return { refusal: "", attempts };
  }
  return { refusal: matched ? REFUSAL.verification : REFUSAL.noKey, attempts };
}

/** By `crv`: the only algorithm (docs/strictness.md, S5), and the signature's length in bytes. */
const CURVES = new Map([
  ["P-256", { algorithm: "ES256", size: 64 }],
  ["P-384", { algorithm: "ES384", size: 96 }],
  ["P-521", { algorithm: "ES512", size: 132 }],
]);

/** What a key can verify, for any token. */
function algorithmsOf({ kty, crv = "", alg }: Jwk): string[] {
  const ofType = (): string[] => {
    switch (kty) {
      case "RSA":
        return ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
      case "EC":
        return [CURVES.get(crv)?.algorithm ?? ""];
      case "OKP":
        return ["EdDSA"];
      case "AKP":
        return [...ML_DSA.keys()];
      case "oct":
        return ["HS256", "HS384", "HS512"];
    }
  };
  return ofType().filter((algorithm) => !alg || alg === algorithm);
}

/** Whether the signature belongs to the key, which is known to fit the algorithm. */
function verifySignature({ algorithm, signedText, signature }: Jws, key: Jwk): boolean {
  const text = Buffer.from(signedText, "latin1");
  const bits = Number(algorithm.slice(2));
  const hash = `sha${bits}`;
  if (key.kty === "oct") {
    const expected = createHmac(hash, Buffer.from(key.k ?? "", "base64url"))
      .update(text)
      .digest();
    return expected.length === signature.length && timingSafeEqual(expected, signature);
  }
  const mlDsa = ML_DSA.get(algorithm);
  if (mlDsa !== undefined) {
    return (
      signature.length === mlDsa.lengths.signature &&
      mlDsa.verify(signature, text, Buffer.from(key.pub ?? "", "base64url"))
    );
  }
  const publicKey = importKey(key);
  switch (algorithm.slice(0, 2)) {
    case "RS":
      return verify(hash, text, publicKey, signature);
    case "PS": {
      // RFC 7518 §3.5: the salt is as long as the hash.
      const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: bits / 8 };
      return verify(hash, text, { key: publicKey, ...padding }, signature);
    }
    case "ES":
      if (signature.length !== CURVES.get(key.crv ?? "")?.size) return false;
      return verify(hash, text, { key: publicKey, dsaEncoding: "ieee-p1363" }, signature);
    default:
      return verify(null, text, publicKey, signature);
  }
}

function importKey(key: Jwk): KeyObject {
  const { kty, crv, n, e, x, y } = key;
  return createPublicKey({ format: "jwk", key: { kty, crv, n, e, x, y } as JsonWebKey });
}

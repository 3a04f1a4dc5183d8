/** Spoils valid tokens, each in one way, as an attacker or an accident would (spoils.ts describes how). */
import { base64Decode, base64UrlEncode, utf8Encode } from "../host/bytes.ts";
import { algorithmsOf } from "../jwks/algorithms.ts";
import { encodePart, type KeyMaker, mint, SigningKey } from "./mint.ts";
import type { Spoil } from "./spoils.ts";

type Json = Record<string, unknown>;

/** A token, and what it was signed with. */
export interface Signed {
  key: SigningKey;
  header: Json;
  payload: Json;
  alg: string;
  text: string;
}

/** A token cannot be spoilt in this way; the message is for the user. */
export class NotSpoilable extends Error {
  override readonly name = "NotSpoilable";
}

/** The usual algorithm of keys that are secrets. */
const SECRET_ALG = algorithmsOf({ kty: "oct" })[0]?.alg ?? "";

const HOUR_SECONDS = 3600;
const ATTACKER = "https://attacker.example";

/**
 * @param now milliseconds since 1970
 * @param makeKey makes the attacker's key
 * @returns the spoilt token
 * @throws {NotSpoilable} if a token of this kind cannot be spoilt in this way
 */
export async function spoil(
  { key, header, payload, alg, text }: Signed,
  how: Spoil,
  now: number,
  makeKey: KeyMaker,
): Promise<string> {
  const seconds = Math.floor(now / 1000);
  const [headerPart = "", payloadPart = "", signature = ""] = text.split(".");
  const signedBy = (signer: SigningKey, changed: Json = header) => mint(signer, changed, payload, alg);
  const stranger = async () => SigningKey.with(await makeKey(key.alg, `spoil.${key.kid}`), key.alg, key.kid);
  const withClaims = (claims: Json) => mint(key, header, { ...payload, ...claims }, alg);
  const withSignature = (changed: string) => `${headerPart}.${payloadPart}.${changed}`;
  const bytes = base64Decode(signature);
  switch (how) {
    case "wrong-key":
      return signedBy(await stranger());
    case "unknown-kid":
      return signedBy(key, { ...header, kid: crypto.randomUUID() });
    case "embedded-key": {
      if (key.isSecret)
        throw new NotSpoilable("embedded-key needs a token of a public key, and this one is of HMAC");
      const attacker = await stranger();
      return signedBy(attacker, { ...header, jwk: attacker.jwk });
    }
    case "alg-none":
      return mint(key, { ...header, alg: "none" }, payload, "none");
    case "alg-confusion":
      if (key.isSecret)
        throw new NotSpoilable("alg-confusion needs a token of a public key, and this one is of HMAC");
      return mint(key, { ...header, alg: SECRET_ALG }, payload, SECRET_ALG);
    case "expired":
      return withClaims({ exp: seconds - HOUR_SECONDS });
    case "not-yet-valid":
      return withClaims({ nbf: seconds + HOUR_SECONDS, exp: seconds + 2 * HOUR_SECONDS });
    case "wrong-issuer":
      return withClaims({ iss: ATTACKER });
    case "wrong-audience":
      return withClaims({ aud: ATTACKER });
    case "changed-claims":
      return `${headerPart}.${encodePart({ ...payload, changed: true })}.${signature}`;
    case "flipped-signature":
      return withSignature(withFlippedBit(signature));
    case "truncated-signature":
      return withSignature(base64UrlEncode(bytes.subarray(0, -1)));
    case "zero-signature":
      return withSignature(base64UrlEncode(new Uint8Array(bytes.length)));
    case "no-signature":
      return withSignature("");
    case "crit":
      return signedBy(key, { ...header, crit: ["unknown"], unknown: true });
    case "duplicate-member": {
      const twice = `${JSON.stringify(header).slice(0, -1)},"alg":${JSON.stringify(alg)}}`;
      const signed = `${base64UrlEncode(utf8Encode(twice))}.${payloadPart}`;
      return `${signed}.${base64UrlEncode(await key.sign(signed, alg))}`;
    }
  }
}

/** The signature with its first bit changed. */
export function withFlippedBit(signature: string): string {
  const bytes = base64Decode(signature);
  if (bytes[0] !== undefined) bytes[0] ^= 0x80;
  return base64UrlEncode(bytes);
}

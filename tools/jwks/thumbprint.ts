/** Thumbprints of keys (RFC 7638). */
import { sha256 } from "@noble/hashes/sha2.js";
import { base64UrlEncode, utf8Encode } from "../host/bytes.ts";

/** A key as JSON; members as RFC 7517 and 7518 name them. */
export type JsonKey = Record<string, unknown>;

/** The members that a thumbprint is made of, in its order (RFC 7638 §3.2, RFC 8037 §2, RFC 9964 §6). */
const MEMBERS = new Map([
  ["RSA", ["e", "kty", "n"]],
  ["EC", ["crv", "kty", "x", "y"]],
  ["OKP", ["crv", "kty", "x"]],
  ["AKP", ["alg", "kty", "pub"]],
  ["oct", ["k", "kty"]],
]);

/** The SHA-256 thumbprint of a key. A key that lacks members has one too, so that messages can name it. */
export function thumbprint(key: JsonKey): string {
  const names = MEMBERS.get(String(key["kty"])) ?? ["kty"];
  const members = Object.fromEntries(names.map((name) => [name, key[name]]));
  return base64UrlEncode(sha256(utf8Encode(JSON.stringify(members))));
}

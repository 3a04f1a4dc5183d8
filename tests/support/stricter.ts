/**
 * Where jwtgate answers differently from Envoy on purpose: every recorded request that a point of docs/strictness.md
 * concerns, with the answer – and the one request whose keys istiod would have fetched. Every other request must be
 * answered exactly as recorded.
 */
import type { Case, CaseRequest, Expectation } from "./cases.ts";

/** The points of docs/strictness.md. */
export type Point = `S${1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12}`;

/** The body of jwtgate's 401. */
type Stricter = readonly [point: Point | "own fetch", body: string];

const HEADER_BASE64 = "Jwt header is an invalid Base64url encoded";
const PAYLOAD_BASE64 = "Jwt payload is an invalid Base64url encoded";
const SIGNATURE_BASE64 = "Jwt signature is an invalid Base64url encoded";
const SECTIONS = "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections";
const NO_KEY = "Jwks doesn't have key to match kid or alg from Jwt";
const FAILS = "Jwt verification fails";

/** By case and request. */
export const STRICTER: Readonly<Record<string, Readonly<Record<string, Stricter>>>> = {
  // The last remaining character has bits that belong to no byte.
  "alg/RS256": { "truncated signature": ["S2", SIGNATURE_BASE64] },
  "alg/PS384": { "truncated signature": ["S2", SIGNATURE_BASE64] },
  "alg/PS384 jwk has alg": { "truncated signature": ["S2", SIGNATURE_BASE64] },
  "alg/HS256 jwk has alg": { "truncated signature": ["S2", SIGNATURE_BASE64] },
  "alg/HS512": { "truncated signature": ["S2", SIGNATURE_BASE64] },
  // ES256 requires P-256; the key is on P-384.
  "alg/ES384": { "signed with ES256": ["S5", FAILS] },
  "edges/bare header, after": {
    "+'=='": ["S2", SIGNATURE_BASE64],
    "+'.'": ["S3", SECTIONS],
    "+'..'": ["S3", SECTIONS],
    "+'a'": ["S2", SIGNATURE_BASE64],
    "+'-'": ["S2", SIGNATURE_BASE64],
    "+'_'": ["S2", SIGNATURE_BASE64],
  },
  "edges/param": {
    "+'=='": ["S2", SIGNATURE_BASE64],
    "+'.'": ["S3", SECTIONS],
    "+'..'": ["S3", SECTIONS],
    "+'%20'": ["S2", SIGNATURE_BASE64],
    "+'a'": ["S2", SIGNATURE_BASE64],
    "+'-'": ["S2", SIGNATURE_BASE64],
    "+'_'": ["S2", SIGNATURE_BASE64],
    "'.'+": ["S3", SECTIONS],
    "'..'+": ["S3", SECTIONS],
  },
  // The first of two keys says "use": "enc".
  "keyset/use enc": {
    "first, kid": ["S6", NO_KEY],
    "first, no kid": ["S6", FAILS],
    "second, kid": ["S6", NO_KEY],
    "none of them": ["S6", NO_KEY],
    "first, empty kid": ["S6", FAILS],
  },
  // No server answers at the URL of the keys. istiod fetches for Envoy and inserts a key that no server has;
  // jwtgate fetches by itself, and answers as Envoy does if it fetches itself.
  "issuer/uri alone, keys not fetched": { right: ["own fetch", "Jwks remote fetch is failed"] },
  // `JWT JWT TOKEN`: white space inside base64url.
  "location/header, prefix 'JWT '": { "prefix twice": ["S2", HEADER_BASE64] },
  "malformed/set 2": { "payload control char": ["S4", "Jwt payload is an invalid JSON"] },
  "malformed/set 8": { "trailing dot": ["S3", SECTIONS], "tab inside": ["S2", PAYLOAD_BASE64] },
  "times/expired needs principal": { "exp 0": ["S8", "Jwt is expired"] },
};

/** jwtgate's answer to a recorded request. */
export function expectationOf(recorded: Case, request: CaseRequest): Expectation {
  const stricter = STRICTER[recorded.name]?.[request.name];
  if (stricter === undefined) return request.expect;
  const [, body] = stricter;
  // Envoy cuts the path, its query included, at 256 bytes.
  const realm = `http://${request.authority}${request.path.slice(0, 256)}`;
  return {
    status: 401,
    body,
    www_authenticate: `Bearer realm="${realm}", error="invalid_token"`,
    content_type: "text/plain",
    details: `jwt_authn_access_denied{${body.replaceAll(" ", "_")}}`,
  };
}

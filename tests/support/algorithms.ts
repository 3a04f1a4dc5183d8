/** The algorithms that jwtgate verifies (RFC 7518 section 3.1, RFC 8037 section 3.1, RFC 9864 section 2.2), separate from the tools' own list. */
export const ALGORITHMS = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "HS256",
  "HS384",
  "HS512",
  "EdDSA",
  "Ed25519",
] as const;

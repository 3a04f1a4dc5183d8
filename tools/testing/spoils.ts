/** The names of the ways to spoil a token (spoil.ts applies them). */

/** Ways to spoil a valid token, and what each does. */
export const SPOILS = {
  "wrong-key": "Signed by a new key of the same kind; the `kid` is still that of the real one.",
  "unknown-kid": "Signed by the right key, under a `kid` that no key has.",
  "embedded-key": "Signed by a new key, whose public half is in the header (`jwk`).",
  "alg-none": "`alg` is `none`, and the signature is empty.",
  "alg-confusion": "`alg` is `HS256`, signed with the PEM of the public key as the secret.",
  expired: "`exp` is one hour ago.",
  "not-yet-valid": "`nbf` is one hour ahead.",
  "wrong-issuer": "`iss` is `https://attacker.example`.",
  "wrong-audience": "`aud` is `https://attacker.example`. A policy without `audiences` accepts it.",
  "changed-claims": "A claim is added after signing.",
  "flipped-signature": "One bit of the signature is changed.",
  "truncated-signature": "The signature lacks its last byte.",
  "zero-signature": "All bytes of the signature are zero.",
  "no-signature": "The signature is empty.",
  crit: "The header names an unknown critical extension (RFC 7515 §4.1.11).",
  "duplicate-member": "The header has `alg` twice (RFC 7515 §4).",
} as const;
export type Spoil = keyof typeof SPOILS;

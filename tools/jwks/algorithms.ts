/** The algorithms that the filter verifies, in one table: every other file looks them up here. */

/** The properties of an algorithm (RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2, RFC 9964 §3). */
export interface Algorithm {
  readonly alg: string;
  readonly kty: "RSA" | "EC" | "OKP" | "oct" | "AKP";
  /** The curve of its keys, if there is only one. */
  readonly crv?: "P-256" | "P-384" | "P-521" | "Ed25519";
  /** The signature scheme, as WebCrypto names it; all parameter sets of ML-DSA are one. */
  readonly scheme: "RSASSA-PKCS1-v1_5" | "RSA-PSS" | "ECDSA" | "Ed25519" | "HMAC" | "ML-DSA";
  /** WebCrypto's name. Absent if the scheme brings its own. */
  readonly hash?: "SHA-256" | "SHA-384" | "SHA-512";
  /** The length of a digest: also of a new secret (§3.2), and of the salt of RSA-PSS (§3.5). */
  readonly hashBytes?: number;
  /** The length of a coordinate of a public key (§6.2.1.2, RFC 8037 §2). */
  readonly coordinateBytes?: number;
  /** The length of a public key, if all have the same (FIPS 204, table 2). */
  readonly publicKeyBytes?: number;
}

const SHA256 = { hash: "SHA-256", hashBytes: 32 } as const;
const SHA384 = { hash: "SHA-384", hashBytes: 48 } as const;
const SHA512 = { hash: "SHA-512", hashBytes: 64 } as const;
const RSA = { kty: "RSA", scheme: "RSASSA-PKCS1-v1_5" } as const;
const PSS = { kty: "RSA", scheme: "RSA-PSS" } as const;
const EC = { kty: "EC", scheme: "ECDSA" } as const;
const OKP = { kty: "OKP", scheme: "Ed25519" } as const;
const AKP = { kty: "AKP", scheme: "ML-DSA" } as const;
const OCT = { kty: "oct", scheme: "HMAC" } as const;

/** Of the algorithms of one kind of key, the usual one is first. */
export const ALGORITHMS = [
  { alg: "RS256", ...RSA, ...SHA256 },
  { alg: "RS384", ...RSA, ...SHA384 },
  { alg: "RS512", ...RSA, ...SHA512 },
  { alg: "PS256", ...PSS, ...SHA256 },
  { alg: "PS384", ...PSS, ...SHA384 },
  { alg: "PS512", ...PSS, ...SHA512 },
  { alg: "ES256", ...EC, ...SHA256, crv: "P-256", coordinateBytes: 32 },
  { alg: "ES384", ...EC, ...SHA384, crv: "P-384", coordinateBytes: 48 },
  { alg: "ES512", ...EC, ...SHA512, crv: "P-521", coordinateBytes: 66 },
  { alg: "EdDSA", ...OKP, crv: "Ed25519", coordinateBytes: 32 },
  // RFC 9864 §2.2: the same with the curve in its name.
  { alg: "Ed25519", ...OKP, crv: "Ed25519", coordinateBytes: 32 },
  { alg: "ML-DSA-44", ...AKP, publicKeyBytes: 1312 },
  { alg: "ML-DSA-65", ...AKP, publicKeyBytes: 1952 },
  { alg: "ML-DSA-87", ...AKP, publicKeyBytes: 2592 },
  { alg: "HS256", ...OCT, ...SHA256 },
  { alg: "HS384", ...OCT, ...SHA384 },
  { alg: "HS512", ...OCT, ...SHA512 },
] as const satisfies readonly Algorithm[];

export type AlgorithmName = (typeof ALGORITHMS)[number]["alg"];

/** For keys without a chosen algorithm. */
export const DEFAULT_ALGORITHM: AlgorithmName = ALGORITHMS[0].alg;

export const ALGORITHM_NAMES = ALGORITHMS.map(({ alg }) => alg);

/** @returns undefined if the filter does not verify an algorithm of that name */
export function algorithmNamed(name: string): Algorithm | undefined {
  return ALGORITHMS.find(({ alg }) => alg === name);
}

/**
 * The algorithms that a key can sign with, the usual one first; none if the filter does not accept the key. A key of type
 * AKP is for its `alg` alone (RFC 9964 §2).
 */
export function algorithmsOf({
  kty,
  crv,
  alg,
}: {
  kty?: unknown;
  crv?: unknown;
  alg?: unknown;
}): readonly Algorithm[] {
  const known: readonly Algorithm[] = ALGORITHMS;
  return known.filter(
    (one) =>
      one.kty === kty && (one.crv === undefined || one.crv === crv) && (kty !== "AKP" || one.alg === alg),
  );
}

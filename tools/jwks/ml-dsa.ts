/** Keys for ML-DSA (FIPS 204): made, read and written by portable code, because OpenSSL knows them only from 3.5 on. */
import { ml_dsa44, ml_dsa65, ml_dsa87 } from "@noble/post-quantum/ml-dsa.js";
import { der, type Element, elements, elementsOf, TAG } from "../encoding/der.ts";
import { pem } from "../encoding/pem.ts";
import { base64UrlEncode, hexEncode } from "../host/bytes.ts";
import type { JsonKey } from "./thumbprint.ts";

/** The parameter sets. Those with object identifiers (RFC 9881 §2) in hexadecimal. */
const SETS = [
  { alg: "ML-DSA-44", oid: "608648016503040311", scheme: ml_dsa44 },
  { alg: "ML-DSA-65", oid: "608648016503040312", scheme: ml_dsa65 },
  { alg: "ML-DSA-87", oid: "608648016503040313", scheme: ml_dsa87 },
] as const;

/** The length of the seed that is the private key (RFC 9964 §2). */
const SEED_BYTES = 32;

/** Tag of the seed alone in a private key (RFC 9881 §6): of the context, not constructed. */
const SEED_TAG = 0x80;

function setNamed(alg: unknown) {
  const set = SETS.find((one) => one.alg === alg);
  if (set === undefined) throw new RangeError(`${alg} is not a parameter set of ML-DSA`);
  return set;
}

/**
 * The public key of a private one.
 *
 * @param alg the name of an algorithm, such as `ML-DSA-44`
 * @throws {RangeError} unless the seed has 32 bytes and there is such an algorithm
 */
export function mlDsaPublicKey(alg: unknown, seed: Uint8Array): Uint8Array {
  if (seed.length !== SEED_BYTES) throw new RangeError(`a seed has ${SEED_BYTES} bytes`);
  return setNamed(alg).scheme.keygen(seed).publicKey;
}

/** A new private key: its seed. */
export function mlDsaSeed(): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(SEED_BYTES));
}

/** Signs a text without context (RFC 9964 §3). @throws {RangeError} as `mlDsaPublicKey` */
export function mlDsaSign(alg: unknown, seed: Uint8Array, text: Uint8Array): Uint8Array {
  const { scheme } = setNamed(alg);
  return scheme.sign(text, scheme.keygen(seed).secretKey);
}

/** A public key in PEM: SubjectPublicKeyInfo (RFC 9881 §4). @throws {RangeError} if there is no such algorithm */
export function mlDsaPublicPem(alg: unknown, pub: Uint8Array): string {
  const info = der(TAG.sequence, identifier(alg), der(TAG.bitString, Uint8Array.of(0), pub));
  return pem("PUBLIC KEY", info);
}

/** A private key in PEM: PrivateKeyInfo (RFC 9881 §6) with the seed alone. @throws {RangeError} if there is no such algorithm */
export function mlDsaPrivatePem(alg: unknown, seed: Uint8Array): string {
  const version = der(TAG.integer, Uint8Array.of(0));
  const key = der(TAG.octetString, der(SEED_TAG, seed));
  return pem("PRIVATE KEY", der(TAG.sequence, version, identifier(alg), key));
}

function identifier(alg: unknown): Uint8Array {
  const digits = setNamed(alg).oid.match(/../g) ?? [];
  return der(
    TAG.sequence,
    der(
      TAG.objectIdentifier,
      Uint8Array.from(digits, (byte) => Number.parseInt(byte, 16)),
    ),
  );
}

/**
 * The public key of a SubjectPublicKeyInfo or a PrivateKeyInfo for ML-DSA, as a JWK.
 *
 * @returns undefined if the bytes are something else
 */
export function mlDsaKey(bytes: Uint8Array): JsonKey | undefined {
  const { priv, ...key } = mlDsaPrivateKey(bytes) ?? {};
  return priv === undefined ? mlDsaKeyOfInfo(elementsOf(bytes, TAG.sequence) ?? []) : key;
}

/** The key of a SubjectPublicKeyInfo with these parts; undefined if it is none for ML-DSA. */
export function mlDsaKeyOfInfo([algorithm, bits]: readonly Element[]): JsonKey | undefined {
  const set = setOf(algorithm);
  if (set === undefined || bits?.tag !== TAG.bitString || bits.content[0] !== 0) return undefined;
  const pub = bits.content.subarray(1);
  if (pub.length !== set.scheme.lengths.publicKey) return undefined;
  return { kty: "AKP", alg: set.alg, pub: base64UrlEncode(pub) };
}

/** The parameter set of an AlgorithmIdentifier. */
function setOf(algorithm: Element | undefined) {
  if (algorithm?.tag !== TAG.sequence) return undefined;
  const oid = hexEncode(elements(algorithm.content)?.[0]?.content ?? new Uint8Array());
  return SETS.find((one) => one.oid === oid);
}

/**
 * The private key of a PrivateKeyInfo for ML-DSA, as a JWK.
 *
 * @returns undefined if the bytes are something else, or if the seed is not there: an expanded key has no JWK (RFC 9964
 *   §2)
 */
export function mlDsaPrivateKey(bytes: Uint8Array): JsonKey | undefined {
  const [version, algorithm, key] = elementsOf(bytes, TAG.sequence) ?? [];
  const set = setOf(algorithm);
  if (set === undefined || version?.tag !== TAG.integer || key?.tag !== TAG.octetString) return undefined;
  const seed = seedOf(elements(key.content)?.[0]);
  if (seed?.length !== SEED_BYTES) return undefined;
  const pub = base64UrlEncode(mlDsaPublicKey(set.alg, seed));
  return { kty: "AKP", alg: set.alg, pub, priv: base64UrlEncode(seed) };
}

/** ML-DSA-PrivateKey (RFC 9881 §6): the seed, or the seed and the expanded key. */
function seedOf(choice: Element | undefined): Uint8Array | undefined {
  if (choice?.tag === SEED_TAG) return choice.content;
  return choice?.tag === TAG.sequence ? elements(choice.content)?.[0]?.content : undefined;
}

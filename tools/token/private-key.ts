/** Keys that sign: read, made and used by jose and WebCrypto, in Node and in browsers. */
import { ed25519 } from "@noble/curves/ed25519.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256, sha384, sha512 } from "@noble/hashes/sha2.js";
import {
  type CryptoKey,
  exportJWK,
  exportSPKI,
  generateKeyPair,
  importJWK,
  importPKCS8,
  type JWK,
} from "jose";
import { base64Decode, base64UrlEncode, utf8Encode } from "../host/bytes.ts";
import { ALGORITHMS, type Algorithm, algorithmNamed, algorithmsOf } from "../jwks/algorithms.ts";
import { bytesOfPem } from "../jwks/base64.ts";
import { mlDsaPrivateKey, mlDsaPublicKey, mlDsaPublicPem, mlDsaSeed, mlDsaSign } from "../jwks/ml-dsa.ts";
import type { JsonKey } from "../jwks/thumbprint.ts";

/** Reads one block of PEM that is a private key; rejects or throws if it cannot. The JWK of another type has only its `kty`. */
export type PemReader = (block: string) => JsonKey | Promise<JsonKey>;

/** The members of public keys, and those of private ones (RFC 7518 §6, RFC 8037 §2, RFC 9964 §2). */
const PUBLIC = ["kty", "crv", "x", "y", "n", "e", "pub"];
const PRIVATE = ["d", "p", "q", "dp", "dq", "qi", "priv"];

const RSA_BITS = 2048;

const DIGESTS = { "SHA-256": sha256, "SHA-384": sha384, "SHA-512": sha512 };

/**
 * A private key or a secret, to sign tokens for tests.
 *
 * @example
 * ```ts
 * import { PrivateKey } from "jwtgate";
 *
 * const key = await PrivateKey.generate("ES256");
 * const jwks = JSON.stringify({ keys: [key.verifying] });
 * console.log("d" in key.signing, jwks.includes('"d"')); // true false
 * ```
 */
export class PrivateKey {
  private readonly imported = new Map<string, Promise<CryptoKey>>();

  private constructor(
    private readonly jwk: JsonKey,
    /** The algorithms that it can sign with, the usual one first. */
    readonly algorithms: readonly Algorithm[],
  ) {}

  /**
   * Reads a key.
   *
   * @param jwk with private members, or a secret
   * @throws if its numbers are not a key; a key of a type that signs nothing here has no `algorithms`
   */
  static async import(jwk: JsonKey): Promise<PrivateKey> {
    const names = [...publicMembersOf(jwk), ...PRIVATE, "k"];
    const key = new PrivateKey(members(jwk, names), algorithmsOf(jwk));
    const [usual] = key.algorithms;
    // Only the private half counts, as in OpenSSL.
    if (usual?.kty === "OKP") key.jwk["x"] = base64UrlEncode(ed25519.getPublicKey(key.secret("d")));
    else if (usual?.kty === "AKP")
      key.jwk["pub"] = base64UrlEncode(mlDsaPublicKey(usual.alg, key.secret("priv")));
    else if (usual !== undefined && usual.kty !== "oct") await key.for(usual);
    return key;
  }

  /**
   * Makes a key.
   *
   * @param alg the algorithm that it is for, such as `ES256`
   * @throws {RangeError} if the filter verifies no algorithm of that name
   */
  static async generate(alg: string): Promise<PrivateKey> {
    const algorithm = algorithmNamed(alg);
    if (algorithm === undefined) throw new RangeError(`${alg} is not an algorithm`);
    const { kty, crv, hashBytes } = algorithm;
    if (kty === "oct") {
      const k = base64UrlEncode(crypto.getRandomValues(new Uint8Array(hashBytes ?? 0)));
      return PrivateKey.import({ kty, k });
    }
    if (kty === "OKP") {
      const { secretKey, publicKey } = ed25519.keygen();
      return PrivateKey.import({ kty, crv, x: base64UrlEncode(publicKey), d: base64UrlEncode(secretKey) });
    }
    if (kty === "AKP") return PrivateKey.import({ kty, alg, priv: base64UrlEncode(mlDsaSeed()) });
    const { privateKey } = await generateKeyPair(alg, { extractable: true, modulusLength: RSA_BITS });
    return PrivateKey.import({ ...(await exportJWK(privateKey)) });
  }

  /** The members that verify: the public ones, or the secret. */
  get verifying(): JsonKey {
    return members(this.jwk, this.jwk["kty"] === "oct" ? ["kty", "k"] : publicMembersOf(this.jwk));
  }

  /** The private members, or the secret. */
  get signing(): JsonKey {
    return { ...this.jwk };
  }

  /**
   * Signs a text. jose signs only whole tokens, with headers that verify; tests need others, so this works at a lower
   * level.
   *
   * @param algorithm that fits the kind of key, possibly with another hash than the curve's own
   * @internal
   */
  async sign(text: string, algorithm: Algorithm): Promise<Uint8Array> {
    const bytes = utf8Encode(text);
    const { scheme, hash, hashBytes } = algorithm;
    if (scheme === "HMAC") return hmac(DIGESTS[hash ?? "SHA-256"], this.secret("k"), bytes);
    if (scheme === "Ed25519") return ed25519.sign(bytes, this.secret("d"));
    if (scheme === "ML-DSA") return mlDsaSign(algorithm.alg, this.secret("priv"), bytes);
    const [own = algorithm] = this.algorithms;
    // An ECDSA key belongs to its curve, with any hash.
    const key = await this.for(scheme === "ECDSA" ? own : algorithm);
    const parameters = { name: scheme, ...(hash && { hash }), ...(hashBytes && { saltLength: hashBytes }) };
    return new Uint8Array(await crypto.subtle.sign(parameters, key, bytes));
  }

  /**
   * Signs with the PEM of the public key as an HMAC secret, as attackers do.
   *
   * @internal
   */
  async signConfused(text: string, { hash }: Algorithm): Promise<Uint8Array> {
    return hmac(DIGESTS[hash ?? "SHA-256"], utf8Encode(await this.publicPem()), utf8Encode(text));
  }

  private async publicPem(): Promise<string> {
    const [own] = this.algorithms;
    if (own?.kty === "AKP") return mlDsaPublicPem(own.alg, this.secret("pub"));
    const key = await importJWK(this.verifying as JWK, own?.alg ?? "", { extractable: true });
    return `${await exportSPKI(key as CryptoKey)}\n`;
  }

  private secret(member: string): Uint8Array {
    return base64Decode(String(this.jwk[member] ?? ""));
  }

  private for({ alg }: Algorithm): Promise<CryptoKey> {
    const known = this.imported.get(alg) ?? (importJWK(this.jwk as JWK, alg) as Promise<CryptoKey>);
    this.imported.set(alg, known);
    return known;
  }
}

/** The private key of one PEM block in PKCS #8, the only form that browsers know. */
export async function readPkcs8(block: string): Promise<JsonKey> {
  const mlDsa = mlDsaPrivateKey(bytesOfPem(block));
  if (mlDsa !== undefined) return mlDsa;
  for (const { alg } of ALGORITHMS.filter(({ kty }) => kty !== "oct" && kty !== "AKP")) {
    try {
      return { ...(await exportJWK(await importPKCS8(block, alg, { extractable: true }))) };
    } catch {
      // It is a key for another algorithm, or not a key.
    }
  }
  throw new TypeError("this is not a private key in PKCS #8");
}

/** Other keys are for several algorithms, so that the caller adds `alg`. */
function publicMembersOf({ kty }: JsonKey): string[] {
  return kty === "AKP" ? [...PUBLIC, "alg"] : PUBLIC;
}

function members(jwk: JsonKey, names: readonly string[]): JsonKey {
  return Object.fromEntries(names.filter((name) => jwk[name] !== undefined).map((name) => [name, jwk[name]]));
}

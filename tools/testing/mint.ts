/** Keys and tokens for tests. A token may be anything that a test expects to be refused, so nothing is checked here. */
import { base64Decode, base64UrlEncode, utf8Decode, utf8Encode } from "../host/bytes.ts";
import { type Algorithm, algorithmNamed } from "../jwks/algorithms.ts";
import type { JsonKey } from "../jwks/thumbprint.ts";
import { type PemReader, PrivateKey, readPkcs8 } from "../token/private-key.ts";

type Json = Record<string, unknown>;

/**
 * Makes a key that the test file does not have.
 *
 * @param owner what the key is for: `keys.NAME`, or `spoil.KID` for an attacker's key
 */
export type KeyMaker = (alg: string, owner: string) => Promise<PrivateKey>;

/** A key that signs. */
export class SigningKey {
  private constructor(
    readonly kid: string,
    readonly alg: string,
    private readonly key: PrivateKey,
  ) {}

  /** A new key of the kind that `alg` needs. */
  static async generate(alg: string, kid: string): Promise<SigningKey> {
    return SigningKey.with(await PrivateKey.generate(alg), alg, kid);
  }

  /** Wraps an existing key. */
  static with(key: PrivateKey, alg: string, kid: string): SigningKey {
    return new SigningKey(kid, alg, key);
  }

  /**
   * @param text PEM, or a JWK as JSON, private or `oct`
   * @param alg if the text does not have one
   * @throws if it is neither; the message explains why
   */
  static async from(
    text: string,
    kid: string,
    alg: string | undefined,
    readPem: PemReader = readPkcs8,
  ): Promise<SigningKey> {
    const isPem = /^\s*-----BEGIN /.test(text);
    const jwk: JsonKey = isPem ? await readPem(text) : JSON.parse(text);
    const key = await PrivateKey.import(jwk);
    const [usual] = key.algorithms;
    if (usual === undefined || !(key.signing["d"] ?? key.signing["priv"] ?? key.signing["k"]))
      throw new TypeError("this is not a private key");
    const named = !isPem && typeof jwk["alg"] === "string" ? jwk["alg"] : undefined;
    return new SigningKey(kid, alg ?? named ?? usual.alg, key);
  }

  /** Whether the key that signs is the one that verifies, as with HMAC. */
  get isSecret(): boolean {
    return this.key.verifying["kty"] === "oct";
  }

  /** The JWK that verifies: the public key, or the secret of HMAC (RFC 7517). */
  get jwk(): Json {
    const { kid, alg, key } = this;
    return { ...key.verifying, kid, alg };
  }

  /**
   * A signature by any algorithm that the kind of key supports.
   *
   * @param alg `none` makes an empty one; an HS… with an asymmetric key uses the public key's PEM as the secret
   * @throws {RangeError} if a key of this kind cannot make such a signature
   */
  async sign(text: string, alg: string): Promise<Uint8Array> {
    const { key } = this;
    if (alg === "none") return new Uint8Array();
    const algorithm: Algorithm | undefined = algorithmNamed(alg);
    const [own] = key.algorithms;
    if (algorithm?.kty === own?.kty && algorithm) return key.sign(text, algorithm);
    if (algorithm?.kty === "oct") return key.signConfused(text, algorithm);
    throw new RangeError(`a key for ${this.alg} makes no ${alg} signature`);
  }
}

/** A part of a token (RFC 7515 §3.1). */
export function encodePart(value: Json): string {
  return base64UrlEncode(utf8Encode(JSON.stringify(value)));
}

/** The content of a part of a token; empty if it cannot be read. */
export function decodePart(text: string): Json {
  return JSON.parse(utf8Decode(base64Decode(text))) as Json;
}

/** A signed token. */
export async function mint(key: SigningKey, header: Json, claims: Json, alg: string): Promise<string> {
  const text = `${encodePart(header)}.${encodePart(claims)}`;
  return `${text}.${base64UrlEncode(await key.sign(text, alg))}`;
}

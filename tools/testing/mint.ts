/** Keys and tokens for tests. Tokens may be anything that a test wants to see refused, so nothing is checked here. */
import {
  constants,
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  type JsonWebKey,
  type KeyObject,
  randomBytes,
  sign,
} from "node:crypto";
import type { Key } from "./schema.ts";

type Json = Record<string, unknown>;

/** A key that signs. */
export class SigningKey {
  private constructor(
    readonly kid: string,
    readonly alg: string,
    private readonly key: KeyObject,
  ) {}

  /** A new key of the kind that `alg` needs. */
  static generate(alg: NonNullable<Key["alg"]>, kid: string): SigningKey {
    return new SigningKey(kid, alg, generate(alg));
  }

  /**
   * @param text PEM, or a JWK as JSON, private or `oct`
   * @param alg where the text does not say
   * @throws where it is neither; the message says what is wrong
   */
  static from(text: string, kid: string, alg: string | undefined): SigningKey {
    if (/^\s*-----BEGIN /.test(text)) {
      const key = createPrivateKey(text);
      return new SigningKey(kid, alg ?? algorithmOf(key), key);
    }
    const jwk = JSON.parse(text) as JsonWebKey;
    const named = typeof jwk["alg"] === "string" ? jwk["alg"] : undefined;
    if (jwk.kty === "oct") {
      const secret = Buffer.from(jwk.k ?? "", "base64url");
      return new SigningKey(kid, alg ?? named ?? "HS256", createSecretKey(secret));
    }
    const key = createPrivateKey({ format: "jwk", key: jwk });
    return new SigningKey(kid, alg ?? named ?? algorithmOf(key), key);
  }

  /** What verifies: the public key, or the secret of HMAC, as a JWK (RFC 7517). */
  get jwk(): Json {
    const { kid, alg, key } = this;
    const own = key.type === "secret" ? key : createPublicKey(key);
    return { ...own.export({ format: "jwk" }), kid, alg };
  }

  /**
   * A signature by any algorithm that the kind of key can make.
   *
   * @param alg `none` makes an empty one; an HS… with an asymmetric key takes the public key's PEM for the secret
   * @throws {RangeError} where a key of this kind makes no such signature
   */
  sign(text: string, alg: string): Buffer {
    const { key } = this;
    if (alg === "none") return Buffer.alloc(0);
    const hash = `sha${alg.slice(2)}`;
    const kind = alg.slice(0, 2);
    if (kind === "HS") {
      const secret =
        key.type === "secret" ? key : createPublicKey(key).export({ format: "pem", type: "spki" });
      return createHmac(hash, secret).update(text).digest();
    }
    const type = key.asymmetricKeyType;
    const bytes = Buffer.from(text);
    if (kind === "RS" && type === "rsa") return sign(hash, bytes, key);
    if (kind === "PS" && type === "rsa") {
      const saltLength = Number(alg.slice(2)) / 8;
      return sign(hash, bytes, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength });
    }
    if (kind === "ES" && type === "ec") return sign(hash, bytes, { key, dsaEncoding: "ieee-p1363" });
    if (alg === "EdDSA" && type === "ed25519") return sign(null, bytes, key);
    throw new RangeError(`a key for ${this.alg} makes no ${alg} signature`);
  }
}

/** RFC 7518 §3.4: the curve of each algorithm. */
const CURVES = new Map([
  ["ES256", "P-256"],
  ["ES384", "P-384"],
  ["ES512", "P-521"],
]);

const RSA_BITS = 2048;

function generate(alg: string): KeyObject {
  if (alg === "EdDSA") return generateKeyPairSync("ed25519").privateKey;
  const namedCurve = CURVES.get(alg);
  if (namedCurve !== undefined) return generateKeyPairSync("ec", { namedCurve }).privateKey;
  // RFC 7518 §3.2: a secret at least as long as the hash.
  if (alg.startsWith("HS")) return createSecretKey(randomBytes(Number(alg.slice(2)) / 8));
  return generateKeyPairSync("rsa", { modulusLength: RSA_BITS }).privateKey;
}

function algorithmOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): string {
  if (asymmetricKeyType === "ed25519") return "EdDSA";
  if (asymmetricKeyType !== "ec") return "RS256";
  const curves: Record<string, string> = { prime256v1: "ES256", secp384r1: "ES384", secp521r1: "ES512" };
  return curves[asymmetricKeyDetails?.namedCurve ?? ""] ?? "ES256";
}

/** A part of a token (RFC 7515 §3.1). */
export function encodePart(value: Json): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

/** What a part of a token says; empty where it says nothing. */
export function decodePart(text: string): Json {
  return JSON.parse(Buffer.from(text, "base64url").toString()) as Json;
}

/** A signed token. */
export function mint(key: SigningKey, header: Json, claims: Json, alg: string): string {
  const text = `${encodePart(header)}.${encodePart(claims)}`;
  return `${text}.${key.sign(text, alg).toString("base64url")}`;
}

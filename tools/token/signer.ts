/** Signs tokens for tests: compact JWS (RFC 7515 §7.1) with any key that people have in a file. */
import {
  constants,
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  type JsonWebKey,
  type KeyObject,
  sign,
} from "node:crypto";
import { decodeBase64 } from "../jwks/base64.ts";
import { type JsonKey, thumbprint } from "../jwks/convert.ts";
import { JsonError, parseStrictJson } from "../jwks/json.ts";

/** A text holds no key to sign with, or not for what was asked; the message says why. */
export class NoSigningKey extends Error {
  override readonly name = "NoSigningKey";
}

/** By type, and curve where there is one: what a key can sign, the usual first (RFC 7518 §3.1, RFC 8037 §3.1). */
const ALGORITHMS: Record<string, readonly string[]> = {
  rsa: ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  prime256v1: ["ES256"],
  secp384r1: ["ES384"],
  secp521r1: ["ES512"],
  ed25519: ["EdDSA"],
  secret: ["HS256", "HS384", "HS512"],
};

export const SIGNING_ALGORITHMS: readonly string[] = Object.values(ALGORITHMS).flat();

export interface SignerOptions {
  /** Which of several keys, and the token's `kid`. */
  kid?: string | undefined;
  algorithm?: string | undefined;
}

/** A key with what it signs with. */
export class Signer {
  private constructor(
    private readonly key: KeyObject,
    readonly algorithm: string,
    /** Absent where a key has none: `jwtgate jwk` gives none to secrets either. */
    readonly kid: string | undefined,
  ) {}

  /**
   * @param text a private key in PEM, or a JWK or key set with private members or a secret
   * @throws {NoSigningKey}
   */
  static read(text: string, { kid, algorithm }: SignerOptions = {}): Signer {
    const { key, jwk } = /-----BEGIN /.test(text) ? { key: readPem(text), jwk: {} } : chooseJwk(text, kid);
    const able = ALGORITHMS[key.asymmetricKeyDetails?.namedCurve ?? key.asymmetricKeyType ?? key.type] ?? [];
    const [usual] = able;
    if (usual === undefined) {
      throw new NoSigningKey(
        "a key of this type signs no tokens: RSA, P-256, P-384, P-521, Ed25519 or oct do",
      );
    }
    const own = typeof jwk["alg"] === "string" ? jwk["alg"] : undefined;
    const chosen = algorithm ?? own ?? usual;
    if (!able.includes(chosen)) {
      throw new NoSigningKey(`this key does not sign ${chosen}: it signs ${able.join(", ")}`);
    }
    const id = kid ?? (typeof jwk["kid"] === "string" ? jwk["kid"] : idOf(key));
    return new Signer(key, chosen, id);
  }

  /**
   * @param header members beside `alg`, `kid` and `typ`, or instead of them
   * @returns the token
   */
  sign(claims: object, header: object = {}): string {
    const { algorithm, kid } = this;
    const full = { alg: algorithm, typ: "JWT", ...(kid !== undefined && { kid }), ...header };
    const text = [full, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
      .join(".");
    return `${text}.${this.signature(Buffer.from(text)).toString("base64url")}`;
  }

  private signature(text: Buffer): Buffer {
    const { key, algorithm } = this;
    const bits = Number(algorithm.slice(2));
    const hash = `sha${bits}`;
    switch (algorithm.slice(0, 2)) {
      case "HS":
        return createHmac(hash, key).update(text).digest();
      case "RS":
        return sign(hash, text, key);
      case "PS": {
        // RFC 7518 §3.5: the salt is as long as the hash.
        const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: bits / 8 };
        return sign(hash, text, { key, ...padding });
      }
      case "ES":
        return sign(hash, text, { key, dsaEncoding: "ieee-p1363" });
      default:
        return sign(null, text, key);
    }
  }
}

/** The id that `jwtgate jwk` gives the same key. */
function idOf(key: KeyObject): string | undefined {
  if (key.type === "secret") return undefined;
  return thumbprint({ ...createPublicKey(key).export({ format: "jwk" }) });
}

function readPem(text: string): KeyObject {
  const block = /-----BEGIN ((?:\w+ )?PRIVATE KEY)-----[\s\S]*?-----END \1-----/.exec(text)?.[0];
  if (block === undefined) {
    throw new NoSigningKey("this holds no private key: a public key or a certificate signs nothing");
  }
  try {
    return createPrivateKey(block);
  } catch {
    throw new NoSigningKey(
      /ENCRYPTED/.test(block)
        ? "the private key is encrypted: decrypt it with `openssl pkey`"
        : "the private key cannot be read",
    );
  }
}

function chooseJwk(text: string, kid: string | undefined): { key: KeyObject; jwk: JsonKey } {
  const keys = readJwks(text).filter(isSigning);
  const chosen = keys.filter((jwk) => kid === undefined || keys.length === 1 || jwk["kid"] === kid);
  const [jwk] = chosen;
  if (jwk === undefined) {
    throw new NoSigningKey(
      keys.length === 0
        ? "this holds no private key and no secret: a public key signs nothing"
        : `no key here that signs has the kid ${JSON.stringify(kid)}`,
    );
  }
  if (chosen.length > 1) {
    const ids = keys.map((key) => JSON.stringify(key["kid"] ?? "(none)")).join(", ");
    throw new NoSigningKey(`several keys here sign: choose one with --kid (${ids})`);
  }
  return { key: importJwk(jwk), jwk };
}

function isSigning(jwk: JsonKey): boolean {
  return typeof jwk["d"] === "string" || (jwk["kty"] === "oct" && typeof jwk["k"] === "string");
}

function readJwks(text: string): JsonKey[] {
  let value: unknown;
  try {
    value = parseStrictJson(text);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new NoSigningKey(`this is neither PEM nor a JWK: ${error.message}`);
  }
  const { keys = [value] } = (value ?? {}) as { keys?: unknown };
  return (Array.isArray(keys) ? keys : []).filter((key) => typeof key === "object" && key !== null);
}

function importJwk(jwk: JsonKey): KeyObject {
  if (jwk["kty"] === "oct") {
    const bytes = decodeBase64(String(jwk["k"]));
    if (bytes !== undefined && bytes.length > 0) return createSecretKey(bytes);
    throw new NoSigningKey("[k] is no base64url of a secret");
  }
  try {
    return createPrivateKey({ format: "jwk", key: jwk as JsonWebKey });
  } catch {
    throw new NoSigningKey("the JWK's private key cannot be read");
  }
}

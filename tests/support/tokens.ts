/** Keys and tokens of the tests. */
import {
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from "node:crypto";

/** JWS algorithms that tests sign with. */
export type Algorithm = "RS256" | "ES256" | "HS256" | "EdDSA";

/** A far future, so that tokens stay valid: 2100. */
const EXPIRES = 4_102_444_800;

/** A key that signs, and its JWK that verifies. */
export class TestKey {
  private readonly secret: KeyObject | Buffer;
  /** Public, or the secret of HMAC. */
  readonly jwk: Record<string, string>;

  private constructor(
    readonly algorithm: Algorithm,
    readonly kid: string,
    secret: KeyObject | Buffer,
  ) {
    this.secret = secret;
    const own = Buffer.isBuffer(secret)
      ? { kty: "oct", k: secret.toString("base64url") }
      : createPublicKey(secret).export({ format: "jwk" });
    this.jwk = { ...(own as Record<string, string>), kid, alg: algorithm };
  }

  static generate(algorithm: Algorithm, kid: string): TestKey {
    switch (algorithm) {
      case "RS256":
        return new TestKey(algorithm, kid, generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey);
      case "ES256":
        return new TestKey(algorithm, kid, generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey);
      case "EdDSA":
        return new TestKey(algorithm, kid, generateKeyPairSync("ed25519").privateKey);
      case "HS256":
        return new TestKey(algorithm, kid, randomBytes(32));
    }
  }

  /** A key set of this key. */
  get jwks(): string {
    return JSON.stringify({ keys: [this.jwk] });
  }

  /** A token with these claims, valid until 2100 unless they set another time; the header has these members and `alg`. */
  token(claims: object, header: object = { kid: this.kid }): string {
    return this.tokenOf(JSON.stringify({ exp: EXPIRES, ...claims }), header);
  }

  /** A token with this payload, JSON or not. */
  tokenOf(payload: string, header: object = { kid: this.kid }): string {
    const parts = [JSON.stringify({ alg: this.algorithm, ...header }), payload];
    const text = parts.map((part) => Buffer.from(part).toString("base64url")).join(".");
    return `${text}.${this.sign(Buffer.from(text)).toString("base64url")}`;
  }

  private sign(text: Buffer): Buffer {
    if (Buffer.isBuffer(this.secret)) return createHmac("sha256", this.secret).update(text).digest();
    if (this.algorithm === "EdDSA") return sign(null, text, this.secret);
    return sign("sha256", text, { key: this.secret, dsaEncoding: "ieee-p1363" });
  }
}

/** The header that carries a token by default. */
export const bearer = (token: string): [string, string] => ["Authorization", `Bearer ${token}`];

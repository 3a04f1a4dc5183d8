/** Keys and tokens of every algorithm. */
import {
  type BinaryLike,
  constants,
  createHmac,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from "node:crypto";

export const ALGORITHMS = [
  "HS256",
  "HS384",
  "HS512",
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

export const ISSUER = "https://issuer.example";

const CURVES: Record<string, string> = { ES256: "P-256", ES384: "P-384", ES512: "P-521" };

/** Signs tokens with one new key. RSA keys have 2048 bits, secrets the hash's length. */
export class Signer {
  /** The key set for verifying, as JSON. */
  readonly jwks: string;
  private readonly signature: (text: string) => Buffer;
  private count = 0;

  constructor(readonly algorithm: Algorithm) {
    const hash = `sha${algorithm.slice(2)}`;
    let publicMembers: object;
    if (algorithm.startsWith("HS")) {
      const secret = Buffer.alloc(Number(algorithm.slice(2)) / 8, "jwtgate benchmark secret, not secret ");
      publicMembers = { kty: "oct", k: secret.toString("base64url") };
      this.signature = (text) => createHmac(hash, secret).update(text).digest();
    } else {
      const { publicKey, privateKey } = keyPair(algorithm);
      publicMembers = publicKey.export({ format: "jwk" });
      this.signature = signerOf(algorithm, hash, privateKey);
    }
    this.jwks = JSON.stringify({ keys: [{ kid: "bench", alg: algorithm, ...publicMembers }] });
  }

  /**
   * A token that no earlier call returned.
   *
   * @param length how many bytes it should have at least; a claim pads it
   */
  token(length = 0): string {
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: ISSUER,
      sub: `user-${this.count++}`,
      aud: "bench",
      iat: now,
      exp: now + 86_400,
      scope: "read write",
      groups: ["staff", "engineering"],
    };
    const header = encode({ alg: this.algorithm, kid: "bench", typ: "JWT" });
    const missing = length - this.sign(header, claims).length;
    // Three bytes of a claim become four characters of the token, and so do the ten of `,"note":""`.
    const note = Math.ceil(missing * 0.75) - 10;
    return this.sign(header, note > 0 ? { ...claims, note: "x".repeat(note) } : claims);
  }

  private sign(header: string, claims: object): string {
    const text = `${header}.${encode(claims)}`;
    return `${text}.${this.signature(text).toString("base64url")}`;
  }
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString("base64url");
}

function keyPair(algorithm: Algorithm): { publicKey: KeyObject; privateKey: KeyObject } {
  const namedCurve = CURVES[algorithm];
  if (namedCurve !== undefined) return generateKeyPairSync("ec", { namedCurve });
  if (algorithm === "EdDSA") return generateKeyPairSync("ed25519");
  return generateKeyPairSync("rsa", { modulusLength: 2048 });
}

function signerOf(algorithm: Algorithm, hash: string, key: KeyObject): (text: string) => Buffer {
  const bytes = (text: string): BinaryLike & NodeJS.ArrayBufferView => Buffer.from(text);
  if (algorithm === "EdDSA") return (text) => sign(null, bytes(text), key);
  if (algorithm.startsWith("ES"))
    return (text) => sign(hash, bytes(text), { key, dsaEncoding: "ieee-p1363" });
  if (algorithm.startsWith("RS")) return (text) => sign(hash, bytes(text), key);
  const { RSA_PKCS1_PSS_PADDING: padding, RSA_PSS_SALTLEN_DIGEST: saltLength } = constants;
  return (text) => sign(hash, bytes(text), { key, padding, saltLength });
}

/** The token with one bit of its signature changed. */
export function tampered(token: string): string {
  const at = token.lastIndexOf(".") + 1;
  const first = token.charAt(at);
  return `${token.slice(0, at)}${first === "A" ? "B" : "A"}${token.slice(at + 1)}`;
}

/** Signs tokens for tests: compact JWS (RFC 7515 §7.1) with a key in any common format. */
import { base64UrlEncode, utf8Encode } from "../host/bytes.ts";
import type { Algorithm } from "../jwks/algorithms.ts";
import { decodeBase64 } from "../jwks/base64.ts";
import { JsonError, parseStrictJson } from "../jwks/json.ts";
import { type JsonKey, thumbprint } from "../jwks/thumbprint.ts";
import { type PemReader, PrivateKey, readPkcs8 } from "./private-key.ts";

/**
 * A text has no key to sign with, or none for the options; the message gives the reason.
 *
 * @example
 * ```ts
 * import { NoSigningKey, Signer } from "jwtgate";
 *
 * try {
 *   await Signer.read('{"keys": []}');
 * } catch (error) {
 *   if (!(error instanceof NoSigningKey)) throw error;
 *   console.log(error.message); // this has no private key and no secret: a public key cannot sign
 * }
 * ```
 */
export class NoSigningKey extends Error {
  override readonly name = "NoSigningKey";
}

/** How a key to sign with is chosen. */
export interface SignerOptions {
  /** Selects one of several keys, and sets the token's `kid`. */
  kid?: string | undefined;
  /** Default: the key's own, or the usual one of its type. */
  algorithm?: string | undefined;
  /** Reads PEM. Default: only PKCS #8, which engines without OpenSSL read. */
  readPem?: PemReader | undefined;
}

/**
 * A key and the algorithm that it signs with.
 *
 * @example
 * ```ts
 * import { PrivateKey, Signer } from "jwtgate";
 *
 * const key = await PrivateKey.generate("EdDSA");
 * const signer = await Signer.read(JSON.stringify(key.signing));
 * const token = await signer.sign({ iss: "https://idp.example", sub: "alice" });
 * console.log(signer.algorithm, token.split(".").length); // EdDSA 3
 * ```
 */
export class Signer {
  private constructor(
    private readonly key: PrivateKey,
    private readonly chosen: Algorithm,
    /** Absent if a key has none: `jwtgate jwk` gives none to secrets either. */
    readonly kid: string | undefined,
  ) {}

  /** The name of the algorithm. */
  get algorithm(): string {
    return this.chosen.alg;
  }

  /**
   * Reads a key to sign with.
   *
   * @param text a private key in PEM, or a JWK or key set with private members or a secret
   * @param options which of several keys, and the algorithm
   * @throws {NoSigningKey} if there is no such key; the promise is rejected
   */
  static async read(
    text: string,
    { kid, algorithm, readPem = readPkcs8 }: SignerOptions = {},
  ): Promise<Signer> {
    const isPem = /-----BEGIN /.test(text);
    const jwk = isPem ? await readBlock(text, readPem) : chooseJwk(text, kid);
    const key = await importKey(jwk);
    const able = key.algorithms.map(({ alg }) => alg);
    const own = typeof jwk["alg"] === "string" ? jwk["alg"] : undefined;
    const name = algorithm ?? own ?? able[0];
    if (name === undefined || able.length === 0) {
      throw new NoSigningKey(
        "a key of this type cannot sign tokens: RSA, P-256, P-384, P-521, Ed25519, ML-DSA or oct can",
      );
    }
    const chosen = key.algorithms.find(({ alg }) => alg === name);
    if (chosen === undefined) {
      throw new NoSigningKey(`this key does not sign ${name}: it signs ${able.join(", ")}`);
    }
    const id = kid ?? (typeof jwk["kid"] === "string" ? jwk["kid"] : idOf(key));
    return new Signer(key, chosen, id);
  }

  /**
   * Signs a token.
   *
   * @param claims the payload, which is written as JSON
   * @param header members besides `alg`, `kid` and `typ`, or instead of them
   * @returns the token
   */
  async sign(claims: object, header: object = {}): Promise<string> {
    const { algorithm, kid } = this;
    const full = { alg: algorithm, typ: "JWT", ...(kid !== undefined && { kid }), ...header };
    const text = [full, claims].map((part) => base64UrlEncode(utf8Encode(JSON.stringify(part)))).join(".");
    return `${text}.${base64UrlEncode(await this.key.sign(text, this.chosen))}`;
  }
}

/** The id that `jwtgate jwk` gives the same key. */
function idOf({ verifying }: PrivateKey): string | undefined {
  return verifying["kty"] === "oct" ? undefined : thumbprint(verifying);
}

async function readBlock(text: string, readPem: PemReader): Promise<JsonKey> {
  const block = /-----BEGIN ((?:\w+ )?PRIVATE KEY)-----[\s\S]*?-----END \1-----/.exec(text)?.[0];
  if (block === undefined) {
    throw new NoSigningKey("this has no private key: a public key or a certificate cannot sign");
  }
  try {
    // Only JWKs have an id of their own, and an algorithm if their type does not require one.
    const { alg, kid, ...jwk } = await readPem(block);
    return jwk["kty"] === "AKP" ? { ...jwk, alg } : jwk;
  } catch {
    throw new NoSigningKey(
      /ENCRYPTED/.test(block)
        ? "the private key is encrypted: decrypt it with `openssl pkey`"
        : "the private key cannot be read",
    );
  }
}

function chooseJwk(text: string, kid: string | undefined): JsonKey {
  const keys = readJwks(text).filter(isSigning);
  const chosen = keys.filter((jwk) => kid === undefined || keys.length === 1 || jwk["kid"] === kid);
  const [jwk] = chosen;
  if (jwk === undefined) {
    throw new NoSigningKey(
      keys.length === 0
        ? "this has no private key and no secret: a public key cannot sign"
        : `no key here that signs has the kid ${JSON.stringify(kid)}`,
    );
  }
  if (chosen.length > 1) {
    const ids = keys.map((key) => JSON.stringify(key["kid"] ?? "(none)")).join(", ");
    throw new NoSigningKey(`several keys here can sign: choose one with --kid (${ids})`);
  }
  return jwk;
}

function isSigning(jwk: JsonKey): boolean {
  return (
    ["d", "priv"].some((name) => typeof jwk[name] === "string") ||
    (jwk["kty"] === "oct" && typeof jwk["k"] === "string")
  );
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

async function importKey(jwk: JsonKey): Promise<PrivateKey> {
  if (jwk["kty"] === "oct" && !decodeBase64(String(jwk["k"]))?.length) {
    throw new NoSigningKey("[k] is not base64url of a secret");
  }
  try {
    return await PrivateKey.import(jwk);
  } catch {
    throw new NoSigningKey("the JWK's private key cannot be read");
  }
}

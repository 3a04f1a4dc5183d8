/** Keys in the forms that people have them in – PEM, certificates, JWK, key sets – as one key set of public keys. */
import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import { decodeBase64 } from "./base64.ts";
import { JsonError, parseStrictJson } from "./json.ts";
import type { JsonKey } from "./thumbprint.ts";

/** A text holds no key that can be read; the message says why. */
export class NoKey extends Error {
  override readonly name = "NoKey";
}

/**
 * @param text PEM with any number of blocks (public keys, private keys, certificates), a JWK, or a key set
 * @returns the keys in their order, still with private members where they had any
 * @throws {NoKey}
 */
export function readKeys(text: string): JsonKey[] {
  const blocks = text.match(/-----BEGIN [^-]+-----[\s\S]*?-----END [^-]+-----/g);
  if (blocks !== null) return blocks.map(readPem);
  let value: unknown;
  try {
    value = parseStrictJson(text);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new NoKey(`this is neither PEM nor a JWK: ${error.message}`);
  }
  if (typeof value !== "object" || value === null) throw new NoKey("this is neither PEM nor a JWK");
  const { keys = [value] } = value as { keys?: unknown };
  if (!Array.isArray(keys) || keys.length === 0) throw new NoKey("[keys] must be a list of keys");
  return keys.map((key: unknown) => {
    if (typeof key !== "object" || key === null || Array.isArray(key))
      throw new NoKey("a key is not an object");
    return fromCertificate(key as JsonKey);
  });
}

/** One PEM block (RFC 7468). The public key is taken of a private one and of a certificate. */
function readPem(block: string): JsonKey {
  const label = /-----BEGIN ([^-]+)-----/.exec(block)?.[1] ?? "";
  try {
    const key = label === "CERTIFICATE" ? new X509Certificate(block).publicKey : createPublicKey(block);
    return exportJwk(key);
  } catch (error) {
    if (error instanceof NoKey) throw error;
    const encrypted = label === "ENCRYPTED PRIVATE KEY" || /^DEK-Info:/m.test(block);
    throw new NoKey(
      encrypted
        ? `the key is encrypted: give its public key`
        : `the block "${label}" holds no key that can be read`,
    );
  }
}

function exportJwk(key: KeyObject): JsonKey {
  const kinds = ["rsa", "rsa-pss", "ec", "ed25519"];
  if (!kinds.includes(key.asymmetricKeyType ?? "")) {
    throw new NoKey(`a key of type ${key.asymmetricKeyType} cannot verify tokens: RSA, EC or Ed25519 can`);
  }
  // Node exports rsa-pss keys under no format but PEM; the numbers are those of any RSA key.
  if (key.asymmetricKeyType === "rsa-pss")
    throw new NoKey("the key is limited to RSA-PSS: export it as an RSA key");
  return { ...key.export({ format: "jwk" }) };
}

/** A key whose numbers stand in its certificate only (RFC 7517 §4.7) gets them. */
function fromCertificate(key: JsonKey): JsonKey {
  const { x5c } = key;
  if (!Array.isArray(x5c) || "n" in key || "x" in key) return key;
  const [first] = x5c as unknown[];
  const bytes = typeof first === "string" ? decodeBase64(first) : undefined;
  try {
    return { ...key, ...exportJwk(new X509Certificate(bytes ?? new Uint8Array()).publicKey) };
  } catch (error) {
    if (error instanceof NoKey) throw error;
    throw new NoKey("[x5c] holds no certificate that can be read");
  }
}

/**
 * A private key in PEM, in every form that OpenSSL writes.
 *
 * @param text that holds one block
 * @returns its JWK; of a type that JWK has no form for, the name of the type alone
 * @throws if it cannot be read
 */
export function readPrivatePem(text: string): JsonKey {
  const key = createPrivateKey(text);
  try {
    return { ...key.export({ format: "jwk" }) };
  } catch {
    return { kty: key.asymmetricKeyType };
  }
}

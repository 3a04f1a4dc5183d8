/** Reads keys in common formats with OpenSSL. */
import {
  createPrivateKey,
  createPublicKey,
  type JsonWebKey,
  type KeyObject,
  X509Certificate,
} from "node:crypto";
import { elementsOf, TAG } from "../encoding/der.ts";
import { pem } from "../encoding/pem.ts";
import { base64UrlEncode } from "../host/bytes.ts";
import { bytesOfPem, decodeBase64 } from "./base64.ts";
import {
  CERTIFIED_KEY_FAULT,
  type Certificate,
  decodeKeyText,
  foreignFormat,
  isDer,
  type KeyReader,
  NoKey,
  pemOf,
  type ReadKeys,
  type ReadKeysOptions,
  readKeysWith,
  repairPem,
} from "./formats.ts";
import { mlDsaKey, mlDsaPrivateKey, mlDsaPrivatePem } from "./ml-dsa.ts";
import { mlDsaKeyOfCertificate } from "./public-keys.ts";
import type { JsonKey } from "./thumbprint.ts";

export { NoKey };

/** See `readKeysWith`. @throws {NoKey} */
export function readKeys(bytes: Uint8Array, options?: ReadKeysOptions): ReadKeys {
  return readKeysWith(OPENSSL, bytes, options);
}

class OpensslCertificate implements Certificate {
  constructor(private readonly certificate: X509Certificate) {}

  get subject(): string {
    return this.certificate.subject.replace(/\n/g, ", ");
  }

  key(): JsonKey {
    const mlDsa = mlDsaKeyOfCertificate(this.certificate.raw);
    if (mlDsa !== undefined) return mlDsa;
    let key: KeyObject;
    try {
      key = this.certificate.publicKey;
    } catch {
      throw new NoKey(CERTIFIED_KEY_FAULT);
    }
    return exportJwk(key);
  }

  hasIssued(other: OpensslCertificate): boolean {
    const { certificate } = other;
    return (
      certificate.fingerprint256 !== this.certificate.fingerprint256 &&
      certificate.checkIssued(this.certificate)
    );
  }
}

const OPENSSL: KeyReader = {
  certificate(der) {
    try {
      return new OpensslCertificate(new X509Certificate(der));
    } catch {
      return undefined;
    }
  },
  key(bytes) {
    const mlDsa = mlDsaKey(bytes);
    if (mlDsa !== undefined) return mlDsa;
    const der = Buffer.from(bytes);
    const forms: (() => KeyObject)[] = [
      () => createPublicKey({ key: der, format: "der", type: "spki" }),
      () => createPublicKey({ key: der, format: "der", type: "pkcs1" }),
      ...(["pkcs8", "sec1", "pkcs1"] as const).map(
        (type) => () => createPublicKey(createPrivateKey({ key: der, format: "der", type })),
      ),
    ];
    for (const form of forms) {
      let key: KeyObject;
      try {
        key = form();
      } catch {
        continue;
      }
      return exportJwk(key);
    }
    return undefined;
  },
};

function exportJwk(key: KeyObject): JsonKey {
  const type = key.asymmetricKeyType;
  if (type === "rsa-pss") return exportPssKey(key);
  if (type !== undefined && ["rsa", "ec", "ed25519"].includes(type))
    return { ...key.export({ format: "jwk" }) };
  throw new NoKey(`a key of type ${type} cannot verify tokens: RSA, EC, Ed25519 or ML-DSA can`);
}

/** Node exports keys that are limited to RSA-PSS only as PEM and DER; their numbers are those of any RSA key. */
function exportPssKey(key: KeyObject): JsonKey {
  const [, bits] = elementsOf(key.export({ format: "der", type: "spki" }), TAG.sequence) ?? [];
  const [n, e] = elementsOf(bits?.content.subarray(1) ?? new Uint8Array(), TAG.sequence) ?? [];
  if (!n || !e) throw new NoKey("the key cannot be read");
  const number = ({ content }: { content: Uint8Array }) =>
    base64UrlEncode(content[0] === 0 ? content.subarray(1) : content);
  const hash = /^sha(256|384|512)$/.exec(key.asymmetricKeyDetails?.hashAlgorithm ?? "")?.[1];
  return { kty: "RSA", n: number(n), e: number(e), ...(hash !== undefined && { alg: `PS${hash}` }) };
}

/**
 * A private key in PEM, in every form that OpenSSL writes.
 *
 * @param text that holds one block
 * @returns its JWK; for a type without a JWK, only the name of the type
 * @throws if it cannot be read
 */
export function readPrivatePem(text: string): JsonKey {
  const mlDsa = mlDsaPrivateKey(bytesOfPem(text));
  if (mlDsa !== undefined) return mlDsa;
  const key = createPrivateKey(text);
  try {
    return { ...key.export({ format: "jwk" }) };
  } catch {
    return { kty: key.asymmetricKeyType };
  }
}

/** A private key in PEM (PKCS #8). @param jwk with private members */
export function privatePem(jwk: JsonKey): string {
  if (jwk["kty"] === "AKP") {
    return mlDsaPrivatePem(jwk["alg"], decodeBase64(String(jwk["priv"])) ?? new Uint8Array());
  }
  const key = createPrivateKey({ format: "jwk", key: jwk as JsonWebKey });
  return key.export({ type: "pkcs8", format: "pem" }).toString();
}

/**
 * The private key of a file, in a form that `Signer` reads.
 *
 * @param bytes PEM with any line breaks, DER, base64 of DER, or Google's JSON of a service account; JWKs and key sets
 *   are returned unchanged
 * @returns a JWK or key set, or PEM
 * @throws {NoKey}
 */
export function readPrivateKeyText(bytes: Uint8Array): string {
  const fault = foreignFormat(bytes, "private");
  if (fault !== undefined) throw new NoKey(fault);
  if (isDer(bytes)) return privatePemOf(bytes);
  const text = decodeKeyText(bytes);
  const block = pemOf(text);
  if (block !== undefined) return block;
  const der = decodeBase64(text);
  if (der !== undefined && isDer(der)) return privatePemOf(der);
  return serviceAccountKey(text) ?? text;
}

/** The JWK of Google's JSON of a service account. */
function serviceAccountKey(text: string): string | undefined {
  try {
    const { private_key: block, private_key_id: kid } = JSON.parse(text) as JsonKey;
    if (typeof block !== "string") return undefined;
    return JSON.stringify({ ...readPrivatePem(repairPem(block)), ...(typeof kid === "string" && { kid }) });
  } catch {
    // The reader of JWKs reports the fault.
    return undefined;
  }
}

function privatePemOf(bytes: Uint8Array): string {
  if (mlDsaPrivateKey(bytes) !== undefined) return pem("PRIVATE KEY", bytes);
  const der = Buffer.from(bytes);
  for (const type of ["pkcs8", "sec1", "pkcs1"] as const) {
    try {
      const key = createPrivateKey({ key: der, format: "der", type });
      return key.export({ format: "pem", type: "pkcs8" }).toString();
    } catch {
      // It has another form.
    }
  }
  throw new NoKey("this has no private key: a public key or a certificate cannot sign");
}

/**
 * Converts keys in common formats – PEM, DER, certificates, JWK, key sets, service accounts – to JWKs. An unreadable
 * format is refused with the command that converts it. The caller chooses the reader of the keys inside:
 * OpenSSL (convert.ts), or portable code (public-keys.ts).
 */
import { TAG } from "../encoding/der.ts";
import { latin1Decode } from "../host/bytes.ts";
import { decodeBase64 } from "./base64.ts";
import { certificatesOf } from "./certificate.ts";
import { JsonError, parseStrictJson } from "./json.ts";
import { privateMembersOf } from "./normalize.ts";
import type { JsonKey } from "./thumbprint.ts";

/** A text contains no readable key; the message explains why. */
export class NoKey extends Error {
  override readonly name = "NoKey";
}

export interface ReadKeys {
  /**
   * The keys in order, without private members; elements of a key set that are not objects are kept, so that
   * `normalizeJwks` reports them.
   */
  keys: unknown[];
  /** What was left out, and how to include it. */
  notes: string[];
}

/** The message about a certificate with a broken key. */
export const CERTIFIED_KEY_FAULT = "the certificate's key cannot be read";

/** A certificate (RFC 5280). */
export interface Certificate {
  /** Its name, such as `CN=example, O=Example`. */
  readonly subject: string;
  /** @throws {NoKey} if the key has a type that no token is verified with */
  key(): JsonKey;
  /** Whether it issued the other one. */
  hasIssued(other: Certificate): boolean;
}

/** What reads keys and certificates. */
export interface KeyReader {
  /** @returns undefined if the bytes are not a certificate */
  certificate(der: Uint8Array): Certificate | undefined;
  /**
   * The public key of a public or private key in DER, in any of its forms (SubjectPublicKeyInfo, PKCS #1, PKCS #8, SEC
   * 1).
   *
   * @returns undefined if the bytes are none of them
   * @throws {NoKey} if the key has a type that no token is verified with
   */
  key(der: Uint8Array): JsonKey | undefined;
}

export interface ReadKeysOptions {
  /** Whether certificates of the file that issued another one count too; false if absent. */
  chain?: boolean;
}

/**
 * @param bytes PEM with any number of blocks (public keys, private keys, certificates), one key or certificate in DER or
 *   in base64 of DER, a JWK, a key set, a map of certificates, or Google's JSON of a service account
 * @param reader of the keys inside
 * @throws {NoKey}
 */
export function readKeysWith(
  reader: KeyReader,
  bytes: Uint8Array,
  { chain = false }: ReadKeysOptions = {},
): ReadKeys {
  const fault = foreignFormat(bytes, "public");
  if (fault !== undefined) throw new NoKey(fault);
  if (isDer(bytes)) return { keys: [readDer(reader, bytes)], notes: [] };
  const text = decodeKeyText(bytes);
  const pem = pemOf(text);
  if (pem !== undefined) return readPem(reader, pem, chain);
  const der = decodeBase64(text);
  if (der !== undefined && isDer(der)) return { keys: [readDer(reader, der)], notes: [] };
  return { keys: readJson(reader, text), notes: [] };
}

/** A certificate or a key of any kind in DER. */
function readDer(reader: KeyReader, bytes: Uint8Array): JsonKey {
  const key = reader.certificate(bytes)?.key() ?? reader.key(bytes);
  if (key !== undefined) return key;
  throw new NoKey(
    "this is DER, and neither a certificate nor a key that can be read: see what it is with `openssl asn1parse -inform DER -in FILE`",
  );
}

/** The PEM block of a certificate or key, even if line breaks are lost or written as `\n`. */
const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----([\s\S]*?)-----END \1-----/g;

/** The PEM in a text as OpenSSL writes it; undefined if there is none, or it is inside JSON. */
export function pemOf(text: string): string | undefined {
  const isJson = /^\s*[{[]/.test(text);
  if (isJson || !text.includes("-----BEGIN ")) return undefined;
  return repairPem(text);
}

/** Restores the line breaks of PEM in one line, or with line breaks written as `\n`. */
export function repairPem(text: string): string {
  const lines = text.replace(/\\r/g, "").replace(/\\n/g, "\n");
  return lines.replace(BLOCK, (block, label: string, body: string) => {
    // Headers of an encrypted key (RFC 1421) are kept.
    if (body.includes(":")) return block;
    const digits = body.replace(/\s/g, "").match(/.{1,64}/g) ?? [];
    return `-----BEGIN ${label}-----\n${digits.join("\n")}\n-----END ${label}-----`;
  });
}

/** @throws {NoKey} if the bytes are not text, or blank */
export function decodeKeyText(bytes: Uint8Array): string {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new NoKey("this is neither text nor a key or certificate in DER");
  }
  if (text.trim() === "") throw new NoKey("this is empty: a key, a certificate or a key set is needed");
  return text;
}

/** The commands that convert other formats, by the half of the key that is needed. */
const CONVERSIONS = {
  public: {
    keystore: "keytool -exportcert -rfc -keystore FILE -alias NAME > cert.pem",
    pkcs12: "openssl pkcs12 -in FILE -clcerts -nokeys -out cert.pem",
    openssh: "ssh-keygen -e -m PKCS8 -f FILE > key.pem",
  },
  private: {
    keystore: "keytool -importkeystore -srckeystore FILE -destkeystore new.p12 -deststoretype PKCS12",
    pkcs12: "openssl pkcs12 -in FILE -nocerts -noenc -out key.pem",
    openssh: "ssh-keygen -p -N '' -m PKCS8 -f COPY-OF-FILE",
  },
} as const;

/** Writes the certificates of PKCS #7 as PEM. */
const PKCS7 = "-in FILE -print_certs -out certs.pem";

/** Formats that contain keys and are not read here, each with the command that converts it. */
export function foreignFormat(bytes: Uint8Array, half: keyof typeof CONVERSIONS): string | undefined {
  const start = latin1Decode(bytes.subarray(0, 64));
  const { keystore, pkcs12, openssh } = CONVERSIONS[half];
  if (/^\xfe\xed\xfe\xed|^\xce\xce\xce\xce/.test(start))
    return `this is a Java keystore: convert it with \`${keystore}\``;
  if (isPkcs12(bytes)) return `this is PKCS #12: convert it with \`${pkcs12}\``;
  // ContentInfo with SignedData (RFC 5652 §3, §5.1).
  if (/^\x30[\s\S]{1,5}\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02/.test(start))
    return `this is PKCS #7: convert it with \`openssl pkcs7 -inform DER ${PKCS7}\``;
  if (/^(\xff\xfe|\xfe\xff)/.test(start))
    return "this is UTF-16: convert it with `iconv -f UTF-16 -t UTF-8 FILE > key.txt`";
  if (/^\s*(ssh-|ecdsa-sha2-|-----BEGIN OPENSSH PRIVATE KEY-----)/.test(start))
    return `this is a key in OpenSSH's format: convert it with \`${openssh}\``;
  return undefined;
}

/** A SEQUENCE whose length takes two bytes or more: no text begins with these bytes. */
export function isDer(bytes: Uint8Array): boolean {
  return bytes[0] === TAG.sequence && ((bytes[1] ?? 0) >= 0x80 || bytes.length === (bytes[1] ?? 0) + 2);
}

/** PFX (RFC 7292 §4): version 3, then data, where keys have a number and certificates a sequence of their own. */
function isPkcs12(bytes: Uint8Array): boolean {
  // OpenSSL writes long ones in BER, so only the beginning is checked.
  return (
    bytes[0] === TAG.sequence &&
    /^[\s\S]{2,6}\x02\x01\x03\x30[\s\S]{1,5}\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07/.test(
      latin1Decode(bytes.subarray(0, 32)),
    )
  );
}

/** PEM (RFC 7468). A private key or a certificate yields its public key. */
function readPem(reader: KeyReader, text: string, chain: boolean): ReadKeys {
  const blocks = [...text.matchAll(BLOCK)]
    .map(([block, label = "", body = ""]) => ({ block, label, body }))
    // It names a curve that the key after it names too (RFC 5915 §4).
    .filter(({ label }) => label !== "EC PARAMETERS");
  if (blocks.length === 0) throw new NoKey("there is no complete PEM block with a key in it");
  const certificates = new Map<string, Certificate>();
  for (const { block, label, body } of blocks) {
    if (label === "CERTIFICATE") certificates.set(block, readCertificate(reader, body));
  }
  const all = [...certificates.values()];
  const notes: string[] = [];
  const keys: JsonKey[] = [];
  for (const { block, label, body } of blocks) {
    const certificate = certificates.get(block);
    if (certificate === undefined) {
      keys.push(readKeyBlock(reader, label, body));
    } else if (chain || !all.some((other) => other !== certificate && certificate.hasIssued(other))) {
      keys.push(certificate.key());
    } else {
      notes.push(
        `the certificate of ${JSON.stringify(certificate.subject)} issued another one of this file, so its key signs certificates, not tokens: it is left out; --chain includes it`,
      );
    }
  }
  return { keys, notes };
}

/** @param body of a PEM block */
function readCertificate(reader: KeyReader, body: string): Certificate {
  const certificate = reader.certificate(decodeBase64(body) ?? new Uint8Array());
  if (certificate !== undefined) return certificate;
  throw new NoKey('the block "CERTIFICATE" has no readable certificate');
}

function readKeyBlock(reader: KeyReader, label: string, body: string): JsonKey {
  const key = reader.key(decodeBase64(body) ?? new Uint8Array());
  if (key !== undefined) return key;
  if (/^(PKCS7|CMS)$/.test(label))
    throw new NoKey(`this is PKCS #7: convert it with \`openssl pkcs7 ${PKCS7}\``);
  if (label.endsWith("CERTIFICATE REQUEST")) {
    throw new NoKey(
      "this is a request for a certificate: convert it with `openssl req -in FILE -noout -pubkey -out public.pem`",
    );
  }
  const isEncrypted = label === "ENCRYPTED PRIVATE KEY" || /^DEK-Info:/m.test(body);
  throw new NoKey(
    isEncrypted
      ? "the key is encrypted: convert it with `openssl pkey -in FILE -pubout -out public.pem`, which asks for its passphrase"
      : `the block "${label}" has no readable key`,
  );
}

/** A JWK, a key set, a map of certificates or a service account. */
function readJson(reader: KeyReader, text: string): unknown[] {
  let value: unknown;
  try {
    value = parseStrictJson(text);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new NoKey(`this is neither PEM, DER nor a JWK: ${error.message}`);
  }
  if (!isObject(value)) throw new NoKey("this is neither PEM, DER nor a JWK");
  const { private_key: pem, private_key_id: kid } = value;
  if (typeof pem === "string") {
    const [key] = readPem(reader, repairPem(pem), false).keys;
    return [{ ...(key as JsonKey), ...(typeof kid === "string" && { kid }) }];
  }
  if ("ciphertext" in value && ("protected" in value || "header" in value)) {
    throw new NoKey(
      "this is an encrypted JWK: decrypt it with `step crypto jwe decrypt < FILE`, or give its public key",
    );
  }
  const certificates = certificatesOf(value);
  if (certificates !== undefined) {
    return certificates.map(([kid, pem]) => {
      const [key] = readPem(reader, pem, true).keys;
      return { ...(key as JsonKey), kid };
    });
  }
  if (!("keys" in value) && !("kty" in value)) {
    throw new NoKey("this JSON is not a JWK (it has no [kty]) and not a key set (it has no [keys])");
  }
  const { keys = [value] } = value;
  if (!Array.isArray(keys) || keys.length === 0) throw new NoKey("[keys] must be a list of keys");
  return keys.map((key: unknown) => (isObject(key) ? publicHalf(fromCertificate(reader, key)) : key));
}

function isObject(value: unknown): value is JsonKey {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The members that verify what the key signs (RFC 7517 §4.3). */
function publicHalf(key: JsonKey): JsonKey {
  const names = privateMembersOf(key);
  if (names.length === 0) return key;
  const half = Object.fromEntries(Object.entries(key).filter(([name]) => !names.includes(name)));
  const operations = half["key_ops"];
  if (Array.isArray(operations) && operations.includes("sign")) half["key_ops"] = ["verify"];
  return half;
}

/** Adds the numbers to a key that has them only in its certificate (RFC 7517 §4.7). */
function fromCertificate(reader: KeyReader, key: JsonKey): JsonKey {
  const { x5c } = key;
  if (!Array.isArray(x5c) || x5c.length === 0 || key["n"] != null || key["x"] != null) return key;
  const [first] = x5c as unknown[];
  const bytes = typeof first === "string" ? decodeBase64(first) : undefined;
  try {
    // Without one, `normalizeJwks` reports the missing member.
    return { ...key, ...(bytes && reader.certificate(bytes)?.key()) };
  } catch (error) {
    if (error instanceof NoKey) return key;
    throw error;
  }
}

/** Reads keys in common formats without OpenSSL, in browsers and other engines. */
import { ed25519 } from "@noble/curves/ed25519.js";
import { p256, p384, p521 } from "@noble/curves/nist.js";
import { type Element, elements, elementsOf, TAG } from "../encoding/der.ts";
import { base64UrlEncode, hexEncode } from "../host/bytes.ts";
import {
  CERTIFIED_KEY_FAULT,
  type Certificate,
  type KeyReader,
  NoKey,
  type ReadKeys,
  type ReadKeysOptions,
  readKeysWith,
} from "./formats.ts";
import { mlDsaKey, mlDsaKeyOfInfo } from "./ml-dsa.ts";
import type { JsonKey } from "./thumbprint.ts";

/** See `readKeysWith`. @throws {NoKey} */
export function readPublicKeys(bytes: Uint8Array, options?: ReadKeysOptions): ReadKeys {
  return readKeysWith(DER, bytes, options);
}

/** By object identifiers, in hexadecimal. RFC 3279 §2.3.1, RFC 4055 §1.2. */
const RSA_ENCRYPTION = "2a864886f70d010101";
const RSASSA_PSS = "2a864886f70d01010a";
/** RFC 5480 §2.1.1. */
const EC_PUBLIC_KEY = "2a8648ce3d0201";
const CURVES = new Map([
  ["2a8648ce3d030107", { crv: "P-256", curve: p256 }],
  ["2b81040022", { crv: "P-384", curve: p384 }],
  ["2b81040023", { crv: "P-521", curve: p521 }],
]);
/** RFC 8410 §3. */
const ED25519 = "2b6570";
/** Other kinds of keys, for messages: RFC 8410 §3, RFC 3279 §2.3.2 and §2.3.3. */
const OTHERS = new Map([
  ["2b656e", "x25519"],
  ["2b656f", "x448"],
  ["2b6571", "ed448"],
  ["2a8648ce380401", "dsa"],
  ["2a864886f70d010301", "dh"],
]);
/** NIST's identifiers of SHA-2 (RFC 8017, appendix B.1). */
const HASHES = new Map([
  ["608648016503040201", "256"],
  ["608648016503040202", "384"],
  ["608648016503040203", "512"],
]);

/** Tags of the context, constructed. */
const CONTEXT = [0xa0, 0xa1] as const;

const DER: KeyReader = {
  certificate: (bytes) => DerCertificate.read(bytes),
  key(bytes) {
    const parts = elementsOf(bytes, TAG.sequence);
    if (parts === undefined) return undefined;
    return mlDsaKey(bytes) ?? publicKeyInfo(parts) ?? pkcs1(parts) ?? privateKeyInfo(parts) ?? sec1(parts);
  },
};

/** The attributes in a certificate's names (RFC 4514 §3). */
const ATTRIBUTES = new Map([
  ["550403", "CN"],
  ["550406", "C"],
  ["550407", "L"],
  ["550408", "ST"],
  ["55040a", "O"],
  ["55040b", "OU"],
]);

/** RFC 5280 §4.1. Its signature is not verified: a user who pastes a certificate trusts it. */
class DerCertificate implements Certificate {
  private constructor(
    private readonly issuerName: string,
    private readonly subjectName: Uint8Array,
    readonly info: readonly Element[],
    private readonly serial: string,
  ) {}

  static read(bytes: Uint8Array): DerCertificate | undefined {
    const [body, algorithm, signature, ...more] = elementsOf(bytes, TAG.sequence) ?? [];
    if (body?.tag !== TAG.sequence || algorithm?.tag !== TAG.sequence) return undefined;
    if (signature?.tag !== TAG.bitString || more.length > 0) return undefined;
    const fields = elements(body.content) ?? [];
    const [serial, , issuer, , subject, info] = fields[0]?.tag === CONTEXT[0] ? fields.slice(1) : fields;
    if (serial?.tag !== TAG.integer || issuer?.tag !== TAG.sequence || subject?.tag !== TAG.sequence)
      return undefined;
    const parts = info?.tag === TAG.sequence ? elements(info.content) : undefined;
    if (parts === undefined || !isPublicKeyInfo(parts)) return undefined;
    return new DerCertificate(hexEncode(issuer.content), subject.content, parts, hexEncode(serial.content));
  }

  get subject(): string {
    const attributes = (elements(this.subjectName) ?? []).flatMap(({ content }) => elements(content) ?? []);
    return attributes
      .map(({ content }) => {
        const [type, value] = elements(content) ?? [];
        const name = ATTRIBUTES.get(hexEncode(type?.content ?? new Uint8Array())) ?? "?";
        return `${name}=${new TextDecoder().decode(value?.content)}`;
      })
      .join(", ");
  }

  key(): JsonKey {
    const key = publicKeyInfo(this.info);
    if (key === undefined) throw new NoKey(CERTIFIED_KEY_FAULT);
    return key;
  }

  /** Compares only the names. */
  hasIssued(other: DerCertificate): boolean {
    const isSame = other.issuerName === this.issuerName && other.serial === this.serial;
    return !isSame && other.issuerName === hexEncode(this.subjectName);
  }
}

/** The key of a certificate in DER; undefined if it is none for ML-DSA. */
export function mlDsaKeyOfCertificate(bytes: Uint8Array): JsonKey | undefined {
  return mlDsaKeyOfInfo(DerCertificate.read(bytes)?.info ?? []);
}

function isPublicKeyInfo([algorithm, bits, ...more]: readonly Element[]): boolean {
  return algorithm?.tag === TAG.sequence && bits?.tag === TAG.bitString && more.length === 0;
}

/** SubjectPublicKeyInfo (RFC 5280 §4.1.2.7). */
function publicKeyInfo(parts: readonly Element[]): JsonKey | undefined {
  const [algorithm, bits] = parts;
  if (!algorithm || !bits || !isPublicKeyInfo(parts) || bits.content[0] !== 0) return undefined;
  const { type, parameters } = identifierOf(algorithm);
  const key = bits.content.subarray(1);
  if (isRsa(type)) return rsaKey(elementsOf(key, TAG.sequence) ?? [], type, parameters);
  if (type === EC_PUBLIC_KEY) return ecKey(hexEncode(parameters?.content ?? new Uint8Array()), key);
  if (type === ED25519) return key.length === 32 ? okpKey(key) : undefined;
  return mlDsaKeyOfInfo(parts) ?? refuse(type);
}

/** AlgorithmIdentifier (RFC 5280 §4.1.1.2). */
function identifierOf({ content }: Element): { type: string; parameters: Element | undefined } {
  const [type, parameters] = elements(content) ?? [];
  return { type: hexEncode(type?.content ?? new Uint8Array()), parameters };
}

function isRsa(type: string): boolean {
  return type === RSA_ENCRYPTION || type === RSASSA_PSS;
}

/** @throws {NoKey} if the type of the key is known */
function refuse(type: string): undefined {
  const name = OTHERS.get(type);
  if (name !== undefined)
    throw new NoKey(`a key of type ${name} cannot verify tokens: RSA, EC, Ed25519 or ML-DSA can`);
}

/** RSAPublicKey, or the beginning of RSAPrivateKey after its version (RFC 8017, appendix A.1). */
function rsaKey(
  [n, e]: readonly Element[],
  type: string = RSA_ENCRYPTION,
  parameters?: Element,
): JsonKey | undefined {
  if (n?.tag !== TAG.integer || e?.tag !== TAG.integer) return undefined;
  const number = ({ content }: Element) => base64UrlEncode(content[0] === 0 ? content.subarray(1) : content);
  const hash = type === RSASSA_PSS && parameters ? pssHash(parameters) : undefined;
  return { kty: "RSA", n: number(n), e: number(e), ...(hash !== undefined && { alg: `PS${hash}` }) };
}

/** hashAlgorithm of RSASSA-PSS-params (RFC 4055 §3.1). */
function pssHash({ content }: Element): string | undefined {
  const field = elements(content)?.find(({ tag }) => tag === CONTEXT[0]);
  const [identifier] = elements(field?.content ?? new Uint8Array()) ?? [];
  return identifier && HASHES.get(identifierOf(identifier).type);
}

/** A key in PKCS #1, public or private. */
function pkcs1(parts: readonly Element[]): JsonKey | undefined {
  if (!parts.every(({ tag }) => tag === TAG.integer)) return undefined;
  return parts.length === 2 ? rsaKey(parts) : parts.length === 9 ? rsaKey(parts.slice(1)) : undefined;
}

/** The public half of PrivateKeyInfo (RFC 5958 §2). */
function privateKeyInfo(parts: readonly Element[]): JsonKey | undefined {
  const [version, algorithm, key] = parts;
  if (version?.tag !== TAG.integer || algorithm?.tag !== TAG.sequence || key?.tag !== TAG.octetString)
    return undefined;
  const { type, parameters } = identifierOf(algorithm);
  if (isRsa(type)) {
    const numbers = elementsOf(key.content, TAG.sequence) ?? [];
    return rsaKey(numbers.slice(1), type, parameters);
  }
  if (type === EC_PUBLIC_KEY) return sec1(elementsOf(key.content, TAG.sequence) ?? [], parameters);
  if (type !== ED25519) return refuse(type);
  const [seed] = elements(key.content) ?? [];
  return seed?.content.length === 32 ? okpKey(ed25519.getPublicKey(seed.content)) : undefined;
}

/** The public half of ECPrivateKey (RFC 5915 §3), whose curve may be named outside, and whose point may be left out. */
function sec1([version, secret, ...fields]: readonly Element[], named?: Element): JsonKey | undefined {
  if (version?.tag !== TAG.integer || secret?.tag !== TAG.octetString) return undefined;
  const field = (tag: number) =>
    elements(fields.find((one) => one.tag === tag)?.content ?? new Uint8Array())?.[0]?.content;
  const oid = hexEncode(named?.content ?? field(CONTEXT[0]) ?? new Uint8Array());
  const curve = CURVES.get(oid)?.curve;
  if (curve === undefined || !curve.utils.isValidSecretKey(secret.content)) return undefined;
  const point = field(CONTEXT[1])?.subarray(1) ?? curve.getPublicKey(secret.content, false);
  return ecKey(oid, point);
}

/** @param point as SEC 1 §2.3.3 writes it */
function ecKey(oid: string, point: Uint8Array): JsonKey | undefined {
  const { crv, curve } = CURVES.get(oid) ?? {};
  if (curve === undefined || !curve.utils.isValidPublicKey(point)) return undefined;
  const whole = curve.Point.fromBytes(point).toBytes(false);
  const size = (whole.length - 1) / 2;
  const [x, y] = [whole.subarray(1, 1 + size), whole.subarray(1 + size)].map(base64UrlEncode);
  return { kty: "EC", x, y, crv };
}

function okpKey(x: Uint8Array): JsonKey {
  return { crv: "Ed25519", x: base64UrlEncode(x), kty: "OKP" };
}

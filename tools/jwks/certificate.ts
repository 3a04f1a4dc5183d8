/** The RSA keys of certificates (RFC 5280 §4.1), as assembly/encoding/certificate.ts reads them. */
import { elements, elementsOf, TAG } from "../encoding/der.ts";
import { hexEncode } from "../host/bytes.ts";
import { decodeBase64 } from "./base64.ts";

const BEGIN = "-----BEGIN CERTIFICATE-----\n";
const END = "-----END CERTIFICATE-----\n";

/** rsaEncryption, 1.2.840.113549.1.1.1 (RFC 3279 §2.3.1). */
const RSA_ENCRYPTION = "2a864886f70d010101";

/** version of a TBSCertificate. */
const VERSION = 0xa0;

/**
 * The certificates of a map from kids to certificates, which Firebase serves instead of a key set (Envoy:
 * source/common/jwt/jwks.cc).
 *
 * @returns kids and certificates in PEM; undefined if the object is anything else
 */
export function certificatesOf(
  set: Readonly<Record<string, unknown>>,
): [kid: string, pem: string][] | undefined {
  const members = Object.entries(set);
  const isMap =
    members.length > 0 &&
    !("keys" in set) &&
    members.every(([kid, pem]) => kid !== "" && typeof pem === "string" && pem.startsWith(BEGIN));
  return isMap ? (members as [string, string][]) : undefined;
}

/**
 * @param pem a certificate as OpenSSL writes it
 * @returns the numbers of its RSA key, big-endian; undefined if it is not a certificate or has a key of another type
 */
export function rsaKeyOfCertificate(pem: string): { n: Uint8Array; e: Uint8Array } | undefined {
  if (!pem.startsWith(BEGIN) || !pem.endsWith(END)) return undefined;
  const bytes = decodeBase64(pem.slice(BEGIN.length, -END.length)) ?? new Uint8Array();
  const [certificate] = elementsOf(bytes, TAG.sequence) ?? [];
  const fields = certificate?.tag === TAG.sequence ? (elements(certificate.content) ?? []) : [];
  // After the version, if there is one: serial number, algorithm, issuer, validity, subject, key.
  const key = fields[fields[0]?.tag === VERSION ? 6 : 5];
  return key?.tag === TAG.sequence ? rsaKeyOfInfo(key.content) : undefined;
}

/** SubjectPublicKeyInfo (RFC 5280 §4.1.2.7) around RSAPublicKey (RFC 8017 A.1.1). */
function rsaKeyOfInfo(info: Uint8Array): { n: Uint8Array; e: Uint8Array } | undefined {
  const [algorithm, bits, ...more] = elements(info) ?? [];
  if (algorithm?.tag !== TAG.sequence || bits?.tag !== TAG.bitString || more.length > 0) return undefined;
  const [identifier, parameters, ...others] = elements(algorithm.content) ?? [];
  const isRsa = identifier?.tag === TAG.objectIdentifier && hexEncode(identifier.content) === RSA_ENCRYPTION;
  if (!isRsa || parameters?.tag !== TAG.null || others.length > 0 || bits.content[0] !== 0) return undefined;
  const numbers = elementsOf(bits.content.subarray(1), TAG.sequence) ?? [];
  const [n, e] = numbers;
  const isNumber = (one = n) => one?.tag === TAG.integer && (one.content[0] ?? 0x80) < 0x80;
  if (!n || !e || numbers.length !== 2 || !isNumber(n) || !isNumber(e)) return undefined;
  return { n: n.content, e: e.content };
}

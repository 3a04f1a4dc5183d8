/** Certificates with any names, for code that reads them. Their signatures are not valid. */

/** One DER element. */
export function der(tag: number, ...contents: Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  if (content.length < 0x80) return Buffer.concat([Buffer.of(tag, content.length), content]);
  const digits = content.length.toString(16);
  const length = Buffer.from(digits.padStart(digits.length + (digits.length % 2), "0"), "hex");
  return Buffer.concat([Buffer.of(tag, 0x80 | length.length), length, content]);
}

export interface Names {
  uris?: string[];
  dns?: string[];
}

const SEQUENCE = 0x30;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const OBJECT_IDENTIFIER = 0x06;

/** An extension (RFC 5280 section 4.1). */
export function extension(oid: string, value: Uint8Array, critical = false): Buffer {
  const flag = critical ? [der(0x01, Buffer.of(0xff))] : [];
  return der(SEQUENCE, der(OBJECT_IDENTIFIER, Buffer.from(oid, "hex")), ...flag, der(OCTET_STRING, value));
}

/** subjectAltName; names are latin-1. */
export function subjectAlternativeName({ uris = [], dns = [] }: Names, critical = false): Buffer {
  const names = [
    der(0x81, Buffer.from("someone@example.com")),
    ...dns.map((name) => der(0x82, Buffer.from(name, "latin1"))),
    ...uris.map((name) => der(0x86, Buffer.from(name, "latin1"))),
    der(0x87, Buffer.of(127, 0, 0, 1)),
  ];
  return extension("551d11", der(SEQUENCE, ...names), critical);
}

/** The certificate's DER. */
export function certificate(extensions: Uint8Array[]): Buffer {
  const empty = der(SEQUENCE);
  const tbs = der(
    SEQUENCE,
    der(0xa0, der(INTEGER, Buffer.of(2))),
    der(INTEGER, Buffer.of(1)),
    empty,
    empty,
    empty,
    empty,
    empty,
    ...(extensions.length > 0 ? [der(0xa3, der(SEQUENCE, ...extensions))] : []),
  );
  return der(SEQUENCE, tbs, empty, der(BIT_STRING, Buffer.of(0)));
}

export function pem(bytes: Buffer): string {
  const lines = bytes.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

/** The form of a certificate in `connection.peer_certificate` of Envoy before 1.40. */
export function urlEncoded(text: string): string {
  return text.replace(/[\n +/=]/g, encodeURIComponent);
}

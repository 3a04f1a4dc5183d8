/** A client's certificate that says certain names: what policies read of it, signed by nobody. */
import type { TlsInfo } from "../host/stream-info.ts";

/** Who the client says it is, over TLS. */
export interface ClientTls {
  /** The server name that it asks for. */
  serverName?: string;
  /** URI SANs of its certificate, such as spiffe://cluster.local/ns/foo/sa/bar; absent: it shows none. */
  uriSans?: readonly string[];
}

const SEQUENCE = 0x30;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const OBJECT_IDENTIFIER = 0x06;
/** subjectAltName, RFC 5280 §4.2.1.6. */
const SUBJECT_ALT_NAME = Buffer.from("551d11", "hex");
const URI_NAME = 0x86;

/** What a host knows of the connection. */
export function tlsInfo({ serverName, uriSans }: ClientTls): TlsInfo {
  return {
    ...(serverName !== undefined && { serverName }),
    ...(uriSans !== undefined && {
      peer: { certificate: certificateOf(uriSans), subject: "", uriSans },
    }),
  };
}

/** As `connection.peer_certificate` of Envoy 1.40 has it: PEM. Its DER is RFC 5280 §4.1 with nothing but the names. */
function certificateOf(uris: readonly string[]): string {
  const empty = der(SEQUENCE);
  const names = der(SEQUENCE, ...uris.map((uri) => der(URI_NAME, Buffer.from(uri))));
  const extension = der(SEQUENCE, der(OBJECT_IDENTIFIER, SUBJECT_ALT_NAME), der(OCTET_STRING, names));
  const version = der(0xa0, der(INTEGER, Buffer.of(2)));
  const serial = der(INTEGER, Buffer.of(1));
  const extensions = der(0xa3, der(SEQUENCE, extension));
  const tbs = der(SEQUENCE, version, serial, empty, empty, empty, empty, empty, extensions);
  const bytes = der(SEQUENCE, tbs, empty, der(BIT_STRING, Buffer.of(0)));
  const lines = bytes.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

/** One DER element (X.690 §8.1). */
function der(tag: number, ...contents: Uint8Array[]): Buffer {
  const content = Buffer.concat(contents);
  if (content.length < 0x80) return Buffer.concat([Buffer.of(tag, content.length), content]);
  const digits = content.length.toString(16);
  const length = Buffer.from(digits.padStart(digits.length + (digits.length % 2), "0"), "hex");
  return Buffer.concat([Buffer.of(tag, 0x80 | length.length), length, content]);
}

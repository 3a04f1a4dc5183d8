/** A client's certificate with given names: the parts that policies read, without a valid signature. */
import { der, TAG } from "../encoding/der.ts";
import { pem } from "../encoding/pem.ts";
import { utf8Encode } from "../host/bytes.ts";
import type { TlsInfo } from "../host/stream-info.ts";

/** The client's identity over TLS. */
export interface ClientTls {
  /** The server name that it asks for. */
  serverName?: string;
  /** URI SANs of its certificate, such as spiffe://cluster.local/ns/foo/sa/bar; absent if it has no certificate. */
  uriSans?: readonly string[];
}

/** subjectAltName, RFC 5280 §4.2.1.6. */
const SUBJECT_ALT_NAME = Uint8Array.of(0x55, 0x1d, 0x11);
const URI_NAME = 0x86;

/** What a host knows about the connection. */
export function tlsInfo({ serverName, uriSans }: ClientTls): TlsInfo {
  return {
    ...(serverName !== undefined && { serverName }),
    ...(uriSans !== undefined && {
      peer: { certificate: certificateOf(uriSans), subject: "", uriSans },
    }),
  };
}

/** As `connection.peer_certificate` of Envoy 1.40 returns it: PEM. Its DER is RFC 5280 §4.1 with only the names. */
function certificateOf(uris: readonly string[]): string {
  const empty = der(TAG.sequence);
  const names = der(TAG.sequence, ...uris.map((uri) => der(URI_NAME, utf8Encode(uri))));
  const extension = der(
    TAG.sequence,
    der(TAG.objectIdentifier, SUBJECT_ALT_NAME),
    der(TAG.octetString, names),
  );
  const version = der(0xa0, der(TAG.integer, Uint8Array.of(2)));
  const serial = der(TAG.integer, Uint8Array.of(1));
  const extensions = der(0xa3, der(TAG.sequence, extension));
  const tbs = der(TAG.sequence, version, serial, empty, empty, empty, empty, empty, extensions);
  const bytes = der(TAG.sequence, tbs, empty, der(TAG.bitString, Uint8Array.of(0)));
  return pem("CERTIFICATE", bytes);
}

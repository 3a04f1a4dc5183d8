/** PEM (RFC 7468): the textual form of certificates. */
import { EMPTY, Slice, Text, endsWith, lengthOf, startsWith, subslice } from "../memory/slice";
import { decodeLenient } from "./base64url";

const BEGIN = new Text("-----BEGIN CERTIFICATE-----\n");
const END = new Text("-----END CERTIFICATE-----\n");

/**
 * @param text one certificate, as OpenSSL and BoringSSL write it
 * @returns its DER, in the arena; EMPTY if `text` is anything else
 */
export function decodePemCertificate(text: Slice): Slice {
  const begin = BEGIN.slice;
  const end = END.slice;
  if (lengthOf(text) < lengthOf(begin) + lengthOf(end) || !startsWith(text, begin) || !endsWith(text, end)) {
    return EMPTY;
  }
  return decodeLenient(subslice(text, lengthOf(begin), lengthOf(text) - lengthOf(end)));
}

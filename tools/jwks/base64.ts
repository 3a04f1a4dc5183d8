/** Base64 of key members and of PEM, read leniently: keys come from their owner. */
import { base64Decode } from "../host/bytes.ts";

/**
 * Decodes what the filter decodes (assembly/encoding/base64url.ts, `decodeLenient`): the characters of base64 and of
 * base64url, white space anywhere, complete padding or none; surplus bits at the end are ignored.
 *
 * @returns the bytes, or undefined if the text is anything else
 */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  const compact = text.replace(/[\t-\r ]/g, "");
  const digits = compact.replace(/=+$/, "");
  const padding = compact.length - digits.length;
  const tail = digits.length % 4;
  if (!/^[A-Za-z0-9+/_-]*$/.test(digits) || tail === 1) return undefined;
  if (padding > 0 && padding !== (4 - tail) % 4) return undefined;
  return base64Decode(digits);
}

/** The bytes of a block of PEM; none if it cannot be read. */
export function bytesOfPem(block: string): Uint8Array {
  return decodeBase64(block.replace(/-----[^-]*-----/g, "")) ?? new Uint8Array();
}

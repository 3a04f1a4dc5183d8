/** Base64 of key members, read leniently: keys come from their owner. */
import { base64Decode } from "../host/bytes.ts";

/**
 * Reads what istiod's JWK parser reads (lestrrat-go/jwx, internal/base64): base64url or base64, with or without
 * padding; line breaks are skipped; bits left over at the end are ignored.
 *
 * @returns the bytes, or undefined where the text is neither
 */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  const compact = text.replace(/[\r\n]/g, "");
  const digits = compact.replace(/={1,2}$/, "");
  const padded = digits.length !== compact.length;
  if (padded && compact.length % 4 !== 0) return undefined;
  if (digits.length % 4 === 1) return undefined;
  if (!/^[A-Za-z0-9_-]*$/.test(digits) && !/^[A-Za-z0-9+/]*$/.test(digits)) return undefined;
  return base64Decode(digits);
}

/** Base64 of key members: read leniently, for keys come from their owner, written as RFC 7515 §2 says. */

/**
 * Reads what istiod's JWK parser reads (lestrrat-go/jwx, internal/base64): base64url or base64, with or without
 * padding; line breaks are skipped; bits left over at the end are ignored.
 *
 * @returns the bytes, or undefined where the text is neither
 */
export function decodeBase64(text: string): Buffer | undefined {
  const compact = text.replace(/[\r\n]/g, "");
  const digits = compact.replace(/={1,2}$/, "");
  const padded = digits.length !== compact.length;
  if (padded && compact.length % 4 !== 0) return undefined;
  if (digits.length % 4 === 1) return undefined;
  if (!/^[A-Za-z0-9_-]*$/.test(digits) && !/^[A-Za-z0-9+/]*$/.test(digits)) return undefined;
  return Buffer.from(digits, "base64url");
}

/** base64url without padding. */
export function encodeBase64Url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64url");
}

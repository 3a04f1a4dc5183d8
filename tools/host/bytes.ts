/**
 * Text that is bytes: header names and values, paths, property values and bodies are strings here whose characters are
 * the bytes (latin-1), so they are exactly what was sent. UTF-8 is decoded only to show it.
 */

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** The bytes of a string whose characters are bytes; a character above 0xFF is an error of the caller. */
export function latin1Encode(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0xff) throw new RangeError(`not a byte: U+${code.toString(16).padStart(4, "0")}`);
    bytes[i] = code;
  }
  return bytes;
}

/** A string whose characters are the bytes. */
export function latin1Decode(bytes: Uint8Array): string {
  let text = "";
  // In parts, because the number of arguments of a call is limited.
  for (let i = 0; i < bytes.length; i += 8192) {
    text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  }
  return text;
}

/** UTF-8 → text; malformed UTF-8 becomes U+FFFD. */
export function utf8Decode(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** The text of a string whose characters are bytes of UTF-8. */
export function readable(text: string): string {
  return utf8Decode(latin1Encode(text));
}

/** Text → UTF-8. */
export function utf8Encode(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text);
}

/** The reverse of `readable`: a string whose characters are the bytes of the text's UTF-8. */
export function wireText(text: string): string {
  return latin1Decode(utf8Encode(text));
}

/** Concatenates byte strings. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((size, { length }) => size + length, 0));
  let end = 0;
  for (const part of parts) {
    bytes.set(part, end);
    end += part.length;
  }
  return bytes;
}

/** Like Go, compares strings by their UTF-8: negative if the first comes first, 0 if they are equal. */
export function compareUtf8(a: string, b: string): number {
  const [first, second] = [wireText(a), wireText(b)];
  return first < second ? -1 : Number(first > second);
}

/** Lower-case hexadecimal. */
export function hexEncode(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** base64 with padding (RFC 4648 §4). */
export function base64Encode(bytes: Uint8Array): string {
  return btoa(latin1Decode(bytes));
}

/** base64url without padding (RFC 7515 §2). */
export function base64UrlEncode(bytes: Uint8Array): string {
  return base64Encode(bytes).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

/**
 * Reads base64 and base64url, with or without padding. Skips other characters and ignores surplus bits at the end: a
 * caller that must refuse those checks the text first.
 */
export function base64Decode(text: string): Uint8Array<ArrayBuffer> {
  const digits = text
    .replace(/=.*/s, "")
    .replace(/-/g, "+")
    .replace(/_/g, "/")
    .replace(/[^A-Za-z0-9+/]/g, "");
  return latin1Encode(atob(digits.length % 4 === 1 ? digits.slice(0, -1) : digits));
}

/** 8 bytes, least significant first, as Envoy gives integers in properties; negative numbers in two's complement. */
export function int64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, BigInt.asIntN(64, value), true);
  return bytes;
}

/** The bytes of pairs of hexadecimal digits. */
export function hexDecode(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

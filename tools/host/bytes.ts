/**
 * Text that is bytes: header names and values, paths, property values and bodies are strings here whose characters
 * are the bytes (latin-1), so that what was on the wire stays exactly as it was. UTF-8 is decoded only for people.
 */

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** The bytes of a string whose characters are bytes; a character above 0xFF is an error of the caller. */
export function latin1Encode(text: string): Uint8Array {
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
  // In pieces: the number of arguments of a call is limited.
  for (let i = 0; i < bytes.length; i += 8192) {
    text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  }
  return text;
}

/** UTF-8 → text; what is no UTF-8 becomes U+FFFD. */
export function utf8Decode(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** What a string whose characters are bytes says to people. */
export function readable(text: string): string {
  return utf8Decode(latin1Encode(text));
}

/** Text → UTF-8. */
export function utf8Encode(text: string): Uint8Array {
  return encoder.encode(text);
}

/** 8 bytes, least significant first, as Envoy gives integers in properties; negative numbers in two's complement. */
export function int64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, BigInt.asIntN(64, value), true);
  return bytes;
}

/** Helpers of the specs for bytes. What they allocate lives as long as the test module. */
import { EMPTY, Slice, lengthOf, pointerOf, slice } from "../memory/slice";
import { encode } from "../encoding/base64";

const KEPT: Array<ArrayBuffer> = [];

function keep(buffer: ArrayBuffer): Slice {
  KEPT.push(buffer);
  return slice(changetype<usize>(buffer), buffer.byteLength);
}

/** The UTF-8 bytes of a text. */
export function bytes(text: string): Slice {
  return keep(String.UTF8.encode(text));
}

/** The bytes that a text of hexadecimal digits represents. */
export function hex(text: string): Slice {
  const buffer = new ArrayBuffer(text.length / 2);
  for (let i = 0; i < buffer.byteLength; i++) {
    store<u8>(changetype<usize>(buffer) + <usize>i, <u8>parseInt(text.substr(2 * i, 2), 16));
  }
  return keep(buffer);
}

/** Bytes in hexadecimal digits, for expectations; "absent" for EMPTY. */
export function toHex(s: Slice): string {
  if (s == EMPTY) return "absent";
  let result = "";
  for (let i = 0; i < lengthOf(s); i++) {
    const byte = load<u8>(pointerOf(s) + <usize>i);
    result += (byte < 16 ? "0" : "") + byte.toString(16);
  }
  return result;
}

/** Bytes as the text they encode, for expectations; "absent" for EMPTY. */
export function toText(s: Slice): string {
  return s == EMPTY ? "absent" : String.UTF8.decodeUnsafe(pointerOf(s), <usize>lengthOf(s));
}

/** A segment of a token: base64url of a text. */
export function section(text: string): string {
  return toText(encode(bytes(text)))
    .replaceAll("=", "")
    .replaceAll("+", "-")
    .replaceAll("/", "_");
}

/** A token whose signature is not one. */
export function token(header: string, payload: string): string {
  return `${section(header)}.${section(payload)}.AA`;
}

/** DER (X.690): the elements of keys, certificates and signatures. */
import { concat } from "../host/bytes.ts";

/** Tags, with the bit for a constructed element if it is one. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  objectIdentifier: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** One element. */
export interface Element {
  tag: number;
  content: Uint8Array;
}

/** Writes one element (X.690 §8.1). */
export function der(tag: number, ...contents: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const content = concat(...contents);
  if (content.length < 0x80) return concat(Uint8Array.of(tag, content.length), content);
  const length: number[] = [];
  for (let rest = content.length; rest > 0; rest >>>= 8) length.unshift(rest & 0xff);
  return concat(Uint8Array.of(tag, 0x80 | length.length, ...length), content);
}

/**
 * Reads a sequence of elements.
 *
 * @returns undefined if the bytes are anything else: a length beyond the end, one that is not the shortest (§10.1), or
 *   a tag of more than one byte
 */
export function elements(bytes: Uint8Array): Element[] | undefined {
  const found: Element[] = [];
  let at = 0;
  while (at < bytes.length) {
    const tag = bytes[at++] ?? 0;
    let length = bytes[at++] ?? 0x80;
    if ((tag & 0x1f) === 0x1f) return undefined;
    if (length >= 0x80) {
      const size = length - 0x80;
      if (size === 0 || size > 4 || bytes[at] === 0) return undefined;
      length = 0;
      for (let i = 0; i < size; i++) length = length * 256 + (bytes[at++] ?? 0);
      if (length < 0x80) return undefined;
    }
    if (at + length > bytes.length) return undefined;
    found.push({ tag, content: bytes.subarray(at, at + length) });
    at += length;
  }
  return found;
}

/** The elements of a text that is one element of that tag; undefined if it is anything else. */
export function elementsOf(bytes: Uint8Array, tag: number): Element[] | undefined {
  const [element, ...more] = elements(bytes) ?? [];
  return element?.tag === tag && more.length === 0 ? elements(element.content) : undefined;
}

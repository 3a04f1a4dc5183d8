/**
 * The ABI's list of pairs: a count, then the length of each name and value, then the bytes, each followed by a zero
 * byte. All numbers are 32 bits, least significant byte first (proxy-wasm-cpp-host, src/pairs_util.cc).
 */
import { PAIRS_MAX_BYTES, PAIRS_MAX_COUNT } from "./abi.ts";
import { latin1Decode } from "./bytes.ts";

export type Pair = readonly [name: string, value: string];

/** @param pairs whose characters are bytes */
export function encodePairs(pairs: readonly Pair[]): Uint8Array {
  const head = 4 + 8 * pairs.length;
  const size = pairs.reduce((sum, [name, value]) => sum + name.length + value.length + 2, head);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, pairs.length, true);
  let lengths = 4;
  let at = head;
  for (const [name, value] of pairs) {
    view.setUint32(lengths, name.length, true);
    view.setUint32(lengths + 4, value.length, true);
    lengths += 8;
    for (const text of [name, value]) {
      for (let i = 0; i < text.length; i++) bytes[at++] = text.charCodeAt(i);
      at++;
    }
  }
  return bytes;
}

/**
 * Decodes a list from the module as the host does: one that is malformed, longer than 1 MiB or has more than 1,024
 * pairs becomes empty, without an error. This is the host's rule, which authors of modules easily overlook.
 */
export function decodePairs(bytes: Uint8Array): Pair[] {
  if (bytes.length < 4 || bytes.length > PAIRS_MAX_BYTES) return [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const count = view.getUint32(0, true);
  if (count > PAIRS_MAX_COUNT || 4 + 8 * count > bytes.length) return [];
  let at = 4 + 8 * count;
  const text = (length: number): string | undefined => {
    if (at + length + 1 > bytes.length || bytes[at + length] !== 0) return undefined;
    const result = latin1Decode(bytes.subarray(at, at + length));
    at += length + 1;
    return result;
  };
  const pairs: Pair[] = [];
  for (let i = 0; i < count; i++) {
    const name = text(view.getUint32(4 + 8 * i, true));
    const value = name === undefined ? undefined : text(view.getUint32(8 + 8 * i, true));
    if (name === undefined || value === undefined) return [];
    pairs.push([name, value]);
  }
  return at === bytes.length ? pairs : [];
}

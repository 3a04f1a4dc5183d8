/** Checks the point of a public key. */
import { ed25519 } from "@noble/curves/ed25519.js";
import { p256, p384, p521 } from "@noble/curves/nist.js";
import { hexEncode } from "../host/bytes.ts";
import type { Algorithm } from "./algorithms.ts";

const CURVES = new Map<Algorithm["crv"], typeof p256>([
  ["P-256", p256],
  ["P-384", p384],
  ["P-521", p521],
]);

/** Whether the coordinates, big-endian, are a point of a NIST curve. */
export function isPoint(crv: Algorithm["crv"], x: Uint8Array, y: Uint8Array): boolean {
  const [bigX, bigY] = [x, y].map((bytes) => BigInt(`0x${hexEncode(bytes)}`));
  try {
    CURVES.get(crv)
      ?.Point.fromAffine({ x: bigX ?? 0n, y: bigY ?? 0n })
      .assertValidity();
    return CURVES.has(crv);
  } catch {
    return false;
  }
}

/**
 * RFC 8032 §5.1.3; docs/strictness.md, S11.
 *
 * @param key 32 bytes
 * @returns why no signature can be trusted under this key; undefined if it is valid
 */
export function ed25519Fault(key: Uint8Array): string | undefined {
  try {
    if (!ed25519.Point.fromBytes(key, false).isSmallOrder()) return undefined;
  } catch {
    return "[x] is not a point of the curve";
  }
  return "[x] is a point of small order, under which a signature can be made without a private key";
}

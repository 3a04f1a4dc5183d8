/**
 * RSA signatures with moduli of every length modulo 8. OpenSSL generates only moduli of an even length (it rounds 2049 down
 * to 2048), so the keys are made from two primes here.
 */
import {
  constants,
  createPrivateKey,
  generatePrimeSync,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  sign,
} from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { COMPILING, CryptoGuest, noHost, toBytes, toNumber } from "./guest.ts";

const text = Buffer.from("what is signed");

/** From 2041 to 2048 bits of EM, which has one bit less than the modulus, all its paddings to whole bytes. */
const LENGTHS = [2048, 2049, 2050, 2051, 2052, 2053, 2054, 2055, 2056];

describe("RSA signatures", () => {
  let guest: CryptoGuest;
  const keys = new Map<number, RsaKey>();
  beforeAll(async () => {
    guest = await CryptoGuest.create(noHost);
    for (const bits of LENGTHS) keys.set(bits, makeKey(bits, bits % 2 === 0 ? 3n : 65537n));
  }, COMPILING);

  /** Loads the key with a modulus of that length into the guest. */
  function load(bits: number): RsaKey {
    const key = keys.get(bits);
    if (key === undefined) throw new Error(`no key of ${bits} bits`);
    expect(guest.loadRsa(key.modulus, key.exponent)).toBeUndefined();
    expect(guest.rsaBits).toBe(bits);
    return key;
  }

  it.each(LENGTHS)("of %i bits: exact, in range, unchanged", (bits) => {
    const { privateKey, modulus } = load(bits);
    for (const hash of ["sha256", "sha384", "sha512"] as const) {
      const pss = { key: privateKey, padding: 6, saltLength: Number(hash.slice(3)) / 8 };
      const cases: [(s: Buffer) => boolean, Buffer][] = [
        [(s) => guest.verifyPkcs1(hash, s, text), sign(hash, text, privateKey)],
        [(s) => guest.verifyPss(hash, s, text), sign(hash, text, pss)],
      ];
      for (const [accepts, signature] of cases) {
        expect(accepts(signature)).toBe(true);
        expect(accepts(signature.subarray(1))).toBe(false);
        expect(accepts(signature.subarray(0, -1))).toBe(false);
        expect(accepts(Buffer.alloc(0))).toBe(false);
        expect(accepts(Buffer.concat([Buffer.alloc(1), signature]))).toBe(false);
        expect(accepts(Buffer.concat([signature, Buffer.alloc(1)]))).toBe(false);
        expect(accepts(add(signature, modulus))).toBe(false);
        for (const constant of [0, 1, 0xff])
          expect(accepts(Buffer.alloc(modulus.length, constant))).toBe(false);
        expect(accepts(modulus)).toBe(false);
        for (let i = 0; i < 16; i++) {
          const changed = Buffer.from(signature);
          const at = (i * 167) % (8 * changed.length);
          changed[at >> 3] = (changed[at >> 3] ?? 0) ^ (1 << (at & 7));
          expect(accepts(changed)).toBe(false);
        }
      }
      // A salt of another length, and the signature of the other scheme.
      for (const saltLength of [0, 20, pss.saltLength - 1, pss.saltLength + 1]) {
        expect(guest.verifyPss(hash, sign(hash, text, { ...pss, saltLength }), text)).toBe(false);
      }
      expect(guest.verifyPkcs1(hash, cases[1]?.[1] ?? text, text)).toBe(false);
      expect(guest.verifyPss(hash, cases[0]?.[1] ?? text, text)).toBe(false);
    }
  });

  // Only the key's owner can make such a signature. A verifier that accepts it does not check all of EM (RFC 8017 §9.1.2).
  it.each(LENGTHS)("of %i bits: PSS with the bit above EM set is refused", (bits) => {
    const { privateKey, modulus } = load(bits);
    const raw = { key: privateKey, padding: constants.RSA_NO_PADDING };
    const n = toNumber(modulus);
    const above = 1n << BigInt(bits - 1);
    for (const hash of ["sha256", "sha384", "sha512"] as const) {
      const pss = { key: privateKey, padding: 6, saltLength: Number(hash.slice(3)) / 8 };
      let signature = sign(hash, text, pss);
      let encoded = toNumber(publicEncrypt(raw, signature));
      // Salts are random, and so is EM: one in eight or more leaves room below n for the bit.
      for (; encoded + above >= n; encoded = toNumber(publicEncrypt(raw, signature))) {
        signature = sign(hash, text, pss);
      }
      expect(encoded).toBeLessThan(above);
      expect(guest.verifyPss(hash, signature, text)).toBe(true);
      const forged = privateDecrypt(raw, toBytes(encoded + above, modulus.length));
      expect(guest.verifyPss(hash, forged, text)).toBe(false);
    }
  });
});

interface RsaKey {
  privateKey: KeyObject;
  modulus: Buffer;
  exponent: Buffer;
}

/** A key whose modulus has exactly `bits` bits. */
function makeKey(bits: number, e: bigint): RsaKey {
  const half = Math.ceil(bits / 2);
  let [p, q] = [0n, 0n];
  // OpenSSL sets the two highest bits of a prime, so that the product is as long as both together.
  while (p === q || (p * q).toString(2).length !== bits) {
    p = primeFor(e, half);
    q = primeFor(e, bits - half);
  }
  const d = inverse(e, (p - 1n) * (q - 1n));
  const numbers = { n: p * q, e, d, p, q, dp: d % (p - 1n), dq: d % (q - 1n), qi: inverse(q, p) };
  const key = Object.fromEntries(
    Object.entries(numbers).map(([name, number]) => [name, toBytes(number).toString("base64url")]),
  );
  const privateKey = createPrivateKey({ key: { kty: "RSA", ...key }, format: "jwk" });
  return { privateKey, modulus: toBytes(numbers.n), exponent: toBytes(e) };
}

/** A prime p of `bits` bits for which e has an inverse modulo p - 1. @param e a prime */
function primeFor(e: bigint, bits: number): bigint {
  let p = 1n;
  while (p % e === 1n) p = generatePrimeSync(bits, { bigint: true });
  return p;
}

/** The inverse of a modulo m, where they have no common factor (extended Euclidean algorithm). */
function inverse(a: bigint, m: bigint): bigint {
  let [r, next, x, nextX] = [m, a % m, 0n, 1n];
  while (next !== 0n) {
    const quotient = r / next;
    [r, next] = [next, r - quotient * next];
    [x, nextX] = [nextX, x - quotient * nextX];
  }
  return ((x % m) + m) % m;
}

/** The sum, in as many bytes (the last carry is dropped). */
function add(a: Buffer, b: Buffer): Buffer {
  const sum = BigInt(`0x${a.toString("hex")}`) + BigInt(`0x${b.toString("hex")}`);
  return Buffer.from(
    sum
      .toString(16)
      .padStart(2 * a.length, "0")
      .slice(-2 * a.length),
    "hex",
  );
}

import { createHash, createPrivateKey, generateKeyPairSync, sign } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import rfc8032 from "../vectors/rfc8032.json" with { type: "json" };
import { COMPILING, CryptoGuest, fromBase64url, noHost } from "./guest.ts";

const P = 2n ** 255n - 19n;
const L = 2n ** 252n + 27742317777372353535851937790883648493n;

const bytes = (value: bigint) => Buffer.from(value.toString(16).padStart(64, "0"), "hex").reverse();
const number = (b: Uint8Array) => BigInt(`0x${Buffer.from(b).reverse().toString("hex")}`);
const hex = (text = "") => Buffer.from(text, "hex");

describe("Ed25519", () => {
  let guest: CryptoGuest;
  beforeAll(async () => {
    guest = await CryptoGuest.create(noHost);
  }, COMPILING);

  it.each(rfc8032.tests)("verifies RFC 8032's %s", (_, x, message, signature) => {
    expect(guest.loadEd25519(hex(x))).toBeUndefined();
    expect(guest.verifyEd25519(hex(signature), hex(message))).toBe(true);
    expect(guest.verifyEd25519(hex(signature), hex(`${message}00`))).toBe(false);
  });

  it("agrees with another implementation on messages of many lengths, and on changed ones", () => {
    for (let i = 0; i < 300; i++) {
      const seed = createHash("sha256").update(`seed ${i}`).digest();
      const key = createPrivateKey({
        key: Buffer.concat([hex("302e020100300506032b657004220420"), seed]),
        format: "der",
        type: "pkcs8",
      });
      const x = fromBase64url(key.export({ format: "jwk" }).x);
      expect(guest.loadEd25519(x)).toBeUndefined();
      for (const length of [i, 3 * i + 1, 1000 - i]) {
        const message = Buffer.alloc(length, `message ${i}`);
        const signature = sign(null, message, key);
        expect(guest.verifyEd25519(signature, message)).toBe(true);
        const at = (i * 7 + length) % 512;
        signature[at >> 3] = (signature[at >> 3] ?? 0) ^ (1 << (at & 7));
        expect(guest.verifyEd25519(signature, message)).toBe(false);
      }
    }
  });

  it("is right for more keys than have tables, in any order, and after tables were given to others", async () => {
    const other = await CryptoGuest.create(noHost);
    const message = Buffer.from("message");
    const keys = Array.from({ length: 40 }, () => {
      const { publicKey, privateKey } = generateKeyPairSync("ed25519");
      const x = fromBase64url(publicKey.export({ format: "jwk" }).x);
      return { x, signature: sign(null, message, privateKey) };
    });
    const use = ({ x, signature }: (typeof keys)[number], i: number, times: number) => {
      other.loadEd25519(x);
      for (let n = 0; n < times; n++) {
        expect(other.verifyEd25519(signature, message)).toBe(true);
        expect(other.verifyEd25519(keys[(i + 1) % keys.length]?.signature ?? signature, message)).toBe(false);
      }
    };
    for (let round = 0; round < 3; round++) for (const [i, key] of keys.entries()) use(key, i, 3);
    // Enough that every table has rested long enough, and the last keys get one.
    const [first] = keys;
    if (first !== undefined) use(first, 0, 600);
    for (const [i, key] of keys.toReversed().entries()) use(key, keys.length - 1 - i, 3);
  });

  it("makes room for a table once for a key that is loaded again and again", async () => {
    const other = await CryptoGuest.create(noHost);
    const { publicKey } = generateKeyPairSync("ed25519");
    const x = fromBase64url(publicKey.export({ format: "jwk" }).x);
    other.loadEd25519(x);
    const before = other.collect();
    for (let i = 0; i < 40; i++) other.loadEd25519(x);
    expect(other.collect()).toBe(before);
  });

  it("needs no memory for each verification, nor for each key beyond those that have tables", () => {
    const message = Buffer.from("message");
    const loadAndUse = (count: number) => {
      for (let i = 0; i < count; i++) {
        const { publicKey, privateKey } = generateKeyPairSync("ed25519");
        guest.loadEd25519(fromBase64url(publicKey.export({ format: "jwk" }).x));
        const signature = sign(null, message, privateKey);
        for (let use = 0; use < 3; use++) expect(guest.verifyEd25519(signature, message)).toBe(true);
      }
    };
    loadAndUse(40);
    const before = guest.collect();
    loadAndUse(200);
    expect(guest.collect()).toBe(before);
  });

  it("takes signatures of exactly 64 bytes with S less than the order", () => {
    const { publicKey, privateKey } = generateKeyPairSync("ed25519");
    guest.loadEd25519(fromBase64url(publicKey.export({ format: "jwk" }).x));
    const message = Buffer.from("message");
    const signature = sign(null, message, privateKey);
    const r = signature.subarray(0, 32);
    const s = number(signature.subarray(32));
    expect(guest.verifyEd25519(signature, message)).toBe(true);
    for (let factor = 1n; s + factor * L < 2n ** 256n; factor++) {
      expect(guest.verifyEd25519(Buffer.concat([r, bytes(s + factor * L)]), message)).toBe(false);
    }
    expect(guest.verifyEd25519(Buffer.concat([r, bytes(L)]), message)).toBe(false);
    expect(guest.verifyEd25519(signature.subarray(0, 63), message)).toBe(false);
    expect(guest.verifyEd25519(Buffer.concat([signature, Buffer.of(0)]), message)).toBe(false);
    expect(guest.verifyEd25519(Buffer.alloc(0), message)).toBe(false);
  });

  // The y of the points of order 1, 2, 4 and 8, with either sign, and what is the same modulo p.
  const order8 = 0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n;
  const small = [1n, P - 1n, 0n, order8, P - order8];
  it.each(small.flatMap((y) => [y, y | (2n ** 255n)]))(
    "has no use for the point of small order at %s",
    (y) => {
      const reason = guest.loadEd25519(bytes(y));
      const signWithoutX = y === 2n ** 255n + 1n || y === 2n ** 255n + P - 1n;
      expect(reason).toBe(
        signWithoutX
          ? "the public key is not the canonical encoding of a point"
          : "the public key is a point of small order",
      );
    },
  );

  it("refuses encodings that are not canonical, and what is not a point", () => {
    const reason = "the public key is not the canonical encoding of a point";
    for (let y = P; y < 2n ** 255n; y++) {
      expect(guest.loadEd25519(bytes(y))).toBe(reason);
      expect(guest.loadEd25519(bytes(y | (2n ** 255n)))).toBe(reason);
    }
    let points = 0;
    for (let y = 2n; y < 202n; y++) {
      const isPoint = isSquare((y * y - 1n) * inverse(y * y * D + 1n));
      expect(guest.loadEd25519(bytes(y)), `y = ${y}`).toBe(isPoint ? undefined : reason);
      if (isPoint) points++;
    }
    expect(points).toBeGreaterThan(60);
    expect(points).toBeLessThan(140);
  });

  it("refuses keys of another length", () => {
    const reason = "the public key does not have 32 bytes";
    expect(guest.loadEd25519(Buffer.alloc(0))).toBe(reason);
    expect(guest.loadEd25519(Buffer.alloc(31, 1))).toBe(reason);
    expect(guest.loadEd25519(Buffer.alloc(33, 1))).toBe(reason);
  });

  it("frees the memory of keys that are no longer used", () => {
    const { publicKey } = generateKeyPairSync("ed25519");
    const x = fromBase64url(publicKey.export({ format: "jwk" }).x);
    for (let i = 0; i < 8; i++) guest.loadEd25519(x);
    const size = guest.collect();
    for (let i = 0; i < 64; i++) {
      guest.loadEd25519(x);
      expect(guest.collect()).toBe(size);
    }
  });
});

const D = (-121665n * inverse(121666n)) % P;

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (const bit of exponent.toString(2)) {
    result = (result * result) % P;
    if (bit === "1") result = (((result * base) % P) + P) % P;
  }
  return result;
}

function inverse(a: bigint): bigint {
  return power(a, P - 2n);
}

function isSquare(a: bigint): boolean {
  return power(a, (P - 1n) / 2n) !== P - 1n;
}

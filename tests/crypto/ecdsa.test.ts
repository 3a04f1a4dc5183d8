/** ECDSA in Wasm: the fields against big integers, and verification against Node and against signatures made to measure. */
import { createECDH, createHash, generateKeyPairSync, randomBytes, sign, verify } from "node:crypto";
import { p256, p384, p521 } from "@noble/curves/nist.js";
import { beforeAll, describe, expect, it } from "vitest";
import { compileAssembly } from "../support/assembly.ts";
import {
  COMPILING,
  CryptoGuest,
  type CurveName,
  fromBase64url,
  type HashName,
  noHost,
  toBytes,
  toNumber,
} from "./guest.ts";

/** More for a longer run: ECDSA_SIGNATURES=100000. */
const SIGNATURES = Number(process.env["ECDSA_SIGNATURES"] ?? 300);

interface Case {
  name: CurveName;
  hash: HashName;
  length: number;
  limbBits: bigint;
  curve: typeof p256;
}

const CURVES: Case[] = [
  { name: "P-256", hash: "sha256", length: 32, limbBits: 29n, curve: p256 },
  { name: "P-384", hash: "sha384", length: 48, limbBits: 28n, curve: p384 },
  { name: "P-521", hash: "sha512", length: 66, limbBits: 29n, curve: p521 },
];

const mod = (value: bigint, n: bigint) => ((value % n) + n) % n;
const primeOf = ({ curve }: Case) => curve.Point.Fp.ORDER;
const orderOf = ({ curve }: Case) => curve.Point.Fn.ORDER;

/** Random numbers below n, and those where limbs, carries and subtractions are at their bounds. */
function numbersBelow(n: bigint, bits: bigint, count: number): bigint[] {
  const edges: bigint[] = [];
  for (let at = 0n; 2n ** at < n; at += bits)
    edges.push(2n ** at, 2n ** at - 1n, n - 2n ** at, n / 2n + 2n ** at);
  const half = [...Array(20).keys()].reduce((sum, i) => sum + 2n ** (bits * BigInt(i) + bits - 1n), 0n);
  edges.push(0n, 1n, 2n, n - 1n, n - 2n, half % n, (half - 1n) % n, n / 2n, n / 2n + 1n);
  const length = n.toString(16).length;
  const random = () => toNumber(randomBytes(length)) % n;
  return [...edges.map((edge) => mod(edge, n)), ...Array.from({ length: count }, random)];
}

describe("numbers modulo the primes", () => {
  interface Fields {
    memory: WebAssembly.Memory;
    _initialize(): void;
    buffer(): number;
    isZero(field: number): number;
    invert(length: number): number;
    [operation: string]: unknown;
  }
  let fields: Fields;
  beforeAll(async () => {
    const bytes = await compileAssembly("tests/support/guest/fields.ts", "-O3", "--noAssert");
    const imports = { env: {}, wasi_snapshot_preview1: { random_get: () => 0 } };
    const { exports } = new WebAssembly.Instance(await WebAssembly.compile(bytes), imports);
    fields = exports as unknown as Fields;
    fields._initialize();
  }, COMPILING);

  const put = (...numbers: Buffer[]) =>
    new Uint8Array(fields.memory.buffer).set(Buffer.concat(numbers), fields.buffer());
  const taken = (length: number) =>
    toNumber(new Uint8Array(fields.memory.buffer, fields.buffer(), length).slice());

  it.each(CURVES)("of $name are multiplied, added and written as big integers are", (one) => {
    const field = CURVES.indexOf(one);
    const p = primeOf(one);
    const run = (operation: string) => (fields[operation] as (field: number) => void)(field);
    const operations: [string, (a: bigint, b: bigint) => bigint][] = [
      ["multiply", (a, b) => a * b],
      ["square", (a) => a * a],
      ["add", (a, b) => a + b],
      ["subtract", (a, b) => a - b],
      ["multiplyUncarried", (a, b) => (a - b) * (a + b)],
    ];
    const numbers = numbersBelow(p, one.limbBits, 60);
    for (const a of numbers) {
      for (const b of [numbers[0] ?? 0n, a, p - a === p ? 0n : p - a, ...numbers.slice(-8)]) {
        for (const [operation, expected] of operations) {
          put(toBytes(a, one.length), toBytes(b, one.length));
          run("read");
          run(operation);
          const value = mod(expected(a, b), p);
          expect(fields.isZero(field) === 1, `${operation} ${a} ${b}`).toBe(value === 0n);
          run("carry");
          expect(fields.isZero(field) === 1).toBe(value === 0n);
          run("write");
          expect(taken(one.length), `${operation} ${a} ${b}`).toBe(value);
        }
      }
    }
  });

  it.each(CURVES)("of $name stay right through a thousand products of products", (one) => {
    const field = CURVES.indexOf(one);
    const p = primeOf(one);
    const [a, b] = [toNumber(randomBytes(one.length)) % p, p - 1n];
    put(toBytes(a, one.length), toBytes(b, one.length));
    const run = (operation: string) => (fields[operation] as (field: number) => void)(field);
    run("read");
    let value = a;
    for (let i = 0; i < 1000; i++) {
      run(i % 3 === 0 ? "square" : "multiply");
      value = mod(i % 3 === 0 ? value * value : value * b, p);
      run("chain");
    }
    run("write");
    expect(taken(one.length)).toBe(value);
  });

  it.each(CURVES)("and modulo the order of $name are inverted", (one) => {
    for (const n of [primeOf(one), orderOf(one)]) {
      for (const a of numbersBelow(n, 30n, 200)) {
        put(toBytes(a, one.length), toBytes(n, one.length));
        expect(fields.invert(one.length) === 1).toBe(a !== 0n);
        if (a !== 0n) expect(mod(taken(one.length) * a, n), String(a)).toBe(1n);
      }
    }
  });

  it("have no inverse if there is a common divisor", () => {
    put(toBytes(15n, 32), toBytes(21n, 32));
    expect(fields.invert(32)).toBe(0);
  });
});

describe.each(CURVES)("ECDSA on $name without a host", (one) => {
  const { name, hash, length, curve } = one;
  const n = orderOf(one);
  const text = Buffer.from("what is signed");
  const e = mod(toNumber(createHash(hash).update(text).digest()), n);
  let guest: CryptoGuest;
  beforeAll(async () => {
    guest = await CryptoGuest.create(noHost);
  }, COMPILING);

  const raw = (r: bigint, s: bigint) => Buffer.concat([toBytes(r, length), toBytes(s, length)]);
  type Point = ReturnType<typeof curve.Point.fromAffine>;
  const load = (point: Point) => {
    const { x, y } = point.toAffine();
    expect(guest.loadEc(name, toBytes(x, length), toBytes(y, length))).toBeUndefined();
  };
  /** The first time without a table of the key, then with one. */
  const accepts = (signature: Buffer) => {
    const answers = [1, 2, 3].map(() => guest.verifyEc(hash, signature, text));
    expect(new Set(answers).size).toBe(1);
    return answers[0];
  };

  it("agrees with Node on good signatures and on changed ones", () => {
    for (let done = 0; done < SIGNATURES; ) {
      const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: name });
      const { x, y } = publicKey.export({ format: "jwk" });
      guest.loadEc(name, fromBase64url(x), fromBase64url(y));
      for (let i = 0; i < 50 && done < SIGNATURES; i++, done++) {
        const message = randomBytes(i);
        const signature = sign(hash, message, { key: privateKey, dsaEncoding: "ieee-p1363" });
        expect(guest.verifyEc(hash, signature, message)).toBe(true);
        const at = (done * 61) % (16 * length);
        signature[at >> 3] = (signature[at >> 3] ?? 0) ^ (1 << (at & 7));
        const good = verify(hash, message, { key: publicKey, dsaEncoding: "ieee-p1363" }, signature);
        expect(guest.verifyEc(hash, signature, message)).toBe(good);
      }
    }
  });

  it("meets the base point, its opposite and small multiples as keys", () => {
    for (const k of [1n, 2n, 3n, 15n, 16n, 17n, 31n, 32n, n - 1n, n - 2n, n - 16n, (n + 1n) / 2n]) {
      load(curve.Point.BASE.multiply(k));
      for (const nonce of [1n, 2n, 16n, 32n, n - 1n, n - 16n, 2n ** 20n]) {
        const r = mod(curve.Point.BASE.multiply(nonce).toAffine().x, n);
        const s = mod(curve.Point.Fn.inv(nonce) * (e + r * k), n);
        if (s === 0n) continue;
        expect(accepts(raw(r, s)), `key ${k}, nonce ${nonce}`).toBe(true);
        expect(accepts(raw(r, n - s))).toBe(true);
        expect(accepts(raw(r, s === 1n ? 2n : s - 1n))).toBe(false);
        expect(accepts(raw(r === 1n ? 2n : r - 1n, s))).toBe(false);
      }
    }
  });

  it("refuses a signature whose two multiples cancel", () => {
    // With s = 1, u = e and v = r; with the key -e/r the sum is the point at infinity.
    for (const r of [1n, 5n, n - 1n, e]) {
      load(curve.Point.BASE.multiply(mod(-e * curve.Point.Fn.inv(r), n)));
      expect(accepts(raw(r, 1n))).toBe(false);
    }
    // With s = e/k, u = k: the last sum before infinity is -k times the base point, and r is its x.
    for (const k of [1n, 2n, 16n]) {
      const r = mod(curve.Point.BASE.multiply(k).toAffine().x, n);
      load(curve.Point.BASE.multiply(mod(-e * curve.Point.Fn.inv(r), n)));
      expect(accepts(raw(r, mod(e * curve.Point.Fn.inv(k), n))), `the base point times ${k}`).toBe(false);
    }
  });

  it("takes an r that is the point's x less n, and no other", () => {
    let x = n + 1n;
    let point: Point | undefined;
    const p = primeOf(one);
    for (; point === undefined && x < p; x++) {
      try {
        point = curve.Point.fromBytes(Buffer.concat([Buffer.of(2), toBytes(x, length)]));
      } catch {
        // No point has this x.
      }
    }
    x--;
    if (point === undefined) throw new Error("no point has an x from n to p - 1");
    const r = x - n;
    for (const s of [1n, 12345n, n - 7n]) {
      // The key that this signature is good for (SEC 1 §4.1.6).
      const inverse = curve.Point.Fn.inv(r);
      load(point.multiply(mod(s * inverse, n)).add(curve.Point.BASE.multiply(mod(-e * inverse, n))));
      expect(accepts(raw(r, s))).toBe(true);
      expect(accepts(raw(r + 1n, s))).toBe(false);
    }
  });

  it("cuts a digest that is longer than the order, and takes a shorter one as it is", () => {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: name });
    const { x, y } = publicKey.export({ format: "jwk" });
    guest.loadEc(name, fromBase64url(x), fromBase64url(y));
    for (const other of ["sha256", "sha384", "sha512"] as const) {
      const signature = sign(other, text, { key: privateKey, dsaEncoding: "ieee-p1363" });
      expect(guest.verifyEc(other, signature, text)).toBe(true);
      expect(guest.verifyEc(other, signature, Buffer.from("another text"))).toBe(false);
    }
  });

  it("is right for more keys than have tables, in any order", async () => {
    const other = await CryptoGuest.create(noHost);
    const keys = Array.from({ length: 12 }, () => {
      const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: name });
      const { x, y } = publicKey.export({ format: "jwk" });
      const signature = sign(hash, text, { key: privateKey, dsaEncoding: "ieee-p1363" });
      return { x: fromBase64url(x), y: fromBase64url(y), signature };
    });
    for (let round = 0; round < 3; round++) {
      for (const [i, { x, y, signature }] of keys.entries()) {
        other.loadEc(name, x, y);
        for (let use = 0; use < 3; use++) {
          expect(other.verifyEc(hash, signature, text)).toBe(true);
          expect(other.verifyEc(hash, keys[(i + 1) % keys.length]?.signature ?? signature, text)).toBe(false);
        }
      }
    }
  });

  it("needs no memory for each verification, nor for each key", async () => {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: name });
    const { x, y } = publicKey.export({ format: "jwk" });
    const signature = sign(hash, text, { key: privateKey, dsaEncoding: "ieee-p1363" });
    guest.loadEc(name, fromBase64url(x), fromBase64url(y));
    const before = guest.collect();
    for (let i = 0; i < 1000; i++) guest.verifyEc(hash, signature, text);
    for (let i = 0; i < 500; i++) {
      const other = createECDH(
        name === "P-256" ? "prime256v1" : name === "P-384" ? "secp384r1" : "secp521r1",
      );
      const bytes = other.generateKeys();
      guest.loadEc(name, bytes.subarray(1, 1 + length), bytes.subarray(1 + length));
      guest.verifyEc(hash, signature, text);
      guest.verifyEc(hash, signature, text);
      if (i % 50 === 0) guest.collect();
    }
    expect(guest.collect()).toBe(before);
  });
});

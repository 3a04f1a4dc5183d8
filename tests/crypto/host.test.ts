import { createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { BAD, COMPILING, CryptoGuest, fromBase64url, GOOD, type Host, nodeHost, noHost } from "./guest.ts";

const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const rsaJwk = rsa.publicKey.export({ format: "jwk" });
const ecJwk = ec.publicKey.export({ format: "jwk" });
const text = Buffer.from("what is signed");

const loadRsa = (guest: CryptoGuest) => guest.loadRsa(fromBase64url(rsaJwk.n), fromBase64url(rsaJwk.e));
const loadEc = (guest: CryptoGuest) => guest.loadEc("P-256", fromBase64url(ecJwk.x), fromBase64url(ecJwk.y));

describe("the host's verify_signature", () => {
  const signature = sign("sha256", text, rsa.privateKey);
  const ecSignature = sign("sha256", text, { key: ec.privateKey, dsaEncoding: "ieee-p1363" });

  // Compiled once, before the first test's time is taken.
  beforeAll(async () => void (await CryptoGuest.create(noHost)), COMPILING);

  it("is tried once, with a known signature and with a text that it is not of", async () => {
    const guest = await CryptoGuest.create(nodeHost);
    expect(guest.hostAvailable).toBe(true);
    expect(guest.hostAvailable).toBe(true);
    expect(guest.asked.map((request) => request.text.toString())).toEqual(["sample", "test"]);
    expect(guest.hostFailed).toBe(false);
  });

  it("gets RSA keys and signatures as Envoy takes them", async () => {
    const guest = await CryptoGuest.create(nodeHost);
    expect(loadRsa(guest)).toBeUndefined();
    expect(guest.verifyPkcs1("sha256", signature, text)).toBe(true);
    expect(guest.verifyPkcs1("sha384", signature, text)).toBe(false);
    const asked = guest.asked.slice(2);
    expect(asked.map(({ hash }) => hash)).toEqual(["sha256", "sha384"]);
    for (const request of asked) {
      expect(request.publicKey).toEqual(rsa.publicKey.export({ format: "der", type: "spki" }));
      expect(request.signature).toEqual(signature);
      expect(request.text).toEqual(text);
    }
  });

  it("gets keys and signatures on P-256 as Envoy takes them", async () => {
    const guest = await CryptoGuest.create(nodeHost);
    expect(loadEc(guest)).toBeUndefined();
    // Often enough for r and s with and without a leading zero, or a first bit that looks like a sign.
    for (let i = 0; i < 64; i++) {
      const raw = sign("sha256", text, { key: ec.privateKey, dsaEncoding: "ieee-p1363" });
      expect(guest.verifyEc("sha256", raw, text)).toBe(true);
      raw[i] = (raw[i] ?? 0) ^ 1;
      expect(guest.verifyEc("sha256", raw, text)).toBe(false);
    }
    expect(
      createPublicKey({ key: guest.asked.at(-1)?.publicKey ?? "", format: "der", type: "spki" }),
    ).toEqual(ec.publicKey);
  });

  it.each(["P-384", "P-521"] as const)("is not asked on %s, where Wasm is faster", async (curve) => {
    const guest = await CryptoGuest.create(nodeHost);
    const pair = generateKeyPairSync("ec", { namedCurve: curve });
    const { x, y } = pair.publicKey.export({ format: "jwk" });
    expect(guest.loadEc(curve, fromBase64url(x), fromBase64url(y))).toBeUndefined();
    const raw = sign("sha256", text, { key: pair.privateKey, dsaEncoding: "ieee-p1363" });
    expect(guest.verifyEc("sha256", raw, text)).toBe(true);
    expect(guest.asked).toEqual([]);
  });

  const silent: Host = () => ({ status: 0 });
  const failing: Host = () => ({ status: 10, result: GOOD });
  const credulous: Host = () => ({ status: 0, result: GOOD });
  const malformed: Host = () => ({ status: 0, result: Uint8Array.of(0x08, 0x80) });
  it.each<[string, Host]>([
    ["has no such function", noHost],
    ["fails", failing],
    ["answers nothing", silent],
    ["answers with something other than a result", malformed],
    ["finds nothing good", () => ({ status: 0, result: BAD })],
    ["finds everything good", credulous],
  ])("is not used if the host %s", async (_, host) => {
    const guest = await CryptoGuest.create(host);
    expect(guest.hostAvailable).toBe(false);
    expect(guest.hostFailed).toBe(false);
    const asked = guest.asked.length;
    expect(loadEc(guest)).toBeUndefined();
    expect(guest.verifyEc("sha256", ecSignature, text)).toBe(true);
    expect(guest.verifyEc("sha256", ecSignature, Buffer.from("another text"))).toBe(false);
    expect(loadRsa(guest)).toBeUndefined();
    expect(guest.verifyPkcs1("sha256", signature, text)).toBe(true);
    expect(guest.verifyPkcs1("sha256", signature, Buffer.from("another text"))).toBe(false);
    expect(guest.verifyPkcs1("sha512", signature, text)).toBe(false);
    expect(guest.asked.length).toBe(asked);
  });

  it("fails later: no signature is verified, and the result reports it", async () => {
    let host = nodeHost;
    const guest = await CryptoGuest.create((request) => host(request));
    loadRsa(guest);
    expect(guest.verifyPkcs1("sha256", signature, text)).toBe(true);
    host = failing;
    expect(guest.verifyPkcs1("sha256", signature, text)).toBe(false);
    expect(guest.hostFailed).toBe(true);
    loadEc(guest);
    expect(guest.verifyEc("sha256", ecSignature, text)).toBe(false);
    expect(guest.hostFailed).toBe(true);
    host = nodeHost;
    expect(guest.verifyEc("sha256", ecSignature, text)).toBe(true);
    expect(guest.hostFailed).toBe(false);
  });

  it.each<[string, number[], boolean]>([
    ["true", [0x08, 1], true],
    ["true, and an error text", [0x08, 1, 0x12, 1, 0x78], true],
    ["an error text, then true", [0x12, 1, 0x78, 0x08, 1], true],
    [
      "unknown fields of every type, then true",
      [0x51, 0, 0, 0, 0, 0, 0, 0, 0, 0x55, 0, 0, 0, 0, 0x50, 7, 0x08, 1],
      true,
    ],
    ["true, then false", [0x08, 1, 0x08, 0], false],
    ["another number", [0x08, 2], false],
    ["a field of the wrong type", [0x0a, 1, 1], false],
    ["a text longer than the message", [0x08, 1, 0x12, 2, 0x78], false],
    ["a number that does not end", [0x08, 0x81], false],
    ["a number of more than ten bytes", [0x08, ...Array(10).fill(0x81), 1], false],
    ["a fixed number cut off", [0x08, 1, 0x55, 0, 0, 0], false],
    ["a wire type that does not exist", [0x08, 1, 0x57], false],
  ])("answers %s", async (_, answer, good) => {
    let host = nodeHost;
    const guest = await CryptoGuest.create((request) => host(request));
    loadRsa(guest);
    expect(guest.hostAvailable).toBe(true);
    host = () => ({ status: 0, result: Uint8Array.from(answer) });
    expect(guest.verifyPkcs1("sha256", signature, text)).toBe(good);
    expect(guest.hostFailed).toBe(false);
  });
});

describe("RSA keys", () => {
  const e = Buffer.from([1, 0, 1]);
  const modulus = (bits: number, lowest = 1) => {
    const bytes = Buffer.alloc(Math.ceil(bits / 8), 0x5a);
    bytes[0] = 1 << ((bits - 1) % 8);
    bytes[bytes.length - 1] = 0x5a | lowest;
    return bytes;
  };
  let guest: CryptoGuest;
  beforeAll(async () => {
    guest = await CryptoGuest.create(noHost);
  }, COMPILING);

  it.each([2048, 2049, 2055, 2056, 3072, 4096, 8191, 8192])("of %i bits are used", (bits) => {
    expect(guest.loadRsa(modulus(bits), e)).toBeUndefined();
    expect(guest.rsaBits).toBe(bits);
  });

  it("may have zero bytes in front, and the exponent 3", () => {
    expect(
      guest.loadRsa(Buffer.concat([Buffer.alloc(3), modulus(2048)]), Buffer.from([0, 0, 3])),
    ).toBeUndefined();
    expect(guest.rsaBits).toBe(2048);
  });

  const exponent = "the exponent is neither 3 nor 65537";
  it.each<[string, Buffer, Buffer, string]>([
    ["fewer bits", modulus(2047), e, "the modulus has fewer than 2048 bits"],
    [
      "fewer bits after zeros",
      Buffer.concat([Buffer.alloc(200), modulus(1024)]),
      e,
      "the modulus has fewer than 2048 bits",
    ],
    ["more bits", modulus(8193), e, "the modulus has more than 8192 bits"],
    ["an even modulus", modulus(2048, 0), e, "the modulus is not odd"],
    ["no modulus", Buffer.alloc(0), e, "the modulus is not odd"],
    ["a modulus of zero", Buffer.alloc(256), e, "the modulus is not odd"],
    ["the exponent 1", modulus(2048), Buffer.from([1]), exponent],
    ["the exponent 65536", modulus(2048), Buffer.from([1, 0, 0]), exponent],
    ["the exponent 65537 + 2^32", modulus(2048), Buffer.from([1, 0, 1, 0, 1]), exponent],
    ["the exponent 3 + 2^64", modulus(2048), Buffer.from([1, 0, 0, 0, 0, 0, 0, 0, 3]), exponent],
    ["no exponent", modulus(2048), Buffer.alloc(0), exponent],
  ])("with %s are not", (_, n, exponentBytes, reason) => {
    expect(guest.loadRsa(n, exponentBytes)).toBe(reason);
  });
});

describe("EC keys", () => {
  let guest: CryptoGuest;
  beforeAll(async () => {
    guest = await CryptoGuest.create(nodeHost);
  }, COMPILING);

  const reason = "the point is not on the curve";
  const P256 = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn;
  const N256 = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const bytes = (value: bigint, length = 32) =>
    Buffer.from(value.toString(16).padStart(2 * length, "0"), "hex");
  const x = fromBase64url(ecJwk.x);
  const y = fromBase64url(ecJwk.y);
  const value = (b: Buffer) => BigInt(`0x${b.toString("hex")}`);

  it("must be on their curve", () => {
    expect(guest.loadEc("P-256", x, y)).toBeUndefined();
    expect(guest.loadEc("P-256", x, bytes(P256 - value(y)))).toBeUndefined();
    expect(guest.loadEc("P-256", y, x)).toBe(reason);
    expect(guest.loadEc("P-384", x, y)).toBe(reason);
    expect(guest.loadEc("P-521", x, y)).toBe(reason);
    for (let i = 0; i < 64; i++) {
      const changed = Buffer.from(y);
      changed[i >> 1] = (changed[i >> 1] ?? 0) ^ (1 << (i & 7));
      expect(guest.loadEc("P-256", x, changed)).toBe(reason);
    }
  });

  it("have no coordinate of p or more, and none is negative", () => {
    // (0, √b) is a point; (p, √b) is not, though it is the same modulo p.
    const root = bytes(0x66485c780e2f83d72433bd5d84a06bb6541c2af31dae871728bf856a174f93f4n);
    expect(guest.loadEc("P-256", bytes(0n), root)).toBeUndefined();
    expect(guest.loadEc("P-256", bytes(P256), root)).toBe(reason);
    expect(guest.loadEc("P-256", bytes(0n), bytes(1n))).toBe(reason);
    expect(guest.loadEc("P-256", bytes(0n), bytes(0n))).toBe(reason);
    expect(guest.loadEc("P-256", Buffer.alloc(0), Buffer.alloc(0))).toBe(reason);
  });

  it("may be padded with zeros or not, but no longer than a coordinate", () => {
    const zeros = Buffer.alloc(40);
    expect(guest.loadEc("P-256", Buffer.concat([zeros, x]), Buffer.concat([zeros, y]))).toBeUndefined();
    expect(guest.loadEc("P-256", Buffer.concat([Buffer.of(1), x]), y)).toBe(reason);
    const root = bytes(0x66485c780e2f83d72433bd5d84a06bb6541c2af31dae871728bf856a174f93f4n);
    expect(guest.loadEc("P-256", Buffer.alloc(0), root)).toBeUndefined();
  });

  it("verify signatures of exactly two numbers from 1 to n - 1", () => {
    expect(guest.loadEc("P-256", x, y)).toBeUndefined();
    const signature = sign("sha256", text, { key: ec.privateKey, dsaEncoding: "ieee-p1363" });
    const r = value(signature.subarray(0, 32));
    const s = value(signature.subarray(32));
    const accepts = (bytes: Buffer) => guest.verifyEc("sha256", bytes, text);
    expect(accepts(signature)).toBe(true);
    // ECDSA is malleable: the negative of s is valid too (neither FIPS 186-5 nor RFC 7518 forbids it).
    expect(accepts(Buffer.concat([bytes(r), bytes(N256 - s)]))).toBe(true);
    const asked = guest.asked.length;
    expect(accepts(signature.subarray(0, 63))).toBe(false);
    expect(accepts(Buffer.concat([signature, Buffer.of(0)]))).toBe(false);
    expect(accepts(sign("sha256", text, ec.privateKey))).toBe(false);
    expect(accepts(Buffer.concat([bytes(r, 33), bytes(s, 33)]))).toBe(false);
    for (const [first, second] of [
      [0n, 0n],
      [0n, s],
      [r, 0n],
      [N256, s],
      [r, N256],
      [N256 + 1n, 1n],
      [2n ** 256n - 1n, s],
      [r, 2n ** 256n - 1n],
    ]) {
      expect(accepts(Buffer.concat([bytes(first ?? 0n), bytes(second ?? 0n)]))).toBe(false);
    }
    expect(guest.asked.length, "none of these went to the host").toBe(asked);
  });
});

/** Vectors of NIST's Cryptographic Algorithm Validation Program, and hashes of every length up to some blocks. */
import { createHash } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { readVectors } from "../support/vectors.ts";
import sigVer15 from "../vectors/nist/SigVer15_186-3.json" with { type: "json" };
import sigVerPss from "../vectors/nist/SigVerPSS_186-3.json" with { type: "json" };
import sha2 from "../vectors/nist/sha2.json" with { type: "json" };
import {
  COMPILING,
  CryptoGuest,
  fromBase64url,
  HASHES,
  type HashName,
  type MlDsaName,
  nodeHost,
  noHost,
} from "./guest.ts";

describe("NIST's vectors", () => {
  let guest: CryptoGuest;
  let alone: CryptoGuest;
  beforeAll(async () => {
    guest = await CryptoGuest.create(nodeHost);
    alone = await CryptoGuest.create(noHost);
  }, COMPILING);

  it("for SHA-256, SHA-384 and SHA-512", () => {
    expect(sha2.tests.length).toBe(323);
    for (const [hash, message, digest] of sha2.tests) {
      expect(guest.hash(hash as HashName, fromBase64url(message))).toEqual(fromBase64url(digest));
    }
  });

  it("for RSASSA-PKCS1-v1_5: accepted if the result is P", () => {
    expect(sigVer15.tests.length).toBeGreaterThan(100);
    for (const [hash, result, n, e, text, signature] of sigVer15.tests) {
      for (const one of [guest, alone]) {
        expect(one.loadRsa(fromBase64url(n), fromBase64url(e))).toBeUndefined();
        const good = one.verifyPkcs1(hash as HashName, fromBase64url(signature), fromBase64url(text));
        expect(good, result).toBe(result === "P");
      }
    }
  });

  it("for RSASSA-PSS: none accepted, for their salts have ten bytes and RFC 7518 §3.5 asks for the digest's length", () => {
    expect(sigVerPss.tests.filter(([, result]) => result === "P").length).toBe(18);
    for (const [hash, result, n, e, text, signature] of sigVerPss.tests) {
      expect(guest.loadRsa(fromBase64url(n), fromBase64url(e))).toBeUndefined();
      const good = guest.verifyPss(hash as HashName, fromBase64url(signature), fromBase64url(text));
      expect(good, result).toBe(false);
    }
  });

  it("for ML-DSA: accepted if the test is to pass", () => {
    type Test = [
      set: MlDsaName,
      passes: boolean,
      key: string,
      text: string,
      signature: string,
      context: string,
    ];
    const { tests } = readVectors<{ tests: Test[] }>("nist/ML-DSA-sigVer");
    expect(tests.length).toBe(45);
    for (const [set, passes, ...values] of tests) {
      const [key, text, signature, context] = values.map(fromBase64url) as [Buffer, Buffer, Buffer, Buffer];
      expect(guest.loadMlDsa(set, key)).toBeUndefined();
      for (let use = 0; use < 2; use++) {
        expect(guest.verifyMlDsa(signature, text, context)).toBe(passes);
      }
    }
  });

  it.each(HASHES)(
    "apart: %s agrees with another implementation on every length up to four blocks",
    (hash) => {
      for (let length = 0; length <= 512; length++) {
        const text = Buffer.alloc(length, `${hash} ${length}`);
        const expected = createHash(hash).update(text).digest();
        expect(guest.hash(hash, text)).toEqual(expected);
        expect(guest.hash(hash, text, 1 + (length % 130))).toEqual(expected);
      }
    },
  );
});

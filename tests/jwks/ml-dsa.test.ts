/** Keys for ML-DSA in PEM and DER (RFC 9881), read and written without OpenSSL. */
import { describe, expect, test } from "vitest";
import { der, elements, TAG } from "../../tools/encoding/der.ts";
import { privatePem, readKeys, readPrivateKeyText, readPrivatePem } from "../../tools/jwks/convert.ts";
import { mlDsaPrivateKey, mlDsaPublicKey, mlDsaPublicPem } from "../../tools/jwks/ml-dsa.ts";
import { readPublicKeys } from "../../tools/jwks/public-keys.ts";
import { PrivateKey, readPkcs8 } from "../../tools/token/private-key.ts";
import { NoSigningKey, Signer } from "../../tools/token/signer.ts";
import { ML_DSA } from "../support/ml-dsa.ts";
import rfc9881 from "../vectors/rfc9881.json" with { type: "json" };
import rfc9964 from "../vectors/rfc9964.json" with { type: "json" };

const SEED = Uint8Array.from({ length: 32 }, (_, i) => i);
const bytesOfPem = (pem: string) => Buffer.from(pem.replace(/-----.*-----/g, ""), "base64");

describe.each(rfc9881.examples)("RFC 9881's keys for $alg", ({ alg, private: secret, public: open }) => {
  const pub = Buffer.from(mlDsaPublicKey(alg, SEED)).toString("base64url");
  const key = { kty: "AKP", alg, pub };

  test("are read as PEM and as DER, with OpenSSL and without", () => {
    for (const read of [readKeys, readPublicKeys]) {
      for (const text of [secret, open]) {
        expect(read(Buffer.from(text)).keys).toEqual([key]);
        expect(read(bytesOfPem(text)).keys).toEqual([key]);
      }
    }
  });

  test("sign, from PEM and from DER", async () => {
    const priv = Buffer.from(SEED).toString("base64url");
    expect(readPrivatePem(secret)).toEqual({ ...key, priv });
    expect(await readPkcs8(secret)).toEqual({ ...key, priv });
    for (const text of [readPrivateKeyText(Buffer.from(secret)), readPrivateKeyText(bytesOfPem(secret))]) {
      const signer = await Signer.read(text, { readPem: readPrivatePem });
      const [header, claims, signature] = (await signer.sign({ sub: "a" })).split(".");
      const good = ML_DSA.get(alg)?.verify(
        Buffer.from(signature ?? "", "base64url"),
        Buffer.from(`${header}.${claims}`),
        Buffer.from(pub, "base64url"),
      );
      expect([signer.algorithm, good]).toEqual([alg, true]);
    }
  });

  test("are written as the RFC prints them", () => {
    expect(privatePem({ ...key, priv: Buffer.from(SEED).toString("base64url") })).toBe(secret);
    expect(bytesOfPem(mlDsaPublicPem(alg, Buffer.from(pub, "base64url")))).toEqual(bytesOfPem(open));
  });

  test("have a seed: next to an expanded key it is taken, and without it there is no key", () => {
    const expanded = der(TAG.octetString, new Uint8Array(2560));
    const [root] = elements(bytesOfPem(secret)) ?? [];
    const [version, algorithm] = elements(root?.content ?? new Uint8Array()) ?? [];
    const withContent = (content: Uint8Array) =>
      der(
        TAG.sequence,
        der(TAG.integer, version?.content ?? new Uint8Array()),
        der(TAG.sequence, algorithm?.content ?? new Uint8Array()),
        der(TAG.octetString, content),
      );
    const both = withContent(der(TAG.sequence, der(TAG.octetString, SEED), expanded));
    expect(mlDsaPrivateKey(both)).toMatchObject(key);
    expect(mlDsaPrivateKey(withContent(expanded))).toBeUndefined();
    expect(mlDsaPrivateKey(withContent(der(0x80, SEED.subarray(1))))).toBeUndefined();
    expect(mlDsaPrivateKey(withContent(new Uint8Array()))).toBeUndefined();
    expect(() => readPrivatePem("")).toThrow();
  });
});

test.each(rfc9964.examples)("the private key of RFC 9964's example has its public key", async ({ jwk }) => {
  const { kid, ...key } = jwk;
  expect((await PrivateKey.import({ ...key, pub: "AA" })).signing).toEqual(key);
  const { priv, ...open } = key;
  expect((await PrivateKey.import(key)).verifying).toEqual(open);
});

test("a key with a seed of another length, or for no algorithm, does not sign", async () => {
  const key = { kty: "AKP", alg: "ML-DSA-44", priv: Buffer.alloc(31).toString("base64url") };
  await expect(Signer.read(JSON.stringify(key))).rejects.toThrow("the JWK's private key cannot be read");
  const other = { ...key, alg: "ML-DSA-99" };
  await expect(Signer.read(JSON.stringify(other))).rejects.toThrow(NoSigningKey);
});

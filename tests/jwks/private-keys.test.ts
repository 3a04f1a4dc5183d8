/** Private keys in every form that people have them in, made ready for a signer. */
import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { describe, expect, test } from "vitest";
import { algorithmNamed } from "../../tools/jwks/algorithms.ts";
import { NoKey, readPrivateKeyText, readPrivatePem } from "../../tools/jwks/convert.ts";
import { Signer } from "../../tools/token/signer.ts";
import rsa2048 from "../vectors/rsa-2048.json" with { type: "json" };

const RSA = createPrivateKey({ format: "jwk", key: rsa2048 });
const EC = generateKeyPairSync("ec", { namedCurve: "P-256" });
const pem = (key: KeyObject) => key.export({ type: "pkcs8", format: "pem" }).toString();
const read = (input: string | Uint8Array) => readPrivateKeyText(Buffer.from(input));

describe("a private key", () => {
  test.each<[string, KeyObject, "pkcs8" | "pkcs1" | "sec1"]>([
    ["PKCS #8", RSA, "pkcs8"],
    ["PKCS #1", RSA, "pkcs1"],
    ["SEC 1", EC.privateKey, "sec1"],
  ])("in DER and in base64 of it, as %s, becomes PEM", (_, key, type) => {
    const bytes = key.export({ type, format: "der" } as never) as unknown as Buffer;
    expect(read(bytes)).toBe(pem(key));
    expect(read(bytes.toString("base64"))).toBe(pem(key));
    expect(read(bytes.toString("base64url"))).toBe(pem(key));
  });

  test("in PEM stays as it is, with its lines repaired", () => {
    expect(readPrivatePem(read(pem(RSA)))).toEqual(rsa2048);
    expect(readPrivatePem(read(pem(RSA).replaceAll("\n", "\\n")))).toEqual(rsa2048);
  });

  test("of a Google service account becomes a JWK with its id", () => {
    const account = { type: "service_account", private_key_id: "f00d", private_key: pem(RSA) };
    expect(JSON.parse(read(JSON.stringify(account)))).toEqual({ ...rsa2048, kid: "f00d" });
    const { private_key_id: _, ...anonymous } = account;
    expect(JSON.parse(read(JSON.stringify(anonymous)))).toEqual(rsa2048);
    expect(JSON.parse(read(JSON.stringify({ ...account, private_key_id: 7 })))).toEqual(rsa2048);
  });

  test.each(['{"kty":"oct","k":"YQ"}', "{", "hello", '{"private_key":7}', '{"private_key":"hello"}', "null"])(
    "leaves %s to the reader of JWKs",
    (text) => expect(read(text)).toBe(text),
  );

  test.each<[string, () => Uint8Array, string]>([
    [
      "a public key",
      () => EC.publicKey.export({ type: "spki", format: "der" }),
      "this has no private key: a public key or a certificate cannot sign",
    ],
    [
      "a Java keystore",
      () => Buffer.from("feedfeed00000002", "hex"),
      "this is a Java keystore: convert it with `keytool -importkeystore ",
    ],
    ["UTF-16", () => Buffer.from(`\ufeff${pem(RSA)}`, "utf16le"), "this is UTF-16: convert it with `iconv "],
    ["nothing", () => Buffer.from(" \n"), "this is empty"],
  ])("is not %s", (_, bytes, words) => {
    expect(() => readPrivateKeyText(bytes())).toThrow(NoKey);
    expect(() => readPrivateKeyText(bytes())).toThrow(words);
  });

  test("of a type without a JWK has the type's name", () => {
    const { privateKey } = generateKeyPairSync("dsa", { modulusLength: 1024, divisorLength: 160 });
    expect(readPrivatePem(pem(privateKey))).toEqual({ kty: "dsa" });
  });

  test("signs", async () => {
    const signer = await Signer.read(read(pem(EC.privateKey)));
    expect((await signer.sign({ sub: "a" })).split(".")).toHaveLength(3);
  });
});

test.each(["HS256", "RS512", "PS384", "ES521", "EdDSA", "none"])("the algorithm %s", (alg) => {
  expect(algorithmNamed(alg)?.alg).toBe(["ES521", "none"].includes(alg) ? undefined : alg);
});

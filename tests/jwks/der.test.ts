/** Keys and certificates in DER with one part changed: what has not exactly the form of its kind is not read. */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  X509Certificate,
} from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { der, type Element, elements, TAG } from "../../tools/encoding/der.ts";
import { certificatesOf, rsaKeyOfCertificate } from "../../tools/jwks/certificate.ts";
import { NoKey } from "../../tools/jwks/formats.ts";
import { readPublicKeys } from "../../tools/jwks/public-keys.ts";
import { CertificateAuthority } from "../support/pki.ts";
import rsa2048 from "../vectors/rsa-2048.json" with { type: "json" };

type Change = (element: Element) => Uint8Array;

/** A tag that does not occur in these forms. */
const UTF8_STRING = 0x0c;
const OBJECT_IDENTIFIER = (hex: string) => der(TAG.objectIdentifier, Buffer.from(hex, "hex"));

const retagged: Change = ({ content }) => der(UTF8_STRING, content);
const removed: Change = () => new Uint8Array();
const emptied: Change = ({ tag }) => der(tag);
const longer: Change = ({ tag, content }) => der(tag, content, der(TAG.null));
/** Without its last byte. */
const shorter: Change = ({ tag, content }) => der(tag, content.subarray(0, -1));
/** The first byte of a BIT STRING: how many bits of its last byte are not used. */
const unusedBits: Change = ({ tag, content }) => der(tag, Uint8Array.of(1), content.subarray(1));
const replaced =
  (bytes: Uint8Array): Change =>
  () =>
    bytes;

/** Changes the element at a path: the numbers of the elements inside of each other, those in strings too. */
function changed(bytes: Uint8Array, path: readonly number[], change: Change): Buffer {
  const [root] = elements(bytes) ?? [];
  if (root === undefined) throw new Error("this is not DER");
  const [index, ...rest] = path;
  if (index === undefined) return Buffer.from(change(root));
  const start = root.tag === TAG.bitString ? 1 : 0;
  const parts = (elements(root.content.subarray(start)) ?? []).map((part, i) => {
    const whole = der(part.tag, part.content);
    return i === index ? changed(whole, rest, change) : whole;
  });
  return Buffer.from(der(root.tag, root.content.subarray(0, start), ...parts));
}

const rsa = { format: "jwk", key: rsa2048 } as const;
const RSA = createPublicKey(rsa);
const EC = generateKeyPairSync("ec", { namedCurve: "P-256" });
const ED25519 = generateKeyPairSync("ed25519");
const jwk = (key: KeyObject) => ({ ...key.export({ format: "jwk" }) });
const spki = (key: KeyObject) => key.export({ type: "spki", format: "der" });
const pkcs8 = (key: KeyObject) => key.export({ type: "pkcs8", format: "der" });

/** RSAPrivateKey of rsa2048: version 0, then its numbers. */
function rsaPrivate(): Uint8Array {
  const number = (text: string) => {
    const bytes = Buffer.from(text, "base64url");
    return der(TAG.integer, ...((bytes[0] ?? 0) >= 0x80 ? [Uint8Array.of(0)] : []), bytes);
  };
  const { n, e, d, p, q, dp, dq, qi } = rsa2048;
  const numbers = [n, e, d, p, q, dp, dq, qi].map(number);
  return der(TAG.sequence, der(TAG.integer, Uint8Array.of(0)), ...numbers);
}
const RSA_PKCS8 = der(
  TAG.sequence,
  der(TAG.integer, Uint8Array.of(0)),
  der(TAG.sequence, OBJECT_IDENTIFIER("2a864886f70d010101"), der(TAG.null)),
  der(TAG.octetString, rsaPrivate()),
);

describe("keys that are as they must be", () => {
  test.each<[string, Uint8Array, object]>([
    ["SubjectPublicKeyInfo of RSA", spki(RSA), jwk(RSA)],
    ["RSAPublicKey", RSA.export({ type: "pkcs1", format: "der" }), jwk(RSA)],
    ["RSAPrivateKey", rsaPrivate(), jwk(RSA)],
    ["PrivateKeyInfo of RSA", RSA_PKCS8, jwk(RSA)],
    ["PrivateKeyInfo of EC", pkcs8(EC.privateKey), jwk(EC.publicKey)],
    [
      "PrivateKeyInfo of EC without its point",
      changed(pkcs8(EC.privateKey), [2, 0, 2], removed),
      jwk(EC.publicKey),
    ],
    ["PrivateKeyInfo of Ed25519", pkcs8(ED25519.privateKey), jwk(ED25519.publicKey)],
    [
      "RSA with parameters of RSASSA-PSS, which are not its own",
      changed(
        spki(RSA),
        [0, 1],
        replaced(der(TAG.sequence, der(0xa0, der(TAG.sequence, OBJECT_IDENTIFIER("608648016503040202"))))),
      ),
      jwk(RSA),
    ],
  ])("%s", (_, bytes, key) => expect(readPublicKeys(bytes).keys).toEqual([key]));
});

describe("keys with one part changed", () => {
  test.each<[string, Uint8Array, number[], Change]>([
    ["the algorithm of another type", spki(RSA), [0], retagged],
    ["an algorithm without a name", spki(RSA), [0], emptied],
    ["an unknown algorithm", spki(RSA), [0, 0], replaced(OBJECT_IDENTIFIER("2a03"))],
    ["the bits of another type", spki(RSA), [1], retagged],
    ["bits that are not whole bytes", spki(RSA), [1], unusedBits],
    ["more after the bits", spki(RSA), [], longer],
    ["the numbers of another type", spki(RSA), [1, 0], retagged],
    ["no numbers", spki(RSA), [1, 0], emptied],
    ["n of another type", spki(RSA), [1, 0, 0], retagged],
    ["e of another type", spki(RSA), [1, 0, 1], retagged],
    ["EC without a curve", spki(EC.publicKey), [0, 1], removed],
    ["EC with a point cut off", spki(EC.publicKey), [1], shorter],
    ["Ed25519 with 31 bytes", spki(ED25519.publicKey), [1], shorter],
    ["PKCS #1 with n of another type", RSA.export({ type: "pkcs1", format: "der" }), [0], retagged],
    ["PKCS #1 with e of another type", RSA.export({ type: "pkcs1", format: "der" }), [1], retagged],
    ["PKCS #1 with a number more", rsaPrivate(), [8], removed],
    ["PKCS #8 with a version of another type", RSA_PKCS8, [0], retagged],
    ["PKCS #8 with an algorithm of another type", RSA_PKCS8, [1], retagged],
    ["PKCS #8 with a key of another type", RSA_PKCS8, [2], retagged],
    ["PKCS #8 with no numbers", RSA_PKCS8, [2, 0], emptied],
    ["PKCS #8 with numbers of another type", RSA_PKCS8, [2, 0], retagged],
    ["PKCS #8 with n of another type", RSA_PKCS8, [2, 0, 1], retagged],
    ["PKCS #8 with e of another type", RSA_PKCS8, [2, 0, 2], retagged],
    ["PKCS #8 of an unknown algorithm", RSA_PKCS8, [1, 0], replaced(OBJECT_IDENTIFIER("2a03"))],
    ["EC with a version of another type", pkcs8(EC.privateKey), [2, 0, 0], retagged],
    ["EC with a secret of another type", pkcs8(EC.privateKey), [2, 0, 1], retagged],
    [
      "EC with the secret 0",
      pkcs8(EC.privateKey),
      [2, 0, 1],
      replaced(der(TAG.octetString, new Uint8Array(32))),
    ],
    ["EC with an empty key", pkcs8(EC.privateKey), [2, 0], emptied],
    ["EC of an unknown curve", pkcs8(EC.privateKey), [1, 1], replaced(OBJECT_IDENTIFIER("2a03"))],
    ["Ed25519 with a seed of 31 bytes", pkcs8(ED25519.privateKey), [2, 0], shorter],
    ["Ed25519 without a seed", pkcs8(ED25519.privateKey), [2], emptied],
  ])("%s", (_, bytes, path, change) => {
    expect(() => readPublicKeys(changed(bytes, path, change))).toThrow(NoKey);
  });

  test("a key that is known and cannot verify is named", () => {
    const x25519 = generateKeyPairSync("x25519");
    for (const bytes of [spki(x25519.publicKey), pkcs8(x25519.privateKey)]) {
      expect(() => readPublicKeys(bytes)).toThrow("a key of type x25519 cannot verify tokens");
    }
  });
});

describe("certificates", () => {
  const authority = new CertificateAuthority();
  let bytes: Buffer;
  let pem: string;
  let key: object;
  beforeAll(() => {
    pem = authority.issue({}, createPrivateKey(rsa)).certificate;
    const certificate = new X509Certificate(pem);
    bytes = certificate.raw;
    key = jwk(certificate.publicKey);
  });
  const pemOf = (certificate: Uint8Array) => {
    const lines =
      Buffer.from(certificate)
        .toString("base64")
        .match(/.{1,64}/g) ?? [];
    return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
  };

  test("of version 1 have no version", () => {
    const first = changed(bytes, [0, 0], removed);
    expect(readPublicKeys(first).keys).toEqual([key]);
    expect(rsaKeyOfCertificate(pemOf(first))).toEqual(rsaKeyOfCertificate(pem));
  });

  test.each<[string, number[], Change]>([
    ["a body of another type", [0], retagged],
    ["an algorithm of another type", [1], retagged],
    ["a signature of another type", [2], retagged],
    ["no signature", [2], removed],
    ["more after the signature", [], longer],
    ["an empty body", [0], emptied],
    ["a serial number of another type", [0, 1], retagged],
    ["an issuer of another type", [0, 3], retagged],
    ["a subject of another type", [0, 5], retagged],
    ["a key of another type", [0, 6], retagged],
    ["more after the key's bits", [0, 6], longer],
    ["a key's algorithm of another type", [0, 6, 0], retagged],
    ["a key's bits of another type", [0, 6, 1], retagged],
  ])("with %s are not read", (_, path, change) => {
    const certificate = changed(bytes, path, change);
    expect(() => readPublicKeys(certificate)).toThrow(NoKey);
    expect(() => readPublicKeys(Buffer.from(pemOf(certificate)))).toThrow(NoKey);
  });

  test.each<[string, number[], Change]>([
    ["a body of another type", [0], retagged],
    ["a key of another type", [0, 6], retagged],
    ["more after the key's bits", [0, 6], longer],
    ["no key", [0, 6], emptied],
    ["a key's algorithm of another type", [0, 6, 0], retagged],
    ["a key's algorithm without a name", [0, 6, 0], emptied],
    ["a name of another type", [0, 6, 0, 0], retagged],
    ["another name", [0, 6, 0, 0], replaced(OBJECT_IDENTIFIER("2a03"))],
    ["parameters of another type", [0, 6, 0, 1], retagged],
    ["no parameters", [0, 6, 0, 1], removed],
    ["more parameters", [0, 6, 0], longer],
    ["a key's bits of another type", [0, 6, 1], retagged],
    ["bits that are not whole bytes", [0, 6, 1], unusedBits],
    ["numbers of another type", [0, 6, 1, 0], retagged],
    ["no numbers", [0, 6, 1, 0], emptied],
    ["three numbers", [0, 6, 1, 0], longer],
    ["one number", [0, 6, 1, 0, 1], removed],
    ["n of another type", [0, 6, 1, 0, 0], retagged],
    ["e of another type", [0, 6, 1, 0, 1], retagged],
    ["an empty n", [0, 6, 1, 0, 0], emptied],
    ["an n below zero", [0, 6, 1, 0, 0], ({ tag, content }) => der(tag, content.subarray(1))],
    ["an e below zero", [0, 6, 1, 0, 1], replaced(der(TAG.integer, Uint8Array.of(0x80)))],
  ])("of a map with %s have no key", (_, path, change) => {
    expect(rsaKeyOfCertificate(pemOf(changed(bytes, path, change)))).toBeUndefined();
  });

  test("of a map begin and end as OpenSSL writes them", () => {
    expect(rsaKeyOfCertificate(pem)).toBeDefined();
    for (const other of [`\n${pem}`, pem.trimEnd(), `${pem}\n`, pem.replace(/\n[^\n]+/, "\n!")]) {
      expect(rsaKeyOfCertificate(other)).toBeUndefined();
    }
  });

  test("are in a map with names", () => {
    expect(certificatesOf({ a: pem })).toEqual([["a", pem]]);
    for (const other of [{}, { "": pem }, { a: pem, b: 1 }, { a: pem, b: "x" }, { a: pem, keys: pem }]) {
      expect(certificatesOf(other)).toBeUndefined();
    }
  });

  test("that are twice in a file are one, and one that signed itself has not issued itself", () => {
    const own = authority.certificate;
    const [ownKey] = readPublicKeys(Buffer.from(own)).keys;
    expect(readPublicKeys(Buffer.from(own + own.replace(/\n(?=.)/, "\n\n")))).toEqual({
      keys: [ownKey, ownKey],
      notes: [],
    });
  });

  test("are named by their subject", () => {
    const named = changed(bytes, [0, 3], replaced(subject(["550403", "a"], ["55040a", "b"], ["2a03", "c"])));
    const issuer = changed(named, [0, 5], replaced(subject(["550403", "a"], ["55040a", "b"], ["2a03", "c"])));
    const serial = changed(issuer, [0, 1], replaced(der(TAG.integer, Uint8Array.of(7))));
    const { notes } = readPublicKeys(Buffer.from(pemOf(serial) + pemOf(named)));
    expect(notes).toEqual([
      expect.stringMatching(/^the certificate of "CN=a, O=b, \?=c" issued another one/),
    ]);
  });

  function subject(...attributes: [oid: string, value: string][]): Uint8Array {
    return der(
      TAG.sequence,
      ...attributes.map(([oid, value]) =>
        der(TAG.set, der(TAG.sequence, OBJECT_IDENTIFIER(oid), der(UTF8_STRING, Buffer.from(value)))),
      ),
    );
  }
});

/** Keys in every form that people have them in, read by OpenSSL and by the code that runs in browsers. */
import { execFileSync } from "node:child_process";
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
  X509Certificate,
} from "node:crypto";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { NoKey, readKeys as readKeysByOpenssl } from "../../tools/jwks/convert.ts";
import { readPublicKeys } from "../../tools/jwks/public-keys.ts";
import { thumbprint } from "../../tools/jwks/thumbprint.ts";
import { CertificateAuthority } from "../support/pki.ts";
import rfc9964 from "../vectors/rfc9964.json" with { type: "json" };
import rsa2048 from "../vectors/rsa-2048.json" with { type: "json" };

const jwk = (key: KeyObject) => ({ ...key.export({ format: "jwk" }) });
/** Generating one takes longer than the tests of a function, which Stryker runs thousands of times. */
const RSA_PRIVATE = createPrivateKey({ format: "jwk", key: rsa2048 });
const RSA = { privateKey: RSA_PRIVATE, publicKey: createPublicKey(RSA_PRIVATE) };
const EC = generateKeyPairSync("ec", { namedCurve: "P-521" });
const ED25519 = generateKeyPairSync("ed25519");
const { certificate } = new CertificateAuthority().issue({});
const CERTIFIED = jwk(new X509Certificate(certificate).publicKey);

describe.each([
  ["OpenSSL", readKeysByOpenssl],
  ["what runs anywhere", readPublicKeys],
])("keys read by %s", (_name, readKeys) => {
  const read = (input: string | Buffer) => readKeys(Buffer.from(input)).keys;

  test("reads the public key of every PEM block", () => {
    const text = [
      RSA.privateKey.export({ type: "pkcs1", format: "pem" }),
      "Bag Attributes: what other tools write between",
      RSA.publicKey.export({ type: "pkcs1", format: "pem" }),
      EC.privateKey.export({ type: "sec1", format: "pem" }),
      EC.publicKey.export({ type: "spki", format: "pem" }),
      ED25519.privateKey.export({ type: "pkcs8", format: "pem" }),
      certificate,
    ].join("\n");
    const [rsa, ec, ed25519] = [RSA, EC, ED25519].map(({ publicKey }) => jwk(publicKey));
    expect(read(text)).toEqual([rsa, rsa, ec, ec, ed25519, CERTIFIED]);
  });

  test("reads a JWK, a key set, and a key that is only in its certificate", () => {
    const key = jwk(EC.publicKey);
    expect(read(JSON.stringify(key))).toEqual([key]);
    expect(read(JSON.stringify({ keys: [key, key] }))).toEqual([key, key]);
    const x5c = [new X509Certificate(certificate).raw.toString("base64")];
    expect(read(JSON.stringify({ kty: "EC", kid: "a", x5c }))).toEqual([{ ...CERTIFIED, kid: "a", x5c }]);
  });

  test("skips the block of a curve's name, which `openssl ecparam -genkey` writes before the key", () => {
    const ecParameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    const sec1 = EC.privateKey.export({ type: "sec1", format: "pem" });
    expect(read(`${ecParameters}${sec1}`)).toEqual([jwk(EC.publicKey)]);
  });

  test("reads DER of every kind, and base64 of it", () => {
    const rsa = jwk(RSA.publicKey);
    const forms: [Buffer, object][] = [
      [RSA.publicKey.export({ type: "spki", format: "der" }), rsa],
      [RSA.publicKey.export({ type: "pkcs1", format: "der" }), rsa],
      [RSA.privateKey.export({ type: "pkcs8", format: "der" }), rsa],
      [RSA.privateKey.export({ type: "pkcs1", format: "der" }), rsa],
      [EC.privateKey.export({ type: "sec1", format: "der" }), jwk(EC.publicKey)],
      [ED25519.publicKey.export({ type: "spki", format: "der" }), jwk(ED25519.publicKey)],
      [new X509Certificate(certificate).raw, CERTIFIED],
    ];
    for (const [bytes, key] of forms) {
      expect(read(bytes)).toEqual([key]);
      expect(read(`${bytes.toString("base64")}\n`)).toEqual([key]);
      expect(read(bytes.toString("base64url"))).toEqual([key]);
    }
  });

  test("reads PEM without line breaks, or with \\n instead of them", () => {
    const pem = RSA.publicKey.export({ type: "spki", format: "pem" }).toString();
    for (const text of [
      pem.replace(/\n/g, "\\n"),
      pem.replace(/\n/g, "\\r\\n"),
      pem.replace(/\n/g, " "),
      pem.replace(/\n/g, ""),
      pem.replace(/\n/g, "\r\n"),
      `\ufeff  ${pem}`,
    ]) {
      expect(read(text), JSON.stringify(text)).toEqual([jwk(RSA.publicKey)]);
    }
  });

  test("reads a key that is limited to RSA-PSS, with its algorithm", () => {
    const pss = (options: object) =>
      generateKeyPairSync("rsa-pss", { modulusLength: 2048, ...options } as never) as unknown as typeof RSA;
    const limited = pss({ hashAlgorithm: "sha384", mgf1HashAlgorithm: "sha384", saltLength: 48 });
    const { publicKey } = limited;
    const [key] = read(publicKey.export({ type: "spki", format: "pem" }).toString()) as Record<
      string,
      string
    >[];
    expect(key).toMatchObject({ kty: "RSA", e: "AQAB", alg: "PS384" });
    const text = Buffer.from("text");
    const signature = sign("sha384", text, { key: limited.privateKey, padding: 6, saltLength: 48 });
    const plain = createPublicKey({ format: "jwk", key: key as never });
    expect(verify("sha384", text, { key: plain, padding: 6, saltLength: 48 }, signature)).toBe(true);
    const [open] = read(pss({}).publicKey.export({ type: "spki", format: "pem" }).toString());
    expect(open).not.toHaveProperty("alg");
  });

  test("reads Google's JSON of a service account, with its key id", () => {
    const account = {
      type: "service_account",
      private_key_id: "f00d",
      private_key: RSA.privateKey.export({ type: "pkcs8", format: "pem" }),
    };
    expect(read(JSON.stringify(account))).toEqual([{ ...jwk(RSA.publicKey), kid: "f00d" }]);
  });

  test("reads a map of certificates, with its key ids", () => {
    expect(read(JSON.stringify({ one: certificate, two: certificate }))).toEqual([
      { ...CERTIFIED, kid: "one" },
      { ...CERTIFIED, kid: "two" },
    ]);
  });

  test("reads the leaf of a chain, and its issuers with --chain", () => {
    const authority = new CertificateAuthority();
    const chain = `${authority.issue({}).certificate}${authority.certificate}`;
    const [leaf, issuer] =
      read(Buffer.from(chain)).length === 1 ? readKeys(Buffer.from(chain), { chain: true }).keys : [];
    expect(readKeys(Buffer.from(chain))).toEqual({
      keys: [leaf],
      notes: [
        expect.stringMatching(
          /^the certificate of "CN=jwtgate tests" issued another one .* --chain includes it$/,
        ),
      ],
    });
    expect(issuer).toEqual(jwk(new X509Certificate(authority.certificate).publicKey));
    // A certificate that signed itself is a leaf if it is the only one.
    expect(readKeys(Buffer.from(authority.certificate)).keys).toEqual([issuer]);
  });

  test("takes the public half of a JWK that signs", () => {
    const key = { ...jwk(RSA.privateKey), key_ops: ["sign"], ext: true, alg: "RS256" };
    expect(read(JSON.stringify(key))).toEqual([
      { ...jwk(RSA.publicKey), key_ops: ["verify"], ext: true, alg: "RS256" },
    ]);
  });

  const pem = (label: string) => `-----BEGIN ${label}-----\nAAAA\n-----END ${label}-----\n`;
  const encrypted = EC.privateKey.export({
    type: "pkcs8",
    format: "pem",
    cipher: "aes-256-cbc",
    passphrase: "x",
  });
  const binary = (...codes: number[]) => Buffer.from(codes);
  const SIGNED_DATA = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
  test.each<[string, Buffer, string]>([
    [
      "a Java keystore",
      binary(0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2),
      "this is a Java keystore: convert it with",
    ],
    [
      "a keystore of JCE",
      binary(0xce, 0xce, 0xce, 0xce, 0, 0, 0, 2),
      "this is a Java keystore: convert it with",
    ],
    [
      "PKCS #12",
      binary(
        0x30,
        0x82,
        0x01,
        0x00,
        0x02,
        0x01,
        0x03,
        0x30,
        0x82,
        0x01,
        0x00,
        ...SIGNED_DATA.slice(0, -1),
        0x01,
      ),
      "this is PKCS #12: convert it with `openssl pkcs12 -in FILE -clcerts -nokeys -out cert.pem`",
    ],
    [
      "PKCS #7 in DER",
      binary(0x30, 0x82, 0x01, 0x00, ...SIGNED_DATA),
      "this is PKCS #7: convert it with `openssl pkcs7 -inform DER -in FILE -print_certs -out certs.pem`",
    ],
    ["UTF-16", binary(0xff, 0xfe, 0x2d, 0x00), "this is UTF-16: convert it with `iconv -f UTF-16 -t UTF-8"],
    ["UTF-16 of the other order", binary(0xfe, 0xff, 0x00, 0x2d), "this is UTF-16"],
    ["bytes", binary(0xff, 0x00, 0x01), "this is neither text nor a key or certificate in DER"],
    [
      "DER of something else",
      binary(0x30, 0x03, 0x02, 0x01, 0x00),
      "neither a certificate nor a key that can be read",
    ],
    [
      "the beginning of DER",
      binary(0x30, 0x82, 0x01, 0x00, 0x02),
      "neither a certificate nor a key that can be read",
    ],
    [
      "a key of OpenSSH after blanks",
      Buffer.from(" \necdsa-sha2-nistp256 AAAA"),
      "this is a key in OpenSSH's format",
    ],
    [
      "a private key of OpenSSH",
      Buffer.from(pem("OPENSSH PRIVATE KEY")),
      "this is a key in OpenSSH's format: convert it with `ssh-keygen -e -m PKCS8 -f FILE > key.pem`",
    ],
    ["a list", Buffer.from("[1]"), "this is neither PEM, DER nor a JWK"],
    ["null", Buffer.from("null"), "this is neither PEM, DER nor a JWK"],
    ["keys that are not a list", Buffer.from('{"keys":{"kty":"EC"}}'), "[keys] must be a list of keys"],
    ["CMS", Buffer.from(pem("CMS")), "this is PKCS #7: convert it with `openssl pkcs7 -in FILE"],
    [
      "a key that is encrypted in the form before PKCS #8",
      Buffer.from(
        "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END EC PRIVATE KEY-----\n",
      ),
      "the key is encrypted: convert it with",
    ],
    ["a JWE with a header", Buffer.from('{"header":{},"ciphertext":"x"}'), "this is an encrypted JWK"],
    ["a ciphertext alone", Buffer.from('{"ciphertext":1}'), "this JSON is not a JWK"],
  ])("refuses %s", (_, bytes, words) => {
    expect(() => read(bytes)).toThrow(NoKey);
    expect(() => read(bytes)).toThrow(words);
  });

  test("keeps what is not an object in a key set, and a key with a certificate that holds no key", () => {
    const key = jwk(EC.publicKey);
    expect(read(JSON.stringify({ keys: [1, null, [], key] }))).toEqual([1, null, [], key]);
    for (const x5c of [[], "text", [1], ["AAAA"], ["?"]]) {
      expect(read(JSON.stringify({ kty: "EC", x5c }))).toEqual([{ kty: "EC", x5c }]);
    }
    const other = [new X509Certificate(certificate).raw.toString("base64")];
    expect(read(JSON.stringify({ ...key, x5c: other }))).toEqual([{ ...key, x5c: other }]);
  });

  test("takes a service account without a key id", () => {
    const account = {
      private_key: RSA.privateKey.export({ type: "pkcs8", format: "pem" }),
      private_key_id: 5,
    };
    expect(read(JSON.stringify(account))).toEqual([jwk(RSA.publicKey)]);
  });

  test("leaves the uses of a public key as they are", () => {
    const key = { ...jwk(EC.publicKey), key_ops: ["sign"] };
    expect(read(JSON.stringify(key))).toEqual([key]);
    const deriving = { ...jwk(EC.privateKey), key_ops: ["deriveBits"] };
    expect(read(JSON.stringify(deriving))).toEqual([{ ...jwk(EC.publicKey), key_ops: ["deriveBits"] }]);
    expect(read(JSON.stringify({ ...jwk(EC.privateKey), key_ops: "sign" }))).toEqual([
      { ...jwk(EC.publicKey), key_ops: "sign" },
    ]);
  });

  test.each<[string, string, string]>([
    ["text", "hello", "this is neither PEM, DER nor a JWK: not JSON"],
    ["a number", "1", "this is neither PEM, DER nor a JWK"],
    [
      "another object",
      '{"a":1}',
      "this JSON is not a JWK (it has no [kty]) and not a key set (it has no [keys])",
    ],
    ["an empty key set", '{"keys":[]}', "[keys] must be a list of keys"],
    ["nothing", "\n", "this is empty: a key, a certificate or a key set is needed"],
    ["PKCS #7", pem("PKCS7"), "convert it with `openssl pkcs7 -in FILE -print_certs -out certs.pem`"],
    [
      "a request for a certificate",
      pem("NEW CERTIFICATE REQUEST"),
      "convert it with `openssl req -in FILE -noout -pubkey -out public.pem`",
    ],
    ["a block without a key", pem("PUBLIC KEY"), 'the block "PUBLIC KEY" has no readable key'],
    [
      "a block without a certificate",
      pem("CERTIFICATE"),
      'the block "CERTIFICATE" has no readable certificate',
    ],
    [
      "an encrypted key",
      encrypted.toString(),
      "the key is encrypted: convert it with `openssl pkey -in FILE -pubout -out public.pem`",
    ],
    [
      "X25519",
      generateKeyPairSync("x25519").publicKey.export({ type: "spki", format: "pem" }).toString(),
      "a key of type x25519 cannot verify tokens",
    ],
    ["a JWE", '{"protected":"e30","ciphertext":"x"}', "decrypt it with `step crypto jwe decrypt < FILE`"],
    [
      "a key of OpenSSH",
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 someone",
      "convert it with `ssh-keygen -e -m PKCS8 -f FILE > key.pem`",
    ],
    [
      "half of a block",
      "-----BEGIN PUBLIC KEY-----\nAAAA",
      "there is no complete PEM block with a key in it",
    ],
  ])("refuses %s", (_, text, words) => {
    expect(() => read(text)).toThrow(NoKey);
    expect(() => read(text)).toThrow(words);
  });
});

describe("OpenSSL and what runs anywhere", () => {
  const curves = ["P-256", "P-384", "P-521"].map((namedCurve) => generateKeyPairSync("ec", { namedCurve }));
  const authority = new CertificateAuthority();
  let files: Buffer[];
  // Not with the other tests: an RSA key for the certificate takes long to generate.
  beforeAll(() => {
    files = [
      ...[RSA, ED25519, ...curves].flatMap(({ publicKey, privateKey }) => [
        publicKey.export({ type: "spki", format: "der" }),
        privateKey.export({ type: "pkcs8", format: "der" }),
      ]),
      ...curves.map(({ privateKey }) => privateKey.export({ type: "sec1", format: "der" })),
      new X509Certificate(authority.issue({}, RSA_PRIVATE).certificate).raw,
      new X509Certificate(authority.certificate).raw,
    ];
  });
  const outcome = (read: () => { keys: unknown[] }) => {
    try {
      return read().keys;
    } catch (error) {
      if (error instanceof NoKey) return "no key";
      throw error;
    }
  };

  test("read the same keys", () => {
    for (const file of files) expect(readPublicKeys(file)).toEqual(readKeysByOpenssl(file));
    // A point in its short form (SEC 1 §2.3.3).
    const text = (form: string) =>
      execFileSync("openssl", ["ec", "-pubin", "-conv_form", form, "-outform", "DER"], {
        input: curves[0]?.publicKey.export({ type: "spki", format: "pem" }),
        stdio: "pipe",
      });
    expect(readPublicKeys(text("compressed"))).toEqual(readPublicKeys(text("uncompressed")));
  });

  test("make a key or a message of any bytes", () => {
    const spoilt = fc
      .tuple(fc.constantFrom(...files), fc.nat(), fc.nat(255), fc.nat(4))
      .map(([file, at, byte, cut]) => {
        const bytes = Buffer.from(file.subarray(0, file.length - cut));
        bytes[at % bytes.length] = byte;
        return bytes;
      });
    fc.assert(
      fc.property(spoilt, (bytes) => {
        const [found, expected] = [readPublicKeys, readKeysByOpenssl].map((read) =>
          outcome(() => read(bytes)),
        );
        // A reader may refuse a key that another one reads. If both read it, the keys are equal.
        if (found !== "no key" && expected !== "no key") expect(found).toEqual(expected);
      }),
      { numRuns: 500 },
    );
  });
});

test("the thumbprints of RFC 7638 section 3.1, RFC 8037 appendix A.3 and RFC 9964", () => {
  const n =
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
  expect(thumbprint({ kty: "RSA", n, e: "AQAB", alg: "RS256", kid: "2011-04-29" })).toBe(
    "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
  );
  expect(thumbprint({ kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" })).toBe(
    "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
  );
  for (const { jwk } of rfc9964.examples) expect(thumbprint(jwk)).toBe(jwk.kid);
});

test("a thumbprint is made of the members of the key's type, and of the type alone if it is unknown", () => {
  const of = (canonical: string) => createHash("sha256").update(canonical).digest("base64url");
  const { crv, x, y } = jwk(EC.publicKey);
  expect(thumbprint({ y, x, kty: "EC", crv, d: "secret", kid: "a" })).toBe(
    of(JSON.stringify({ crv, kty: "EC", x, y })),
  );
  expect(thumbprint({ kty: "oct", k: "c2VjcmV0", alg: "HS256" })).toBe(of('{"k":"c2VjcmV0","kty":"oct"}'));
  expect(thumbprint({ kty: "other", x: "y" })).toBe(of('{"kty":"other"}'));
  expect(thumbprint({})).toBe(of("{}"));
});

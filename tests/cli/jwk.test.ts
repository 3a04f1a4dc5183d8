/** `jwtgate jwk`: keys in all common formats. */
import { execFileSync, spawnSync } from "node:child_process";
import { createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { thumbprint } from "../../tools/jwks/thumbprint.ts";

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

describe("the commands in messages convert the formats that they are for", () => {
  const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
  const refusal = (file: string) => run([file]).stderr;
  const command = (file: string) => /`([^`]*)`/.exec(refusal(file))?.[1]?.replace("FILE", file) ?? "";

  beforeAll(() => {
    openssl(
      "req",
      "-x509",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-keyout",
      "own.key",
      "-out",
      "own.pem",
      "-subj",
      "/CN=x",
    );
  });

  test("PKCS #12", () => {
    openssl(
      "pkcs12",
      "-export",
      "-inkey",
      "own.key",
      "-in",
      "own.pem",
      "-out",
      "own.p12",
      "-passout",
      "pass:secret",
    );
    expect(refusal("own.p12")).toContain("this is PKCS #12: convert it with `openssl pkcs12 ");
    execFileSync("sh", ["-c", `${command("own.p12")} -passin pass:secret`], { cwd: folder, stdio: "pipe" });
    expect(run(["cert.pem"]).keys()).toEqual(run(["own.pem"]).keys());
  });

  test.each(["PEM", "DER"])("PKCS #7 in %s", (form) => {
    openssl("crl2pkcs7", "-nocrl", "-certfile", "own.pem", "-outform", form, "-out", "own.p7b");
    expect(refusal("own.p7b")).toContain("this is PKCS #7: convert it with `openssl pkcs7 ");
    execFileSync("sh", ["-c", command("own.p7b")], { cwd: folder, stdio: "pipe" });
    expect(run(["certs.pem"]).keys()).toEqual(run(["own.pem"]).keys());
  });

  test("a request for a certificate", () => {
    openssl("req", "-new", "-key", "own.key", "-subj", "/CN=x", "-out", "own.csr");
    expect(refusal("own.csr")).toContain("this is a request for a certificate");
    execFileSync("sh", ["-c", command("own.csr")], { cwd: folder, stdio: "pipe" });
    expect(run(["public.pem"]).keys()).toEqual(run(["own.pem"]).keys());
  });

  test("an encrypted key", () => {
    openssl("pkcs8", "-topk8", "-in", "own.key", "-out", "own.enc", "-passout", "pass:secret");
    expect(refusal("own.enc")).toContain("the key is encrypted");
    execFileSync("sh", ["-c", `${command("own.enc")} -passin pass:secret`], { cwd: folder, stdio: "pipe" });
    expect(run(["public.pem"]).keys()).toEqual(run(["own.pem"]).keys());
  });

  test("UTF-16", () => {
    writeFileSync(
      join(folder, "wide.pem"),
      Buffer.from(`\ufeff${readFileSync(join(folder, "own.pem"), "utf8")}`, "utf16le"),
    );
    execFileSync("sh", ["-c", command("wide.pem")], { cwd: folder, stdio: "pipe" });
    expect(run(["key.txt"]).keys()).toEqual(run(["own.pem"]).keys());
  });

  test("a Java keystore", () => {
    writeFileSync(join(folder, "store.jks"), Buffer.from("feedfeed00000002", "hex"));
    expect(refusal("store.jks")).toContain(
      "this is a Java keystore: convert it with `keytool -exportcert -rfc ",
    );
  });

  test("bytes that are not a key", () => {
    writeFileSync(join(folder, "noise"), Buffer.from([0x80, 0xff, 0, 1]));
    expect(refusal("noise")).toBe("noise: this is neither text nor a key or certificate in DER\n");
    writeFileSync(join(folder, "der"), Buffer.from([0x30, 0x82, 0, 1]));
    expect(refusal("der")).toContain("see what it is with `openssl asn1parse -inform DER -in FILE`");
  });
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
    expect(merged.stderr).toBe("");
    expect(merged.stdout).not.toContain(jwk(EC.privateKey).d);
  });

  test("a useless key is left out with a message, and is an error if there is no other", () => {
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

  test("reads standard input; --kid and --alg apply to keys that have none", () => {
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
    expect(secret.stderr).toContain("oct keys have no thumbprint");
  });

  test.each(["RS256", "PS512", "ES256", "ES384", "ES512", "EdDSA"])("--generate %s", (alg) => {
    const file = join(folder, `${alg}.pem`);
    const { status, keys } = run(["--generate", alg, "--private", file]);
    expect(status).toBe(0);
    const made = jwk(createPublicKey(readFileSync(file)));
    expect(keys()).toEqual([{ ...made, alg, kid: thumbprint(made ?? {}) }]);
    expect(statSync(file).mode & 0o777).toBe(0o600);

    const again = run(["--generate", alg, "--private", file]);
    expect(again.status).toBe(1);
    expect(again.stderr).toBe(
      `${file}: this file exists, and may hold a key that is in use: name another one, or replace it with --force\n`,
    );
  });

  test.each(["ML-DSA-44", "ML-DSA-65", "ML-DSA-87"])("--generate %s", (alg) => {
    const file = join(folder, `${alg}.pem`);
    const { status, keys } = run(["--generate", alg, "--private", file]);
    expect(status).toBe(0);
    const [made] = keys();
    expect(made).toEqual({ kty: "AKP", alg, pub: expect.any(String), kid: thumbprint(made ?? {}) });
    expect(run([file]).keys()).toEqual([made]);
  });

  test("--generate HS384 makes a secret as long as the digest, without an id that would help to guess it", () => {
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

  test("a missing file ends with 1", () => {
    expect(run(["missing"])).toMatchObject({
      status: 1,
      stderr: "missing: there is no such file or folder\n",
    });
  });
});

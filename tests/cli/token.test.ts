/** `jwtgate token`: other libraries verify what it signs, `decode` trusts nothing, and `verify` prints why it refuses. */

import { spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { decodeJwt, decodeProtectedHeader, importJWK, jwtVerify } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ISTIO_TOKEN } from "../../tools/demo/tokens.ts";
import { ROOT, TOOL, Workspace } from "../support/cli.ts";
import { verifyMlDsa } from "../support/ml-dsa.ts";

const workspace = new Workspace();
afterAll(() => workspace.remove());
const run = (...args: string[]) => workspace.run(["token", ...args]);
const write = (name: string, content: string | Uint8Array) => writeFileSync(workspace.path(name), content);

const SAMPLE = join(ROOT, "envoy/istio/skip-a-path.yaml");
const ALGORITHMS =
  "RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA ML-DSA-44 ML-DSA-65 ML-DSA-87 HS256 HS384 HS512".split(
    " ",
  );

/** Makes a key with the tool itself. @returns the file to sign with; the key set is in ALG.jwks */
function makeKey(algorithm: string): string {
  const secret = algorithm.startsWith("HS");
  const file = secret ? `${algorithm}.jwks` : `${algorithm}.pem`;
  if (existsSync(workspace.path(file))) return file;
  const { status, stdout, stderr } = workspace.run([
    "jwk",
    "--generate",
    algorithm,
    ...(secret ? [] : ["--private", file]),
  ]);
  if (status !== 0) throw new Error(stderr);
  write(`${algorithm}.jwks`, stdout);
  return file;
}

const keySet = (algorithm: string) => JSON.parse(readFileSync(workspace.path(`${algorithm}.jwks`), "utf8"));

beforeAll(() => {
  makeKey("ES256");
  mkdirSync(workspace.path("policies"));
  write("policies/sample.yaml", readFileSync(SAMPLE));
});

describe.each(ALGORITHMS)("a token signed with %s", (algorithm) => {
  let token: string;
  beforeAll(() => {
    const key = makeKey(algorithm);
    const { status, stdout, stderr } = run(
      ...["sign", "--key", key, "--alg", algorithm, "--iss", "https://issuer.example", "--sub", "alice"],
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    token = stdout.trim();
  });

  test("is accepted by another implementation", async () => {
    const [key] = keySet(algorithm).keys;
    const isSigned = verifyMlDsa(algorithm, token, key);
    if (isSigned !== undefined) return expect(isSigned).toBe(true);
    const { payload, protectedHeader } = await jwtVerify(token, await importJWK(key));
    expect(payload).toMatchObject({ iss: "https://issuer.example", sub: "alice" });
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(3600);
    expect(protectedHeader.alg).toBe(algorithm);
  });

  test("is valid with its key set, and not with another one", () => {
    const good = run("verify", "--jwks", `${algorithm}.jwks`, token);
    expect(good.stderr.replace(/.*this is a shared secret.*\n/, "")).toBe("");
    expect(good.stdout).toContain(`good: the key set ${algorithm}.jwks accepts it\n`);
    expect(good.status).toBe(0);
    const parts = token.split(".");
    const forged = [parts[0], Buffer.from('{"sub":"root"}').toString("base64url"), parts[2]].join(".");
    const { status, stdout } = run("verify", "--jwks", `${algorithm}.jwks`, forged);
    expect(status).toBe(1);
    expect(stdout).toContain("refused with 401: Jwt verification fails\n");
    expect(stdout).toContain("tried: the signature is not by this key");
  });
});

describe("claims", () => {
  const claimsOf = (...args: string[]) => {
    const { status, stdout, stderr } = run("sign", "--key", "ES256.pem", ...args);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    return decodeJwt(stdout.trim());
  };

  test("come from flags, as JSON if they are JSON", () => {
    const {
      iat: _iat,
      exp: _exp,
      ...claims
    } = claimsOf(
      ...["--aud", "a", "--aud", "b", "--claim", 'groups=["x"]', "--claim", "n=1", "--claim", "t=a=b"],
    );
    expect(claims).toEqual({ aud: ["a", "b"], groups: ["x"], n: 1, t: "a=b" });
    expect(claimsOf("--aud", "a").aud).toBe("a");
  });

  test("come from a file, and flags replace them", () => {
    write("claims.json", '{"iss":"a","sub":"b","exp":4102444800}');
    expect(claimsOf("--claims", "claims.json", "--sub", "c", "--claim", "iat=5")).toEqual({
      iss: "a",
      sub: "c",
      exp: 4102444800,
      iat: 5,
    });
  });

  test("say when", () => {
    const now = Date.now() / 1000;
    expect(claimsOf("--exp", "never")).not.toHaveProperty("exp");
    expect(Math.abs((claimsOf("--exp", "-5m").exp ?? 0) - now + 300)).toBeLessThan(60);
    expect(Math.abs((claimsOf("--nbf", "2d").nbf ?? 0) - now - 172_800)).toBeLessThan(60);
    expect(claimsOf("--exp", "2030-01-31").exp).toBe(Date.UTC(2030, 0, 31) / 1000);
    expect(claimsOf("--exp", "1234567890").exp).toBe(1234567890);
  });

  test("have a header that can be chosen", () => {
    const { stdout } = run("sign", "--key", "ES256.pem", "--kid", "mine", "--header", "typ=at+jwt");
    expect(decodeProtectedHeader(stdout.trim())).toEqual({ alg: "ES256", typ: "at+jwt", kid: "mine" });
    const output = JSON.parse(run("sign", "--key", "ES256.pem", "--json").stdout);
    expect(output).toMatchObject({
      header: { kid: keySet("ES256").keys[0].kid },
      claims: expect.any(Object),
    });
  });
});

describe("a key that cannot sign, or not in this way, is reported", () => {
  beforeAll(() => {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    write("public.pem", publicKey.export({ type: "spki", format: "pem" }));
    write(
      "encrypted.pem",
      privateKey.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" }),
    );
    const jwk = privateKey.export({ format: "jwk" });
    write(
      "two.jwks",
      JSON.stringify({
        keys: [
          { ...jwk, kid: "a" },
          { ...jwk, kid: "b" },
        ],
      }),
    );
    write("broken.jwk", JSON.stringify({ ...jwk, x: "AAAA" }));
    const k1 = generateKeyPairSync("ec", { namedCurve: "secp256k1" }).privateKey;
    write("k1.pem", k1.export({ type: "sec1", format: "pem" }));
    write("binary", Buffer.from([0x30, 0xff, 0, 1]));
    write("huge", Buffer.alloc(2 * 1024 * 1024, "a"));
  });

  test.each<[string[], string]>([
    [
      ["--key", "public.pem"],
      "public.pem: this has no private key: a public key or a certificate cannot sign",
    ],
    [
      ["--key", "encrypted.pem"],
      "encrypted.pem: the private key is encrypted: decrypt it with `openssl pkey`",
    ],
    [["--key", "two.jwks"], 'two.jwks: several keys here can sign: choose one with --kid ("a", "b")'],
    [["--key", "two.jwks", "--kid", "c"], 'two.jwks: no key here that signs has the kid "c"'],
    [["--key", "broken.jwk"], "broken.jwk: the JWK's private key cannot be read"],
    [
      ["--key", "k1.pem"],
      "k1.pem: a key of this type cannot sign tokens: RSA, P-256, P-384, P-521, Ed25519, ML-DSA or oct can",
    ],
    [["--key", "ES256.jwks"], "ES256.jwks: this has no private key and no secret: a public key cannot sign"],
    [["--key", "ES256.pem", "--alg", "RS256"], "ES256.pem: this key does not sign RS256: it signs ES256"],
    [["--key", "missing"], "missing: there is no such file or folder"],
    [["--key", "."], ".: this is a folder"],
    [["--key", "binary"], "binary: this has no private key: a public key or a certificate cannot sign"],
    [["--key", "huge"], "huge: this is larger than 1 MiB"],
    [["--key", "/dev/zero"], "/dev/zero: this is larger than 1 MiB"],
    [["--key", "/dev/null"], "/dev/null: this is empty"],
    [["--key", "ES256.pem", "--claims", "ES256.pem"], "ES256.pem: not JSON"],
    [["--key", "ES256.pem", "--claims", "two.jwks", "--claims", "/dev/null"], "/dev/null: not JSON"],
  ])("%j", (args, words) => {
    const { status, stdout, stderr } = run("sign", ...args);
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(stderr.slice(0, words.length)).toBe(words);
  });

  test("one of several is chosen by its kid", () => {
    expect(decodeProtectedHeader(run("sign", "--key", "two.jwks", "--kid", "b").stdout.trim()).kid).toBe("b");
  });
});

describe("decode", () => {
  test("shows the contents, and that nothing is verified", () => {
    const { status, stdout } = run("decode", ISTIO_TOKEN);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^NOT verified: anyone can write such a token\.\n/);
    expect(stdout).toContain('"foo": "bar"');
    expect(stdout).toMatch(/^exp {6}2118-06-29T\S+ \(in \d+ years\)$/m);
    expect(stdout).not.toContain("\x1b");
  });

  test("reads it from standard input, with Bearer before it", () => {
    const { stdout } = workspace.run(["token", "decode", "--json"], { input: `Bearer ${ISTIO_TOKEN}\n` });
    expect(JSON.parse(stdout)).toMatchObject({ verified: false, payload: { foo: "bar" } });
  });

  test("reports why the filter refuses it, and prints no control character", () => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const { stdout } = run("decode", `${part({ alg: "none" })}.${part({ "\u001b[2J": "\u009b1m\u202e" })}.`);
    expect(stdout).toContain("The filter refuses it, whatever the policies: Jwt is not in the form of");
    expect(stdout).toContain('"\\u001b[2J": "\\u009b1m\\u202e"');
  });

  test.each([
    ["", "there is no token"],
    ["x", "this is not a token"],
    ["a.b.c.d.e", "this is an encrypted token (JWE)"],
    ["\xff\xfe", "this is not a token"],
    ["a".repeat(2_000_000), "this is larger than 1 MiB"],
  ])("reports what is not a token", (input, words) => {
    const { status, stdout, stderr } = workspace.run(["token", "decode"], { input });
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toContain(words);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });
});

describe("verify under policies", () => {
  test("prints which policy accepts it, and its position", () => {
    const { status, stdout } = run("verify", "-f", "policies", ISTIO_TOKEN);
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /^good: RequestAuthentication default\/istio-sample \(policies\/sample\.yaml:\d+:\d+\) accepts it\n/,
    );
    expect(stdout).toContain("principal  testing@secure.istio.io/testing@secure.istio.io\n");
    const output = JSON.parse(run("verify", "-f", "policies", "--json", ISTIO_TOKEN).stdout);
    expect(output).toMatchObject({ valid: true, policy: "default/istio-sample", claims: { foo: "bar" } });
  });

  test("prints why it is refused, and with which answer", () => {
    const late = run("verify", "-f", "policies", "--at", "2200-01-01", ISTIO_TOKEN);
    expect(late.status).toBe(1);
    expect(late.stdout).toMatch(/^refused with 401: Jwt is expired\n/);
    expect(late.stdout).toContain("exp is 2118-06-29");
    const output = JSON.parse(run("verify", "-f", "policies", "--json", "x.y.z").stdout);
    expect(output).toMatchObject({
      valid: false,
      status: 401,
      body: "Jwt header is an invalid Base64url encoded",
    });
  });

  test("at any location, and with any other policies", () => {
    const { status, stdout } = run(
      "verify",
      "-f",
      join(ROOT, "envoy/istio/token-positions.yaml"),
      ISTIO_TOKEN,
    );
    expect({ status, words: stdout.slice(0, 5) }).toEqual({ status: 0, words: "good:" });
  });

  test("fetches remote keys, and reports a fetch that fails", async () => {
    const server = createServer((request, response) => {
      response.statusCode = request.url === "/jwks" ? 200 : 404;
      response.end(JSON.stringify(keySet("ES256")));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const { port } = server.address() as AddressInfo;
      const token = run("sign", "--key", "ES256.pem", "--iss", "me", "--sub", "s").stdout.trim();
      const policy = (path: string) => `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: r, namespace: ns}
spec:
  jwtRules:
  - {issuer: me, jwksUri: 'http://127.0.0.1:${port}${path}'}
`;
      write("remote.yaml", policy("/jwks"));
      write("gone.yaml", policy("/gone"));
      const good = await later("verify", "-f", "remote.yaml", token);
      expect(good).toMatchObject({ status: 0, stderr: "" });
      expect(good.stdout).toContain("good: RequestAuthentication ns/r (remote.yaml:6:5) accepts it");
      const gone = await later("verify", "-f", "gone.yaml", token);
      expect(gone.status).toBe(1);
      expect(gone.stderr).toBe("");
      expect(gone.stdout).toContain("refused with 401: Jwks remote fetch is failed\n");
      expect(gone.stdout).toContain(`/gone: the answer's status is 404, not 200\n`);
      expect((await later("verify", "--jwks", `http://127.0.0.1:${port}/jwks`, token)).status).toBe(0);
    } finally {
      server.close();
    }
  });

  test.each<[string[], number, string]>([
    [["-f", "missing", "x"], 1, "missing: there is no such file or folder\n"],
    [["--jwks", "/dev/null", "x"], 1, "/dev/null: this is empty"],
    [["--jwks", "http://127.0.0.1:1/", "x"], 1, "http://127.0.0.1:1/: connect ECONNREFUSED 127.0.0.1:1\n"],
    [
      ["--jwks", "http://[64:ff9b::a9fe:a9fe]/latest/meta-data", "x"],
      1,
      "http://[64:ff9b::a9fe:a9fe]/latest/meta-data: this is a link-local address or a metadata service, which has no keys\n",
    ],
    [["x"], 2, "error: name what to verify it under: -f POLICIES, --from-cluster or --jwks FILE\n"],
    [["-f", "a", "--jwks", "b", "x"], 2, "error: name what to verify it under"],
    [["-f", "a", "--iss", "b", "x"], 2, "error: --iss and --aud belong to --jwks"],
    [["-f", "-"], 2, "error: standard input cannot hold both the policies and the token\n"],
    [
      ["--jwks", "a", "--at", "soon", "x"],
      2,
      "error: option '--at <time>' argument 'soon' is invalid. Write now+1h",
    ],
  ])("%j", (args, status, words) => {
    const result = run("verify", ...args);
    expect({ status: result.status, stdout: result.stdout }).toEqual({ status, stdout: "" });
    expect(result.stderr.slice(0, words.length)).toBe(words);
  });
});

/** Runs the tool while this process answers its requests. */
function later(...args: string[]): Promise<{ status: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [TOOL, "token", ...args], { cwd: workspace.folder });
    const output = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8").on("data", (text: string) => {
        output[name] += text;
      });
    }
    child.on("close", (status) => resolve({ status, ...output }));
  });
}

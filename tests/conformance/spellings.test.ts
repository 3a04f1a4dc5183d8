/**
 * How many spellings one token has: two for an ECDSA signature, one otherwise. Deny lists that compare tokens as text
 * miss the second; policies on `jti` do not.
 */
import { constants, createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Host } from "../../tools/host/host.ts";
import { createNodeHost } from "../../tools/host/node.ts";
import { compile } from "../../tools/targets/compile.ts";
import { MODULE } from "../support/envoy.ts";
import { bearer } from "../support/tokens.ts";

const module = await WebAssembly.compile(readFileSync(MODULE));
const ISSUER = "https://issuer.example";

/** A gateway that trusts the key, and refuses tokens with the `jti` "revoked". */
async function gate(privateKey: KeyObject, alg: string): Promise<Host> {
  const jwk = { ...createPublicKey(privateKey).export({ format: "jwk" }), alg };
  const spec = { jwtRules: [{ issuer: ISSUER, jwks: JSON.stringify({ keys: [jwk] }) }] };
  const denied = {
    action: "DENY",
    rules: [{ when: [{ key: "request.auth.claims[jti]", values: ["revoked"] }] }],
  };
  const resource = (kind: string, name: string, content: object): string =>
    JSON.stringify({ apiVersion: "security.istio.io/v1", kind, metadata: { name }, spec: content });
  const text = `${resource("RequestAuthentication", "idp", spec)}\n---\n${resource("AuthorizationPolicy", "revoked", denied)}`;
  const { configuration, diagnostics } = compile([{ name: "policies.yaml", text }], { target: "envoy" });
  expect(diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
  const host = await createNodeHost(module);
  expect(host.configure(configuration)).toMatchObject({ accepted: true });
  return host;
}

const signedPart = (alg: string, claims: object): string =>
  [{ alg }, { iss: ISSUER, sub: "s", ...claims }]
    .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
    .join(".");
const tokenOf = (signed: string, signature: Uint8Array): string =>
  `${signed}.${Buffer.from(signature).toString("base64url")}`;

function verdict(host: Host, token: string): string {
  const { outcome } = host.send({ headers: [bearer(token)] });
  return outcome?.answer?.body ?? (outcome?.upstream ? "passed" : "held");
}

const toNumber = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
const toBytes = (number: bigint, length: number): Buffer =>
  Buffer.from(number.toString(16).padStart(2 * length, "0"), "hex");

/** The orders of the curves' groups (FIPS 186-4, D.1.2). */
const ECDSA: [string, string, string, bigint][] = [
  ["ES256", "P-256", "sha256", 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n],
  [
    "ES384",
    "P-384",
    "sha384",
    0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  ],
  [
    "ES512",
    "P-521",
    "sha512",
    BigInt(`0x1${"f".repeat(64)}fa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409`),
  ],
];

test.each(ECDSA)(
  "%s: (r, s) and (r, n - s) both verify, and a policy on jti refuses both",
  async (alg, namedCurve, hash, n) => {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve });
    const host = await gate(privateKey, alg);
    for (const [jti, expected] of [
      ["good", "passed"],
      ["revoked", "RBAC: access denied"],
    ] as const) {
      const signed = signedPart(alg, { jti });
      const signature = sign(hash, Buffer.from(signed), { key: privateKey, dsaEncoding: "ieee-p1363" });
      const length = signature.length / 2;
      const r = signature.subarray(0, length);
      const s = toNumber(signature.subarray(length));
      const tokens = [s, n - s].map((value) => tokenOf(signed, Buffer.concat([r, toBytes(value, length)])));
      expect(new Set(tokens).size).toBe(2);
      expect(tokens.map((token) => verdict(host, token))).toEqual([expected, expected]);
    }
  },
);

describe("one spelling only", () => {
  test("EdDSA: S + L is refused", async () => {
    const L = 2n ** 252n + 27742317777372353535851937790883648493n;
    const { privateKey } = generateKeyPairSync("ed25519");
    const host = await gate(privateKey, "EdDSA");
    const signed = signedPart("EdDSA", { jti: "good" });
    const signature = sign(null, Buffer.from(signed), privateKey);
    const s = toNumber(Buffer.from(signature.subarray(32)).reverse());
    const other = Buffer.concat([signature.subarray(0, 32), toBytes(s + L, 32).reverse()]);
    expect(verdict(host, tokenOf(signed, signature))).toBe("passed");
    expect(verdict(host, tokenOf(signed, other))).toBe("Jwt verification fails");
  });

  test.each([
    ["RS256", constants.RSA_PKCS1_PADDING],
    ["PS256", constants.RSA_PKCS1_PSS_PADDING],
  ])("%s: s + n is refused", async (alg, padding) => {
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const host = await gate(privateKey, alg);
    const n = toNumber(Buffer.from(String(privateKey.export({ format: "jwk" }).n), "base64url"));
    // One that still has 256 bytes.
    for (let i = 0; ; i++) {
      const signed = signedPart(alg, { jti: `good ${i}` });
      const signature = sign("sha256", Buffer.from(signed), { key: privateKey, padding, saltLength: 32 });
      expect(verdict(host, tokenOf(signed, signature))).toBe("passed");
      const other = toNumber(signature) + n;
      if (other >= 2n ** 2048n) continue;
      expect(verdict(host, tokenOf(signed, toBytes(other, 256)))).toBe("Jwt verification fails");
      break;
    }
  });
});

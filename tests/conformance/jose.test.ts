/**
 * Thousands of tokens over all algorithms, valid and spoilt, verified by `jose` and by the module: both accept the
 * same, except for non-canonical spellings of base64url (docs/strictness.md, S2), which only `jose` accepts.
 */

import { readFileSync } from "node:fs";
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, jwtVerify, SignJWT } from "jose";
import { describe, expect, test } from "vitest";
import { createNodeHost } from "../../tools/host/node.ts";
import { ALGORITHMS as ALL } from "../support/algorithms.ts";
import { whole } from "../support/configuration.ts";
import { MODULE } from "../support/envoy.ts";
import { bearer } from "../support/tokens.ts";

const ISSUER = "https://issuer.example";
const TOKENS = 8;
/** The algorithms that `jose` has on every version of Node: ML-DSA needs a newer one. */
const ALGORITHMS = ALL.filter((alg) => !alg.startsWith("ML-DSA"));
const SEED = 20_261_122;

/** Mulberry32: the same tokens are spoilt in the same way in every run. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

interface Key {
  jwk: JWK;
  verifies: CryptoKey | Uint8Array;
  sign(claims: Record<string, unknown>): Promise<string>;
}

async function keyFor(alg: string): Promise<Key> {
  const signer = (key: CryptoKey | Uint8Array) => (claims: Record<string, unknown>) =>
    new SignJWT({ iss: ISSUER, ...claims }).setProtectedHeader({ alg, kid: alg }).sign(key);
  if (alg.startsWith("HS")) {
    const secret = crypto.getRandomValues(new Uint8Array(64));
    const k = Buffer.from(secret).toString("base64url");
    return { jwk: { kty: "oct", k, kid: alg, alg }, verifies: secret, sign: signer(secret) };
  }
  const options = { extractable: true, ...(alg === "EdDSA" && { crv: "Ed25519" }) };
  const { publicKey, privateKey } = await generateKeyPair(alg, options);
  return {
    jwk: { ...(await exportJWK(publicKey)), kid: alg, alg },
    verifies: publicKey,
    sign: signer(privateKey),
  };
}

/** Every way to spoil a token; `other` is a valid token of the same key, `stranger` one of another. */
function spoilt(token: string, other: string, stranger: string, random: (below: number) => number): string[] {
  const parts = token.split(".") as [string, string, string];
  const others = other.split(".");
  const strangers = stranger.split(".");
  const flips = [0, 1, 2].flatMap((section) =>
    [0, 1, 2].map(() => {
      const bytes = Buffer.from(parts[section] ?? "", "base64url");
      const at = random(bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random(8));
      return parts.with(section, bytes.toString("base64url")).join(".");
    }),
  );
  const cuts = [0, 1, 2].map((section) => {
    const text = parts[section] ?? "";
    return parts.with(section, text.slice(0, random(text.length))).join(".");
  });
  const algorithms = ["none", "HS256", "RS256", "ES256", "PS512", "EdDSA"].map((alg) => {
    const header = JSON.parse(Buffer.from(parts[0], "base64url").toString()) as object;
    return parts.with(0, Buffer.from(JSON.stringify({ ...header, alg })).toString("base64url")).join(".");
  });
  const last = token.at(-1) === "A" ? "B" : "A";
  return [
    token,
    ...flips,
    ...cuts,
    ...algorithms,
    [parts[1], parts[0], parts[2]].join("."),
    [parts[0], others[1], parts[2]].join("."),
    [parts[0], parts[1], others[2]].join("."),
    [parts[0], parts[1], strangers[2]].join("."),
    stranger,
    token.slice(0, -1) + last,
    token.slice(0, -1),
    `${token}A`,
    parts.slice(0, 2).join("."),
    `${parts[0]}.${parts[1]}.`,
  ];
}

/** Whether each segment is the canonical spelling of its bytes. */
function isCanonical(token: string): boolean {
  return token.split(".").every((part) => Buffer.from(part, "base64url").toString("base64url") === part);
}

let judged = 0;

describe(`tokens by jose, spoilt with seed ${SEED}`, () => {
  test.each(ALGORITHMS)("%s", async (alg) => {
    const random = generator(SEED + ALGORITHMS.indexOf(alg));
    const [key, foreign] = await Promise.all([keyFor(alg), keyFor(alg)]);
    const host = await createNodeHost(readFileSync(MODULE));
    const { accepted } = host.configure(
      whole({
        providers: [
          {
            name: "origins-0",
            issuer: ISSUER,
            localJwks: { keys: [key.jwk] },
            fromHeaders: [{ name: "authorization", valuePrefix: "Bearer " }],
          },
        ],
      }),
    );
    expect(accepted).toBe(true);
    let good = 0;
    for (let i = 0; i < TOKENS; i++) {
      const claims = { sub: `subject ${i}`, n: random(1_000_000), text: "é€😀".repeat(random(4)) };
      const [token, other, stranger] = await Promise.all([
        key.sign(claims),
        key.sign({ ...claims, sub: "other" }),
        foreign.sign(claims),
      ]);
      for (const candidate of spoilt(token, other, stranger, random)) {
        const theirs = await jwtVerify(candidate, key.verifies, { issuer: ISSUER, algorithms: [alg] }).then(
          () => true,
          () => false,
        );
        const { outcome } = host.send({ headers: [bearer(candidate)] });
        expect(outcome?.trapped).toBeUndefined();
        const ours = outcome?.upstream !== undefined;
        if (ours !== theirs) {
          expect([ours, theirs, isCanonical(candidate)], candidate).toEqual([false, true, false]);
        }
        if (ours) good++;
        judged++;
      }
    }
    expect(good).toBeGreaterThanOrEqual(TOKENS);
  });

  test("are more than two thousand", () => expect(judged).toBeGreaterThan(2_000));
});

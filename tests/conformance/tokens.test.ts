/** Tokens made by `jose`, for every algorithm and every refusal, in the project's own host with its own clock. */

import { readFileSync } from "node:fs";
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from "jose";
import { beforeAll, describe, expect, test } from "vitest";
import type { Host } from "../../tools/host/host.ts";
import { createNodeHost } from "../../tools/host/node.ts";
import { ALGORITHMS } from "../support/algorithms.ts";
import { whole } from "../support/configuration.ts";
import { MODULE } from "../support/envoy.ts";
import { mlDsaKey } from "../support/ml-dsa.ts";
import { bearer } from "../support/tokens.ts";

const ISSUER = "https://issuer.example";
/** 1 January 2026. */
const NOW = 1_767_225_600;

interface Pair {
  jwk: JWK;
  sign(claims: Record<string, unknown>, header?: Record<string, unknown>): Promise<string>;
}

async function pairFor(alg: string, kid = "k"): Promise<Pair> {
  const sign =
    (key: CryptoKey | Uint8Array) =>
    (claims: Record<string, unknown>, header: Record<string, unknown> = {}): Promise<string> =>
      new SignJWT({ iss: ISSUER, sub: "s", ...claims }).setProtectedHeader({ alg, kid, ...header }).sign(key);
  if (alg.startsWith("HS")) {
    const secret = crypto.getRandomValues(new Uint8Array(64));
    return { jwk: { kty: "oct", k: Buffer.from(secret).toString("base64url"), kid }, sign: sign(secret) };
  }
  if (alg.startsWith("ML-DSA")) {
    const key = mlDsaKey(alg);
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    return {
      jwk: { ...key.jwk, kid },
      sign: async (claims, header = {}) => {
        const text = `${part({ alg, kid, ...header })}.${part({ iss: ISSUER, sub: "s", ...claims })}`;
        return `${text}.${key.sign(Buffer.from(text)).toString("base64url")}`;
      },
    };
  }
  const options = { extractable: true, ...(alg === "EdDSA" && { crv: "Ed25519" }) };
  const { publicKey, privateKey } = await generateKeyPair(alg, options);
  return { jwk: { ...(await exportJWK(publicKey)), kid }, sign: sign(privateKey) };
}

let module: WebAssembly.Module;
const pairs = new Map<string, Pair>();
beforeAll(async () => {
  module = await WebAssembly.compile(readFileSync(MODULE));
  for (const alg of ALGORITHMS) pairs.set(alg, await pairFor(alg));
});

const pairOf = (alg: string): Pair => {
  const pair = pairs.get(alg);
  if (pair === undefined) throw new Error(alg);
  return pair;
};

/** A host whose clock shows NOW, with a provider of these keys. */
async function hostWith(
  keys: JWK[],
  options: { verifySignature?: boolean; provider?: object } = {},
): Promise<Host> {
  const { provider, ...hostOptions } = options;
  const host = await createNodeHost(module, hostOptions);
  host.clock.set(NOW * 1000);
  const loaded = host.configure(
    whole({
      providers: [
        {
          name: "origins-0",
          issuer: ISSUER,
          localJwks: { keys },
          fromHeaders: [{ name: "authorization", valuePrefix: "Bearer " }],
          ...provider,
        },
      ],
    }),
  );
  if (!loaded.accepted) throw new Error(loaded.logs.map(({ message }) => message).join("\n"));
  return host;
}

/** The body of the refusal, or "passed". */
function verdict(host: Host, token: string): string {
  const { outcome } = host.send({ headers: [bearer(token)] });
  expect(outcome?.trapped).toBeUndefined();
  return outcome?.answer?.body ?? (outcome?.upstream ? "passed" : "held");
}

const FAILS = "Jwt verification fails";

describe.each([true, false])("if the host has verify_signature: %s", (verifySignature) => {
  test.each(ALGORITHMS)("%s", async (alg) => {
    const { jwk, sign } = pairOf(alg);
    const token = await sign({});
    const stranger = await (await pairFor(alg)).sign({});
    const host = await hostWith([jwk], { verifySignature });
    // The second time from the cache.
    for (let i = 0; i < 2; i++) {
      expect(verdict(host, token)).toBe("passed");
      expect(verdict(host, stranger)).toBe(FAILS);
    }
    const [header, payload, signature] = token.split(".") as [string, string, string];
    const other = Buffer.from(JSON.stringify({ iss: ISSUER, sub: "admin" })).toString("base64url");
    expect(verdict(host, [header, other, signature].join("."))).toBe(FAILS);
    expect(verdict(host, [header, payload, stranger.split(".")[2]].join("."))).toBe(FAILS);
  });

  test.each(["RS256", "PS256", "HS256", "EdDSA"])(
    "%s: no token that is one character off passes",
    async (alg) => {
      const { jwk, sign } = pairOf(alg);
      const host = await hostWith([jwk], { verifySignature });
      const token = await sign({});
      expect(verdict(host, token)).toBe("passed");
      const step = alg.startsWith("HS") ? 1 : 7;
      for (let i = 0; i < token.length; i += step) {
        const swapped = token[i] === "A" ? "B" : "A";
        for (const changed of [
          token.slice(0, i) + swapped + token.slice(i + 1),
          token.slice(0, i) + token.slice(i + 1),
        ]) {
          expect(verdict(host, changed), `at ${i}`).not.toBe("passed");
        }
      }
      for (const changed of [`${token}A`, `${token}=`, `${token}.`, `.${token}`, ` ${token} x`]) {
        expect(verdict(host, changed)).not.toBe("passed");
      }
      expect(verdict(host, token)).toBe("passed");
    },
  );
});

describe("the clock", () => {
  test.each<[string, Record<string, unknown>, number, string]>([
    ["just good", { exp: NOW }, 60, "passed"],
    ["just expired", { exp: NOW }, 61, "Jwt is expired"],
    ["about to be good", { nbf: NOW }, -61, "Jwt not yet valid"],
    ["just become good", { nbf: NOW }, -60, "passed"],
    ["issued in the future", { iat: NOW + 1000 }, 0, "passed"],
    ["not good yet, but expired", { nbf: NOW + 1000, exp: NOW - 1000 }, 0, "Jwt not yet valid"],
    ["without end", {}, 3_000_000_000, "passed"],
    ["exp 0 (S8)", { exp: 0 }, 0, "Jwt is expired"],
    ["exp 0.5 (S8)", { exp: 0.5 }, 0, "Jwt is expired"],
    ["nbf 0", { nbf: 0 }, 0, "passed"],
  ])("%s", async (_name, claims, seconds, expected) => {
    const { jwk, sign } = pairOf("HS256");
    const host = await hostWith([jwk]);
    host.clock.set((NOW + seconds) * 1000);
    expect(verdict(host, await sign(claims))).toBe(expected);
  });

  test("is used again for a token in the cache", async () => {
    const { jwk, sign } = pairOf("ES256");
    const host = await hostWith([jwk]);
    const token = await sign({ exp: NOW + 10, nbf: NOW - 10 });
    for (const [seconds, expected] of [
      [0, "passed"],
      [70, "passed"],
      [71, "Jwt is expired"],
      [-70, "passed"],
      [-71, "Jwt not yet valid"],
      [0, "passed"],
    ] as const) {
      host.clock.set((NOW + seconds) * 1000);
      expect(verdict(host, token), `${seconds} s`).toBe(expected);
    }
  });

  test("with a skew of its own", async () => {
    const { jwk, sign } = pairOf("HS256");
    const host = await hostWith([jwk], { provider: { clockSkewSeconds: 0 } });
    expect(verdict(host, await sign({ exp: NOW }))).toBe("passed");
    expect(verdict(host, await sign({ exp: NOW - 1 }))).toBe("Jwt is expired");
  });
});

describe("which key and algorithm", () => {
  const NO_KEY = "Jwks doesn't have key to match kid or alg from Jwt";

  test("another kid", async () => {
    const { jwk, sign } = pairOf("ES256");
    const host = await hostWith([jwk]);
    expect(verdict(host, await sign({}, { kid: "else" }))).toBe(NO_KEY);
    expect(verdict(host, await sign({}, { kid: "" }))).toBe("passed");
    expect(verdict(host, await sign({}, { kid: undefined }))).toBe("passed");
  });

  test("a key with an algorithm is for that one only", async () => {
    const { jwk, sign } = pairOf("RS256");
    const host = await hostWith([{ ...jwk, alg: "RS512" }]);
    expect(verdict(host, await sign({}))).toBe(NO_KEY);
  });

  test("no part of an RSA key is accepted as an HMAC secret", async () => {
    const { jwk } = pairOf("RS256");
    const host = await hostWith([jwk]);
    for (const secret of [jwk.n ?? "", JSON.stringify(jwk), Buffer.from(jwk.n ?? "", "base64url")]) {
      const token = await new SignJWT({ iss: ISSUER })
        .setProtectedHeader({ alg: "HS256", kid: "k" })
        .sign(typeof secret === "string" ? new TextEncoder().encode(secret) : secret);
      expect(verdict(host, token)).toBe(FAILS);
    }
  });

  test.each(["none", "None", "NONE", "rs256", "ES256K", "", "Ed448"])("alg %j", async (alg) => {
    const { jwk } = pairOf("RS256");
    const host = await hostWith([jwk]);
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const claims = part({ iss: ISSUER });
    expect(verdict(host, `${part({ alg, kid: "k" })}.${claims}.AAAA`)).toBe(
      "Jwt header [alg] is not supported",
    );
    expect(verdict(host, `${part({ alg, kid: "k" })}.${claims}.`)).toMatch(/^Jwt is not in the form/);
  });

  test("ES256 under a P-384 key (S5), and a curve's own algorithm", async () => {
    const p384 = pairOf("ES384");
    const host = await hostWith([p384.jwk]);
    expect(verdict(host, await p384.sign({}))).toBe("passed");
    const signature = (await p384.sign({})).split(".")[2];
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    expect(verdict(host, `${part({ alg: "ES256", kid: "k" })}.${part({ iss: ISSUER })}.${signature}`)).toBe(
      FAILS,
    );
  });

  test("keys in a token's header are ignored", async () => {
    const own = pairOf("ES256");
    const stranger = await pairFor("ES256");
    const host = await hostWith([own.jwk]);
    const header = {
      jwk: stranger.jwk,
      jku: "https://evil.example/jwks",
      x5u: "https://evil.example/x",
      x5c: ["AAAA"],
    };
    expect(verdict(host, await stranger.sign({}, header))).toBe(FAILS);
    expect(verdict(host, await own.sign({}, header))).toBe("passed");
  });

  test("any crit, and b64 other than true (S1)", async () => {
    const { jwk, sign } = pairOf("HS256");
    const host = await hostWith([jwk]);
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const claims = part({ iss: ISSUER });
    for (const header of [{ crit: ["exp"] }, { crit: [] }, { crit: null }, { b64: false }, { b64: 1 }]) {
      const token = `${part({ alg: "HS256", kid: "k", ...header })}.${claims}.AAAA`;
      expect(verdict(host, token)).toBe("Jwt header [crit] is not supported");
    }
    expect(verdict(host, await sign({}, { b64: true, crit: ["b64"] }))).toBe(
      "Jwt header [crit] is not supported",
    );
    expect(verdict(host, await sign({}, { b64: true }))).toBe("passed");
  });

  test("a key that is not for verifying is not a candidate (S6)", async () => {
    const { jwk, sign } = pairOf("ES256");
    const good = pairOf("HS256").jwk;
    for (const usage of [{ use: "enc" }, { key_ops: ["sign"] }]) {
      const host = await hostWith([
        { ...jwk, ...usage },
        { ...good, kid: "other" },
      ]);
      expect(verdict(host, await sign({}))).toBe(NO_KEY);
    }
    const host = await hostWith([{ ...jwk, use: "sig", key_ops: ["verify"] }]);
    expect(verdict(host, await sign({}))).toBe("passed");
  });

  test("at most 16 keys are tried (S12)", async () => {
    const { jwk, sign } = pairOf("HS256");
    const strangers = (count: number): JWK[] =>
      Array.from({ length: count }, (_, i) => ({ kty: "oct", k: Buffer.alloc(32, i).toString("base64url") }));
    const { kid: _kid, ...anonymous } = jwk;
    expect(verdict(await hostWith([...strangers(15), anonymous]), await sign({}))).toBe("passed");
    expect(verdict(await hostWith([...strangers(16), anonymous]), await sign({}))).toBe(FAILS);
  });
});

describe("claims that become headers", () => {
  const provider = { claimToHeaders: [{ headerName: "x-a", claimName: "a" }] };

  test.each<[string, unknown, string | undefined]>([
    ["a string", "text", "text"],
    ["true", true, "true"],
    ["an integer", 42, "42"],
    ["a negative one", -3, "-3.000000"],
    ["a fraction", 1.5, "1.500000"],
    ["a list", [1, "b"], Buffer.from('[1,"b"]').toString("base64")],
    ["an object", { b: [] }, Buffer.from('{"b":[]}').toString("base64")],
    ["an empty string", "", undefined],
    ["null", null, undefined],
  ])("%s", async (_name, value, expected) => {
    const { jwk, sign } = pairOf("HS256");
    const host = await hostWith([jwk], { provider });
    const { outcome } = host.send({ headers: [bearer(await sign({ a: value })), ["x-a", "forged"]] });
    const values = outcome?.upstream?.headers.filter(([name]) => name === "x-a").map(([, text]) => text);
    expect(values).toEqual(expected === undefined ? [] : [expected]);
  });

  test("one with a control character fails the token (S9), unless it is not forwarded", async () => {
    const { jwk, sign } = pairOf("HS256");
    const token = await sign({ a: "x\r\ny: z" });
    const control = await hostWith([jwk], { provider });
    expect(verdict(control, token)).toBe("Jwt claim [a] is not a valid header value");
    expect(verdict(control, await sign({ a: "x\ty" }))).toBe("passed");
    expect(verdict(await hostWith([jwk]), token)).toBe("passed");
  });
});

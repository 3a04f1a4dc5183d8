/**
 * Key sets are read in one way: `compile` reads an inline set as the filter reads the same text after a fetch. Odd sets
 * are made at random; RANDOM_SEED and RANDOM_RUNS choose them.
 */
import { generateKeyPairSync, randomInt } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { createNodeHost } from "../../tools/host/node.ts";
import { normalizeJwks } from "../../tools/jwks/normalize.ts";
import { type Json, mutateJson, mutateText } from "../fuzz/mutate.ts";
import type { Random } from "../fuzz/random.ts";
import { whole } from "../support/configuration.ts";
import { MODULE } from "../support/envoy.ts";
import { forAllAsync } from "../support/for-all.ts";
import { CertificateAuthority } from "../support/pki.ts";

const SEED = Number(process.env["RANDOM_SEED"] ?? randomInt(2 ** 31));
const RUNS = Number(process.env["RANDOM_RUNS"] ?? 1500);
const ISSUER = "https://issuer.example";

const module = await WebAssembly.compile(readFileSync(MODULE));

/** For each element of a set: whether it can be used. */
interface Reading {
  /** How many keys can be used; 0 if the set is refused. */
  usable: number;
  /** The unusable elements, as messages name them; empty if no key is left. */
  skipped: string[];
}

function inline(text: string): Reading {
  const { keys, problems } = normalizeJwks(text);
  const skipped = problems.flatMap(({ severity, message, keyIndex }) =>
    severity === "warning" && message.includes(": unusable: ") ? [String(keyIndex)] : [],
  );
  return { usable: keys.length, skipped };
}

async function fetched(text: string): Promise<Reading> {
  const host = await createNodeHost(module, {
    fetch: async () => ({ status: 200, body: Buffer.from(text).toString("latin1") }),
  });
  const { accepted } = host.configure(
    whole({
      providers: [
        {
          name: "origins-0",
          issuer: ISSUER,
          remoteJwks: { uri: `${ISSUER}/keys`, cluster: "keys" },
          fromHeaders: [{ name: "x-t" }],
        },
      ],
    }),
  );
  expect(accepted).toBe(true);
  host.tick();
  await host.settle();
  expect(host.trapped).toBeUndefined();
  const lines = host.logs.map(({ message }) => message).join("\n");
  const usable = Number(/: (\d+) keys loaded/.exec(lines)?.[1] ?? 0);
  const line = /unusable keys skipped: (.*)/.exec(lines)?.[1] ?? "";
  const skipped = [...line.matchAll(/(?:^|; )(?:keys\[|certificate )(\d+)/g)].map(([, index = ""]) => index);
  return { usable, skipped };
}

const publicJwk = (pair: { publicKey: import("node:crypto").KeyObject }) =>
  pair.publicKey.export({ format: "jwk" }) as unknown as Record<string, Json>;
const ca = new CertificateAuthority();
const KEYS: Record<string, Json>[] = [
  publicJwk(generateKeyPairSync("rsa", { modulusLength: 2048 })),
  publicJwk(generateKeyPairSync("rsa", { modulusLength: 1024 })),
  publicJwk(generateKeyPairSync("ec", { namedCurve: "P-256" })),
  publicJwk(generateKeyPairSync("ec", { namedCurve: "P-384" })),
  publicJwk(generateKeyPairSync("ec", { namedCurve: "P-521" })),
  publicJwk(generateKeyPairSync("ed25519")),
  { kty: "oct", k: "c2VjcmV0" },
  { kty: "AKP", alg: "ML-DSA-65", pub: "AAAA" },
];
const CERTIFICATES = [ca.issue({}, "rsa").certificate, ca.issue({}, "ec").certificate];

/** Common members with odd values. */
function spoilt(random: Random, key: Record<string, Json>): Json {
  const odd: [string, Json][] = [
    ["kid", random.pick<Json>(["a", "", 1, null, []])],
    [
      "alg",
      random.pick<Json>([
        "RS256",
        "PS512",
        "ES256",
        "ES384",
        "EdDSA",
        "Ed25519",
        "HS256",
        "RSA-OAEP",
        "",
        5,
        null,
      ]),
    ],
    ["use", random.pick<Json>(["sig", "jwt-svid", "x509-svid", "enc", "", null, false, 0])],
    [
      "key_ops",
      random.pick<Json>([[], ["verify"], ["sign"], ["sign", "verify"], null, "verify", {}, [1, "verify"]]),
    ],
    ["x5c", random.pick<Json>([[], ["AAAA"], null, "x"])],
    ["d", random.pick<Json>([null, "", "AAAA", 7])],
    ["oth", random.pick<Json>([[], null, [{}]])],
    ["crv", random.pick<Json>(["P-256", "P-384", "Ed25519", "X25519", "secp256k1", "", null, 1])],
    ["kty", random.pick<Json>(["RSA", "EC", "OKP", "oct", "AKP", "rsa", "", null, 1])],
    ["e", random.pick<Json>(["AQAB", "Aw", "AQ", "AAEAAQ==", " AQ AB ", "AQAB=", "", null])],
    ["n", random.pick<Json>(["AQAB", "", "!!!", "-+", null])],
    ["y", random.pick<Json>(["AQAB", "", null])],
  ];
  const changes = random.oneIn(3) ? [] : [random.pick(odd), ...(random.oneIn(2) ? [random.pick(odd)] : [])];
  const changed: Record<string, Json> = { ...key, ...Object.fromEntries(changes) };
  if (random.oneIn(6)) delete changed[random.pick(Object.keys(changed))];
  return random.oneIn(8) ? mutateJson(random, changed) : changed;
}

function document(random: Random): string {
  if (random.oneIn(5)) {
    const names = random.pick([["a"], ["a", "b"], ["", "b"], ["keys"]]);
    const map = Object.fromEntries(
      names.map((name): [string, Json] => {
        const pem = random.pick(CERTIFICATES);
        return [name, random.oneIn(3) ? mutateText(random, pem) : random.oneIn(9) ? 1 : pem];
      }),
    );
    return JSON.stringify(map);
  }
  const keys = random.list(0, 4, () =>
    random.oneIn(8) ? random.pick<Json>([null, "x", 7, [], {}]) : spoilt(random, random.pick(KEYS)),
  );
  let value: Json = random.oneIn(30) ? keys : { keys };
  if (random.oneIn(10)) value = mutateJson(random, value);
  const text = JSON.stringify(value);
  return random.oneIn(20) ? `${random.pick(["\ufeff", " ", "{"])}${text}` : text;
}

describe("the filter reads a fetched key set as compile reads it inline", () => {
  test.each<[string, string]>([
    ["101 keys", JSON.stringify({ keys: Array(101).fill({ kty: "oct", k: "YQ" }) })],
    ["100 keys", JSON.stringify({ keys: Array(100).fill({ kty: "oct", k: "YQ" }) })],
    [
      "101 certificates",
      JSON.stringify(Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`k${i}`, CERTIFICATES[0]]))),
    ],
    [
      "100 certificates",
      JSON.stringify(Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`k${i}`, CERTIFICATES[0]]))),
    ],
    ["512 KiB and more", JSON.stringify({ keys: [{ kty: "oct", k: "YQ" }], a: "x".repeat(512 * 1024) })],
    ["a byte order mark", `\ufeff${JSON.stringify({ keys: [{ kty: "oct", k: "YQ" }] })}`],
    ["a name twice", '{"keys":[{"kty":"oct","k":"YQ","k":"Yg"}]}'],
  ])("%s", async (_, text) => {
    expect(await fetched(text)).toEqual(inline(text));
  });

  test("certificates with changed bytes, or cut off", async () => {
    const [pem = ""] = CERTIFICATES;
    const whole = Buffer.from(pem.replace(/-----[^-]+-----|\n/g, ""), "base64");
    const check = async (random: Random): Promise<void> => {
      const der = Buffer.from(whole);
      for (let n = 0; n <= random.below(3); n++) der[random.below(der.length)] = random.below(256);
      const cut = random.oneIn(4) ? der.subarray(0, random.below(der.length)) : der;
      const changed = `-----BEGIN CERTIFICATE-----\n${cut.toString("base64")}\n-----END CERTIFICATE-----\n`;
      const text = JSON.stringify({ changed, good: pem });
      expect(await fetched(text)).toEqual(inline(text));
    };
    await forAllAsync(RUNS / 5, check, SEED);
  });

  test.each<Json>([
    { use: [], key_ops: "" },
    { use: [] },
    { key_ops: "" },
    { key_ops: [1] },
    { kid: 1 },
    { alg: 1, crv: "secp256k1" },
    { x5c: ["MIIB"], x5t: 1, d: "!" },
  ])("members %j", async (members) => {
    const [, , key = {}] = KEYS;
    const text = JSON.stringify({ keys: [{ ...key, ...(members as object) }, key] });
    expect(await fetched(text)).toEqual(inline(text));
  });

  test(`${RUNS} odd sets from seed ${SEED}`, async () => {
    let usable = 0;
    const check = async (random: Random): Promise<void> => {
      const text = document(random);
      const reading = inline(text);
      if (reading.usable > 0) usable++;
      expect(await fetched(text), text).toEqual(reading);
    };
    await forAllAsync(RUNS, check, SEED);
    expect(usable).toBeGreaterThan(RUNS / 10);
  });
});

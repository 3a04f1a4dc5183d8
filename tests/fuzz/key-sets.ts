/**
 * Keys that are fetched from a server that answers anything: the module continues, and only tokens of keys
 * that it has been given pass.
 */

import type { HttpResponse } from "../../tools/host/context.ts";
import { createNodeHost } from "../../tools/host/node.ts";
import { whole } from "../support/configuration.ts";
import { KEYS, STRANGER } from "./configurations.ts";
import { type Json, mutateJson, mutateText } from "./mutate.ts";
import type { Random } from "./random.ts";
import { ISSUERS, sign } from "./tokens.ts";

const NOW = 1_800_000_000;
const ISSUER = ISSUERS[0];

/** Keys of every type, some of them unusable. */
const OTHER_KEYS: readonly Json[] = [
  { kty: "RSA", kid: "r", alg: "RS256", n: `v${"w".repeat(341)}`, e: "AQAB" },
  { kty: "RSA", kid: "r", n: "AQAB", e: "AQAB" },
  {
    kty: "EC",
    kid: "e",
    crv: "P-256",
    x: "YP7UuiVanTHJYetxtGhsj0NdtQ_GNU98ykqZGKnVfK0",
    y: "AQAB",
  },
  { kty: "OKP", kid: "o", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" },
  { kty: "oct", kid: "s", k: "AQAB", use: "enc" },
  { kty: "oct", kid: "s", k: "" },
];

function keySet(random: Random): Json {
  return { keys: [...random.some(KEYS.map(({ jwk }) => jwk as Json)), ...random.some(OTHER_KEYS)] };
}

function answer(random: Random, isDiscovery: boolean): HttpResponse {
  let document: Json = isDiscovery
    ? {
        issuer: ISSUER,
        jwks_uri: random.pick([
          "https://a.example/keys",
          "https://A.example:443/keys?x#y",
          "https://a.example.evil/keys",
          "https://a.example@evil/keys",
          "https://a.example:444/keys",
          "http://a.example/keys",
          "https://a.example./keys",
          "https://[::1]/keys",
          "https:/a.example",
        ]),
      }
    : keySet(random);
  if (random.oneIn(3)) document = mutateJson(random, document);
  let body = JSON.stringify(document);
  if (random.oneIn(6)) body = mutateText(random, body);
  if (random.oneIn(30))
    body = random.pick(["[".repeat(5000), `[${"0,".repeat(50_000)}0]`, "x".repeat(300_000)]);
  return {
    status: random.pick([200, 200, 200, 200, 200, 304, 301, 404, 500]),
    headers: random.some<[string, string]>([
      [
        "cache-control",
        random.pick(["max-age=1", "no-store", "max-age=99999999999999999999", random.bytes(9)]),
      ],
      ["location", "https://evil.example/keys"],
    ]),
    body: Buffer.from(body).toString("latin1"),
  };
}

export async function fuzzKeySets(module: WebAssembly.Module, random: Random, steps: number): Promise<void> {
  /** Secrets that some answer has shown, changed or not. */
  const shown: string[] = [];
  const discovers = random.oneIn(2);
  const host = await createNodeHost(module, {
    clusters: ["keys"],
    fetch: async ({ headers }) => {
      const to = new Map(headers);
      const path = to.get(":path") ?? "";
      if (path.includes("keys") && !/^a\.example(:443)?$/i.test(to.get(":authority") ?? "")) {
        throw new Error(`keys are asked for at ${to.get(":authority")}`);
      }
      if (random.oneIn(10)) throw new Error("the connection broke");
      const answered = answer(random, discovers && !path.startsWith("/keys"));
      shown.push(answered.body ?? "");
      return answered;
    },
  });
  host.clock.set(NOW * 1000);
  const { accepted, logs } = host.configure(
    whole({
      providers: [
        {
          name: "origins-0",
          issuer: ISSUER,
          remoteJwks: {
            cluster: "keys",
            ...(discovers
              ? { discovery: { uri: `${ISSUER}/.well-known/openid-configuration` } }
              : { uri: `${ISSUER}/keys` }),
            refreshMs: 1000,
            staleMs: random.pick([1500, 100_000]),
            backoffMs: 100,
            maxBackoffMs: 1000,
            kidMissMs: 200,
          },
          fromHeaders: [{ name: "x-t" }],
          claimToHeaders: [{ headerName: "x-sub", claimName: "sub" }],
        },
      ],
      limits: { maxWaitingRequests: random.below(4), maxWaitMs: 500 },
    }),
  );
  if (!accepted) throw new Error(`refused: ${JSON.stringify(logs)}`);
  const waiting = new Set<ReturnType<typeof host.send>>();
  for (let step = 0; step < steps; step++) {
    const key = random.pick([...KEYS, STRANGER]);
    const header = random.pick<Json>([
      { alg: "HS256", kid: key.kid },
      { alg: "HS256" },
      { alg: "HS256", kid: "new" },
    ]);
    const stream = host.send({ headers: [["x-t", sign(key, header, { iss: ISSUER, sub: key.kid })]] });
    if (stream.outcome === undefined) waiting.add(stream);
    if (stream.outcome?.upstream && !shown.some((body) => body.includes(key.jwk.k))) {
      throw new Error(`a token of ${key.kid} passed before that key was seen`);
    }
    for (const other of waiting) {
      if (other.outcome !== undefined) waiting.delete(other);
      else if (random.oneIn(10)) {
        other.close();
        waiting.delete(other);
      }
    }
    if (random.oneIn(3)) await host.settle();
    // Time passes, and sometimes goes back.
    if (random.oneIn(50)) host.clock.set((NOW - random.below(10_000)) * 1000);
    host.advance(random.pick([0, 1, 50, 300, 2000]));
    host.tick();
    if (host.trapped) throw new Error(`${host.trapped.callback}: ${host.trapped.message}; ${shown.at(-1)}`);
    host.logs.length = 0;
  }
  await host.settle();
  // Ticks of the host's own wait for the clock that was set back.
  host.advance(60_000);
  host.tick();
  for (const stream of waiting) {
    if (stream.outcome === undefined) throw new Error("a request waits forever");
  }
}

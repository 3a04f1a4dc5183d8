/**
 * The cache of verified tokens as the filter uses it: at each hit, everything that the verdict depends on is
 * checked again. Signatures are ES256, which the host verifies, so that the tests can count verifications.
 */

import { readFileSync } from "node:fs";
import { beforeEach, describe, expect, test } from "vitest";
import { Configuration } from "../../tools/config/schema.ts";
import { WasmResult } from "../../tools/host/abi.ts";
import type { Host } from "../../tools/host/host.ts";
import { createNodeHost, type NodeHostOptions, verifySignature } from "../../tools/host/node.ts";
import { whole } from "../support/configuration.ts";
import { MODULE } from "../support/envoy.ts";
import { bearer, TestKey } from "../support/tokens.ts";

const ISSUER = "https://issuer.example";
const module = await WebAssembly.compile(readFileSync(MODULE));
const key = TestKey.generate("ES256", "k");
const otherKey = TestKey.generate("ES256", "other");

/** 2030-01-01, in seconds. */
const NOW = 1_893_456_000;
const SKEW = 60;

type Provider = NonNullable<Configuration["providers"]>[number];

const configuration = (more: Partial<Configuration> = {}, provider: Partial<Provider> = {}): Configuration =>
  whole({
    providers: [
      {
        name: "origins-0",
        issuer: ISSUER,
        localJwks: { keys: [key.jwk as never] },
        fromHeaders: [{ name: "authorization", valuePrefix: "Bearer " }],
        claimToHeaders: [{ headerName: "x-sub", claimName: "sub" }],
        ...provider,
      },
    ],
    ...more,
  });

/** How many signatures the host has verified since this was last set to 0. */
let verified = 0;

async function startHost(config: Configuration, options: NodeHostOptions = {}): Promise<Host> {
  const host = await createNodeHost(module, {
    ...options,
    foreignFunctions: {
      verify_signature: (args) => {
        verified++;
        return verifySignature(args);
      },
    },
  });
  host.clock.set(NOW * 1000);
  expect(host.configure(config).accepted).toBe(true);
  verified = 0;
  return host;
}

/** The result of a request with that token: its subject, or why it is refused. */
function ask(host: Host, token: string, name?: string): string | undefined {
  const { outcome } = host.send({ headers: [bearer(token)] }, name);
  return outcome?.answer?.body ?? outcome?.upstream?.headers.find(([header]) => header === "x-sub")?.[1];
}

/** Cache hits and misses that were flushed to the host. */
function counters(host: Host): { hit: number; miss: number } {
  host.advance(1_000);
  const { jwtgate_token_cache_hit: hit = 0, jwtgate_token_cache_miss: miss = 0 } = host.metrics.values();
  return { hit, miss };
}

let host: Host;
beforeEach(async () => {
  host = await startHost(configuration());
});

describe("a hit", () => {
  test("verifies no signature", () => {
    const token = key.token({ iss: ISSUER, sub: "alice" });
    for (let i = 0; i < 5; i++) expect(ask(host, token)).toBe("alice");
    expect(verified).toBe(1);
    expect(counters(host)).toEqual({ hit: 4, miss: 1 });
  });

  test("ends when the token expires", () => {
    const token = key.token({ iss: ISSUER, sub: "alice", exp: NOW + 100 });
    expect(ask(host, token)).toBe("alice");
    host.clock.set((NOW + 100 + SKEW) * 1000);
    expect(ask(host, token)).toBe("alice");
    expect(verified).toBe(1);
    host.clock.set((NOW + 100 + SKEW + 1) * 1000);
    expect(ask(host, token)).toBe("Jwt is expired");
  });

  test("does not expire with the largest time and the largest clock skew", async () => {
    // The largest number below 2^64 that a double has: the sum of both is more than 64 bits hold.
    const token = key.token({ iss: ISSUER, sub: "alice", exp: 2 ** 64 - 2_048 });
    const tolerant = await startHost(configuration({}, { clockSkewSeconds: 3_600 }));
    for (let i = 0; i < 2; i++) expect(ask(tolerant, token)).toBe("alice");
  });

  test("is not a hit before the token becomes valid, if the clock is set back", () => {
    const token = key.token({ iss: ISSUER, sub: "alice", nbf: NOW });
    expect(ask(host, token)).toBe("alice");
    host.clock.set((NOW - SKEW - 1) * 1000);
    expect(ask(host, token)).toBe("Jwt not yet valid");
    host.clock.set((NOW - SKEW) * 1000);
    expect(ask(host, token)).toBe("alice");
    expect(verified).toBe(1);
  });

  test("needs every byte of the token", () => {
    const token = key.token({ iss: ISSUER, sub: "alice" });
    expect(ask(host, token)).toBe("alice");
    for (let at = 0; at < token.length; at++) {
      const changed = token.charAt(at) === "A" ? "B" : "A";
      expect(ask(host, token.slice(0, at) + changed + token.slice(at + 1))).not.toBe("alice");
    }
    expect(ask(host, `${token}A`)).not.toBe("alice");
    expect(ask(host, token.slice(0, -1))).not.toBe("alice");
    expect(counters(host)).toEqual({ hit: 0, miss: 1 });
  });

  test("gives each token its own identity", () => {
    const tokens = Array.from({ length: 50 }, (_, i) => key.token({ iss: ISSUER, sub: `user-${i}` }));
    for (let round = 0; round < 3; round++) {
      for (const [i, token] of tokens.entries()) expect(ask(host, token)).toBe(`user-${i}`);
    }
    expect(counters(host)).toEqual({ hit: 100, miss: 50 });
  });
});

describe("a refusal is not remembered", () => {
  test("a token that becomes valid passes at once", () => {
    const token = key.token({ iss: ISSUER, sub: "alice", nbf: NOW + 1_000 });
    expect(ask(host, token)).toBe("Jwt not yet valid");
    host.clock.set((NOW + 1_000) * 1000);
    expect(ask(host, token)).toBe("alice");
  });

  test("a bad signature is verified each time, and drops nothing", () => {
    const token = key.token({ iss: ISSUER, sub: "alice" });
    expect(ask(host, token)).toBe("alice");
    const forged = token.replace(/\.[^.]*$/, `.${"A".repeat(86)}`);
    const unsigned = otherKey.token({ iss: ISSUER, sub: "mallory" });
    verified = 0;
    for (let i = 0; i < 3; i++) {
      expect(ask(host, forged)).toBe("Jwt verification fails");
      expect(ask(host, unsigned)).toBe("Jwks doesn't have key to match kid or alg from Jwt");
    }
    expect(ask(host, token)).toBe("alice");
    expect(counters(host)).toEqual({ hit: 1, miss: 1 });
  });
});

describe("bounds", () => {
  /**
   * How many of these tokens are remembered; asking for a token that is not remembered may drop another one.
   */
  function remembered(from: Host, tokens: readonly string[]): number {
    let hits = 0;
    for (const token of tokens) {
      verified = 0;
      expect(ask(from, token)).toBe("alice");
      if (verified === 0) hits++;
    }
    return hits;
  }
  const tokens = Array.from({ length: 300 }, (_, i) =>
    key.token({ iss: ISSUER, sub: "alice", jti: String(i) }),
  );

  test.each([0, 1, 7, 64])("%d entries", async (maxEntries) => {
    const bounded = await startHost(configuration({ tokenCache: { maxEntries } }));
    for (const token of tokens) ask(bounded, token);
    const hits = remembered(bounded, tokens);
    expect(hits).toBe(maxEntries);
  });

  test.each([0, 16_384, 65_536])("%d bytes", async (maxBytes) => {
    const bounded = await startHost(configuration({ tokenCache: { maxBytes } }));
    for (const token of tokens) ask(bounded, token);
    const hits = remembered(bounded, tokens);
    expect(hits * (tokens[0]?.length ?? 0)).toBeLessThanOrEqual(maxBytes);
    expect(hits > 0).toBe(maxBytes > 0);
  });

  test("defaults are those of the documented configuration", async () => {
    const { maxEntries, maxBytes } = Configuration.properties.tokenCache.properties;
    expect([maxEntries.default, maxBytes.default]).toEqual([4_096, 4_194_304]);
    const page = readFileSync(new URL("../../docs/configuration.md", import.meta.url), "utf8");
    for (const text of ["`4096`", "`4194304`"]) expect(page).toContain(text);
    const hmac = TestKey.generate("HS256", "h");
    const full = await startHost(configuration({}, { localJwks: { keys: [hmac.jwk as never] } }));
    const many = Array.from({ length: 6_000 }, (_, i) =>
      hmac.token({ iss: ISSUER, sub: "alice", jti: String(i) }),
    );
    for (const token of many) expect(ask(full, token)).toBe("alice");
    const before = counters(full);
    for (const token of many) ask(full, token);
    const { hit } = counters(full);
    expect(hit - before.hit).toBe(4_096);
  });

  test("a flood of 20,000 tokens does not evict hot ones", async () => {
    const hmac = TestKey.generate("HS256", "h");
    const flooded = await startHost(configuration({}, { localJwks: { keys: [hmac.jwk as never] } }));
    const hot = Array.from({ length: 100 }, (_, i) =>
      hmac.token({ iss: ISSUER, sub: "hot", jti: String(i) }),
    );
    for (let round = 0; round < 2; round++) for (const token of hot) ask(flooded, token);
    const before = counters(flooded);
    for (let i = 0; i < 20_000; i++) ask(flooded, hmac.token({ iss: ISSUER, sub: "flood", jti: String(i) }));
    for (const token of hot) expect(ask(flooded, token)).toBe("hot");
    expect(counters(flooded).hit - before.hit).toBeGreaterThanOrEqual(98);
  });
});

test("a replaced configuration frees its memory", async () => {
  const hmac = TestKey.generate("HS256", "h");
  const provider = { localJwks: { keys: [hmac.jwk as never] } };
  const replaced = await startHost(configuration({}, provider));
  const large = Array.from({ length: 100 }, (_, i) =>
    hmac.token({ iss: ISSUER, sub: "alice", pad: `${i} `.padEnd(1000, "x") }),
  );
  for (let i = 0; i < 40; i++) {
    // More than the first size of a cache, so that it grows to its 4 MiB.
    for (const token of large) expect(ask(replaced, token)).toBe("alice");
    expect(replaced.configure(configuration({}, provider)).accepted).toBe(true);
  }
  expect(replaced.memorySize).toBeLessThan(40 * 1024 * 1024);
});

describe("a remembered verdict", () => {
  test("is unknown to another configuration in the same VM", () => {
    const token = key.token({ iss: ISSUER, sub: "alice" });
    expect(ask(host, token)).toBe("alice");
    expect(host.configure(configuration(), { name: "second" }).accepted).toBe(true);
    verified = 0;
    expect(ask(host, token, "second")).toBe("alice");
    expect(verified).toBe(1);
  });

  test("is not used by a configuration without the key", () => {
    const token = key.token({ iss: ISSUER, sub: "alice" });
    expect(ask(host, token)).toBe("alice");
    host.configure(configuration({}, { localJwks: { keys: [otherKey.jwk as never] } }));
    expect(ask(host, token)).toBe("Jwks doesn't have key to match kid or alg from Jwt");
  });

  test("is not used by a configuration with another audience", () => {
    const token = key.token({ iss: ISSUER, sub: "alice", aud: "one" });
    expect(ask(host, token)).toBe("alice");
    host.configure(configuration({}, { audiences: ["two"] }));
    expect(ask(host, token)).toBe("Audiences in Jwt are not allowed");
  });

  test("of one provider is not used for another one", async () => {
    const first = configuration().providers![0]!;
    const strict = { ...first, name: "origins-1", audiences: ["two"], fromHeaders: [{ name: "x-token" }] };
    const both = await startHost(configuration({ providers: [first, strict] }));
    const token = key.token({ iss: ISSUER, sub: "alice", aud: "one" });
    expect(ask(both, token)).toBe("alice");
    const { outcome } = both.send({ headers: [["x-token", token]] });
    expect(outcome?.answer?.body).toBe("Audiences in Jwt are not allowed");
  });

  describe("of fetched keys", () => {
    const remote = {
      uri: "http://keys.example/jwks",
      cluster: "keys",
      refreshMs: 1_000,
      minRefreshMs: 1_000,
    };
    const { localJwks: _, ...withoutKeys } = configuration().providers![0]!;
    const fetched = configuration({ providers: [{ ...withoutKeys, remoteJwks: remote }] });

    /** A host whose keys can be changed; the change is seen with the next refresh. */
    async function start(
      keys: TestKey[],
    ): Promise<{ fetching: Host; change: (to: TestKey[]) => Promise<void> }> {
      let served = keys;
      const fetching = await startHost(fetched, {
        fetch: async () => ({ status: 200, body: JSON.stringify({ keys: served.map(({ jwk }) => jwk) }) }),
      });
      const refresh = async (): Promise<void> => {
        // Steps shorter than a fetch may take: its answer comes between them.
        for (let i = 0; i < 40; i++) {
          fetching.advance(100);
          await fetching.settle();
        }
      };
      await refresh();
      return {
        fetching,
        change: (to) => {
          served = to;
          return refresh();
        },
      };
    }

    test("ends when its key is removed", async () => {
      const { fetching, change } = await start([key, otherKey]);
      const gone = key.token({ iss: ISSUER, sub: "alice" });
      const kept = otherKey.token({ iss: ISSUER, sub: "bob" });
      expect([ask(fetching, gone), ask(fetching, kept)]).toEqual(["alice", "bob"]);
      await change([otherKey]);
      verified = 0;
      expect(ask(fetching, kept)).toBe("bob");
      expect(verified).toBe(0);
      fetching.send({ headers: [bearer(gone)] });
      await change([otherKey]);
      expect(ask(fetching, gone)).not.toBe("alice");
    });

    test("is made again when the key comes back", async () => {
      const { fetching, change } = await start([key, otherKey]);
      const token = key.token({ iss: ISSUER, sub: "alice" });
      expect(ask(fetching, token)).toBe("alice");
      await change([otherKey]);
      const { outcome } = fetching.send({ headers: [bearer(token)] });
      expect(outcome?.upstream).toBeUndefined();
      await change([key]);
      verified = 0;
      expect(ask(fetching, token)).toBe("alice");
      expect(verified).toBe(1);
      expect(ask(fetching, token)).toBe("alice");
      expect(verified).toBe(1);
    });

    test("another key under the same kid is another key", async () => {
      const { fetching, change } = await start([key]);
      const token = key.token({ iss: ISSUER, sub: "alice" });
      expect(ask(fetching, token)).toBe("alice");
      await change([TestKey.generate("ES256", key.kid)]);
      const { outcome } = fetching.send({ headers: [bearer(token)] });
      expect(outcome?.upstream).toBeUndefined();
    });
  });
});

describe("a request that drops a token from the cache after it was accepted", () => {
  /** What the backend receives in each header of that name. */
  const received = (from: Host, name: string, ...headers: [string, string][]): string[] | undefined =>
    from
      .send({ headers })
      .outcome?.upstream?.headers.filter(([header]) => header === name)
      .map(([, value]) => value);

  test("forwards the claims of that token", async () => {
    const small = await startHost(
      configuration(
        { tokenCache: { maxEntries: 1 } },
        { fromHeaders: [{ name: "x-token" }], forwardPayloadHeader: "x-payload" },
      ),
    );
    const cached = key.token({ iss: ISSUER, sub: "alice" });
    const noted = key.token({ iss: ISSUER, sub: "mallo" });
    const payload = (token: string): string | undefined => token.split(".")[1];
    expect(received(small, "x-payload", ["x-token", cached])).toEqual([payload(cached)]);
    // The cache is full: of this token only a part of its hash is kept, so that it is stored when it comes
    // again.
    expect(received(small, "x-payload", ["x-token", noted])).toEqual([payload(noted)]);
    verified = 0;
    // The last token is checked first: a hit. The other one then takes its memory in the cache.
    expect(received(small, "x-payload", ["x-token", noted], ["x-token", cached])).toEqual([
      payload(cached),
      payload(noted),
    ]);
    expect(verified).toBe(1);
    expect(received(small, "x-payload", ["x-token", noted])).toEqual([payload(noted)]);
    expect(verified, "the other token was remembered instead").toBe(1);
  });

  test("forwards the claims of that token for each of two required providers", async () => {
    const first = { ...configuration().providers![0]!, presence: "REQUIRED" as const, forward: true };
    const second = {
      ...first,
      name: "origins-1",
      claimToHeaders: [{ headerName: "x-other", claimName: "other" }],
    };
    const small = await startHost(
      configuration({ tokenCache: { maxEntries: 1 }, providers: [first, second] }),
    );
    const token = key.token({ iss: ISSUER, sub: "alice", other: "mallo" });
    // The first provider's verdict is remembered, then dropped for the second provider's.
    for (const signatures of [2, 1]) {
      verified = 0;
      const headers = small.send({ headers: [bearer(token)] }).outcome?.upstream?.headers;
      expect(headers).toContainEqual(["x-sub", "alice"]);
      expect(headers).toContainEqual(["x-other", "mallo"]);
      expect(verified).toBe(signatures);
    }
  });
});

test("without a random seed a configuration is refused", async () => {
  const seedless = await createNodeHost(module, {
    random: () => {
      throw new Error("no entropy");
    },
  });
  const { accepted, logs } = seedless.configure(configuration());
  expect(accepted).toBe(false);
  expect(logs.map(({ message }) => message).join("\n")).toContain("random_get");
});

test("if the host cannot verify, nothing is remembered", async () => {
  const failing = await createNodeHost(module, {
    foreignFunctions: {
      verify_signature: (args) => (verified > 0 ? WasmResult.InternalFailure : verifySignature(args)),
    },
  });
  verified = 0;
  failing.clock.set(NOW * 1000);
  expect(failing.configure(configuration()).accepted).toBe(true);
  verified = 1;
  const token = key.token({ iss: ISSUER, sub: "alice" });
  expect(ask(failing, token)).toBe("The proxy refused a call of its filter");
  verified = 0;
  expect(ask(failing, token)).toBe("alice");
});

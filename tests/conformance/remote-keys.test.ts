/** Fetched keys, in situations that need a clock that can be set, or a long time. */

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { HttpResponse } from "../../tools/host/context.ts";
import type { Host } from "../../tools/host/host.ts";
import { createNodeHost } from "../../tools/host/node.ts";
import { whole } from "../support/configuration.ts";
import { MODULE } from "../support/envoy.ts";
import { bearer, TestKey } from "../support/tokens.ts";

const module = await WebAssembly.compile(readFileSync(MODULE));
const NOW = Date.UTC(2026, 10, 22);
const ISSUER = "https://issuer.example";
const key = TestKey.generate("HS256", "k");

const provider = (remoteJwks: object, name = "origins-0", issuer = ISSUER): object => ({
  name,
  issuer,
  remoteJwks: { cluster: "keys", ...remoteJwks },
  fromHeaders: [{ name: "authorization", valuePrefix: "Bearer " }],
});

async function gate(
  providers: object[],
  answer?: (path: string, cluster: string) => HttpResponse | Promise<HttpResponse>,
  limits: object = {},
): Promise<Host> {
  const host = await createNodeHost(module, {
    ...(answer && {
      fetch: async ({ headers, cluster }) => answer(new Map(headers).get(":path") ?? "", cluster),
    }),
  });
  host.clock.set(NOW);
  expect(host.configure(whole({ providers, limits }))).toMatchObject({ accepted: true });
  return host;
}

const token = key.token({ iss: ISSUER });
const keySet: HttpResponse = { status: 200, body: key.jwks };

describe("a clock that is set back", () => {
  test("puts no fetch off", async () => {
    let fetches = 0;
    const host = await gate([provider({ uri: `${ISSUER}/keys`, refreshMs: 60_000 })], () => {
      fetches++;
      return keySet;
    });
    host.advance(1000);
    await host.settle();
    expect(fetches).toBe(1);
    host.clock.set(NOW - 86_400_000);
    host.tick();
    await host.settle();
    expect(fetches).toBe(2);
    // From here on with the new time, as before.
    host.tick();
    await host.settle();
    expect(fetches).toBe(2);
    expect(host.send({ headers: [bearer(token)] }).outcome?.upstream).toBeDefined();
  });

  test.each<[string, HttpResponse]>([
    ["brought keys", keySet],
    ["failed", { status: 503 }],
  ])("puts no fetch off after one that %s while the clock was ahead", async (_name, response) => {
    const answers: ((response: HttpResponse) => void)[] = [];
    const host = await gate([provider({ uri: `${ISSUER}/keys`, refreshMs: 60_000 })], () => {
      return new Promise((resolve) => answers.push(resolve));
    });
    host.advance(1000);
    host.clock.set(NOW + 86_400_000);
    answers[0]?.(response);
    await host.settle();
    host.clock.set(NOW + 2000);
    host.tick();
    expect(answers).toHaveLength(2);
    answers[1]?.(keySet);
    await host.settle();
  });

  test("ends the wait of every request", async () => {
    const host = await gate([provider({ uri: `${ISSUER}/keys` })], () => new Promise(() => {}));
    host.advance(1000);
    const stream = host.send({ headers: [bearer(token)] });
    expect(stream.outcome).toBeUndefined();
    host.clock.set(NOW - 86_400_000);
    host.tick();
    expect(stream.outcome?.answer).toMatchObject({ status: 401, body: "Jwks remote fetch is failed" });
  });

  test("stops neither counters nor decision lines", async () => {
    const host = await createNodeHost(module);
    host.clock.set(NOW);
    const rule = { id: "ns[foo]-policy[p]-rule[0]", condition: 0 };
    const authorization = { predicates: [{ path: { prefix: "/" } }], audit: { rules: [rule] } };
    expect(host.configure(whole({ authorization })).accepted).toBe(true);
    const perSecond = 10;
    const send = (): void => {
      for (let i = 0; i < perSecond + 1; i++) host.send({ path: "/" });
    };
    const lines = (): number => host.logs.filter(({ message }) => message.includes("AUDIT matched")).length;
    host.advance(1000);
    send();
    host.advance(1000);
    expect(host.metrics.values()["jwtgate_audit_matched"]).toBe(perSecond + 1);
    expect(lines()).toBe(perSecond);
    host.clock.set(NOW - 86_400_000);
    send();
    host.advance(1000);
    expect(host.metrics.values()["jwtgate_audit_matched"]).toBe(2 * (perSecond + 1));
    send();
    expect(lines()).toBe(3 * perSecond);
    // From here on once a second, as before.
    host.advance(500);
    send();
    expect(lines()).toBe(3 * perSecond);
  });
});

test("if the host refuses every call, repeated attempts allocate no memory", async () => {
  const host = await gate([provider({ uri: `${ISSUER}/keys`, backoffMs: 10, maxBackoffMs: 10 })]);
  const tries = (count: number): void => {
    for (let i = 0; i < count; i++) {
      host.clock.set(Number(host.clock.now / 1_000_000n) + 20);
      host.tick();
    }
    host.logs.length = 0;
  };
  tries(1000);
  const before = host.memorySize;
  tries(100_000);
  expect(host.memorySize).toBe(before);
});

describe("a discovered jwks_uri", () => {
  const discovered = async (jwksUri: unknown): Promise<{ asked: string[]; log: string }> => {
    const asked: string[] = [];
    const host = await gate([provider({ discovery: { uri: `${ISSUER}/.well-known/x` } })], (path) => {
      asked.push(path);
      if (!path.endsWith("/x")) return keySet;
      const document = JSON.stringify({ issuer: ISSUER, jwks_uri: jwksUri });
      return { status: 200, body: Buffer.from(document).toString("latin1") };
    });
    host.advance(1000);
    await host.settle();
    const log = host.logs.map(({ message }) => message).join("\n");
    return { asked, log };
  };

  test.each([
    ["a blank", `${ISSUER}/My Realm`],
    ["a letter outside ASCII", `${ISSUER}/Zürich`],
    ["a control character", `${ISSUER}/a\nb`],
    ["a scheme in capitals", "HTTPS://issuer.example/keys"],
    ["another scheme", "ftp://issuer.example/keys"],
    ["a user", "https://user@issuer.example/keys"],
    ["no path before its query", `${ISSUER}?keys`],
    ["no scheme", "//issuer.example/keys"],
    ["a path alone", "/keys"],
    ["no host", "https:///keys"],
    ["an invalid port", `${ISSUER}:0/keys`],
    ["nothing in it", ""],
  ])("with %s is not fetched, and the reason is logged", async (_name, jwksUri) => {
    const { asked, log } = await discovered(jwksUri);
    expect(asked).toEqual(["/.well-known/x"]);
    expect(log).toContain(
      "fetch failed: the discovery document's jwks_uri is not an http(s) URI in ASCII without user information",
    );
  });

  test.each([
    ["a query", `${ISSUER}/keys?a=%20b`, "/keys?a=%20b"],
    ["a fragment, which is not part of a request", `${ISSUER}/keys#a`, "/keys"],
    ["the scheme's port, and a host in capitals", "https://ISSUER.example:443/keys", "/keys"],
  ])("with %s is fetched", async (_name, jwksUri, path) => {
    expect((await discovered(jwksUri)).asked).toEqual(["/.well-known/x", path]);
  });

  test.each([null, 1, ["https://issuer.example/keys"]])("that is %j counts as absent", async (jwksUri) => {
    expect((await discovered(jwksUri)).log).toContain('lacks "issuer" or "jwks_uri"');
  });
});

describe("providers with the same document", () => {
  const discovery = (jwksHosts?: object[]): object => ({
    discovery: { uri: `${ISSUER}/.well-known/openid-configuration`, ...(jwksHosts && { jwksHosts }) },
  });

  test.each([
    ["share it where they say the same of it", [{}, {}], 1],
    ["have each their own where they do not", [{}, { refreshMs: 1000 }], 2],
  ])("%s", async (_name, [one, other], expected) => {
    let fetches = 0;
    const providers = [one, other].map((options, i) =>
      provider({ uri: `${ISSUER}/keys`, ...options }, `origins-${i}`),
    );
    const host = await gate(providers, () => {
      fetches++;
      return keySet;
    });
    host.advance(1000);
    await host.settle();
    expect(fetches).toBe(expected);
  });

  test("trust each its own hosts only", async () => {
    const asked: string[] = [];
    const trusting = provider(discovery([{ origin: "https://cdn.example", cluster: "cdn" }]), "origins-0");
    const host = await gate([trusting, provider(discovery(), "origins-1")], (path, cluster) => {
      asked.push(`${cluster} ${path}`);
      if (path === "/keys") return keySet;
      return {
        status: 200,
        body: JSON.stringify({ issuer: ISSUER, jwks_uri: "https://cdn.example/keys" }),
      };
    });
    host.advance(1000);
    await host.settle();
    expect(asked.filter((line) => line === "cdn /keys")).toHaveLength(1);
    expect(asked.filter((line) => line.startsWith("keys "))).toHaveLength(2);
    expect(host.logs.map(({ message }) => message).join("\n")).toContain(
      "has another origin than the issuer",
    );
  });
});

describe("the response of a key server", () => {
  const FETCH_FAILED = { status: 401, body: "Jwks remote fetch is failed" };
  const NO_KEY = { status: 401, body: "Jwks doesn't have key to match kid or alg from Jwt" };
  /** Lets time pass, and delivers the responses of that time. */
  async function pass(host: Host, milliseconds: number): Promise<void> {
    for (let left = milliseconds; left > 0; left -= 100) {
      host.advance(Math.min(left, 100));
      await host.settle();
    }
  }
  const ask = (host: Host, by = token): unknown => {
    const outcome = host.send({ headers: [bearer(by)] }).outcome;
    return outcome?.upstream ? "passes" : outcome?.answer;
  };

  test.each([
    [0, "passes"],
    [1, expect.objectContaining(FETCH_FAILED)],
  ])("has maxJwksBytes, and %i more", async (more, expected) => {
    const size = 2048;
    const text = key.jwks.replace("{", `{"a":"${"x".repeat(size - key.jwks.length - 7 + more)}",`);
    expect(text).toHaveLength(size + more);
    const answer: HttpResponse = { status: 200, body: text };
    const host = await gate([provider({ uri: `${ISSUER}/keys` })], () => answer, { maxJwksBytes: size });
    await pass(host, 1000);
    expect(ask(host)).toEqual(expected);
  });

  test.each([
    [ISSUER, "passes", ["/.well-known", "/keys"]],
    ["https://other.example", expect.objectContaining(FETCH_FAILED), ["/.well-known"]],
  ])("is a discovery document of the issuer %s", async (issuer, expected, paths) => {
    const asked = new Set<string>();
    const document = JSON.stringify({ issuer, jwks_uri: `${ISSUER}/keys` });
    const host = await gate([provider({ discovery: { uri: `${ISSUER}/.well-known` } })], (path) => {
      asked.add(path);
      return path === "/keys" ? keySet : { status: 200, body: document };
    });
    await pass(host, 1000);
    expect([...asked]).toEqual(paths);
    expect(ask(host)).toEqual(expected);
  });

  test("is used for staleMs if no later answer is good", async () => {
    let response = keySet;
    const remote = { uri: `${ISSUER}/keys`, refreshMs: 1000, minRefreshMs: 1000, staleMs: 10_000 };
    const host = await gate([provider(remote)], () => response);
    await pass(host, 1000);
    response = { status: 503 };
    await pass(host, 9000);
    expect(ask(host)).toBe("passes");
    await pass(host, 4000);
    expect(ask(host)).toMatchObject(FETCH_FAILED);
    response = keySet;
    await pass(host, 60_000);
    expect(ask(host)).toBe("passes");
  });

  test("lacks a key that was there: its tokens are refused at once, without a fetch", async () => {
    const other = TestKey.generate("HS256", "other");
    let keys = [key.jwk, other.jwk];
    let fetches = 0;
    const remote = { uri: `${ISSUER}/keys`, refreshMs: 60_000, minRefreshMs: 60_000 };
    const host = await gate([provider(remote)], () => {
      fetches++;
      return { status: 200, body: JSON.stringify({ keys }) };
    });
    await pass(host, 1000);
    expect(ask(host)).toBe("passes");
    keys = [other.jwk];
    await pass(host, 61_000);
    const before = fetches;
    expect(before).toBeGreaterThan(1);
    for (let i = 0; i < 3; i++) {
      expect(ask(host)).toMatchObject(NO_KEY);
      await pass(host, 3000);
    }
    expect(fetches).toBe(before);
  });
});

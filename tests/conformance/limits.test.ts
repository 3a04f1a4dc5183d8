/** The limits of one request, at each limit and one above it. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { DownstreamRequest } from "../../tools/host/http-connection-manager.ts";
import { createNodeHost } from "../../tools/host/node.ts";
import { whole } from "../support/configuration.ts";
import { MODULE } from "../support/envoy.ts";
import { bearer, TestKey } from "../support/tokens.ts";

const module = await WebAssembly.compile(readFileSync(MODULE));
const key = TestKey.generate("HS256", "k");
const ISSUER = "https://issuer.example";
const TOO_MANY = "Too many Jwts in the request";
const token = key.token({ iss: ISSUER, sub: "alice" });

/** The result of a request: `passes`, or the body of its answer. */
async function ask(
  limits: object,
  provider: object,
  request: DownstreamRequest,
): Promise<string | undefined> {
  const host = await createNodeHost(module);
  const own = { name: "origins-0", issuer: ISSUER, localJwks: { keys: [key.jwk] } };
  const fromHeaders = [{ name: "authorization", valuePrefix: "Bearer " }];
  const configuration = whole({ limits, providers: [{ ...own, fromHeaders, ...provider }] });
  expect(host.configure(configuration)).toMatchObject({ accepted: true });
  const { outcome } = host.send(request);
  expect(host.trapped).toBeUndefined();
  return outcome?.upstream ? "passes" : outcome?.answer?.body;
}

test("a token has at most maxTokenBytes", async () => {
  // The lowest limit that the configuration allows is above this token's size.
  const long = key.token({ iss: ISSUER, sub: "alice", padding: "x".repeat(2000) });
  const request = { headers: [bearer(long)] };
  expect(await ask({ maxTokenBytes: long.length }, {}, request)).toBe("passes");
  expect(await ask({ maxTokenBytes: long.length - 1 }, {}, request)).toBe("Jwt is too large");
});

describe("a request has at most", () => {
  test("maxTokens", async () => {
    const headers = Array.from({ length: 3 }, (): [string, string] => ["x-t", token]);
    const provider = { fromHeaders: [{ name: "x-t" }] };
    expect(await ask({ maxTokens: 3 }, provider, { headers })).toBe("passes");
    expect(await ask({ maxTokens: 2 }, provider, { headers })).toBe(TOO_MANY);
  });

  test("64 places with a token, though several prefixes find one token", async () => {
    // One header, and as many prefixes that each find the token in it.
    const prefixes = (count: number): object => ({
      fromHeaders: Array.from({ length: count }, (_, i) => ({ name: "x-t", valuePrefix: `p${i} ` })),
    });
    const value = (count: number): string =>
      `${Array.from({ length: count }, (_, i) => `p${i} `)
        .reverse()
        .join("")}${token}`;
    const request = (count: number): DownstreamRequest => ({ headers: [["x-t", value(count)]] });
    expect(await ask({}, prefixes(65), request(65))).toBe(TOO_MANY);
    expect(await ask({}, prefixes(64), request(64))).not.toBe(TOO_MANY);
  });
});

test("at most maxKeysTried keys are tried for one token", async () => {
  const others = Array.from({ length: 4 }, () => {
    const { kid: _, ...jwk } = TestKey.generate("HS256", "other").jwk;
    return jwk;
  });
  const { kid: _, ...own } = key.jwk;
  const localJwks = { keys: [...others, own] };
  const request = { headers: [bearer(key.token({ iss: ISSUER }, {}))] };
  expect(await ask({ maxKeysTried: 5 }, { localJwks }, request)).toBe("passes");
  expect(await ask({ maxKeysTried: 4 }, { localJwks }, request)).toBe("Jwt verification fails");
});

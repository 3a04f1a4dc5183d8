/** Keys that are fetched, from servers that are slow, broken or lying: the real Envoy, two workers. */

import { importPKCS8, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RemoteJwks } from "../../tools/config/schema.ts";
import type { Envoy } from "../../tools/envoy/process.ts";
import { bootstrapCluster, hostOf, portOf } from "../../tools/jwks/source.ts";
import { cluster, listener } from "../../tools/render/bootstrap.ts";
import { whole } from "../support/configuration.ts";
import { MODULE, startEnvoy } from "../support/envoy.ts";
import { Http1Client, type Http1Response, headerOf } from "../support/http1.ts";
import {
  answer,
  type Behaviour,
  JwksServer,
  keys,
  type SigningKey,
  signingKey,
} from "../support/jwks-server.ts";
import { addressPool } from "../support/loopback.ts";
import { CertificateAuthority } from "../support/pki.ts";
import { startUpstream, type Upstream } from "../support/upstream.ts";

const ISSUER = "https://issuer.example";
const PORT = 28080;
const addresses = addressPool();
const FETCH_FAILED = "Jwks remote fetch is failed";
const NO_KEY = "Jwks doesn't have key to match kid or alg from Jwt";

/** Short intervals in milliseconds, so that a test need not wait long. */
const FAST: Partial<RemoteJwks> = {
  timeoutMs: 300,
  refreshMs: 100,
  minRefreshMs: 50,
  maxRefreshMs: 200,
  staleMs: 60_000,
  backoffMs: 50,
  maxBackoffMs: 100,
  kidMissMs: 300,
};

interface Gate {
  server: JwksServer;
  envoy: Envoy;
  get(token?: string): Promise<Http1Response>;
  close(): Promise<void>;
}

let upstream: Upstream;
let first: SigningKey;
let second: SigningKey;

beforeAll(async () => {
  upstream = await startUpstream();
  [first, second] = await Promise.all([signingKey("first"), signingKey("second")]);
});

afterAll(() => upstream?.close());

async function gate(behaviour: Behaviour, remote: Partial<RemoteJwks> = {}, limits = {}): Promise<Gate> {
  const server = await JwksServer.start(behaviour);
  const url = new URL(`${server.origin}/get_jwks`);
  const configuration = whole({
    limits: { maxWaitMs: 1_000, ...limits },
    providers: [
      {
        name: "origins-0",
        issuer: ISSUER,
        remoteJwks: { uri: url.href, cluster: bootstrapCluster(url), ...FAST, ...remote },
        fromHeaders: [{ name: "authorization", valuePrefix: "Bearer " }],
      },
    ],
  });
  const host = addresses.next().value;
  const envoy = await startEnvoy(
    {
      listeners: [
        listener({
          name: "gate",
          address: { host, port: PORT },
          module: MODULE,
          configuration,
          cluster: "upstream",
          accessLog: false,
        }),
      ],
      clusters: [
        cluster({ name: "upstream", address: { host: "127.0.0.1", port: upstream.port } }),
        cluster({ name: bootstrapCluster(url), address: { host: hostOf(url), port: portOf(url) } }),
      ],
    },
    { concurrency: 2 },
  );
  return {
    server,
    envoy,
    get: async (token) => {
      const client = new Http1Client({ host, port: PORT });
      try {
        return await client.request({
          headers: token === undefined ? [] : [["authorization", `Bearer ${token}`]],
        });
      } finally {
        client.close();
      }
    },
    close: async () => {
      await envoy.stop();
      await server.close();
    },
  };
}

/** Repeats a request until the answer is the expected one, or the time is over. */
async function eventually(ask: () => Promise<Http1Response>, wanted: (response: Http1Response) => boolean) {
  const end = Date.now() + 10_000;
  let response = await ask();
  while (!wanted(response) && Date.now() < end) response = await ask();
  return response;
}

describe("keys", () => {
  test("are fetched before traffic needs them, and a first request waits rather than fail", async () => {
    let release: () => void = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const g = await gate(
      (request, response) => void held.then(() => keys([first.publicJwk])(request, response)),
      {
        timeoutMs: 5_000,
      },
    );
    try {
      await g.server.reached(1);
      const answers = Promise.all(Array.from({ length: 20 }, async () => g.get(await first.sign(ISSUER))));
      release();
      expect((await answers).map(({ status }) => status)).toEqual(Array(20).fill(200));
    } finally {
      await g.close();
    }
  });

  test("may be a map of certificates, as Firebase serves them", async () => {
    const { certificate, key } = new CertificateAuthority().issue({}, "rsa");
    const other = new CertificateAuthority().issue({}).certificate;
    const g = await gate(answer(200, JSON.stringify({ cert: certificate, other })));
    try {
      const sign = async (kid: string) =>
        new SignJWT({ iss: ISSUER, sub: "s" })
          .setProtectedHeader({ alg: "RS256", kid })
          .sign(await importPKCS8(key, "RS256"));
      expect((await g.get(await sign("cert"))).status).toBe(200);
      expect((await g.get(await sign("other"))).body).toBe(NO_KEY);
    } finally {
      await g.close();
    }
  });

  test("may have empty members, as .NET writes them, and elements that are not keys", async () => {
    const empty = { key_ops: [], oth: [], x5c: [], use: "", d: null };
    const foreign = [
      null,
      "x",
      { kty: "AKP", alg: "ML-DSA-65", pub: "AAAA" },
      { kty: "RSA", n: "!!!", e: "AQAB" },
    ];
    const g = await gate(
      answer(200, JSON.stringify({ keys: [...foreign, { ...first.publicJwk, ...empty }] })),
    );
    try {
      expect((await g.get(await first.sign(ISSUER))).status).toBe(200);
      expect(g.envoy.log).toContain(
        "unusable keys skipped: keys[0]: it is not an object; keys[1]: it is not an object;",
      );
    } finally {
      await g.close();
    }
  });

  test("rotate: a new key is known with the next refresh, an old one forgotten, its cached tokens too", async () => {
    const g = await gate(keys([first.publicJwk]));
    try {
      const old = await first.sign(ISSUER);
      expect((await g.get(old)).status).toBe(200);
      g.server.behaviour = keys([second.publicJwk]);
      const fresh = await second.sign(ISSUER);
      // Used before it is fetched: the request waits for the refetch that it asks for.
      expect((await g.get(fresh)).status).toBe(200);
      const refused = await eventually(
        () => g.get(old),
        ({ status }) => status === 401,
      );
      expect(refused.body).toBe(NO_KEY);
    } finally {
      await g.close();
    }
  });

  test("that were good stay in use while the server fails in every way", async () => {
    const g = await gate(keys([first.publicJwk]));
    try {
      const token = await first.sign(ISSUER);
      expect((await g.get(token)).status).toBe(200);
      // Two workers and the main thread have the keys: what each has is its own.
      await g.server.reached(6);
      const failures: Behaviour[] = [
        answer(500, "no"),
        answer(301, "", { location: `${g.server.origin}/elsewhere` }),
        answer(200, ""),
        answer(200, "{"),
        answer(200, "[]"),
        answer(200, '{"keys":[]}'),
        answer(200, '{"keys":{}}'),
        answer(200, '{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}'),
        answer(200, JSON.stringify({ keys: Array(10_000).fill(second.publicJwk) })),
        answer(200, Buffer.alloc(4 * 1024 * 1024, " ")),
        (request) => request.socket.destroy(),
        (_, response) => {
          response.writeHead(200, { "content-length": "1000" });
          response.write('{"keys":[');
          setTimeout(() => response.destroy(), 20);
        },
        () => {},
        // A slow drip that never ends.
        (_, response) => {
          response.writeHead(200, { "content-type": "application/json" });
          const drip = setInterval(() => response.write(" "), 20);
          response.on("close", () => clearInterval(drip));
        },
      ];
      for (const failure of failures) {
        g.server.behaviour = failure;
        await g.server.reached(g.server.count + 4);
        expect((await g.get(token)).status).toBe(200);
        // A new token under a known key, so that the cache is not used.
        expect((await g.get(await first.sign(ISSUER, { jti: String(Math.random()) }))).status).toBe(200);
      }
      expect(g.server.requests.every((path) => path === "/get_jwks")).toBe(true);
      expect(g.envoy.log.match(/fetch failed/g)?.length).toBeLessThan(40);
    } finally {
      await g.close();
    }
  });

  test("stay in use if the server no longer exists", async () => {
    const g = await gate(keys([first.publicJwk]));
    try {
      const token = await first.sign(ISSUER);
      expect((await g.get(token)).status).toBe(200);
      await g.server.reached(6);
      await g.server.close();
      const failed = async () =>
        (await g.envoy.stats("jwtgate_jwks_fetch_failed")).get("wasmcustom.jwtgate_jwks_fetch_failed") ?? 0;
      const end = Date.now() + 10_000;
      while ((await failed()) < 4 && Date.now() < end) {
        expect((await g.get(await first.sign(ISSUER, { jti: String(Math.random()) }))).status).toBe(200);
      }
      expect(await failed()).toBeGreaterThanOrEqual(4);
      expect((await g.get(token)).status).toBe(200);
    } finally {
      await g.envoy.stop();
    }
  });

  test("that are never delivered: 401 after a bounded wait, and requests without a token pass", async () => {
    const g = await gate(answer(503, "down"), {}, { maxWaitMs: 200 });
    try {
      const refused = await g.get(await first.sign(ISSUER));
      expect([refused.status, refused.body]).toEqual([401, FETCH_FAILED]);
      expect(headerOf(refused, "www-authenticate")).toMatch(/, error="invalid_token"$/);
      expect((await g.get()).status).toBe(200);
      // Junk is refused at once, with its own reason.
      expect((await g.get("a.b.c")).body).toBe("Jwt header is an invalid Base64url encoded");
      expect((await g.get(await first.sign("https://other.example"))).body).toBe(
        "Jwt issuer is not configured",
      );
    } finally {
      await g.close();
    }
  });

  test("too old are not used any longer", async () => {
    const g = await gate(keys([first.publicJwk]), { staleMs: 300 }, { maxWaitMs: 100 });
    try {
      const token = await first.sign(ISSUER);
      expect((await g.get(token)).status).toBe(200);
      g.server.behaviour = answer(500, "no");
      const refused = await eventually(
        () => g.get(token),
        ({ status }) => status === 401,
      );
      expect(refused.body).toBe(FETCH_FAILED);
      g.server.behaviour = keys([first.publicJwk]);
      expect(
        (
          await eventually(
            () => g.get(token),
            ({ status }) => status === 200,
          )
        ).status,
      ).toBe(200);
    } finally {
      await g.close();
    }
  });
});

describe("a flood", () => {
  test("of made-up kids causes no storm of fetches, and known keys still verify", async () => {
    const g = await gate(keys([first.publicJwk]), {
      refreshMs: 60_000,
      minRefreshMs: 60_000,
      maxRefreshMs: 60_000,
      kidMissMs: 60_000,
      // On a busy machine this process answers late, and a fetch that failed is repeated.
      timeoutMs: 60_000,
    });
    try {
      const good = await first.sign(ISSUER);
      expect((await g.get(good)).status).toBe(200);
      // Two workers and the main thread have fetched.
      await g.server.reached(3);
      const before = g.server.count;
      const liar = await signingKey("nobody");
      const [, payload, signature] = (await liar.sign(ISSUER)).split(".");
      const answers = await Promise.all(
        Array.from({ length: 300 }, async (_, i) => {
          const header = Buffer.from(JSON.stringify({ alg: "ES256", kid: `made-up-${i}` })).toString(
            "base64url",
          );
          return g.get(`${header}.${payload}.${signature}`);
        }),
      );
      expect(new Set(answers.map(({ status, body }) => `${status} ${body}`))).toEqual(
        new Set([`401 ${NO_KEY}`]),
      );
      // One for each of the two workers.
      expect(g.server.count - before).toBeLessThanOrEqual(2);
      expect((await g.get(good)).status).toBe(200);
    } finally {
      await g.close();
    }
  });

  test("of waiting requests is bounded, and streams that end leave the list", async () => {
    const g = await gate(() => {}, { timeoutMs: 60_000 }, { maxWaitingRequests: 4, maxWaitMs: 600 });
    try {
      const token = await first.sign(ISSUER);
      const answers = await Promise.all(Array.from({ length: 40 }, () => g.get(token)));
      expect(new Set(answers.map(({ status, body }) => `${status} ${body}`))).toEqual(
        new Set([`401 ${FETCH_FAILED}`]),
      );
    } finally {
      await g.close();
    }
  });
});

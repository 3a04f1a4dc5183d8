/**
 * A thousand requests that wait for keys at once, in the real Envoy, and another listener in the same virtual machine:
 * however many are resumed together, each gets its answer, and the machine lives.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Configuration, Limits, RemoteJwks } from "../../tools/config/schema.ts";
import type { Envoy } from "../../tools/envoy/process.ts";
import { type Address, cluster, listener, type Message } from "../../tools/render/bootstrap.ts";
import { whole } from "../support/configuration.ts";
import { MODULE, startEnvoy } from "../support/envoy.ts";
import { Http1Client, type Http1Request, type Http1Response } from "../support/http1.ts";
import { Http2Client } from "../support/http2.ts";
import {
  answer,
  type Behaviour,
  JwksServer,
  keys,
  type SigningKey,
  signingKey,
} from "../support/jwks-server.ts";
import { startUpstream, type Upstream } from "../support/upstream.ts";

const COUNT = 1000;
const ISSUER = "https://issuer.example";
const NO_KEY = "Jwks doesn't have key to match kid or alg from Jwt";
const FETCH_FAILED = "Jwks remote fetch is failed";
const DENIED = "RBAC: access denied";

/** Short intervals, so that tests need not wait. */
const FAST: Partial<RemoteJwks> = { backoffMs: 50, maxBackoffMs: 50, kidMissMs: 300 };

/** Lets every request with a subject through. */
const AUTHORIZATION: Configuration["authorization"] = {
  predicates: [{ claim: ["sub"], match: { nonEmpty: true } }],
  allow: { rules: [{ id: "ns[foo]-policy[need]-rule[0]", condition: 0 }] },
};

/** A gate of an Envoy, with its own key server. */
interface Gate {
  name: string;
  server: JwksServer;
  /** Lets the key server send the answers that it holds back. */
  release(behaviour: Behaviour): void;
}

let upstream: Upstream;
let envoy: Envoy;
let first: SigningKey;
let second: SigningKey;
const gates = new Map<string, Gate>();

const NAMES = [
  "kids",
  "refused-1",
  "refused-2",
  "allowed-1",
  "allowed-2",
  "silent",
  "down",
  "rotation-1",
  "rotation-2",
];

beforeAll(async () => {
  upstream = await startUpstream();
  [first, second] = await Promise.all([signingKey("first"), signingKey("second")]);
  const listeners: Message[] = [];
  const clusters: Message[] = [
    cluster({ name: "upstream", address: { host: "127.0.0.1", port: upstream.port } }),
    // Without an endpoint: the name does not exist.
    cluster({ name: "nowhere", address: { host: "nowhere.invalid", port: 80 } }),
  ];
  for (const name of NAMES) {
    const held: Parameters<Behaviour>[] = [];
    const server = await JwksServer.start((...exchange) => held.push(exchange));
    gates.set(name, {
      name,
      server,
      release(behaviour) {
        server.behaviour = behaviour;
        for (const exchange of held.splice(0)) behaviour(...exchange);
      },
    });
    const limits: Limits = name === "silent" ? { maxWaitMs: 1_500 } : { maxWaitMs: 10_000 };
    const remoteJwks = { uri: `${server.origin}/keys`, cluster: `keys-${name}`, ...FAST };
    const { port } = new URL(server.origin);
    clusters.push(cluster({ name: remoteJwks.cluster, address: { host: "127.0.0.1", port: Number(port) } }));
    listeners.push(
      gate(name, name.startsWith("allowed") ? "nowhere" : "upstream", {
        limits,
        providers: [
          {
            name: "origins-0",
            issuer: ISSUER,
            remoteJwks,
            fromHeaders: [{ name: "authorization", valuePrefix: "Bearer " }],
          },
        ],
        authorization: AUTHORIZATION,
      }),
    );
  }
  listeners.push(
    gate("other", "upstream", {
      authorization: {
        predicates: [{ path: { exact: "/denied" } }],
        deny: { rules: [{ id: "ns[foo]-policy[deny]-rule[0]", condition: 0 }] },
      },
    }),
  );
  envoy = await startEnvoy({ listeners, clusters });
});

afterAll(async () => {
  await envoy?.stop();
  await Promise.all([...gates.values()].map(({ server }) => server.close()));
  await upstream?.close();
});

function gate(name: string, to: string, configuration: Omit<Configuration, "version" | "contents">): Message {
  return {
    ...listener({
      name,
      address: { host: "127.0.0.1", port: 0 },
      module: MODULE,
      configuration: whole(configuration),
      cluster: to,
      accessLog: false,
    }),
  };
}

/** Sends all requests at once, each on its own connection or a hundred on each. */
async function sendAll(
  target: Address,
  protocol: string,
  requests: Http1Request[],
): Promise<Promise<Http1Response>[]> {
  const perConnection = protocol === "HTTP/2" ? 100 : 1;
  const clients = Array.from({ length: Math.ceil(requests.length / perConnection) }, () =>
    protocol === "HTTP/2" ? new Http2Client(target) : new Http1Client(target),
  );
  return requests.map(async (request, i) => {
    const client = clients[Math.floor(i / perConnection)] as Http1Client | Http2Client;
    const response = await client.request(request);
    if (client instanceof Http1Client) client.close();
    return response;
  });
}

/** Asks the other listener for its own answers until `work` is done, and counts those that are not its own. */
async function withOther(work: () => Promise<void>): Promise<void> {
  const client = new Http1Client({ host: "127.0.0.1", port: await envoy.portOf("other") });
  let done = false;
  const asking = (async () => {
    const answers = new Map<string, number>();
    while (!done) {
      for (const path of ["/", "/denied"]) {
        const { status } = await client.request({ path });
        answers.set(`${path} ${status}`, (answers.get(`${path} ${status}`) ?? 0) + 1);
      }
    }
    return [...answers.keys()];
  })();
  try {
    await work();
  } finally {
    done = true;
  }
  expect(new Set(await asking)).toEqual(new Set(["/ 200", "/denied 403"]));
  client.close();
}

const forged = (kid: string): string => {
  const parts = [{ alg: "ES256", kid }, { iss: ISSUER }];
  return `${parts.map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".")}.AAAA`;
};
const bearing = (token: string): Http1Request => ({ headers: [["authorization", `Bearer ${token}`]] });

/** How many answers there are of each kind. */
async function tally(answers: Promise<Http1Response>[]): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { status, body } of await Promise.all(answers)) {
    const kind = `${status} ${status === 200 ? "" : body}`.trim();
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

async function gauge(): Promise<number> {
  const name = "wasmcustom.jwtgate_jwks_waiting_requests";
  return (await envoy.stats("jwtgate_jwks_waiting_requests")).get(name) ?? 0;
}

async function untilWaiting(atLeast: number): Promise<void> {
  while ((await gauge()) < atLeast);
}

function gateOf(name: string): Gate {
  const found = gates.get(name);
  if (found === undefined) throw new Error(`there is no gate ${name}`);
  return found;
}

const targetOf = async (name: string): Promise<Address> => ({
  host: "127.0.0.1",
  port: await envoy.portOf(name),
});

describe.each([
  ["HTTP/1.1", 1],
  ["HTTP/2", 2],
])("a thousand requests over %s", (protocol, round) => {
  const send = async (name: string, tokens: string[]) =>
    sendAll(await targetOf(name), protocol, tokens.map(bearing));

  test("with made-up kids", () =>
    withOther(async () => {
      const { release } = gateOf("kids");
      release(keys([first.publicJwk]));
      const [known] = await send("kids", [await first.sign(ISSUER)]);
      expect((await known)?.status).toBe(200);
      const answers = await send(
        "kids",
        Array.from({ length: COUNT }, (_, i) => forged(`${protocol}-${i}`)),
      );
      expect(await tally(answers)).toEqual({ [`401 ${NO_KEY}`]: COUNT });
    }));

  test("with one token, when the key server is silent", () =>
    withOther(async () => {
      const answers = await send("silent", Array(COUNT).fill(forged("one")));
      expect(await tally(answers)).toEqual({ [`401 ${FETCH_FAILED}`]: COUNT });
    }));

  test("with one token, if the key server refuses", () =>
    withOther(async () => {
      const { release } = gateOf("down");
      release(answer(503, "down"));
      const answers = await send("down", Array(COUNT).fill(forged("one")));
      expect(await tally(answers)).toEqual({ [`401 ${FETCH_FAILED}`]: COUNT });
    }));

  test("that a policy refuses, at a cold start", () =>
    withOther(async () => {
      const name = `refused-${round}`;
      const tokens = await Promise.all(
        Array.from({ length: COUNT }, () => first.sign(ISSUER, { sub: undefined })),
      );
      const answers = await send(name, tokens);
      await untilWaiting(COUNT);
      gateOf(name).release(keys([first.publicJwk]));
      expect(await tally(answers)).toEqual({ [`403 ${DENIED}`]: COUNT });
    }));

  test("that are allowed to an upstream without endpoints, at a cold start", () =>
    withOther(async () => {
      const name = `allowed-${round}`;
      const answers = await send(name, Array(COUNT).fill(await first.sign(ISSUER)));
      await untilWaiting(COUNT);
      gateOf(name).release(keys([first.publicJwk]));
      expect(await tally(answers)).toEqual({ "503 no healthy upstream": COUNT });
    }));

  test("of a new key, while an attacker sends a thousand made-up kids", () =>
    withOther(async () => {
      const name = `rotation-${round}`;
      const { release, server } = gateOf(name);
      release(keys([first.publicJwk]));
      const [known] = await send(name, [await first.sign(ISSUER)]);
      expect((await known)?.status).toBe(200);
      // The attacker's first kid causes the refetch before the rotation.
      const before = server.count;
      const [stranger] = await send(name, [forged("before")]);
      await stranger;
      expect(server.count).toBe(before + 1);
      server.behaviour = keys([first.publicJwk, second.publicJwk]);
      const fresh = await Promise.all(Array.from({ length: COUNT }, () => second.sign(ISSUER)));
      const tokens = fresh.flatMap((token, i) => [token, forged(`beside-${i}`)]);
      const answers = await send(name, tokens);
      expect(await tally(answers.filter((_, i) => i % 2 === 0))).toEqual({ "200": COUNT });
      expect(await tally(answers.filter((_, i) => i % 2 === 1))).toEqual({ [`401 ${NO_KEY}`]: COUNT });
    }));
});

test("the machine has not failed, and no request waits", async () => {
  expect(envoy.log).not.toMatch(/RangeError|call stack|Wasm VM failed|crash/i);
  expect(await gauge()).toBe(0);
});

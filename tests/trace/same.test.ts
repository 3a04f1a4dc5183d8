/**
 * The traced module answers as the release does, and records its steps; the models (tests/model) give the
 * same results. Recorded cases, what has drifted before, and random policies and requests.
 *
 * TRACE_SEED makes it another run, TRACE_SCALE a longer one.
 */
import { createHmac } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Configuration } from "../../tools/config/schema.ts";
import { listenerOf } from "../../tools/explain/gate.ts";
import {
  type CompleteRequest,
  DEFAULT_LISTENER,
  DEFAULT_REQUEST,
  type DownstreamRequest,
} from "../../tools/host/http-connection-manager.ts";
import * as authz from "../authz/random.ts";
import {
  configurationOf as configurationOfGate,
  randomConstraints,
  randomGate,
  randomRequest,
} from "../differential/random-cases.ts";
import { Random } from "../fuzz/random.ts";
import { compare, type Judged, predict } from "../model/predict.ts";
import { configurationOf, isRefused, recordedCases } from "../support/cases.ts";
import { whole } from "../support/configuration.ts";
import type { Http1Request } from "../support/http1.ts";
import { type Both, contradictions, Pair } from "./pair.ts";

const SEED = Number(process.env["TRACE_SEED"] ?? 20_261_126);
const SCALE = Number(process.env["TRACE_SCALE"] ?? 1);

/** Of each configuration. */
const REQUESTS = 100;

const NOW = Date.now();
const PEER = { ip: "127.0.0.1", port: 40_000 };

let pair: Pair;
beforeAll(async () => {
  pair = await Pair.open(NOW);
});
afterAll(() => {
  const [release, traced] = pair.counters();
  expect(traced).toEqual(release);
});

function judgedBy(configuration: Configuration, listener: Partial<Judged["listener"]> = {}): Judged {
  return { configuration, documents: new Map(), listener: { ...DEFAULT_LISTENER, ...listener }, now: NOW };
}

function complete(request: DownstreamRequest): CompleteRequest {
  return { ...DEFAULT_REQUEST, ...request };
}

function load(judged: Judged): void {
  pair.configure(judged.configuration, { listener: listenerOf(judged) });
}

/** What is wrong with the result of a request. */
function faultsOf(judged: Judged, request: DownstreamRequest, { release, ...rest }: Both): string[] {
  return [
    ...contradictions({ release, ...rest }, judged.configuration),
    ...compare(predict(judged, complete(request)), release),
  ];
}

describe("recorded cases", () => {
  const cases = recordedCases().filter((recorded) => !isRefused(recorded));

  test.each(cases)("$name", (recorded) => {
    const configuration = configurationOf(recorded);
    const judged = judgedBy(configuration, {
      mode: recorded.mode,
      pathNormalization: recorded.normalization ?? "BASE",
      address: { ip: "127.0.0.1", port: recorded.port },
    });
    load(judged);
    const wrong = recorded.requests.flatMap(({ name, method, path, authority, headers, body = "" }) => {
      const request = { method, path, authority, headers, body, peer: PEER };
      return faultsOf(judged, request, pair.send(request)).map((line) => `${name}: ${line}`);
    });
    expect(wrong).toEqual([]);
  });
});

test("a value that only the trace reads fails no request", () => {
  const configuration = whole({
    directRemoteAddress: "nobody.sets.this",
    authorization: {
      predicates: [{ path: { exact: "/" } }, { sourceIp: "10.0.0.0/8" }],
      deny: { rules: [{ id: "denied", condition: 0 }] },
      allow: { rules: [{ id: "by address", condition: 1 }] },
    },
  });
  // The host has no such filter state, so that the address cannot be read.
  pair.configure(configuration, { listener: {} });
  const both = pair.send({});
  expect(both.release.answer?.details).toBe("rbac_access_denied_matched_policy[denied]");
  expect(contradictions(both, configuration)).toEqual([]);
  expect(pair.send({ path: "/other" }).traced.answer?.details).toBe("jwtgate_host_failure");
});

describe(`100,000 random policies and requests, seed ${SEED}`, () => {
  const seen = new Map<string, number>();

  /**
   * @param make a configuration, and requests for it
   * @param judge one request in this many is also judged by the models, which takes longest
   */
  async function check(
    configurations: number,
    judge: number,
    make: () => { judged: Judged; request: () => DownstreamRequest },
  ): Promise<void> {
    for (let i = 0; i < configurations * SCALE; i++) {
      const { judged, request } = make();
      load(judged);
      for (let k = 0; k < REQUESTS; k++) {
        const sent = request();
        const both = pair.send(sent);
        const reason = both.release.properties["jwtgate.reason"] ?? "none";
        seen.set(reason, (seen.get(reason) ?? 0) + 1);
        const faults =
          k % judge === 0 ? faultsOf(judged, sent, both) : contradictions(both, judged.configuration);
        if (faults.length > 0) {
          expect(faults, JSON.stringify({ sent, configuration: judged.configuration })).toEqual([]);
        }
      }
      // The test runner wants to be heard.
      await new Promise(setImmediate);
    }
  }

  test("tokens of every kind, providers that share places and outputs", async () => {
    const random = new Random(SEED);
    await check(100, 2, () => {
      const gate = randomGate(random);
      const { providers = [], ...rest } = configurationOfGate(gate);
      const isConstrained = random.oneIn(2);
      const judged = judgedBy({
        ...rest,
        providers: providers.map((one) => ({ ...one, ...(isConstrained && randomConstraints(random)) })),
      });
      return { judged, request: () => downstream(randomRequest(random, gate)) };
    });
  });

  test("conditions of every kind", async () => {
    const random = new Random(SEED);
    await check(900, 10, () => {
      const configuration = whole({
        directRemoteAddress: "direct",
        providers: [
          {
            name: "origins-0",
            localJwks: { keys: [{ kty: "oct", k: SECRET.toString("base64url") }] },
            fromHeaders: [{ name: "x-jwt" }],
            forward: random.chance(0.5),
            spaceDelimitedClaims: [random.pick(["perms", "roles"])],
          },
        ],
        authorization: authz.authorization(random, false),
      });
      const port = random.pick([80, 443, 8080]);
      const judged = judgedBy(configuration, { address: { ip: random.pick(["10.0.0.1", "::1"]), port } });
      const tokens = random.times(6, () => authz.payload(random)).map((claims) => claims && signed(claims));
      return { judged, request: () => policyRequest(random, random.pick(tokens)) };
    });
  });

  test("some pass, and some are refused for either reason", () => {
    for (const reason of [
      "allowed",
      "RBAC: access denied",
      "Jwt verification fails",
      "Jwt is expired",
      "Jwt header [typ] is not allowed",
      "Jwt lifetime is too long",
      "Jwt payload [iat] field is required",
      "none",
    ]) {
      expect(seen.get(reason) ?? 0, reason).toBeGreaterThan(25);
    }
  });
});

const SECRET = Buffer.from("a secret of these tests");

function signed(claims: object): string {
  const text = [{ alg: "HS256" }, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
    .join(".");
  return `${text}.${createHmac("sha256", SECRET).update(text).digest("base64url")}`;
}

function downstream({ method = "GET", path = "/", headers = [] }: Http1Request): DownstreamRequest {
  return {
    method,
    path,
    headers: headers.map(([name, value]) => [name, Buffer.from(value).toString("latin1")]),
  };
}

/** A request as the facts of tests/authz have it, over a connection that shows the same. */
function policyRequest(random: Random, token: string | undefined): DownstreamRequest {
  const { headers, properties = {}, peerNames } = authz.request(random);
  const value = (wanted: string) => headers.find(([name]) => name === wanted)?.[1] ?? "";
  const text = (name: string) => String(properties[name] ?? "");
  const sni = properties["connection.requested_server_name"];
  const subject = text("connection.subject_peer_certificate");
  const certificate = text("connection.peer_certificate");
  return {
    method: value(":method"),
    path: value(":path"),
    authority: value(":authority"),
    headers: [
      ...headers.filter(([name]) => !name.startsWith(":")),
      ...(token === undefined ? [] : [["x-jwt", token] as const]),
    ].map(([name, other]): [string, string] => [name, other]),
    peer: { ip: text("filter_state.direct"), port: 1234 },
    ...(sni !== undefined && {
      tls: {
        serverName: String(sni),
        ...(certificate !== "" && {
          peer: { certificate, subject, uriSans: (peerNames ?? []).filter((name) => name !== subject) },
        }),
      },
    }),
  };
}

/**
 * Random policies and random requests, to jwtgate and to Envoy's own filters as istiod would configure them, side by
 * side in one Envoy: both give the client the same answer, the upstream receives the same, and the model (tests/model)
 * decides the same. The first requests are those that once found a difference.
 *
 * RANDOM_SEED, RANDOM_GATES and RANDOM_REQUESTS (for each gate) choose another run, or a longer one.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Envoy } from "../../tools/envoy/process.ts";
import { cluster, listener } from "../../tools/render/bootstrap.ts";
import { Random } from "../fuzz/random.ts";
import { type Judged, predict } from "../model/predict.ts";
import { DETAILS_HEADER, MODULE, startEnvoy, tellDetails } from "../support/envoy.ts";
import { Http1Client, type Http1Request, type Http1Response, headerOf } from "../support/http1.ts";
import { istiodFilters } from "../support/istiod.ts";
import { withFilters } from "../support/native.ts";
import { bearer, TestKey } from "../support/tokens.ts";
import { receivedOf, startUpstream, type Upstream } from "../support/upstream.ts";
import { configurationOf, type Gate, randomGate, randomRequest } from "./random-cases.ts";

const numberOf = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise);
const SEED = numberOf("RANDOM_SEED", 20_261_122);
const GATES = numberOf("RANDOM_GATES", 30);
const REQUESTS = numberOf("RANDOM_REQUESTS", 50);

const A = "https://a.example";
const B = "https://b.example";
const keyOfA = TestKey.generate("ES256", "a");
const keyOfB = TestKey.generate("ES256", "b");
const tokenOfA = keyOfA.token({ iss: A, sub: "alice", next: "junk" });
const tokenOfB = keyOfB.token({ iss: B, sub: "bob" });
const expiredOfA = keyOfA.token({ iss: A, exp: 1_600_000_000 });

/** A request that was once answered differently. */
interface Found {
  rules: Gate["rules"];
  request: Http1Request;
  /** The status of both. */
  status: number;
}

const FOUND: Record<string, Found> = {
  "a header's name and its prefix are one key, by which places are put in order": {
    rules: [
      { issuer: A, jwks: keyOfA.jwks, fromHeaders: [{ name: "x-t", prefix: "JWT " }, { name: "x-t-2" }] },
    ],
    request: {
      headers: [
        ["x-t", `JWT ${expiredOfA}`],
        ["x-t-2", "junk"],
      ],
    },
    status: 401,
  },
  "a later provider removes what an earlier one wrote to its header": {
    rules: [
      {
        issuer: A,
        jwks: keyOfA.jwks,
        fromHeaders: [{ name: "x-bad" }],
        fromParams: ["t"],
        outputPayloadToHeader: "x-payload",
      },
      { issuer: B, jwks: keyOfB.jwks, outputPayloadToHeader: "x-payload" },
    ],
    request: { path: `/?t=${tokenOfA}`, headers: [["x-bad", expiredOfA], bearer(tokenOfB)] },
    status: 200,
  },
  "so does one that finds no token": {
    rules: [
      { issuer: A, jwks: keyOfA.jwks, outputPayloadToHeader: "x-payload", presence: "REQUIRED" },
      {
        issuer: B,
        jwks: keyOfB.jwks,
        fromHeaders: [{ name: "x-b" }],
        outputClaimToHeaders: [{ header: "x-payload", claim: "sub" }],
      },
    ],
    request: { headers: [bearer(tokenOfA)] },
    status: 200,
  },
  "a cookie goes with the header that a token was taken out of": {
    rules: [
      {
        issuer: A,
        jwks: keyOfA.jwks,
        fromHeaders: [{ name: "cookie", prefix: "session=" }],
        presence: "REQUIRED",
      },
      { issuer: B, jwks: keyOfB.jwks, fromCookies: ["session"] },
    ],
    request: { headers: [["cookie", `session=${tokenOfA}`]] },
    status: 200,
  },
  "a claim that is written where the next provider looks is a token to it": {
    rules: [
      {
        issuer: A,
        jwks: keyOfA.jwks,
        outputClaimToHeaders: [{ header: "x-t", claim: "next" }],
        presence: "REQUIRED",
      },
      { issuer: B, jwks: keyOfB.jwks, fromHeaders: [{ name: "x-t" }] },
    ],
    request: { headers: [bearer(tokenOfA)] },
    status: 401,
  },
  "a parameter's name is decoded where it has no value too": {
    rules: [{ issuer: A, jwks: keyOfA.jwks, fromParams: ["t[]"] }],
    request: { path: "/?t%5B%5D" },
    status: 401,
  },
  "what several prefixes find in one header is one token": {
    rules: [
      { issuer: A, jwks: keyOfA.jwks, fromHeaders: [{ name: "x-t", prefix: "JWT" }] },
      ...["J", "W", "T"].map((prefix) => ({
        issuer: B,
        jwks: keyOfB.jwks,
        fromHeaders: [{ name: "x-t", prefix }],
      })),
    ],
    request: { headers: Array.from({ length: 3 }, () => ["x-t", `JWT ${tokenOfA}`]) },
    status: 200,
  },
};

const random = new Random(SEED);
const GATES_OF_RANDOM: Gate[] = Array.from({ length: GATES }, () => randomGate(random));
const ALL: Record<string, Gate> = Object.fromEntries([
  ...Object.entries(FOUND).map(([name, { rules }]) => [name, { rules, policies: [], tokens: [] }]),
  ...GATES_OF_RANDOM.map((gate, index) => [`random ${index}`, gate]),
]);

let upstream: Upstream;
let envoy: Envoy;

beforeAll(async () => {
  upstream = await startUpstream();
  const listeners = Object.entries(ALL).flatMap(([name, gate]) =>
    (["jwtgate", "native"] as const).map((kind) => {
      const made = tellDetails(
        listener({
          name: `${kind} ${name}`,
          address: { host: "127.0.0.1", port: 0 },
          module: MODULE,
          configuration: configurationOf(gate),
          cluster: "upstream",
          accessLog: false,
        }),
      );
      return kind === "native" ? withFilters(made, istiodFilters(gate.rules, gate.policies)) : made;
    }),
  );
  envoy = await startEnvoy({
    listeners,
    clusters: [cluster({ name: "upstream", address: { host: "127.0.0.1", port: upstream.port } })],
  });
});

afterAll(async () => {
  await envoy?.stop();
  await upstream?.close();
});

/** What a client and a backend see. */
function seen(response: Http1Response): object {
  const received = receivedOf(response);
  return {
    status: response.status,
    body: response.body,
    headers: valuesOf(response.headers),
    received: received && {
      ...received,
      path: withSortedQuery(received.path),
      headers: valuesOf(received.headers),
    },
  };
}

/** The values of each header, in their order. */
function valuesOf(headers: readonly [string, string][]): Record<string, string[]> {
  const own = /^(date|x-request-id|x-envoy-.*|x-received)$/;
  const values: Record<string, string[]> = {};
  for (const [name, value] of headers) {
    const key = name.toLowerCase();
    if (!own.test(key)) values[key] = [...(values[key] ?? []), value];
  }
  return values;
}

/** Envoy rewrites a query when it removes a token; jwtgate keeps the rest unchanged (docs/differences.md). */
function withSortedQuery(path: string): string {
  const [before = "", query = ""] = path.split("?");
  const parameters = decodeURIComponent(query)
    .split("&")
    .map((parameter) => parameter.replace(/^[^=]*$/, "$&="))
    .filter((parameter) => parameter !== "=");
  return `${before}?${parameters.sort().join("&")}`;
}

/** S2 (docs/strictness.md): white space in base64url, for example if a scheme is taken as a part of the token. */
function isStricter(jwtgate: Http1Response, native: Http1Response): boolean {
  return (
    headerOf(jwtgate, DETAILS_HEADER) ===
      "jwt_authn_access_denied{Jwt_header_is_an_invalid_Base64url_encoded}" &&
    headerOf(native, DETAILS_HEADER) === "jwt_authn_access_denied{Jwt_header_is_an_invalid_JSON}"
  );
}

/** What the filter decided. */
function decided(response: Http1Response): object {
  const isForwarded = receivedOf(response) !== undefined;
  return { isForwarded, details: isForwarded ? undefined : headerOf(response, DETAILS_HEADER) };
}

/** Both listeners of a gate. */
class Pair {
  private constructor(
    private readonly jwtgate: Http1Client,
    private readonly native: Http1Client,
    private readonly judged: Judged,
  ) {}

  static async of(name: string): Promise<Pair> {
    const client = async (kind: string): Promise<Http1Client> =>
      new Http1Client({ host: "127.0.0.1", port: await envoy.portOf(`${kind} ${name}`) });
    const gate = ALL[name];
    if (gate === undefined) throw new Error(`there is no gate ${name}`);
    const judged: Judged = {
      configuration: configurationOf(gate),
      documents: new Map(),
      listener: {
        mode: "gateway",
        pathNormalization: "BASE",
        address: { ip: "127.0.0.1", port: await envoy.portOf(`jwtgate ${name}`) },
        localAddress: "127.0.0.1",
      },
      now: Date.now(),
    };
    return new Pair(await client("jwtgate"), await client("native"), judged);
  }

  /** @returns the status that both answered */
  async compare(request: Http1Request): Promise<number> {
    const [jwtgate, native] = [await this.jwtgate.request(request), await this.native.request(request)];
    if (!isStricter(jwtgate, native)) expect(seen(jwtgate), JSON.stringify(request)).toEqual(seen(native));
    expect(decided(jwtgate), JSON.stringify(request)).toEqual(this.predicted(request));
    return jwtgate.status;
  }

  /** The model's result (tests/model) for the request. */
  private predicted({ method = "GET", path = "/", headers = [] }: Http1Request): object {
    const { answer, refusedByEnvoy } = predict(this.judged, {
      method,
      path,
      authority: "localhost",
      headers: headers.map(([name, value]) => [name, value]),
      body: "",
      peer: { ip: "127.0.0.1", port: 40_000 },
      protocol: "HTTP/1.1",
    });
    const details = (answer ?? refusedByEnvoy)?.details.replaceAll(" ", "_");
    return { isForwarded: details === undefined, details };
  }

  close(): void {
    this.jwtgate.close();
    this.native.close();
  }
}

describe("found", () => {
  test.each(Object.entries(FOUND))("%s", async (name, { request, status }) => {
    const pair = await Pair.of(name);
    expect(await pair.compare(request)).toBe(status);
    pair.close();
  });
});

describe(`seed ${SEED}`, () => {
  const statuses = new Set<number>();

  test.each(GATES_OF_RANDOM.map((gate, index) => ({ index, gate })))(
    "gate $index",
    async ({ index, gate }) => {
      const requests = new Random(SEED + index + 1);
      const pair = await Pair.of(`random ${index}`);
      for (let i = 0; i < REQUESTS; i++) statuses.add(await pair.compare(randomRequest(requests, gate)));
      pair.close();
    },
  );

  test("some pass, and some are refused for either reason", () => {
    expect(statuses).toEqual(new Set([200, 401, 403]));
  });
});

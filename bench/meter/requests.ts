/** The requests that the meter counts, with the configurations that they meet. */
import type { Configuration } from "../../tools/config/schema.ts";
import type { DownstreamRequest } from "../../tools/host/http-connection-manager.ts";
import { compile } from "../../tools/targets/compile.ts";
import { compilePolicy, HOST, targets } from "../policies.ts";
import { ISSUER } from "../tokens.ts";
// Six tokens of one key for each algorithm, valid until 2100: the same bytes take the same steps on every machine.
import fixture from "./tokens.json" with { type: "json" };

/** Algorithms of the misses that are counted. */
export const ALGORITHMS = ["HS256", "RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA"] as const;
type Algorithm = (typeof ALGORITHMS)[number];

/** When requests come, in milliseconds since 1970: between the tokens' `iat` and `exp`. */
export const NOW = Date.UTC(2026, 0, 2);

export interface Scenario {
  name: string;
  configuration: Configuration;
  /** Sent before, so that caches, tables and memory are as in a process that has run for a while. */
  before: DownstreamRequest[];
  request: DownstreamRequest;
  /** The status that the client must get; absent: the request must be forwarded. */
  status?: number;
}

const { jwks, tokens } = fixture;
const JWKS = JSON.stringify(jwks);

function tokenOf(algorithm: Algorithm, number: number): string {
  const token = tokens[algorithm][number];
  if (token === undefined) throw new Error(`no token ${number} of ${algorithm}`);
  return token;
}

function request(path: string, token?: string, more: Partial<DownstreamRequest> = {}): DownstreamRequest {
  return {
    method: "GET",
    path,
    authority: HOST,
    ...more,
    headers: [
      ["user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"],
      ["accept", "application/json"],
      ["accept-encoding", "gzip, deflate, br"],
      ...(token === undefined ? [] : [["authorization", `Bearer ${token}`] as [string, string]]),
      ...(more.headers ?? []),
    ],
  };
}

/** One rule for an issuer, and a policy that asks for its tokens, except below /public. */
function configurationOf(rule: object, providers = 1): Configuration {
  const resource = (kind: string, spec: object) =>
    JSON.stringify({
      apiVersion: "security.istio.io/v1",
      kind,
      metadata: { name: kind.toLowerCase() },
      spec,
    });
  const jwtRules = Array.from({ length: providers }, (_, i) =>
    i === 0 ? { issuer: ISSUER, jwks: JWKS, ...rule } : { issuer: `${ISSUER}/${i}`, jwks: JWKS },
  );
  const rules = [
    { from: [{ source: { requestPrincipals: [`${ISSUER}/*`] } }] },
    { to: [{ operation: { paths: ["/public/*"] } }] },
    { to: [{ operation: { methods: ["OPTIONS"] } }] },
  ];
  const text = [resource("RequestAuthentication", { jwtRules }), resource("AuthorizationPolicy", { rules })];
  const { configuration } = compile([{ name: "meter.yaml", text: text.join("\n---\n") }], {
    target: "envoy",
  });
  if (configuration === undefined) throw new Error("the meter's policies do not compile");
  return configuration;
}

function repeated(one: DownstreamRequest): DownstreamRequest[] {
  return Array.from({ length: 5 }, () => one);
}

/** @returns the scenarios, in the order of the table */
export function scenarios(): Scenario[] {
  const plain = configurationOf({ forwardOriginalToken: true });
  const changing = configurationOf({
    outputPayloadToHeader: "x-jwt-payload",
    outputClaimToHeaders: [
      { header: "x-user", claim: "sub" },
      { header: "x-email", claim: "email" },
    ],
  });
  const hit = request("/api/items/7", tokenOf("RS256", 0));
  const noToken = request("/public/index.html");
  const expired = request("/api/items/7", tokens.expired[0]);
  const [header, claims] = tokenOf("HS256", 0).split(".");
  const forged = request("/api/items/7", `${header}.${claims}.${tokenOf("HS256", 1).split(".")[2]}`);
  const preflight = request("/api/items/7", undefined, {
    method: "OPTIONS",
    headers: [
      ["origin", "https://app.example"],
      ["access-control-request-method", "GET"],
    ],
  });
  const known = (
    name: string,
    configuration: Configuration,
    one: DownstreamRequest,
    status?: number,
  ): Scenario => ({ name, configuration, before: repeated(one), request: one, ...(status && { status }) });
  return [
    known("hit", plain, hit),
    known("hit that takes the token out and adds three headers", changing, hit),
    ...[1, 10, 1_000, 10_000].map((rules) => {
      const last = targets("exact", rules).at(-1);
      return known(
        `hit, ${rules.toLocaleString("en-US")} ${rules === 1 ? "rule" : "rules"}`,
        compilePolicy(JWKS, "exact", rules),
        request(last?.path ?? "/", tokenOf("RS256", 0)),
      );
    }),
    known("hit, 8 issuers", configurationOf({ forwardOriginalToken: true }, 8), hit),
    ...ALGORITHMS.map((algorithm) => ({
      name: `miss, ${algorithm}`,
      configuration: plain,
      before: [1, 2, 3, 4, 5].map((number) => request("/api/items/7", tokenOf(algorithm, number))),
      request: request("/api/items/7", tokenOf(algorithm, 0)),
    })),
    known("refused, expired token", plain, expired, 401),
    known("refused, forged token", plain, forged, 401),
    known("refused, no token", plain, request("/api/items/7"), 403),
    known("preflight", plain, preflight),
    known("anonymous", plain, noToken),
  ];
}

/**
 * Random policies, and random requests related to them. Everything that a point of docs/strictness.md concerns is left
 * out: tokens are canonical, keys are valid, claims have no control characters, tokens are few and small.
 */

import type { Configuration, Provider } from "../../tools/config/schema.ts";
import { formatDiagnostic } from "../../tools/diagnostics.ts";
import { compile } from "../../tools/targets/compile.ts";
import type { Random } from "../fuzz/random.ts";
import type { Http1Request } from "../support/http1.ts";
import type { JwtRule, Policy, Rule } from "../support/istiod.ts";
import { TestKey } from "../support/tokens.ts";

/** Policies, and what a token needs to be valid under them. */
export interface Gate {
  rules: JwtRule[];
  policies: Policy[];
  /** Tokens that were sent. */
  tokens: string[];
}

const KEYS = [
  TestKey.generate("ES256", "one"),
  TestKey.generate("RS256", "two"),
  TestKey.generate("EdDSA", "three"),
  TestKey.generate("HS256", "one"),
];
const STRANGERS = [TestKey.generate("ES256", "one"), TestKey.generate("RS256", "else")];
const KEY_SETS = new Map<string, TestKey[]>();

const ISSUERS = ["https://a.example", "https://b.example", "c@issuers.example"];
const AUDIENCES = ["api", "https://api.example/", "web"];
const HEADERS: { name: string; prefix?: string }[] = [
  { name: "Authorization", prefix: "Bearer " },
  { name: "authorization", prefix: "Token " },
  { name: "authorization" },
  { name: "x-t" },
  { name: "X-T", prefix: "JWT " },
  { name: "x-t", prefix: "JWT" },
  { name: "x-t", prefix: "Bearer " },
  { name: "x-t-2" },
  { name: "x-t-2", prefix: "a=" },
  { name: "cookie", prefix: "session=" },
  { name: "cookie" },
];
const PARAMETERS = ["access_token", "t", "T"];
const COOKIES = ["session", "s", "S"];
const OUTPUTS = ["x-payload", "x-payload", "x-out", "X-Out", "x-sub", "x-sub", "x-role"];
/** Outputs in headers where tokens are searched for. */
const PLACED_OUTPUTS = ["x-t", "authorization", "x-t-2", "cookie"];
const randomOutput = (random: Random): string => random.pick(random.oneIn(8) ? PLACED_OUTPUTS : OUTPUTS);
const CLAIMS = [
  "sub",
  "role",
  "groups",
  "scope",
  "nested",
  "nested.k",
  "nested.deep.k",
  "azp",
  "absent",
  "aud",
  "level",
];
const SUBJECTS = ["alice", "bob", "a/b", "*"];
const WORDS = ["admin", "user", "read", "write", "admin2"];
/** What is not a token. */
const JUNK = ["", "junk", "a.b", "a.b.c", "e30.e30.", "e30.e30.AAAA", "bm8.bm8.bm8"];
/** Claims that a token may have, and some that it may not. */
const ODD_CLAIMS: object[] = [
  { exp: 4_102_444_800.5 },
  { exp: "4102444800" },
  { exp: -1 },
  { exp: 1e30 },
  { exp: null },
  { nbf: 0 },
  { nbf: "0" },
  { iat: 4_102_444_800 },
  { iat: null },
  { iss: 1 },
  { sub: 1 },
  { sub: null },
  { sub: ["alice"] },
  { jti: 1 },
  { aud: 1 },
  { aud: null },
  { aud: [] },
  { aud: "" },
  { aud: ["api", 1] },
  { aud: "http://api.example" },
  { azp: null },
];
/** Possible values of claims that policies and outputs use. */
const VALUES: Record<string, unknown[]> = {
  role: [...WORDS, "admin user", ["admin", 7], 5, -2.5, true, null, {}, { k: "v" }],
  scope: ["read write", "read", " ", "", "read  write ", ["read", "write x"], 1],
  groups: [["admin", "user"], [], "admin user", [["admin"]], [null, "write"]],
  nested: [{ k: "admin" }, { k: ["user"] }, { deep: { k: 2 ** 40 } }, "admin", []],
  azp: ["web", "admin", ["web"], "web admin"],
  level: [0, 1e21, 0.1, -0, 2 ** 53, false, "é", " padded "],
};
/** Values of the header's `typ`. */
const TYPES = ["JWT", "at+jwt", "application/AT+JWT", "application/x/at+jwt", "at+jwt;v=1", "", 7, null];
const PATHS = ["/", "/admin", "/admin/x", "/public", "/a//b"];
const WRITTEN_PATHS = [
  ...PATHS,
  "/%61dmin",
  "/x/../admin",
  "/admin%2Fx",
  `/${"long/".repeat(60)}`,
  "/Admin;v=1",
];
const METHODS = ["GET", "POST", "PUT", "OPTIONS", "HEAD"];

const optional = <T extends object>(isThere: boolean, part: () => T): T | Record<never, never> =>
  isThere ? part() : {};

/** What TokenPolicies may ask of a provider's tokens. */
export function randomConstraints(random: Random): Partial<Provider> {
  return {
    ...optional(random.oneIn(2), () => ({
      tokenTypes: random.list(1, 2, () => random.pick(["jwt", "at+jwt", "x/at+jwt"])),
      requireTokenType: random.oneIn(2),
    })),
    ...optional(random.oneIn(2), () => ({
      requiredClaims: random.list(1, 2, () => random.pick(["sub", "exp", "iat", "aud", "role", "azp"])),
    })),
    ...optional(random.oneIn(2), () => ({ maxLifetimeSeconds: random.pick([3_600, 4_294_967_295]) })),
    ...optional(random.oneIn(4), () => ({ clockSkewSeconds: random.pick([0, 3600]) })),
  };
}

export function randomGate(random: Random): Gate {
  const rules = random.list(1, 4, () => randomRule(random));
  if (random.oneIn(5)) for (const rule of rules) if (random.oneIn(2)) rule.presence = "REQUIRED";
  return { rules, policies: randomPolicies(random), tokens: [] };
}

/** The compiler's output for the same policies; keys that would be fetched are in the configuration instead. */
export function configurationOf({ rules, policies }: Gate): Configuration {
  const fetched = new Map<string, string>();
  const jwtRules = rules.map((rule, index) => {
    if (rule.issuer !== undefined) return rule;
    // Without an issuer, keys can only be fetched.
    const { jwks, ...others } = rule;
    const jwksUri = `https://keys.example/${index}`;
    fetched.set(jwksUri, jwks);
    return { ...others, jwksUri };
  });
  const resource = (kind: string, name: string, spec: object): string =>
    JSON.stringify({
      apiVersion: "security.istio.io/v1",
      kind,
      metadata: { name, namespace: "foo" },
      spec,
    });
  const text = [
    resource("RequestAuthentication", "a", { jwtRules }),
    ...policies.map(({ name, ...spec }) => resource("AuthorizationPolicy", name, spec)),
  ].join("\n---\n");
  const { configuration, diagnostics } = compile([{ name: "policies.yaml", text }], { target: "envoy" });
  if (configuration === undefined) throw new Error(diagnostics.map(formatDiagnostic).join("\n"));
  for (const provider of configuration.providers ?? []) {
    const { remoteJwks } = provider;
    if (remoteJwks === undefined) continue;
    delete provider.remoteJwks;
    provider.localJwks = JSON.parse(fetched.get(remoteJwks.uri ?? "") ?? "");
  }
  return configuration;
}

function randomRule(random: Random): JwtRule {
  const keys = random.list(1, 2, () => random.pick(KEYS));
  const jwks = JSON.stringify({ keys: keys.map(({ jwk }) => randomJwk(random, jwk)) });
  KEY_SETS.set(jwks, keys);
  const atDefault = random.oneIn(3);
  return {
    ...optional(!random.oneIn(6), () => ({ issuer: random.pick(ISSUERS) })),
    jwks,
    ...optional(random.oneIn(4), () => ({ audiences: random.list(1, 2, () => random.pick(AUDIENCES)) })),
    ...optional(!atDefault, () => ({
      fromHeaders: random.list(1, 2, () => random.pick(HEADERS)),
      fromParams: random.list(0, 2, () => random.pick(PARAMETERS)),
      fromCookies: random.list(0, 2, () => random.pick(COOKIES)),
    })),
    ...optional(random.oneIn(2), () => ({ forwardOriginalToken: random.oneIn(2) })),
    ...optional(random.oneIn(2), () => ({ outputPayloadToHeader: randomOutput(random) })),
    ...optional(random.oneIn(2), () => ({
      outputClaimToHeaders: random.list(1, 3, () => ({
        header: randomOutput(random),
        claim: random.pick(CLAIMS),
      })),
    })),
    ...optional(random.oneIn(5), () => ({ spaceDelimitedClaims: [random.pick(["role", "azp", "groups"])] })),
  };
}

/**
 * A key with or without its own `kid` and `alg`; without `alg` an Ed25519 key answers "wrong length" for others' tokens
 * (S5).
 */
function randomJwk(random: Random, jwk: Record<string, string>): object {
  const { kid, alg, ...others } = jwk;
  return {
    ...others,
    ...optional(!random.oneIn(6), () => ({ kid })),
    ...optional(jwk["kty"] === "OKP" || !random.oneIn(4), () => ({ alg })),
  };
}

function randomPolicies(random: Random): Policy[] {
  return random.list(0, 3, (index) => ({
    name: `p${index}`,
    action: random.pick(["ALLOW", "ALLOW", "DENY", "DENY", "AUDIT"] as const),
    rules: random.list(1, 3, () => randomPolicyRule(random)),
  }));
}

function randomPolicyRule(random: Random): Rule {
  const from = random.list(1, 2, () => ({
    source: negatable(random, "requestPrincipals", "notRequestPrincipals", () => randomPrincipal(random)),
  }));
  const to = random.list(1, 2, () => ({
    operation: random.oneIn(2)
      ? negatable(random, "methods", "notMethods", () => random.pick(METHODS))
      : negatable(random, "paths", "notPaths", () => randomPath(random)),
  }));
  const when = random.list(1, 2, () => {
    const key = random.pick([
      "request.auth.claims[role]",
      "request.auth.claims[scope]",
      "request.auth.claims[groups]",
      "request.auth.claims[nested][k]",
      "request.auth.claims[iss]",
      "request.auth.audiences",
      "request.auth.presenter",
      "request.auth.principal",
      "request.headers[x-sub]",
      "request.headers[X-Out]",
      "request.headers[authorization]",
      "request.headers[x-t]",
    ]);
    const value = (): string =>
      key.endsWith("principal")
        ? randomPrincipal(random)
        : random.pick([...WORDS, ...AUDIENCES, ...SUBJECTS, "ad*", "*min", "https*"]);
    return { key, ...negatable(random, "values", "notValues", value) };
  });
  return {
    ...optional(!random.oneIn(3), () => ({ from })),
    ...optional(random.oneIn(2), () => ({ to })),
    ...optional(random.oneIn(2), () => ({ when })),
  };
}

function negatable<P extends string, N extends string>(
  random: Random,
  positive: P,
  negative: N,
  value: () => string,
): { [name in P | N]?: string[] } {
  const name = random.oneIn(4) ? negative : positive;
  return { [name]: random.list(1, 2, value) } as { [name in P | N]?: string[] };
}

function randomPrincipal(random: Random): string {
  const issuer = random.pick(ISSUERS);
  return random.pick([
    "*",
    `${issuer}/*`,
    `${issuer}/${random.pick(SUBJECTS)}`,
    `*/${random.pick(SUBJECTS)}`,
    "*ice",
    "https://*",
    `${issuer}/al*`,
    `*.example/${random.pick(SUBJECTS)}`,
    issuer,
  ]);
}

function randomPath(random: Random): string {
  return random.pick([...PATHS, "/admin*", "/admin/*", "*/x", "*"]);
}

/** A token that is valid for some provider, or nearly; often one that was sent before. */
function randomToken(random: Random, gate: Gate): string {
  const { rules, tokens } = gate;
  if (tokens.length > 0 && random.oneIn(3)) return random.pick(tokens);
  const token = newToken(random, rules);
  tokens.push(token);
  return token;
}

function newToken(random: Random, rules: JwtRule[]): string {
  if (random.oneIn(12)) return random.pick(JUNK);
  const rule = random.pick(rules);
  const issuer = random.oneIn(6)
    ? random.pick([...ISSUERS, "https://unknown.example", "", undefined])
    : (rule.issuer ?? random.pick(ISSUERS));
  const audience =
    rule.audiences && !random.oneIn(5) ? random.pick(rule.audiences) : random.pick([...AUDIENCES, undefined]);
  const now = Math.floor(Date.now() / 1000);
  const payload = {
    ...(issuer !== undefined && { iss: issuer }),
    ...(!random.oneIn(8) && { sub: random.pick([...SUBJECTS, ""]) }),
    ...(audience !== undefined && { aud: random.oneIn(3) ? [audience, "more"] : audience }),
    ...(random.oneIn(12) && { exp: now - 3600 }),
    ...(random.oneIn(20) && { nbf: now + 3600 }),
    ...(random.oneIn(3) && { iat: now - 60, exp: now + random.pick([1_800, 36_000]) }),
    ...(random.oneIn(20) && random.pick(ODD_CLAIMS)),
    ...Object.fromEntries(
      Object.entries(VALUES)
        .filter(() => random.oneIn(2))
        .map(([name, values]) => [name, random.pick(values)]),
    ),
  };
  const key = random.oneIn(10)
    ? random.pick([...STRANGERS, ...KEYS])
    : random.pick(KEY_SETS.get(rule.jwks) ?? KEYS);
  const kid = random.oneIn(6) ? random.pick([undefined, "", "three"]) : key.kid;
  const typ = random.oneIn(2) ? random.pick(TYPES) : undefined;
  const token = key.token(payload, { ...(kid !== undefined && { kid }), ...(typ !== undefined && { typ }) });
  return random.oneIn(25) ? `${token.slice(0, -5)}AAAAA` : token;
}

/** Where a token may be: at a location of one of the rules, or anywhere. */
function randomPlace(
  random: Random,
  { rules }: Gate,
): ["header", string, string] | ["parameter" | "cookie", string] {
  const rule = random.pick(rules);
  const isDefault = !(rule.fromHeaders?.length || rule.fromParams?.length || rule.fromCookies?.length);
  const headers = isDefault ? HEADERS.slice(0, 1) : (rule.fromHeaders ?? []);
  const parameters = isDefault ? PARAMETERS.slice(0, 1) : (rule.fromParams ?? []);
  const [fromHeaders, fromParams, fromCookies] = random.oneIn(8)
    ? [HEADERS, PARAMETERS, COOKIES]
    : [headers, parameters, rule.fromCookies ?? []];
  const count = fromHeaders.length + fromParams.length + fromCookies.length;
  const index = random.below(count);
  const header = fromHeaders[index];
  if (header !== undefined) return ["header", header.name, header.prefix ?? ""];
  const parameter = fromParams[index - fromHeaders.length];
  if (parameter !== undefined) return ["parameter", parameter];
  return ["cookie", fromCookies[index - fromHeaders.length - fromParams.length] ?? ""];
}

export function randomRequest(random: Random, gate: Gate): Http1Request {
  const headers: [string, string][] = [];
  const parameters: string[] = [];
  const cookies: string[] = [];
  let last = "";
  for (let count = random.pick([0, 1, 1, 1, 1, 2, 2, 3]); count > 0; count--) {
    const token = last !== "" && random.oneIn(5) ? last : randomToken(random, gate);
    last = token;
    const [kind, name, prefix = ""] = randomPlace(random, gate);
    if (kind === "parameter") parameters.push(randomParameter(random, name, token));
    else if (kind === "cookie") cookies.push(random.oneIn(5) ? `${name}="${token}"` : `${name}=${token}`);
    else headers.push([name, randomHeaderValue(random, prefix, token)]);
  }
  if (random.oneIn(8)) headers.push(["authorization", random.pick(["Basic eDp5", "", "Bearer", "bearer x"])]);
  if (random.oneIn(6)) headers.push([random.pick(OUTPUTS), random.pick(["forged", "admin"])]);
  for (const other of ["a=1", "z=2", "b", "", "t;x=1", "c=a%2Eb"]) {
    if (random.oneIn(6)) parameters.splice(random.below(parameters.length + 1), 0, other);
  }
  if (random.oneIn(5)) cookies.push("other=1");
  if (cookies.length > 0) {
    if (random.oneIn(4)) for (const cookie of cookies) headers.push(["cookie", cookie]);
    else headers.push(["cookie", cookies.join("; ")]);
  }
  let method = random.oneIn(3) ? random.pick(METHODS) : "GET";
  if (random.oneIn(10)) {
    method = "OPTIONS";
    headers.push(["origin", random.pick(["https://x.example", ""])]);
    if (!random.oneIn(4)) headers.push(["access-control-request-method", random.pick(["GET", "PUT", ""])]);
  }
  const path = random.pick(WRITTEN_PATHS) + (parameters.length > 0 ? `?${parameters.join("&")}` : "");
  if (random.oneIn(20)) headers.push(["content-type", random.pick(["application/grpc", "application/json"])]);
  return { method, path: random.oneIn(20) ? `${path}#fragment` : path, headers };
}

function randomParameter(random: Random, name: string, token: string): string {
  if (!random.oneIn(5)) return `${name}=${token}`;
  return random.pick([
    name,
    `${name}=`,
    `%${name.charCodeAt(0).toString(16)}${name.slice(1)}`,
    `${name}=${token.replaceAll(".", "%2E")}`,
    `${name.replace(/^./, (first) => `%${first.charCodeAt(0).toString(16)}`)}=${token}`,
    `${name}=${token}&${name}=${token}`,
    `${name}=${token}&${name}=junk`,
    `${name}=junk&${name}=${token}`,
    `${name.toUpperCase()}=${token}`,
  ]);
}

function randomHeaderValue(random: Random, prefix: string, token: string): string {
  // After `session=` white space would be a part of the cookie, and of base64url (S2).
  if (!random.oneIn(6) || prefix.endsWith("=")) return prefix + token;
  return random.pick([
    token,
    `Basic eDp5, ${prefix}${token}`,
    `${prefix} ${token}`,
    `${prefix.toLowerCase()}${token}`,
    `${prefix}`,
    `${prefix}${token}, ${prefix}${token}`,
    `Bearer ${token}`,
  ]);
}

/** Random policies, changes of them, and requests, over few enough values that they often meet. */
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { type CompileResult, compile, INSPECTED } from "../../tools/compile.ts";
import { tlsInfo } from "../../tools/explain/certificate.ts";
import { Gate } from "../../tools/explain/gate.ts";
import { wireText } from "../../tools/host/bytes.ts";
import type { Outcome } from "../../tools/host/host.ts";
import {
  type CompleteListener,
  DEFAULT_LISTENER,
  type DownstreamRequest,
} from "../../tools/host/http-connection-manager.ts";
import { MODULE_FILE } from "../../tools/package.ts";
import type { Random } from "../fuzz/random.ts";

export const MODULE = await WebAssembly.compile(readFileSync(MODULE_FILE));

type Json = Record<string, unknown>;
export type Resource = { apiVersion: string; kind: string; metadata: Json; spec: Json };

const PATHS = ["/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/b/a.html", "/a//b", "/x%41", "/a/[b", "/c/b"];
const PATH_PATTERNS = [
  "/a",
  "/a/",
  "/a*",
  "/a/*",
  "*",
  "*/b",
  "*.html",
  "/a/{*}",
  "/a/{**}",
  "/{*}/b",
  "/{**}/b",
  "/b/{*}",
  "/a/b/*",
  "/b/a.htm*",
];
const HOSTS = ["a.example", "A.Example:80", "b.example", "example", "a.example:8080"];
const HOST_PATTERNS = ["a.example", "a.example:*", "*.example", "*", "example", "b*"];
const METHODS = ["GET", "POST", "OPTIONS", "PUT"];
const METHOD_PATTERNS = ["GET", "POST", "OPTIONS", "*", "P*", "*T"];
const HEADERS = ["x-a", "x-b", "authorization", "x-token", "x-user", "origin"];
const VALUES = ["", "a", "ab", "abc", "b a", "bc", "é", "Bearer x", "alice"];
const VALUE_PATTERNS = ["a", "ab", "a*", "*c", "*", "b a", "bc", "Bearer *", "alice"];
const CLAIMS = ["[sub]", "[iss]", "[scope]", "[roles]", "[perms]", "[a][b]", "[a]", "[exp]"];
const TEXTS = ["", "a", "ab", "a b", "b", " ", "line\nbreak", "é", "alice", "admin"];
const TEXT_PATTERNS = ["a", "ab", "b", "a b", "a*", "*b", "*", "alice", "admin"];
const ISSUERS = ["https://a.example", "https://b.example"];
const PRINCIPALS = ["*", "https://a.example/*", "https://a.example/alice", "*/alice", "https://b.example/a*"];
const AUDIENCES = ["svc", "https://svc/", "other"];
const BLOCKS = ["10.0.0.0/8", "10.0.0.0/24", "10.0.0.1", "10.128.0.0/9", "2001:db8::/33"];
const ADDRESSES = [
  "10.0.0.1",
  "10.0.0.0",
  "10.0.0.255",
  "10.0.1.0",
  "10.127.255.255",
  "10.128.0.0",
  "11.0.0.1",
  "2001:db8::1",
  "2001:db8:8000::",
];
const SANS = [
  "spiffe://cluster.local/ns/foo/sa/bar",
  "spiffe://cluster.local/ns/foo/sa/barn",
  "spiffe://td/ns/foo/x/sa/bar",
  "plain",
];
const PEER_PATTERNS = ["cluster.local/ns/foo/sa/bar", "*", "*/sa/bar", "cluster.local/*"];
const PORTS = ["8080", "80", "8081"];

/** Secrets that are inlined as keys, by their names. */
const SECRETS: Record<string, string> = {
  one: "secret-of-key-number-one-0123456789",
  two: "secret-of-key-number-two-0123456789",
};

function jwks(...names: string[]): string {
  const keys = names.map((kid) => ({
    kty: "oct",
    kid,
    k: Buffer.from(SECRETS[kid] ?? "").toString("base64url"),
  }));
  return JSON.stringify({ keys });
}

function jwtRule(random: Random): Json {
  return {
    issuer: random.pick(ISSUERS),
    jwks: jwks(...random.pick([["one"], ["two"], ["one", "two"]])),
    ...(random.chance(0.3) && { audiences: random.list(1, 2, () => random.pick(AUDIENCES)) }),
    ...(random.chance(0.25) && {
      fromHeaders: [{ name: "x-token" }, ...random.some([{ name: "authorization", prefix: "Bearer " }])],
    }),
    ...(random.chance(0.1) && { fromCookies: ["session"] }),
    ...(random.chance(0.1) && { fromParams: ["t"] }),
    ...(random.chance(0.2) && { forwardOriginalToken: true }),
    ...(random.chance(0.1) && { outputPayloadToHeader: "x-payload" }),
    ...(random.chance(0.15) && {
      outputClaimToHeaders: [{ header: "x-user", claim: random.pick(["sub", "a.b"]) }],
    }),
    ...(random.chance(0.15) && { spaceDelimitedClaims: ["perms"] }),
  };
}

function values(random: Random, list: readonly string[]): string[] {
  return [...new Set(random.list(1, 2, () => random.pick(list)))];
}

function field(random: Random, name: string, list: readonly string[]): Json {
  const not = `not${name[0]?.toUpperCase()}${name.slice(1)}`;
  return { [random.chance(0.75) ? name : not]: values(random, list) };
}

function operation(random: Random): Json {
  const parts = [
    () => field(random, "paths", PATH_PATTERNS),
    () => field(random, "hosts", HOST_PATTERNS),
    () => field(random, "methods", METHOD_PATTERNS),
    () => field(random, "ports", PORTS),
  ];
  return Object.assign(
    {},
    ...random.list(1, 2, () => (random.chance(0.5) ? (parts[0] as () => Json) : random.pick(parts))()),
  );
}

function source(random: Random): Json {
  const parts = [
    () => field(random, "requestPrincipals", PRINCIPALS),
    () => field(random, "remoteIpBlocks", BLOCKS),
    () => field(random, "ipBlocks", BLOCKS),
    () => field(random, "principals", PEER_PATTERNS),
    () => field(random, "namespaces", ["foo", "f*"]),
  ];
  return random.chance(0.6) ? (parts[0] as () => Json)() : random.pick(parts)();
}

function when(random: Random): Json {
  const isNot = random.chance(0.3);
  const make = (key: string, list: readonly string[]) => ({
    key,
    [isNot ? "notValues" : "values"]: values(random, list),
  });
  switch (random.below(6)) {
    case 0:
      return make(`request.headers[${random.pick(HEADERS)}]`, VALUE_PATTERNS);
    case 1:
      return make("request.auth.audiences", AUDIENCES);
    case 2:
      return make("connection.sni", HOST_PATTERNS);
    case 3:
      return make("destination.port", PORTS);
    default:
      return make(`request.auth.claims${random.pick(CLAIMS)}`, TEXT_PATTERNS);
  }
}

function rule(random: Random): Json {
  return {
    ...(random.chance(0.4) && { from: random.list(1, 2, () => ({ source: source(random) })) }),
    ...(random.chance(0.7) && { to: random.list(1, 2, () => ({ operation: operation(random) })) }),
    ...(random.chance(0.5) && { when: random.list(1, 2, () => when(random)) }),
  };
}

/** A few policies that compile. */
export function policies(random: Random): Resource[] {
  const made: Resource[] = [];
  if (random.chance(0.8)) {
    const jwtRules = random.list(1, random.chance(0.3) ? 2 : 1, () => jwtRule(random));
    made.push({
      apiVersion: "security.istio.io/v1",
      kind: "RequestAuthentication",
      metadata: { name: "ra" },
      spec: { jwtRules },
    });
  }
  const count = 1 + random.below(3);
  for (let i = 0; i < count; i++) {
    const annotations = random.chance(0.07) ? { annotations: { "istio.io/dry-run": "true" } } : {};
    made.push({
      apiVersion: "security.istio.io/v1",
      kind: "AuthorizationPolicy",
      metadata: { name: `p${i}`, ...annotations },
      spec: { action: random.pick(["ALLOW", "ALLOW", "DENY"]), rules: random.list(1, 3, () => rule(random)) },
    });
  }
  return made;
}

/** The same policies with one value, list or field changed. */
export function mutated(random: Random, from: readonly Resource[]): Resource[] {
  const copy = structuredClone(from) as Resource[];
  const places: (() => void)[] = [];
  const walk = (value: unknown, path: string): void => {
    if (Array.isArray(value)) {
      if (value.length > 1) places.push(() => value.splice(random.below(value.length), 1));
      if (value.length > 0 && typeof value[0] === "string")
        places.push(() => changeText(random, value, path));
      for (const item of value) walk(item, path);
    } else if (typeof value === "object" && value !== null) {
      const object = value as Json;
      for (const [name, inner] of Object.entries(object)) {
        const opposite = OPPOSITES.get(name);
        if (opposite !== undefined && !(opposite in object)) {
          places.push(() => {
            delete object[name];
            object[opposite] = inner;
          });
        }
        if (OPTIONAL.has(name)) places.push(() => delete object[name]);
        walk(inner, name);
      }
    }
  };
  for (const { spec } of copy) walk(spec, "");
  random.pick(places)?.();
  return copy;
}

const NAMES = [
  "paths",
  "hosts",
  "methods",
  "ports",
  "requestPrincipals",
  "remoteIpBlocks",
  "ipBlocks",
  "principals",
  "namespaces",
];
const OPPOSITES = new Map<string, string>([
  ["values", "notValues"],
  ["notValues", "values"],
  ...NAMES.flatMap((name): [string, string][] => {
    const not = `not${name[0]?.toUpperCase()}${name.slice(1)}`;
    return [
      [name, not],
      [not, name],
    ];
  }),
]);
const OPTIONAL = new Set([
  "audiences",
  "forwardOriginalToken",
  "outputPayloadToHeader",
  "outputClaimToHeaders",
  "fromHeaders",
  "fromCookies",
  "fromParams",
  "spaceDelimitedClaims",
  "when",
  "from",
  "to",
]);

const LISTS: [RegExp, readonly string[]][] = [
  [/aths$/, PATH_PATTERNS],
  [/^(h|notH)osts$/, HOST_PATTERNS],
  [/ethods$/, METHOD_PATTERNS],
  [/orts$/, PORTS],
  [/equestPrincipals$/, PRINCIPALS],
  [/Blocks$/, BLOCKS],
  [/^(p|notP)rincipals$/, PEER_PATTERNS],
  [/amespaces$/, ["foo", "f*"]],
  [/audiences/, AUDIENCES],
  [/alues$/, [...TEXT_PATTERNS, ...VALUE_PATTERNS]],
];

function changeText(random: Random, list: unknown[], name: string): void {
  const [, choices = TEXT_PATTERNS] = LISTS.find(([pattern]) => pattern.test(name)) ?? [];
  list[random.below(list.length)] = random.pick(choices);
}

/** What the policies compile to; undefined if a change made them invalid. */
export function compiled(resources: readonly Resource[]): CompileResult | undefined {
  const text = resources.map((one) => JSON.stringify(one)).join("\n---\n");
  const result = compile([{ name: "p.yaml", text }], { target: INSPECTED });
  return result.configuration ? result : undefined;
}

function claims(random: Random): Json {
  const value = (): unknown => {
    switch (random.below(5)) {
      case 0:
        return random.list(0, 3, () => random.pick<unknown>([...TEXTS, 1]));
      case 1:
        return random.pick<unknown>([1, true, null, { b: random.pick(TEXTS) }, { b: [random.pick(TEXTS)] }]);
      default:
        return random.pick(TEXTS);
    }
  };
  const now = TIME / 1000;
  return {
    ...(random.chance(0.95) && { iss: random.pick([...ISSUERS, ...ISSUERS, "https://c.example"]) }),
    ...(random.chance(0.8) && { sub: random.pick(TEXTS) }),
    ...(random.chance(0.6) && {
      aud: random.pick<unknown>([...AUDIENCES, "svc/", "http://svc", ["x", "svc"], ["other"], []]),
    }),
    ...(random.chance(0.1) && { exp: now + random.pick([-3600, 3600]) }),
    ...(random.chance(0.05) && { nbf: now + 3600 }),
    ...Object.fromEntries(
      ["scope", "roles", "perms", "a"].filter(() => random.chance(0.6)).map((name) => [name, value()]),
    ),
  };
}

/** The time of all requests. */
export const TIME = Date.UTC(2026, 0, 1);

function token(random: Random): string {
  if (random.chance(0.05)) return random.pick(["x", "", "a.b.c"]);
  const kid = random.pick(["one", "two"]);
  const parts = [{ alg: "HS256", ...(random.chance(0.7) && { kid }) }, claims(random)];
  const text = parts.map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
  const secret = random.chance(0.95) ? (SECRETS[kid] ?? "") : "another secret";
  return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
}

export interface Sent {
  request: DownstreamRequest;
  listener: CompleteListener;
}

/** A request, with tokens at any place. */
export function request(random: Random): Sent {
  const headers: [string, string][] = random.list(0, 2, () => [
    random.pick(["x-a", "x-b", "x-user", "x-payload", "origin", "access-control-request-method"]),
    wireText(random.pick(VALUES)),
  ]);
  if (random.chance(0.5))
    headers.push([
      "authorization",
      `${random.pick(["Bearer ", "Bearer ", "Bearer ", "Basic "])}${token(random)}`,
    ]);
  if (random.chance(0.25)) headers.push(["x-token", token(random)]);
  if (random.chance(0.05)) headers.push(["x-token", token(random)]);
  if (random.chance(0.1)) headers.push(["cookie", `session=${token(random)}`]);
  const params = [
    ...(random.chance(0.2) ? [`access_token=${token(random)}`] : []),
    ...(random.chance(0.1) ? [`t=${token(random)}`] : []),
  ];
  const isSidecar = random.chance(0.2);
  if (isSidecar && random.chance(0.8)) headers.push(["x-forwarded-for", random.pick(ADDRESSES)]);
  const path = random.pick(PATHS) + (params.length > 0 ? `?${params.join("&")}` : "");
  const isTls = random.chance(0.3);
  return {
    request: {
      method: random.pick(METHODS),
      path,
      authority: random.pick(HOSTS),
      headers,
      peer: { ip: random.pick(ADDRESSES), port: 1234 },
      ...(isTls && {
        tls: tlsInfo({
          ...(random.chance(0.7) && { serverName: random.pick(["a.example", "b.example"]) }),
          ...(random.chance(0.7) && { uriSans: random.some(SANS) }),
        }),
      }),
    },
    listener: {
      ...DEFAULT_LISTENER,
      mode: isSidecar ? "sidecar" : "gateway",
      address: { ip: "127.0.0.1", port: Number(random.pick(PORTS)) },
    },
  };
}

/** Sends requests to the module with compiled policies. */
export class Sender {
  private readonly gates = new Map<string, Promise<Gate>>();

  constructor(private readonly result: CompileResult) {}

  async send({ request: sent, listener }: Sent): Promise<Outcome> {
    const key = JSON.stringify(listener);
    const { configuration } = this.result;
    if (configuration === undefined) throw new Error("nothing was compiled");
    const gate =
      this.gates.get(key) ??
      Gate.open({ module: MODULE, configuration, listener, documents: new Map(), now: TIME });
    this.gates.set(key, gate);
    return (await gate).send(sent);
  }
}

/** What a client and the upstream see of an outcome. */
export function seen({ answer, upstream }: Outcome): string {
  return JSON.stringify(answer ? [answer.status, answer.body] : upstream);
}

/**
 * Requests that demonstrate the result of a proof: made from a scenario and the values that mattered, and
 * sent to the module that runs in Envoy. Policies name public keys only, so the module gets our own keys
 * instead, the same ones on each side.
 */
import { type Configuration, MAX_CLOCK_SKEW_SECONDS } from "../config/schema.ts";
import { tlsInfo } from "../explain/certificate.ts";
import { Gate } from "../explain/gate.ts";
import { base64UrlEncode, readable, utf8Encode, wireText } from "../host/bytes.ts";
import type { Outcome } from "../host/host.ts";
import {
  type CompleteListener,
  type CompleteRequest,
  DEFAULT_LISTENER,
  DEFAULT_REQUEST,
  normalizePath,
  type PathNormalization,
} from "../host/http-connection-manager.ts";
import { ALGORITHMS, type Algorithm } from "../jwks/algorithms.ts";
import { PrivateKey } from "../token/private-key.ts";
import type { Place } from "./authentication.ts";
import { claimSubject, headerSubject, partsOf } from "./model.ts";
import { keysOf, type Scenario, type ScenarioToken, type TokenClass } from "./scenarios.ts";

/** A token of a witness. */
export interface WitnessToken {
  place: Place;
  /** Its payload; absent if it is not a JWT. */
  claims?: Record<string, unknown>;
  /** Who signed it. */
  signedBy: "a key of the policies" | "another key" | "nobody";
}

/** A request that was sent. */
export interface Witness {
  request: CompleteRequest;
  listener: CompleteListener;
  tokens: WitnessToken[];
}

/** One side's answer to a witness. */
export interface Reply {
  /** Whether the filter allowed it. Undefined: Envoy itself refused it. */
  passed: boolean | undefined;
  /** 200 if it was forwarded. */
  status: number;
  body: string;
  outcome: Outcome;
}

/** The time of every witness: no policy depends on it, and it makes every run the same. */
export const WITNESS_TIME = Date.UTC(2026, 0, 1);

const LIFETIME_S = 3600;
/** Further away than any clock skew. */
const OUT_OF_TIME_S = 2 * MAX_CLOCK_SKEW_SECONDS;
/** None of our keys is secret: no policy trusts what this one signs. */
const UNTRUSTED = "untrusted";

/** The requests that a scenario and examples of what mattered make, the most usual first. */
export class WitnessMaker {
  private readonly keys = new Map<string, Promise<PrivateKey>>();
  private readonly gates = new Map<string, Promise<Gate>>();
  private readonly configurations: readonly Configuration[];

  /**
   * @param module the one that Envoy runs
   * @param sides compiled configurations
   */
  constructor(
    private readonly module: WebAssembly.Module,
    sides: readonly Configuration[],
    private readonly normalization: PathNormalization,
  ) {
    this.configurations = sides.map(withOwnKeys);
  }

  /**
   * @param examples of each subject that mattered (`Space.examples`)
   * @param fill what else is in a request: claims and headers that no condition is about
   */
  async make(
    scenario: Scenario,
    examples: ReadonlyMap<string, readonly string[]>,
    fill: Fill = {},
  ): Promise<Witness[]> {
    const tokens: { token: ScenarioToken; text: string; claims?: Record<string, unknown> }[] = [];
    for (const token of scenario.tokens) {
      const claims = token.token.isMalformed ? undefined : claimsOf(token, examples, fill);
      const text = claims ? await this.sign(token.token, claims) : malformedText(token.place, examples);
      tokens.push({ token, text, ...(claims && { claims }) });
    }
    const shown = tokens.map(({ token: { place, token }, claims }) => ({
      place,
      ...(claims && { claims }),
      signedBy: token.isMalformed
        ? ("nobody" as const)
        : token.key === undefined
          ? ("another key" as const)
          : ("a key of the policies" as const),
    }));
    const texts = tokens.map(({ token: { place }, text }) => ({ place, text }));
    return this.requests(scenario, examples, texts, fill).map((one) => ({ ...one, tokens: shown }));
  }

  private requests(
    scenario: Scenario,
    examples: ReadonlyMap<string, readonly string[]>,
    tokens: readonly { place: Place; text: string }[],
    fill: Fill,
  ): Omit<Witness, "tokens">[] {
    const one = (subject: string) => examples.get(subject)?.[0];
    const method = one("method") ?? (scenario.isPreflight ? "OPTIONS" : DEFAULT_REQUEST.method);
    const path = targetOf(one("path") ?? DEFAULT_REQUEST.path, this.normalization);
    const params = tokens.filter(({ place }) => place.kind === "parameter");
    const query = params.map(({ place, text }) => `${encodeURIComponent(place.name)}=${text}`).join("&");
    const headers = headersOf(scenario, examples, tokens, fill);
    const source = one("sourceIp") ?? one("remoteIp") ?? DEFAULT_REQUEST.peer.ip;
    const remote = one("remoteIp") ?? source;
    const [serverName] = examples.get("sni") ?? [];
    const peer = examples.get("peer") ?? [];
    const isTls =
      (serverName !== undefined && serverName !== "") || peer.length > 0 || one("header::scheme") === "https";
    const request: CompleteRequest = {
      ...DEFAULT_REQUEST,
      method,
      path: query === "" ? path : `${path}?${query}`,
      authority: one("host") ?? DEFAULT_REQUEST.authority,
      headers,
      peer: { ...DEFAULT_REQUEST.peer, ip: source },
      protocol: HTTP1_METHOD.test(method) && /^[\x21-\x7e]+$/.test(path) ? "HTTP/1.1" : "HTTP/2",
      ...(isTls && {
        tls: tlsInfo({
          ...(serverName !== undefined && { serverName }),
          ...(peer.length > 0 && { uriSans: peer.map(readable) }),
        }),
      }),
    };
    const address = {
      ip: one("destinationIp") ?? DEFAULT_LISTENER.address.ip,
      port: Number(one("destinationPort") ?? DEFAULT_LISTENER.address.port),
    };
    const listener = { ...DEFAULT_LISTENER, pathNormalization: this.normalization, address };
    const isForwarded = headers.some(([name]) => name === "x-forwarded-for");
    const forwarded = isForwarded ? headers : [...headers, ["x-forwarded-for", remote] as const];
    const sidecar = {
      request: { ...request, headers: forwarded },
      listener: { ...listener, mode: "sidecar" as const },
    };
    return source === remote ? [{ request, listener }, sidecar] : [sidecar];
  }

  private async sign({ key = UNTRUSTED, constraints }: TokenClass, claims: object): Promise<string> {
    const [typ = "JWT"] = constraints?.tokenTypes ?? [];
    const parts = [{ alg: HMAC.alg, typ }, claims];
    const text = parts.map((part) => base64UrlEncode(utf8Encode(JSON.stringify(part)))).join(".");
    return `${text}.${base64UrlEncode(await (await this.key(key)).sign(text, HMAC))}`;
  }

  private key(name: string): Promise<PrivateKey> {
    const known = this.keys.get(name) ?? PrivateKey.import({ kty: "oct", k: secretOf(name) });
    this.keys.set(name, known);
    return known;
  }

  /** Sends a witness to the module with one side's configuration. */
  async send(side: number, { request, listener }: Pick<Witness, "request" | "listener">): Promise<Reply> {
    const gate = await this.gate(side, listener);
    const outcome = await gate.send(request);
    const { answer, upstream } = outcome;
    const details = answer?.details ?? "";
    const isRefused = /^(jwt_authn_access_denied|rbac_access_denied)/.test(details);
    const passed =
      upstream !== undefined || details === "route_not_found" ? true : isRefused ? false : undefined;
    return {
      passed,
      status: passed ? 200 : (answer?.status ?? 0),
      body: answer && !passed ? readable(answer.body) : "",
      outcome,
    };
  }

  private gate(side: number, listener: CompleteListener): Promise<Gate> {
    const key = JSON.stringify([side, listener]);
    const configuration = this.configurations[side] as Configuration;
    const known =
      this.gates.get(key) ??
      Gate.open({ module: this.module, configuration, listener, documents: new Map(), now: WITNESS_TIME });
    this.gates.set(key, known);
    return known;
  }
}

/** What a request has besides what conditions are about. */
export interface Fill {
  headers?: readonly string[];
  /** Claims, as `outputClaimToHeaders` names them, by slot. */
  claims?: readonly { slot: string; claim: string }[];
}

/** A text that is not a token: what a condition on its header asks for, if there is one. */
function malformedText(
  { kind, name, prefix }: Place,
  examples: ReadonlyMap<string, readonly string[]>,
): string {
  const value = kind === "header" ? examples.get(headerSubject(name))?.[0] : undefined;
  const start = wireText(prefix);
  return value?.startsWith(start) ? value.slice(start.length) : "not-a-token";
}

/** What a client sends so that this path arrives. */
export function targetOf(path: string, normalization: PathNormalization): string {
  if (normalizePath(path, normalization) === path) return path;
  // An escape of a character that needs none is undone, unless its last digit is itself escaped.
  return path.replace(
    /%([0-9A-Fa-f])([0-9A-Fa-f])/g,
    (_, first: string, last: string) => `%${first}%${last.charCodeAt(0).toString(16)}`,
  );
}

const HTTP1_METHOD = /^(GET|HEAD|POST|PUT|DELETE|PATCH|OPTIONS|TRACE)$/;
const HMAC = ALGORITHMS.find(({ kty }) => kty === "oct") as Algorithm;

/** The secret that replaces a key: the same in every run, and different for each key. */
function secretOf(name: string): string {
  return base64UrlEncode(utf8Encode(`jwtgate witness ${name}`));
}

/** The configuration with each key replaced by one of our secrets. */
function withOwnKeys(configuration: Configuration): Configuration {
  if (configuration.providers === undefined) return configuration;
  const providers = configuration.providers.map(({ localJwks, remoteJwks, ...provider }) => {
    const names = keysOf({ ...provider, ...(localJwks && { localJwks }), ...(remoteJwks && { remoteJwks }) });
    const keys = names.map((name) => ({ kty: "oct" as const, alg: HMAC.alg, k: secretOf(name) }));
    return { ...provider, localJwks: { keys } };
  });
  return { ...configuration, providers };
}

/** Headers as a client sends them. */
function headersOf(
  scenario: Scenario,
  examples: ReadonlyMap<string, readonly string[]>,
  tokens: readonly { place: Place; text: string }[],
  { headers: more = [] }: Fill,
): [string, string][] {
  const headers: [string, string][] = [];
  const places = tokens.filter(({ place }) => place.kind === "header");
  for (const { place, text } of places) headers.push([place.name, `${wireText(place.prefix)}${text}`]);
  for (const { place, text } of tokens)
    if (place.kind === "cookie") headers.push(["cookie", `${place.name}=${text}`]);
  for (const [subject, texts] of examples) {
    if (!subject.startsWith("header:") || subject === "header::scheme") continue;
    const name = subject.slice("header:".length);
    if (places.some(({ place }) => place.name === name)) continue;
    for (const text of texts) headers.push([name, text]);
  }
  const has = (name: string) => headers.some(([other]) => other === name);
  for (const name of more) if (!has(name)) headers.push([name, "a"]);
  if (scenario.isPreflight) {
    if (!has("origin")) headers.push(["origin", "https://example.com"]);
    if (!has("access-control-request-method")) headers.push(["access-control-request-method", "GET"]);
  }
  return headers;
}

/** The payload of a token. */
function claimsOf(
  { slot, token }: ScenarioToken,
  examples: ReadonlyMap<string, readonly string[]>,
  fill: Fill,
): Record<string, unknown> {
  const now = WITNESS_TIME / 1000;
  const claims: Record<string, unknown> = {};
  const put = (path: readonly string[], value: unknown): void => {
    let inside = claims;
    for (const name of path.slice(0, -1)) {
      const next = inside[name];
      const isObject = typeof next === "object" && next !== null && !Array.isArray(next);
      const made: Record<string, unknown> = isObject ? (next as Record<string, unknown>) : {};
      define(inside, name, made);
      inside = made;
    }
    define(inside, path.at(-1) ?? "", value);
  };
  if (token.issuer !== undefined) put(["iss"], token.issuer);
  const audience = token.audiences.find(({ isOne }) => isOne)?.of[0];
  if (audience !== undefined) put(["aud"], audience);
  for (const [subject, texts] of examples) {
    const [owner, ...path] = partsOf("claim", subject) ?? [];
    const names = path.map(String);
    if (owner !== slot) continue;
    if (texts.length > 0) put(names, claimValue(names, texts));
    else if (names.length === 1) delete claims[names[0] ?? ""];
  }
  for (const [subject, texts] of examples) {
    const [owner, name] = partsOf("claimtext", subject) ?? [];
    if (owner === slot && texts[0] !== undefined) put([String(name)], readable(texts[0]));
    const [writer, claim] = partsOf("written", subject) ?? [];
    if (writer === slot && claim != null && texts[0] !== undefined) put(claim.split("."), readable(texts[0]));
  }
  for (const { slot: owner, claim } of fill.claims ?? []) {
    const path = claim.split(".");
    if (owner === slot && path[0] !== undefined && !Object.hasOwn(claims, path[0])) put(path, "a");
  }
  const spoilt = token.spoiltClaim?.split(".");
  const text = spoilt && examples.get(claimSubject(slot, spoilt))?.[0];
  if (spoilt) put(spoilt, text === undefined ? "\u0001" : readable(text));
  const { requiredClaims = [], maxLifetimeSeconds = 0 } = token.constraints ?? {};
  // A claim that is there, and that neither conditions nor headers see.
  for (const name of requiredClaims) if (!Object.hasOwn(claims, name)) put([name], "");
  if (token.time === "early") put(["nbf"], now + OUT_OF_TIME_S);
  else if (requiredClaims.includes("nbf")) put(["nbf"], now);
  if (maxLifetimeSeconds > 0 || requiredClaims.includes("iat")) put(["iat"], now);
  const lifetime = maxLifetimeSeconds > 0 ? Math.min(maxLifetimeSeconds, LIFETIME_S) : LIFETIME_S;
  put(["exp"], token.time === "expired" ? now - OUT_OF_TIME_S : now + lifetime);
  return claims;
}

function define(object: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(object, name, { value, enumerable: true, writable: true, configurable: true });
}

/** One text as a string, unless policies would split it; several as a list. */
function claimValue(path: readonly string[], texts: readonly string[]): unknown {
  const [text = ""] = texts;
  const isPlain =
    texts.length === 1 && (path.length > 1 || !/^$| /.test(text) || /^(iss|sub|jti)$/.test(path[0] ?? ""));
  return isPlain ? readable(text) : texts.map(readable);
}

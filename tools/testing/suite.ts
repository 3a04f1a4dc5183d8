/** A file of policy tests, made ready to run: policies compiled, keys made, tokens signed, requests written out. */

import { isIP } from "node:net";
import { dirname } from "node:path";
import { type CompileResult, compile, type SourceFile } from "../compile.ts";
import type { Configuration, Provider } from "../config/schema.ts";
import type { Diagnostic, Position } from "../diagnostics.ts";
import { tlsInfo } from "../explain/certificate.ts";
import type { CompleteRequest, Subject } from "../explain/explain.ts";
import { subjectOf } from "../explain/subject.ts";
import { closest } from "../istio/fields.ts";
import { quote, Report } from "../istio/report.ts";
import { parseYaml, type YamlNode } from "../istio/yaml.ts";
import { normalizeJwks } from "../jwks/normalize.ts";
import { decodePart, encodePart, mint, SigningKey } from "./mint.ts";
import { nodeAt, positionAt, read } from "./read.ts";
import {
  type Case,
  type ChangedToken,
  type Expectation,
  type Key,
  type MintedToken,
  type Placement,
  TestFile,
  type Token,
} from "./schema.ts";
import { parseMoment, parseTime } from "./time.ts";

/** How a suite reads what its file names. Paths are as the user would write them. */
export interface Files {
  policies(paths: readonly string[]): { files: SourceFile[]; diagnostics: Diagnostic[] };
  /** @throws with a message for the user */
  text(path: string): string;
}

/** A test that can be run. */
export interface PreparedCase {
  name: string;
  at: Position;
  request: CompleteRequest;
  expect: Expectation;
  /** Of each thing that is expected, by its path with dots between. */
  positionOf: (...path: string[]) => Position;
  /** Milliseconds since 1970. */
  now: number;
}

export interface Suite {
  file: string;
  subject: Subject;
  cases: PreparedCase[];
  /** Whether the file says when its tests happen, which a real Envoy cannot be told. */
  hasClock: boolean;
  /** Whether the file says which address is listened on. */
  hasAddress: boolean;
}

export interface LoadedSuite {
  /** Absent where there is an error among the diagnostics. */
  suite?: Suite;
  diagnostics: Diagnostic[];
  /** Files that the suite was made of. */
  files: string[];
}

/**
 * @param source the test file
 * @param now milliseconds since 1970, where the file does not say
 */
export function loadSuite(source: SourceFile, files: Files, now: number): LoadedSuite {
  const report = new Report();
  const { documents, diagnostics } = parseYaml(source.name, source.text);
  report.diagnostics.push(...diagnostics);
  const [node, second] = documents;
  if (second)
    report.error(second.at, "a test file is one document: put these tests into a file of their own");
  if (node === undefined) {
    const place = { file: source.name, line: 0, column: 0 };
    if (!report.hasErrors) report.error(place, "there are no tests in this file: write policies: and tests:");
    return { diagnostics: report.diagnostics, files: [source.name] };
  }
  const value = read(node, TestFile, "", report) as TestFile;
  if (report.hasErrors) return { diagnostics: report.diagnostics, files: [source.name] };
  return new Loader(source.name, node, value, files, report).load(now);
}

const DEFAULT_ADDRESS = { ip: "127.0.0.1", port: 8080 };
const DEFAULT_LIFETIME = "in 1h";
const PEER_PORT = 40_000;

class Loader {
  private readonly used: string[];
  private readonly keys = new Map<string, SigningKey>();
  private readonly tokens = new Map<string, string>();
  /** Names of tokens that are being made, for one that is made from itself. */
  private readonly making = new Set<string>();
  private now = 0;

  constructor(
    private readonly file: string,
    private readonly node: YamlNode,
    private readonly value: TestFile,
    private readonly files: Files,
    private readonly report: Report,
  ) {
    this.used = [file];
  }

  load(now: number): LoadedSuite {
    const { value } = this;
    this.now = value.now === undefined ? now : (this.time(value.now, "now") ?? now);
    const compiled = this.compile();
    for (const [name, key] of Object.entries(value.keys ?? {})) this.makeKey(name, key);
    const documents = new Map<string, string>();
    if (compiled?.result.configuration) this.trust(compiled.result.configuration, documents);
    for (const name of Object.keys(value.tokens ?? {})) this.token(name, this.at("tokens", name));
    const cases = value.tests.map((test, index) => this.prepare(test, index));
    const address = this.address();
    const result: LoadedSuite = { diagnostics: this.report.diagnostics, files: this.used };
    if (compiled === undefined || this.report.hasErrors) return result;
    const subject = subjectOf(compiled.result, compiled.sources, value.workload?.namespace, {
      documents,
      listener: {
        mode: value.listener?.mode ?? "gateway",
        pathNormalization: value.listener?.pathNormalization ?? "BASE",
        address,
        localAddress: "127.0.0.1",
      },
      now: this.now,
    });
    const hasClock = value.now !== undefined;
    const hasAddress = value.listener?.address !== undefined;
    return { ...result, suite: { file: this.file, subject, cases, hasClock, hasAddress } };
  }

  private at(...path: (string | number)[]): Position {
    return positionAt(this.node, ...path);
  }

  /** As the user would write it from where the tool runs. */
  private resolve(path: string): string {
    const folder = dirname(this.file);
    return folder === "." || path.startsWith("/") ? path : `${folder}/${path}`;
  }

  private compile(): { result: CompileResult; sources: SourceFile[] } | undefined {
    const sources: SourceFile[] = [];
    const written: YamlNode[] = [];
    for (const [index, entry] of this.value.policies.entries()) {
      const node = nodeAt(this.node, "policies", index);
      if (typeof entry !== "string") {
        if (node) written.push(node);
        continue;
      }
      const { files, diagnostics } = this.files.policies([this.resolve(entry)]);
      for (const { line, message } of diagnostics.filter((diagnostic) => diagnostic.line === 0)) {
        if (line === 0) this.report.error(this.at("policies", index), `${entry}: ${message}`);
      }
      this.report.diagnostics.push(...diagnostics.filter(({ line }) => line > 0));
      sources.push(...files);
    }
    this.used.push(...sources.map(({ name }) => name));
    // Resources of this file keep their places in it.
    if (written.length > 0) sources.push({ name: this.file, text: "", documents: written });
    if (this.report.hasErrors) return undefined;
    const result = compile(sources, { target: "envoy", ...this.value.workload });
    this.report.diagnostics.push(...result.diagnostics);
    return { result, sources };
  }

  private makeKey(name: string, key: Key): void {
    const { alg, kid = name, jwk, file, jwks } = key;
    const at = this.at("keys", name);
    const sources = [jwk, file, jwks].filter((source) => source !== undefined);
    if (sources.length > 1) {
      this.report.error(at, `keys.${name} has several of jwk, file and jwks: keep one`);
    } else if (jwks === undefined) {
      try {
        if (jwk === undefined && file === undefined) {
          this.keys.set(name, SigningKey.generate(alg ?? "RS256", kid));
          return;
        }
        const text = file === undefined ? JSON.stringify(jwk) : this.text(file, at);
        if (text !== undefined)
          this.keys.set(name, SigningKey.from(text, key.kid ?? kidOf(text) ?? name, alg));
      } catch {
        // What the library says may quote the key.
        const where = this.at("keys", name, file === undefined ? "jwk" : "file");
        this.report.error(
          where,
          `keys.${name} is no private key: write PEM, or a JWK with its private members`,
        );
      }
    }
  }

  private text(path: string, at: Position): string | undefined {
    try {
      const resolved = this.resolve(path);
      this.used.push(resolved);
      return this.files.text(resolved);
    } catch (error) {
      this.report.error(at, error instanceof Error ? error.message : String(error));
      return undefined;
    }
  }

  /** Puts the file's keys where the policies look for keys. */
  private trust(configuration: Configuration, documents: Map<string, string>): void {
    const providers = configuration.providers ?? [];
    const chosen = new Map<Provider, { keys: object[]; literal?: string }>();
    for (const [name, { issuer, jwksUri, jwks }] of Object.entries(this.value.keys ?? {})) {
      for (const [field, wanted] of Object.entries({ issuer, jwksUri })) {
        if (wanted === undefined) continue;
        const found = providers.filter((provider) => namesOf(provider, field).includes(wanted));
        if (found.length === 0)
          this.report.error(this.at("keys", name, field), unknownOrigin(field, wanted, providers));
        for (const provider of found) {
          const entry = chosen.get(provider) ?? { keys: [] };
          const jwk = this.keys.get(name)?.jwk;
          if (jwk && !entry.keys.some((other) => JSON.stringify(other) === JSON.stringify(jwk)))
            entry.keys.push(jwk);
          chosen.set(provider, { ...entry, ...(jwks !== undefined && { literal: jwks }) });
        }
      }
    }
    for (const [provider, { keys, literal }] of chosen) {
      const text = literal ?? JSON.stringify({ keys });
      if (provider.remoteJwks) serve(provider, text, documents);
      else this.replace(provider, text);
    }
  }

  private replace(provider: Provider, text: string): void {
    const { keys, problems } = normalizeJwks(text);
    if (keys.length > 0) {
      provider.localJwks = { keys };
      return;
    }
    const [index] = Object.entries(this.value.keys ?? {}).filter(([, key]) => key.jwks === text);
    const at = index ? this.at("keys", index[0], "jwks") : this.at("keys");
    for (const { message } of problems) this.report.error(at, `jwks: ${message}`);
  }

  private time(text: string, ...path: (string | number)[]): number | undefined {
    const time = parseTime(text);
    if (time === undefined) {
      this.report.error(this.at(...path), `${quote(text)} is no time: write it like 2026-01-31T12:00:00Z`);
    }
    return time;
  }

  private moment(text: string, at: Position): number | undefined {
    const time = parseMoment(text, this.now);
    if (time === undefined) {
      this.report.error(at, `${quote(text)} is no time: write "in 5m", "2h ago" or 2026-01-31T12:00:00Z`);
    }
    return time;
  }

  private address(): { ip: string; port: number } {
    const text = this.value.listener?.address;
    if (text === undefined) return DEFAULT_ADDRESS;
    const [, v6, v4, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
    const ip = v6 ?? v4 ?? "";
    if (isIP(ip) !== 0 && Number(port) <= 65_535) return { ip, port: Number(port) };
    this.report.error(this.at("listener", "address"), `${quote(text)} is no address: write IP:PORT`);
    return DEFAULT_ADDRESS;
  }

  /** The token of that name, made once. */
  private token(name: string, at: Position): string {
    const made = this.tokens.get(name);
    if (made !== undefined) return made;
    const tokens = this.value.tokens ?? {};
    const token = Object.hasOwn(tokens, name) ? tokens[name] : undefined;
    if (token === undefined) {
      this.report.error(at, this.unknown("token", name, Object.keys(tokens)));
      return "";
    }
    if (this.making.has(name)) {
      this.report.error(at, `the token ${quote(name)} is made from itself: name another in from`);
      return "";
    }
    this.making.add(name);
    const text = this.makeToken(name, token);
    this.making.delete(name);
    this.tokens.set(name, text);
    return text;
  }

  private unknown(what: string, name: string, names: string[]): string {
    const meant = closest(name, names);
    const advice = meant
      ? `did you mean ${meant}?`
      : `write it under ${what}s, where there is ${names.join(", ") || "none"}`;
    return `there is no ${what} ${quote(name)}: ${advice}`;
  }

  private makeToken(name: string, token: Token): string {
    if (typeof token === "string") return token;
    return "from" in token ? this.changeToken(name, token) : this.mintToken(name, token);
  }

  private mintToken(name: string, token: MintedToken): string {
    const key = this.keys.get(token.key);
    const at = this.at("tokens", name, "key");
    if (key === undefined) {
      const keys = this.value.keys ?? {};
      if (!Object.hasOwn(keys, token.key))
        this.report.error(at, this.unknown("key", token.key, Object.keys(keys)));
      else if (keys[token.key]?.jwks !== undefined)
        this.report.error(at, `the key ${token.key} is a public key set: it signs no token`);
      return "";
    }
    const { alg = key.alg, kid = key.kid, claims = {}, header = {}, without = [] } = token;
    const seconds = (text: string | undefined, field: string) => {
      const time = text === undefined ? undefined : this.moment(text, this.at("tokens", name, field));
      return time === undefined ? undefined : Math.floor(time / 1000);
    };
    const issuer = this.value.keys?.[token.key]?.issuer;
    const times = {
      exp: seconds(token.expires ?? DEFAULT_LIFETIME, "expires"),
      nbf: seconds(token.notBefore, "notBefore"),
      iat: seconds(token.issuedAt, "issuedAt"),
    };
    const payload = omit({ iss: issuer, ...times, ...claims }, without);
    try {
      return mint(key, omit({ alg, kid, typ: "JWT", ...header }, without), payload, alg);
    } catch (error) {
      const reason =
        error instanceof RangeError ? error.message : `${quote(alg)} is no algorithm that can sign`;
      this.report.error(this.at("tokens", name, "alg"), reason);
      return "";
    }
  }

  private changeToken(name: string, change: ChangedToken): string {
    const at = this.at("tokens", name, "from");
    const original = this.token(change.from, at);
    const { claims = {}, header = {}, without = [], signature = "keep", append = "" } = change;
    const [headerPart = "", payloadPart = "", signaturePart = ""] = original.split(".");
    try {
      const encode = (part: string, changes: Record<string, unknown>) => {
        const value = decodePart(part);
        const isTouched =
          Object.keys(changes).length > 0 || without.some((member) => Object.hasOwn(value, member));
        return isTouched ? encodePart(omit({ ...value, ...changes }, without)) : part;
      };
      const kept = signature === "flip" ? flip(signaturePart) : signature === "empty" ? "" : signaturePart;
      return `${encode(headerPart, header)}.${encode(payloadPart, claims)}.${kept}${append}`;
    } catch {
      if (original !== "")
        this.report.error(at, `the token ${quote(change.from)} cannot be read, so it cannot be changed`);
      return "";
    }
  }

  private prepare(test: Case, index: number): PreparedCase {
    const path = (...rest: (string | number)[]) => this.at("tests", index, ...rest);
    const now = test.now === undefined ? this.now : (this.time(test.now, "tests", index, "now") ?? this.now);
    return {
      name: test.name,
      at: path(),
      request: this.request(test, index),
      expect: typeof test.expect === "number" ? { status: test.expect } : test.expect,
      positionOf: (...rest) => path("expect", ...rest),
      now,
    };
  }

  private request({ request = {} }: Case, index: number): CompleteRequest {
    const { method = "GET", path = "/", host = "localhost", peer = "127.0.0.1", body = "" } = request;
    const at = (...rest: (string | number)[]) => this.at("tests", index, "request", ...rest);
    const headers = Object.entries(request.headers ?? {}).flatMap(([name, value]): [string, string][] => {
      if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name))
        this.report.error(at("headers", name), `${quote(name)} is no header's name`);
      return [value].flat().map((text) => {
        if (/[\0\r\n]/.test(text))
          this.report.error(at("headers", name), "a header's value has no line breaks");
        return [bytes(name), bytes(text)];
      });
    });
    if (headers.some(([name]) => name.toLowerCase() === "host")) {
      this.report.error(at("headers"), "write the Host header as `host`, beside `path`");
    }
    if (!/^[A-Z]+$/.test(method))
      this.report.error(at("method"), `${quote(method)} is no method: write it in capital letters`);
    if (/[^\x21-\x7e]/.test(path))
      this.report.error(at("path"), "a path has no spaces and nothing but ASCII: write %20 for a space");
    if (isIP(peer) === 0) this.report.error(at("peer"), `${quote(peer)} is no IP address`);
    const target = { path, headers };
    const placements = request.token === undefined ? [] : [request.token].flat();
    const isList = Array.isArray(request.token);
    for (const [i, placement] of placements.entries()) {
      this.place(placement, target, isList ? at("token", i) : at("token"));
    }
    const { sni, client } = request.tls ?? {};
    const tls = tlsInfo({
      ...(sni !== undefined && { serverName: sni }),
      ...(client && { uriSans: client }),
    });
    return {
      method,
      path: target.path,
      authority: bytes(host),
      headers: target.headers,
      body: bytes(body),
      peer: { ip: peer, port: PEER_PORT },
      protocol: "HTTP/1.1",
      ...(request.tls && { tls }),
    };
  }

  private place(
    placement: Placement,
    target: { path: string; headers: [string, string][] },
    at: Position,
  ): void {
    const { name, header, prefix, param, cookie } =
      typeof placement === "string" ? { name: placement } : placement;
    const places = [header, param, cookie].filter((place) => place !== undefined);
    if (places.length > 1) this.report.error(at, "a token is placed in one of header, param and cookie");
    if (prefix !== undefined && header === undefined)
      this.report.error(at, "prefix goes with header: name the header");
    const token = this.token(name, at);
    if (param !== undefined) {
      target.path += `${target.path.includes("?") ? "&" : "?"}${encodeURIComponent(param)}=${encodeURIComponent(token)}`;
    } else if (cookie !== undefined) {
      target.headers.push(["cookie", `${cookie}=${token}`]);
    } else if (header !== undefined) {
      target.headers.push([bytes(header), bytes(`${prefix ?? ""}${token}`)]);
    } else {
      target.headers.push(["authorization", `Bearer ${bytes(token)}`]);
    }
  }
}

/** The members that have a value and are not left out. */
function omit(members: Record<string, unknown>, without: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(members).filter(([name, value]) => value !== undefined && !without.includes(name)),
  );
}

/** The signature with its first bit changed. */
function flip(signature: string): string {
  const bytes = Buffer.from(signature, "base64url");
  if (bytes[0] !== undefined) bytes[0] ^= 0x80;
  return bytes.toString("base64url");
}

function kidOf(text: string): string | undefined {
  if (!text.trimStart().startsWith("{")) return undefined;
  const { kid } = JSON.parse(text) as { kid?: unknown };
  return typeof kid === "string" ? kid : undefined;
}

/** What a key's `issuer` or `jwksUri` can name of a provider. */
function namesOf({ issuer, remoteJwks }: Provider, field: string): string[] {
  const names = field === "issuer" ? [issuer] : [remoteJwks?.uri, remoteJwks?.discovery?.uri];
  return names.filter((name) => name !== undefined);
}

function unknownOrigin(field: string, wanted: string, providers: readonly Provider[]): string {
  const names = [...new Set(providers.flatMap((provider) => namesOf(provider, field)))];
  const meant = closest(wanted, names);
  const have = meant ? `did you mean ${meant}?` : `there is ${names.join(", ") || "none"}`;
  return `no rule of the policies has the ${field} ${quote(wanted)}: ${have}`;
}

/** Puts a key set where a provider fetches it; with discovery, the document that leads there too. */
function serve({ issuer, remoteJwks }: Provider, text: string, documents: Map<string, string>): void {
  const discovery = remoteJwks?.discovery?.uri;
  const uri = remoteJwks?.uri ?? new URL("/jwtgate-test/jwks.json", discovery).href;
  if (discovery !== undefined) documents.set(discovery, JSON.stringify({ issuer, jwks_uri: uri }));
  documents.set(uri, text);
}

/** A string whose characters are the bytes of its UTF-8. */
function bytes(text: string): string {
  return Buffer.from(text).toString("latin1");
}

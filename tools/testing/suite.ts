/** A file of policy tests, made ready to run: policies compiled, keys made, tokens signed, requests written out. */
import { type CompileResult, compile, type SourceFile } from "../compile.ts";
import type { Diagnostic, Position } from "../diagnostics.ts";
import { isAddress } from "../encoding/address.ts";
import { tlsInfo } from "../explain/certificate.ts";
import type { Subject } from "../explain/explain.ts";
import { subjectOf } from "../explain/subject.ts";
import { wireText } from "../host/bytes.ts";
import { type CompleteRequest, DEFAULT_LISTENER, DEFAULT_REQUEST } from "../host/http-connection-manager.ts";
import { quote, Report } from "../istio/report.ts";
import { parseYaml, type YamlNode } from "../istio/yaml.ts";
import type { PemReader } from "../token/private-key.ts";
import type { Context } from "./context.ts";
import { Keyring } from "./keyring.ts";
import { nodeAt, positionAt, read } from "./read.ts";
import { type Case, type Expectation, type Placement, TestFile } from "./schema.ts";
import { parseTime } from "./time.ts";
import { Tokens } from "./tokens.ts";

/** How a suite reads what its file names. Paths are as the user would write them. */
export interface Files {
  policies(paths: readonly string[]): { files: SourceFile[]; diagnostics: Diagnostic[] };
  /** @throws with a message for the user */
  text(path: string): string;
  /** Reads private keys in PEM. Default: PKCS #8 alone, which is what engines without OpenSSL read. */
  readonly readPem?: PemReader;
}

/**
 * A test that can be run.
 *
 * @internal
 */
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

/** Tests that are ready to run. */
export interface Suite {
  file: string;
  subject: Subject;
  /** @internal */
  cases: PreparedCase[];
  /** Whether the file says when its tests happen, which a real Envoy cannot be told. */
  hasClock: boolean;
  /** Whether the file says which address is listened on. */
  hasAddress: boolean;
}

/** What came of reading a file of tests. */
export interface LoadedSuite {
  /** Absent where there is an error among the diagnostics. */
  suite?: Suite;
  diagnostics: Diagnostic[];
  /** Files that the suite was made of. */
  files: string[];
}

/**
 * Reads a test file, compiles its policies, makes its keys and signs its tokens.
 *
 * @param source the test file
 * @param now milliseconds since 1970, where the file does not say
 */
export async function loadSuite(source: SourceFile, files: Files, now: number): Promise<LoadedSuite> {
  const report = new Report();
  const { documents, diagnostics } = parseYaml(source.name, source.text);
  report.addAll(diagnostics);
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

class Loader implements Context {
  private readonly used: string[];

  constructor(
    private readonly file: string,
    private readonly node: YamlNode,
    private readonly value: TestFile,
    private readonly files: Files,
    readonly report: Report,
  ) {
    this.used = [file];
  }

  async load(now: number): Promise<LoadedSuite> {
    const { value } = this;
    const time = value.now === undefined ? now : (this.time(value.now, "now") ?? now);
    const compiled = this.compile();
    const keyring = await Keyring.open(value.keys ?? {}, this);
    const documents = new Map<string, string>();
    if (compiled?.result.configuration) keyring.trust(compiled.result.configuration, documents);
    const tokens = await Tokens.make(value.tokens ?? {}, value.keys ?? {}, keyring, time, this);
    const cases = value.tests.map((test, index) => this.prepare(test, index, tokens, time));
    const address = this.address();
    const result: LoadedSuite = { diagnostics: this.report.diagnostics, files: this.used };
    if (compiled === undefined || this.report.hasErrors) return result;
    const subject = subjectOf(compiled.result, compiled.sources, value.workload?.namespace, {
      documents,
      listener: {
        mode: value.listener?.mode ?? DEFAULT_LISTENER.mode,
        pathNormalization: value.listener?.pathNormalization ?? DEFAULT_LISTENER.pathNormalization,
        address,
        localAddress: DEFAULT_LISTENER.localAddress,
      },
      now: time,
    });
    const hasClock = value.now !== undefined;
    const hasAddress = value.listener?.address !== undefined;
    return { ...result, suite: { file: this.file, subject, cases, hasClock, hasAddress } };
  }

  get readPem(): PemReader | undefined {
    return this.files.readPem;
  }

  at(...path: (string | number)[]): Position {
    return positionAt(this.node, ...path);
  }

  /** As the user would write it from where the tool runs. */
  private resolve(path: string): string {
    const folder = /^(.*?)\/+[^/]*$/s.exec(this.file)?.[1];
    return folder === undefined || folder === "." || path.startsWith("/") ? path : `${folder}/${path}`;
  }

  text(path: string, at: Position): string | undefined {
    try {
      const resolved = this.resolve(path);
      this.used.push(resolved);
      return this.files.text(resolved);
    } catch (error) {
      this.report.error(at, error instanceof Error ? error.message : String(error));
      return undefined;
    }
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
      const path = this.resolve(entry);
      this.used.push(path);
      const { files, diagnostics } = this.files.policies([path]);
      for (const diagnostic of diagnostics) {
        // What is no place in a file is said where the file is named.
        if (diagnostic.line > 0) this.report.addAll([diagnostic]);
        else this.report.error(this.at("policies", index), `${diagnostic.file}: ${diagnostic.message}`);
      }
      sources.push(...files);
    }
    this.used.push(...sources.map(({ name }) => name));
    // Resources of this file keep their places in it.
    if (written.length > 0) sources.push({ name: this.file, text: "", documents: written });
    if (this.report.hasErrors) return undefined;
    const result = compile(sources, this.value.workload);
    this.report.addAll(result.diagnostics);
    return { result, sources };
  }

  private time(text: string, ...path: (string | number)[]): number | undefined {
    const time = parseTime(text);
    if (time === undefined) {
      this.report.error(this.at(...path), `${quote(text)} is no time: write it like 2026-01-31T12:00:00Z`);
    }
    return time;
  }

  private address(): { ip: string; port: number } {
    const text = this.value.listener?.address;
    if (text === undefined) return DEFAULT_LISTENER.address;
    const [, v6, v4, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
    const ip = v6 ?? v4 ?? "";
    if (isAddress(ip) && Number(port) <= 65_535) return { ip, port: Number(port) };
    this.report.error(this.at("listener", "address"), `${quote(text)} is no address: write IP:PORT`);
    return DEFAULT_LISTENER.address;
  }

  private prepare(test: Case, index: number, tokens: Tokens, time: number): PreparedCase {
    const path = (...rest: (string | number)[]) => this.at("tests", index, ...rest);
    const now = test.now === undefined ? time : (this.time(test.now, "tests", index, "now") ?? time);
    return {
      name: test.name,
      at: path(),
      request: this.request(test, index, tokens),
      expect: typeof test.expect === "number" ? { status: test.expect } : test.expect,
      positionOf: (...rest) => path("expect", ...rest),
      now,
    };
  }

  private request({ request = {} }: Case, index: number, tokens: Tokens): CompleteRequest {
    const { method = "GET", path = "/", host = "localhost", peer = "127.0.0.1", body = "" } = request;
    const at = (...rest: (string | number)[]) => this.at("tests", index, "request", ...rest);
    const headers = Object.entries(request.headers ?? {}).flatMap(([name, value]): [string, string][] => {
      if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name))
        this.report.error(at("headers", name), `${quote(name)} is no header's name`);
      return [value].flat().map((text) => {
        if (/[\0\r\n]/.test(text))
          this.report.error(at("headers", name), "a header's value has no line breaks");
        return [wireText(name), wireText(text)];
      });
    });
    if (headers.some(([name]) => name.toLowerCase() === "host")) {
      this.report.error(at("headers"), "write the Host header as `host`, beside `path`");
    }
    if (!/^[A-Z]+$/.test(method))
      this.report.error(at("method"), `${quote(method)} is no method: write it in capital letters`);
    if (/[^\x21-\x7e]/.test(path))
      this.report.error(at("path"), "a path has no spaces and nothing but ASCII: write %20 for a space");
    if (!isAddress(peer)) this.report.error(at("peer"), `${quote(peer)} is no IP address`);
    const target = { path, headers };
    const placements = request.token === undefined ? [] : [request.token].flat();
    const isList = Array.isArray(request.token);
    for (const [i, placement] of placements.entries()) {
      this.place(placement, tokens, target, isList ? at("token", i) : at("token"));
    }
    const { sni, client } = request.tls ?? {};
    const tls = tlsInfo({
      ...(sni !== undefined && { serverName: sni }),
      ...(client && { uriSans: client }),
    });
    return {
      method,
      path: target.path,
      authority: wireText(host),
      headers: target.headers,
      body: wireText(body),
      peer: { ip: peer, port: DEFAULT_REQUEST.peer.port },
      protocol: "HTTP/1.1",
      ...(request.tls && { tls }),
    };
  }

  private place(
    placement: Placement,
    tokens: Tokens,
    target: { path: string; headers: [string, string][] },
    at: Position,
  ): void {
    const { name, header, prefix, param, cookie } =
      typeof placement === "string" ? { name: placement } : placement;
    const places = [header, param, cookie].filter((place) => place !== undefined);
    if (places.length > 1) this.report.error(at, "a token is placed in one of header, param and cookie");
    if (prefix !== undefined && header === undefined)
      this.report.error(at, "prefix goes with header: name the header");
    const token = tokens.get(name, at);
    if (param !== undefined) {
      target.path += `${target.path.includes("?") ? "&" : "?"}${encodeURIComponent(param)}=${encodeURIComponent(token)}`;
    } else if (cookie !== undefined) {
      target.headers.push(["cookie", `${cookie}=${token}`]);
    } else if (header !== undefined) {
      target.headers.push([wireText(header), wireText(`${prefix ?? ""}${token}`)]);
    } else {
      target.headers.push(["authorization", `Bearer ${wireText(token)}`]);
    }
  }
}

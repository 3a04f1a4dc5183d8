/** A file of policy tests, prepared to run: policies compiled, keys made, tokens signed, requests completed. */
import { type CompileResult, type CompileTarget, compile, INSPECTED, type SourceFile } from "../compile.ts";
import type { Diagnostic, Position } from "../diagnostics.ts";
import { isAddress } from "../encoding/address.ts";
import type { Subject } from "../explain/explain.ts";
import { subjectOf } from "../explain/subject.ts";
import { type CompleteRequest, DEFAULT_LISTENER } from "../host/http-connection-manager.ts";
import type { CompiledProvider } from "../istio/authorization.ts";
import { quote, Report } from "../istio/report.ts";
import { nodeAt, parseYaml, type YamlNode } from "../istio/yaml.ts";
import type { Property as ProvenProperty } from "../prove/property.ts";
import { parseTime, TIME_FORMS } from "../time.ts";
import { type PemReader, PrivateKey } from "../token/private-key.ts";
import type { Context } from "./context.ts";
import { Keyring } from "./keyring.ts";
import type { KeyMaker } from "./mint.ts";
import { positionAt, read } from "./read.ts";
import { completeRequest } from "./request.ts";
import { type Case, type Expectation, type Property, type Request, type Table, TestFile } from "./schema.ts";
import { cellsOf, NO_TOKEN } from "./table.ts";
import { Tokens } from "./tokens.ts";

/** How a suite reads what its file names. Paths are as the user would write them. */
export interface Files {
  /** Reads files and folders of policies. What cannot be read is an error among the diagnostics. */
  policies(paths: readonly string[]): { files: SourceFile[]; diagnostics: Diagnostic[] };
  /**
   * Reads a file.
   * @throws {Error} if it cannot; its message is for the user
   */
  text(path: string): string;
  /** Reads private keys in PEM. Default: only PKCS #8, which engines without OpenSSL read. */
  readonly readPem?: PemReader;
  /** Makes keys that the file only describes. Default: new ones each time. */
  readonly makeKey?: KeyMaker;
}

/**
 * A test that can be run.
 *
 * @internal
 */
export interface PreparedCase {
  name: string;
  /** Name of the table that the test is a cell of. */
  table?: string;
  at: Position;
  /** Why it is skipped. */
  skip?: string;
  /** The position of the `only` that excludes other tests of the file. */
  only?: Position;
  request: CompleteRequest;
  /** The request as it is written in the file. */
  written: Request;
  expect: Expectation;
  /** The position of each expectation, by its path with dots between. */
  positionOf: (...path: string[]) => Position;
  /** Milliseconds since 1970. */
  now: number;
}

/**
 * A property that can be proven.
 *
 * @internal
 */
export interface PreparedProperty extends ProvenProperty {
  name: string;
  at: Position;
  /** Why it is skipped. */
  skip?: string;
}

/** Tests that are ready to run. */
export interface Suite {
  file: string;
  subject: Subject;
  /**
   * The policies, those of other workloads included.
   *
   * @internal
   */
  sources: readonly SourceFile[];
  /** @internal */
  cases: PreparedCase[];
  /** @internal */
  properties: PreparedProperty[];
  /**
   * The content of the file.
   *
   * @internal
   */
  content: TestFile;
  /**
   * Its tokens by their names, as they are sent.
   *
   * @internal
   */
  tokens: ReadonlyMap<string, string>;
  /**
   * Extension providers of CUSTOM policies, which the tests do not ask.
   *
   * @internal
   */
  custom: readonly CompiledProvider[];
  /** How many of the file's tests were not selected, and are not among the cases. */
  unselected: number;
  /** Whether the file sets the time of its tests, which a real Envoy does not support. */
  hasClock: boolean;
  /** Whether the file sets the address of the listener. */
  hasAddress: boolean;
}

/** The result of reading a file of tests. */
export interface LoadedSuite {
  /** Absent if there is an error among the diagnostics. */
  suite?: Suite;
  diagnostics: Diagnostic[];
  /** Files that the suite was made of. */
  files: string[];
}

/**
 * Reads a test file, compiles its policies, makes its keys and signs its tokens.
 *
 * @param source the test file
 * @param files reads what the test file names
 * @param now milliseconds since 1970, if the file sets no time
 * @param target that the policies are compiled for; default: one that warns that tests do not evaluate CUSTOM
 *   policies
 * @returns the suite, or diagnostics with an error
 *
 * @example
 * ```ts
 * import { formatDiagnostic, loadSuite } from "jwtgate";
 *
 * const files = { policies: () => ({ files: [], diagnostics: [] }), text: () => "" };
 * const text = "tests:\n- {name: a, request: {path: /}, expects: 200}";
 * const { suite, diagnostics } = await loadSuite({ name: "a.test.yaml", text }, files, Date.now());
 * console.log(suite, diagnostics.map(formatDiagnostic).some((line) => line.includes("expects"))); // undefined true
 * ```
 */
export async function loadSuite(
  source: SourceFile,
  files: Files,
  now: number,
  target: CompileTarget = TESTED,
): Promise<LoadedSuite> {
  const report = new Report();
  const { documents, diagnostics } = parseYaml(source.name, source.text);
  report.addAll(diagnostics);
  const [node, second] = documents;
  const kind = nodeAt(node, "kind");
  if (node && kind?.kind === "string" && nodeAt(node, "apiVersion") !== undefined) {
    const message = `this is a resource (${kind.value}) and no test: a file of tests names it under policies:, and \`jwtgate new -o policy.yaml\` writes both`;
    report.error(node.at, message);
    return { diagnostics: report.diagnostics, files: [source.name] };
  }
  if (second) report.error(second.at, "a test file is one document: put these tests into a separate file");
  if (node === undefined) {
    const place = { file: source.name, line: 0, column: 0 };
    if (!report.hasErrors)
      report.error(place, "there are no tests in this file: write policies: and tests: or tables:");
    return { diagnostics: report.diagnostics, files: [source.name] };
  }
  const value = read(node, TestFile, "", report) as TestFile;
  if (report.hasErrors) return { diagnostics: report.diagnostics, files: [source.name] };
  return new Loader(source.name, node, value, files, report, target).load(now);
}

/** Tests do not evaluate CUSTOM policies, because the answers of their extension providers are unknown. */
const TESTED: CompileTarget = {
  ...INSPECTED,
  custom: {
    note: (policy) =>
      `${policy} is not evaluated in these tests: they run as if its extension provider allowed every request`,
  },
};

/** Names and indexes that lead to a value of the test file. */
type Path = readonly (string | number)[];

class Loader implements Context {
  private readonly used: string[];

  constructor(
    private readonly file: string,
    private readonly node: YamlNode,
    private readonly value: TestFile,
    private readonly files: Files,
    readonly report: Report,
    private readonly target: CompileTarget,
  ) {
    this.used = [file];
  }

  async load(now: number): Promise<LoadedSuite> {
    const { value } = this;
    const time = this.timeOf(value, now);
    const compiled = this.compile();
    const keyring = await Keyring.open(value.keys ?? {}, this);
    const documents = new Map<string, string>();
    if (compiled?.result.configuration) keyring.trust(compiled.result.configuration, documents);
    const tokens = await Tokens.make(value.tokens ?? {}, value.keys ?? {}, keyring, time, this);
    const cases = this.cases(tokens, time);
    const properties = this.properties();
    const address = this.address();
    const result: LoadedSuite = { diagnostics: withoutDoubles(this.report.diagnostics), files: this.used };
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
    const hasClock = (value.at ?? value.now) !== undefined;
    const hasAddress = value.listener?.address !== undefined;
    const custom = compiled.result.workloads.flatMap((workload) => workload.custom);
    const made = { content: value, tokens: tokens.all, custom, sources: compiled.sources };
    return {
      ...result,
      suite: { file: this.file, subject, cases, properties, ...made, unselected: 0, hasClock, hasAddress },
    };
  }

  get readPem(): PemReader | undefined {
    return this.files.readPem;
  }

  get makeKey(): KeyMaker {
    return this.files.makeKey ?? PrivateKey.generate;
  }

  at(...path: (string | number)[]): Position {
    return positionAt(this.node, ...path);
  }

  /** As the user would write it from the working folder of the tool. */
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
        // A diagnostic without a position is reported where the file is named.
        if (diagnostic.line > 0) this.report.addAll([diagnostic]);
        else this.report.error(this.at("policies", index), `${diagnostic.file}: ${diagnostic.message}`);
      }
      sources.push(...files);
    }
    this.used.push(...sources.map(({ name }) => name));
    // Resources of this file keep their positions in it.
    if (written.length > 0) sources.push({ name: this.file, text: "", documents: written });
    if (this.report.hasErrors) return undefined;
    const result = compile(sources, { ...this.value.workload, target: this.target });
    this.report.addAll(result.diagnostics);
    return { result, sources };
  }

  /** The time of an event. `now` is the former name of `at`. */
  private timeOf(
    { at, now }: { at?: string; now?: string },
    base: number,
    ...path: (string | number)[]
  ): number {
    if (now !== undefined) {
      const place = this.at(...path, "now");
      if (at === undefined) this.report.warning(place, "now: has a new name: write at:");
      else this.report.error(place, "now: is the former name of at:, which is here too: keep at:");
    }
    const text = at ?? now;
    if (text === undefined) return base;
    const time = parseTime(text, base);
    if (time !== undefined) return time;
    const place = this.at(...path, at === undefined ? "now" : "at");
    this.report.error(place, `${quote(text)} is not a time: write ${TIME_FORMS}`);
    return base;
  }

  private address(): { ip: string; port: number } {
    const text = this.value.listener?.address;
    if (text === undefined) return DEFAULT_LISTENER.address;
    const [, v6, v4, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
    const ip = v6 ?? v4 ?? "";
    if (isAddress(ip) && Number(port) <= 65_535) return { ip, port: Number(port) };
    this.report.error(this.at("listener", "address"), `${quote(text)} is not an address: write IP:PORT`);
    return DEFAULT_LISTENER.address;
  }

  /** All tests of the file, those of tables last. */
  private cases(tokens: Tokens, time: number): PreparedCase[] {
    const { tests = [], tables = [] } = this.value;
    const cases = [
      ...tests.map((test, index) => this.prepare(test, ["tests", index], tokens, time)),
      ...tables.flatMap((table, index) => this.table(table, ["tables", index], tokens, time)),
    ];
    const { properties = [] } = this.value;
    if (cases.length === 0 && properties.length === 0 && !this.report.hasErrors) {
      this.report.error(
        this.node.at,
        "there are no tests in this file: write tests:, tables: or properties:",
      );
    }
    return cases;
  }

  private properties(): PreparedProperty[] {
    return (this.value.properties ?? []).flatMap((property, index) => {
      const about = this.compileRules(["properties", index, "rules"]);
      const { skip } = this.choice(property, ["properties", index]);
      const { name, are, tokens = ["none", "valid", "bad"] } = property;
      const at = this.at("properties", index);
      return about ? [{ name, at, are, tokens, about, ...(skip !== undefined && { skip }) }] : [];
    });
  }

  /** The rules of a property, compiled as those of a DENY policy: it matches what they match. */
  private compileRules(path: Path): CompileResult["configuration"] {
    const rules = nodeAt(this.node, ...path);
    if (rules === undefined) return undefined;
    const at = rules.at;
    const text = (value: string): YamlNode => ({ kind: "string", value, at });
    const map = (entries: Record<string, YamlNode>): YamlNode => ({
      kind: "map",
      at,
      entries: new Map(
        Object.entries(entries).map(([name, value]) => [name, { key: { value: name, at }, value }]),
      ),
    });
    const document = map({
      apiVersion: text("security.istio.io/v1"),
      kind: text("AuthorizationPolicy"),
      metadata: map({ name: text("property") }),
      spec: map({ action: text("DENY"), rules }),
    });
    const source = { name: this.file, text: "", documents: [document] };
    const { namespace } = this.value.workload ?? {};
    const result = compile([source], { target: { ...this.target, custom: {} }, namespace });
    this.report.addAll(result.diagnostics);
    return result.configuration;
  }

  private prepare(test: Case, path: Path, tokens: Tokens, time: number): PreparedCase {
    return {
      name: test.name,
      at: this.at(...path),
      written: test.request ?? {},
      request: completeRequest(
        test.request ?? {},
        (...rest) => this.at(...path, "request", ...rest),
        tokens,
        this.report,
      ),
      ...this.expected(test.expect, [...path, "expect"]),
      ...this.choice(test, path),
      now: this.timeOf(test, time, ...path),
    };
  }

  private expected(expect: Case["expect"], path: Path): Pick<PreparedCase, "expect" | "positionOf"> {
    return {
      expect: typeof expect === "number" ? { status: expect } : expect,
      positionOf: (...rest) => this.at(...path, ...rest),
    };
  }

  /** What a test or a table sets about being run. */
  private choice(
    { skip, only }: Pick<Case, "skip" | "only"> | (Pick<Property, "skip"> & { only?: boolean }),
    path: Path,
  ) {
    if (skip !== undefined && skip !== false && only) {
      this.report.error(this.at(...path, "only"), "this has both skip and only: keep one");
    }
    const reason = skip === true ? "skip: true" : skip;
    return {
      ...(typeof reason === "string" && { skip: reason }),
      ...(only && { only: this.at(...path, "only") }),
    };
  }

  /** The cells of a table: a test for each method, path and token. */
  private table(table: Table, path: Path, tokens: Tokens, time: number): PreparedCase[] {
    const at = (...rest: (string | number)[]) => this.at(...path, ...rest);
    const rows = nodeAt(this.node, ...path, "expect");
    const keyOf = (row: string) => (rows?.kind === "map" && rows.entries.get(row)?.key.at) || at("expect");
    const hasNone = Object.hasOwn(this.value.tokens ?? {}, NO_TOKEN);
    const now = this.timeOf(table, time, ...path);
    const choice = this.choice(table, path);
    return cellsOf(table, hasNone, { at, keyOf, report: this.report }).map((cell) => ({
      name: cell.name,
      table: table.name,
      at: at("expect", cell.row, cell.column),
      written: cell.request,
      request: completeRequest(cell.request, cell.at, tokens, this.report),
      ...this.expected(cell.expect, [...path, "expect", cell.row, cell.column]),
      ...choice,
      now,
    }));
  }
}

/** Reports a fault of a part that several cells of a table share only once. */
function withoutDoubles(diagnostics: readonly Diagnostic[]): Diagnostic[] {
  return [...new Map(diagnostics.map((one) => [JSON.stringify(one), one])).values()];
}

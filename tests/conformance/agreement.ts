/** For one text of policies: what `compile` accepts, the filter loads, and every reader of the output reads alike. */
import assert from "node:assert/strict";
import { loadAll } from "js-yaml";
import { review } from "../../tools/check/review.ts";
import type { CompiledWorkload } from "../../tools/compile.ts";
import type { Configuration, RemoteJwks } from "../../tools/config/schema.ts";
import { type Diagnostic, formatDiagnostic } from "../../tools/diagnostics.ts";
import type { Host, HttpCall } from "../../tools/host/host.ts";
import { createNodeHost } from "../../tools/host/node.ts";
import { type CompileOptions, compile } from "../../tools/targets/compile.ts";
import { type TargetName, targetOf } from "../../tools/targets/index.ts";
import { type Files, NotRendered, type Target } from "../../tools/targets/target.ts";
import { MODULE } from "../support/envoy.ts";

const IMAGE = { image: "oci://registry.example/jwtgate:1", mode: "sidecar" };

/** Required options of outputs. */
const OPTIONS: Partial<Record<TargetName, object>> = {
  envoy: {
    listen: { host: "127.0.0.1", port: 0 },
    upstream: { host: "127.0.0.1", port: 9, scheme: "http" },
  },
  wasmplugin: IMAGE,
  trafficextension: IMAGE,
  envoygateway: { image: IMAGE.image },
  higress: { image: IMAGE.image },
};

const FILES: Files = { module: MODULE, exists: () => true, resolve: (path) => path };

/** Messages about a file as a whole. */
const WHOLE_FILE =
  /^(there is no RequestAuthentication and no AuthorizationPolicy here|no policy here is for (this workload|a waypoint))/;

/** Compiles texts and loads the results. */
export class Agreement {
  /** How many configurations were compiled and loaded. */
  accepted = 0;
  /** How many of their key sets are fetched. */
  fetched = 0;
  /** Bootstraps that were written, the latest. */
  readonly bootstraps: string[] = [];

  private constructor(
    private readonly host: Host,
    private readonly calls: HttpCall[],
  ) {}

  static async create(module: WebAssembly.Module): Promise<Agreement> {
    const calls: HttpCall[] = [];
    const fetch = (call: HttpCall) => {
      calls.push(call);
      return new Promise<never>(() => {});
    };
    return new Agreement(await createNodeHost(module, { fetch }), calls);
  }

  /**
   * @param text of a file `a.yaml`
   * @throws if the compiler throws, a message has no place, the filter refuses what was compiled or fetches its keys from
   *   elsewhere, or the output reads as something else
   */
  check(text: string, options: CompileOptions): void {
    const { workloads, diagnostics } = compile([{ name: "a.yaml", text }], options);
    checkPlaces(diagnostics, text);
    const reviewed = review([{ name: "a.yaml", text }]);
    checkPlaces(reviewed.diagnostics, text);
    checkPlaces(reviewed.findings, text);
    const hasError = diagnostics.some(({ severity }) => severity === "error");
    assert.equal(workloads.length > 0, !hasError, "there is a configuration, or an error");
    if (hasError) return;
    for (const { configuration } of workloads) {
      this.accepted++;
      this.load(configuration);
    }
    const target = targetOf(options.target);
    const output = render(target, workloads, options);
    if (output === undefined) return;
    assert.match(output, /^[\n -~]*$/);
    assert.deepEqual(
      configurationsIn(options.target, output),
      workloads.map(({ configuration }) => JSON.parse(JSON.stringify(configuration))),
    );
    if (options.target === "envoy") this.bootstraps.push(output);
  }

  private load(configuration: Configuration): void {
    this.host.logs.length = 0;
    this.calls.length = 0;
    const loaded = this.host.configure(configuration);
    const errors = loaded.logs.filter(({ level }) => level === "error" || level === "critical");
    assert.deepEqual(
      errors.map(({ message }) => message),
      [],
    );
    assert.equal(loaded.trapped, undefined);
    assert.equal(loaded.accepted, true);
    this.host.tick();
    assert.equal(this.host.trapped, undefined);
    const wanted = (configuration.providers ?? []).flatMap(({ remoteJwks }) => remoteJwks ?? []);
    this.fetched += wanted.length;
    const called = new Set(this.calls.map(describeCall));
    assert.deepEqual(called, new Set(wanted.map(describeKeys)));
  }
}

/** @returns undefined if the output cannot be written, which the command reports in one line, ending with 1 */
function render(
  target: Target,
  workloads: readonly CompiledWorkload[],
  { target: name, waypoint }: CompileOptions,
): string | undefined {
  try {
    return target.render(workloads, { ...OPTIONS[name], ...(waypoint && { waypoint }) }, FILES).text;
  } catch (error) {
    if (!(error instanceof NotRendered)) throw error;
    assert.match(error.message, /^error: \S[^\n]*$/);
    return undefined;
  }
}

/** Every message is one line that begins with a position in the text. */
function checkPlaces(diagnostics: readonly Omit<Diagnostic, "severity">[], text: string): void {
  const lines = text.split("\n");
  for (const diagnostic of diagnostics) {
    const line = formatDiagnostic({ ...diagnostic, severity: "error" });
    if (WHOLE_FILE.test(diagnostic.message)) continue;
    assert.match(line, /^a\.yaml:[1-9]\d*:[1-9]\d*: \S/);
    for (const slip of ["undefined", "[object ", "NaN"]) {
      assert.ok(text.includes(slip) || !line.includes(slip), line);
    }
    // A document that ends early may lack something at its end.
    assert.ok(diagnostic.line <= lines.length, line);
    assert.ok(diagnostic.column <= (lines[diagnostic.line - 1] ?? "").length + 1, line);
  }
}

/** The name of the member that holds the filter's configuration; the whole output if absent. */
const MEMBER: Partial<Record<TargetName, string>> = {
  envoy: "configuration",
  ecds: "configuration",
  wasmplugin: "pluginConfig",
  trafficextension: "pluginConfig",
  envoygateway: "config",
  higress: "pluginConfig",
};

function configurationsIn(target: TargetName, output: string): unknown[] {
  const documents = loadAll(output);
  const member = MEMBER[target];
  return member === undefined ? documents : [...members(documents, member)];
}

/** All members of that name, or the JSON in them. */
function* members(within: unknown, name: string): Generator<unknown> {
  if (typeof within !== "object" || within === null) return;
  for (const [key, value] of Object.entries(within)) {
    if (key !== name) yield* members(value, name);
    else if ("@type" in value) yield JSON.parse(value.value);
    else yield value;
  }
}

function describeCall({ cluster, headers }: HttpCall): string {
  const fields = new Map(headers);
  const [path, authority] = [fields.get(":path") ?? "", fields.get(":authority") ?? ""];
  // What Envoy's codec sends as it is (RFC 9112 §3.2, RFC 9110 §7.2).
  assert.match(path, /^\/[!-~]*$/);
  assert.ok(!path.includes("#"), path);
  assert.match(authority, /^[!-~]+$/);
  return `${cluster} ${new URL(`${fields.get(":scheme")}://${authority}${path}`).href}`;
}

function describeKeys({ cluster, uri, discovery }: RemoteJwks): string {
  const url = new URL(uri ?? discovery?.uri ?? "");
  url.hash = "";
  return `${cluster} ${url.href}`;
}

/** Bootstraps as one, with all their listeners and clusters, which are renamed. */
export function inOneBootstrap(texts: readonly string[]): object {
  const bootstraps = texts.map((text) => (loadAll(text) as Bootstrap[])[0] as Bootstrap);
  return {
    ...bootstraps[0],
    layered_runtime: undefined,
    static_resources: {
      listeners: bootstraps.flatMap(({ static_resources: { listeners } }, i) =>
        listeners.map((listener) => ({ ...listener, name: `${i}` })),
      ),
      clusters: bootstraps.flatMap(({ static_resources: { clusters } }, i) =>
        clusters.map((cluster) => ({ ...cluster, name: `${cluster.name}${i === 0 ? "" : ` ${i}`}` })),
      ),
    },
  };
}

interface Bootstrap {
  static_resources: Record<"listeners" | "clusters", ({ name: string } & Record<string, unknown>)[]>;
}

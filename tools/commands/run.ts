/** `jwtgate run`: runs an Envoy with policies before any upstream, and reloads the files when they change. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { Command, Option } from "commander";
import { compile, type SourceMap, WHOLE_ENVOY } from "../compile.ts";
import { policyOf, whoDecided } from "../demo/decision.ts";
import { formatPosition, printable, printableJson, printableLines, type Style } from "../diagnostics.ts";
import { bindFailure } from "../envoy/bind-failure.ts";
import { EnvoyFailure } from "../envoy/process.ts";
import { EnvoyUnavailable, findEnvoy } from "../envoy/provision.ts";
import { ABSENT } from "../render/access-log.ts";
import {
  type Address,
  DEFAULT_MAX_HEAP_BYTES,
  type Mode,
  PATH_NORMALIZATIONS,
  type PathNormalization,
  systemCaFile,
} from "../render/bootstrap.ts";
import { renderExtAuthz } from "../render/ext-authz.ts";
import { type Decision, parseDecision } from "../run/decision-line.ts";
import { type LiveConfiguration, LiveGate, Refused } from "../run/live-gate.ts";
import { MESH_CONFIG_OPTION } from "../targets/envoy.ts";
import {
  checkUpstream,
  UPSTREAM_OPTIONS,
  type UpstreamOptions,
  upstreamOf,
  upstreamUrl,
} from "../targets/upstream.ts";
import { parseHeapSize, parseListenAddress } from "../values.ts";
import { VERSION } from "../version.ts";
import { moduleFile } from "./module.ts";
import { report, serveUnread, tell, UserError } from "./output.ts";
import { checkPemFiles } from "./pem-files.ts";
import { addFileOption, addWorkloadOptions, type PolicyOptions, readMeshConfig } from "./policies.ts";
import { readSources, reasonOf } from "./sources.ts";
import { StopSignal } from "./stop-signal.ts";
import { styleFor } from "./style.ts";
import { optionOf } from "./target-option.ts";
import { see, watchFiles } from "./watch.ts";

interface Options extends PolicyOptions, Partial<UpstreamOptions> {
  file: string[];
  upstream: UpstreamOptions["upstream"];
  listen: Address;
  admin?: Address;
  maxHeapSize: number;
  mode: Mode;
  pathNormalization: PathNormalization;
  jwksCa?: string;
  meshConfig?: string;
  shadow?: boolean;
  json?: boolean;
}

const EXAMPLES = `
Examples:
  Before a service on port 8000; a policy takes effect when you save it:
    $ jwtgate run -f policies/ --upstream 127.0.0.1:8000
  Before a service on the internet, and before one that speaks gRPC:
    $ jwtgate run -f policies/ --upstream https://api.example.com --upstream-host api.example.com
    $ jwtgate run -f policies/ --upstream grpc://127.0.0.1:50051
  For other machines, with each decision as a line of JSON:
    $ jwtgate run -f policies/ --upstream backend:80 --listen 0.0.0.0:8080 --json
  See what policies would refuse, without refusing it:
    $ jwtgate run -f policies/ --upstream 127.0.0.1:8000 --shadow

After an edit with an error, run prints the error, and the previous policies stay in force. Ctrl-C stops Envoy and
removes its files. Envoy is that of ENVOY_BIN or PATH, or is installed once for each user, into the cache folder. Exit
code: 0 after Ctrl-C, or 1 if the policies are wrong or Envoy cannot run, or 2 if the command line is wrong.`;

export function runCommand(): Command {
  const command = new Command("run").description(
    "run Envoy with policies before a service, reloading them when a file changes",
  );
  addFileOption(command);
  for (const option of UPSTREAM_OPTIONS.map(optionOf)) {
    command.addOption(option.makeOptionMandatory(option.long === "--upstream"));
  }
  command
    .addOption(
      new Option("--listen <address>", "IP:PORT to listen on; port 0 is any free one")
        .argParser(parseListenAddress)
        .default({ host: "127.0.0.1", port: 8080 }, "127.0.0.1:8080"),
    )
    .option(
      "--admin <address>",
      "IP:PORT of Envoy's admin interface, which shows secrets and ends Envoy (default: none)",
      parseListenAddress,
    )
    .addOption(
      new Option("--max-heap-size <size>", "Envoy's heap at which it refuses requests, such as 512MiB")
        .argParser(parseHeapSize)
        .default(DEFAULT_MAX_HEAP_BYTES, "2GiB"),
    )
    .option("--shadow", "decide, count and log, but never answer or change a request")
    .option("--json", "print each decision as a line of JSON")
    .option("--jwks-ca <file>", "authorities of the servers that keys are fetched from, PEM")
    .addOption(optionOf(MESH_CONFIG_OPTION))
    .addOption(
      new Option("--mode <mode>", "gateway: at the edge; sidecar: behind a proxy")
        .choices(["gateway", "sidecar"])
        .default("gateway"),
    )
    .addOption(
      new Option("--path-normalization <how>", "as in Istio's mesh config")
        .choices(PATH_NORMALIZATIONS)
        .default("BASE"),
    );
  return addWorkloadOptions(command)
    .optionsGroup("Help:")
    .addHelpText("after", EXAMPLES)
    .action(async (_files: string[], options: Options, self: Command) => {
      if (options.file.includes("-"))
        self.error(
          "error: run watches files for changes, and cannot watch standard input: name a file or a folder",
        );
      const wrong = checkUpstream(options);
      if (wrong !== undefined) self.error(`error: ${wrong}`);
      await serve(options);
    });
}

/** The configuration in force. */
interface Policies extends LiveConfiguration {
  sourceMap: SourceMap;
}

async function serve(options: Options): Promise<void> {
  checkPemFiles(options);
  const module = moduleFile();
  const seen = [see({ paths: options.file, ignore: options.ignore })];
  if (options.meshConfig !== undefined) seen.push(see({ paths: [options.meshConfig] }));
  const first = load(options);
  if (first === undefined) throw new UserError("");
  let inForce = first;
  const stopping = new StopSignal();
  const style = styleFor(process.stdout);
  const onLine = (line: string) => {
    try {
      tellLine(line, inForce, options.json === true, style);
    } catch (error) {
      say(`a line of Envoy's log was not read (${reasonOf(error)}): ${printable(line)}`);
    }
  };
  try {
    const gate = await start(options, module, first, onLine);
    const reload = new Reload(async () => {
      let next: Policies | undefined;
      try {
        next = load(options);
        if (next === undefined) return say("the previous policies stay in force");
        await gate.apply(next);
        inForce = next;
        say(`reloaded: ${summary(next)}`);
      } catch (error) {
        if (stopping.received) return;
        const isUnchanged = next === undefined || error instanceof Refused;
        const outcome = isUnchanged
          ? "the previous policies stay in force"
          : "it is not known which policies are in force: save a file again";
        say(`${reasonOf(error)}; ${outcome}`);
      }
    });
    const unwatch = watchFiles(seen, () => reload.request());
    try {
      const listening = formatAddress({ ...options.listen, port: await gate.port });
      serveUnread();
      say(`${summary(first)}; http://${listening} → ${upstreamUrl(options.upstream)}`);
      if (options.admin !== undefined) say(aboutAdmin(gate.admin, options.admin));
      say("Ctrl-C ends it");
      await Promise.race([stopping.promise, gate.ended]);
      if (!stopping.received) throw new UserError("Envoy ended by itself");
    } finally {
      unwatch();
      await gate.stop();
    }
  } finally {
    stopping.forget();
  }
}

/** Prints a line of Envoy: a decision for a line of its access log, the line itself for its log. */
function tellLine(line: string, inForce: Policies, asJson: boolean, style: Style): void {
  const decision = parseDecision(line, inForce.sourceMap);
  if (decision === undefined) tell(printable(line), process.stderr);
  else if (decision !== "known") tell(asJson ? printableJson(decision) : format(decision, inForce, style));
}

/** What the admin interface shows, and who can see it. */
function aboutAdmin(address: string, { host }: Address): string {
  const isLocal = host.startsWith("127.") || host === "::1";
  const who = isLocal ? "every user and program of this machine" : `everyone who can reach ${address}`;
  return (
    `http://${address} is Envoy's admin interface, without a password: it shows the whole configuration, HMAC secrets ` +
    `included (/config_dump), and ends the gate (/quitquitquit), for ${who}`
  );
}

function formatAddress({ host, port }: Address): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function say(line: string): void {
  tell(`jwtgate: ${printableLines(line)}`, process.stderr);
}

async function start(
  options: Options,
  module: string,
  live: LiveConfiguration,
  onLine: (line: string) => void,
): Promise<LiveGate> {
  const { listen, admin, maxHeapSize, mode, pathNormalization, jwksCa } = options;
  try {
    const binary = await findEnvoy({ progress: say });
    return await LiveGate.start(live, {
      binary,
      upstream: upstreamOf(options, { exists: existsSync, resolve }),
      listen,
      mode,
      pathNormalization,
      maxHeapBytes: maxHeapSize,
      module,
      ...(admin && { admin }),
      jwksCa: jwksCa ?? systemCaFile(existsSync),
      onLine,
    });
  } catch (error) {
    if (error instanceof EnvoyFailure || error instanceof Refused) {
      const failure = bindFailure(error.message);
      if (failure === undefined) throw new UserError(error.message);
      const { address, reason } = failure;
      const option = admin !== undefined && address === formatAddress(admin) ? "--admin" : "--listen";
      throw new UserError(`${option} ${address} ${reason}: choose another with ${option} IP:PORT`);
    }
    if (error instanceof EnvoyUnavailable) throw new UserError(error.message);
    throw error;
  }
}

/** Reads and compiles the policies, and prints diagnostics. @returns undefined if there is an error */
function load({
  file,
  ignore,
  namespace,
  labels,
  gateway,
  rootNamespace,
  shadow,
  meshConfig,
}: Options): Policies | undefined {
  const { files, diagnostics } = readSources(file, { ignore });
  if (report(diagnostics)) return undefined;
  const result = compile(files, {
    target: WHOLE_ENVOY,
    meshConfig: readMeshConfig(meshConfig),
    namespace,
    labels,
    gateway,
    rootNamespace,
    shadow,
    filterState: true,
    compiler: `jwtgate ${VERSION}`,
  });
  if (report(result.diagnostics)) return undefined;
  const [workload] = result.workloads;
  return workload && { ...workload, before: renderExtAuthz(workload.custom) };
}

function summary({ sourceMap: { rules, providers } }: Policies): string {
  const count = (number: number, name: string) => `${number} ${name}${number === 1 ? "" : "s"}`;
  const shown = [
    count(Object.keys(providers).length, "JWT rule"),
    count(Object.keys(rules).length, "authorization rule"),
  ];
  return shown.join(", ");
}

/** Runs reloads one after another: a change during a reload causes another one. */
class Reload {
  private running = false;
  private again = false;

  /** @param work never rejects */
  constructor(private readonly work: () => Promise<void>) {}

  request(): void {
    this.again = true;
    if (!this.running) void this.run();
  }

  private async run(): Promise<void> {
    this.running = true;
    while (this.again) {
      this.again = false;
      await this.work();
    }
    this.running = false;
  }
}

/** `06:12:01 GET /productpage 403 RBAC: access denied, require-jwt (policies.yaml:21:5)` */
function format(decision: Decision, { sourceMap }: Policies, style: Style): string {
  const { time, method, path, status, grpcStatus, details, reason, principal, rule, at } = decision;
  const colour = status > 0 && status < 400 && (grpcStatus ?? 0) === 0 ? style.good : style.bad;
  const answer =
    status === 0 ? ABSENT : grpcStatus === undefined ? `${status}` : `${status} grpc-status ${grpcStatus}`;
  const decidedBy =
    rule === undefined || at === undefined
      ? whoDecided(details, sourceMap)
      : `${policyOf(rule)} (${formatPosition(at)})`;
  const parts = [
    style.faint(time.slice(11, 19) || ABSENT),
    printable(method),
    printable(path),
    colour(printable(reason === undefined ? answer : `${answer} ${reason}`)),
    ...(decidedBy === "" ? [] : [printable(decidedBy)]),
    ...(principal === undefined ? [] : [style.faint(`as ${printable(principal)}`)]),
  ];
  return parts.join(" ");
}

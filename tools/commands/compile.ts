/** `jwtgate compile`: Istio's policies → the filter's configuration, in the form of one of the outputs in `TARGETS`. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { Command, Option } from "commander";
import { type CompiledWorkload, type CompileOptions, compile, type SourceFile } from "../compile.ts";
import { type Diagnostic, diagnosticToJson, printableJson } from "../diagnostics.ts";
import { Excerpts } from "../excerpts.ts";
import { discover } from "../jwks/discovery.ts";
import { MODULE_FILE } from "../package.ts";
import type { Mode } from "../render/bootstrap.ts";
import { TARGETS, type TargetName, targetOf } from "../targets/index.ts";
import { NotRendered, type Rendered, type SharedOptions, type Target } from "../targets/target.ts";
import { parseLabels, parseOrigin } from "../values.ts";
import { VERSION } from "../version.ts";
import { outputFileOption, print, report, tell, UserError, writeUserFile } from "./output.ts";
import { addSourceOptions, readMeshConfig, readPolicies, type SourceChoices } from "./policies.ts";
import { reasonOf } from "./sources.ts";
import { styleFor } from "./style.ts";
import { optionOf } from "./target-option.ts";

interface Options extends Omit<SharedOptions, "mode" | "waypoint">, SourceChoices {
  mode?: Mode | "waypoint";
  ignore?: string[];
  jsonDiagnostics?: boolean;
  output: TargetName;
  namespace?: string;
  labels?: Record<string, string>;
  gateway?: string;
  service?: string;
  serviceEntry?: string;
  rootNamespace?: string;
  shadow?: boolean;
  filterState?: boolean;
  removeLookalikes?: boolean;
  sourceMap?: string;
  meshConfig?: string;
  discover?: boolean;
  jwksHost?: string[];
  allowJwksMetadataService?: boolean;
}

const OUTPUTS = [...TARGETS.values()];

const EXAMPLES = `
Examples:
${OUTPUTS.map(({ example }) => `  ${example}\n`).join("")}
Warnings and errors go to standard error, as FILE:LINE:COLUMN: message. Exit code: 0, or 1 if the policies are
wrong, or 2 if the command line is.`;

export function compileCommand(): Command {
  const names = OUTPUTS.map(({ name }) => name);
  const modes = OUTPUTS.flatMap(({ name, withoutMode }) => (withoutMode ? `${name}: ${withoutMode}` : []));
  const command = new Command("compile").description(
    "compile Istio policies into the filter's configuration, for Envoy or for Istio",
  );
  addSourceOptions(command, true)
    .addOption(
      new Option("--output <what>", OUTPUTS.map(({ name, summary }) => `${name}: ${summary}`).join("; "))
        .choices(names)
        .default(names[0]),
    )
    .addOption(outputFileOption())
    .option("--json-diagnostics", "errors and warnings as JSON on standard error, for programs")
    .option("--source-map <file>", "write which rule came from which line of YAML, as JSON")
    .option(
      "--filter-state",
      "write the principal, the policy and the reason into access logs (docs/observability.md)",
    )
    .option("--remove-lookalikes", "remove X_User too if x-user is an output header (docs/security-model.md)")
    .option("--shadow", "decide, count and log, but never answer or change a request")
    .optionsGroup("Which workload (all policies apply if none of these is given):")
    .option("--namespace <name>", "its namespace, and that of resources without one")
    .option("--labels <labels>", "all its labels, as NAME=VALUE,…", parseLabels)
    .option("--gateway <name>", "the Gateway (gateway.networking.k8s.io) that it belongs to")
    .option("--service <name>", "with --mode waypoint: the Service whose requests pass the waypoint")
    .option(
      "--service-entry <name>",
      "with --mode waypoint: the ServiceEntry whose requests pass the waypoint",
    )
    .option("--root-namespace <name>", "where policies for all namespaces are (default: istio-system)")
    .optionsGroup("Where it runs:")
    .addOption(
      new Option(
        "--mode <mode>",
        `gateway: at the edge; sidecar: next to a workload; waypoint: before services of an ambient mesh (${modes.join("; ")})`,
      ).choices(["gateway", "sidecar", "waypoint"]),
    )
    .optionsGroup("Keys that are fetched (jwksUri, or discovery from the issuer):")
    .option("--jwks-ca <file>", "authorities of the servers' certificates, PEM (default: the system's)")
    .option("--discover", "fetch the issuers' jwks_uri now, and write them into the output")
    .option("--jwks-host <origin...>", "https://HOST[:PORT] that a discovered jwks_uri may name", parseOrigin)
    .option("--allow-jwks-metadata-service", "let keys be fetched from link-local and metadata addresses");
  const own = new Map<Option, readonly Target[]>();
  for (const definition of new Set(OUTPUTS.flatMap(({ options }) => options))) {
    const owners = OUTPUTS.filter(({ options }) => options.includes(definition));
    const option = optionOf(definition);
    command.optionsGroup(`For --output ${namesOf(owners)}:`).addOption(option);
    own.set(option, owners);
  }
  return command
    .optionsGroup("Help:")
    .addHelpText("after", EXAMPLES)
    .action(async (_files: string[], options: Options, command: Command) => {
      const target = targetOf(options.output);
      const wrong = misuse(options, target, own);
      if (wrong !== undefined) command.error(`error: ${wrong}`);
      await run(options, target);
    });
}

/** Reports combinations of options that contradict each other, before anything is read. */
function misuse(
  options: Options,
  target: Target,
  own: ReadonlyMap<Option, readonly Target[]>,
): string | undefined {
  for (const [option, owners] of own) {
    if (option.attributeName() in options && !owners.includes(target)) {
      return `${option.long} belongs to --output ${namesOf(owners)}, and this is --output ${target.name}`;
    }
  }
  return misuseOfWaypoint(options, target) ?? target.check?.(sharedOf(options));
}

/** Reports options that do not apply to a waypoint, or only to one. */
function misuseOfWaypoint(
  { mode, labels, service, serviceEntry }: Options,
  target: Target,
): string | undefined {
  const served = service === undefined ? serviceEntry && "--service-entry" : "--service";
  if (mode !== "waypoint") return served && `${served} needs --mode waypoint`;
  if (target.hasWaypoints !== true) {
    const able = OUTPUTS.filter(({ hasWaypoints }) => hasWaypoints);
    return `--mode waypoint is for --output ${namesOf(able)}, and this is --output ${target.name}`;
  }
  if (labels !== undefined) {
    return "--labels have no effect for a waypoint, which enforces policies by their targetRefs: name the waypoint with --gateway, or a service with --service";
  }
  if (service !== undefined && serviceEntry !== undefined)
    return "--service and --service-entry exclude each other";
  return undefined;
}

/** The options in the form that outputs read. */
function sharedOf({ mode, ...options }: Options): SharedOptions {
  return { ...options, ...(mode === "waypoint" ? { waypoint: true } : mode && { mode }) };
}

function servedBy({ service, serviceEntry }: Options): CompileOptions["service"] {
  if (service !== undefined) return { kind: "Service", name: service };
  return serviceEntry === undefined ? undefined : { kind: "ServiceEntry", name: serviceEntry };
}

/** `a`, `a or b`, `a, b or c`. */
function namesOf(targets: readonly Target[]): string {
  const names = targets.map(({ name }) => name);
  const last = names.pop();
  return names.length === 0 ? `${last}` : `${names.join(", ")} or ${last}`;
}

async function run(options: Options, target: Target): Promise<void> {
  if (!options.jsonDiagnostics) return compileAll(options, target, reportLines);
  const all: Diagnostic[] = [];
  try {
    await compileAll(options, target, (diagnostics) => {
      all.push(...diagnostics);
      return diagnostics.some(({ severity }) => severity === "error");
    });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const message = error.message.replace(/^error: /, "");
    if (message !== "") all.push({ file: "", line: 0, column: 0, severity: "error", message });
    throw new UserError("");
  } finally {
    tell(printableJson({ diagnostics: all.map(diagnosticToJson) }, 2), process.stderr);
  }
}

/** Reports diagnostics. @returns whether there is an error among them */
type Reporter = (diagnostics: readonly Diagnostic[], files: readonly SourceFile[]) => boolean;

/**
 * On a terminal, with the lines of the sources. Programs that parse `FILE:LINE:COLUMN: message` get only these lines.
 */
const reportLines: Reporter = (diagnostics, files) =>
  report(
    diagnostics,
    process.stderr.isTTY ? { excerpts: new Excerpts(files), style: styleFor(process.stderr) } : undefined,
  );

async function compileAll(options: Options, target: Target, report: Reporter): Promise<void> {
  const { files, diagnostics } = await readPolicies(options);
  if (report(diagnostics, files)) throw new UserError("");
  const compileOptions: CompileOptions = {
    target,
    namespace: options.namespace,
    labels: options.labels,
    gateway: options.gateway,
    waypoint: options.mode === "waypoint",
    service: servedBy(options),
    rootNamespace: options.rootNamespace,
    shadow: options.shadow,
    filterState: options.filterState,
    removeLookalikes: options.removeLookalikes,
    compiler: `jwtgate ${VERSION}`,
    jwksHosts: options.jwksHost,
    allowMetadataService: options.allowJwksMetadataService,
    meshConfig: readMeshConfig(options.meshConfig),
  };
  const discovered = options.discover ? await discoverAll(files, compileOptions, options.jwksCa) : undefined;
  const result = compile(files, { ...compileOptions, discovered });
  if (report(result.diagnostics, files)) throw new UserError("");
  const { text } = render(target, result.workloads, options);
  if (options.sourceMap !== undefined) await writeSourceMap(options.sourceMap, result.workloads);
  await print(text);
}

/** Reads the discovery document of every issuer whose keys it names. */
async function discoverAll(
  files: SourceFile[],
  options: CompileOptions,
  caFile: string | undefined,
): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const { configuration } of compile(files, options).workloads) {
    for (const { issuer, remoteJwks } of configuration.providers ?? []) {
      const uri = remoteJwks?.discovery?.uri;
      if (uri === undefined || issuer === undefined || Object.hasOwn(found, uri)) continue;
      try {
        found[uri] = await discover(uri, issuer, {
          caFile,
          allowMetadataService: options.allowMetadataService,
        });
      } catch (error) {
        throw new UserError(`error: --discover: ${uri}: ${reasonOf(error)}`);
      }
    }
  }
  return found;
}

function render(target: Target, workloads: readonly CompiledWorkload[], options: Options): Rendered {
  try {
    return target.render(workloads, sharedOf(options), { module: MODULE_FILE, exists: existsSync, resolve });
  } catch (error) {
    throw error instanceof NotRendered ? new UserError(error.message) : error;
  }
}

async function writeSourceMap(file: string, workloads: readonly CompiledWorkload[]): Promise<void> {
  const sourceMap = {
    rules: Object.assign({}, ...workloads.map((workload) => workload.sourceMap.rules)),
    providers: Object.assign({}, ...workloads.map((workload) => workload.sourceMap.providers)),
    constraints: Object.assign({}, ...workloads.map((workload) => workload.sourceMap.constraints)),
  };
  await writeUserFile("the source map", file, `${JSON.stringify(sourceMap, null, 2)}\n`);
}

/** `jwtgate compile`: Istio's policies → the filter's configuration, an Envoy bootstrap, or Istio's WasmPlugin. */
import { existsSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { Command, Option } from "commander";
import {
  type CompiledWorkload,
  type CompileOptions,
  type CompileResult,
  compile,
  type SourceFile,
} from "../compile.ts";
import { asciiJson } from "../diagnostics.ts";
import { discover } from "../jwks/discovery.ts";
import { MODULE_FILE, VERSION } from "../package.ts";
import {
  type Address,
  type Mode,
  PATH_NORMALIZATIONS,
  type PathNormalization,
  printBootstrap,
  renderBootstrap,
} from "../render/bootstrap.ts";
import { renderKeyServers } from "../render/key-servers.ts";
import { isForGateway, printResources, renderWasmPlugin } from "../render/wasmplugin.ts";
import { print, report, UserError } from "./output.ts";
import { readSources, reasonOf } from "./sources.ts";
import {
  parseAddress,
  parseHeapSize,
  parseImage,
  parseLabels,
  parseListenAddress,
  parseOrigin,
  parseSha256,
} from "./values.ts";

type Target = "config" | "envoy" | "wasmplugin";

interface Options {
  file: string[];
  output: Target;
  namespace?: string;
  labels?: Record<string, string>;
  gateway?: string;
  rootNamespace?: string;
  shadow?: boolean;
  filterState?: boolean;
  removeLookalikes?: boolean;
  sourceMap?: string;
  mode?: Mode;
  listen?: Address;
  upstream?: Address;
  admin?: Address;
  maxHeapSize?: number;
  pathNormalization?: PathNormalization;
  module?: string;
  tlsCert?: string;
  tlsKey?: string;
  tlsClientCa?: string;
  image?: string;
  sha256?: string;
  jwksCa?: string;
  discover?: boolean;
  jwksHost?: string[];
  allowJwksMetadataService?: boolean;
}

/** Options that only one output has, by the name of their value. */
const ONLY: Record<string, Target> = {
  listen: "envoy",
  upstream: "envoy",
  admin: "envoy",
  maxHeapSize: "envoy",
  pathNormalization: "envoy",
  module: "envoy",
  tlsCert: "envoy",
  tlsKey: "envoy",
  tlsClientCa: "envoy",
  image: "wasmplugin",
  sha256: "wasmplugin",
};

const EXAMPLES = `
Examples:
  Check policies, and see the filter's configuration:
    $ jwtgate compile -f policies/
  A gateway before a service on port 8000:
    $ jwtgate compile -f policies/ --output envoy --listen 127.0.0.1:8080 --upstream 127.0.0.1:8000 > envoy.yaml
    $ envoy --config-path envoy.yaml
  The plugin for a workload in a mesh:
    $ jwtgate compile -f policies/ --output wasmplugin --mode sidecar --namespace foo --labels app=httpbin \\
        --image oci://registry.example.com/jwtgate:${VERSION} | kubectl apply -f -

Warnings and errors go to standard error, as FILE:LINE:COLUMN: message. Exit code: 0, or 1 where the policies are
wrong, or 2 where the command line is.`;

export function compileCommand(): Command {
  return new Command("compile")
    .description("compile Istio policies into the filter's configuration, for Envoy or for Istio")
    .requiredOption("-f, --file <path...>", "YAML files, folders, or - for standard input")
    .addOption(
      new Option(
        "--output <what>",
        "config: the filter's JSON; envoy: a whole bootstrap; wasmplugin: Istio resources",
      )
        .choices(["config", "envoy", "wasmplugin"])
        .default("config"),
    )
    .option("--source-map <file>", "write which rule came from which line of YAML, as JSON")
    .option(
      "--filter-state",
      "tell access logs the principal, the policy and the reason (docs/observability.md)",
    )
    .option(
      "--remove-lookalikes",
      "remove X_User too where x-user is an output header (docs/security-model.md)",
    )
    .option("--shadow", "decide, count and log, but never answer or change a request")
    .optionsGroup("Which workload (all policies apply where none of these is given):")
    .option("--namespace <name>", "its namespace; also that of resources that name none")
    .option("--labels <labels>", "all its labels, as NAME=VALUE,…", parseLabels)
    .option("--gateway <name>", "the Gateway (gateway.networking.k8s.io) that it is an instance of")
    .option("--root-namespace <name>", "where policies for all namespaces are (default: istio-system)")
    .optionsGroup("Where it runs:")
    .addOption(
      new Option(
        "--mode <mode>",
        "gateway: at the edge; sidecar: beside a workload (envoy: gateway where not said; wasmplugin: must be said)",
      ).choices(["gateway", "sidecar"]),
    )
    .optionsGroup("Keys that are fetched (jwksUri, or discovery from the issuer):")
    .option("--jwks-ca <file>", "authorities of the servers' certificates, PEM (default: the system's)")
    .option("--discover", "ask issuers for their jwks_uri now, and write it down")
    .option("--jwks-host <origin...>", "https://HOST[:PORT] that a discovered jwks_uri may name", parseOrigin)
    .option("--allow-jwks-metadata-service", "let keys be fetched from link-local and metadata addresses")
    .optionsGroup("For --output envoy:")
    .option("--listen <address>", "IP:PORT to listen on", parseListenAddress)
    .option("--upstream <address>", "HOST:PORT of the service behind", parseAddress)
    .option(
      "--admin <address>",
      "IP:PORT of Envoy's admin interface (none where not said)",
      parseListenAddress,
    )
    .addOption(
      new Option("--path-normalization <how>", "as in Istio's mesh config (default: BASE)").choices(
        PATH_NORMALIZATIONS,
      ),
    )
    .option(
      "--max-heap-size <size>",
      "Envoy's heap at which it refuses requests, such as 512MiB (default: 2GiB)",
      parseHeapSize,
    )
    .option("--module <path>", "jwtgate.wasm as Envoy will see it (default: the one of this package)")
    .option("--tls-cert <file>", "listen with TLS: certificate chain, PEM")
    .option("--tls-key <file>", "its private key, PEM")
    .option("--tls-client-ca <file>", "clients must have a certificate of this authority (mutual TLS), PEM")
    .optionsGroup("For --output wasmplugin:")
    .option("--image <url>", "where the cluster finds the module: oci://…, https://…, file://…", parseImage)
    .option("--sha256 <digest>", "of what --image names", parseSha256)
    .optionsGroup("Help:")
    .addHelpText("after", EXAMPLES)
    .action(async (options: Options, command: Command) => {
      checkUsage(options, command);
      await run(options);
    });
}

/** Refuses combinations that mean nothing, before anything is read. */
function checkUsage(options: Options, command: Command): void {
  const wrong = (message: string): never => command.error(`error: ${message}`);
  for (const [name, target] of Object.entries(ONLY)) {
    if (name in options && options.output !== target) {
      const flag = command.options.find((option) => option.attributeName() === name)?.long;
      wrong(`${flag} belongs to --output ${target}, and this is --output ${options.output}`);
    }
  }
  if (options.output === "envoy" && (!options.listen || !options.upstream)) {
    wrong("--output envoy needs --listen IP:PORT and --upstream HOST:PORT");
  }
  if ((options.tlsCert === undefined) !== (options.tlsKey === undefined))
    wrong("--tls-cert and --tls-key go together");
  if (options.tlsClientCa !== undefined && options.tlsCert === undefined) {
    wrong("--tls-client-ca needs --tls-cert and --tls-key: clients show certificates in TLS only");
  }
}

async function run(options: Options): Promise<void> {
  const { files, diagnostics } = readSources(options.file);
  if (report(diagnostics)) throw new UserError("");
  const compileOptions: CompileOptions = {
    target: options.output,
    namespace: options.namespace,
    labels: options.labels,
    gateway: options.gateway,
    rootNamespace: options.rootNamespace,
    shadow: options.shadow,
    filterState: options.filterState,
    removeLookalikes: options.removeLookalikes,
    compiler: `jwtgate ${VERSION}`,
    jwksHosts: options.jwksHost,
    allowMetadataService: options.allowJwksMetadataService,
  };
  const discovered = options.discover ? await discoverAll(files, compileOptions, options.jwksCa) : undefined;
  const result = compile(files, { ...compileOptions, discovered });
  if (report(result.diagnostics)) throw new UserError("");
  const text = render(result, options);
  if (options.sourceMap !== undefined) writeSourceMap(options.sourceMap, result.workloads);
  await print(text);
}

/** Reads the discovery document of every issuer whose keys are to be found so. */
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

function render({ workloads, configuration }: CompileResult, options: Options): string {
  if (options.output === "wasmplugin") return renderPlugins(workloads, options);
  if (configuration === undefined) throw new Error("a compilation without an error has a configuration");
  if (options.output === "config") return `${asciiJson(configuration, 2)}\n`;
  const { listen, upstream, admin, maxHeapSize, mode = "gateway", pathNormalization = "BASE" } = options;
  if (!listen || !upstream) throw new Error("checkUsage has seen to these");
  const message = renderBootstrap(configuration, {
    listen,
    upstream,
    mode,
    pathNormalization,
    module: moduleFile(options.module),
    ...(admin && { admin }),
    ...(maxHeapSize !== undefined && { maxHeapBytes: maxHeapSize }),
    ...(options.jwksCa !== undefined && { jwksCa: resolve(options.jwksCa) }),
    ...tls(options),
  });
  return printBootstrap(message, VERSION);
}

/** As Envoy will see it; without --module it must be there already. */
function moduleFile(chosen: string | undefined): string {
  if (chosen !== undefined) return resolve(chosen);
  if (!existsSync(MODULE_FILE)) throw new UserError(`${MODULE_FILE} is not there yet: run \`npm run build\``);
  return MODULE_FILE;
}

function tls({ tlsCert, tlsKey, tlsClientCa }: Options) {
  if (tlsCert === undefined || tlsKey === undefined) return {};
  return {
    tls: {
      certificate: resolve(tlsCert),
      key: resolve(tlsKey),
      ...(tlsClientCa !== undefined && { clientCa: resolve(tlsClientCa) }),
    },
  };
}

/** Stands where the user has to put a place of their own. */
const PLACEHOLDER_IMAGE = `oci://registry.example.com/jwtgate:${VERSION}`;

function renderPlugins(workloads: readonly CompiledWorkload[], options: Options): string {
  const { mode, sha256, image = PLACEHOLDER_IMAGE } = options;
  const resources = workloads.flatMap(({ selection, configuration }) => {
    if (selection === undefined) return [];
    if (mode === undefined && !isForGateway(selection)) {
      throw new UserError(
        "error: --output wasmplugin needs --mode gateway or --mode sidecar: Istio runs a plugin without it on a sidecar's calls outwards too, and a gateway counts as the client side; only where every policy's targetRefs name a Gateway is it clear",
      );
    }
    return [
      renderWasmPlugin(selection, configuration, { image, ...(sha256 && { sha256 }), ...(mode && { mode }) }),
      ...renderKeyServers(configuration, {
        namespace: selection.namespace,
        ...(options.jwksCa !== undefined && { caFile: options.jwksCa }),
      }),
    ];
  });
  if (options.image === undefined) {
    process.stderr.write(
      `warning: the plugin's url is ${image}, which is no real place: say --image with the one that you pushed the module to\n`,
    );
  }
  return printResources(resources, VERSION);
}

function writeSourceMap(file: string, workloads: readonly CompiledWorkload[]): void {
  const sourceMap = {
    rules: Object.assign({}, ...workloads.map((workload) => workload.sourceMap.rules)),
    providers: Object.assign({}, ...workloads.map((workload) => workload.sourceMap.providers)),
  };
  try {
    writeFileSync(file, `${JSON.stringify(sourceMap, null, 2)}\n`);
  } catch (error) {
    throw new UserError(`${file}: the source map cannot be written: ${reasonOf(error)}`);
  }
}

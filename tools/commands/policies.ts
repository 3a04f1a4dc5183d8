/** The options that commands for policies share: which files, and which workload. */
import type { Command } from "commander";
import { type CompileOptions, type CompileResult, compile, INSPECTED, type SourceFile } from "../compile.ts";
import { collect, parseLabels } from "../values.ts";
import { VERSION } from "../version.ts";
import { type ClusterOptions, readCluster } from "./cluster.ts";
import { nameOf, readText } from "./input.ts";
import { report, UserError } from "./output.ts";
import { readSources, type Sources } from "./sources.ts";

export interface PolicyOptions extends SourceChoices {
  ignore?: string[];
  namespace?: string;
  labels?: Record<string, string>;
  gateway?: string;
  rootNamespace?: string;
}

const WHAT_IS_READ = "YAML files, folders, globs in quotes, or - for standard input";

/** Adds `-f`, which is required, and `--ignore`. */
export function addFileOption(command: Command): Command {
  return addFileOptions(command).hook("preAction", (one) => {
    if (one.opts<SourceChoices>().file === undefined)
      one.error("error: name the policies: a file, a folder, or a glob in quotes");
  });
}

/** Adds `-f`, the same files as arguments, and `--ignore`. */
export function addFileOptions(command: Command, what = WHAT_IS_READ): Command {
  return addIgnoreOption(
    command.argument("[file...]", "the same as -f").option("-f, --file <path...>", what),
  ).hook("preAction", (one) => {
    if (one.args.length === 0) return;
    one.setOptionValue("file", [...(one.opts<SourceChoices>().file ?? []), ...one.args]);
  });
}

/** Adds `--ignore`. */
export function addIgnoreOption(command: Command): Command {
  return command.option(
    "--ignore <glob>",
    "leave out files and folders of this name or path; may be repeated",
    collect,
  );
}

/** Where policies come from, if other sources than files are possible. */
export interface SourceChoices extends ClusterOptions {
  file?: string[];
  fromCluster?: boolean;
}

/** Adds files, as options or arguments, or `--from-cluster`. @param isPiped whether standard input is read without them, as in `kubectl get … | jwtgate` */
export function addSourceOptions(command: Command, isPiped: boolean): Command {
  addFileOptions(command, `${WHAT_IS_READ}${isPiped ? " (default: what is piped in)" : ""}`);
  return addClusterOptions(command).hook("preAction", (one) => {
    const options = one.opts<SourceChoices>();
    const wrong = misuseOfCluster(options);
    if (wrong !== undefined) one.error(`error: ${wrong}`);
    if (options.file !== undefined || options.fromCluster) return;
    if (!isPiped || process.stdin.isTTY) {
      const rest = isPiped ? ", or pipe them in" : "";
      one.error(`error: name the policies with -f FILE, or use --from-cluster${rest}`);
    }
    one.setOptionValue("file", ["-"]);
  });
}

/** Adds `--from-cluster`. */
export function addClusterOptions(command: Command): Command {
  return command
    .option("--from-cluster", "the policies of all namespaces of a cluster, through kubectl, instead of -f")
    .option("--context <name>", "with --from-cluster: a context of the kubeconfig (default: its current one)")
    .option("--kubeconfig <file>", "with --from-cluster: another kubeconfig than kubectl's own");
}

/** Reports combinations of options that contradict each other. */
export function misuseOfCluster(options: SourceChoices): string | undefined {
  const { file, fromCluster, context, kubeconfig } = options;
  if (fromCluster && file !== undefined) return "policies come from -f or --from-cluster, not from both";
  if (!fromCluster && (context ?? kubeconfig) !== undefined)
    return `${context === undefined ? "--kubeconfig" : "--context"} belongs to --from-cluster`;
  return undefined;
}

/** Reads the file of `--mesh-config`. @throws {UserError} if it cannot be read */
export function readMeshConfig(path: string | undefined): CompileOptions["meshConfig"] {
  return path === undefined ? undefined : { name: nameOf(path), text: readText(path) };
}

/** Reads what the options name: files, or a cluster. @throws {UserError} if the cluster cannot be read */
export async function readPolicies(options: PolicyOptions): Promise<Sources> {
  if (options.fromCluster) return { files: await readCluster(options), diagnostics: [] };
  return readSources(options.file ?? [], options);
}

/** Adds the options that choose a workload, as a group of their own. */
export function addWorkloadOptions(command: Command): Command {
  return command
    .optionsGroup("Which workload (all policies apply if none of these is given):")
    .option("--namespace <name>", "its namespace, and that of resources without one")
    .option("--labels <labels>", "all its labels, as NAME=VALUE,…", parseLabels)
    .option("--gateway <name>", "the Gateway (gateway.networking.k8s.io) that it belongs to")
    .option("--root-namespace <name>", "where policies for all namespaces are (default: istio-system)");
}

export interface LoadedPolicies {
  sources: SourceFile[];
  result: CompileResult;
}

/**
 * Reads and compiles policies; warnings and errors go to standard error.
 *
 * @throws {UserError} if there is an error among them, which was already printed
 */
export async function loadPolicies(options: PolicyOptions): Promise<LoadedPolicies> {
  return compileSources(await readPolicies(options), options);
}

/** The same, of sources that were read. @param mayBeOpen whether there may be no policy for the workload */
export function compileSources(
  { files, diagnostics }: Sources,
  options: PolicyOptions,
  mayBeOpen = false,
): LoadedPolicies {
  if (report(diagnostics)) throw new UserError("");
  const { namespace, labels, gateway, rootNamespace } = options;
  const result = compile(files, {
    target: INSPECTED,
    namespace,
    labels,
    gateway,
    rootNamespace,
    mayBeOpen,
    compiler: `jwtgate ${VERSION}`,
  });
  if (report(result.diagnostics)) throw new UserError("");
  return { sources: files, result };
}

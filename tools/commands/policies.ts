/** What commands that look at policies are told alike: which files, for which workload. */
import type { Command } from "commander";
import { type CompileResult, compile, type SourceFile } from "../compile.ts";
import { parseLabels } from "../values.ts";
import { VERSION } from "../version.ts";
import { report, UserError } from "./output.ts";
import { readSources } from "./sources.ts";

export interface PolicyOptions {
  file: string[];
  ignore?: string[];
  namespace?: string;
  labels?: Record<string, string>;
  gateway?: string;
  rootNamespace?: string;
}

const WHAT_IS_READ = "YAML files, folders, globs in quotes, or - for standard input";

/** Adds `-f` and `--ignore`. */
export function addFileOption(command: Command): Command {
  return addIgnoreOption(command.requiredOption("-f, --file <path...>", WHAT_IS_READ));
}

function addIgnoreOption(command: Command): Command {
  return command.option(
    "--ignore <glob>",
    "leave out files and folders of this name or path; may be repeated",
    (glob: string, all: string[] = []) => [...all, glob],
  );
}

/** Adds `-f`, without which standard input is read, so that `kubectl get … -o yaml` can be piped in. */
export function addFileOrInputOption(command: Command): Command {
  return addIgnoreOption(
    command.option("-f, --file <path...>", `${WHAT_IS_READ} (default: what is piped in)`),
  ).hook("preAction", (one) => {
    if (one.opts()["file"] !== undefined) return;
    if (process.stdin.isTTY) one.error("error: name the policies with -f FILE, or pipe them in");
    one.setOptionValue("file", ["-"]);
  });
}

/** Adds the options that choose a workload, as a group of their own. */
export function addWorkloadOptions(command: Command): Command {
  return command
    .optionsGroup("Which workload (all policies apply where none of these is given):")
    .option("--namespace <name>", "its namespace; also that of resources that name none")
    .option("--labels <labels>", "all its labels, as NAME=VALUE,…", parseLabels)
    .option("--gateway <name>", "the Gateway (gateway.networking.k8s.io) that it is an instance of")
    .option("--root-namespace <name>", "where policies for all namespaces are (default: istio-system)");
}

export interface LoadedPolicies {
  sources: SourceFile[];
  result: CompileResult;
}

/**
 * Reads and compiles policies; warnings and errors go to standard error.
 *
 * @throws {UserError} where there is an error among them, which has been said
 */
export function loadPolicies(options: PolicyOptions): LoadedPolicies {
  const { files, diagnostics } = readSources(options.file, options);
  if (report(diagnostics)) throw new UserError("");
  const { namespace, labels, gateway, rootNamespace } = options;
  const result = compile(files, {
    namespace,
    labels,
    gateway,
    rootNamespace,
    compiler: `jwtgate ${VERSION}`,
  });
  if (report(result.diagnostics)) throw new UserError("");
  return { sources: files, result };
}

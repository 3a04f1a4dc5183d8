/** `jwtgate diff`: the requests that two sets of policies answer differently. */
import { existsSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { Command, Option } from "commander";
import { printable } from "../diagnostics.ts";
import { type Comparison, compare, Interrupted } from "../prove/diff.ts";
import { DIFF_FORMATS, type DiffFormat, formatComparison } from "../prove/format.ts";
import { PATH_NORMALIZATIONS, type PathNormalization } from "../render/bootstrap.ts";
import { repositoryPath } from "./input.ts";
import { loadModule } from "./module.ts";
import { outputFileOption, print, resultStream, tell, UserError } from "./output.ts";
import {
  addIgnoreOption,
  addWorkloadOptions,
  compileSources,
  type LoadedPolicies,
  type PolicyOptions,
} from "./policies.ts";
import { Progress } from "./progress.ts";
import { readRevision, revisionPathOf } from "./revision.ts";
import { readSources, type Sources } from "./sources.ts";
import { StopSignal } from "./stop-signal.ts";
import { styleFor } from "./style.ts";

const FAIL_ON = ["opened", "closed", "any"] as const;

interface Options extends PolicyOptions {
  old: string[];
  new: string[];
  failOn: (typeof FAIL_ON)[number];
  format: DiffFormat;
  pathNormalization: PathNormalization;
}

const EXAMPLES = `
Examples:
  Which requests are answered differently after a change?
    $ jwtgate diff --old envoy/istio/require-a-token.yaml --new envoy/istio/one-principal.yaml
  The policies of a branch, compared with those of main:
    $ jwtgate diff --old main:policies/ --new policies/
  In CI, to fail only if a request is allowed that was refused before:
    $ jwtgate diff --old main:policies/ --new policies/ --fail-on opened --format github

Each class of such requests is shown by one of them, which the module that runs in Envoy has answered with both sets.
"equal" means that there is none (docs/diff.md). Exit code: 0 if there is no difference as severe as --fail-on; 1 if there
is, if something could not be decided, or the policies do not compile; 2 if the command line is wrong.`;

export function diffCommand(): Command {
  const command = new Command("diff")
    .description("what a change of policies opens and closes: every class of requests, each with a witness")
    .requiredOption(
      "--old <path...>",
      "the policies before: files, folders, globs in quotes, or REVISION:PATH of git",
    )
    .requiredOption("--new <path...>", "the policies after, in the same forms")
    .addOption(
      new Option(
        "--fail-on <change>",
        "exit with 1 if something is opened; opened or closed; or on any difference",
      )
        .choices(FAIL_ON)
        .default("any"),
    )
    .addOption(
      new Option("--format <format>", "text; json; github: annotations of a workflow")
        .choices(DIFF_FORMATS)
        .default("text"),
    )
    .addOption(
      new Option("--path-normalization <how>", "as in Istio's mesh config")
        .choices(PATH_NORMALIZATIONS)
        .default("BASE"),
    )
    .addOption(outputFileOption());
  addIgnoreOption(command);
  return addWorkloadOptions(command)
    .optionsGroup("Help:")
    .addHelpText("after", EXAMPLES)
    .action(async (options: Options) => run(options));
}

async function run(options: Options): Promise<void> {
  const before = await load("--old", options.old, options);
  const after = await load("--new", options.new, options);
  if (![before, after].some(({ result }) => result.resources.some(({ selected }) => selected)))
    throw new UserError(NO_POLICY);
  const stopping = new StopSignal();
  const progress = new Progress();
  let comparison: Comparison;
  try {
    comparison = await compare(before.result, after.result, {
      module: await loadModule(),
      pathNormalization: options.pathNormalization,
      onProgress: async ({ scenario, scenarios, cases, classes }) => {
        progress.show(
          () =>
            `comparing: ${scenario + 1} of ${scenarios} cases of tokens, ${cases} of requests, ${classes} found`,
        );
        await setImmediate();
        if (stopping.received) throw new Interrupted();
      },
    });
  } finally {
    progress.end();
    stopping.forget();
  }
  await print(formatComparison(comparison, options.format, styleFor(resultStream()), repositoryPath));
  if (isSevere(comparison, options.failOn)) throw new UserError("");
}

/** Whether a difference is as severe as `--fail-on`, or something is not decided. */
function isSevere({ classes, undecided, isCut }: Comparison, failOn: Options["failOn"]): boolean {
  const severe = { opened: ["opened"], closed: ["opened", "closed"], any: undefined }[failOn];
  return undecided.length > 0 || isCut || classes.some(({ change }) => severe?.includes(change) ?? true);
}

const NO_POLICY =
  "error: neither side has a policy for this workload: correct --old, --new, --namespace, --labels or --gateway";

/** Reads and compiles a side. One without policies lets everything through, as before the first policy. */
async function load(side: string, paths: readonly string[], options: Options): Promise<LoadedPolicies> {
  const loaded = compileSources(await read(paths, options), options, true);
  if (!loaded.result.resources.some(({ selected }) => selected)) {
    const what = `warning: ${side} ${paths.join(" ")} has no policy`;
    tell(printable(`${what}: it counts as policies that let everything through`), process.stderr);
  }
  return loaded;
}

async function read(paths: readonly string[], { ignore }: Options): Promise<Sources> {
  const sources: Sources = { files: [], diagnostics: [] };
  for (const path of paths) {
    const revision = revisionPathOf(path, existsSync);
    const { files, diagnostics } = revision
      ? await readRevision(revision)
      : readSources([path], { ignore, mayBeEmpty: true });
    for (const file of files)
      if (!sources.files.some(({ name }) => name === file.name)) sources.files.push(file);
    sources.diagnostics.push(...diagnostics);
  }
  return sources;
}

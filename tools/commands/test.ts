/** `jwtgate test`: files of policy tests, run against the module. */
import { existsSync } from "node:fs";
import { Command, Option } from "commander";
import { printable, printableLines } from "../diagnostics.ts";
import { bindFailure } from "../envoy/bind-failure.ts";
import { EnvoyFailure } from "../envoy/process.ts";
import { EnvoyUnavailable, findEnvoy } from "../envoy/provision.ts";
import { verifySignature } from "../host/node.ts";
import { readPrivatePem } from "../jwks/convert.ts";
import { MODULE_FILE } from "../package.ts";
import { runSuiteInEnvoy } from "../testing/envoy.ts";
import { count, formatResults, REPORTERS, type Reporter } from "../testing/report.ts";
import { runSuite, type SuiteResult } from "../testing/run.ts";
import { loadSuite, type Suite } from "../testing/suite.ts";
import { readText } from "./input.ts";
import { loadModule } from "./module.ts";
import { print, report, tell, UserError } from "./output.ts";
import { readSources, reasonOf } from "./sources.ts";
import { StopSignal } from "./stop-signal.ts";
import { styleFor } from "./style.ts";
import { watchFiles } from "./watch.ts";

interface Options {
  reporter: Reporter;
  envoy?: boolean;
  watch?: boolean;
}

const EXAMPLES = `
Examples:
  Run the tests beside the samples:
    $ jwtgate test envoy/istio/one-principal.test.yaml
  For CI:
    $ jwtgate test envoy/istio/one-principal.test.yaml --reporter junit > report.xml
  Again whenever a test file or a policy changes:
    $ jwtgate test tests/*.test.yaml --watch
  In a real Envoy, which is found or installed:
    $ jwtgate test envoy/istio/one-principal.test.yaml --envoy

A test file is YAML: policies, keys, tokens, tests (docs/testing.md; schema/test.schema.json for editors).
Exit code: 0 where all tests pass; 1 where one fails, or a file is wrong; 2 where the command line is.`;

export function testCommand(): Command {
  return new Command("test")
    .description("policy tests from YAML files, against the module that runs in Envoy")
    .argument("<file...>", "test files, folders with *.test.yaml files in them, or - for standard input")
    .addOption(
      new Option("--reporter <name>", "how results are printed").choices(REPORTERS).default("people"),
    )
    .option("--watch", "run again whenever one of the files changes, until Ctrl-C")
    .option("--envoy", "against a real Envoy, found or installed, instead of the host in this process")
    .addHelpText("after", EXAMPLES)
    .action(async (files: string[], options: Options) => {
      if (options.watch) await watchAll(files, options);
      else if (!(await runOnce(files, options)).passed) throw new UserError("");
    });
}

interface Round {
  passed: boolean;
  /** Everything that was read. */
  files: string[];
}

/** Loads and runs everything; what is wrong with the files goes to standard error. */
async function runOnce(paths: readonly string[], { reporter, envoy }: Options): Promise<Round> {
  const { files, diagnostics } = readSources(paths, "tests");
  let wrong = report(diagnostics);
  const reader = {
    policies: (names: readonly string[]) => readSources(names),
    text: readText,
    readPem: readPrivatePem,
  };
  const loaded = await Promise.all(files.map((source) => loadSuite(source, reader, Date.now())));
  for (const { diagnostics } of loaded) wrong = report(diagnostics) || wrong;
  const used = [...paths, ...loaded.flatMap(({ files }) => files)];
  if (wrong) return { passed: false, files: used };
  const suites = loaded.flatMap(({ suite }) => suite ?? []);
  const results = envoy ? await runInEnvoy(suites) : await runHere(suites);
  await print(formatResults(results, reporter, styleFor(process.stdout)));
  return { passed: count(results).failed === 0, files: used };
}

async function runHere(suites: readonly Suite[]): Promise<SuiteResult[]> {
  const module = await loadModule();
  const results: SuiteResult[] = [];
  for (const suite of suites) results.push(await runSuite(suite, module, verifySignature));
  return results;
}

async function runInEnvoy(suites: readonly Suite[]): Promise<SuiteResult[]> {
  if (!existsSync(MODULE_FILE)) throw new UserError(`${MODULE_FILE} is not there yet: run \`npm run build\``);
  try {
    const progress = (line: string) => tell(printable(line), process.stderr);
    const binary = await findEnvoy({ progress });
    const results: SuiteResult[] = [];
    for (const suite of suites) results.push(await runSuiteInEnvoy(suite, { binary, module: MODULE_FILE }));
    return results;
  } catch (error) {
    if (error instanceof EnvoyFailure) {
      const failure = bindFailure(error.message);
      throw new UserError(failure === undefined ? error.message : `${failure.address} ${failure.reason}`);
    }
    if (error instanceof EnvoyUnavailable) throw new UserError(error.message);
    throw error;
  }
}

/** Runs everything, and again whenever a file changes that it read. */
async function watchAll(paths: readonly string[], options: Options): Promise<void> {
  const stopping = new StopSignal();
  try {
    while (!stopping.received) {
      const { files } = await runOnce(paths, options).catch((error: unknown) => {
        const words =
          error instanceof UserError ? error.message : `the tests were not run: ${reasonOf(error)}`;
        tell(printableLines(words), process.stderr);
        return { files: [...paths] };
      });
      let forget = () => {};
      const changed = new Promise<void>((resolve) => {
        forget = watchFiles(files, resolve);
      });
      tell("waiting for a change; Ctrl-C ends", process.stderr);
      await Promise.race([changed, stopping.promise]);
      forget();
    }
  } finally {
    stopping.forget();
  }
}

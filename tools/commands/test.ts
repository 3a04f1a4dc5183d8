/** `jwtgate test`: files of policy tests, run against the module. */
import { existsSync } from "node:fs";
import { Command, Option } from "commander";
import { type Diagnostic, printable, printableLines } from "../diagnostics.ts";
import { bindFailure } from "../envoy/bind-failure.ts";
import { EnvoyFailure } from "../envoy/process.ts";
import { EnvoyUnavailable, findEnvoy } from "../envoy/provision.ts";
import { verifySignature } from "../host/node.ts";
import { readPrivatePem } from "../jwks/convert.ts";
import { MODULE_FILE } from "../package.ts";
import { runSuiteInEnvoy } from "../testing/envoy.ts";
import { count, formatResults, REPORTERS, type Reporter } from "../testing/report.ts";
import { runSuite, type SuiteResult } from "../testing/run.ts";
import { Bail, namePattern, refuseOnly, select } from "../testing/select.ts";
import { loadSuite, type Suite } from "../testing/suite.ts";
import { collect, InvalidValue, parseMoment } from "../values.ts";
import { readText, repositoryPath } from "./input.ts";
import { loadModule } from "./module.ts";
import { outputFileOption, print, report, resultStream, tell, UserError } from "./output.ts";
import { readSources, reasonOf } from "./sources.ts";
import { StopSignal } from "./stop-signal.ts";
import { styleFor } from "./style.ts";
import { type Seen, see, type Watched, watchFiles } from "./watch.ts";

export interface Options {
  /** Whether only properties are run. */
  onlyProperties?: boolean;
  file?: string[];
  reporter: Reporter[];
  testNamePattern?: string;
  bail?: number | true;
  forbidOnly?: boolean;
  at?: number;
  envoy?: boolean;
  watch?: boolean;
}

const EXAMPLES = `
Examples:
  All tests of this folder and those in it:
    $ jwtgate test
  The tests beside the samples:
    $ jwtgate test envoy/istio/one-principal.test.yaml
  Only those with these words in the name, and no further after the first failure:
    $ jwtgate test -t 'another key' --bail
  For CI:
    $ jwtgate test envoy/istio/one-principal.test.yaml --reporter junit -o report.xml
    $ jwtgate test envoy/istio/one-principal.test.yaml --reporter text --reporter github
  Again whenever a test file or a policy changes:
    $ jwtgate test tests/*.test.yaml --watch
  In a real Envoy, which is found or installed:
    $ jwtgate test envoy/istio/one-principal.test.yaml --envoy

A test file is YAML: policies, keys, tokens, tests, tables (docs/testing.md; schema/test.schema.json for editors).
Exit code: 0 if all tests pass; 1 if one fails, a file is wrong or no test is selected; 2 if the command line is wrong.`;

export function testCommand(): Command {
  return new Command("test")
    .description("policy tests from YAML files, against the module that runs in Envoy")
    .argument("[file...]", "test files, folders with *.test.yaml files in them, or - (default: this folder)")
    .option("-f, --file <path>", "the same as an argument; may be repeated", collect)
    .option(
      "-t, --test-name-pattern <pattern>",
      "only tests with this text or regular expression in FILE > TEST",
    )
    .option("--bail [n]", "stop after n failures (default: 1)", parseCount)
    .option("--forbid-only", "fail if a test has only: true, as happens where CI is set")
    .addOption(
      new Option("--reporter <name>", "how results are printed; may be repeated (default: text)")
        .choices([...REPORTERS])
        .argParser(parseReporter),
    )
    .option(
      "--at <time>",
      "the time of tests whose file sets none: now+1h, 2026-01-31T12:00:00Z",
      parseMoment,
    )
    .option("--envoy", "against a real Envoy, found or installed, instead of the host in this process")
    .addOption(outputFileOption())
    .option("--watch", "run again whenever one of the files changes, until Ctrl-C")
    .addHelpText("after", EXAMPLES)
    .action(async (files: string[], given: Options, command: Command) => {
      const options = { ...given, reporter: given.reporter ?? ["text"] };
      if (options.envoy && options.at !== undefined)
        command.error("error: --at: the clock of a real Envoy cannot be set");
      const paths = [...files, ...(options.file ?? [])];
      const all = paths.length === 0 ? ["."] : paths;
      if (options.watch) await watchAll(all, options);
      else if (!(await runOnce(all, options))) throw new UserError("");
    });
}

function parseCount(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidValue("Write a whole number from 1 on, or --bail after the files.");
}

export function parseReporter(text: string, previous: Reporter[] = []): Reporter[] {
  if (text === "people") tell("warning: --reporter people is now --reporter text", process.stderr);
  const name = REPORTERS.find((one) => one === (text === "people" ? "text" : text));
  if (name === undefined) throw new InvalidValue(`Allowed choices are ${REPORTERS.join(", ")}.`);
  return [...previous, name];
}

/** Whether no user is watching, as other test runners detect it. */
function isCi(): boolean {
  const { CI = "" } = process.env;
  return CI !== "" && CI !== "false" && CI !== "0";
}

/** A file's suite, or the faults of the file. */
type Found = { suite: Suite } | SuiteResult;

/**
 * Loads and runs everything. A file with an error is part of the report and stops no other.
 *
 * @param onRead called with what is about to be read: the test files, and the files that they name
 * @returns whether all passed
 */
export async function runOnce(
  paths: readonly string[],
  options: Options,
  onRead: (watched: Watched) => void = () => {},
): Promise<boolean> {
  const begun = performance.now();
  onRead({ paths, kind: "tests" });
  const { files, diagnostics } = readSources(paths, { kind: "tests" });
  const reader = {
    policies: (names: readonly string[]) => {
      onRead({ paths: names });
      return readSources(names);
    },
    text: (name: string) => {
      onRead({ paths: [name] });
      return readText(name);
    },
    readPem: readPrivatePem,
  };
  const found: Found[] = [...faultyFiles(diagnostics)];
  const warnings: Diagnostic[] = [];
  const matches = options.testNamePattern === undefined ? undefined : namePattern(options.testNamePattern);
  for (const source of files) {
    const started = performance.now();
    const loaded = await loadSuite(source, reader, options.at ?? Date.now());
    const { suite } = loaded;
    const only = suite && (options.forbidOnly || isCi()) ? refuseOnly(suite) : [];
    warnings.push(...loaded.diagnostics.filter(({ severity }) => severity === "warning"));
    const errors = [...loaded.diagnostics.filter(({ severity }) => severity === "error"), ...only];
    found.push(
      suite === undefined || errors.length > 0
        ? faulty(source.name, errors, performance.now() - started)
        : { suite: select(options.onlyProperties ? { ...suite, cases: [] } : suite, matches) },
    );
  }
  report(warnings);
  const results = await (options.envoy ? runInEnvoy : runHere)(found, bailOf(options));
  const counts = count(results);
  const none = counts.passed + counts.failed + counts.skipped + counts.faulty === 0;
  const milliseconds = performance.now() - begun;
  const reports = options.reporter.map((reporter) =>
    formatResults(results, reporter, styleFor(resultStream()), milliseconds, repositoryPath),
  );
  // All at once, because a file of -o holds them all.
  await print(reports.join(""));
  if (none) throw new UserError(noneSelected(options, counts.unselected));
  return counts.failed === 0 && counts.faulty === 0;
}

function bailOf({ bail }: Options): Bail {
  return new Bail(bail === true ? 1 : bail);
}

function noneSelected({ testNamePattern, onlyProperties }: Options, tests: number): string {
  if (testNamePattern === undefined && onlyProperties)
    return "no test file here has properties: write properties:";
  return `no test was run: -t ${JSON.stringify(testNamePattern ?? "")} is in the name of none of ${tests} tests (FILE > TEST)`;
}

function faulty(file: string, errors: Diagnostic[], milliseconds = 0): SuiteResult {
  return { file, cases: [], unselected: 0, errors, milliseconds };
}

/** The files that could not be read. */
function faultyFiles(diagnostics: readonly Diagnostic[]): SuiteResult[] {
  return [...new Set(diagnostics.map(({ file }) => file))].map((file) =>
    faulty(
      file,
      diagnostics.filter((one) => one.file === file),
    ),
  );
}

/** Runs what can be run, in order. */
async function runAll(
  found: readonly Found[],
  bail: Bail,
  run: (suite: Suite) => Promise<SuiteResult>,
): Promise<SuiteResult[]> {
  const results: SuiteResult[] = [];
  for (const one of found) {
    if (!("suite" in one)) bail.count(true);
    results.push("suite" in one ? await run(one.suite) : one);
  }
  return results;
}

async function runHere(found: readonly Found[], bail: Bail): Promise<SuiteResult[]> {
  const module = await loadModule();
  return runAll(found, bail, (suite) => runSuite(suite, module, verifySignature, bail));
}

async function runInEnvoy(found: readonly Found[], bail: Bail): Promise<SuiteResult[]> {
  if (!existsSync(MODULE_FILE)) throw new UserError(`${MODULE_FILE} is not there yet: run \`npm run build\``);
  try {
    const progress = (line: string) => tell(printable(line), process.stderr);
    const binary = await findEnvoy({ progress });
    const choice = { binary, module: MODULE_FILE };
    return await runAll(found, bail, (suite) => runSuiteInEnvoy(suite, choice, bail));
  } catch (error) {
    if (error instanceof EnvoyFailure) {
      const failure = bindFailure(error.message);
      throw new UserError(failure === undefined ? error.message : `${failure.address} ${failure.reason}`);
    }
    if (error instanceof EnvoyUnavailable) throw new UserError(error.message);
    throw error;
  }
}

/** Runs everything, and again whenever a file that it read changes. */
async function watchAll(paths: readonly string[], options: Options): Promise<void> {
  const stopping = new StopSignal();
  try {
    while (!stopping.received) {
      const seen: Seen[] = [];
      await runOnce(paths, options, (watched) => seen.push(see(watched))).catch((error: unknown) => {
        const words =
          error instanceof UserError ? error.message : `the tests were not run: ${reasonOf(error)}`;
        tell(printableLines(words), process.stderr);
      });
      let forget = () => {};
      const changed = new Promise<void>((resolve) => {
        forget = watchFiles(seen, resolve);
      });
      tell("waiting for a change; Ctrl-C ends", process.stderr);
      await Promise.race([changed, stopping.promise]);
      forget();
    }
  } finally {
    stopping.forget();
  }
}

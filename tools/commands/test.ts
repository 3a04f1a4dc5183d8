/** `jwtgate test`: files of policy tests, run against the module. */
import { existsSync } from "node:fs";
import { Command, Option } from "commander";
import type { SourceFile } from "../compile.ts";
import { type Diagnostic, printable, printableLines } from "../diagnostics.ts";
import { bindFailure } from "../envoy/bind-failure.ts";
import { EnvoyFailure } from "../envoy/process.ts";
import { EnvoyUnavailable, findEnvoy } from "../envoy/provision.ts";
import { verifySignature } from "../host/node.ts";
import { readPrivatePem } from "../jwks/convert.ts";
import { MODULE_FILE } from "../package.ts";
import type { CoverageCollector } from "../testing/coverage.ts";
import { runSuiteInEnvoy } from "../testing/envoy.ts";
import { count, formatResults, REPORTERS, type Reporter } from "../testing/report.ts";
import { runSuite, type SuiteResult } from "../testing/run.ts";
import { Bail, namePattern, refuseOnly, select } from "../testing/select.ts";
import { loadSuite, type Suite } from "../testing/suite.ts";
import { collect, InvalidValue, parseMoment } from "../values.ts";
import {
  addCoverageOptions,
  type CoverageOptions,
  isAlone,
  isCoverageWanted,
  openCoverage,
  printCoverage,
} from "./coverage.ts";
import { readText, repositoryPath } from "./input.ts";
import { loadModule } from "./module.ts";
import {
  isResultInFile,
  outputFileOption,
  print,
  printTo,
  report,
  resultStream,
  tell,
  UserError,
} from "./output.ts";
import { readSources, reasonOf } from "./sources.ts";
import { StopSignal } from "./stop-signal.ts";
import { styleFor } from "./style.ts";
import { type Seen, see, type Watched, watchFiles } from "./watch.ts";

export interface Options extends CoverageOptions {
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
  The tests next to the samples:
    $ jwtgate test envoy/istio/one-principal.test.yaml
  Only those with these words in the name, and no further after the first failure:
    $ jwtgate test -t 'another key' --bail
  For CI:
    $ jwtgate test envoy/istio/one-principal.test.yaml --reporter junit -o report.xml
    $ jwtgate test envoy/istio/one-principal.test.yaml --reporter text --reporter github
  What do the tests leave undecided? In CI, not too much:
    $ jwtgate test envoy/istio/one-principal.test.yaml --coverage
    $ jwtgate test envoy/istio/one-principal.test.yaml --coverage-format lcov --coverage-output lcov.info --coverage-min 80
  Again whenever a test file or a policy changes:
    $ jwtgate test tests/*.test.yaml --watch
  In a real Envoy, which is found or installed:
    $ jwtgate test envoy/istio/one-principal.test.yaml --envoy

A test file is YAML: policies, keys, tokens, tests, tables (docs/testing.md; schema/test.schema.json for editors).
Exit code: 0 if all tests pass; 1 if one fails, a file is wrong, no test is selected or the coverage is too low; 2 if the
command line is wrong.`;

export function testCommand(): Command {
  const command = new Command("test").description(
    "policy tests from YAML files, against the module that runs in Envoy",
  );
  addTestFileOptions(command, "only tests with this text or regular expression in FILE > TEST")
    .option("--bail [n]", "stop after n failures (default: 1)", parseCount)
    .option("--forbid-only", "fail if a test has only: true; always on if CI is set")
    .option(
      "--at <time>",
      "the time of tests whose file sets none: now+1h, 2026-01-31T12:00:00Z",
      parseMoment,
    )
    .option("--envoy", "against a real Envoy, found or installed, instead of the host in this process")
    .option("--watch", "run again whenever one of the files changes, until Ctrl-C");
  return addCoverageOptions(command)
    .addHelpText("after", EXAMPLES)
    .action(async (files: string[], given: Options, command: Command) => {
      const options = withDefaults(given);
      const { envoy, at, coverage } = options;
      if (envoy && at !== undefined) command.error("error: --at: the clock of a real Envoy cannot be set");
      if (envoy && coverage)
        command.error("error: --coverage: a real Envoy does not report what it decides: leave out --envoy");
      if (options.watch) await watchAll(pathsOf(files, options), options);
      else if (!(await runOnce(pathsOf(files, options), options))) throw new UserError("");
    });
}

/**
 * Adds what commands for test files share: the files, which of their tests are run, and how results are printed.
 *
 * @param pattern what `-t` selects
 */
export function addTestFileOptions(command: Command, pattern: string): Command {
  return command
    .argument("[file...]", "test files, folders with *.test.yaml files in them, or - (default: this folder)")
    .option("-f, --file <path>", "the same as an argument; may be repeated", collect)
    .option("-t, --test-name-pattern <pattern>", pattern)
    .addOption(
      new Option("--reporter <name>", "how results are printed; may be repeated (default: text)")
        .choices([...REPORTERS])
        .argParser(parseReporter),
    )
    .addOption(outputFileOption());
}

/** The options that `addTestFileOptions` reads, with their defaults. */
export function withDefaults(given: Partial<Options>): Options {
  return { ...given, reporter: given.reporter ?? ["text"], coverage: isCoverageWanted(given) };
}

/** The files that a command line names, or this folder. */
export function pathsOf(files: readonly string[], { file = [] }: Options): string[] {
  const paths = [...files, ...file];
  return paths.length === 0 ? ["."] : paths;
}

function parseCount(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidValue("Write a whole number from 1 on, or --bail after the files.");
}

function parseReporter(text: string, previous: Reporter[] = []): Reporter[] {
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
 * Loads and runs everything. A file with an error is part of the report, and the others still run.
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
  const sources: SourceFile[] = [...files];
  const warnings: Diagnostic[] = [];
  const matches = options.testNamePattern === undefined ? undefined : namePattern(options.testNamePattern);
  for (const source of files) {
    const started = performance.now();
    const loaded = await loadSuite(source, reader, options.at ?? Date.now());
    const { suite } = loaded;
    // What the test file itself contains is in its text.
    sources.push(...(suite?.sources.filter(({ documents }) => documents === undefined) ?? []));
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
  const bail = bailOf(options);
  const coverage = options.coverage ? await openCoverage() : undefined;
  const results = await (options.envoy ? runInEnvoy(found, bail) : runHere(found, bail, coverage));
  const counts = count(results);
  const none = counts.passed + counts.failed + counts.skipped + counts.faulty === 0;
  const milliseconds = performance.now() - begun;
  const isAside = coverage !== undefined && isAlone(options) && !isResultInFile();
  const style = styleFor(isAside ? process.stderr : resultStream());
  const reports = options.reporter.map((reporter) =>
    formatResults(results, reporter, style, milliseconds, repositoryPath),
  );
  // All at once, because a file of -o holds them all.
  await (isAside ? printTo(process.stderr, reports.join("")) : print(reports.join("")));
  if (none) throw new UserError(noneSelected(options, counts.unselected));
  const isCovered = coverage === undefined || (await printCoverage(coverage, sources, options));
  return counts.failed === 0 && counts.faulty === 0 && isCovered;
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

async function runHere(
  found: readonly Found[],
  bail: Bail,
  coverage: CoverageCollector | undefined,
): Promise<SuiteResult[]> {
  const module = await loadModule();
  return runAll(found, bail, (suite) => runSuite(suite, module, verifySignature, bail, coverage));
}

async function runInEnvoy(found: readonly Found[], bail: Bail): Promise<SuiteResult[]> {
  if (!existsSync(MODULE_FILE))
    throw new UserError(`${MODULE_FILE} does not exist yet: run \`npm run build\``);
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

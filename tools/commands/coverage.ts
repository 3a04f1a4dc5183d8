/** The coverage of `jwtgate test`: its options, where it is written, and whether it is enough. */
import { relative, sep } from "node:path";
import { type Command, Option } from "commander";
import type { SourceFile } from "../compile.ts";
import { printable } from "../diagnostics.ts";
import { Excerpts } from "../excerpts.ts";
import { CoverageCollector, percentOf } from "../testing/coverage.ts";
import {
  COVERAGE_FORMATS,
  type CoverageFormat,
  coverageLine,
  formatCoverage,
  totalOf,
} from "../testing/coverage-report.ts";
import type { Reporter } from "../testing/report.ts";
import { InvalidValue } from "../values.ts";
import { repositoryPath } from "./input.ts";
import { loadModules } from "./module.ts";
import { printTo, tell, writeUserFile } from "./output.ts";
import { styleFor } from "./style.ts";

export interface CoverageOptions {
  coverage?: boolean;
  coverageFormat?: CoverageFormat;
  coverageOutput?: string;
  coverageMin?: number;
}

/** Each of the options asks for the coverage. */
export function addCoverageOptions(command: Command): Command {
  return command
    .option("--coverage", "also print which rules, clauses and values no test decided")
    .addOption(
      new Option(
        "--coverage-format <format>",
        "text; lcov: for editors and genhtml; json (default: text)",
      ).choices(COVERAGE_FORMATS),
    )
    .option("--coverage-output <file>", "write the coverage into this file (default: standard output)")
    .option("--coverage-min <percent>", "end with 1 if the coverage is less", parsePercent);
}

function parsePercent(text: string): number {
  if (/^(100|\d{1,2})(\.\d+)?$/.test(text) && Number(text) <= 100) return Number(text);
  throw new InvalidValue("Write a number from 0 to 100, such as 80.");
}

export function isCoverageWanted(options: CoverageOptions): boolean {
  const { coverage = false, coverageFormat, coverageOutput, coverageMin } = options;
  return coverage || (coverageFormat ?? coverageOutput ?? coverageMin) !== undefined;
}

/** Whether the coverage is a document for programs on standard output, which then has nothing else. */
export function isAlone({ coverageFormat = "text", coverageOutput }: CoverageOptions): boolean {
  return coverageFormat !== "text" && coverageOutput === undefined;
}

export async function openCoverage(): Promise<CoverageCollector> {
  const { trace } = await loadModules();
  return new CoverageCollector(trace, fileOf);
}

/** Test files of several folders reach the same file by different paths. */
function fileOf(file: string): string {
  return file.startsWith("<") ? file : relative("", file).split(sep).join("/");
}

/**
 * @param sources the test files and the policies
 * @returns whether the coverage is enough
 */
export async function printCoverage(
  { policies }: CoverageCollector,
  sources: readonly SourceFile[],
  options: CoverageOptions & { reporter: readonly Reporter[] },
): Promise<boolean> {
  const { coverageFormat = "text", coverageOutput, coverageMin = 0, reporter } = options;
  // A report for programs is alone on standard output, too.
  const isAside = coverageFormat === "text" && reporter.some((name) => name !== "text");
  const stream = isAside ? process.stderr : process.stdout;
  const style = styleFor(coverageOutput === undefined ? stream : {});
  const excerpts = new Excerpts(sources.map((source) => ({ ...source, name: fileOf(source.name) })));
  const text = formatCoverage(policies, coverageFormat, { style, excerpts }, repositoryPath);
  if (coverageOutput === undefined) await printTo(stream, text);
  else {
    await writeUserFile("the coverage", coverageOutput, text);
    tell(`${coverageLine(policies)}: ${printable(coverageOutput)}`, process.stderr);
  }
  const counts = totalOf(policies);
  if (100 * counts.covered >= coverageMin * counts.total) return true;
  const percent = percentOf(counts).toFixed(1);
  tell(`the coverage is ${percent} %, which is less than --coverage-min ${coverageMin}`, process.stderr);
  return false;
}

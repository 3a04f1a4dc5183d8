/** `jwtgate check`: findings about policies. */
import { Command, Option } from "commander";
import { check as checkSources } from "../check/exact.ts";
import { SEVERITIES, type Severity } from "../check/findings.ts";
import { FORMATS, type Format, formatReview } from "../check/format.ts";
import type { Review } from "../check/review.ts";
import { readSuppressionFile, type SuppressionEntry } from "../check/suppressions.ts";
import type { Diagnostic } from "../diagnostics.ts";
import { Excerpts } from "../excerpts.ts";
import { collect } from "../values.ts";
import { nameOf, readText, repositoryPath } from "./input.ts";
import { outputFileOption, print, report, resultStream, UserError } from "./output.ts";
import { addSourceOptions, addWorkloadOptions, type PolicyOptions, readPolicies } from "./policies.ts";
import { styleFor } from "./style.ts";

interface Options extends PolicyOptions {
  failOn: Severity;
  format: Format;
  json?: boolean;
  suppressions?: string[];
}

const EXAMPLES = `
Examples:
  Find mistakes in policies:
    $ jwtgate check -f envoy/istio/require-a-token.yaml
  In CI, to fail on warnings too:
    $ jwtgate check -f policies/ --fail-on warning
  For programs, for code scanning, and as annotations of a GitHub workflow:
    $ jwtgate check -f envoy/istio/require-a-token.yaml --format json
    $ jwtgate check -f envoy/istio/require-a-token.yaml --format sarif -o check.sarif
    $ jwtgate check -f envoy/istio/require-a-token.yaml --format github

A comment suppresses a finding of its own line, or of the next line if the comment is alone on its line:
  # jwtgate: ignore JG010 because tokens in URLs are needed by the old player

Each finding has a code; docs/check.md explains it. Exit code: 0; 1 if a finding is as severe as --fail-on,
or the policies do not compile; 2 if the command line is wrong.`;

export function checkCommand(): Command {
  const command = new Command("check").description(
    "lint policies: find those that are open, that never match, or that disclose keys",
  );
  addSourceOptions(command, true)
    .addOption(
      new Option("--fail-on <severity>", "exit with 1 if there is a finding as severe as this")
        .choices(SEVERITIES)
        .default("error"),
    )
    .addOption(
      new Option(
        "--format <format>",
        "text; json; sarif: for code scanning; github: annotations of a workflow",
      )
        .choices(FORMATS)
        .default("text"),
    )
    .option("--json", "the same as --format json")
    .option("--suppressions <file>", "a file of accepted findings, with reasons; may be repeated", collect)
    .addOption(outputFileOption());
  return addWorkloadOptions(command)
    .optionsGroup("Help:")
    .addHelpText("after", EXAMPLES)
    .action(async (_files: string[], options: Options) => run(options));
}

async function run(options: Options): Promise<void> {
  const format = options.json ? "json" : options.format;
  const { files, diagnostics: unread } = await readPolicies(options);
  const { suppressions, diagnostics: unreadSuppressions } = readSuppressions(options.suppressions);
  const before = [...unread, ...unreadSuppressions];
  const review: Review = before.some(({ severity }) => severity === "error")
    ? { findings: [], suppressed: [], diagnostics: [] }
    : checkSources(files, { ...options, suppressions });
  // The compiler's warnings become findings.
  const errors = [...before, ...review.diagnostics].filter(({ severity }) => severity === "error");
  const excerpts = new Excerpts(files);
  if (format === "text") {
    if (report(errors, { excerpts, style: styleFor(process.stderr) })) throw new UserError("");
  }
  const style = styleFor(resultStream());
  const text = formatReview({ ...review, diagnostics: errors }, format, {
    style,
    excerpts,
    pathOf: repositoryPath,
  });
  await print(text);
  const limit = SEVERITIES.indexOf(options.failOn);
  const isSevere = review.findings.some(({ severity }) => SEVERITIES.indexOf(severity) <= limit);
  if (isSevere || errors.length > 0) throw new UserError("");
}

function readSuppressions(files: readonly string[] = []): {
  suppressions: SuppressionEntry[];
  diagnostics: Diagnostic[];
} {
  const read = files.map((file) => readSuppressionFile(nameOf(file), readText(file)));
  return {
    suppressions: read.flatMap(({ entries }) => entries),
    diagnostics: read.flatMap(({ diagnostics }) => diagnostics),
  };
}

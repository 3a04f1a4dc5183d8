/** `jwtgate check`: what a reviewer would say of policies. */
import { Command, Option } from "commander";
import { type Finding, SEVERITIES, type Severity } from "../check/findings.ts";
import { review } from "../check/review.ts";
import { formatPosition, oneLine, printableJson } from "../diagnostics.ts";
import { outputFileOption, print, report, resultStream, UserError } from "./output.ts";
import { addSourceOptions, addWorkloadOptions, type PolicyOptions, readPolicies } from "./policies.ts";
import { type Style, styleFor } from "./style.ts";

interface Options extends PolicyOptions {
  failOn: Severity;
  json?: boolean;
}

const EXAMPLES = `
Examples:
  What would a reviewer say?
    $ jwtgate check -f envoy/istio/require-a-token.yaml
  In CI, where warnings are to be dealt with:
    $ jwtgate check -f policies/ --fail-on warning
  For programs:
    $ jwtgate check -f envoy/istio/require-a-token.yaml --json

Each finding has a code; docs/check.md says what it means. Exit code: 0; 1 where a finding is as severe as --fail-on says,
or the policies do not compile; 2 where the command line is wrong.`;

export function checkCommand(): Command {
  const command = new Command("check").description(
    "what a reviewer would say: policies that are open, that never match, or that disclose keys",
  );
  addSourceOptions(command, true)
    .addOption(
      new Option("--fail-on <severity>", "end with 1 where there is a finding as severe as this")
        .choices(SEVERITIES)
        .default("error"),
    )
    .option("--json", "as JSON, for programs")
    .addOption(outputFileOption());
  return addWorkloadOptions(command)
    .optionsGroup("Help:")
    .addHelpText("after", EXAMPLES)
    .action(async (options: Options) => run(options));
}

async function run(options: Options): Promise<void> {
  const { files, diagnostics } = await readPolicies(options);
  if (report(diagnostics)) throw new UserError("");
  const { findings, diagnostics: compiled } = review(files, options);
  if (report(compiled.filter(({ severity }) => severity === "error"))) throw new UserError("");
  await print(
    options.json ? `${printableJson({ findings }, 2)}\n` : format(findings, styleFor(resultStream())),
  );
  const limit = SEVERITIES.indexOf(options.failOn);
  if (findings.some(({ severity }) => SEVERITIES.indexOf(severity) <= limit)) throw new UserError("");
}

function format(findings: readonly Finding[], style: Style): string {
  if (findings.length === 0) return `${style.good("no findings")}\n`;
  const lines = findings.map((finding) => {
    const { severity, code, message, remedy } = finding;
    const mark = severity === "error" ? style.bad(severity) : severity;
    return `${formatPosition(finding)}: ${mark} ${code}: ${oneLine(message)}; ${oneLine(clauseOf(remedy))}`;
  });
  const counts = SEVERITIES.flatMap((severity) => {
    const count = findings.filter((finding) => finding.severity === severity).length;
    return count === 0 ? [] : [`${count} ${severity}${count > 1 && severity !== "info" ? "s" : ""}`];
  });
  return `${lines.join("\n")}\n\n${counts.join(", ")}\n`;
}

/** A sentence as a part of another. */
function clauseOf(sentence: string): string {
  return sentence.replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase()).replace(/\.$/, "");
}

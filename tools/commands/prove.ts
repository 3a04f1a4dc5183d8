/** `jwtgate prove`: the properties of test files, without their tests. */
import { Command, Option } from "commander";
import { REPORTERS } from "../testing/report.ts";
import { collect } from "../values.ts";
import { outputFileOption, UserError } from "./output.ts";
import { type Options, parseReporter, runOnce } from "./test.ts";

const EXAMPLES = `
Examples:
  Does anybody else get in than the one who should?
    $ jwtgate prove envoy/istio/one-principal.test.yaml
  The properties of all test files of this folder and those in it, for CI:
    $ jwtgate prove . --reporter github

A property is part of a test file (docs/testing.md#properties): rules that say which requests it is about, and whether they are
all refused or all allowed. It is proven for every request, or refuted by one that the module has answered. jwtgate test
runs properties too. Exit code: 0 if all are proven; 1 if one is not, or a file is wrong; 2 if the command line is wrong.`;

export function proveCommand(): Command {
  return new Command("prove")
    .description("prove properties of policies from test files, or refute them by a request")
    .argument("[file...]", "test files, folders with *.test.yaml files in them, or - (default: this folder)")
    .option("-f, --file <path>", "the same as an argument; may be repeated", collect)
    .option(
      "-t, --test-name-pattern <pattern>",
      "only properties with this text or regular expression in FILE > properties > NAME",
    )
    .addOption(
      new Option("--reporter <name>", "how results are printed; may be repeated (default: text)")
        .choices([...REPORTERS])
        .argParser(parseReporter),
    )
    .addOption(outputFileOption())
    .addHelpText("after", EXAMPLES)
    .action(async (files: string[], given: Options) => {
      const options = { ...given, reporter: given.reporter ?? ["text"], onlyProperties: true };
      const paths = [...files, ...(options.file ?? [])];
      if (!(await runOnce(paths.length === 0 ? ["."] : paths, options))) throw new UserError("");
    });
}

/** `jwtgate prove`: the properties of test files, without their tests. */
import { Command } from "commander";
import { UserError } from "./output.ts";
import { addTestFileOptions, type Options, pathsOf, runOnce, withDefaults } from "./test.ts";

const EXAMPLES = `
Examples:
  Can anyone except the one principal pass?
    $ jwtgate prove envoy/istio/one-principal.test.yaml
  The properties of all test files of this folder and those in it, for CI:
    $ jwtgate prove . --reporter github

A property is part of a test file (docs/testing.md#properties): rules that say which requests it is about, and whether
they are all refused or all allowed. It is proven for every request, or refuted by one that the module has answered.
jwtgate test runs properties too. Exit code: 0 if all are proven; 1 if one is not, or a file is wrong; 2 if the command
line is wrong.`;

export function proveCommand(): Command {
  const command = new Command("prove").description(
    "prove properties of policies from test files, or refute them by a request",
  );
  return addTestFileOptions(
    command,
    "only properties with this text or regular expression in FILE > properties > NAME",
  )
    .addHelpText("after", EXAMPLES)
    .action(async (files: string[], given: Partial<Options>) => {
      const options = { ...withDefaults(given), onlyProperties: true };
      if (!(await runOnce(pathsOf(files, options), options))) throw new UserError("");
    });
}

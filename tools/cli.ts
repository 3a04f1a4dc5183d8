#!/usr/bin/env node
/** The command-line tool. Each command is a file in commands/; this file has the parts that they share. */
import { Command, CommanderError } from "commander";
import { checkCommand } from "./commands/check.ts";
import { compileCommand } from "./commands/compile.ts";
import { completionCommand } from "./commands/completion.ts";
import { consoleCommand } from "./commands/console.ts";
import { demoCommand } from "./commands/demo.ts";
import { diffCommand } from "./commands/diff.ts";
import { explainCommand } from "./commands/explain.ts";
import { imageCommand } from "./commands/image.ts";
import { importCommand } from "./commands/import.ts";
import { jwkCommand } from "./commands/jwk.ts";
import { newCommand } from "./commands/new.ts";
import { EXIT, UserError, watchOutput, writeResultsTo } from "./commands/output.ts";
import { proveCommand } from "./commands/prove.ts";
import { runCommand } from "./commands/run.ts";
import { type ColourChoice, chooseColours, colourOptions } from "./commands/style.ts";
import { testCommand } from "./commands/test.ts";
import { tokenCommand } from "./commands/token.ts";
import { printable, printableLines } from "./diagnostics.ts";
import { VERSION } from "./version.ts";

const program = new Command("jwtgate")
  .description("Istio's RequestAuthentication and AuthorizationPolicy inside any Envoy")
  .version(VERSION, "-V, --version", "print the version")
  .helpOption("-h, --help", "print help")
  .configureHelp({ showGlobalOptions: true })
  .configureOutput({ outputError: (text, write) => write(`${printable(oneSentence(text))}\n`) })
  .addHelpText("after", "\nEach command has help with examples: jwtgate help compile");

for (const option of colourOptions()) program.addOption(option);
for (const command of [
  compileCommand(),
  testCommand(),
  explainCommand(),
  checkCommand(),
  diffCommand(),
  proveCommand(),
  newCommand(),
  consoleCommand(),
  importCommand(),
  jwkCommand(),
  tokenCommand(),
  runCommand(),
  imageCommand(),
  demoCommand(),
  completionCommand(),
]) {
  adopt(program, command);
}
program.exitOverride();
program.hook("preAction", (_program, command) => {
  const { outputFile, color } = command.optsWithGlobals<{
    outputFile?: string;
    color?: ColourChoice | false;
  }>();
  chooseColours(color);
  if (outputFile !== undefined) writeResultsTo(outputFile);
});

watchOutput();
try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = explain(error);
}

/** An error of the command line's parser as one sentence; it puts the suggestion on a line of its own. */
function oneSentence(text: string): string {
  return text.trimEnd().replace(/\n(?=\(Did you mean )/, " ");
}

/** Makes a command and its subcommands behave like their parent. */
function adopt(parent: Command, command: Command): void {
  command.helpOption("-h, --help", "print help").copyInheritedSettings(parent).exitOverride();
  for (const child of command.commands) adopt(command, child);
  if (command.parent === null) parent.addCommand(command);
}

/** Prints what went wrong unless it was already printed. @returns the exit code */
function explain(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (error instanceof UserError) {
    if (error.message !== "") process.stderr.write(`${printableLines(error.message)}\n`);
    return error.code;
  }
  const words = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(
    `jwtgate ${VERSION} has a bug; please report it with what you typed:\n${printableLines(words)}\n`,
  );
  return EXIT.failure;
}

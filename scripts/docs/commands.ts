/** `docs/reference/commands.md`: the help of each command of the tool. */
import { execFileSync } from "node:child_process";

/** From the project's folder, where npm runs scripts and tests. */
const TOOL = "dist/jwtgate.mjs";

const INTRODUCTION = `# The commands

<!-- Generated from the tool's own help by \`npm run docs\`. -->

\`jwtgate help COMMAND\` prints the same.
`;

/** The text of `docs/reference/commands.md`, from the last build of the tool. */
export function renderCommands(): string {
  const overview = help([]);
  const sections = commandsIn(overview).flatMap((name) => section([name]));
  return [INTRODUCTION, block(overview), ...sections].join("\n");
}

/** A command and its subcommands. */
function section(command: string[]): string[] {
  const text = help(command);
  const heading = `${"#".repeat(command.length + 1)} jwtgate ${command.join(" ")}\n`;
  return [heading, block(text), ...commandsIn(text).flatMap((name) => section([...command, name]))];
}

function block(text: string): string {
  return `\`\`\`text\n${text.trim()}\n\`\`\`\n`;
}

/** The help as it is printed without a terminal: 80 columns wide. */
function help(command: string[]): string {
  return execFileSync(process.execPath, [TOOL, ...command, "--help"], { encoding: "utf8" });
}

/** Names under `Commands:`, without `help`, which explains nothing. */
function commandsIn(text: string): string[] {
  const [, list = ""] = text.split(/^Commands:$/m);
  const [entries = ""] = list.split(/^\S/m);
  return [...entries.matchAll(/^ {2}([a-z]+)/gm)]
    .map(([, name = ""]) => name)
    .filter((name) => name !== "help");
}

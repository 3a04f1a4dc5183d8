/** `jwtgate completion`: scripts that let a shell complete commands, options and their values. */
import { Argument, Command, type Option } from "commander";
import { outputFileOption, print } from "./output.ts";

const EXAMPLES = `
Examples:
  In this bash, and in each new one:
    $ source <(jwtgate completion bash)
    $ echo 'source <(jwtgate completion bash)' >> ~/.bashrc
  In zsh, after compinit:
    $ echo 'source <(jwtgate completion zsh)' >> ~/.zshrc
  In fish:
    $ jwtgate completion fish > ~/.config/fish/completions/jwtgate.fish`;

/** A command with the words that can follow it. */
interface Completed {
  /** The names after the program's own; [] is the program itself. */
  path: string[];
  description: string;
  /** Names of its subcommands. */
  children: string[];
  options: readonly Option[];
  /** Values of its first argument, if they are known. */
  choices: readonly string[];
}

const SHELLS = { bash, zsh, fish };

export function completionCommand(): Command {
  return new Command("completion")
    .description("print a script that completes commands and options in a shell")
    .addArgument(new Argument("<shell>", "which shell").choices(Object.keys(SHELLS)))
    .addOption(outputFileOption())
    .addHelpText("after", EXAMPLES)
    .action(async (shell: keyof typeof SHELLS, _options: object, command: Command) => {
      const { parent } = command;
      if (parent === null) throw new Error("the command is below the program");
      await print(SHELLS[shell](completed(parent, [])));
    });
}

function completed(command: Command, path: string[]): Completed[] {
  const [argument] = command.registeredArguments;
  const help = command.createHelp();
  const own: Completed = {
    path,
    description: command.description(),
    children: command.commands.map((child) => child.name()),
    options: [...help.visibleOptions(command), ...help.visibleGlobalOptions(command)],
    choices: argument?.argChoices ?? [],
  };
  return [own, ...command.commands.flatMap((child) => completed(child, [...path, child.name()]))];
}

function bash(commands: readonly Completed[]): string {
  const quoted = (words: readonly string[]) => `'${words.join(" ")}'`;
  const paths = commands.filter(({ path }) => path.length > 0).map(({ path }) => `"${path.join(" ")} "`);
  const words = commands.map(
    ({ path, children, options, choices }) =>
      `    "${[...path, ""].join(" ")}") words=${quoted([...children, ...choices, ...options.flatMap(names)])} ;;`,
  );
  const values = commands.flatMap(({ path, options }) =>
    options.filter(takesValue).map(
      (option) =>
        `    ${names(option)
          .map((name) => `"${[...path, name].join(" ")}"`)
          .join(" | ")}) words=${quoted(option.argChoices ?? [])} ;;`,
    ),
  );
  return `# bash completion for jwtgate
_jwtgate() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD - 1]} path= words= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$path\${COMP_WORDS[i]} " in
    ${paths.join(" | ")}) path+="\${COMP_WORDS[i]} " ;;
    esac
  done
  case "$path" in
${words.join("\n")}
  esac
  # Values of an option; none that are known: files.
  case "$path$before" in
${values.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _jwtgate jwtgate
`;
}

/** zsh runs the script for bash. */
function zsh(commands: readonly Completed[]): string {
  return `# zsh completion for jwtgate\nautoload -U +X bashcompinit && bashcompinit\n${bash(commands)}`;
}

function fish(commands: readonly Completed[]): string {
  const text = (words: string) => `'${words.replace(/[\\']/g, "\\$&")}'`;
  const lines = commands.flatMap((command) => {
    const { path, children, options, choices } = command;
    const parts = path.map((name) => `__fish_seen_subcommand_from ${name}`);
    const deeper = children.length > 0 ? [`not __fish_seen_subcommand_from ${children.join(" ")}`] : [];
    const when = `complete -c jwtgate -n ${text([...parts, ...deeper].join("; and "))}`;
    return [
      ...commands
        .filter(
          (child) => child.path.length === path.length + 1 && path.every((name, i) => child.path[i] === name),
        )
        .map((child) => `${when} -f -a ${child.path.at(-1)} -d ${text(child.description)}`),
      ...(choices.length > 0 ? [`${when} -f -a ${text(choices.join(" "))}`] : []),
      ...options.map((option) =>
        [
          when,
          ...(option.short ? [`-s ${option.short.slice(1)}`] : []),
          ...(option.long ? [`-l ${option.long.slice(2)}`] : []),
          ...(takesValue(option) ? ["-r"] : []),
          ...(option.argChoices ? [`-f -a ${text(option.argChoices.join(" "))}`] : []),
          `-d ${text(option.description)}`,
        ].join(" "),
      ),
    ];
  });
  return `# fish completion for jwtgate\n${lines.join("\n")}\n`;
}

function names({ short, long }: Option): string[] {
  return [short, long].filter((name) => name !== undefined);
}

function takesValue({ required, optional }: Option): boolean {
  return required || optional;
}

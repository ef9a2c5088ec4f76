import { Argument } from "commander";
import type { Command } from "commander";

/** What a shell completes: a command, and what may follow it. */
interface Completed {
  name: string;
  summary: string;
  options: { flag: string; description: string }[];
}

/** Adds `cellist completion`, which knows the commands that were added before it. */
export function addCompletion(program: Command): void {
  program
    .command("completion")
    .summary("print what a shell needs to complete commands")
    .description("Prints a script that makes a shell complete the commands and options of cellist.")
    .addArgument(new Argument("<shell>", "which shell").choices(Object.keys(SCRIPTS)))
    .addHelpText(
      "after",
      "\nExamples:\n" +
        "  cellist completion bash >> ~/.bashrc\n" +
        "  cellist completion zsh > ~/.zfunc/_cellist\n" +
        "  cellist completion fish > ~/.config/fish/completions/cellist.fish",
    )
    .action((shell: keyof typeof SCRIPTS) => void process.stdout.write(SCRIPTS[shell](completed(program))));
}

function completed(program: Command): Completed[] {
  return program.commands.map((command) => ({
    name: command.name(),
    summary: command.summary(),
    options: [...command.options, { long: "--help", short: "-h", description: "print this help" }].map((option) => ({
      flag: option.long ?? option.short ?? "",
      description: option.description,
    })),
  }));
}

const SCRIPTS = {
  bash: (commands: Completed[]): string => `_cellist() {
  local word="\${COMP_WORDS[COMP_CWORD]}" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="${commands.map(({ name }) => name).join(" ")} --help --version"
  elif [[ "$word" == -* ]]; then
    case "\${COMP_WORDS[1]}" in
${commands.map(({ name, options }) => `      ${name}) words="${options.map(({ flag }) => flag).join(" ")}" ;;`).join("\n")}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o bashdefault -o default -F _cellist cellist
`,
  zsh: (commands: Completed[]): string => `#compdef cellist
_cellist() {
  local -a commands=(
${commands.map(({ name, summary }) => `    ${quoted(`${name}:${summary}`)}`).join("\n")}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  case "$words[2]" in
${commands
  .map(
    ({ name, options }) =>
      `    ${name}) _arguments ${options.map(({ flag, description }) => quoted(`${flag}[${escaped(description)}]`)).join(" ")} '*:file:_files' ;;`,
  )
  .join("\n")}
  esac
}
if [ "$funcstack[1]" = "_cellist" ]; then _cellist "$@"; else compdef _cellist cellist; fi
`,
  fish: (commands: Completed[]): string =>
    commands
      .flatMap(({ name, summary, options }) => [
        `complete -c cellist -n __fish_use_subcommand -f -a ${name} -d ${quoted(summary)}`,
        ...options.map(
          ({ flag, description }) =>
            `complete -c cellist -n '__fish_seen_subcommand_from ${name}' ${flag.startsWith("--") ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`} -d ${quoted(description)}`,
        ),
      ])
      .join("\n") + "\n",
} as const;

/** A word of a shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** What _arguments of zsh takes as it is. */
function escaped(text: string): string {
  return text.replace(/[[\]:]/g, "\\$&");
}

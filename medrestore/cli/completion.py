"""A script that completes commands, options and their choices in a shell.

Examples:
  medrestore completion bash > ~/.local/share/bash-completion/completions/medrestore
  medrestore completion zsh > ~/.zfunc/_medrestore
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from .command import Command
from .options import POSITIONAL

BASH = """_medrestore() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" command="${{COMP_WORDS[1]}}"
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "{commands} --help --version" -- "$current"))
    return
  fi
  case "$command $before" in
{choices}
  esac
  if [[ "$current" == -* ]]; then
    case "$command" in
{options}
    esac
    return
  fi
  COMPREPLY=($(compgen -f -- "$current"))
}}
complete -o filenames -F _medrestore medrestore"""
ZSH = "#compdef medrestore\nautoload -U +X bashcompinit && bashcompinit\n"


@dataclass(frozen=True)
class Options:
    """The options of `completion`.

    Args:
        shell: the shell to write for
    """

    shell: Annotated[Literal["bash", "zsh"], POSITIONAL] = "bash"


def script(shell: str, commands: "dict[str, Command[Any]]") -> str:
    """The script for a shell, from the options of the commands."""
    choices, options = [], []
    for name, command in commands.items():
        flags = [flag for one in command.options.values() if not one.positional for flag in one.flags]
        own = ["--help", *(["--config", "--print_config", "--print_schema"] if command.config else [])]
        options.append(f'      {name}) COMPREPLY=($(compgen -W "{" ".join([*flags, *own])}" -- "$current"));;')
        for one in command.options.values():
            words = ("true", "false") if one.is_switch and one.default else one.choices
            if words and not one.positional:
                choices.append(f'    "{name} {one.flag}") COMPREPLY=($(compgen -W "{" ".join(words)}" -- "$current")); return;;')
    text = BASH.format(commands=" ".join(commands), choices="\n".join(choices), options="\n".join(options))
    return (ZSH if shell == "zsh" else "") + text


def run(options: Options) -> int:
    """Prints the script."""
    from .main import COMMANDS

    print(script(options.shell, COMMANDS))
    return 0


COMMAND = Command("completion", Options, run, __doc__)

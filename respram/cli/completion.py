"""`respram completion bash|zsh|fish`: prints a shell's completion script, made from the same tables as the help.

The script offers commands and flags. Values are left to the shell, which offers files.
"""

from collections.abc import Callable, Mapping

from respram.errors import ConfigError

SHELLS = ("bash", "zsh", "fish")
HELP = """respram completion SHELL: print the completion script for bash, zsh or fish.

  bash   source <(respram completion bash)
  zsh    source <(respram completion zsh)
  fish   respram completion fish | source
"""

Commands = Mapping[str, Mapping[str, bool]]  # command to its flags, and whether each takes a value


def complete(words: list[str], commands: Commands, say: Callable[[str], None]) -> int:
    if len(words) != 1 or words[0] not in SHELLS:
        raise ConfigError("name a shell: respram completion bash, zsh or fish")
    say({"bash": _bash, "zsh": _zsh, "fish": _fish}[words[0]](commands))
    return 0


def _bash(commands: Commands) -> str:
    cases = "\n".join(f'    {name}) words="{_flags(flags)}" ;;' for name, flags in commands.items())
    return f"""_respram() {{
  local words="{' '.join(commands)}"
  if [ "$COMP_CWORD" -gt 1 ]; then
    case "${{COMP_WORDS[1]}}" in
{cases}
    *) words="" ;;
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
  [ -n "${{COMPREPLY[*]}}" ] || COMPREPLY=($(compgen -f -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -F _respram respram"""


def _zsh(commands: Commands) -> str:
    return "autoload -U +X bashcompinit && bashcompinit\n" + _bash(commands)


def _fish(commands: Commands) -> str:
    lines = [f"complete -c respram -f -n __fish_use_subcommand -a '{' '.join(commands)}'"]
    for name, flags in commands.items():
        lines += [
            f"complete -c respram -n '__fish_seen_subcommand_from {name}' -l {flag}" + (" -r" if takes else "")
            for flag, takes in flags.items()
        ]  # fmt: skip
    return "\n".join(lines)


def _flags(flags: Mapping[str, bool]) -> str:
    return " ".join(f"--{flag}" for flag in (*flags, "help"))

"""completion: scripts made from the command table."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from andromede.cli import table
from andromede.cli.output import Output
from andromede.cli.table import COMMANDS, COMMON, Command

Place = tuple[tuple[str, ...], Command]


def walk(commands: Sequence[Command] = COMMANDS, before: tuple[str, ...] = ()) -> Iterator[Place]:
    """Every command and group with the words that lead to it."""
    for command in commands:
        path = (*before, command.name)
        yield path, command
        yield from walk(command.commands, path)


def options(command: Command) -> list[str]:
    """The long options of a command."""
    return [name for argument in (*command.arguments, *COMMON) for name in argument.names if name.startswith("--")]


def words_after() -> dict[str, list[str]]:
    """What may follow the words typed so far."""
    found = {"": [command.name for command in COMMANDS] + ["--help", "--version"]}
    for path, command in walk():
        found[" ".join(path)] = [child.name for child in command.commands]
        if command.run:
            chosen = [str(value) for argument in command.arguments for value in argument.options.get("choices", ())]
            found[" ".join(path)] += [*chosen, *options(command), "--help"]
    return found


def bash() -> str:
    """For bash: completes commands, options, and files after options."""
    cases = "\n".join(f"    {key!r}) words={' '.join(words)!r} ;;" for key, words in words_after().items())
    return f"""_andromede() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} path='' word words=''
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case $word in -*) break ;; esac
    path="${{path:+$path }}$word"
  done
  case $path in
{cases}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [ ${{#COMPREPLY[@]}} -gt 0 ] || COMPREPLY=($(compgen -f -- "$current"))
}}
complete -F _andromede andromede
"""


def zsh() -> str:
    """For zsh, by way of its bash completion."""
    return "#compdef andromede\nautoload -U +X bashcompinit && bashcompinit\n" + bash()


def fish() -> str:
    """For fish."""
    lines = ["complete -c andromede -f"]
    top = " ".join(command.name for command in COMMANDS)
    for path, command in walk():
        text = command.help.replace("'", "\\'")
        seen = " and ".join(f"__fish_seen_subcommand_from {word}" for word in path[:-1])
        unless = seen or f"not __fish_seen_subcommand_from {top}"
        lines.append(f"complete -c andromede -n '{unless}' -a {command.name} -d '{text}'")
        if command.run:
            here = " and ".join(f"__fish_seen_subcommand_from {word}" for word in path)
            lines += [
                f"complete -c andromede -n '{here}' -l {name.removeprefix('--')} -r -F" for name in options(command)
            ]
    return "\n".join(lines) + "\n"


def completion(args: argparse.Namespace, out: Output) -> int:
    """`andromede completion SHELL`."""
    script = {"bash": bash, "zsh": zsh, "fish": fish}[args.shell]()
    if out.as_json:
        out.result({"shell": args.shell, "script": script})
    else:
        out.out.write(script)
    return table.OK

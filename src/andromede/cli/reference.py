"""reference: all commands and settings as Markdown, from the tables that the program itself uses."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from andromede import config as settings
from andromede.cli import table
from andromede.cli.completion import walk
from andromede.cli.output import Output
from andromede.cli.table import COMMON, EXIT_CODES, Argument, Command


def _usage(argument: Argument) -> str:
    name = argument.names[-1]
    value = str(argument.options.get("metavar") or "") if argument.options.get("action") is None else ""
    if not name.startswith("-"):
        choices = argument.options.get("choices")
        shown = "|".join(choices) if choices else value or name.upper()
        return f"{shown} ..." if argument.options.get("nargs") == "+" else shown
    return f"[{' '.join(filter(None, (name, value)))}]"


def _command(path: tuple[str, ...], command: Command) -> Iterator[str]:
    usage = " ".join(["andromede", *path, *(_usage(argument) for argument in command.arguments)])
    yield f"### {' '.join(path)}"
    yield ""
    yield f"`{usage}`"
    yield ""
    yield f"{command.help[0].upper()}{command.help[1:]}. {command.detail}".strip()
    yield ""
    if command.arguments:
        for argument in command.arguments:
            yield f"- `{', '.join(argument.names)}`: {argument.help}"
        yield ""


def commands() -> str:
    """The reference of commands."""
    lines = [
        "# Commands",
        "",
        "Made by `andromede reference`; a test keeps this file current.",
        "",
        "Every command takes:",
        "",
        *(f"- `{', '.join(argument.names)}`: {argument.help}" for argument in COMMON),
        "",
        "Results go to standard output, everything else to standard error. Exit codes:",
        "",
        "| code | meaning |",
        "|---|---|",
        *(f"| {code} | {text} |" for code, text in EXIT_CODES),
        "",
    ]
    for path, command in walk():
        if command.run:
            lines += _command(path, command)
    return "\n".join(lines)


def _default(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[]" if not value else str(list(value))
    return f'"{value}"' if isinstance(value, str) else str(value)


def configuration() -> str:
    """The reference of settings."""
    lines = [
        "# Settings",
        "",
        "Made by `andromede reference`; a test keeps this file current.",
        "",
        "Settings stand in `DIR/andromede.toml`, one table per section. `ANDROMEDE_<SECTION>_<KEY>` in the environment",
        "goes before the file, and options of the command line go before both. Unknown keys are refused;",
        "`andromede check-config` prints every problem at once, and where each value comes from.",
        "",
        "| setting | type | default | meaning |",
        "|---|---|---|---|",
        *(
            f"| `{name}` | {'list of strings' if 'tuple' in kind else kind} | `{_default(default)}` | {doc} |"
            for name, kind, default, doc in settings.reference()
        ),
        "",
    ]
    return "\n".join(lines)


def reference(args: argparse.Namespace, out: Output) -> int:
    """`andromede reference`."""
    out.result({"commands": commands(), "settings": configuration()})
    out.say(commands() + "\n" + configuration())
    return table.OK

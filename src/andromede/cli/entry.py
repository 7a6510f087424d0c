"""From words to a command: parser, errors, exit codes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NoReturn

from andromede import __version__
from andromede.cli import table
from andromede.cli.output import Output
from andromede.cli.table import COMMANDS, COMMON, EXIT_CODES, Argument, Command

Run = Callable[[argparse.Namespace, Output], int]


def _codes() -> str:
    return "exit codes:\n" + "\n".join(f"  {code:<4} {text}" for code, text in EXIT_CODES)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(table.USAGE, f"{self.prog}: {message}\nSee: {self.prog} --help\n")


def _add(parser: argparse.ArgumentParser, argument: Argument, taken: Sequence[Argument]) -> None:
    options = dict(argument.options)
    if argument in taken:  # given before the inner command's name, it stays given
        options["default"] = argparse.SUPPRESS
    parser.add_argument(*argument.names, help=argument.help, **options)


def _fill(
    parser: argparse.ArgumentParser, commands: Sequence[Command], depth: int, outer: Sequence[Argument] = ()
) -> None:
    places = parser.add_subparsers(
        title="commands", metavar="COMMAND", dest=f"command{depth}", required=depth > 0 and not outer,
        parser_class=_Parser,
    )  # fmt: skip
    for command in commands:
        child = places.add_parser(
            command.name,
            help=command.help,
            description=f"{command.help[0].upper()}{command.help[1:]}. {command.detail}".strip(),
            allow_abbrev=False,
        )
        own = (*command.arguments, *COMMON) if command.run else ()
        for argument in own:
            _add(child, argument, outer)
        if command.run:
            child.set_defaults(run=command.run)
        if command.commands:
            _fill(child, command.commands, depth + 1, own)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = _Parser(
        prog="andromede",
        description="Andromède: a sovereign cloud in one program. Start with: andromede up",
        epilog=_codes(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"andromede {__version__}")
    _fill(top, COMMANDS, 0)
    return top


def _parsed(tree: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace:
    """The arguments; a word that the command does not know ends the program, with the option that was perhaps meant."""
    args, unknown = tree.parse_known_args(argv)
    if unknown:
        import difflib

        names = [str(name) for depth in range(3) if (name := getattr(args, f"command{depth}", None))]
        command = _command(COMMANDS, names)
        known = [word for argument in (*command.arguments, *COMMON) for word in argument.names] if command else []
        close = difflib.get_close_matches(unknown[0].partition("=")[0], known, 1)
        words = " ".join(["andromede", *names])
        perhaps = f"; did you mean {close[0]}?" if close else ""
        tree.exit(table.USAGE, f"{words}: unrecognized arguments: {' '.join(unknown)}{perhaps}\nSee: {words} --help\n")
    return args


def _command(commands: Sequence[Command], names: Sequence[str]) -> Command | None:
    found = next((command for command in commands if names and command.name == names[0]), None)
    return _command(found.commands, names[1:]) if found and names[1:] else found


def _load(run: str) -> Run:
    module, _, function = run.partition(":")
    found: Run = getattr(import_module(f"andromede.cli.{module}"), function)
    return found


def _failure(error: Exception, out: Output) -> int:
    from andromede.errors import Error

    if not isinstance(error, Error):
        raise error
    cause = f" ({error.cause})" if error.cause else ""
    if out.as_json:
        out.result({"error": {"kind": error.kind, "reason": error.reason, "message": error.public}})
    out.note(f"andromede: {error.public}{cause}")
    return table.USAGE if error.reason == "config" else table.FAILED


def run(argv: Sequence[str]) -> int:
    """Parse and run; the exit code. Known errors are said in one line, unknown ones with their traceback."""
    tree = parser()
    args = _parsed(tree, argv)
    if not getattr(args, "run", ""):
        tree.print_help()
        return table.OK
    out = Output(args.json)
    try:
        return _load(args.run)(args, out)
    except KeyboardInterrupt:
        out.note("interrupted")
        return table.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return table.OK
    except Exception as error:  # one place turns every known failure into its line
        return _failure(error, out)

"""check-config and version."""

from __future__ import annotations

import argparse
import os
import tomllib
from typing import Any

from andromede import __version__
from andromede import config as settings
from andromede.cli import common, table
from andromede.cli.output import Output
from andromede.errors import Invalid


def _origin(section: str, word: str, document: dict[str, Any]) -> str:
    if f"ANDROMEDE_{section.upper()}_{word.upper()}" in os.environ:
        return "environment"
    return "file" if word in document.get(section, {}) else "default"


def check(args: argparse.Namespace, out: Output) -> int:
    """`andromede check-config`: all values and their origin, or every problem at once."""
    place = common.layout(args)
    try:
        config = common.load(args)
    except Invalid as error:
        problems = error.detail.get("problems", [error.public])
        out.result({"ok": False, "problems": problems})
        for problem in problems:
            out.say(problem)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        out.say(f"{count}. The settings are explained by: andromede reference")
        return table.USAGE
    document = tomllib.loads(place.settings.read_text()) if place.settings.exists() else {}
    rows = []
    for name, _, _, doc in settings.reference():
        section, _, word = name.partition(".")
        value = getattr(getattr(config, section), word)
        value = settings.without_passwords(value) if isinstance(value, str) else value
        rows.append((name, value, _origin(section, word, document), doc))
    out.result(
        {
            "ok": True,
            "data": str(place.data),
            "settings": {name: {"value": value, "origin": origin} for name, value, origin, _ in rows},
        }
    )
    out.table(("setting", "value", "from"), [(name, _shown(value), origin) for name, value, origin, _ in rows])
    out.say(f"The settings of {place.data} are sound.")
    return table.OK


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return '""' if value in ("", ()) else str(value)


def version(args: argparse.Namespace, out: Output) -> int:
    """`andromede version`."""
    out.say(f"andromede {__version__}")
    out.result({"version": __version__})
    return table.OK

"""How the drivers of campaigns begin and end: on a PostgreSQL of their own if asked to, with a report in
`build/campaign` and with an exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.support import postgres
from tests.support.installation import ROOT

OUT = ROOT / "build" / "campaign"


def on_postgres(module: str, words: Sequence[str]) -> int | None:
    """Run this driver again with a throw-away PostgreSQL; its exit code. None where there is one already."""
    if os.environ.get(postgres.VARIABLE):
        return None
    command = [sys.executable, str(ROOT / "tools" / "postgres"), sys.executable, "-m", module, *words]
    return subprocess.run(command, env={**os.environ, "ANDROMEDE_REQUIRE_POSTGRES": "1"}, cwd=ROOT).returncode


def write(path: Path, document: object) -> None:
    """A report as JSON; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, default=str) + "\n", encoding="utf-8")


def verdict(wrong: Iterable[str]) -> int:
    """Print a line for each thing that is wrong; the exit code."""
    found = [f"WRONG: {line[:1000]}" for line in wrong]
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0

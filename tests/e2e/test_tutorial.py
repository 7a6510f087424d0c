"""docs/tutorial-ledger.md is executed as it stands: every command, every promised line of output."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import tutorial
from tests.support.installation import ROOT, free_port

pytestmark = pytest.mark.timeout(300)
PAGE = ROOT / "docs" / "tutorial-ledger.md"
SECONDS = 240.0
PORTS = ("API", "OBJECTS", "API2", "OBJECTS2")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder like a clone after `make up` has installed the program, and a home for its user."""
    base = Path(tempfile.mkdtemp(prefix="andromede-tour-"))
    clone = base / "andromede"
    (clone / ".venv" / "bin").mkdir(parents=True)
    (base / "home").mkdir()
    for name in ("Makefile", "pyproject.toml", "src", "tools", "docs"):
        (clone / name).symlink_to(ROOT / name)
    for name, words in (("andromede", "-m andromede"), ("python", ""), ("python3", ""), ("pip", "-m pip")):
        file = clone / ".venv" / "bin" / name
        file.write_text(f'#!/bin/sh\nexec {sys.executable} {words} "$@"\n')
        file.chmod(0o755)
    (clone / ".venv" / ".run").touch()
    yield clone
    for data in sorted(path.parent for path in base.rglob("installation.json")):
        command = [sys.executable, "-m", "andromede", "down", "--data", str(data)]
        subprocess.run(command, env=surroundings(clone), capture_output=True, timeout=60, check=False)
    shutil.rmtree(base, ignore_errors=True)


def surroundings(clone: Path) -> dict[str, str]:
    """The environment of a fresh login: no settings, an empty home, ports that are free."""
    foreign = ("ANDROMEDE", "AWS_", "OS_", "XDG_", "MAKE", "MFLAGS", "VENV", "ARGS", "PYTHON")
    kept = {n: v for n, v in os.environ.items() if not n.startswith(foreign) and not n.lower().endswith("_proxy")}
    source = os.pathsep.join(filter(None, (str(ROOT / "src"), os.environ.get("PYTHONPATH", ""))))
    ports = {name: f"127.0.0.1:{free_port()}" for name in PORTS}
    return {**kept, **ports, "HOME": str(clone.parent / "home"), "PYTHONPATH": source, "NO_COLOR": "1"}


def test_the_tutorial_of_the_ledger_does_what_it_says(place: Path) -> None:
    steps = tutorial.steps(PAGE.read_text(encoding="utf-8"))
    assert len(steps) > 10
    outputs = tutorial.run(steps, place, surroundings(place), SECONDS)
    wrong = [
        f"line {step.line}: no {want!r} in\n{output}"
        for step, output in zip(steps, outputs, strict=True)
        if (want := tutorial.missing(step.promised, output))
    ]
    assert wrong == []


def test_a_promise_that_is_not_kept_is_found() -> None:
    page = "```sh\necho one; echo two 22\n```\n\n```text\none\ntwo ...\n```\n"
    (step,) = tutorial.steps(page)
    assert tutorial.missing(step.promised, "zero\none\ntwo 22\n") is None
    assert tutorial.missing(step.promised, "two 22\none\n") == "two ..."
    assert tutorial.missing(step.promised, "one\ntwos\n") == "two ..."


def test_a_block_that_fails_is_named(tmp_path: Path) -> None:
    page = "```sh\ntrue\n```\ntext\n```sh\necho said; false\necho unreached\n```\n"
    with pytest.raises(AssertionError, match=r"exit code 1 in the block of line 5(.|\n)*said"):
        tutorial.run(tutorial.steps(page), tmp_path, dict(os.environ), 20)

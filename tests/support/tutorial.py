"""Tutorials that are run: the shell blocks of a page in order, in one shell, and the output that the page promises.

A block fenced as `sh` is executed. A block fenced as `text` right after it holds lines of its output: each must appear,
in that order, with `...` standing for anything. Other blocks are for the reader.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = "== end of block "


@dataclass(frozen=True, slots=True)
class Step:
    """One shell block: the line where it stands, its text, the lines that its output must contain."""

    line: int
    script: str
    promised: tuple[str, ...]


def steps(page: str) -> list[Step]:
    """The shell blocks of a page with what each promises."""
    found: list[Step] = []
    last = -1
    for block in _FENCE.finditer(page):
        kind, text = block.groups()
        if kind == "sh":
            found.append(Step(page.count("\n", 0, block.start()) + 1, text, ()))
            last = block.end()
        elif kind == "text":
            assert found and not page[last : block.start()].strip(), f"output without its command: {text}"
            lines = tuple(line.strip() for line in text.splitlines() if line.strip() not in ("", "..."))
            found[-1] = Step(found[-1].line, found[-1].script, lines)
    return found


def fits(promised: str, line: str) -> bool:
    """Whether a line of output is the promised one."""
    return re.fullmatch(".*?".join(map(re.escape, promised.split("..."))), line.strip()) is not None


def missing(promised: tuple[str, ...], output: str) -> str | None:
    """The first promised line that does not come after those before it."""
    lines = iter(output.splitlines())
    return next((want for want in promised if not any(fits(want, line) for line in lines)), None)


def run(all_steps: list[Step], folder: Path, environment: Mapping[str, str], seconds: float) -> list[str]:
    """Execute the blocks in one bash that stops at the first failure; the output of each, errors among it.

    AssertionError names the block that failed, ended the shell, or was not done in time.
    """
    script = "set -eu\n" + "".join(
        f"{step.script}\nprintf '\\n{_MARK}%s\\n' {number}\n" for number, step in enumerate(all_steps)
    )
    output = folder / "tutorial-output"
    with output.open("wb") as out:
        shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-c", script],
            cwd=folder, env=dict(environment), stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
        )  # fmt: skip
        try:
            code: int | None = shell.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            stop_group(shell)
    parts = re.split(rf"\n{_MARK}\d+\n", output.read_text(encoding="utf-8", errors="replace"))
    if code != 0:
        step = all_steps[min(len(parts), len(all_steps)) - 1]
        why = f"not done within {seconds:g} s" if code is None else f"exit code {code}"
        raise AssertionError(f"{why} in the block of line {step.line}:\n{step.script}\n--\n{parts[-1][-4000:]}")
    return parts[: len(all_steps)]


def stop_group(shell: subprocess.Popen[bytes]) -> None:
    """End the shell and what it left in the background."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(shell.pid, signal.SIGTERM)
    shell.wait(10)

"""The installation's log: one file that every role appends to, turned over when it is large."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from andromede.ops.layout import Layout

LARGEST = 32 << 20
KEPT = 3


def open_log(layout: Layout) -> int:
    """A descriptor to append to, mode 0600."""
    return os.open(layout.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def turn_over(path: Path, largest: int = LARGEST, kept: int = KEPT) -> bool:
    """Copy a log that grew over `largest` bytes to `.1` (older ones to `.2`, ...) and cut it. Writers keep
    their descriptors; lines written during the copy's last instant may be lost."""
    try:
        if path.stat().st_size < largest:
            return False
    except FileNotFoundError:
        return False
    for number in range(kept - 1, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.rename(path.with_name(f"{path.name}.{number + 1}"))
    shutil.copy2(path, path.with_name(path.name + ".1"))
    os.truncate(path, 0)
    return True


def last_lines(path: Path, count: int, most: int = 1 << 20) -> list[str]:
    """The newest lines, from at most `most` bytes at the end of the file."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - most))
            return file.read().decode("utf-8", "replace").splitlines()[-count:]
    except FileNotFoundError:
        return []


def lines_since(path: Path, offset: int, most: int = 1 << 20) -> list[str]:
    """What was written behind an offset, at most so many bytes of it."""
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(most).decode("utf-8", "replace").splitlines()


def all_lines(path: Path) -> list[str]:
    """Every line that is kept, oldest first."""
    files = [path.with_name(f"{path.name}.{number}") for number in range(KEPT, 0, -1)]
    lines: list[str] = []
    for file in [*files, path]:
        if file.exists():
            lines += file.read_text("utf-8", "replace").splitlines()
    return lines

"""Room that is kept for the database when everything else has filled the disk.

Without it nothing could be done on a full disk: reads leave their event in the ledger before they are answered, and
deleting, which makes room again, needs rows first. So a file of some size is held beside the database. Who finds the
disk full gives it up, and the worker makes it anew when there is room again; bodies are refused while there is little.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

MOST, SHARE = 32 << 20, 0.02
"""Size in bytes: at most, and as a share of the file system."""
FLOOR, FLOOR_SHARE = 64 << 20, 0.04
"""What bodies leave free: more than the reserve, or they would fill what it gave up."""


def free(folder: Path) -> tuple[int, int]:
    """(bytes that may be written, size of the file system) where a folder is."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


def is_tight(folder: Path, wanted: int = 0) -> bool:
    """Whether so many more bytes would leave less free than the database may need."""
    left, size = free(folder)
    return left - wanted < min(FLOOR, int(size * FLOOR_SHARE))


class Reserve:
    """The file. Every process may give it up; one makes it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def release(self) -> None:
        """Give the room up, if the disk is full."""
        with contextlib.suppress(OSError):
            if self._path.stat().st_size and is_tight(self._path.parent):
                os.truncate(self._path, 0)

    def hold(self) -> bool:
        """Take the room if there is plenty; whether it is held. Raises `OSError`."""
        left, size = free(self._path.parent)
        wanted = min(MOST, int(size * SHARE))
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(fd).st_size >= wanted:
                return True
            if left < wanted + 2 * min(FLOOR, int(size * FLOOR_SHARE)):
                return False
            os.posix_fallocate(fd, 0, wanted)
        finally:
            os.close(fd)
        return True

"""Faults on demand in a running installation: a small preloaded library, steered through a shared file.

Needs a C compiler and a dynamically linked Python; `missing()` says why it cannot be used.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SOURCE = Path(__file__).with_name("faultshim.c")
WRITE, SYNC, OPEN, NAME, ROOM, READ = 1, 2, 4, 8, 16, 32
CHANGING = WRITE | SYNC | OPEN | NAME | ROOM
_LAYOUT = struct.Struct("=Ii7q512s128s")
_SEEN = struct.calcsize("=Ii5q")
EVERY = 1 << 60


def missing() -> str:
    """Why faults cannot be injected here; empty when they can."""
    return "" if shutil.which("cc") else "no C compiler (Debian: apt-get install gcc)"


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to matching calls: those number `first` to `first + count - 1` fail with `error`, all take
    `delay` seconds. `kinds`: which calls; `within`: a part of the path; `pid`: in this process only, 0 in all."""

    kinds: int = CHANGING
    error: int = errno.ENOSPC
    first: int = 1
    count: int = EVERY
    delay: float = 0.0
    within: str = ""
    pid: int = 0


@dataclass(slots=True)
class Shim:
    """The library, built once, and its control block. Faults concern paths below `prefix`."""

    prefix: Path
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="andromede-faults-")))
    _block: mmap.mmap = field(init=False)
    _clock_us: int = 0

    def __post_init__(self) -> None:
        control, library = self.folder / "control", self.folder / "faults.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"], check=True)
        with control.open("w+b") as file:
            file.truncate(4096)
            self._block = mmap.mmap(file.fileno(), 4096)
        self.clear()

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to be reached."""
        return {"LD_PRELOAD": str(self.folder / "faults.so"), "ANDROMEDE_FAULTS": str(self.folder / "control")}

    def arm(self, fault: Fault) -> None:
        """From now on, with the counters at nought."""
        self._write(
            fault.kinds, fault.error, fault.first, fault.count, int(fault.delay * 1e6), self._clock_us, fault.pid, 0, 0,
            os.fsencode(self.prefix), fault.within.encode(),
        )  # fmt: skip

    def clear(self) -> tuple[int, int]:
        """No faults any more; how many calls matched and how many failed since `arm`."""
        counted = self.counters()
        self._write(0, 0, 0, 0, 0, self._clock_us, 0, *counted, os.fsencode(self.prefix), b"")
        return counted

    def counters(self) -> tuple[int, int]:
        """(calls that matched, calls that failed)."""
        seen, struck = struct.unpack_from("=2q", self._block, _SEEN)
        return seen, struck

    def shift_clock(self, seconds: float) -> None:
        """Let the wall clock of all processes be off by so much."""
        self._clock_us = int(seconds * 1e6)
        self.clear()

    def _write(self, *values: int | bytes) -> None:
        self._block[4:] = _LAYOUT.pack(0, *values[1:])[4:].ljust(4092, b"\0")
        self._block[:4] = struct.pack("=I", values[0])  # last: what is armed is whole

    @contextlib.contextmanager
    def armed(self, fault: Fault) -> Iterator[None]:
        """The fault while the block runs."""
        self.arm(fault)
        try:
            yield
        finally:
            self.clear()

    def close(self) -> None:
        self._block.close()
        shutil.rmtree(self.folder, ignore_errors=True)

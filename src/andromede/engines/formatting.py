"""Fresh swap areas and file systems, as sparse files whose bytes are then written into a disk."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from andromede.errors import Fatal, Unavailable
from andromede.sparse import stretches

PAGE = 4096
PIECE = 1 << 20
LABEL = "ephemeral0"
_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


@contextmanager
def made(form: str, size: int, identity: str) -> Iterator[Path]:
    """A file of `size` bytes that holds an empty `swap` area or a file system (ext2, ext3, ext4) with the UUID
    `identity`, for as long as the context lasts. Raises `Unavailable` without mke2fs."""
    with tempfile.TemporaryDirectory(prefix="format-") as folder:
        file = Path(folder) / "disk"
        with file.open("wb") as out:
            out.truncate(size)
        if form == "swap":
            _swap(file, size, identity)
        else:
            _mke2fs(form, file, identity)
        yield file


def _swap(file: Path, size: int, identity: str) -> None:
    """The first page of a swap area (Linux, include/linux/swap.h: version 1, pages of 4 KiB)."""
    page = bytearray(PAGE)
    struct.pack_into("<III", page, 1024, 1, size // PAGE - 1, 0)
    page[1036:1052] = uuid.UUID(identity).bytes
    page[-10:] = b"SWAPSPACE2"
    with file.open("r+b") as out:
        out.write(page)


def _mke2fs(form: str, file: Path, identity: str) -> None:
    program = shutil.which("mke2fs", path=_PATH)
    if program is None:
        raise Unavailable(
            "disks of servers are formatted by mke2fs, which is not installed (package e2fsprogs)", "mkfs"
        )
    lazy = "lazy_itable_init=1,lazy_journal_init=1"
    words = [program, "-q", "-F", "-t", form, "-L", LABEL, "-U", identity, "-E", lazy, str(file)]
    done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise Fatal(f"mke2fs could not make a file system of type {form}", "mkfs", cause=done.stderr.strip()[-200:])


def pieces(file: Path) -> Iterator[tuple[int, bytes]]:
    """(start, bytes) of what the file holds, its holes left out."""
    with file.open("rb", buffering=0) as reading:
        fd = reading.fileno()
        for at, stop in stretches(fd, os.fstat(fd).st_size):
            for start in range(at, stop, PIECE):
                yield start, os.pread(fd, min(PIECE, stop - start), start)

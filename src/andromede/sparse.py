"""Where a sparse file holds data (lseek(2), SEEK_DATA and SEEK_HOLE)."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator


def stretches(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """(start, stop) of the parts of the first `size` bytes that hold data; all of them where the file system cannot
    tell."""
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
            stop = os.lseek(fd, start, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole is left
                return
            start, stop = at, size
        yield start, min(stop, size)
        at = stop

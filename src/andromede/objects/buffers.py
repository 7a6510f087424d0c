"""Reused buffers: fresh memory costs ten times more than warm memory on the machines measured."""

from __future__ import annotations

import mmap
from collections import deque

FRAME = 1 << 18
TAG = 16
PLAIN = FRAME - TAG
"""Plaintext bytes of a full frame."""
PIECE = 4 * FRAME
"""What is written and read at once: page-aligned, so that it can bypass the page cache."""
RING = 3


class BufferSet:
    """The memory of one stream: page-aligned sealed bytes (1 MiB) and plaintext (also 1 MiB, used
    as a ring of three frames when receiving)."""

    __slots__ = ("plain", "ring", "sealed")

    def __init__(self) -> None:
        self.sealed = memoryview(mmap.mmap(-1, PIECE))
        self.plain = memoryview(mmap.mmap(-1, PIECE))
        self.ring = [self.plain[n * FRAME : n * FRAME + PLAIN] for n in range(RING)]


class BufferPool:
    """Keeps up to `keep` sets warm. The number in use is bounded by the threads that stream."""

    def __init__(self, keep: int = 16) -> None:
        self._free: deque[BufferSet] = deque(maxlen=keep)

    def take(self) -> BufferSet:
        """A set of buffers; contents undefined."""
        try:
            return self._free.pop()
        except IndexError:
            return BufferSet()

    def give(self, buffers: BufferSet) -> None:
        """Return a set."""
        self._free.append(buffers)

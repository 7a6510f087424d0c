"""Bytes of one object as the body of another."""

from __future__ import annotations

from collections.abc import Iterator


class Joined:
    """A `Readable` over pieces, each valid until the next is asked for."""

    __slots__ = ("_left", "_pieces")

    def __init__(self, pieces: Iterator[memoryview]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")

    def readinto(self, view: memoryview, /) -> int:
        got = 0
        while got < len(view):
            if not self._left:
                self._left = next(self._pieces, memoryview(b""))
                if not self._left:
                    break
            count = min(len(view) - got, len(self._left))
            view[got : got + count] = self._left[:count]
            self._left = self._left[count:]
            got += count
        return got

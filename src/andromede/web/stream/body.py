"""Request bodies: blocking readers for handler threads."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Protocol

from andromede.clock import Clock
from andromede.web.stream.chunked import ChunkedDecoder
from andromede.web.stream.faults import ShortBody

_PIECE = 1 << 16


class Body:
    """The bytes of a request's body, read once from front to back.

    `length`: Content-Length, None when chunked, 0 without a body. `buffered`: the whole body is in
    memory and reads never block.
    """

    __slots__ = ()
    length: int | None
    buffered: bool

    def readinto(self, view: memoryview) -> int:
        """Fill the view unless the body ends first; the count of bytes read, 0 at the end.

        Raises `ShortBody` (an `errors.Invalid`) when the client closes early, stalls, or breaks
        the chunked coding.
        """
        raise NotImplementedError

    def peek(self) -> bytes | None:
        """The whole body where it is in memory and nothing of it was read; it stays to be read. Else None."""
        return None

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, all of the rest when negative (the caller bounds that); b"" at the end."""
        if size >= 0:
            piece = bytearray(size)
            got = self.readinto(memoryview(piece))
            return bytes(memoryview(piece)[:got])
        whole = bytearray()
        piece = bytearray(_PIECE)
        while got := self.readinto(memoryview(piece)):
            whole += memoryview(piece)[:got]
        return bytes(whole)


class BufferedBody(Body):
    """A body that is in memory."""

    __slots__ = ("_at", "_data", "length")
    buffered = True

    def __init__(self, data: bytes = b"") -> None:
        self._data = data
        self._at = 0
        self.length = len(data)

    def peek(self) -> bytes | None:
        return None if self._at else self._data

    def readinto(self, view: memoryview) -> int:
        piece = self._data[self._at : self._at + len(view)]
        view[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def read(self, size: int = -1) -> bytes:
        at = self._at
        if size < 0:
            self._at = len(self._data)
            return self._data[at:] if at else self._data
        self._at = min(at + size, len(self._data))
        return self._data[at : self._at]


class Source(Protocol):
    """Raw bytes of the connection, for a handler thread."""

    def recv_into(self, view: memoryview) -> int:
        """Wait for bytes; at least one, or 0 when the client has ended. Raises `ShortBody` on a stall."""


class PacedSource:
    """Gives up on a client that sends too slowly: each upload holds a thread. Only time spent waiting counts."""

    __slots__ = ("_clock", "_got", "_grace", "_rate", "_source", "_waited")

    def __init__(self, source: Source, clock: Clock, grace_seconds: float, rate: int) -> None:
        self._source = source
        self._clock = clock
        self._grace = grace_seconds
        self._rate = rate
        self._waited = 0.0
        self._got = 0

    def recv_into(self, view: memoryview) -> int:
        start = self._clock.monotonic()
        count = self._source.recv_into(view)
        self._waited += self._clock.monotonic() - start
        self._got += count
        if self._waited > self._grace and self._got < self._rate * (self._waited - self._grace):
            raise ShortBody(f"short body: it arrives with less than {self._rate} bytes per second")
        return count


class StreamBody(Body):
    """A body that arrives while it is read. `early` came together with the head."""

    __slots__ = ("_chunked", "_early", "_left", "_source", "_welcome", "broken", "length", "taken")
    buffered = False

    def __init__(self, length: int | None, early: bytes, source: Source, welcome: Callable[[], None] | None) -> None:
        self.length = length
        self.taken = 0
        self.broken = False
        self._welcome = welcome
        self._source = source
        self._early = memoryview(early)
        self._left = length or 0
        self._chunked = ChunkedDecoder(early, source.recv_into) if length is None else None

    @property
    def unread(self) -> int | None:
        """Bytes that the client has yet to send or we have yet to read; None when nobody knows; 0 at the end."""
        if self.broken:
            return None
        if self._chunked is not None:
            return 0 if self._chunked.ended else None
        return self._left

    @property
    def uninvited(self) -> bool:
        """Whether the client still waits for 100 Continue."""
        return self._welcome is not None

    @property
    def beyond(self) -> bytes:
        """Bytes received after the body's end, or (body unread) received early and not looked at."""
        return self._chunked.beyond if self._chunked is not None else bytes(self._early)

    def settle(self) -> None:
        """When a handler has stopped exactly at the end of a chunk, look whether that was the last one:
        it knew the size, and the connection should stay usable."""
        if self._chunked is not None and self.taken and self._chunked.between:
            with contextlib.suppress(ShortBody):
                self._chunked.readinto(memoryview(bytearray(1)))

    def readinto(self, view: memoryview) -> int:
        try:
            if self._welcome is not None:
                welcome, self._welcome = self._welcome, None
                welcome()
            got = self._fixed(view) if self._chunked is None else self._chunked.readinto(view)
        except ShortBody:
            self.broken = True
            raise
        self.taken += got
        return got

    def _fixed(self, view: memoryview) -> int:
        want = min(len(view), self._left)
        got = 0
        if self._early:
            got = min(want, len(self._early))
            view[:got] = self._early[:got]
            self._early = self._early[got:]
            self._left -= got
        while got < want:
            count = self._source.recv_into(view[got:want])
            if not count:
                raise ShortBody
            got += count
            self._left -= count
        return got

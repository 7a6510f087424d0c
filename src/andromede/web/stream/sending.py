"""An answer on its way out chunk by chunk."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from andromede.errors import Fatal
from andromede.web.stream.channel import Channel
from andromede.web.stream.faults import Gone, Slow
from andromede.web.stream.message import Chunk, Response


@dataclass(frozen=True, slots=True)
class Sent:
    """An answer has left, or (not whole) broke off after its head: then the connection must be cut."""

    status: int
    size: int
    whole: bool
    close: bool


@dataclass(frozen=True, slots=True)
class Framing:
    """How an answer with a body in chunks begins and ends."""

    head: bytes
    chunked: bool
    close: bool


class Sending:
    """Steps run on pool threads, one at a time. A step ends early when the client does not read: a thread
    that waited for it would be lost to everybody else."""

    __slots__ = ("_channel", "_chunks", "_ended", "_framing", "_queue", "_report", "_response", "_size")

    def __init__(self, response: Response, framing: Framing, channel: Channel, report: Callable[[Exception], None]):
        self._response = response
        self._framing = framing
        self._channel = channel
        self._report = report
        assert not isinstance(response.body, bytes)
        self._chunks: Iterator[Chunk] = iter(response.body)
        self._queue: deque[tuple[Chunk, bool]] = deque()
        self._size = 0
        self._ended = False

    def begin(self) -> None:
        """Produce the first chunk, before the head leaves: a failure here may still become a proper error."""
        first = next(self._chunks, None)
        self._queue.append((self._framing.head, first is not None))
        self._put(first)

    def step(self) -> Sent | None:
        """Send until the end, or until the client is slow (None)."""
        whole = False
        try:
            while True:
                while self._queue:
                    self._send_one()
                if self._ended:
                    whole = True
                    break
                self._put(next(self._chunks, None))
        except Slow:
            return None
        except Gone:
            pass
        except Exception as error:
            self._report(error)
        close_body(self._response.body)
        return Sent(self._response.status, self._size, whole, self._framing.close)

    def _send_one(self) -> None:
        data, more = self._queue[0]
        try:
            self._channel.send(data, more)
        except Slow as slow:
            self._queue[0] = (slow.rest, more)
            raise
        self._queue.popleft()

    def _put(self, chunk: Chunk | None) -> None:
        """Queue a chunk as it goes over the wire; None is the end."""
        length = self._response.length
        if chunk is None:
            self._ended = True
            if length is not None and self._size != length:
                raise Fatal(f"the answer ended after {self._size} of its declared {length} bytes")
            if self._framing.chunked:
                self._queue.append((b"0\r\n\r\n", False))
            return
        count = chunk.nbytes if isinstance(chunk, memoryview) else len(chunk)
        self._size += count
        if length is not None and self._size > length:
            raise Fatal(f"the answer is longer than its declared {length} bytes")
        if not count:
            return
        if self._framing.chunked:
            self._queue.extend(((b"%x\r\n" % count, True), (chunk, True), (b"\r\n", False)))
        else:
            self._queue.append((chunk, False))


def close_body(body: Any) -> None:
    """Call the iterable's `close`. The answer is decided: a failing clean-up must not change it."""
    close = getattr(body, "close", None)
    if close is not None:
        with contextlib.suppress(Exception):
            close()

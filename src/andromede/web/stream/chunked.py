"""The chunked transfer coding of request bodies (RFC 9112 7.1), decoded straight into the reader's memory."""

from __future__ import annotations

from collections.abc import Callable

from andromede.web.stream.faults import ShortBody

_HEX = b"0123456789abcdefABCDEF"
_SIZE_DIGITS = 15
_LINE_MAX = 1024
_TRAILER_MAX = 8192
_RAW = 1 << 14
_TEXT = bytes([9, *range(32, 127), *range(128, 256)])


class ChunkedDecoder:
    """Pulls raw bytes from `recv_into` and yields the body's bytes. Extensions and trailers are checked and dropped."""

    __slots__ = ("_buffer", "_end", "_first", "_left", "_recv", "_start", "_view", "ended")

    def __init__(self, early: bytes, recv_into: Callable[[memoryview], int]) -> None:
        self._buffer = bytearray(max(_RAW, len(early)))
        self._buffer[: len(early)] = early
        self._view = memoryview(self._buffer)
        self._start = 0
        self._end = len(early)
        self._recv = recv_into
        self._left = 0
        self._first = True
        self.ended = False

    @property
    def between(self) -> bool:
        """Whether a chunk has been read to its last byte and the next not begun."""
        return self._left == 0 and not self.ended

    @property
    def beyond(self) -> bytes:
        """Bytes received after the end: the beginning of the next request."""
        return bytes(self._view[self._start : self._end])

    def readinto(self, view: memoryview) -> int:
        """Fill the view unless the body ends first. Raises `ShortBody` on broken coding or an early end."""
        got = 0
        while got < len(view) and not self.ended:
            if self._left == 0:
                self._next_chunk()
                continue
            got += self._some(view[got : got + min(len(view) - got, self._left)])
        return got

    def _some(self, room: memoryview) -> int:
        waiting = self._end - self._start
        if waiting:
            count = min(waiting, len(room))
            room[:count] = self._view[self._start : self._start + count]
            self._start += count
        else:
            count = self._recv(room)
            if not count:
                raise ShortBody
        self._left -= count
        return count

    def _next_chunk(self) -> None:
        """Read the end of the last chunk and the size line of the next; at size 0 also the trailers."""
        if not self._first and self._line(0) != b"":
            raise ShortBody("broken chunked body: a chunk does not end in CR LF")
        self._first = False
        size, _, _ = self._line(_LINE_MAX).partition(b";")
        size = size.rstrip(b" \t")
        if not size or len(size) > _SIZE_DIGITS or size.translate(None, _HEX):
            raise ShortBody("broken chunked body: a chunk size is not a hexadecimal number")
        self._left = int(size, 16)
        if self._left == 0:
            budget = _TRAILER_MAX
            while line := self._line(budget):
                budget -= len(line) + 2
                if b":" not in line or budget <= 0:
                    raise ShortBody("broken chunked body: the trailers are malformed or too long")
            self.ended = True

    def _line(self, limit: int) -> bytes:
        """The next line without its CR LF, of at most `limit` bytes."""
        while (stop := self._buffer.find(b"\r\n", self._start, self._end)) < 0:
            if self._end - self._start > limit + 1:
                raise ShortBody("broken chunked body: a line is too long or does not end in CR LF")
            self._more()
        line = bytes(self._view[self._start : stop])
        if len(line) > limit or line.translate(None, _TEXT):
            raise ShortBody("broken chunked body: a line is too long or holds control characters")
        self._start = stop + 2
        return line

    def _more(self) -> None:
        if self._start:
            waiting = self._end - self._start
            self._view[:waiting] = bytes(self._view[self._start : self._end])
            self._start, self._end = 0, waiting
        count = self._recv(self._view[self._end :])
        if not count:
            raise ShortBody
        self._end += count

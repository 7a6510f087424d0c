"""Answer heads as bytes."""

from __future__ import annotations

from http import HTTPStatus

from andromede.clock import US, Clock, http_date
from andromede.web.stream.message import Response

_STATUS = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n" for s in HTTPStatus}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CHUNKED = -1


class Dated:
    """Status line and `Date` line, made anew at most once per tick."""

    __slots__ = ("_clock", "_date", "_starts")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._starts: dict[int, str] = {}
        self._date = ""
        self.renew()

    def renew(self) -> None:
        """Look at the clock again."""
        self._date = f"Date: {http_date(self._clock.now_us() // US)}\r\n"
        self._starts = {}

    def start(self, status: int) -> str:
        """The first two lines of an answer."""
        start = self._starts.get(status)
        if start is None:
            line = _STATUS.get(status) or f"HTTP/1.1 {int(status):03d} Status\r\n"
            start = self._starts[status] = line + self._date
        return start


def bodyless(method: str, status: int) -> bool:
    """Whether an answer carries no body whatever its headers say (RFC 9110 6.4.1)."""
    return method == "HEAD" or status == 204 or status == 304 or status < 200


def head(response: Response, dated: Dated, length: int | None, close: bool) -> bytes:
    """Status line to empty line. `length`: Content-Length, CHUNKED, or None for neither.

    Raises ValueError when a header would break out of its line: a handler's mistake, never sent.
    """
    lines = [dated.start(response.status)]
    for name, value in response.headers:
        lines.append(f"{name}: {value if type(value) is str else value.decode('latin-1')}\r\n")  # type: ignore[union-attr]
    if length is not None:
        lines.append(f"Content-Length: {length}\r\n" if length >= 0 else "Transfer-Encoding: chunked\r\n")
    if close:
        lines.append("Connection: close\r\n")
    lines.append("\r\n")
    text = "".join(lines)
    breaks = len(lines) + 1
    if text.count("\n") != breaks or text.count("\r") != breaks or "\0" in text:
        raise ValueError("a response header holds a line break or NUL")
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return b"".join(map(_mixed, lines))


def _mixed(line: str) -> bytes:
    """Text beyond Latin-1 goes out as UTF-8, line by line, so that bytes given as bytes stay as they are."""
    try:
        return line.encode("latin-1")
    except UnicodeEncodeError:
        return line.encode("utf-8")

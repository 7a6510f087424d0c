"""Answer heads as bytes."""

from __future__ import annotations

from http import HTTPStatus

from andromede.clock import US, Clock, http_date
from andromede.web.stream.message import Response

_STATUS = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n" for s in HTTPStatus}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CHUNKED = -1


class Dated:
    """The `Date` line, made anew at most once per tick."""

    __slots__ = ("_clock", "line")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.line = ""
        self.renew()

    def renew(self) -> None:
        self.line = f"Date: {http_date(self._clock.now_us() // US)}\r\n"


def bodyless(method: str, status: int) -> bool:
    """Whether an answer carries no body whatever its headers say (RFC 9110 6.4.1)."""
    return method == "HEAD" or status in (204, 304) or status < 200


def head(response: Response, date: str, length: int | None, close: bool) -> bytes:
    """Status line to empty line. `length`: Content-Length, CHUNKED, or None for neither.

    Raises ValueError when a header would break out of its line: a handler's mistake, never sent.
    """
    lines = [_STATUS.get(response.status) or f"HTTP/1.1 {response.status} Status\r\n", date]
    for name, value in response.headers:
        lines.append(f"{name}: {value if isinstance(value, str) else value.decode('latin-1')}\r\n")
    if length is not None:
        lines.append(f"Content-Length: {length}\r\n" if length >= 0 else "Transfer-Encoding: chunked\r\n")
    if close:
        lines.append("Connection: close\r\n")
    text = "".join(lines)
    if text.count("\n") != len(lines) or text.count("\r") != len(lines) or "\0" in text:
        raise ValueError("a response header holds a line break or NUL")
    try:
        return (text + "\r\n").encode("latin-1")
    except UnicodeEncodeError:
        return b"".join(_mixed(line) for line in lines) + b"\r\n"


def _mixed(line: str) -> bytes:
    """Text beyond Latin-1 goes out as UTF-8, line by line, so that bytes given as bytes stay as they are."""
    try:
        return line.encode("latin-1")
    except UnicodeEncodeError:
        return line.encode("utf-8")

"""A streaming reader of `multipart/form-data` (RFC 7578): fields in order, memory bounded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from andromede.errors import Invalid
from andromede.objects.model import Readable

_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,200})"|([^\s;,"]{1,200}))', re.IGNORECASE)
_NAME = re.compile(r'(?:^|;)\s*name="((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_FILENAME = re.compile(r'(?:^|;)\s*filename="((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_PIECE = 1 << 16
MAX_HEADERS = 8192


def boundary_of(content_type: str) -> bytes:
    """Raises `Invalid` when the type names none."""
    match = _BOUNDARY.search(content_type)
    if match is None:
        raise Invalid("the form's Content-Type has no boundary", "form")
    return (match.group(1) or match.group(2)).encode("latin-1")


@dataclass(frozen=True, slots=True)
class Field:
    """The head of one part. `filename` is None for plain fields; header names are lower case."""

    name: str
    filename: str | None
    headers: dict[str, str]


class FormReader:
    """Iterate over the fields; read each with `readinto` before asking for the next (a rest is skipped)."""

    def __init__(self, source: Readable, boundary: bytes) -> None:
        self._source = source
        self._mark = b"\r\n--" + boundary
        # the first boundary has no line break before it: pretend one
        self._buffer = bytearray(b"\r\n")
        self._inside = True  # in the preamble

    def fields(self) -> Iterator[Field]:
        """Raises `Invalid` for anything that is no form."""
        self._skip()
        while True:
            line = self._exactly(2)
            if line == b"--":
                return
            if line != b"\r\n":
                raise Invalid("the form's boundary is followed by something else", "form")
            self._inside = True
            yield self._head()
            self._skip()

    def _skip(self) -> None:
        scratch = memoryview(bytearray(_PIECE))
        while self.readinto(scratch):
            pass

    def readinto(self, view: memoryview) -> int:
        """Bytes of the current field; 0 at its end."""
        if not self._inside:
            return 0
        while True:
            at = self._buffer.find(self._mark)
            safe = at if at >= 0 else len(self._buffer) - len(self._mark) + 1
            if safe > 0:
                count = min(safe, len(view))
                view[:count] = self._buffer[:count]
                del self._buffer[:count]
                return count
            if at == 0:
                del self._buffer[: len(self._mark)]
                self._inside = False
                return 0
            self._more()

    def value(self, limit: int) -> str:
        """The current field as text of at most `limit` bytes. Raises `Invalid` beyond."""
        data = bytearray()
        view = memoryview(bytearray(limit + 1))
        while count := self.readinto(view[: limit + 1 - len(data)]):
            data += view[:count]
            if len(data) > limit:
                raise Invalid(f"a field of the form is longer than {limit} bytes", "form")
        return data.decode("utf-8", "surrogateescape")

    def _more(self) -> None:
        piece = bytearray(_PIECE)
        count = self._source.readinto(memoryview(piece))
        if not count:
            raise Invalid("the form ends before its last boundary", "form")
        self._buffer += piece[:count]

    def _exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._more()
        found = bytes(self._buffer[:count])
        del self._buffer[:count]
        return found

    def _head(self) -> Field:
        headers: dict[str, str] = {}
        size = 0
        while line := self._line():
            size += len(line)
            if size > MAX_HEADERS:
                raise Invalid("the head of a field of the form is too long", "form")
            key, _, value = line.decode("utf-8", "surrogateescape").partition(":")
            headers[key.strip().lower()] = value.strip()
        disposition = headers.get("content-disposition", "")
        name = _NAME.search(disposition)
        filename = _FILENAME.search(disposition)
        return Field(
            _unescaped(name.group(1)) if name else "", _unescaped(filename.group(1)) if filename else None, headers
        )

    def _line(self) -> bytes:
        while (stop := self._buffer.find(b"\r\n")) < 0:
            if len(self._buffer) > MAX_HEADERS:
                raise Invalid("a line of the form is too long", "form")
            self._more()
        line = bytes(self._buffer[:stop])
        del self._buffer[: stop + 2]
        return line


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)

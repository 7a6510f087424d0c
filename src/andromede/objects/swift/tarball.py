"""A streaming reader of tar archives (POSIX ustar, pax, GNU long names), plain or compressed.

Memory is bounded whatever the archive says; links, devices and other special members are passed over.
"""

from __future__ import annotations

import bz2
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from andromede.errors import Invalid
from andromede.objects.model import Readable

_BLOCK = 512
_PIECE = 1 << 16
MAX_EXTENSION = 1 << 16
"""Bytes of a pax header or a long name."""
_FILE_TYPES = (b"0", b"\0", b"7")


class Decompressor(Protocol):
    """What zlib and bz2 objects are used through."""

    def expand(self, data: bytes, most: int) -> bytes: ...

    @property
    def hungry(self) -> bool: ...


class _Gzip:
    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)
        self._rest = b""

    def expand(self, data: bytes, most: int) -> bytes:
        if self._zlib.eof:
            self._rest = self._zlib.unused_data + data
            if not self._rest.strip(b"\0"):
                return b""
            self._zlib = zlib.decompressobj(wbits=31)
            data, self._rest = self._rest, b""
        out = self._zlib.decompress(self._zlib.unconsumed_tail + data, most)
        return out

    @property
    def hungry(self) -> bool:
        return not self._zlib.unconsumed_tail


class _Bzip2:
    def __init__(self) -> None:
        self._bz2 = bz2.BZ2Decompressor()

    def expand(self, data: bytes, most: int) -> bytes:
        if self._bz2.eof:
            return b""
        return self._bz2.decompress(data, most)

    @property
    def hungry(self) -> bool:
        return self._bz2.needs_input or self._bz2.eof


class _Plain:
    hungry = True

    def expand(self, data: bytes, most: int) -> bytes:
        return data


KINDS: dict[str, type[_Plain] | type[_Gzip] | type[_Bzip2]] = {"tar": _Plain, "tar.gz": _Gzip, "tar.bz2": _Bzip2}


@dataclass(frozen=True, slots=True)
class Member:
    """A file of the archive. `attributes`: extended attributes from pax headers."""

    name: str
    size: int
    attributes: dict[str, str] = field(default_factory=dict)


class TarReader:
    """Iterate over the files; read each with `readinto` before asking for the next (a rest is skipped).

    Raises `Invalid` (reason="tar") for anything that is no archive and when more than `limit` bytes unpack."""

    def __init__(self, source: Readable, kind: str, limit: int) -> None:
        self._source = source
        self._unpack: Decompressor = KINDS[kind]()
        self._left_to_unpack = limit
        self._buffer = bytearray()
        self._member_left = 0
        self._padding = 0
        self._ended = False

    def members(self) -> Iterator[Member]:
        """Regular files in order."""
        pax: dict[str, str] = {}
        long_name = ""
        first = True
        while (block := self._block(first)) is not None:
            first = False
            kind, size = block[156:157], _number(block[124:136])
            if kind in (b"x", b"L", b"K", b"g"):
                data = self._extension(size)
                if kind == b"x":
                    pax = _pax(data)
                elif kind == b"L":
                    long_name = data.rstrip(b"\0").decode("utf-8", "surrogateescape")
                continue
            if "size" in pax and pax["size"].isdigit():
                size = int(pax["size"])
            regular = kind in _FILE_TYPES
            self._begin(size if regular or kind not in b"123456" else 0)
            name = pax.get("path") or long_name or _ustar_name(block)
            if regular and not name.endswith("/"):
                yield Member(name, size, {k: v for k, v in pax.items() if k.startswith("SCHILY.xattr.")})
            self._skip()
            pax, long_name = {}, ""

    def _begin(self, size: int) -> None:
        self._member_left = size
        self._padding = -size % _BLOCK

    def readinto(self, view: memoryview) -> int:
        """Bytes of the current file; 0 at its end."""
        want = min(len(view), self._member_left)
        got = 0
        while got < want:
            if not self._buffer and not self._fill():
                raise Invalid("unexpected end of data", "tar")
            count = min(want - got, len(self._buffer))
            view[got : got + count] = self._buffer[:count]
            del self._buffer[:count]
            got += count
        self._member_left -= got
        return got

    def _skip(self) -> None:
        scratch = memoryview(bytearray(_PIECE))
        while self._member_left:
            self.readinto(scratch)
        self._member_left, self._padding = self._padding, 0
        while self._member_left:
            self.readinto(scratch)

    def _extension(self, size: int) -> bytes:
        if size > MAX_EXTENSION:
            raise Invalid("a header of the archive is too long", "tar")
        self._begin(size)
        data = bytearray(size)
        self.readinto(memoryview(data))
        self._skip()
        return bytes(data)

    def _block(self, first: bool) -> bytes | None:
        while len(self._buffer) < _BLOCK:
            if not self._fill():
                if first and not self._buffer:
                    raise Invalid("empty file", "tar")
                if self._buffer.strip(b"\0"):
                    raise Invalid("truncated header" if not first else "not a tar file", "tar")
                return None
        block = bytes(self._buffer[:_BLOCK])
        del self._buffer[:_BLOCK]
        if not block.strip(b"\0"):
            return None
        total = sum(block[:148]) + sum(block[156:]) + 8 * 32
        if _number(block[148:156]) != total:
            raise Invalid("bad checksum", "tar")
        return block

    def _fill(self) -> bool:
        """More unpacked bytes into the buffer; False at the end."""
        while not self._ended:
            data = b""
            if self._unpack.hungry:
                piece = bytearray(_PIECE)
                count = self._source.readinto(memoryview(piece))
                data = bytes(piece[:count])
                self._ended = count == 0
            try:
                out = self._unpack.expand(data, _PIECE * 4)
            except (zlib.error, OSError, EOFError, ValueError):
                raise Invalid("the compressed data is damaged or of another kind", "tar") from None
            if out:
                self._left_to_unpack -= len(out)
                if self._left_to_unpack < 0:
                    raise Invalid("the archive unpacks to more than is taken at once", "tar")
                self._buffer += out
                return True
        return False


def _number(raw: bytes) -> int:
    if raw[:1] == b"\x80":
        value = int.from_bytes(raw[1:], "big")
        if value > 1 << 50:
            raise Invalid("a number of the archive is too large", "tar")
        return value
    text = raw.strip(b"\0 ")
    try:
        value = int(text, 8) if text else 0
    except ValueError:
        value = -1
    if value < 0:
        raise Invalid("a number of the archive is not octal", "tar")
    return value


def _ustar_name(block: bytes) -> str:
    name = block[:100].split(b"\0", 1)[0]
    if block[257:262] == b"ustar" and block[257:265] != b"ustar  \0":
        prefix = block[345:500].split(b"\0", 1)[0]
        if prefix:
            name = prefix + b"/" + name
    return name.decode("utf-8", "surrogateescape")


def _pax(data: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    while data:
        length, space, _ = data.partition(b" ")
        if not space or not length.isdigit() or len(length) > 8 or not 0 < int(length) <= len(data):
            raise Invalid("a pax header of the archive is malformed", "tar")
        record, data = data[len(length) + 1 : int(length)], data[int(length) :]
        name, _, value = record.rstrip(b"\n").partition(b"=")
        found[name.decode("utf-8", "surrogateescape")] = value.decode("utf-8", "surrogateescape")
    return found

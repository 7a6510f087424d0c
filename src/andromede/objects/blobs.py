"""The blob engine: a port for sealed bytes. Engines know neither objects nor keys.

Two kinds of blob: *logs*, which hold many small records one after another, and *files*, one body each.
What `append` and `seal` return is durable: it survives a crash of the process and of the machine.
Nothing is ever changed in place; `remove` may be repeated.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from andromede.errors import Fatal

FRAME_LOG2 = 18
"""Sealed frames are 2**18 bytes on disk; written into every reference."""

_HEAD = struct.Struct(">4sHII")
_MAGIC = b"AdR1"


def _ref(name: str, offset: int, length: int) -> str:
    return f"{name}:{offset}:{length}:{FRAME_LOG2}"


class Extent(NamedTuple):
    """`length` bytes at `offset` of the blob `name`."""

    name: str
    offset: int
    length: int

    def text(self) -> str:
        """The reference that rows keep: `name:offset:length:log2 of the frame size`."""
        return _ref(self.name, self.offset, self.length)

    @classmethod
    def parse(cls, ref: str) -> Extent:
        """Read `text` back. Raises `Fatal` reason `damage`."""
        try:
            name, offset, length, frame = ref.rsplit(":", 3)
            if int(frame) != FRAME_LOG2:
                raise ValueError(frame)
            return cls(name, int(offset), int(length))
        except ValueError as error:
            raise Fatal(f"{ref!r} is not a reference to stored bytes", "damage") from error


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """One blob as the engine sees it. `sealed`: a log that nobody appends to any more, or a file."""

    name: str
    size: int
    modified_us: int
    is_log: bool
    sealed: bool


class BlobReader(Protocol):
    """An open extent; stays readable after `remove` where the store can do that."""

    def readinto(self, view: memoryview, offset: int) -> int:
        """Fill the view from `offset` (relative to the extent) unless the extent ends; bytes read."""

    def close(self) -> None: ...


class BlobWriter(Protocol):
    """A file in the making. `write` takes pieces of exactly 1 MiB, only the last may be shorter."""

    def write(self, view: memoryview) -> None: ...

    def seal(self) -> Extent:
        """Make it durable under its name."""

    def discard(self) -> None:
        """Drop it; harmless after `seal` has failed."""


class BlobEngine(Protocol):
    """Where sealed bytes live."""

    def append(self, records: Sequence[Sequence[bytes]]) -> list[Extent]:
        """Add records (each the concatenation of its pieces) to the process's log with one flush.
        Called by one thread at a time."""

    def writer(self, blob_id: str, size: int | None) -> BlobWriter:
        """Start a file; `size`: its final size in bytes, if known. Raises `NoCapacity` when there is no room."""

    def open(self, extent: Extent) -> BlobReader:
        """Raises `Fatal` reason `missing` when the blob is not there."""

    def read(self, extent: Extent) -> bytes:
        """The whole extent at once; for small ones. `Fatal` reason `missing` or `damage` (short)."""

    def remove(self, name: str) -> None: ...

    def listing(self, logs_only: bool = False) -> Iterator[BlobInfo]:
        """Every blob there is, or every log: those are few, while files are as many as large objects."""

    def close(self) -> None: ...


RECORD_LEAST = _HEAD.size + 40
"""What a record takes beside its data, at least."""


def record_size(owner: bytes, data: Extent) -> int:
    """What a record takes in its log."""
    return _HEAD.size + len(owner) + data.length


def record_pieces(owner: bytes, data: bytes) -> tuple[bytes, bytes, bytes]:
    """A log record: head (magic, length of owner, length of data, CRC-32 of the owner), owner, data."""
    return _HEAD.pack(_MAGIC, len(owner), len(data), zlib.crc32(owner)), owner, data


def record_ref(extent: Extent, owner: bytes) -> str:
    """The reference (as of `Extent.text`) to the data of a record, which lies behind its head and owner."""
    skip = _HEAD.size + len(owner)
    return _ref(extent.name, extent.offset + skip, extent.length - skip)


def records(reader: BlobReader, size: int, name: str) -> Iterator[tuple[bytes, Extent]]:
    """(owner, extent of the data) of every record in a log, up to its end or the first gap.

    A crash may leave a torn record behind the last durable one; nothing refers to it."""
    at = 0
    head = bytearray(_HEAD.size)
    while at + _HEAD.size <= size:
        if reader.readinto(memoryview(head), at) < _HEAD.size:
            return
        magic, owner_size, data_size, crc = _HEAD.unpack(head)
        if magic != _MAGIC or at + _HEAD.size + owner_size + data_size > size:
            return
        owner = bytearray(owner_size)
        if reader.readinto(memoryview(owner), at + _HEAD.size) < owner_size or zlib.crc32(owner) != crc:
            return
        body = at + _HEAD.size + owner_size
        yield bytes(owner), Extent(name, body, data_size)
        at = body + data_size


def is_log(name: str) -> bool:
    """Whether a blob is a log; the names of logs begin so in every engine."""
    return name.startswith("log/")

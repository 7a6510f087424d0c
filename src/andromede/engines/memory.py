"""The twin of a blob engine: keeps blobs in memory, polices its caller, fails before or after an effect."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

from andromede.errors import Fatal, Unavailable
from andromede.objects.blobs import BlobInfo, BlobReader, BlobWriter, Extent

_PIECE = 1 << 20


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data: bytes | None = data

    def readinto(self, view: memoryview, offset: int) -> int:
        if self._data is None:
            raise AssertionError("read after close")
        piece = self._data[offset : offset + len(view)]
        view[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self._data = None


class _Writer:
    def __init__(self, engine: MemoryEngine, name: str, size: int | None) -> None:
        self._engine = engine
        self._name = name
        self._data = bytearray()
        self._state = "open"
        self._short = False
        self._size = size

    def write(self, view: memoryview) -> None:
        if self._state != "open" or self._short or not 0 < len(view) <= _PIECE:
            raise AssertionError("pieces are of 1 MiB, only the last may be shorter, none follows it")
        self._short = len(view) < _PIECE
        self._engine.fail("write", "before")
        self._data += view
        self._engine.fail("write", "after")

    def seal(self) -> Extent:
        if self._state != "open":
            raise AssertionError("sealed twice")
        self._engine.fail("seal", "before")
        self._engine.files[self._name] = bytes(self._data)
        self._state = "sealed"
        self._engine.fail("seal", "after")
        return Extent(self._name, 0, len(self._data))

    def discard(self) -> None:
        self._state = "discarded"


class MemoryEngine:
    """`faults(verb, when)` may raise to simulate a failure; `when` is before or after the effect."""

    def __init__(
        self, source: str = "memory", faults: Callable[[str, str], None] | None = None, now_us: Callable[[], int] = int
    ) -> None:
        self.files: dict[str, bytes] = {}
        self.logs: dict[str, bytearray] = {}
        self._source = source
        self._faults = faults
        self._now = now_us
        self._appending = threading.Lock()
        self._rolled = 0

    def fail(self, verb: str, when: str) -> None:
        """Let the test decide whether to fail here."""
        if self._faults is not None:
            self._faults(verb, when)

    def roll(self) -> None:
        """End the current log. Names are given once, whatever was removed."""
        self._rolled += 1
        self.logs[f"log/{self._source}-{self._rolled:08d}"] = bytearray()

    def append(self, records: Sequence[Sequence[bytes]]) -> list[Extent]:
        if not self._appending.acquire(blocking=False):
            raise AssertionError("two threads append at once")
        try:
            if not records or any(not any(pieces) for pieces in records):
                raise AssertionError("nothing to append")
            self.fail("append", "before")
            if not self.logs:
                self.roll()
            name, log = list(self.logs.items())[-1]
            extents = []
            for pieces in records:
                extents.append(Extent(name, len(log), sum(map(len, pieces))))
                log += b"".join(pieces)
            self.fail("append", "after")
            return extents
        finally:
            self._appending.release()

    def writer(self, blob_id: str, size: int | None) -> BlobWriter:
        name = f"file/{blob_id}"
        if name in self.files:
            raise AssertionError("a blob id is used once")
        return _Writer(self, name, size)

    def _bytes(self, extent: Extent) -> bytes:
        self.fail("read", "before")
        whole = self.files.get(extent.name)
        if whole is None:
            log = self.logs.get(extent.name)
            if log is None:
                raise Fatal(f"the stored bytes {extent.name} are missing; restore them from a copy", "missing")
            whole = bytes(log)
        return whole[extent.offset : extent.offset + extent.length]

    def open(self, extent: Extent) -> BlobReader:
        return _Reader(self._bytes(extent))

    def read(self, extent: Extent) -> bytes:
        data = self._bytes(extent)
        if len(data) != extent.length:
            raise Fatal(f"the stored bytes {extent.name} end too early; restore them from a copy", "damage")
        return data

    def remove(self, name: str) -> None:
        self.fail("remove", "before")
        self.files.pop(name, None)
        self.logs.pop(name, None)
        self.fail("remove", "after")

    def listing(self, logs_only: bool = False) -> Iterator[BlobInfo]:
        newest = list(self.logs)[-1:]
        for name, log in list(self.logs.items()):
            yield BlobInfo(name, len(log), self._now(), True, name not in newest)
        for name, data in [] if logs_only else list(self.files.items()):
            yield BlobInfo(name, len(data), self._now(), False, True)

    def close(self) -> None:
        if self._appending.locked():
            raise AssertionError("closed while appending")


def unavailable(verb: str, when: str) -> Callable[[str, str], None]:
    """A fault: this verb fails once, before or after its effect."""
    left = [1]

    def fault(found: str, at: str) -> None:
        if (found, at) == (verb, when) and left[0]:
            left[0] = 0
            raise Unavailable(f"injected failure {when} {verb}", "injected")

    return fault

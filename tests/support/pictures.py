"""Twins of what the host role uses for images: bytes in memory, an inspector and a downloader that are told what to
find."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from andromede.db import Database
from andromede.errors import Invalid
from andromede.images import heads
from andromede.images.content import HASH, Measured, key_of, landed
from andromede.images.engine import Findings
from andromede.images.model import Image
from tests.support.vault import Bytes


class MemoryContent:
    """Bytes by (project, key); the row tells of them in one transaction, as with the real one."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.held: dict[tuple[str, str], bytes] = {}

    def read(self, project_id: str, key: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        data = self.held[project_id, key][start:stop]
        return (data[at : at + 1000] for at in range(0, len(data), 1000))

    def store(
        self, image: Image, body: Any, bounds: tuple[int, int | None], request_id: str,
        ends: tuple[str, Callable[[], int]],
    ) -> None:  # fmt: skip
        measured, data, part = Measured(body), bytearray(), bytearray(100)
        while count := measured.readinto(memoryview(part)):
            data += part[:count]
        facts = {
            "size": len(data), "checksum": "m", "os_hash_algo": HASH, "os_hash_value": measured.digest,
            "virtual_size": heads.virtual_size(bytes(measured.head), len(data)),
        }  # fmt: skip
        key = key_of(image, "blob")
        with self._db.write() as tx:
            landed(image, (image.state, ends[0]), facts, ends[1]())(tx, key)
        self.held[image.keeper, key] = bytes(data)

    def remove(self, project_id: str, key: str, request_id: str) -> None:
        self.held.pop((project_id, key), None)


class ToldInspector:
    """Finds `size` bytes in every image, or the fault that it was told."""

    def __init__(self, size: int = 1 << 20) -> None:
        self.size, self.fault = size, ""
        self.looked: list[tuple[str, int]] = []

    def inspect(self, pieces: Iterable[bytes], kind: str) -> Findings:
        self.looked.append((kind, sum(len(piece) for piece in pieces)))
        if self.fault:
            raise Invalid(self.fault, "image")
        return Findings(self.size)

    def flatten(self, pieces: Iterable[bytes], kind: str, target: Path) -> None:
        target.write_bytes(f"flat {kind} ".encode() + b"".join(pieces))


class Fetched:
    """A body with its length."""

    def __init__(self, data: bytes) -> None:
        self.length: int | None = len(data)
        self._body = Bytes(data)

    def readinto(self, view: memoryview, /) -> int:
        return self._body.readinto(view)


class ToldDownloader:
    """Serves the URLs that it was told of; refuses the rest."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {}

    @contextmanager
    def open(self, url: str) -> Iterator[Fetched]:
        if url not in self.pages:
            raise Invalid("the image could not be fetched: nobody answers", "uri")
        yield Fetched(self.pages[url])

"""Writes objects until it kills itself at a chosen point: `python -m tests.support.crasher FOLDER POINT COUNT`.

Every acknowledged write is a line `key sha256` in FOLDER/acknowledged, flushed before the next write.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from andromede.clock import SystemClock
from andromede.db import Database, Reach, Tx, open_database
from andromede.engines.disk import DiskEngine
from andromede.ids import RandomIds
from andromede.objects.blobs import BlobWriter, Extent
from tests.support.vault import Vault, vault

POINTS = (
    "append.before", "append.after", "seal.before", "seal.after", "write.middle", "commit.before", "commit.after"
)  # fmt: skip


class Fuse:
    """Burns down at one point and kills the process there."""

    def __init__(self, point: str, count: int) -> None:
        self._point = point
        self._left = count
        self._lock = threading.Lock()

    def pass_by(self, point: str) -> None:
        if point == self._point:
            with self._lock:
                self._left -= 1
                if self._left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)


class FusedWriter:
    def __init__(self, inner: BlobWriter, fuse: Fuse) -> None:
        self._inner = inner
        self._fuse = fuse
        self.discard = inner.discard

    def write(self, view: memoryview) -> None:
        self._fuse.pass_by("write.middle")
        self._inner.write(view)

    def seal(self) -> Extent:
        self._fuse.pass_by("seal.before")
        extent = self._inner.seal()
        self._fuse.pass_by("seal.after")
        return extent


class FusedEngine(DiskEngine):
    fuse: Fuse

    def append(self, records: Sequence[Sequence[bytes]]) -> list[Extent]:
        self.fuse.pass_by("append.before")
        extents = super().append(records)
        self.fuse.pass_by("append.after")
        return extents

    def writer(self, blob_id: str, size: int | None) -> Any:
        return FusedWriter(super().writer(blob_id, size), self.fuse)


def fused(db: Database, fuse: Fuse) -> Database:
    """The database with the fuse around every commit."""
    plain: Callable[..., AbstractContextManager[Tx]] = db.write

    @contextmanager
    def write(*reach: Reach) -> Iterator[Tx]:
        with plain(*reach) as tx:
            yield tx
            fuse.pass_by("commit.before")
        fuse.pass_by("commit.after")

    db.write = write  # type: ignore[method-assign, assignment]
    return db


def work(made: Vault, name: str, acknowledged: int) -> None:
    chance = random.Random(name)
    box = made.objects.container("p1", "box")
    for n in range(10_000):
        key = f"{name}/{chance.randrange(20)}"
        data = chance.randbytes(chance.choice([0, 10, 4096, 65_537, 1_200_000]))
        if chance.random() < 0.2:
            made.delete(box, key)
            line = f"{key} -\n"
        else:
            made.put(box, key, data)
            line = f"{key} {hashlib.sha256(data).hexdigest()}\n"
        os.write(acknowledged, f"{n} {line}".encode())


def main() -> None:
    folder, point, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    fuse = Fuse("", 0)
    db = fused(open_database(f"sqlite:///{folder}/test.db"), fuse)
    engine = FusedEngine(folder / "blobs", "objects-0", log_size=200_000)
    engine.fuse = fuse
    with vault(db, engine, folder, SystemClock(), RandomIds()) as made:
        made.container()
        fuse.__init__(point, count)  # type: ignore[misc]
        acknowledged = os.open(folder / "acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        threads = [threading.Thread(target=work, args=(made, f"t{n}", acknowledged)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main()

"""A bit that flipped in a segment log costs the object it is in, and no other."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from andromede.db import Database
from andromede.engines.disk import DiskEngine
from andromede.errors import Fatal, Unavailable
from andromede.log import Log
from andromede.objects.blobs import Extent, record_pieces
from andromede.objects.collect import Collector
from andromede.objects.compact import Compactor
from andromede.objects.fsck import fsck
from tests.support.clock import FakeClock
from tests.support.vault import Vault, vault

SIZE = 20_000


@pytest.fixture
def made(db: Database, tmp_path: Path, clock: FakeClock) -> Iterator[Vault]:
    with vault(db, DiskEngine(tmp_path / "blobs", "objects-0", log_size=SIZE), tmp_path, clock) as found:
        yield found


def flip(path: Path, offset: int) -> None:
    """Turn one bit over."""
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


def head_of(made: Vault, folder: Path, key: str) -> tuple[Path, int]:
    """Where the record of an object begins: its data, less owner and head, found by the record's magic."""
    row = made.db.one("SELECT ref FROM version WHERE key = ?", (key,))
    assert row is not None
    extent = Extent.parse(row[0])
    path = folder / "blobs" / extent.name
    return path, path.read_bytes().rindex(b"AdR1", 0, extent.offset)


@pytest.mark.parametrize("byte", [0, 5, 9, 12], ids=["magic", "owner size", "data size", "checksum"])
def test_compaction_keeps_what_it_cannot_read(made: Vault, tmp_path: Path, clock: FakeClock, byte: int) -> None:
    box = made.container()
    for n in range(12):
        made.put(box, f"k{n}", bytes([n]) * 3000)
    path, at = head_of(made, tmp_path, "k3")
    flip(path, at + byte)
    for n in range(3):
        made.delete(box, f"k{n}")
    text = io.StringIO()
    compactor = Compactor(made.db, made.engine, made.objects, Log(text, clock=clock), share=0.1)
    for _ in range(4):
        clock.advance(101)
        Collector(made.db, made.engine, clock, 100, 200).collect(1000)
        compactor.compact()
    for n in range(3, 12):
        assert made.get(box, f"k{n}") == bytes([n]) * 3000
    assert fsck(made.db, made.engine, made.keys, deep=True) == []
    assert path.exists()
    assert '"log.damaged"' in text.getvalue()


def test_a_start_keeps_what_it_cannot_read(tmp_path: Path) -> None:
    first = DiskEngine(tmp_path, "objects-0", log_size=1 << 20)
    extents = first.append([record_pieces(b"v\0001\0b\0k", os.urandom(3000) + b"\0") for _ in range(5)])
    path = tmp_path / extents[0].name
    os.close(first._log_fd)  # as a killed process leaves it: not cut to size
    first._log_fd = -1
    flip(path, extents[1].offset)
    sizes = [extent.offset + extent.length for extent in extents]
    second = DiskEngine(tmp_path, "objects-0", log_size=1 << 20)
    assert sizes[-1] <= path.stat().st_size < sizes[-1] + 4096
    for extent in extents:
        assert len(second.read(extent)) == extent.length
    second.close()


def test_a_start_gives_back_reserved_room(tmp_path: Path) -> None:
    first = DiskEngine(tmp_path, "objects-0", log_size=1 << 20)
    (extent,) = first.append([record_pieces(b"v\0001\0b\0k", b"data\0\0\0")])
    os.close(first._log_fd)
    first._log_fd = -1
    DiskEngine(tmp_path, "objects-0", log_size=1 << 20).close()
    assert (tmp_path / extent.name).stat().st_size == extent.offset + extent.length


def test_attempts_without_room_leave_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = DiskEngine(tmp_path, "objects-0")

    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", no_room)
    for _ in range(5):
        with pytest.raises(Exception, match="full"):
            engine.append([record_pieces(b"owner", b"data")])
    assert [path.name for path in (tmp_path / "log").iterdir()] == [".objects-0.last"]
    monkeypatch.undo()
    engine.append([record_pieces(b"owner", b"data")])
    engine.close()


def test_bytes_that_cannot_be_read_are_unavailable_and_named(
    made: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = made.container()
    made.put(box, "little", b"x" * 100)
    made.put(box, "large", b"y" * 600_000)
    monkeypatch.setattr(os, "pread", _broken)
    monkeypatch.setattr(os, "preadv", _broken)
    for key in ("little", "large"):
        with pytest.raises(Unavailable, match="failed while bytes were read") as caught:
            made.get(box, key)
        row = made.db.one("SELECT ref FROM version WHERE key = ?", (key,))
        assert row is not None
        assert Extent.parse(row[0]).name in caught.value.cause
    monkeypatch.undo()
    assert made.get(box, "little") == b"x" * 100


def _broken(*_: object) -> int:
    raise OSError(5, "Input/output error")


def test_a_directory_that_is_away_is_not_a_missing_object(made: Vault, tmp_path: Path) -> None:
    box = made.container()
    made.put(box, "large", b"y" * 600_000)
    (tmp_path / "blobs").rename(tmp_path / "away")
    with pytest.raises(Unavailable, match="not there"):
        made.get(box, "large")
    (tmp_path / "away").rename(tmp_path / "blobs")
    assert made.get(box, "large") == b"y" * 600_000
    row = made.db.one("SELECT ref FROM version")
    assert row is not None
    made.engine.remove(Extent.parse(row[0]).name)
    with pytest.raises(Fatal, match="missing"):
        made.get(box, "large")

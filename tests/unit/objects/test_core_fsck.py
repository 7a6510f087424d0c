"""fsck names what is wrong; the disk engine copes with file systems that lack something."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from andromede.db import Database
from andromede.engines import disk
from andromede.engines.disk import DiskEngine
from andromede.errors import Conflict, Denied, Fatal, NoCapacity, NotFound, Unavailable
from andromede.objects.blobs import Extent, records
from andromede.objects.fsck import fsck
from andromede.objects.model import Attributes, Expected
from tests.support.clock import FakeClock
from tests.support.vault import NO_CONDITIONS, TRACE, Bytes, Receive, Vault, vault


@pytest.fixture
def made(db: Database, tmp_path: Path, clock: FakeClock) -> Iterator[Vault]:
    with vault(db, DiskEngine(tmp_path / "blobs", "objects-0"), tmp_path, clock) as found:
        box = found.container()
        found.put(box, "small", b"s" * 1000)
        found.put(box, "large", b"l" * 300_000)
        upload = found.objects.run(found.objects.create_upload(box, "parts", Attributes(), None, None, TRACE))
        stored = found.objects.receive(box, Bytes(b"p" * 500), Receive(500))
        part = found.objects.run(found.objects.put_part(upload, 1, stored, TRACE))
        listed = [(1, part.etag, None)]
        found.objects.run(found.objects.complete_upload(upload, listed, NO_CONDITIONS, Expected(), TRACE))
        yield found


HARM: list[tuple[str, str]] = [
    ("UPDATE container_usage SET objects = objects + 1", "counter"),
    ("UPDATE account_usage SET bytes = bytes + 1", "counter"),
    ("UPDATE account_usage SET containers = 0", "counter"),
    ("UPDATE version SET listed = 0 WHERE key = 'small'", "listing"),
    ("DELETE FROM audit_event WHERE id = 2", "audit"),
    ("UPDATE version SET ref = 'nonsense' WHERE key = 'small'", "reference"),
    ("UPDATE version SET size = size + 1 WHERE key = 'large'", "length"),
    ("DELETE FROM part", "reference"),
    ("DELETE FROM blob", "reference"),
    ("UPDATE version SET etag = 'x' WHERE key = 'large'", "damage"),
    ("UPDATE version SET blob_id = 'other' WHERE key = 'small'", "damage"),
    ("UPDATE part SET ref = 'file/none:0:516:18'", "missing"),
    ("UPDATE version SET kek = 'none' WHERE key = 'small'", "damage"),
]


@pytest.mark.parametrize(("sql", "kind"), HARM, ids=[kind + str(n) for n, (_, kind) in enumerate(HARM)])
def test_harm_is_named(made: Vault, sql: str, kind: str) -> None:
    assert fsck(made.db, made.engine, made.keys, deep=True) == []
    with made.db.write() as tx:
        assert tx.run(sql) >= 1
    found = fsck(made.db, made.engine, made.keys, deep=True)
    assert kind in {finding.kind for finding in found if finding.severity == "error"}


def test_missing_and_short_files_are_named(made: Vault, tmp_path: Path) -> None:
    version = made.objects.head(made.objects.container("p1", "box"), "large")
    assert version.body is not None
    name = version.body.ref.split(":")[0]
    path = tmp_path / "blobs" / "file" / name[-2:] / name[5:]
    path.write_bytes(path.read_bytes()[:-1])
    assert [f.kind for f in fsck(made.db, made.engine, made.keys)] == ["length"]
    path.unlink()
    assert {f.kind for f in fsck(made.db, made.engine, made.keys)} == {"missing"}
    with pytest.raises(Fatal) as caught:
        made.objects.read_all(version)
    assert caught.value.reason == "missing"


def failing(plain: Callable[..., Any], code: int, when: Callable[..., bool]) -> Callable[..., Any]:
    def call(*args: Any, **named: Any) -> Any:
        if when(*args):
            raise OSError(code, os.strerror(code))
        return plain(*args, **named)

    return call


def test_without_direct_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse = failing(os.open, errno.EINVAL, lambda path, flags, *_: bool(flags & disk._DIRECT))
    engine = DiskEngine(tmp_path, "objects-0")
    monkeypatch.setattr(disk.os, "open", refuse)
    writer = engine.writer("a1", 2 << 20)
    writer.write(memoryview(b"x" * (1 << 20)))
    writer.write(memoryview(b"y" * 10))
    extent = writer.seal()
    assert engine.read(extent) == b"x" * (1 << 20) + b"y" * 10
    engine.close()


@pytest.mark.parametrize(("code", "kind"), [(errno.ENOSPC, NoCapacity), (errno.EIO, Unavailable)])
@pytest.mark.parametrize("call", ["pwrite", "fsync", "posix_fallocate"])
def test_failures_of_a_file_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int, kind: type[Exception]
) -> None:
    engine = DiskEngine(tmp_path, "objects-0")
    monkeypatch.setattr(disk.os, call, failing(getattr(os, call), code, lambda *_: True))
    if (call, code) == ("posix_fallocate", errno.EIO):
        engine.writer("a1", 100).discard()  # reserving is a favour
        return
    with pytest.raises(kind):
        writer = engine.writer("a1", 100)
        writer.write(memoryview(b"x" * 100))
        writer.seal()


def test_after_a_failed_flush_a_new_log_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = DiskEngine(tmp_path, "objects-0", log_size=100_000)
    (first,) = engine.append([[b"one"]])
    with monkeypatch.context() as patched:
        patched.setattr(disk.os, "fdatasync", failing(os.fdatasync, errno.EIO, lambda *_: True))
        with pytest.raises(Unavailable):
            engine.append([[b"lost"]])
    (second,) = engine.append([[b"two"]])
    assert first.name != second.name and engine.read(first) == b"one" and engine.read(second) == b"two"
    with pytest.raises(Fatal):
        engine.read(Extent(second.name, second.offset, 1_000_000))
    engine.close()
    assert (tmp_path / second.name).stat().st_size == 3


def test_a_restart_gives_reserved_room_back(tmp_path: Path) -> None:
    from andromede.objects.blobs import record_pieces

    engine = DiskEngine(tmp_path, "objects-0", log_size=100_000)
    (extent,) = engine.append([record_pieces(b"owner", b"data")])
    os.close(engine._log_fd)  # as a killed process would
    engine._log_fd = -1
    again = DiskEngine(tmp_path, "objects-0", log_size=100_000)
    assert (tmp_path / extent.name).stat().st_size == extent.length
    (found,) = records(again.open(Extent(extent.name, 0, extent.length)), extent.length, extent.name)
    assert found[0] == b"owner" and again.read(found[1]) == b"data"
    again.close()


def test_a_log_in_use_is_left_alone(tmp_path: Path) -> None:
    engine = DiskEngine(tmp_path, "operator", log_size=100_000)
    (extent,) = engine.append([[b"one"]])
    other = DiskEngine(tmp_path, "operator", log_size=100_000)
    assert (tmp_path / extent.name).stat().st_size == 100_000
    (beside,) = other.append([[b"two"]])
    assert beside.name != extent.name
    (more,) = engine.append([[b"more"]])
    assert engine.read(more) == other.read(more) == b"more"
    engine.close()
    other.close()


def test_keys_in_every_state(made: Vault, clock: FakeClock) -> None:
    ring = made.keys
    with made.db.write() as tx:
        key = ring.create_named(tx, "p1", "mine")
    assert ring.held() > 0
    clock.advance(61)
    assert ring.held() == 0
    ring.newest(key.id)
    assert ring.held() == 2
    ring.forget()
    assert ring.held() == 0
    assert [k.name for k in ring.list() if k.level == "named"] == ["mine"]
    with pytest.raises(NotFound):
        ring.find(made.db, "none")
    with made.db.write() as tx:
        ring.set_enabled(tx, key.id, False)
    with made.db.write() as tx, pytest.raises(Conflict):
        ring.rotate(tx, key.id)
    with pytest.raises(Denied):
        ring.named("p1", "mine")
    with made.db.write() as tx:
        permit = ring.prepare_destroy(tx, key.id)
        ring.execute_destroy(tx, permit)
        for again in (ring.prepare_destroy, lambda tx, k: ring.set_enabled(tx, k, True)):
            with pytest.raises(Conflict):
                again(tx, key.id)
    with pytest.raises(NotFound):
        ring.named("p1", "mine")


def test_a_destroyed_tenant_takes_everything_along(made: Vault, clock: FakeClock) -> None:
    tenant = next(key for key in made.keys.list() if key.level == "tenant")
    with made.db.write() as tx:
        permit = made.keys.prepare_destroy(tx, tenant.id)
    clock.advance(601)
    with made.db.write() as tx, pytest.raises(Denied):
        made.keys.execute_destroy(tx, permit)
    with made.db.write() as tx:
        permit = made.keys.prepare_destroy(tx, tenant.id)
    with made.db.write() as tx:
        made.keys.execute_destroy(tx, permit)
    assert {key.state for key in made.keys.list()} == {"destroyed"}
    with pytest.raises(Denied):
        made.get(made.objects.container("p1", "box"), "small")
    assert {f.severity for f in fsck(made.db, made.engine, made.keys, deep=True)} == {"notice"}

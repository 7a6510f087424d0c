"""Workers of the object service: garbage, orphans, compaction, expiry, re-wrapping, and the proof of all that."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from andromede.audit import Recorder
from andromede.db import Database
from andromede.engines.disk import DiskEngine
from andromede.errors import Denied, Fatal, NotFound
from andromede.log import Log
from andromede.objects import expiry
from andromede.objects.blobs import is_log
from andromede.objects.collect import Collector
from andromede.objects.compact import Compactor
from andromede.objects.fsck import fsck
from andromede.objects.model import Attributes, Lock, Receive, Usage, Versioning
from andromede.objects.rewrap import Rewrapper
from andromede.objects.service import Tools
from tests.support.clock import FakeClock, FakeIds
from tests.support.vault import Bytes, Vault, vault


@pytest.fixture
def made(db: Database, tmp_path: Path, clock: FakeClock) -> Iterator[Vault]:
    with vault(db, DiskEngine(tmp_path / "blobs", "objects-0", log_size=20_000), tmp_path, clock) as found:
        yield found


def collector(made: Vault, grace: int = 100, orphan: int = 200) -> Collector:
    return Collector(made.db, made.engine, made.clock, grace, orphan)


def blobs(made: Vault, log: bool) -> list[str]:
    return [info.name for info in made.engine.listing() if info.is_log is log]


def tools(made: Vault) -> Tools:
    recorder = Recorder("work-0", made.clock)
    return Tools(made.db, made.engine, made.keys, recorder, made.clock, FakeIds(), Log(level="error"))


def test_replaced_files_go_after_their_grace(made: Vault, clock: FakeClock) -> None:
    box = made.container()
    made.put(box, "k", b"a" * 100_000)
    made.put(box, "k", b"b" * 100_000)
    assert len(blobs(made, log=False)) == 2
    assert collector(made).collect(10) == 0
    clock.advance(101)
    assert collector(made).collect(10) == 1
    assert len(blobs(made, log=False)) == 1
    assert made.get(box, "k") == b"b" * 100_000
    assert fsck(made.db, made.engine, made.keys, deep=True) == []


def test_orphans_go_by_age(made: Vault, clock: FakeClock) -> None:
    box = made.container()
    made.objects.receive(box, Bytes(b"x" * 100_000), Receive(100_000))
    made.put(box, "kept", b"y" * 100_000)
    assert [f.kind for f in fsck(made.db, made.engine, made.keys)] == ["orphan"]
    newest = max(info.modified_us for info in made.engine.listing())
    clock.us = newest + 150 * 1_000_000
    collector(made).orphans()
    assert len(blobs(made, log=False)) == 2
    clock.advance(60)
    collector(made).orphans()
    assert len(blobs(made, log=False)) == 1
    assert fsck(made.db, made.engine, made.keys, deep=True) == []


def test_mostly_dead_logs_are_compacted(made: Vault, clock: FakeClock) -> None:
    box, archive = made.container(), made.container("archive")
    data = {f"k{n}": bytes([n]) * 3000 for n in range(30)}
    for key, value in data.items():
        made.put(box, key, value)
    for n in range(30):
        if n % 5:
            made.delete(box, f"k{n}")
            del data[f"k{n}"]
    box = made.change(box, settings={"x-versions-location": "archive"})
    made.put(box, "k0", b"new")
    moved = data.pop("k0")
    before = len(blobs(made, log=True))
    compactor = Compactor(made.db, made.engine, made.objects)
    for _ in range(4):
        clock.advance(101)
        collector(made).collect(1000)
        compactor.compact()
    assert len(blobs(made, log=True)) < before
    for key, value in data.items():
        assert made.get(box, key) == value
    (old,) = made.objects.list_objects(archive, made.every()).entries
    assert not isinstance(old, str)
    assert made.objects.read_all(old) == moved
    assert fsck(made.db, made.engine, made.keys, deep=True) == []


def test_expired_objects_are_gone_before_any_worker_ran(made: Vault, clock: FakeClock) -> None:
    box = made.container()
    made.put(box, "k", b"data", Attributes(delete_at_us=clock.us + 1_000_000))
    made.put(box, "later", b"data", Attributes(delete_at_us=clock.us + 9_000_000))
    assert made.get(box, "k") == b"data"
    clock.advance(1)
    with pytest.raises(NotFound):
        made.objects.head(box, "k")
    assert [e.key for e in made.objects.list_objects(box, made.every()).entries if not isinstance(e, str)] == ["later"]
    assert expiry.expire_due(made.objects, tools(made), 10) == 1
    assert expiry.expire_due(made.objects, tools(made), 10) == 0
    assert made.objects.usage(box) == Usage(1, 4)


def test_expiry_in_a_versioned_container_leaves_a_marker_and_respects_locks(made: Vault, clock: FakeClock) -> None:
    box = made.container(versioning=Versioning.ENABLED, lock_enabled=True)
    attributes = Attributes(delete_at_us=clock.us + 1_000_000)
    made.put(box, "k", b"data", attributes)
    held = made.put(box, "held", b"data", dataclasses.replace(attributes, lock=Lock(legal_hold=True)))
    clock.advance(1)
    expiry.expire_due(made.objects, tools(made), 10)
    with pytest.raises(NotFound) as caught:
        made.objects.head(box, "k")
    assert caught.value.detail["marker"] is not None
    assert made.get(box, "held", held.id) == b"data"
    assert fsck(made.db, made.engine, made.keys, deep=True) == []


def test_rotated_keys_retire(made: Vault) -> None:
    box = made.container()
    for n in range(5):
        made.put(box, f"k{n}", b"data")
    kek = next(key for key in made.keys.list() if key.level == "container")
    with made.db.write() as tx:
        made.keys.rotate(tx, kek.id)
    made.put(box, "new", b"data")
    assert made.get(box, "k0") == b"data"
    worker = Rewrapper(made.db, made.keys, ())
    while worker.run():
        pass
    assert made.db.all("SELECT * FROM key_former") == []
    made.keys.forget()
    assert made.get(box, "k0") == b"data"
    with made.db.write() as tx:
        made.keys.rotate(tx, kek.parent)
    made.keys.forget()
    assert made.get(box, "k1") == made.get(box, "new") == b"data"
    assert fsck(made.db, made.engine, made.keys, deep=True) == []


def test_a_disabled_key_closes_what_it_protects_at_once(made: Vault) -> None:
    box = made.container()
    made.put(box, "k", b"data")
    tenant = next(key for key in made.keys.list() if key.level == "tenant")
    with made.db.write() as tx:
        made.keys.set_enabled(tx, tenant.id, False)
    with pytest.raises(Denied) as caught:
        made.get(box, "k")
    assert caught.value.reason == "kms_disabled"
    with made.db.write() as tx:
        made.keys.set_enabled(tx, tenant.id, True)
    assert made.get(box, "k") == b"data"


@pytest.mark.parametrize("size", [5000, 600_000])
def test_damage_is_found_and_never_served(made: Vault, tmp_path: Path, size: int) -> None:
    box = made.container()
    version = made.put(box, "k", b"a" * size)
    assert version.body is not None
    name, offset = version.body.ref.split(":")[0], int(version.body.ref.split(":")[1])
    path = tmp_path / "blobs" / (name if is_log(name) else f"file/{name[-2:]}/{name[5:]}")
    raw = bytearray(path.read_bytes())
    raw[offset + size - 10] ^= 1
    path.write_bytes(raw)
    with pytest.raises(Fatal):
        made.get(box, "k")
    assert [f.kind for f in fsck(made.db, made.engine, made.keys, deep=True)] == ["damage"]
    path.unlink()
    made.engine.remove(name)
    assert "missing" in [f.kind for f in fsck(made.db, made.engine, made.keys)]


def test_tiny_bodies_under_long_names_are_compacted_too(made: Vault, clock: FakeClock) -> None:
    box = made.container()
    for n in range(60):
        made.put(box, f"{n:03d}" + "x" * 1000, b"tiny")
    for n in range(50):
        made.delete(box, f"{n:03d}" + "x" * 1000)
    first = blobs(made, log=True)[0]
    compactor = Compactor(made.db, made.engine, made.objects)
    for _ in range(3):
        clock.advance(101)
        collector(made).collect(1000)
        compactor.compact()
    assert first not in blobs(made, log=True)
    assert fsck(made.db, made.engine, made.keys, deep=True) == []

"""Upgrades on either database: one transaction, refused when newer; snapshots bounded, whole, and put back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from andromede.db import Migration, open_database
from andromede.errors import Conflict, Fatal, Invalid, NoCapacity, NotFound
from andromede.ops import layout, migration
from andromede.ops.layout import Layout
from tests.support import postgres
from tests.support.clock import FakeClock, FakeIds

ONE = Migration("thing", 1, "rows", "CREATE TABLE thing (n {int} PRIMARY KEY);\nINSERT INTO thing (n) VALUES (1);\n")
TWO = Migration("thing", 2, "more", "CREATE TABLE more (n {int} PRIMARY KEY);\nUPDATE thing SET n = 2;\n")
BROKEN = Migration("thing", 3, "broken", "DROP TABLE more;\nINSERT INTO nothing (n) VALUES (1);\n")


@pytest.fixture
def place(tmp_path: Path, clock: FakeClock, ids: FakeIds) -> Layout:
    found = Layout(tmp_path / "data")
    layout.prepare(found, clock, ids)
    return found


@pytest.fixture
def dsn(place: Layout, tmp_path: Path) -> str:
    return postgres.address(f"upgrade-{tmp_path.parent.name}-{tmp_path.name}") or f"sqlite://{place.data}/andromede.db"


def state(dsn: str) -> tuple[list[tuple[int, ...]], list[tuple[str, int]]]:
    db = open_database(dsn)
    found = db.all("SELECT n FROM thing"), db.all("SELECT domain, version FROM schema_version WHERE domain = 'thing'")
    db.close()
    return found


def test_steps_are_one_transaction(place: Layout, dsn: str, clock: FakeClock) -> None:
    migration.upgrade(place, dsn, [ONE], clock)
    with pytest.raises(Fatal, match="as it was before"):
        migration.upgrade(place, dsn, [ONE, TWO, BROKEN], clock)
    assert state(dsn) == ([(1,)], [("thing", 1)])
    clock.advance(60)
    done = migration.upgrade(place, dsn, [ONE, TWO], clock)
    assert done.applied == ["thing 2: more"]
    assert (done.snapshot is None) == dsn.startswith("postgres")
    assert state(dsn) == ([(2,)], [("thing", 1), ("thing", 2)])
    with pytest.raises(Invalid, match=r"newer release \(thing 2\).*migrate --back"):
        migration.upgrade(place, dsn, [ONE], clock)


def test_a_result_that_is_not_sound_is_taken_back(
    place: Layout, dsn: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    if dsn.startswith("postgres"):
        pytest.skip("no snapshot")
    from andromede.db.sqlite import SqliteDatabase

    migration.upgrade(place, dsn, [ONE], clock)
    monkeypatch.setattr(SqliteDatabase, "check", lambda self: ["page 7 is torn"])
    with pytest.raises(Fatal, match="did not pass its check; the database is again as it was") as caught:
        migration.upgrade(place, dsn, [ONE, TWO], clock)
    assert "page 7 is torn" in str(caught.value.cause)
    assert state(dsn) == ([(1,)], [("thing", 1)])

    def no_room(*given: object) -> None:
        raise OSError(28, "No space left on device")

    clock.advance(5)
    monkeypatch.setattr(migration.shutil, "copyfile", no_room)
    with pytest.raises(Fatal, match="did not pass"):
        migration.upgrade(place, dsn, [ONE, TWO], clock)
    assert state(dsn) == ([(1,)], [("thing", 1)])


def test_going_back(place: Layout, dsn: str, clock: FakeClock) -> None:
    if dsn.startswith("postgres"):
        with pytest.raises(Invalid, match="restore a backup"):
            migration.go_back(place, dsn, "", clock)
        return
    migration.upgrade(place, dsn, [ONE], clock)
    with pytest.raises(NotFound, match="no snapshot"):
        migration.go_back(place, dsn, "", clock)
    manifest = place.manifest.read_bytes()
    snapshot = migration.upgrade(place, dsn, [ONE, TWO], clock).snapshot
    assert snapshot is not None
    place.manifest.write_bytes(manifest.replace(b'"program"', b'"later": 1, "program"'))
    back, aside = migration.go_back(place, dsn, "", clock)
    assert back == snapshot
    assert state(dsn) == ([(1,)], [("thing", 1)])
    assert state(f"sqlite://{aside}") == ([(2,)], [("thing", 1), ("thing", 2)])
    assert place.manifest.read_bytes() == manifest
    with open(snapshot, "r+b") as file:
        file.seek(4096)
        file.write(os.urandom(4096))
    with pytest.raises(Conflict, match="damaged"):
        migration.go_back(place, dsn, str(snapshot), clock)
    assert state(dsn) == ([(1,)], [("thing", 1)])


def test_few_snapshots_are_kept_and_rests_removed(place: Layout, dsn: str, clock: FakeClock) -> None:
    if dsn.startswith("postgres"):
        pytest.skip("no snapshot")
    steps = [ONE]
    migration.upgrade(place, dsn, steps, clock)
    for version in range(2, 8):
        clock.advance(1)
        steps.append(Migration("thing", version, "more", f"CREATE TABLE more{version} (n {{int}} PRIMARY KEY);\n"))
        taken = migration.upgrade(place, dsn, steps, clock).snapshot
        (migration.folder(place) / "before-migrate-x.part").touch()
        assert taken == migration.snapshots(place)[-1]
    assert len(migration.snapshots(place)) == migration.KEPT
    assert len(list(migration.folder(place).glob("*.json"))) == migration.KEPT


def test_the_room_is_looked_at_first(
    place: Layout, dsn: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    if dsn.startswith("postgres"):
        pytest.skip("no snapshot")
    migration.upgrade(place, dsn, [ONE], clock)
    real = os.statvfs(place.data)
    monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result((*real[:4], 1, *real[5:])))
    with pytest.raises(NoCapacity, match=r"needs 64 MiB .* 0 MiB are free"):
        migration.upgrade(place, dsn, [ONE, TWO], clock)
    assert migration.snapshots(place) == []


def test_nothing_to_do_marks_the_directory(place: Layout, dsn: str, clock: FakeClock) -> None:
    migration.upgrade(place, dsn, [ONE], clock)
    place.manifest.write_text(place.manifest.read_text().replace(f'"format": {layout.FORMAT}', '"format": 1'))
    assert migration.upgrade(place, dsn, [ONE], clock) == migration.Upgrade([], None)
    assert layout.read_manifest(place)["format"] == layout.FORMAT

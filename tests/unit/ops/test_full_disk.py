"""A full disk is said to clients and ends nothing."""

from __future__ import annotations

import io
import json
import sqlite3
from pathlib import Path

import pytest

from andromede.clock import SystemClock
from andromede.db import open_database, reserve
from andromede.db.sqlite import SqliteDatabase
from andromede.engines.disk import DiskEngine
from andromede.errors import Fatal, NoCapacity, Unavailable
from andromede.log import Log
from andromede.objects.blobs import record_pieces
from andromede.ops import room


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_log_that_cannot_be_written_is_no_failure() -> None:
    Log(Full(), clock=SystemClock()).alert("something", of="note")


def test_a_full_database_is_no_capacity(tmp_path: Path) -> None:
    db = open_database(f"sqlite:///{tmp_path}/full.db")
    db.script(["CREATE TABLE t (body BLOB)"])
    db.all("PRAGMA max_page_count=16")
    with pytest.raises(NoCapacity, match="full"):
        with db.write() as tx:
            for _ in range(100):
                tx.run("INSERT INTO t (body) VALUES (?)", (b"x" * 4096,))
    with db.write() as tx:
        tx.run("INSERT INTO t (body) VALUES (?)", (b"small",))
    assert db.all("SELECT body FROM t") == [(b"small",)]
    db.close()


def test_a_database_that_may_not_be_written_is_unavailable(tmp_path: Path) -> None:
    db = open_database(f"sqlite:///{tmp_path}/closed.db")
    db.script(["CREATE TABLE t (n INTEGER)"])
    db.all("PRAGMA query_only=1")
    with pytest.raises(Unavailable, match="cannot be written"):
        with db.write() as tx:
            tx.run("INSERT INTO t (n) VALUES (1)")
    db.close()


def test_alerts_wait_in_memory_until_the_log_can_be_written() -> None:
    class Sometimes(io.StringIO):
        full = True

        def write(self, text: str) -> int:
            if self.full:
                raise OSError(28, "No space left on device")
            return super().write(text)

    stream = Sometimes()
    log = Log(stream, clock=SystemClock())
    log.alert("first")
    log.event("unimportant")
    log.alert("second")
    stream.full = False
    log.event("third")
    events = [json.loads(line)["event"] for line in stream.getvalue().splitlines()]
    assert events == ["first", "second", "third"]


def test_a_damaged_database_is_fatal_and_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "torn.db"
    path.write_bytes(b"this is no database at all, but a text of some length" * 100)
    db = open_database(f"sqlite:///{path}")
    for attempt in (lambda: db.one("SELECT 1 FROM t"), lambda: db.all("SELECT 1 FROM t"), db.check):
        with pytest.raises(Fatal, match="run andromede fsck"):
            attempt()
    with pytest.raises(Fatal, match="damaged"), db.read() as tx:
        tx.one("SELECT 1 FROM t")
    with pytest.raises(Fatal, match="damaged"), db.write() as tx:
        tx.run("INSERT INTO t (n) VALUES (1)")
    db.close()


def test_a_database_that_cannot_be_opened_is_unavailable(tmp_path: Path) -> None:
    db = open_database(f"sqlite:///{tmp_path}/away.db")
    (tmp_path / "away.db").unlink()
    (tmp_path / "away.db").mkdir()
    for attempt in (lambda: db.one("SELECT 1"), lambda: db.all("SELECT 1")):
        with pytest.raises(Unavailable, match="cannot be read"):
            attempt()
    (tmp_path / "away.db").rmdir()
    assert db.one("SELECT 1") == (1,)
    db.close()


def test_a_transaction_that_cannot_be_undone_does_not_stay_open(tmp_path: Path) -> None:
    db = open_database(f"sqlite:///{tmp_path}/stuck.db")
    db.script(["CREATE TABLE t (n INTEGER)"])

    class Stuck:
        def __init__(self, conn: sqlite3.Connection) -> None:
            self._conn = conn

        def execute(self, sql: str, *params: object) -> object:
            if sql in ("COMMIT", "ROLLBACK"):
                raise sqlite3.DatabaseError("disk I/O error")
            return self._conn.execute(sql, *params)

        def __getattr__(self, name: str) -> object:
            return getattr(self._conn, name)

    real = db._conn()  # type: ignore[attr-defined]
    db._local.conn = Stuck(real)  # type: ignore[attr-defined]
    with pytest.raises(sqlite3.DatabaseError), db.write() as tx:
        tx.run("INSERT INTO t (n) VALUES (1)")
    with db.write() as tx:
        tx.run("INSERT INTO t (n) VALUES (2)")
    assert db.all("SELECT n FROM t") == [(2,)]
    db.close()


def test_the_reserve_is_given_up_and_taken_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = [10 << 30]
    monkeypatch.setattr(reserve, "free", lambda folder: (left[0], 100 << 30))
    monkeypatch.setattr(room, "free", lambda folder: (left[0], 100 << 30))
    path = tmp_path / "rows.db.reserve"
    kept, text = reserve.Reserve(path), io.StringIO()
    watch = room.Room(kept, tmp_path, Log(text, clock=SystemClock()))
    watch.turn()
    assert path.stat().st_size == reserve.MOST
    assert path.stat().st_blocks * 512 >= reserve.MOST
    kept.release()  # there is plenty: somebody's write failed for another reason
    assert path.stat().st_size == reserve.MOST
    left[0] = 1 << 20
    kept.release()
    assert path.stat().st_size == 0
    for _ in range(room.REPEAT + 1):
        watch.turn()
    left[0] = 10 << 30
    watch.turn()
    watch.turn()
    assert path.stat().st_size == reserve.MOST
    events = [json.loads(line)["event"] for line in text.getvalue().splitlines()]
    assert events == ["storage.full", "storage.full", "storage.room"]


def test_who_finds_the_disk_full_gives_the_reserve_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    db = SqliteDatabase(tmp_path / "full.db")
    db.script(["CREATE TABLE t (body BLOB)"])
    db.reserve.hold()
    monkeypatch.setattr(reserve, "free", lambda folder: (0, 100 << 30))
    db.all("PRAGMA max_page_count=16")
    with pytest.raises(NoCapacity, match="full"), db.write() as tx:
        tx.run("INSERT INTO t (body) VALUES (?)", (b"x" * 400_000,))
    assert (tmp_path / "full.db.reserve").stat().st_size == 0
    db.close()


def test_bodies_leave_room_for_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = DiskEngine(tmp_path, "objects-0")
    left = [1 << 30]
    monkeypatch.setattr(reserve, "free", lambda folder: (left[0], 100 << 30))
    (first,) = engine.append([record_pieces(b"owner", b"data")])
    with pytest.raises(NoCapacity, match="full"):
        engine.writer("large", 1 << 30)
    left[0] = reserve.FLOOR - 1
    with pytest.raises(NoCapacity, match="full"):
        engine.append([record_pieces(b"owner", b"data")])
    with pytest.raises(NoCapacity, match="full"):
        engine.writer("unknown", None)
    left[0] = reserve.FLOOR + (5 << 20)
    (second,) = engine.append([record_pieces(b"owner", b"data")])
    assert second.name == first.name
    engine.close()
    engine = DiskEngine(tmp_path, "objects-0")
    (third,) = engine.append([record_pieces(b"owner", b"data")])  # less room than a whole log: a smaller one
    assert (tmp_path / third.name).stat().st_size == 4 << 20
    engine.close()

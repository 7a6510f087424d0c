"""The database seam: gates, savepoints, sequences, migrations."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

import pytest

from andromede import audit
from andromede.audit import Draft, Recorder
from andromede.audit import store as audit_store
from andromede.db import Database, Migration, Reach, Tx, migrate, open_database
from andromede.errors import Invalid
from tests.support.clock import FakeClock

THINGS = Migration("things", 1, "things", "CREATE TABLE thing (id {int} PRIMARY KEY, name {text});\n")


def test_migrations_run_once(db: Database) -> None:
    assert migrate(db, [THINGS]) == ["db 1: named sequences", "things 1: things"]
    assert migrate(db, [THINGS]) == []


def test_a_failed_write_leaves_nothing(db: Database) -> None:
    migrate(db, [THINGS])
    with pytest.raises(RuntimeError), db.write() as tx:
        tx.run("INSERT INTO thing VALUES (?, ?)", (1, "a"))
        raise RuntimeError
    assert db.all("SELECT * FROM thing") == []


def test_a_guarded_failure_keeps_its_neighbours(db: Database) -> None:
    migrate(db, [THINGS])

    def fail(tx: Tx) -> None:
        tx.run("INSERT INTO thing VALUES (?, ?)", (2, "b"))
        raise Invalid("no")

    with db.write() as tx:
        tx.guarded(lambda t: t.run("INSERT INTO thing VALUES (?, ?)", (1, "a")))
        with pytest.raises(Invalid):
            tx.guarded(fail)
    assert db.all("SELECT id FROM thing") == [(1,)]


def test_text_orders_by_bytes(db: Database) -> None:
    migrate(db, [THINGS])
    names = ["a", "B", "é", "Z", "~", "\U0001f600", "\uffff", "a b", "a!"]
    with db.write() as tx:
        tx.many("INSERT INTO thing VALUES (?, ?)", list(enumerate(names)))
    assert [row[0] for row in db.all("SELECT name FROM thing ORDER BY name")] == sorted(names, key=str.encode)


def test_writers_take_turns(db: Database) -> None:
    migrate(db, [])

    def work() -> None:
        for _ in range(20):
            with db.write() as tx:
                tx.take("n")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with db.write() as tx:
        assert tx.take("n", 3) == 81
        assert tx.take("n") == 84


def test_audit_numbers_are_contiguous_per_source(db: Database, clock: FakeClock) -> None:
    migrate(db, audit.MIGRATIONS)
    one, two = Recorder("objects-0", clock), Recorder("objects-1", clock)
    for recorder in (one, two, one):
        with db.write() as tx:
            recorder.record(
                tx, [Draft("p", "user:u", "s3:GetObject", "b/k", "req-1"), Draft("q", "user:u", "x", "y", "r")]
            )
    with db.read() as tx:
        rows = audit_store.events(tx, "p", 0, 10)
        assert next(row[2] for row in rows) == (
            b'{"action":"s3:GetObject","actor":"user:u","object":"b/k","outcome":"success",'
            b'"purpose":"CUSTOMER_ACCESS","request_id":"req-1","seq":1,"source":"objects-0","ts":1767225600000000,"v":1}'
        )
        assert len(rows) == 3
        assert audit_store.gaps(tx) == []
        assert len(audit_store.newest(tx, None, 4)) == 4


def test_an_unknown_purpose_is_refused(db: Database, clock: FakeClock) -> None:
    migrate(db, audit.MIGRATIONS)
    with pytest.raises(Invalid), db.write() as tx:
        Recorder("a", clock).record(tx, [Draft("p", "u", "a", "o", "r", purpose="CURIOSITY")])


def test_the_version_differs_after_every_commit_of_anybody(tmp_path: Path) -> None:
    one, two = (open_database(f"sqlite:///{tmp_path}/v.db") for _ in range(2))
    one.script(["CREATE TABLE t (a INTEGER)"])
    seen = [two.version()]
    assert seen[0] is not None
    assert two.version() == seen[0] == one.version()
    for number in range(5):
        with one.write() as tx:
            tx.run("INSERT INTO t VALUES (?)", (number,))
            assert two.version() is None  # nobody can tell whether it is committed yet
        assert one.version() == two.version()
        assert two.version() not in seen
        seen.append(two.version())
    with one.read() as tx:
        assert tx.one("SELECT count(*) FROM t") == (5,)
    assert two.version() == seen[-1]
    one.close()
    two.close()


def test_who_remembers_objects_sees_their_changes_and_all_wider_ones(tmp_path: Path) -> None:
    one, two = (open_database(f"sqlite:///{tmp_path}/v.db") for _ in range(2))
    one.script(["CREATE TABLE t (a INTEGER)"])

    def both() -> tuple[bytes | None, bytes | None]:
        return two.version(), two.version(Reach.OBJECTS)

    before = both()
    assert None not in before
    with one.write(Reach.EVENTS) as tx:
        tx.run("INSERT INTO t VALUES (1)")
        assert both() == before
    assert both() == before
    with one.write(Reach.OBJECTS) as tx:
        tx.run("INSERT INTO t VALUES (2)")
        assert both() == (before[0], None)
    after = both()
    assert after[0] == before[0]
    assert after[1] not in (None, before[1])
    with one.write() as tx:
        tx.run("INSERT INTO t VALUES (3)")
        assert both() == (None, None)
    last = both()
    assert last[0] not in (None, after[0])
    assert last[1] not in (None, before[1], after[1])
    one.close()
    two.close()


def test_any_write_heals_the_count_of_one_that_died(tmp_path: Path) -> None:
    made = open_database(f"sqlite:///{tmp_path}/v.db")
    made.script(["CREATE TABLE t (a INTEGER)"])
    for place, at in ((0, 0), (16, 8)):
        before = made.version(Reach.OBJECTS)
        assert before is not None
        with open(f"{tmp_path}/v.db.lock", "r+b") as file:
            file.seek(place)
            file.write((int.from_bytes(before[at : at + 8], "little") + 1).to_bytes(8, "little"))
        assert made.version(Reach.OBJECTS) is None
        with made.write(Reach.EVENTS) as tx:
            tx.run("INSERT INTO t VALUES (1)")
        assert made.version(Reach.OBJECTS) not in (None, before)
    made.close()


def test_rows_go_in_whatever_their_number(db: Database) -> None:
    db.script(["CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)"])
    for count in (0, 1, 3, 64, 65, 200):
        with db.write() as tx:
            tx.run("DELETE FROM t")
            tx.insert("t (a, b)", [(n, str(n)) for n in range(count)])
            tx.insert(
                "t (a, b)", [(n, "new") for n in range(0, count, 7)], "ON CONFLICT (a) DO UPDATE SET b = excluded.b"
            )
        rows = db.all("SELECT a, b FROM t ORDER BY a")
        assert rows == [(n, "new" if n % 7 == 0 else str(n)) for n in range(count)]


def test_a_writer_that_died_leaves_no_version_until_the_next_write(tmp_path: Path) -> None:
    made = open_database(f"sqlite:///{tmp_path}/v.db")
    made.script(["CREATE TABLE t (a INTEGER)"])
    before = made.version()
    assert before is not None
    with open(f"{tmp_path}/v.db.lock", "r+b") as file:  # as a process leaves it that is killed in a write
        file.write((int.from_bytes(before, "little") + 1).to_bytes(8, "little"))
    assert made.version() is None
    with made.write() as tx:
        tx.run("INSERT INTO t VALUES (1)")
    assert made.version() not in (None, before)
    made.close()


def test_the_epoch_differs_after_the_commits_that_ended_it_and_no_others(tmp_path: Path) -> None:
    one, two = (open_database(f"sqlite:///{tmp_path}/v.db") for _ in range(2))
    one.script(["CREATE TABLE t (a INTEGER)"])
    seen = [two.epoch()]
    assert seen[0] is not None
    with one.write() as tx:
        tx.run("INSERT INTO t VALUES (1)")
        assert two.epoch() == seen[0]
    assert two.epoch() == seen[0]
    for end in (False, True):
        with contextlib.suppress(KeyError), one.write() as tx:
            tx.run("INSERT INTO t VALUES (2)")
            for _ in range(2):
                tx.new_epoch()
                assert two.epoch() is None  # nobody can tell whether it is committed yet
            if end:
                raise KeyError
        assert one.epoch() == two.epoch() not in [None, *seen]
        seen.append(two.epoch())
    one.close()
    two.close()


def test_a_writer_that_died_leaves_no_epoch_until_the_next_write(tmp_path: Path) -> None:
    made = open_database(f"sqlite:///{tmp_path}/v.db")
    made.script(["CREATE TABLE t (a INTEGER)"])
    before = made.epoch()
    assert before is not None
    with open(f"{tmp_path}/v.db.lock", "r+b") as file:  # as a process leaves it that is killed in such a write
        file.seek(8)
        file.write((int.from_bytes(before, "little") + 1).to_bytes(8, "little"))
    assert made.epoch() is None
    with made.write() as tx:  # any write: what became of the other is settled by then
        tx.run("INSERT INTO t VALUES (1)")
    assert made.epoch() not in (None, before)
    made.close()


def test_a_lock_file_of_an_older_program_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "v.db.lock").write_bytes((6).to_bytes(8, "little"))
    made = open_database(f"sqlite:///{tmp_path}/v.db")
    assert made.version() == (6).to_bytes(8, "little")
    assert made.epoch() == bytes(8)
    made.close()


def test_what_was_to_follow_a_commit_follows_it_and_only_it(db: Database) -> None:
    db.script(["CREATE TABLE t (a INTEGER)"])
    done: list[str] = []
    with db.write() as tx:
        tx.after(lambda: done.append("one"))
        tx.run("INSERT INTO t VALUES (1)")
        assert done == []
    assert done == ["one"]
    with pytest.raises(RuntimeError), db.write() as tx:
        tx.after(lambda: done.append("two"))
        raise RuntimeError
    assert done == ["one"]


def test_a_statement_outside_of_a_transaction_cannot_write_on_postgresql(db: Database) -> None:
    if db.dialect != "postgresql":
        pytest.skip("SQLite's single statements are refused nothing; only PostgreSQL's are sent apart")
    db.script(["CREATE TABLE t (a INTEGER)"])
    for ask in (db.one, db.all):
        with pytest.raises(Exception, match="read-only"):
            ask("INSERT INTO t (a) VALUES (1) RETURNING a")
    with db.read() as tx, pytest.raises(Exception, match="read-only"):
        tx.run("INSERT INTO t (a) VALUES (1)")
    with db.write() as tx:
        tx.run("INSERT INTO t (a) VALUES (2)")
    assert db.all("SELECT a FROM t") == [(2,)]

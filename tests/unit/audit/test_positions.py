"""Every event has a place in its tenant's log, contiguous, salted, and in the transaction of its effect."""

from __future__ import annotations

import re

import pytest

from andromede import audit
from andromede.audit import Draft, Position, Recorder, adopt
from andromede.db import Database, Tx, migrate
from tests.support.clock import FakeClock, FakeIds


@pytest.fixture
def ready(db: Database) -> Database:
    migrate(db, audit.MIGRATIONS)
    return db


def draft(tenant: str, name: str = "o") -> Draft:
    return Draft(tenant, "user:u", "s3:PutObject", name, "req-1")


def places(db: Database) -> list[tuple[str, int, int]]:
    return [
        (row[0], row[1], len(row[2])) for row in db.all("SELECT tenant, position, salt FROM audit_event ORDER BY id")
    ]


def test_places_are_contiguous_in_each_tenant(ready: Database) -> None:
    recorder = Recorder("objects-0", FakeClock())
    with ready.write() as tx:
        first = recorder.record(tx, [draft("a"), draft("b"), draft("a"), draft("")])
    with ready.write() as tx:
        second = recorder.record(tx, [draft("b"), draft("a")])
    assert [(at.tenant, at.index) for at in first + second] == [
        ("a", 0),
        ("b", 0),
        ("a", 1),
        ("", 0),
        ("b", 1),
        ("a", 2),
    ]
    assert places(ready) == [
        ("a", 0, 32),
        ("b", 0, 32),
        ("a", 1, 32),
        ("", 0, 32),
        ("b", 1, 32),
        ("a", 2, 32),
    ]


def test_origins_tell_nothing_about_the_tenant(ready: Database) -> None:
    with ready.write() as tx:
        one, two = Recorder("api-0", FakeClock()).record(tx, [draft("0" * 32), draft("")])
    assert re.fullmatch(r"andromede-[0-9a-f]{12}/t/[0-9a-f]{16}", one.origin)
    assert re.fullmatch(r"andromede-[0-9a-f]{12}/i/[0-9a-f]{16}", two.origin)
    assert one.origin.partition("/")[0] == two.origin.partition("/")[0]
    assert str(Position("t", "x/t/1", 7)) == "x/t/1 7"


def test_a_place_given_in_a_transaction_that_fails_is_given_again(ready: Database) -> None:
    recorder = Recorder("objects-0", FakeClock())

    def fail(tx: Tx) -> None:
        recorder.record(tx, [draft("a")])
        raise RuntimeError("undone")

    with pytest.raises(RuntimeError), ready.write() as tx:
        fail(tx)
    with ready.write() as tx:
        assert recorder.record(tx, [draft("a")])[0].index == 0


def test_events_from_before_the_logs_are_entered_in_their_order(ready: Database) -> None:
    with ready.write() as tx:
        for number in range(2500):
            tx.run(
                "INSERT INTO audit_event (id, tenant, source, seq, ts, body) VALUES (?, ?, ?, ?, ?, ?)",
                (number + 1, "ab"[number % 2], "old", number + 1, number, b"{}"),
            )
        tx.take("audit", 2500)
    assert adopt(ready, FakeIds()) == 2500
    assert adopt(ready, FakeIds()) == 0
    rows = ready.all("SELECT tenant, position, salt FROM audit_event ORDER BY id")
    assert [(row[0], row[1]) for row in rows] == [("ab"[n % 2], n // 2) for n in range(2500)]
    assert all(len(row[2]) == 32 for row in rows)
    with ready.write() as tx:
        assert Recorder("new", FakeClock()).record(tx, [draft("a")])[0].index == 1250

"""Events that share a commit."""

from __future__ import annotations

import threading

import pytest

from andromede import audit
from andromede.audit import Draft, Recorder
from andromede.audit.together import Together
from andromede.db import Database, Tx, migrate
from tests.support.clock import FakeClock
from tests.support.installation import wait_until


def event(number: int) -> Draft:
    return Draft("p1", "user:u", "read", f"thing:{number}", f"req-{number}")


@pytest.fixture
def together(db: Database, clock: FakeClock) -> Together:
    migrate(db, audit.MIGRATIONS)
    return Together(db, Recorder("api-0", clock))


def events(db: Database) -> int:
    row = db.one("SELECT count(*) FROM audit_event")
    return int(row[0]) if row else 0


def test_an_event_is_there_when_its_caller_goes_on(db: Database, together: Together) -> None:
    for number in range(3):
        together.leave(lambda tx, number=number: event(number))  # type: ignore[misc]
        assert events(db) == number + 1


def test_what_comes_during_a_commit_shares_the_next(db: Database, together: Together) -> None:
    begun, go_on = threading.Event(), threading.Event()
    transactions: set[int] = set()

    def slow(tx: Tx) -> Draft:
        begun.set()
        assert go_on.wait(30)
        return event(0)

    def quick(number: int) -> None:
        def make(tx: Tx) -> Draft:
            transactions.add(id(tx))
            return event(number)

        together.leave(make)

    first = threading.Thread(target=together.leave, args=(slow,))
    first.start()
    assert begun.wait(30)
    others = [threading.Thread(target=quick, args=(number,)) for number in range(1, 9)]
    for thread in others:
        thread.start()
    wait_until("all to wait", lambda: len(together._waiting) == 8)
    assert events(db) == 0
    go_on.set()
    for thread in (first, *others):
        thread.join(30)
    assert len(transactions) == 1
    assert events(db) == 9


def test_the_trouble_of_one_is_not_the_others(db: Database, together: Together) -> None:
    begun, go_on = threading.Event(), threading.Event()
    failed: list[str] = []

    def slow(tx: Tx) -> Draft:
        begun.set()
        assert go_on.wait(30)
        return event(0)

    def leave(number: int) -> None:
        def make(tx: Tx) -> Draft:
            if number == 2:
                raise KeyError(number)
            return event(number)

        try:
            together.leave(make)
        except KeyError:
            failed.append(f"thing:{number}")

    first = threading.Thread(target=together.leave, args=(slow,))
    first.start()
    assert begun.wait(30)
    others = [threading.Thread(target=leave, args=(number,)) for number in range(1, 5)]
    for thread in others:
        thread.start()
    wait_until("all to wait", lambda: len(together._waiting) == 4)
    go_on.set()
    for thread in (first, *others):
        thread.join(30)
    assert failed == ["thing:2"]
    assert events(db) == 4

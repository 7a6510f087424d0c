"""Events that share a commit."""

from __future__ import annotations

import threading
from collections.abc import Callable

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


class Held:
    """A commit under way that waits, and threads that leave events meanwhile."""

    def __init__(self, together: Together) -> None:
        self.together = together
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.threads = [threading.Thread(target=together.leave, args=(self.slow,))]
        self.threads[0].start()
        assert self.begun.wait(30)

    def slow(self, tx: Tx) -> Draft:
        self.begun.set()
        assert self.go_on.wait(30)
        return event(0)

    def meanwhile(self, leave: Callable[[int], None], count: int) -> None:
        """`leave(1)` to `leave(count)`, a thread each, until all of them wait for the next commit."""
        others = [threading.Thread(target=leave, args=(number,)) for number in range(1, count + 1)]
        for thread in others:
            thread.start()
        self.threads += others
        wait_until("all to wait", lambda: len(self.together._waiting) == count)

    def end(self) -> None:
        self.go_on.set()
        for thread in self.threads:
            thread.join(30)


def events(db: Database) -> int:
    row = db.one("SELECT count(*) FROM audit_event")
    return int(row[0]) if row else 0


def test_an_event_is_there_when_its_caller_goes_on(db: Database, together: Together) -> None:
    for number in range(3):
        together.leave(lambda tx, number=number: event(number))  # type: ignore[misc]
        assert events(db) == number + 1


def test_what_comes_during_a_commit_shares_the_next(db: Database, together: Together) -> None:
    transactions: set[int] = set()

    def quick(number: int) -> None:
        def make(tx: Tx) -> Draft:
            transactions.add(id(tx))
            return event(number)

        together.leave(make)

    held = Held(together)
    held.meanwhile(quick, 8)
    assert events(db) == 0
    held.end()
    assert len(transactions) == 1
    assert events(db) == 9


def test_the_trouble_of_one_is_not_the_others(db: Database, together: Together) -> None:
    failed: list[str] = []

    def leave(number: int) -> None:
        def make(tx: Tx) -> Draft:
            if number == 2:
                raise KeyError(number)
            return event(number)

        try:
            together.leave(make)
        except KeyError:
            failed.append(f"thing:{number}")

    held = Held(together)
    held.meanwhile(leave, 4)
    held.end()
    assert failed == ["thing:2"]
    assert events(db) == 4

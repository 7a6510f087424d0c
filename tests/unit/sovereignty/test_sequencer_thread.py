"""The sequencer's rhythm: failures, ending, and what rest costs."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from andromede.db import Database, open_database
from andromede.errors import Unavailable
from andromede.sovereignty import store
from andromede.sovereignty.sequencer import LEASE, Sequencer
from andromede.work import Leases
from tests.support.clock import FakeClock
from tests.support.ledger import Bench, tables, write_events


@pytest.fixture
def bench(db: Database, clock: FakeClock, tmp_path: Path) -> Bench:
    return Bench.open(db, clock, tmp_path)


class Pauses:
    """A stop event that is set after so many pauses, and remembers how long they were to be."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.asked: list[float] = []

    def is_set(self) -> bool:
        return len(self.asked) >= self.most

    def wait(self, seconds: float) -> bool:
        self.asked.append(seconds)
        return True


def test_failures_are_told_and_repeated_ever_more_slowly(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    results: list[Any] = [Unavailable("the database is away"), RuntimeError("odd"), False, True, False]

    def turn(self: Sequencer) -> bool:
        found = results.pop(0)
        if isinstance(found, Exception):
            raise found
        return bool(found)

    monkeypatch.setattr(Sequencer, "turn", turn)
    stop = Pauses(4)
    bench.sequencer().run(stop, 1.0)  # type: ignore[arg-type]
    assert stop.asked == [2.0, 4.0, 1.0, 1.0], "more that waits is taken at once"
    told = [json.loads(line) for line in bench.alerts.getvalue().splitlines()]
    assert [(line["event"], line["failures"], line["cause"]) for line in told] == [
        ("ledger.failed", 1, "the database is away"),
        ("ledger.failed", 2, "RuntimeError('odd')"),
    ]


def test_the_next_process_need_not_wait_for_the_lease(bench: Bench, clock: FakeClock) -> None:
    write_events(bench.db, "p1", 3)
    bench.sequencer().run(Pauses(1), 1.0)  # type: ignore[arg-type]
    assert bench.signed("p1")[0] == 3
    assert Leases(bench.db, "host:2", clock).claim(LEASE, 5)


def test_a_thread_ends_when_told(bench: Bench) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=bench.sequencer().run, args=(stop, 60.0))
    thread.start()
    stop.set()
    thread.join(10)
    assert not thread.is_alive()


class Counting:
    """A database that counts what is asked of it."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name in ("all", "one", "read", "write", "script"):
            self.asked.append(name)
        return getattr(self._db, name)


def test_a_turn_at_rest_is_one_query(bench: Bench, clock: FakeClock) -> None:
    for number in range(50):
        write_events(bench.db, f"p{number}", 1)
    counting = Counting(bench.db)
    bench.db = counting  # type: ignore[assignment]
    sequencer = bench.sequencer()
    sequencer.turn()
    counting.asked.clear()
    for _ in range(9):
        clock.advance(1)
        assert sequencer.turn() is False
    assert counting.asked == ["all"] * 9
    assert bench.signed("p49")[0] == 1


def test_that_query_reads_nothing_of_logs_at_rest(tmp_path: Path) -> None:
    db = open_database(f"sqlite:///{tmp_path}/plan.db")
    tables(db)
    asked: list[tuple[str, Any]] = []

    class Spy:
        def all(self, sql: str, params: Any = ()) -> list[Any]:
            asked.append((sql, params))
            return []

    store.behind(Spy(), None, 1)  # type: ignore[arg-type]
    store.behind(Spy(), "p1", 1)  # type: ignore[arg-type]
    for sql, params in asked:
        [row] = db.all("EXPLAIN QUERY PLAN " + sql, params)
        assert "INDEX ledger_log_behind" in row[3], "the index holds only logs that are behind"
    db.close()

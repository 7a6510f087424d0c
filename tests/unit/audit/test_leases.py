"""Places held in stock for reads: given once, filled soon, never lost."""

from __future__ import annotations

import json

import pytest

from andromede import audit
from andromede.audit import Draft, Recorder
from andromede.audit.leases import AGE, IDLE, MOST, SILENT_SECONDS, Held, Leases, Read, Turn, recover, recover_silent
from andromede.db import Database, migrate
from andromede.ids import RandomIds
from andromede.ops.pulse import Pulse
from tests.support.clock import FakeClock


def draft(number: int = 0, tenant: str = "t") -> Draft:
    return Draft(tenant, "user:u", "s3:GetObject", f"box/{number}", f"req-{number}")


class Process:
    """One source with its stock; `flush` is what its committer does."""

    def __init__(self, db: Database, source: str = "objects-0", clock: FakeClock | None = None) -> None:
        self.db, self.clock = db, clock or FakeClock()
        self.recorder = Recorder(source, self.clock)
        self.leases = Leases(self.recorder)
        self.queued: list[Read] = []

    def read(self, number: int = 0, tenant: str = "t") -> Held | None:
        held = self.leases.take(tenant)
        self.queued.append((draft(number, tenant), held))
        return held

    def flush(self, fail: bool = False, deaf: bool = False) -> Turn:
        """`fail`: nothing of it is durable; `deaf`: all of it is, and the database is gone before it can say so."""
        turn = self.leases.begin(self.clock.monotonic())
        try:
            with self.db.write() as tx:
                placed, fresh = self.leases.write(tx, turn, self.queued)
                self.recorder.record(tx, fresh, placed)
                self.leases.lease(tx, turn)
                if fail:
                    raise RuntimeError("the disk is gone")
            if deaf:
                raise RuntimeError("the server is gone")
        except RuntimeError:
            self.leases.undone(turn)
            return turn
        self.leases.done(turn)
        self.queued = []
        return turn

    def stocked(self, reads: int = 8, tenant: str = "t") -> int:
        """Read until there is a stock; its size."""
        for number in range(reads):
            self.read(number, tenant)
        self.flush()
        return sum(lease.stop - lease.next for stock in self.leases._stocks.values() for lease in stock.leases)


def places(db: Database, tenant: str = "t") -> list[int]:
    return [row[0] for row in db.all("SELECT position FROM audit_event WHERE tenant = ? ORDER BY position", (tenant,))]


def allocated(db: Database, tenant: str = "t") -> int:
    row = db.one("SELECT allocated FROM ledger_log WHERE tenant = ?", (tenant,))
    assert row is not None
    return int(row[0])


def pads(db: Database) -> int:
    bodies = [json.loads(bytes(row[0])) for row in db.all("SELECT body FROM audit_event")]
    found = [body for body in bodies if body["action"] == "ledger.pad"]
    assert all(body["purpose"] == "OPERATOR_SYSTEM" for body in found)
    return len(found)


def whole(db: Database, tenant: str = "t") -> bool:
    """No place without an event, none with two, and nothing held."""
    return places(db, tenant) == list(range(allocated(db, tenant))) and not db.all("SELECT 1 FROM ledger_lease")


@pytest.fixture
def ready(db: Database) -> Database:
    migrate(db, audit.MIGRATIONS)
    return db


def test_nothing_is_held_for_a_single_read(ready: Database) -> None:
    process = Process(ready)
    assert process.read() is None
    assert process.flush().wishes == {}
    assert whole(ready)
    assert pads(ready) == 0


def test_reads_take_places_at_once_and_their_events_follow(ready: Database) -> None:
    process = Process(ready)
    assert process.stocked() >= 8
    held = [process.read(100 + n) for n in range(8)]
    assert [place.index for place in held if place] == list(range(8, 16))
    assert str(held[0]).endswith("/t/" + str(held[0]).rpartition("/")[2])
    assert str(held[0]).rpartition(" ")[2] == "8"
    assert places(ready) == list(range(8))
    process.flush()
    assert places(ready) == list(range(16))
    row = ready.one("SELECT body FROM audit_event WHERE tenant = 't' AND position = 8")
    assert row is not None
    assert json.loads(bytes(row[0]))["request_id"] == "req-100"


def test_a_stock_at_rest_is_filled_soon(ready: Database) -> None:
    process = Process(ready)
    stock = process.stocked()
    process.read()
    process.clock.advance(IDLE / 2)
    process.flush()
    assert not whole(ready)
    process.clock.advance(IDLE + 0.01)
    process.flush()
    assert whole(ready)
    assert pads(ready) == stock - 1
    assert not process.leases.holding
    assert process.read() is None


def test_an_old_lease_is_filled_even_while_there_are_reads(ready: Database) -> None:
    process = Process(ready)
    process.stocked()
    for _ in range(int(AGE / 0.2) + 2):
        process.clock.advance(0.2)
        process.read()
        process.flush()
    oldest = (
        min(lease.since for stock in process.leases._stocks.values() for lease in stock.leases)
        if (process.leases._stocks and any(stock.leases for stock in process.leases._stocks.values()))
        else process.clock.monotonic()
    )
    assert process.clock.monotonic() - oldest <= AGE
    assert places(ready)[:10] == list(range(10))


def test_a_stock_follows_the_demand_and_is_bounded(ready: Database) -> None:
    process = Process(ready)
    for _ in range(20):
        for number in range(2000):
            process.read(number)
        process.flush()
        process.clock.advance(0.2)
        for stock in process.leases._stocks.values():
            assert stock.left() <= MOST
    process.leases.close()
    process.flush()
    assert whole(ready)
    assert pads(ready) <= MOST + 20 * MOST // 2


def test_stopping_fills_what_is_left(ready: Database) -> None:
    process = Process(ready)
    process.stocked()
    process.read()
    process.leases.close()
    process.flush()
    assert whole(ready)
    assert process.read() is None


def test_a_flush_that_fails_loses_no_place(ready: Database) -> None:
    process = Process(ready)
    process.stocked()
    process.read(50)
    process.flush(fail=True)
    process.clock.advance(AGE + 1)
    process.flush(fail=True)
    process.flush()
    assert whole(ready)


@pytest.mark.parametrize(("rest", "seconds"), [(0, 0.0), (3, 0.0), (3, AGE)])
def test_a_commit_whose_answer_was_lost_is_not_done_twice(ready: Database, rest: int, seconds: float) -> None:
    """The database died between its commit and the word of it."""
    process = Process(ready)
    stock = process.stocked()
    promised = {100 + n: process.read(100 + n) for n in range(stock - rest)}
    process.clock.advance(seconds)
    process.flush(deaf=True)
    process.read(1)
    process.flush()
    assert process.leases.holding
    process.clock.advance(AGE)
    process.flush()
    assert whole(ready) and not process.leases.holding
    rows = ready.all("SELECT position, body FROM audit_event WHERE tenant = 't'")
    for number, held in promised.items():
        assert held is not None and [at for at, body in rows if f'"req-{number}"'.encode() in bytes(body)] == [
            held.index
        ]


def test_places_that_were_granted_without_a_word_are_filled(ready: Database) -> None:
    process = Process(ready)
    process.stocked()
    process.clock.advance(AGE)
    process.flush()
    assert whole(ready)
    for number in range(8):
        process.read(number)
    assert process.flush(deaf=True).made
    process.queued = []
    process.clock.advance(AGE)
    assert not whole(ready) and process.leases.holding
    process.flush()
    assert whole(ready) and not process.leases.holding
    assert process.stocked() >= 8


def test_the_next_start_of_a_source_fills_what_the_dead_process_held(ready: Database) -> None:
    dead = Process(ready)
    dead.stocked()
    dead.read()  # answered, and not durable when the process died
    again = Process(ready)
    pulse = Pulse(ready, again.recorder, RandomIds(), log=None)  # type: ignore[arg-type]
    pulse._mark("start")
    assert whole(ready)
    assert again.stocked() > 0


def test_a_source_that_could_not_say_that_it_starts_recovers_before_its_first_lease(ready: Database) -> None:
    dead = Process(ready)
    held = dead.stocked()
    again = Process(ready)
    again.stocked()
    again.leases.close()
    again.flush()
    assert whole(ready)
    assert pads(ready) >= held


def test_the_worker_fills_what_a_silent_source_holds_and_the_source_notices(ready: Database) -> None:
    clock = FakeClock()
    frozen, worker = Process(ready, clock=clock), Process(ready, "work-0", clock)
    frozen.stocked()
    held = frozen.read(77)
    assert held is not None
    clock.advance(SILENT_SECONDS - 1)
    assert recover_silent(ready, worker.recorder, clock) == 0
    clock.advance(2)
    assert recover_silent(ready, worker.recorder, clock) > 0
    assert recover_silent(ready, worker.recorder, clock) == 0
    assert whole(ready)
    turn = frozen.flush()  # it wakes up: its read gets another place, and it says so
    assert turn.lost == [held.lease]
    assert whole(ready)
    late = ready.one("SELECT position FROM audit_event WHERE source = 'objects-0' ORDER BY seq DESC LIMIT 1")
    assert late is not None
    assert late[0] != held.index


def test_recovering_twice_does_nothing(ready: Database) -> None:
    dead = Process(ready)
    dead.stocked()
    with ready.write() as tx:
        assert recover(tx, dead.recorder, "objects-0") > 0
    with ready.write() as tx:
        assert recover(tx, dead.recorder, "objects-0") == 0
    assert whole(ready)


def test_tenants_have_stocks_of_their_own(ready: Database) -> None:
    process = Process(ready)
    for number in range(10):
        process.read(number, "a")
        process.read(number, "b")
    process.flush()
    one, two = process.read(1, "a"), process.read(1, "b")
    assert one is not None
    assert two is not None
    assert one.lease.origin != two.lease.origin
    process.leases.close()
    process.flush()
    assert whole(ready, "a")
    assert whole(ready, "b")


def test_a_steady_demand_never_runs_out(ready: Database) -> None:
    process = Process(ready)
    missed = []
    for turn in range(12):
        held = [process.read(number) for number in range(600)]  # three thousand a second
        process.flush()
        process.clock.advance(0.2)
        if turn >= 4:
            missed += [place for place in held if place is None]
    assert missed == []
    assert pads(ready) == 0

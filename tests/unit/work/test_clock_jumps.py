"""What background work does when the clock jumps: nothing that cannot be taken back."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from andromede.db import Database, migrate
from andromede.engines.disk import DiskEngine
from andromede.errors import Denied
from andromede.log import Log
from andromede.objects import expiry
from andromede.objects.collect import Collector
from andromede.objects.lifecycle import Filter, Rule
from andromede.objects.lifecycle_worker import LifecycleWorker
from andromede.objects.model import Attributes, DeleteOptions, Lock, Receive, Versioning
from andromede.work import MIGRATIONS, Leases, Watch, open_trusted
from tests.support.clock import FakeClock
from tests.support.vault import Bytes, Vault, vault
from tests.unit.objects.test_core_work import tools

YEAR, DAY, HOUR = 365 * 86_400, 86_400, 3600


class JumpingClock(FakeClock):
    """A wall clock that can be set without time going by."""

    jumped = 0

    def now_us(self) -> int:
        return self.us + self.jumped

    def jump(self, seconds: int) -> None:
        self.jumped += seconds * 1_000_000


@pytest.fixture
def machine() -> JumpingClock:
    return JumpingClock()


@pytest.fixture
def made(db: Database, tmp_path: Path, machine: JumpingClock) -> Iterator[Vault]:
    with vault(db, DiskEngine(tmp_path / "blobs", "objects-0"), tmp_path, machine) as found:
        yield found


def alerts(text: io.StringIO) -> list[str]:
    return [json.loads(line)["event"] for line in text.getvalue().splitlines()]


def test_a_lock_does_not_open_because_the_clock_jumped(made: Vault, machine: JumpingClock) -> None:
    box = made.container(versioning=Versioning.ENABLED, lock_enabled=True)
    lock = Lock("COMPLIANCE", machine.now_us() + 30 * DAY * 1_000_000)
    held = made.put(box, "k", b"data", Attributes(lock=lock))
    machine.jump(YEAR)
    with pytest.raises(Denied):
        made.delete(box, "k", held.id)
    with pytest.raises(Denied):
        made.delete(box, "k", held.id, DeleteOptions(bypass_governance=True))
    machine.jump(-YEAR)
    with pytest.raises(Denied):
        made.delete(box, "k", held.id)
    machine.advance(30 * DAY + 1)
    made.delete(box, "k", held.id)


def test_nothing_expires_because_the_clock_jumped(made: Vault, machine: JumpingClock) -> None:
    box = made.container()
    made.change(box, documents={"lifecycle": b"x"})
    box = made.objects.container("p1", "box")
    made.put(box, "ruled", b"data")
    made.put(box, "dated", b"data", Attributes(delete_at_us=machine.now_us() + 5 * DAY * 1_000_000))
    rule = Rule(id="r", enabled=True, filter=Filter(), days=30)
    worker = LifecycleWorker(made.objects, lambda _: [rule], machine, Log(level="error"))
    machine.jump(YEAR)
    assert worker.turn().removed == 0
    assert expiry.expire_due(made.objects, tools(made), 10) == 0
    machine.advance(HOUR + 1)
    assert worker.turn().removed == 2 - expiry.expire_due(made.objects, tools(made), 10)


def test_an_upload_in_progress_is_no_orphan_because_the_clock_jumped(made: Vault, machine: JumpingClock) -> None:
    box = made.container()
    stored = made.objects.receive(box, Bytes(b"x" * 100_000), Receive(100_000))
    newest = max(info.modified_us for info in made.engine.listing())
    machine.us = newest
    trusted = open_trusted_here(made, machine)
    collector = Collector(made.db, made.engine, trusted, 900, 3600)
    machine.jump(2 * DAY)
    collector.orphans()
    made.objects.run(made.objects.put(box, "k", stored, Attributes(), *_rest()))
    assert made.get(box, "k") == b"x" * 100_000


def _rest():  # type: ignore[no-untyped-def]
    from andromede.objects.model import NO_CONDITIONS
    from tests.support.vault import TRACE

    return NO_CONDITIONS, TRACE


def open_trusted_here(made: Vault, machine: JumpingClock):  # type: ignore[no-untyped-def]
    migrate(made.db, MIGRATIONS)
    return open_trusted(made.db, machine)


def test_the_next_run_knows_how_late_it_was(db: Database, machine: JumpingClock) -> None:
    migrate(db, MIGRATIONS)
    text = io.StringIO()
    trusted = open_trusted(db, machine)
    watch = Watch(db, machine, trusted, Log(text, clock=machine)).reconciler()
    watch.run()
    before = machine.now_us()
    machine.jump(YEAR)
    watch.run()
    watch.run()
    assert alerts(text) == ["clock.ahead"]
    assert open_trusted(db, machine).now_us() == before
    machine.advance(HOUR + 1)
    watch.run()
    assert alerts(text) == ["clock.ahead", "clock.trusted"]
    machine.jump(-YEAR)
    watch.run()
    assert alerts(text)[2:] == ["clock.back"]


def test_a_lease_from_before_the_clock_was_set_back_is_no_lease(db: Database, machine: JumpingClock) -> None:
    migrate(db, MIGRATIONS)
    assert Leases(db, "first", machine).claim("work", 300)
    other = Leases(db, "second", machine)
    assert not other.claim("work", 300)
    machine.jump(-100)  # less than two hosts may differ by
    assert not other.claim("work", 300)
    machine.jump(-YEAR)
    assert other.claim("work", 300)
    assert not Leases(db, "first", machine).claim("work", 300)

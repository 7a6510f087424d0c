"""Leases and the reconcile loop."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from andromede import work
from andromede.audit import Recorder
from andromede.db import Database, migrate
from andromede.engines.memory import MemoryEngine
from andromede.errors import Unavailable
from andromede.log import Log
from andromede.objects.model import Attributes
from andromede.objects.service import Tools
from andromede.objects.worker import Rhythm, reconcilers
from andromede.work import Leases, Loop, Reconciler
from tests.support.clock import FakeClock, FakeIds
from tests.support.vault import vault


@pytest.fixture
def ready(db: Database) -> Iterator[Database]:
    migrate(db, work.MIGRATIONS)
    yield db


def test_one_holder_at_a_time(ready: Database, clock: FakeClock) -> None:
    one, two = Leases(ready, "one", clock), Leases(ready, "two", clock)
    assert one.claim("job", 10)
    assert not two.claim("job", 10)
    assert one.claim("job", 10)
    clock.advance(11)
    assert two.claim("job", 10)
    assert not one.claim("job", 10)
    one.release("job")
    assert not one.claim("job", 10)
    two.release("job")
    assert one.claim("job", 10)


def test_leases_of_ended_holders_are_free_at_once(ready: Database, clock: FakeClock) -> None:
    dead, alive, fresh = (Leases(ready, name, clock) for name in ("host:1", "host:2", "host:3"))
    assert dead.claim("collect", 300) and dead.claim("expire", 300) and alive.claim("sign", 300)
    assert fresh.free(lambda holder: holder == "host:1") == 2
    assert fresh.claim("collect", 300) and fresh.claim("expire", 300)
    assert not fresh.claim("sign", 300)
    assert fresh.free(lambda holder: holder == "host:1") == 0


def test_a_loop_runs_rests_and_backs_off(ready: Database, clock: FakeClock) -> None:
    turns: list[str] = []
    lines = io.StringIO()
    state = {"more": True, "broken": False}

    def run() -> bool:
        turns.append("run")
        if state["broken"]:
            raise Unavailable("no engine")
        return state["more"]

    loop = Loop([Reconciler("r", 10, run)], Leases(ready, "w", clock), clock, FakeIds(), Log(lines, clock=clock))
    loop.turn()
    loop.turn()
    assert len(turns) == 2  # more was waiting: no rest
    state["more"] = False
    loop.turn()
    loop.turn()
    assert len(turns) == 3
    clock.advance(13)
    state["broken"] = True
    for _ in range(3):
        loop.turn()
        clock.advance(11)
    assert 4 <= len(turns) <= 5
    alert = json.loads(lines.getvalue().splitlines()[0])
    assert (alert["event"], alert["reconciler"], alert["cause"]) == ("work.failed", "r", "no engine")
    stop = threading.Event()
    state["broken"] = False
    loop.wake()

    def last() -> bool:
        stop.set()
        return False

    Loop([Reconciler("s", 10, last)], Leases(ready, "w", clock), clock, FakeIds(), Log(lines, clock=clock)).run(stop)
    assert stop.is_set()


def test_every_reconciler_of_objects_may_run_again_and_again(ready: Database, tmp_path: Path, clock: FakeClock) -> None:
    engine = MemoryEngine(now_us=clock.now_us)
    with vault(ready, engine, tmp_path, clock) as made:
        tools = Tools(ready, engine, made.keys, Recorder("work-0", clock), clock, FakeIds(), Log(level="error"))
        box = made.container()
        made.put(box, "k", b"1" * 100_000)
        made.put(box, "k", b"2", Attributes(delete_at_us=clock.us + 5_000_000))
        all_of_them = reconcilers(tools, made.objects, Rhythm(grace=1, orphan=1, every=1.0))
        assert len({r.name for r in all_of_them}) == len(all_of_them) == 6
        for _ in range(3):
            clock.advance(10)
            for reconciler in all_of_them:
                assert reconciler.run() is False
        assert engine.files == {}
        assert ready.all("SELECT * FROM version") == []

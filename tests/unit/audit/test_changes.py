"""One transaction, one event, one wake."""

from __future__ import annotations

import json
from typing import Any

import pytest

from andromede import audit
from andromede.audit import Recorder
from andromede.audit.changes import Desk, nobody
from andromede.db import Database, migrate
from andromede.errors import Conflict
from andromede.web.actor import Actor
from andromede.web.call import Call, Query
from tests.support.clock import FakeClock, FakeIds


def call(project: str | None) -> Call[Any]:
    actor = None if project is None else Actor("u1", "demo", "default", project_id=project)
    where = ("req-7", "http://h", "http://h/x", "192.0.2.1")
    return Call("POST", "/x", {}, Query(), {}, b"", *where, None, "thing:make", actor)


@pytest.fixture
def woken() -> list[int]:
    return []


@pytest.fixture
def desk(db: Database, clock: FakeClock, woken: list[int]) -> Desk:
    migrate(db, audit.MIGRATIONS)
    db.script(["CREATE TABLE thing (id TEXT)"])
    return Desk(db, clock, FakeIds(), Recorder("api-0", clock, FakeIds()), lambda: woken.append(1))


def events(db: Database) -> list[tuple[str, dict[str, Any]]]:
    return [(row[0], json.loads(row[1])) for row in db.all("SELECT tenant, body FROM audit_event ORDER BY id")]


def test_a_change_is_an_event_in_the_log_of_whom_it_concerns(desk: Desk, woken: list[int], clock: FakeClock) -> None:
    with desk.change(call("p1"), "thing/1") as change:
        change.tx.run("INSERT INTO thing (id) VALUES ('1')")
        change.detail["size"] = 3
        assert change.now_us == clock.us and woken == []
    with desk.change(call("p1"), tenant="p2") as change:
        change.object = "thing/2"
    with desk.change(call(None), "thing/3"):
        pass
    assert woken == [1, 1, 1]
    (one, first), (two, second), (three, third) = events(desk.db)
    assert (one, two, three) == ("p1", "p2", "")
    assert (first["action"], first["object"], first["detail"]) == ("thing:make", "thing/1", {"size": 3})
    assert (first["request_id"], first["outcome"], first["actor"]) == ("req-7", "success", "user:u1")
    assert second["object"] == "thing/2" and third["actor"] == "anonymous"


def test_nothing_stays_of_a_change_that_fails(desk: Desk, woken: list[int]) -> None:
    with pytest.raises(Conflict), desk.change(call("p1"), "thing/1") as change:
        change.tx.run("INSERT INTO thing (id) VALUES ('1')")
        raise Conflict("no")
    with pytest.raises(Conflict), desk.system("thing:gone", "thing/1", "p1", "req-8"):
        raise Conflict("no")
    assert woken == [] and events(desk.db) == [] and desk.db.all("SELECT * FROM thing") == []


def test_what_the_program_does_by_itself_says_so(desk: Desk, woken: list[int]) -> None:
    with desk.system("thing:gone", "thing/1", "p1", "req-8") as change:
        change.tx.run("INSERT INTO thing (id) VALUES ('1')")
    ((tenant, event),) = events(desk.db)
    assert (tenant, event["actor"], event["request_id"]) == ("p1", "system:work", "req-8")
    assert woken == [1] and nobody() is None

"""The rows of servers, their states as Nova shows them, and the history that a lifecycle leaves."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import get_type_hints

import pytest

from andromede.compute import actions, states, tables
from andromede.compute.model import SERVER, Server, State
from andromede.compute.schema import MIGRATIONS
from andromede.db import Database, migrate
from andromede.db.table import Table
from andromede.work.lifecycle import Deadline, Lifecycle, Next
from tests.support.clock import FakeClock

MAPPERS = [value for value in vars(tables).values() if isinstance(value, Table)]


@pytest.fixture
def rows(db: Database) -> Iterator[Database]:
    migrate(db, [*MIGRATIONS])
    yield db


@pytest.mark.parametrize("table", MAPPERS, ids=lambda table: table.name)
def test_every_row_class_has_its_columns(rows: Database, table: Table) -> None:  # type: ignore[type-arg]
    assert table.select(rows) == []
    hints = get_type_hints(table._kind)
    values = {}
    for item in dataclasses.fields(table._kind):
        hint = str(hints[item.name])
        plain = {"<class 'bool'>": True, "<class 'int'>": 7}.get(hint, "text")
        values[item.name] = {} if "dict[" in hint else [] if "list[" in hint else 7 if "int |" in hint else plain
    row = table._kind(**values)
    with rows.write() as tx:
        table.insert(tx, row)
    assert table.select(rows) == [row]


def server(state: str, **fields: object) -> Server:
    return Server(id="s1", project_id="p", user_id="u", name="web", state=state, since_us=5, **fields)  # type: ignore[arg-type]


def test_every_state_shows_something() -> None:
    assert set(states.SHOWN) == set(State)
    for state in State:
        assert states.view(server(state)).status in {word for word, _ in states.STATUSES.values()} | {
            "REBOOT", "HARD_REBOOT", "REBUILD", "RESIZE", "REVERT_RESIZE",
        }  # fmt: skip


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        (server("spawning"), ("building", "spawning", 0, "BUILD")),
        (server("active"), ("active", None, 1, "ACTIVE")),
        (server("stopping", before="active", power="running"), ("active", "powering-off", 1, "ACTIVE")),
        (server("resizing", before="stopped"), ("stopped", "resize_prep", 0, "RESIZE")),
        (server("resizing", before="active", task="resize_finish"), ("active", "resize_finish", 0, "RESIZE")),
        (server("reverting", before="active"), ("resized", "resize_reverting", 0, "REVERT_RESIZE")),
        (server("hard_rebooting", before="active"), ("active", "rebooting_hard", 0, "HARD_REBOOT")),
        (server("active", signals="delete"), ("active", "deleting", 1, "ACTIVE")),
        (server("error", power="crashed"), ("error", None, 6, "ERROR")),
        (server("deleted", signals="delete"), ("deleted", None, 0, "DELETED")),
    ],
)
def test_one_column_shows_as_novas_three(row: Server, shown: tuple[str, str | None, int, str]) -> None:
    assert tuple(states.view(row)) == shown


def test_a_status_names_its_states() -> None:
    assert states.states_of_status("active") == {"active"}
    assert states.states_of_status("REBUILD") == {"active", "stopped", "error"}
    assert states.states_of_status("nonsense") is None


def lifecycle(fail: bool = False) -> Lifecycle[Server]:
    def stopping(row: Server) -> Next:
        return Next("stopping", 1.0) if row.tries == 0 else Next("error" if fail else "stopped")

    def undo(tx: object, row: Server, why: str) -> None:
        undone.append(why)

    undone: list[str] = []
    return Lifecycle("server", tables.SERVERS, {"stopping": stopping}, {}, {"stopping": Deadline(5.0)}, undo=undo)


def test_the_history_tells_what_was_wished_and_done(rows: Database) -> None:
    clock = FakeClock()
    row = server("stopping", request_id="req-1", host="h1")
    noted = actions.recorded(lifecycle(), clock)
    with rows.write() as tx:
        tables.SERVERS.insert(tx, row)
        actions.begin(tx, row, ("req-1", "p", "u"), "stop", 3)
        actions.begin(tx, row, ("req-1", "p", "u"), "stop", 4)
    assert noted.steps["stopping"](row).then is None
    found = noted.steps["stopping"](dataclasses.replace(row, tries=1))
    assert found.then is not None
    with rows.write() as tx:
        found.then(tx)
    (action,) = tables.ACTIONS.select(rows)
    assert (action.action, action.start_us, action.finish_us, action.message) == ("stop", 3, clock.now_us(), "")
    (event,) = tables.EVENTS.select(rows)
    assert (event.event, event.start_us, event.result, event.host) == ("compute_stop_instance", 5, "Success", "h1")


def test_the_history_tells_why_it_failed(rows: Database) -> None:
    clock = FakeClock()
    row = server("stopping", request_id="req-1")
    noted = actions.recorded(lifecycle(), clock)
    assert noted.undo is not None
    with rows.write() as tx:
        actions.begin(tx, row, ("req-1", "p", "u"), "stop", 3)
        noted.undo(tx, row, "the disk is on fire")
    (action,) = tables.ACTIONS.select(rows)
    assert action.message == "Error"
    (event,) = tables.EVENTS.select(rows)
    assert (event.result, event.detail) == ("Error", "the disk is on fire")
    assert tables.SERVERS.name == SERVER

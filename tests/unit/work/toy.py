"""A lifecycle to try the runner with: a thing that is made, opened, closed and deleted by a toy engine."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from andromede import audit
from andromede.audit import Recorder
from andromede.db import Database, Migration, Tx, migrate
from andromede.db.table import Table
from andromede.log import Log
from andromede.work import lifecycle_store
from andromede.work.lifecycle import COLUMNS, Deadline, Lifecycle, Next, Work
from andromede.work.runner import Runner, Tools
from tests.support.clock import FakeClock, FakeIds

MIGRATION = Migration(
    "toy",
    1,
    "things",
    f"CREATE TABLE thing (id {{text}} PRIMARY KEY, project_id {{text}} NOT NULL, size {{int}} NOT NULL,"
    f" labels {{text}} NOT NULL,{COLUMNS});\nCREATE INDEX thing_due ON thing (due_us);\n",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing(Work):
    id: str
    project_id: str = "p1"
    size: int = 0
    labels: list[str] = field(default_factory=list)


THINGS = Table("thing", Thing)


@dataclass
class ToyEngine:
    """Holds things by id. `before` is called with the name of every verb first, and may raise."""

    held: dict[str, int] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    before: Callable[[str], None] = lambda verb: None

    def ensure(self, thing_id: str, size: int) -> None:
        self._note("ensure")
        self.held[thing_id] = size

    def remove(self, thing_id: str) -> None:
        self._note("remove")
        self.held.pop(thing_id, None)

    def observe(self, thing_id: str) -> int | None:
        self._note("observe")
        return self.held.get(thing_id)

    def _note(self, verb: str) -> None:
        self.before(verb)
        self.calls.append(verb)


def moves(table: Mapping[str, str]) -> dict[str, frozenset[str]]:
    return {state: frozenset(following.split()) for state, following in table.items()}


MOVES = moves(
    {
        "making": "settling error deleting",
        "settling": "ready error deleting",
        "ready": "closing deleting",
        "closing": "closed error deleting",
        "closed": "making deleting",
        "error": "deleting",
        "deleting": "deleted error",
    }
)


def life(engine: ToyEngine, **changes: Any) -> Lifecycle[Thing]:
    """The toy's lifecycle; other fields of `Lifecycle` by name."""

    def making(thing: Thing) -> Next:
        engine.ensure(thing.id, thing.size)
        return Next("settling", wake_in=2)

    def settling(thing: Thing) -> Next:
        return Next("ready" if engine.observe(thing.id) is not None else "settling", wake_in=1)

    def closing(thing: Thing) -> Next:
        engine.ensure(thing.id, 0)
        return Next("closed", changes={"labels": ["shut"]})

    def deleting(thing: Thing) -> Next:
        engine.remove(thing.id)
        return Next("deleted")

    steps = {"making": making, "settling": settling, "closing": closing, "deleting": deleting}
    deadlines = {"making": Deadline(60), "settling": Deadline(60), "closing": Deadline(60), "deleting": Deadline(60)}
    plain = Lifecycle("thing", THINGS, steps, MOVES, deadlines, {"delete": "deleting", "close": "closing"})
    return replace(plain, **changes)


class Shop:
    """A database with things, a runner and its log."""

    def __init__(self, db: Database, clock: FakeClock, holder: str = "here:1") -> None:
        migrate(db, [*audit.MIGRATIONS, MIGRATION])
        self.db, self.clock, self.ids = db, clock, FakeIds()
        self.lines = io.StringIO()
        self.engine = ToyEngine()
        self.tools = self.held_by(holder)

    def held_by(self, holder: str) -> Tools:
        log = Log(self.lines, clock=self.clock)
        return Tools(self.db, self.clock, self.ids, log, Recorder("host-0", self.clock, self.ids), holder)

    def runner(self, **changes: Any) -> Runner:
        return Runner(self.tools, [life(self.engine, **changes)])

    def add(self, thing_id: str = "t1", state: str = "making", **fields: Any) -> str:
        now = self.clock.now_us()
        row = Thing(id=thing_id, state=state, since_us=now, **{"request_id": "req-1", "due_us": now, **fields})
        with self.db.write() as tx:
            THINGS.insert(tx, row)
        return thing_id

    def row(self, thing_id: str = "t1") -> Thing | None:
        return THINGS.find(self.db, id=thing_id)

    def here(self, thing_id: str = "t1") -> Thing:
        row = self.row(thing_id)
        assert row is not None
        return row

    def tx(self, work: Callable[[Tx], Any]) -> Any:
        with self.db.write() as tx:
            return work(tx)

    def advance(self, thing_id: str, held: tuple[str, str], **sets: Any) -> bool:
        return bool(self.tx(lambda tx: lifecycle_store.advance(tx, "thing", thing_id, held, sets)))

    def events(self) -> list[dict[str, Any]]:
        """The audit events, in order."""
        rows = self.db.all("SELECT body FROM audit_event ORDER BY id")
        return [json.loads(row[0]) for row in rows]

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines.getvalue().splitlines()]

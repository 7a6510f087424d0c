"""The repeat-and-fail runner: what every lifecycle must stand, whatever its engine.

A `Walk` says how one kind of work begins and where it comes to rest. `prove` walks it once undisturbed, and then again
and again on a fresh stage, disturbed at one point each time: every step run twice; every call of the engine failed
before and after its effect, by an engine that is away, by one that breaks, and by the death of the process; every call
refused for good; every wish left before every step. Each must come to rest where the undisturbed walk did, with the
same columns and the same engine, or, where it was refused, in a state that tells why and lets itself be deleted
without a trace.

A new lifecycle gets this by a file in tests/support/walks that holds its WALKS; test_lifecycles.py
refuses a lifecycle that has none, and walks that leave out a step.
"""

from __future__ import annotations

import dataclasses
import importlib
import io
import json
import os
import pkgutil
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from andromede.app.base import migrations
from andromede.audit import Recorder
from andromede.db import Database, migrate, open_database
from andromede.errors import Invalid, Unavailable
from andromede.log import Log
from andromede.work.lifecycle import Lifecycle, Next, Work, signal
from andromede.work.runner import LEASE_SECONDS, Runner, Tools
from tests.support.clock import FakeClock, FakeIds

E = TypeVar("E")
MOST_ROUNDS, FEW_ROUNDS = 400, 100
_PASSING = {item.name for item in dataclasses.fields(Work)} - {"state", "fault"}


class Killed(BaseException):
    """The process ends here."""


class Faults:
    """Counts the calls of the engines of a stage and makes one of them fail. `away` after the effect means that the
    engine did it and could not say so."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.at = -1
        self.after = False
        self.error: BaseException | None = None
        self.verb = ""
        """Refused whenever it is called, until it is cleared."""

    def plan(self, at: int, after: bool, error: BaseException) -> None:
        """Let the call number `at` fail, once."""
        self.at, self.after, self.error = at, after, error

    def call(self, verb: str, work: Callable[[], Any]) -> Any:
        number = len(self.calls)
        self.calls.append(verb)
        if verb == self.verb:
            raise Invalid(f"the engine refuses to {verb}")
        error = self.error if number == self.at else None
        if error is not None and not self.after:
            raise error
        found = work()
        if error is not None:
            raise error
        return found


class _Faulty:
    """An engine whose public calls go through `Faults`."""

    def __init__(self, engine: Any, faults: Faults, name: str) -> None:
        self._engine, self._faults, self._name = engine, faults, name

    def __getattr__(self, verb: str) -> Any:
        found = getattr(self._engine, verb)
        if verb.startswith("_") or not callable(found):
            return found
        return lambda *words, **named: self._faults.call(self._name + verb, lambda: found(*words, **named))


@dataclass(slots=True)
class Scene:
    """What a stage is set on: a database with every domain's schema, time, ids, an empty folder."""

    db: Database
    folder: Path
    clock: FakeClock = field(default_factory=FakeClock)
    ids: FakeIds = field(default_factory=FakeIds)
    lines: io.StringIO = field(default_factory=io.StringIO)
    faults: Faults = field(default_factory=Faults)
    recorder: Recorder = field(init=False)

    def __post_init__(self) -> None:
        self.recorder = Recorder("host-0", self.clock, self.ids)

    def wrap(self, engine: E, name: str = "") -> E:
        """The engine, for the lifecycle: its calls are counted and may fail. A `name` such as "disk." tells engines
        apart that have verbs in common. The stage itself looks at the engine without it."""
        return cast(E, _Faulty(engine, self.faults, name))

    def alerts(self) -> list[str]:
        lines = [json.loads(line) for line in self.lines.getvalue().splitlines()]
        return [f"{line['event']}: {line.get('cause') or line}" for line in lines if line.get("alert")]


@dataclass(frozen=True, slots=True)
class Stage:
    """`row_id`: the row that is to work. `looks`: what the engine and the neighbours' rows look like, comparable by
    ==, without ids that were drawn on the way. `leaks`: what is left once the row is deleted; must be empty.
    `meanwhile`: called between turns, as the world that goes on (a guest that boots, a neighbour's lifecycle)."""

    lifecycle: Lifecycle[Any]
    row_id: str
    looks: Callable[[], Any] = lambda: None
    leaks: Callable[[], Any] = lambda: None
    meanwhile: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Walk:
    """`kind`: of the lifecycle. `ends`: the state at rest, "" when the row is gone. `ignore`: columns that may differ
    from one walk to the next. `refusals`: whether a refused call must end it elsewhere."""

    kind: str
    name: str
    ends: str
    stage: Callable[[Scene], Stage]
    ignore: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"


def walks() -> dict[str, list[Walk]]:
    """Every walk of tests/support/walks, by kind."""
    from tests.support import walks as folder

    found: dict[str, list[Walk]] = {}
    for module in pkgutil.iter_modules(folder.__path__):
        for walk in importlib.import_module(f"{folder.__name__}.{module.name}").WALKS:
            found.setdefault(walk.kind, []).append(walk)
    return found


def faulty(lifecycle: Lifecycle[Any]) -> Iterator[str]:
    """What is wrong with the declaration itself."""
    known = set(lifecycle.moves) | {state for following in lifecycle.moves.values() for state in following}
    known |= set(lifecycle.steps)
    missing = {item.name for item in dataclasses.fields(Work)} - set(lifecycle.table.columns)
    if missing:
        yield f"its rows lack the columns {sorted(missing)}"
    for state in lifecycle.steps:
        if not lifecycle.moves.get(state):
            yield f"{state} has a step and no way out"
        if state not in lifecycle.deadlines:
            yield f"{state} has a step and no deadline"
        after = lifecycle.deadline(state).state
        if after != state and after not in lifecycle.moves.get(state, frozenset()):
            yield f"{state} gives up to {after}, where it may not go"
    for word, state in lifecycle.interrupts.items():
        if state not in lifecycle.steps:
            yield f"the wish {word} leads to {state}, which has no step"
    removing = lifecycle.interrupts.get("delete")
    for state in known - lifecycle.ends - {removing, "deleted"}:
        if removing and removing not in lifecycle.moves.get(state, frozenset()) and not _onward(lifecycle, state):
            yield f"{state} cannot be deleted, and leads to no state that can"
    if dead := set(lifecycle.deadlines) - set(lifecycle.steps):
        yield f"deadlines for states without a step: {sorted(dead)}"


def _onward(lifecycle: Lifecycle[Any], state: str) -> bool:
    """Whether a working state leads to one that may be deleted."""
    removing = lifecycle.interrupts["delete"]
    following = lifecycle.moves.get(state, frozenset())
    return state in lifecycle.steps and any(removing in lifecycle.moves.get(next, frozenset()) for next in following)


MEMORY = Path("/dev/shm")


class Prover:
    """Proves walks in one folder, in memory where the machine has such a place; the schema is made once and copied."""

    def __init__(self, folder: Path) -> None:
        place = MEMORY if os.access(MEMORY, os.W_OK) else folder
        self._kept = tempfile.TemporaryDirectory(prefix="andromede-walks-", dir=place)
        self._folder = Path(self._kept.name)
        self._count = 0
        self._blank = self._folder / "blank.db"
        db = open_database(f"sqlite:///{self._blank}")
        migrate(db, migrations())
        db.close()

    def close(self) -> None:
        self._kept.cleanup()

    def __enter__(self) -> Prover:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def prove(self, walk: Walk) -> set[str]:
        """Every disturbance; the working states that it went through. AssertionError tells the first that failed."""
        plain = self._walked(walk, "undisturbed")
        assert plain.state == walk.ends, f"{walk} rests in {plain.state!r} ({plain.columns.get('fault')})"
        assert not plain.alerts, f"{walk}: {plain.alerts}"
        self._same(walk, plain, self._walked(walk, "every step twice", twice=True))
        for at, verb in enumerate(plain.calls):
            for after in (False, True):
                for error in (Unavailable("the engine is away"), OSError("broken"), Killed()):
                    word = f"{type(error).__name__} {'after' if after else 'before'} call {at} ({verb})"
                    fault = (at, after, error)
                    self._same(walk, plain, self._walked(walk, word, fault=fault))
        for verb in dict.fromkeys(plain.calls):
            self._refused(walk, verb)
        for word in plain.words:
            for at in range(len(plain.steps)):
                self._wished(walk, word, at)
        return set(plain.steps)

    def _same(self, walk: Walk, plain: Walked, found: Walked) -> None:
        where = f"{walk}, {found.what}"
        assert found.state == plain.state, f"{where}: rests in {found.state!r} ({found.columns.get('fault')})"
        assert found.columns == plain.columns, f"{where}: {found.columns} and not {plain.columns}"
        assert found.looks == plain.looks, f"{where}: {found.looks} and not {plain.looks}"
        assert found.leaks == plain.leaks, f"{where}: {found.leaks} is left"

    def _refused(self, walk: Walk, verb: str) -> None:
        with self.course(walk, f"{verb} refused") as course:
            course.scene.faults.verb = verb
            course.go(patient=False)
            row = course.row()
            assert row is None or row.state == walk.ends or row.fault, f"{course.what}: {row.state} tells no reason"
            course.scene.faults.verb = ""
            course.deleted()

    def _wished(self, walk: Walk, word: str, at: int) -> None:
        with self.course(walk, f"wish {word} before step {at}", wish=(word, at)) as course:
            course.go()
            if word == "delete":
                assert course.row() is None, f"{course.what}: rests in {course.row().state}"
                assert not course.stage.leaks(), f"{course.what}: {course.stage.leaks()} is left"
            assert not course.scene.alerts(), f"{course.what}: {course.scene.alerts()}"

    def _walked(self, walk: Walk, what: str, twice: bool = False, fault: Any = None) -> Walked:
        with self.course(walk, what, twice=twice) as course:
            if fault is not None:
                course.scene.faults.plan(*fault)
            course.go()
            return course.walked()

    def course(self, walk: Walk, what: str, twice: bool = False, wish: tuple[str, int] | None = None) -> Course:
        self._count += 1
        folder = self._folder / f"scene-{self._count}"
        folder.mkdir()
        shutil.copy(self._blank, folder / "andromede.db")
        db = open_database(f"sqlite:///{folder}/andromede.db")
        return Course(walk, f"{walk}, {what}", Scene(db, folder), twice, wish)


@dataclass(frozen=True, slots=True)
class Walked:
    """What a walk came to."""

    what: str
    state: str
    columns: Mapping[str, Any]
    looks: Any
    leaks: Any
    calls: list[str]
    steps: list[str]
    words: list[str]
    alerts: list[str]


class Course:
    """One walk under way."""

    def __init__(self, walk: Walk, what: str, scene: Scene, twice: bool, wish: tuple[str, int] | None) -> None:
        self.walk, self.what, self.scene = walk, what, scene
        self.steps: list[str] = []
        self._twice, self._wish = twice, wish
        self.stage = walk.stage(scene)
        made = self.stage.lifecycle
        self.lifecycle = dataclasses.replace(made, steps={state: self._step(state) for state in made.steps})

    def __enter__(self) -> Course:
        return self

    def __exit__(self, *failure: object) -> None:
        self.scene.db.close()
        shutil.rmtree(self.scene.folder)

    def _step(self, state: str) -> Callable[[Any], Next]:
        plain = self.stage.lifecycle.steps[state]

        def step(row: Any) -> Next:
            if self._wish is not None and len(self.steps) == self._wish[1]:
                self._leave(self._wish[0])
            self.steps.append(state)
            found = plain(row)
            return plain(row) if self._twice else found

        return step

    def _leave(self, word: str) -> None:
        with self.scene.db.write() as tx:
            signal(tx, self.lifecycle.table.name, self.stage.row_id, word, self.scene.clock.now_us())

    def row(self) -> Any:
        """None when it is gone, or kept as a record of what was deleted."""
        row = self.lifecycle.table.find(self.scene.db, id=self.stage.row_id)
        return None if row is not None and row.state == "deleted" else row

    def _runner(self, life: int) -> Runner:
        scene = self.scene
        log = Log(scene.lines, clock=scene.clock)
        tools = Tools(scene.db, scene.clock, scene.ids, log, scene.recorder, f"host:{life}")
        return Runner(tools, [self.lifecycle])

    def go(self, patient: bool = True) -> None:
        """Until the row rests or is gone; a process that dies is followed by another. Not `patient`: a state that never
        gives up is left after some turns."""
        runner, life = self._runner(0), 0
        for _ in range(MOST_ROUNDS if patient else FEW_ROUNDS):
            try:
                runner.settle(50)
            except Killed:
                life += 1
                runner = self._runner(life)
                runner.free(lambda holder: True)
                continue
            row = self.row()
            if row is None or (row.due_us is None and row.state not in self.lifecycle.steps):
                return
            self.stage.meanwhile()
            late = max(row.due_us or 0, row.lease_us) - self.scene.clock.now_us()
            self.scene.clock.advance(min(max(late / 1e6, 0.05), LEASE_SECONDS))
        state = self.row().state
        if patient or self.lifecycle.deadline(state).state != state:
            raise AssertionError(f"{self.what}: does not come to rest, it is {state} ({self.steps[-5:]})")

    def deleted(self) -> None:
        """What may be deleted goes without a trace."""
        if self.row() is None or "delete" not in self.lifecycle.interrupts:
            return
        self._leave("delete")
        self.go()
        row = self.row()
        assert row is None, f"{self.what}, then deleted: rests in {row.state} ({row.fault})"
        assert not self.stage.leaks(), f"{self.what}, then deleted: {self.stage.leaks()} is left"

    def walked(self) -> Walked:
        row = self.row()
        hidden = _PASSING | self.walk.ignore
        columns = {} if row is None else {c: getattr(row, c) for c in self.lifecycle.table.columns if c not in hidden}
        return Walked(
            self.what, row.state if row else "", columns, self.stage.looks(), row is None and self.stage.leaks(),
            list(self.scene.faults.calls), list(self.steps), sorted(self.lifecycle.interrupts), self.scene.alerts(),
        )  # fmt: skip

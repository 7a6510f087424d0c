"""Every lifecycle of the program stands repetition, failure, death and wishes at every point of its walks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from andromede.app import hosting
from andromede.app.base import Base
from andromede.app.first import initialise
from andromede.app.hosting.role import runner
from andromede.app.hosting.site import Site
from andromede.app.processes import ended
from andromede.clock import SystemClock
from andromede.config import Config, Hosting
from andromede.db import Database
from andromede.ids import RandomIds
from andromede.ops import layout
from andromede.work.lifecycle import Deadline, Lifecycle, Next
from tests.support.lifecycles import Prover, Scene, Stage, Walk, faulty, walks
from tests.unit.work.toy import MIGRATION, THINGS, Thing, ToyEngine, life

WALKS = walks()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A whole installation that hosts, as the host role finds it."""
    folder = tmp_path_factory.mktemp("site")
    data = folder / "data"
    layout.prepare(layout.Layout(data), SystemClock(), RandomIds())
    config = Config(data=data, hosting=Hosting(enabled="on", runtime=str(folder / "run"), accelerator="tcg"))
    initialise(config)
    made = Site(Base.open(config, "host-0"))
    yield made
    made.close()
    made.base.db.close()


@pytest.fixture(scope="module")
def lifecycles(site: Site) -> list[Lifecycle[Any]]:
    return [lifecycle for part in hosting.duties(site) for lifecycle in part.lifecycles]


def test_every_lifecycle_is_declared_well(lifecycles: list[Lifecycle[Any]]) -> None:
    assert {lifecycle.kind: problems for lifecycle in lifecycles if (problems := list(faulty(lifecycle)))} == {}


def test_every_lifecycle_is_walked(lifecycles: list[Lifecycle[Any]]) -> None:
    assert {lifecycle.kind for lifecycle in lifecycles} == set(WALKS)


def test_the_host_role_runs_them_all(site: Site) -> None:
    duties = hosting.duties(site)
    steps = runner(site, duties)
    assert steps.free(ended) == 0
    assert len({task.name for part in duties for task in part.reconcilers}) == sum(len(d.reconcilers) for d in duties)


def test_only_a_process_of_this_machine_is_known_to_have_ended() -> None:
    import os
    import socket

    assert not ended("elsewhere:1") and not ended("") and not ended(f"{socket.gethostname()}:x")
    assert ended(f"{socket.gethostname()}:{2**22 + 1}"), "no process has this number"
    assert ended(f"{socket.gethostname()}:{os.getpid()}"), "this one is none of ours"


EVERY = [walk for kind in sorted(WALKS) for walk in WALKS[kind]]


@pytest.fixture
def prover(tmp_path: Path) -> Iterator[Prover]:
    with Prover(tmp_path) as made:
        yield made


@pytest.mark.parametrize("walk", EVERY, ids=str)
def test_a_walk_comes_to_the_same_end_however_disturbed(walk: Walk, prover: Prover) -> None:
    assert prover.prove(walk)


@pytest.mark.parametrize("kind", sorted(WALKS))
def test_the_walks_of_a_lifecycle_leave_out_no_step(kind: str, prover: Prover) -> None:
    steps: set[str] = set()
    seen: set[str] = set()
    for walk in WALKS[kind]:
        with prover.course(walk, "undisturbed") as course:
            steps |= set(course.stage.lifecycle.steps)
            course.go()
            seen |= set(course.steps)
    assert seen == steps, f"no walk of {kind} goes through {sorted(steps - seen)}"


def _toy(state: str, **changes: Any) -> Any:
    """A stage of the toy lifecycle; the schema of its own table comes first."""

    def stage(scene: Scene) -> Stage:
        engine = ToyEngine()
        scene.db.script(MIGRATION.statements({"text": "TEXT", "int": "INTEGER"}))
        now = scene.clock.now_us()
        row = Thing(id="t1", state=state, since_us=now, due_us=now, request_id="req-1")
        with scene.db.write() as tx:
            THINGS.insert(tx, row)
        if state != "making":
            engine.held["t1"] = 1
        made = life(scene.wrap(engine), **changes)
        return Stage(made, "t1", looks=lambda: dict(engine.held), leaks=lambda: dict(engine.held))

    return stage


TOY = [("making", "ready"), ("closing", "closed"), ("deleting", "")]


@pytest.mark.parametrize(("state", "ends"), TOY)
def test_the_prover_passes_what_may_be_repeated(state: str, ends: str, prover: Prover) -> None:
    assert state in prover.prove(Walk("thing", "toy", ends, _toy(state)))


def _counted(engine: ToyEngine) -> dict[str, Any]:
    """A step that adds instead of saying what is wanted."""

    def making(thing: Thing) -> Next:
        engine.ensure(thing.id, (engine.observe(thing.id) or 0) + 1)
        return Next("ready")

    return {"making": making}


def _leaky(engine: ToyEngine) -> dict[str, Any]:
    """A deletion that forgets what the engine holds."""
    return {"deleting": lambda thing: Next("deleted")}


@pytest.mark.parametrize(
    ("state", "ends", "other", "told"),
    [
        ("making", "ready", _counted, "every step twice: {'t1': 2} and not {'t1': 1}"),
        ("making", "ready", _leaky, "is left"),
        ("making", "closed", lambda engine: {}, "rests in 'ready'"),
    ],
)
def test_the_prover_finds_what_may_not(state: str, ends: str, other: Any, told: str, prover: Prover) -> None:
    def stage(scene: Scene) -> Stage:
        made = _toy(state)(scene)
        engine = ToyEngine()
        steps = {**life(scene.wrap(engine)).steps, **other(scene.wrap(engine))}
        there = made.row_id
        return Stage(
            dataclasses.replace(made.lifecycle, steps=steps, moves={**made.lifecycle.moves, **_more()}), there,
            looks=lambda: dict(engine.held), leaks=lambda: dict(engine.held),
        )  # fmt: skip

    with pytest.raises(AssertionError) as found:
        prover.prove(Walk("thing", "toy", ends, stage))
    assert told in str(found.value)


def _more() -> dict[str, frozenset[str]]:
    return {"making": frozenset({"settling", "ready", "error", "deleting"})}


def test_a_lifecycle_that_is_declared_badly_is_told_so() -> None:
    engine = ToyEngine()
    assert list(faulty(life(engine))) == []
    bad = life(
        engine,
        moves={**life(engine).moves, "making": frozenset({"settling"}), "closing": frozenset()},
        deadlines={"making": Deadline(5, "closed"), "gone": Deadline(5)},
        interrupts={"delete": "deleting", "open": "opening"},
    )
    told = " / ".join(faulty(bad))
    for words in (
        "closing has a step and no way out",
        "settling has a step and no deadline",
        "making gives up to closed",
        "the wish open leads to opening, which has no step",
        "closing cannot be deleted",
        "deadlines for states without a step: ['gone']",
    ):
        assert words in told


def test_a_stranded_row_is_named(prover: Prover) -> None:
    """It would be looked at for ever."""
    steps = {"making": lambda thing: Next("making", wake_in=0.01)}
    walk = Walk("thing", "toy", "ready", _toy("making", steps=steps, deadlines={"making": Deadline(1e9)}))
    with pytest.raises(AssertionError, match="does not come to rest, it is making"):
        prover.prove(walk)


def test_rows_of_both_databases_are_found_by_name(db: Database) -> None:
    from andromede.db.base import TYPES

    db.script(MIGRATION.statements(TYPES[db.dialect]))
    with db.write() as tx:
        made = THINGS.insert(tx, Thing(id="t1", state="ready", since_us=5, labels=["a", "b"]))
    assert THINGS.find(db, id="t1") == made

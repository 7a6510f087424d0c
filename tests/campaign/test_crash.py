"""The short form of the crash campaign, and proof that its judge sees what it should."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.campaign.crash import campaign
from tests.campaign.crash_checks import broken
from tests.campaign.crash_doors import Answer, Lost, Promise
from tests.campaign.crash_load import Plain, made_of
from tests.campaign.crash_model import ABSENT, Journal, Version, Violations, fits
from tests.campaign.crash_worker import Fleet

KILLS = 12
ONE = made_of(b"data", Version("", 0, "", "text/plain", (("a", "1"),), (), False))


@pytest.mark.timeout(300)
def test_killed_a_dozen_times_the_program_keeps_every_promise(tmp_path: Path) -> None:
    with campaign(7, tmp_path) as made:
        made.prepare(1, pace=0.02)
        made.go()
        made.run(KILLS, KILLS, exporting=False)
        found = made.summary(0)
    assert found["violations"] == []
    assert found["kills in all"] == KILLS and found["acknowledged"] > 100
    assert found["checks"]["promises"] > 100 and found["checks"]["fsck"] == 1


class Judge(Plain):
    """A worker that sees what the test shows it."""

    seen = ABSENT

    def observe(self, key: str) -> tuple[Version, ...]:
        return self.seen


@pytest.fixture
def judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Judge:
    nothing = SimpleNamespace(promises=[])
    monkeypatch.setattr("tests.campaign.crash_load.Doors", lambda *about: nothing)
    monkeypatch.setattr("tests.campaign.crash_worker.Doors", lambda *about: nothing)
    journal = Journal(tmp_path / "journal")
    return Judge(Fleet(None, journal, Violations(journal), None, 1), 0)  # type: ignore[arg-type]


def kinds(judge: Judge) -> list[str]:
    return [found["kind"] for found in judge.fleet.violations.found]


def lost() -> Answer:
    raise Lost("killed")


def acknowledged() -> Answer:
    return Answer(200, b"", {})


@pytest.mark.parametrize(
    "seen",
    [ABSENT, (replace(ONE, sha="0" * 64),), (replace(ONE, meta=()),), (replace(ONE, public=True),), (ONE, ONE)],
)
def test_an_acknowledged_write_must_be_there_as_it_was(judge: Judge, seen: tuple[Version, ...]) -> None:
    judge.change("k", "PUT", (ONE,), acknowledged)
    judge.seen = (ONE,)
    judge.verify("k")
    assert kinds(judge) == []
    judge.seen = seen
    judge.verify("k")
    assert kinds(judge) == ["state"]


@pytest.mark.parametrize(("seen", "said"), [(ABSENT, []), ((ONE,), []), ((replace(ONE, size=2),), ["state"])])
def test_a_lost_write_is_there_whole_or_not_at_all(judge: Judge, seen: tuple[Version, ...], said: list[str]) -> None:
    judge.change("k", "PUT", (ONE,), lost)
    judge.seen = seen
    judge.verify("k")
    assert kinds(judge) == said


def test_a_race_has_one_winner(judge: Judge) -> None:
    states = [(ONE,), (replace(ONE, etag="other"),)]
    for answers, said in (
        ([Answer(200, b"", {}), Answer(412, b"", {})], []),
        ([Answer(200, b"", {}), Answer(200, b"", {})], ["race"]),
        ([Answer(412, b"", {}), Answer(412, b"", {})], ["race", "race"]),
    ):
        changes = [judge.fleet.journal.intend("k", "race", [state]) for state in states]
        judge.judge("k", changes, list(states), list(answers))
        assert kinds(judge) == said
    changes = [judge.fleet.journal.intend("k2", "race", [state]) for state in states]
    judge.judge("k2", changes, list(states), [Lost("killed"), Answer(412, b"", {})])
    assert judge.candidates("k2") == [states[0]]  # the other was told that somebody had won


class Rows:
    """A database with one log of two events."""

    def all(self, sql: str, params: object = ()) -> list[tuple[object, ...]]:
        if "ledger_log" in sql:
            return [("log", "p")]
        return [
            (0, b'{"request_id": "req-0", "action": "s3:PutObject"}'),
            (1, b'{"request_id": "", "action": "ledger.pad"}'),
        ]


def test_a_place_holds_what_was_promised() -> None:
    def wrong(*promises: Promise) -> int:
        return len(broken(Rows(), list(promises)))  # type: ignore[arg-type]

    assert wrong(Promise("log 0", "req-0", False, 0), Promise("log 1", "req-1", True, 0)) == 0
    assert wrong(Promise("log 1", "req-1", False, 0)) == 1
    assert wrong(Promise("log 0", "req-2", True, 0)) == 1
    assert wrong(Promise("log 2", "req-2", True, 0)) == 1
    assert wrong(Promise("other 0", "req-0", False, 0)) == 1
    assert wrong(Promise("log 0", "req-0", False, 0), Promise("log 0", "req-9", True, 0)) == 2


def test_fits_knows_what_is_unknown() -> None:
    assert fits((replace(ONE, etag="", public=None),), (ONE,)) and fits((ONE,), (replace(ONE, public=None),))
    assert not fits((ONE,), (replace(ONE, vid="x", ctype="image/png"),))

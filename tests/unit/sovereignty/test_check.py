"""fsck over the ledger."""

from __future__ import annotations

from pathlib import Path

import pytest

from andromede.db import Database
from andromede.ledger.note import checkpoint_text
from andromede.sovereignty import store
from andromede.sovereignty.check import Problem, check
from tests.support.clock import FakeClock
from tests.support.ledger import Bench, origin_of, write_events

SIZE = 600


@pytest.fixture
def bench(db: Database, clock: FakeClock, tmp_path: Path) -> Bench:
    made = Bench.open(db, clock, tmp_path)
    write_events(db, "", 1)
    write_events(db, "p1", SIZE)
    made.sequencer().turn()
    return made


def findings(bench: Bench, *statement: object) -> list[Problem]:
    if statement:
        with bench.db.write() as tx:
            tx.run(str(statement[0]), statement[1:])
    return check(bench.db, bench.keys)


def test_a_sound_ledger_has_no_findings(bench: Bench) -> None:
    seen = []
    assert check(bench.db, bench.keys, lambda: seen.append(1)) == []
    assert len(seen) == 1 + 3


def test_pruned_events_are_no_findings(bench: Bench) -> None:
    assert findings(bench, "UPDATE audit_event SET salt = NULL, body = ? WHERE position < 300", b"") == []


@pytest.mark.parametrize(
    ("statement", "params", "text"),
    [
        ("UPDATE audit_event SET salt = ? WHERE tenant = 'p1' AND position = 7", (bytes(32),), "position 7: the event"),
        ("UPDATE audit_event SET body = ? WHERE tenant = 'p1' AND position = 599", (b"{}",), "position 599: the event"),
        ("DELETE FROM audit_event WHERE tenant = 'p1' AND position = 255", (), "position 255: its event is missing"),
        ("DELETE FROM audit_event WHERE tenant = 'p1' AND position = 599", (), "position 599: its event is missing"),
        (
            "UPDATE ledger_tile SET data = ? WHERE level = -1 AND number = 0 AND length(data) > 32",
            (bytes(8192),),
            "position 0: the event",
        ),
        ("UPDATE ledger_tile SET data = ? WHERE level = 1", (bytes(64),), "tile 1/0 does not follow"),
        ("DELETE FROM ledger_tile WHERE level = -1 AND number = 2", (), "entries from 512 are missing"),
        ("UPDATE ledger_log SET root = ? WHERE tenant = 'p1'", (bytes(32),), "do not lead to the root"),
        ("UPDATE ledger_log SET allocated = 10 WHERE tenant = 'p1'", (), "in the tree of 10 events"),
        ("UPDATE ledger_checkpoint SET root = ? WHERE size = 600", (bytes(32),), "another root than the tree"),
        (
            "UPDATE ledger_checkpoint SET note = replace(note, ?, ?) WHERE size = 600",
            ("\n600\n", "\n601\n"),
            "does not verify",
        ),
    ],
)
def test_L3_what_was_changed_is_found(bench: Bench, statement: str, params: tuple[object, ...], text: str) -> None:
    found = findings(bench, statement, *params)
    assert any(text in problem.text for problem in found), found
    assert {(problem.severity, problem.kind, problem.subject) for problem in found} == {
        ("error", "ledger", origin_of("p1"))
    }


def test_a_note_of_something_else_is_found(bench: Bench) -> None:
    note = bench.keys.sign(checkpoint_text(origin_of("p1"), 599, bytes(32)))
    [problem] = findings(bench, "UPDATE ledger_checkpoint SET note = ? WHERE size = 600", note)
    assert "does not say what its row says" in problem.text
    with bench.db.write() as tx:
        store.publish(tx, [(origin_of("p1"), 600, note)])
        tx.run("UPDATE ledger_checkpoint SET size = 700 WHERE size = 600")
    assert any("a checkpoint of 700 entries was signed" in problem.text for problem in check(bench.db, bench.keys))


def test_events_on_their_way_are_a_notice_when_one_is_missing(bench: Bench) -> None:
    write_events(bench.db, "p1", 2)
    assert check(bench.db, bench.keys) == []
    write_events(bench.db, "p1", 1, skip=1)
    [problem] = check(bench.db, bench.keys)
    assert (problem.severity, problem.text[:21]) == ("notice", "1 of the newest 4 eve")


def test_a_log_full_of_damage_ends_early(bench: Bench) -> None:
    found = findings(bench, "UPDATE audit_event SET body = ?", b"{}")
    assert len(found) == 1 + 20 + 1 and "left out" in found[-1].text

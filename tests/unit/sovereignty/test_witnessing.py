"""The witnessed side: cosignatures come in, dead witnesses delay nobody, forks and rollbacks are not signed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from andromede.clock import US
from andromede.db import Database, Row
from andromede.ledger.note import open_note
from andromede.ledger.policy import BadNote
from andromede.ledger.witness import Answer
from andromede.sovereignty import policies, witness_guard
from andromede.sovereignty import store as rows
from andromede.sovereignty import witness_store as store
from andromede.sovereignty.witness_server import WitnessServer
from tests.support.clock import FakeClock
from tests.support.installation import wait_until
from tests.support.ledger import origin_of, write_events
from tests.support.witnesses import HttpWitness, Operator, restore, snapshot

P1 = origin_of("p1")
Make = Callable[[str], HttpWitness]


@pytest.fixture
def operator(db: Database, tmp_path: Path, clock: FakeClock) -> Operator:
    return Operator(db, tmp_path, clock)


@pytest.fixture
def make(operator: Operator, tmp_path: Path) -> Iterator[Make]:
    made = []

    def one(name: str) -> HttpWitness:
        made.append(HttpWitness(tmp_path, name, operator.bench.logs.verifiers("any"), operator.clock))
        return made[-1]

    yield one
    for each in made:
        each.close()


def test_cosignatures_by_both_keys_reach_the_note(operator: Operator, make: Make) -> None:
    first, second = make("w1"), make("w2")
    operator.trust(first, second)
    write_events(operator.db, "", 2)
    write_events(operator.db, "p1", 3)
    operator.turn()
    for tenant in ("", "p1"):
        note = operator.bench.logs.checkpoint(origin_of(tenant))
        assert note is not None and note == operator.bench.logs.witnessed(origin_of(tenant))
        keys = [signer.verifier for one in (first, second) for signer in one.keys.signers]
        assert {s.verifier for s in open_note(note, keys)[1]} == set(keys)
        log_keys = operator.bench.logs.verifiers(origin_of(tenant))
        assert policies.complete(operator.db, tenant, log_keys).accept(note).size == (3 if tenant else 2)
    write_events(operator.db, "p1", 600)
    operator.turn()
    assert operator.bench.signed("p1")[0] == 603
    assert operator.signed_by(P1, [first, second]) == ["w1", "w2"]
    assert [row[2:4] for row in store.views(operator.db) if row[0] == P1] == [
        (603, operator.clock.now_us()), (603, operator.clock.now_us())
    ]  # fmt: skip


def test_without_witnesses_nothing_is_asked(operator: Operator) -> None:
    write_events(operator.db, "p1", 3)
    operator.turn()
    assert operator.bench.signed("p1")[0] == 3
    assert operator.bench.logs.witnessed(P1) is None
    assert operator.witnessing._memory.aims == {}


def test_a_witness_that_is_ahead_tells_its_size(operator: Operator, make: Make) -> None:
    """Its memory outlived ours of it: one 409, then the proof from there."""
    witness = make("w1")
    operator.trust(witness)
    write_events(operator.db, "p1", 300)
    operator.turn()
    with operator.db.write() as tx:
        tx.run("DELETE FROM witness_view")
    operator.start()
    write_events(operator.db, "p1", 5)
    witness.calls.clear()
    operator.turn()
    assert operator.signed_by(P1, [witness]) == ["w1"]
    assert [call.split()[0] for call in witness.calls] == ["GET", "POST", "POST"]


def test_a_dead_witness_delays_nobody_and_is_asked_less_and_less(operator: Operator, make: Make) -> None:
    alive, dead = make("alive"), make("dead")
    dead.held.clear()
    operator.settings["call_seconds"] = 0.3
    operator.start()
    operator.trust(alive, dead)
    for number in range(6):
        write_events(operator.db, f"p{number}", 3)
    operator.sequencer.turn()
    for _ in range(40):
        operator.clock.advance(0.1)
        operator.witnessing.turn()
        operator.witnessing._wake.wait(0.05)
        operator.witnessing._wake.clear()
    operator.witnessing.settle(5)
    for number in range(6):
        assert operator.signed_by(origin_of(f"p{number}"), [alive, dead]) == ["alive"]
    asked = sum(call.startswith("POST") for call in dead.calls)
    assert 1 <= asked <= 4
    errors = {row[6] for row in store.views(operator.db) if row[1] == dead.url and row[6]}
    assert errors and all("does not answer" in error for error in errors)
    dead.held.set()
    operator.turn(700)
    for _ in range(8):
        operator.turn()
    assert operator.signed_by(origin_of("p1"), [alive, dead]) == ["alive", "dead"]


def test_what_does_not_verify_is_not_kept(operator: Operator, make: Make) -> None:
    honest, other, liar = make("w1"), make("w2"), make("liar")
    liar.answer = other.answer  # type: ignore[method-assign]
    operator.trust(honest, liar)
    write_events(operator.db, "p1", 3)
    operator.turn()
    assert operator.signed_by(P1, [honest, other, liar]) == ["w1"]
    [error] = [row[6] for row in store.views(operator.db) if row[1] == liar.url]
    assert "is its key the one in the policy?" in error
    liar.answer = lambda *call: Answer(404, "who?")  # type: ignore[method-assign]
    operator.turn(10)
    [error] = [row[6] for row in store.views(operator.db) if row[1] == liar.url]
    assert "andromede witness trust" in error


def test_a_cosignature_from_the_future_is_not_kept(operator: Operator, make: Make) -> None:
    ahead = make("ahead")
    right, wrong = ahead.server, WitnessServer(ahead.db, ahead.keys, FakeClock(operator.clock.now_us() + 400 * US))
    ahead.server = wrong
    operator.trust(ahead)
    write_events(operator.db, "p1", 3)
    operator.turn()
    assert operator.signed_by(P1, [ahead]) == []
    assert "dated in the future" in store.views(operator.db)[0][6]
    ahead.server = right
    operator.turn(10)
    assert operator.signed_by(P1, [ahead]) == ["ahead"]


def test_a_witness_whose_answer_breaks_the_reading_hinders_nobody(
    operator: Operator, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator.trust(make("w1"), tenant="p1")
    write_events(operator.db, "p1", 2)
    write_events(operator.db, "p2", 2)

    def broken(*words: object) -> None:
        raise OverflowError("no number")

    monkeypatch.setattr(witness_guard, "look", broken)
    operator.sequencer.turn()
    assert [operator.bench.signed(tenant)[0] for tenant in ("p1", "p2")] == [2, 2]


def test_an_idle_log_is_cosigned_again_before_it_is_stale(operator: Operator, make: Make) -> None:
    witness = make("w1")
    operator.trust(witness)
    write_events(operator.db, "p1", 3)
    operator.turn()
    lines = rows.newest(operator.db, P1)
    for hours, count in ((5, 1), (2, 2)):
        operator.turn(hours * 3600)
        assert sum(call.startswith("POST") for call in witness.calls) == count
    again = rows.newest(operator.db, P1)
    assert lines is not None and again is not None
    assert again.cosignatures.count("\n") == lines.cosignatures.count("\n") == 2


def test_a_witness_that_is_removed_is_forgotten(operator: Operator, make: Make) -> None:
    one, two = make("w1"), make("w2")
    operator.trust(one, two)
    write_events(operator.db, "p1", 3)
    operator.turn()
    with operator.db.write() as tx:
        policies.remove_witness(tx, policies.DEFAULT, "w2", 2)
        store.drop_peer(tx, two.url)
    write_events(operator.db, "p1", 3)
    operator.turn()
    assert operator.signed_by(P1, [one, two]) == ["w1"]
    assert {row[1] for row in store.views(operator.db)} == {one.url}


def backup_then_go_on(operator: Operator) -> dict[str, list[Row]]:
    """Three events are witnessed and backed up, four more are witnessed: the backup."""
    write_events(operator.db, "p1", 3)
    operator.turn()
    backup = snapshot(operator.db)
    write_events(operator.db, "p1", 4)
    operator.turn()
    return backup


def test_l4_yesterdays_database_is_not_signed_on(operator: Operator, make: Make) -> None:
    """L4: restore yesterday's database and go on. The witness answers 409, the server refuses to sign."""
    witness = make("w1")
    operator.trust(witness)
    yesterday = backup_then_go_on(operator)
    assert operator.bench.signed("p1")[0] == 7
    restore(operator.db, yesterday)
    operator.start()
    write_events(operator.db, "p1", 1)
    operator.turn()
    assert operator.bench.signed("p1")[0] == 3
    [refusal] = rows.refusals(operator.db)
    assert refusal[:2] == (P1, 4) and "rolled back" in refusal[2] and witness.url in refusal[2]
    assert operator.alerts("ledger.halted")[0]["origin"] == P1
    fork = operator.bench.sequencer()  # one that does not ask
    operator.clock.advance(30)
    fork.turn()
    assert operator.bench.signed("p1")[0] == 4
    body = f"old 3\n\n{operator.bench.logs.checkpoint(P1)}"
    answer = witness.server.add_checkpoint(body.encode(), "127.0.0.1")
    assert (answer.status, answer.body) == (409, "7\n")


def test_l4_also_when_the_log_has_outgrown_the_witness(operator: Operator, make: Make) -> None:
    """Other events after the restore: longer than what the witness saw, and another history."""
    witness = make("w1")
    operator.trust(witness)
    yesterday = backup_then_go_on(operator)
    restore(operator.db, yesterday)
    operator.start()
    write_events(operator.db, "p1", 20)
    with operator.db.write() as tx:
        tx.run("UPDATE audit_event SET body = ? WHERE tenant = ? AND position = ?", (b"{}", "p1", 4))
    operator.turn()
    [refusal] = rows.refusals(operator.db)
    assert "fork" in refusal[2]
    assert operator.bench.signed("p1")[0] == 3


def test_l4_a_witness_that_was_away_at_the_start_stops_it_later(operator: Operator, make: Make) -> None:
    witness = make("w1")
    operator.trust(witness)
    yesterday = backup_then_go_on(operator)
    restore(operator.db, yesterday)
    operator.settings["call_seconds"] = 0.3
    operator.start()
    witness.held.clear()
    write_events(operator.db, "p1", 1)
    operator.turn()
    assert operator.bench.signed("p1")[0] == 4  # signed, but nobody cosigns it
    assert operator.alerts("witness.unreached")[0]["url"] == witness.url
    witness.held.set()
    for _ in range(3):
        operator.turn()
    assert operator.signed_by(P1, [witness]) == []
    write_events(operator.db, "p1", 1)
    operator.turn()
    assert operator.bench.signed("p1")[0] == 4
    assert "rolled back" in rows.refusals(operator.db)[0][2]
    with pytest.raises(BadNote, match="quorum"):
        policies.complete(operator.db, "p1", operator.bench.logs.verifiers(P1)).accept(
            operator.bench.logs.checkpoint(P1) or ""
        )


def test_l4_the_right_database_and_a_decision_let_it_go_on(operator: Operator, make: Make) -> None:
    witness = make("w1")
    operator.trust(witness)
    yesterday = backup_then_go_on(operator)
    today = snapshot(operator.db)
    restore(operator.db, yesterday)
    operator.start()
    write_events(operator.db, "p1", 1)
    operator.turn()
    with operator.db.write() as tx:
        assert store.drop_halt(tx, P1) == 1
    operator.turn()
    assert len(store.halts(operator.db)) == 1  # nothing is better yet: compared again, and halted again
    restore(operator.db, today)
    write_events(operator.db, "p1", 1)
    for _ in range(3):
        operator.turn()
    assert operator.bench.signed("p1")[0] == 8
    assert operator.signed_by(P1, [witness]) == ["w1"]


def test_a_lie_of_a_witness_stops_nothing(operator: Operator, make: Make) -> None:
    """It claims to be ahead, and shows a note that this installation never signed."""
    honest, liar = make("w1"), make("liar")
    operator.trust(honest, liar)

    def lie(method: str, path: str, body: bytes) -> Answer:
        if method == "GET":
            return Answer(200, f"{P1}\n900\n{'A' * 43}=\n\n— {P1} AAAAAAAAAA==\n")
        return Answer(409, "900\n", "text/x.tlog.size")

    liar.answer = lie  # type: ignore[method-assign]
    for count in (3, 6):
        write_events(operator.db, "p1", 3)
        operator.turn()
        assert operator.bench.signed("p1")[0] == count
        assert operator.signed_by(P1, [honest]) == ["w1"]
    assert operator.alerts("witness.strange") and not store.halts(operator.db)


def test_an_unproved_claim_counts_from_the_operators_witness_only(operator: Operator, make: Make) -> None:
    mute = make("mute")
    mute.answer = lambda method, *rest: (  # type: ignore[method-assign]
        Answer(404) if method == "GET" else Answer(409, "900\n", "text/x.tlog.size")
    )
    operator.settings["private"] = True
    operator.start()
    operator.trust(mute, tenant="p1")
    write_events(operator.db, "p1", 3)
    operator.turn()
    assert operator.alerts("witness.contradicts") and not store.halts(operator.db)
    operator.trust(mute)
    write_events(operator.db, "p2", 3)
    operator.turn()
    halts = store.halts(operator.db)
    assert {halt[0] for halt in halts} == {P1, origin_of("p2")}
    assert all("remembers 900" in halt[2] for halt in halts)


def test_a_witness_that_is_away_holds_up_the_first_log_only(
    operator: Operator, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witness_guard, "LOOK_SECONDS", 0.2)
    witness = make("w1")
    operator.trust(witness)
    witness.held.clear()
    for number in range(20):
        write_events(operator.db, f"p{number}", 1)
    operator.sequencer.turn()
    witness.held.set()
    assert len([call for call in witness.calls if call.startswith("GET")]) == 1
    assert [operator.bench.signed(f"p{number}")[0] for number in range(20)] == [1] * 20
    operator.clock.advance(witness_guard.MUTE_SECONDS + 1)
    write_events(operator.db, "late", 1)
    operator.sequencer.turn()
    assert len([call for call in witness.calls if call.startswith("GET")]) == 2


def test_l4_first_signatures_wait_for_tenants_witnesses_within_bounds(operator: Operator, make: Make) -> None:
    """When patience is spent nobody waits for them any more; an answer that comes later still halts the log."""
    witness = make("w1")
    operator.settings["private"] = True
    operator.start()
    operator.trust(witness, tenant="p1")
    yesterday = backup_then_go_on(operator)
    restore(operator.db, yesterday)
    operator.start()
    operator.witnessing.guard._patience = 0.0
    witness.held.clear()
    write_events(operator.db, "p1", 1)
    operator.sequencer.turn()
    assert operator.bench.signed("p1")[0] == 4
    witness.held.set()
    wait_until("the late answer counts", lambda: operator.witnessing.guard.halted(P1), 10)
    write_events(operator.db, "p1", 1)
    operator.turn()
    assert operator.bench.signed("p1")[0] == 4


def test_tenants_dead_witnesses_never_take_the_threads_of_the_operators(operator: Operator, make: Make) -> None:
    alive, *dead = make("alive"), *(make(f"dead{n}") for n in range(6))
    operator.settings.update(private=True, call_seconds=2.0)
    operator.start()
    operator.witnessing.guard._patience = 0.0
    operator.trust(alive)
    for number, one in enumerate(dead):
        one.held.clear()
        operator.trust(one, tenant=f"p{number}")
        write_events(operator.db, f"p{number}", 1)
    operator.sequencer.turn()
    for number in range(6):
        operator.witnessing.guard.reload()
        write_events(operator.db, f"q{number}", 1)
    operator.sequencer.turn()

    def all_cosigned() -> bool:
        operator.clock.advance(0.3)
        operator.witnessing.turn()
        return all(operator.signed_by(origin_of(f"q{number}"), [alive]) for number in range(6))

    wait_until("the operator's witness cosigned", all_cosigned, 20, 0.02)

"""Logs that go on under another origin after their newest database was lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from andromede.audit import Recorder
from andromede.db import Database
from andromede.errors import Conflict
from andromede.ledger.policy import Policy
from andromede.ledger.receipt import Receipt
from andromede.ledger.witness import origin_hash
from andromede.sovereignty import store, witness_store
from andromede.sovereignty.check import check
from andromede.sovereignty.renewal import Order, Renewed, renew, stopped
from tests.support.clock import FakeClock, FakeIds
from tests.support.ledger import origin_of, write_events
from tests.support.witnesses import HttpWitness, Operator, restore, snapshot

P1 = origin_of("p1")
ORDER = Order("operator:me", "the disk burnt", "req-1")


@pytest.fixture
def operator(db: Database, tmp_path: Path, clock: FakeClock) -> Operator:
    return Operator(db, tmp_path, clock)


@pytest.fixture
def witness(operator: Operator, tmp_path: Path) -> Iterator[HttpWitness]:
    made = HttpWitness(tmp_path, "w1", operator.bench.logs.verifiers("any"), operator.clock)
    operator.trust(made)
    yield made
    made.close()


def rolled_back(operator: Operator) -> None:
    """300 events were witnessed, the backup holds 290, and 20 others were recorded since."""
    write_events(operator.db, "p1", 290)
    operator.turn()
    saved = snapshot(operator.db)
    write_events(operator.db, "p1", 10)
    operator.turn()
    restore(operator.db, saved)
    operator.start()
    write_events(operator.db, "p1", 20)
    with operator.db.write() as tx:
        tx.run("UPDATE audit_event SET body = ? WHERE position = 292", (b'{"action":"another"}',))
    operator.turn()


def ordered(operator: Operator) -> Renewed:
    recorder = Recorder("operator", operator.clock, FakeIds())
    made = renew(operator.db, recorder, FakeIds(), "p1", ORDER)
    operator.start()
    return made


def test_L4_a_log_that_was_rolled_back_goes_on_as_another(operator: Operator, witness: HttpWitness) -> None:
    rolled_back(operator)
    assert list(stopped(operator.db)) == [P1]
    made = ordered(operator)
    assert (made.old, made.size) == (P1, 310) and made.new.startswith(P1.rpartition("/")[0]) and made.new != P1
    operator.turn()
    operator.turn()
    logs = operator.bench.logs
    log = logs.log("p1")
    assert log is not None and (log.origin, log.size) == (made.new, 311)
    assert operator.signed_by(made.new, [witness]) == ["w1"]
    assert logs.by_origin(P1) is None and stopped(operator.db) == {}
    [(_, salt, body)] = logs.events("p1", 310, 311)
    told = json.loads(body)
    assert (told["action"], told["purpose"]) == ("ledger.renew", "OPERATOR_INCIDENT")
    assert {told["detail"][word] for word in ("from", "to", "reason")} == {P1, made.new, ORDER.reason}
    note = logs.checkpoint(made.new)
    assert note is not None and salt is not None
    receipt = Receipt(salt, body, 310, tuple(logs.inclusion(made.new, 310, 311)), note)
    assert receipt.verify(Policy(logs=logs.verifiers(made.new))).size == 311
    assert check(operator.db, operator.bench.keys) == []
    own = operator.db.one("SELECT body FROM audit_event WHERE tenant = ''")
    assert own is not None and json.loads(bytes(own[0]))["action"] == "ledger.renew"


def test_what_was_said_of_the_old_log_stays(operator: Operator, witness: HttpWitness) -> None:
    rolled_back(operator)
    before = [row.text for row in store.checkpoints(operator.db, P1) if row.note]
    ordered(operator)
    operator.turn()
    assert [row.text for row in store.checkpoints(operator.db, P1)] == before
    assert witness.server.latest(origin_hash(P1), "x").body.split("\n")[1] == "300"


def test_a_log_that_can_go_on_is_not_broken_off(operator: Operator) -> None:
    write_events(operator.db, "p1", 3)
    operator.turn()
    for tenant in ("p1", "nobody"):
        with pytest.raises(Conflict):
            renew(operator.db, Recorder("operator", operator.clock), FakeIds(), tenant, ORDER)
    assert operator.bench.signed("p1")[0] == 3


def test_the_installations_own_log_keeps_its_prefix(operator: Operator) -> None:
    write_events(operator.db, "", 3)
    operator.turn()
    origin = origin_of("")
    with operator.db.write() as tx:
        witness_store.put_halt(tx, origin, "url", "seen further", "", 1)
    made = renew(operator.db, Recorder("operator", operator.clock), FakeIds(), "", ORDER)
    assert made.new.rpartition("/")[0] == origin.rpartition("/")[0] != ""
    log = operator.bench.logs.log("")
    assert log is not None and log.allocated == 4, "one event, not two, where both logs are the same"

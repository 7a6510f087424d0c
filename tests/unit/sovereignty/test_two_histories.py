"""L5: two servers with the same key and different histories. With intersecting quorums at most one reaches one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from andromede.db import Database, open_database
from andromede.ledger.note import BadNote
from andromede.sovereignty import policies
from andromede.sovereignty import store as rows
from tests.support.clock import FakeClock
from tests.support.ledger import origin_of, write_events
from tests.support.witnesses import HttpWitness, Operator, restore, snapshot

P1 = origin_of("p1")


@pytest.fixture
def twins(db: Database, tmp_path: Path, clock: FakeClock) -> Iterator[tuple[Operator, Operator]]:
    """The same keys over two databases."""
    other = open_database(f"sqlite:///{tmp_path}/other.db")
    yield Operator(db, tmp_path, clock), Operator(other, tmp_path, clock)
    other.close()


def reaches_quorum(server: Operator) -> bool:
    policy = policies.complete(server.db, "p1", server.bench.logs.verifiers(P1))
    try:
        return policy.accept(server.bench.logs.checkpoint(P1) or "").size > 3
    except BadNote:
        return False


@pytest.mark.parametrize("order", [(0, 0, 1), (0, 1, 0), (1, 0, 0), (1, 1, 0)])
def test_l5_at_most_one_history_reaches_a_quorum(
    twins: tuple[Operator, Operator], tmp_path: Path, order: tuple[int, ...]
) -> None:
    """A liar decides which witness sees which history first; two of three must have cosigned."""
    honest, lying = twins
    witnesses = [HttpWitness(tmp_path, f"w{n}", honest.bench.logs.verifiers("any"), honest.clock) for n in range(3)]
    honest.trust(*witnesses)
    write_events(honest.db, "p1", 3)
    honest.turn()
    restore(lying.db, snapshot(honest.db))
    for server, word in ((honest, b'{"true":1}'), (lying, b'{"false":1}')):
        write_events(server.db, "p1", 5)
        with server.db.write() as tx:
            tx.run("UPDATE audit_event SET body = ? WHERE tenant = ? AND position = ?", (word, "p1", 4))
        server.bench.sequencer().turn()  # neither asks whether it may sign
    for server in twins:
        server.trust(*[one for one, shown in zip(witnesses, order, strict=True) if twins[shown] is server])
        server.turn()
    for server in twins:
        server.trust(*witnesses)
        for _ in range(3):
            server.turn()
    reached = [reaches_quorum(server) for server in twins]
    assert reached == [order.count(0) == 2, order.count(1) == 2]
    signed = [server.signed_by(P1, witnesses) for server in twins]
    assert sorted(signed[0] + signed[1]) == ["w0", "w1", "w2"]
    for server in twins:
        write_events(server.db, "p1", 1)
        server.turn()
    halted = [bool(server.alerts("ledger.halted")) for server in twins]
    assert halted == [True, True], "each was shown the other's history by a witness, and signs no more"
    assert all(rows.refusals(server.db)[0][0] == P1 for server in twins)
    for one in witnesses:
        one.close()

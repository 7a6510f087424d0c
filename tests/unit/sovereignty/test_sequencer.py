"""From events to signed checkpoints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from andromede.db import Database
from andromede.errors import Invalid, NotFound, Unavailable
from andromede.ledger import tree
from andromede.ledger.policy import Policy
from andromede.ledger.receipt import Receipt, entry_of
from andromede.ledger.tree import leaf_hash
from andromede.sovereignty import store
from andromede.sovereignty.sequencer import LEASE, Limits
from andromede.work import Leases
from tests.support.clock import FakeClock
from tests.support.ledger import Bench, body_of, fill, origin_of, salt_of, write_events


@pytest.fixture
def bench(db: Database, clock: FakeClock, tmp_path: Path) -> Bench:
    return Bench.open(db, clock, tmp_path)


def expected_root(tenant: str, size: int) -> bytes:
    leaves = [leaf_hash(entry_of(salt_of(tenant, at), body_of(tenant, at))) for at in range(size)]

    def read(level: int, first: int, count: int) -> list[bytes]:
        if level == 0:
            return leaves[first : first + count]
        return [tree.fold(read(level - 1, at * 256, 256)) for at in range(first, first + count)]

    return tree.subtree(read, 0, size)


def alerts(bench: Bench) -> list[dict[str, object]]:
    return [json.loads(line) for line in bench.alerts.getvalue().splitlines()]


def test_a_turn_signs_every_tenants_events(bench: Bench) -> None:
    write_events(bench.db, "", 3)
    write_events(bench.db, "p1", 300)
    sequencer = bench.sequencer()
    assert sequencer.turn() is False
    assert bench.signed("") == (3, expected_root("", 3))
    assert bench.signed("p1") == (300, expected_root("p1", 300))
    write_events(bench.db, "p1", 1)
    sequencer.turn()
    assert bench.signed("p1") == (301, expected_root("p1", 301))
    log = bench.logs.log("p1")
    assert log is not None and (log.allocated, log.size, log.origin) == (301, 301, origin_of("p1"))
    assert bench.logs.by_origin(origin_of("p1")) == log
    assert [each.tenant for each in bench.logs.all()] == ["", "p1"]
    assert alerts(bench) == []


def test_one_logs_trouble_keeps_no_other_from_being_signed(bench: Bench) -> None:
    for tenant in ("p1", "p2"):
        write_events(bench.db, tenant, 3)

    def may_sign(origin: str, size: int, root: bytes) -> str | None:
        if origin == origin_of("p1"):
            raise OverflowError("no number")
        return None

    bench.sequencer(may_sign).turn()
    assert bench.signed("p2")[0] == 3
    [(origin, size, reason)] = store.refusals(bench.db)
    assert (origin, size) == (origin_of("p1"), 3) and "OverflowError" in reason


def test_receipts_of_a_live_log_verify(bench: Bench) -> None:
    write_events(bench.db, "p1", 513)
    bench.sequencer().turn()
    origin, logs = origin_of("p1"), bench.logs
    note = logs.checkpoint(origin)
    assert note is not None
    policy = Policy(logs=logs.verifiers(origin))
    for index in (0, 255, 256, 511, 512):
        [(_, salt, body)] = logs.events("p1", index, index + 1)
        assert salt is not None
        receipt = Receipt(salt, body, index, tuple(logs.inclusion(origin, index, 513)), note)
        assert Receipt.parse(str(receipt)).verify(policy).size == 513
    proof = logs.consistency(origin, 257, 513)
    assert tree.check_consistency(257, 513, expected_root("p1", 257), expected_root("p1", 513), proof)


def test_questions_beyond_the_log_are_refused(bench: Bench) -> None:
    write_events(bench.db, "p1", 5)
    bench.sequencer().turn()
    origin, logs = origin_of("p1"), bench.logs
    for index, size in ((5, 5), (-1, 5), (0, 6), (0, -1)):
        with pytest.raises(Invalid):
            logs.inclusion(origin, index, size)
    for old, size in ((6, 5), (-1, 5), (1, 6)):
        with pytest.raises(Invalid):
            logs.consistency(origin, old, size)
    with pytest.raises(NotFound):
        logs.inclusion("nobody", 0, 1)
    assert logs.checkpoint("nobody") is None and logs.witnessed(origin) is None and logs.log("p2") is None
    assert logs.events("p1", 3, 99) == [(at, salt_of("p1", at), body_of("p1", at)) for at in (3, 4)]


def test_the_sequencer_stops_at_a_hole_and_says_so(bench: Bench, clock: FakeClock) -> None:
    write_events(bench.db, "p1", 2)
    write_events(bench.db, "p1", 3, skip=1)
    sequencer = bench.sequencer()
    sequencer.turn()
    assert bench.signed("p1")[0] == 2
    clock.advance(5)
    sequencer.turn()
    assert alerts(bench) == []
    clock.advance(6)
    sequencer.turn()
    [alert] = alerts(bench)
    assert (alert["event"], alert["origin"], alert["position"]) == ("ledger.hole", origin_of("p1"), 2)
    sequencer.turn()
    assert len(alerts(bench)) == 1
    with bench.db.write() as tx:
        fill(tx, "p1", 2, 3)
    sequencer.turn()
    assert bench.signed("p1") == (6, expected_root("p1", 6))


def test_bounded_batches_reach_the_same_tree(bench: Bench) -> None:
    for tenant, count in (("a", 700), ("b", 1), ("c", 90), ("d", 0)):
        write_events(bench.db, tenant, count)
    sequencer = bench.sequencer(limits=Limits(page=16, log_events=100, batch_events=150, batch_logs=2, edges=1))
    turns = 1
    while sequencer.turn():
        turns += 1
    assert turns >= 7
    for tenant, count in (("a", 700), ("b", 1), ("c", 90)):
        assert bench.signed(tenant) == (count, expected_root(tenant, count))


def test_at_rest_nothing_is_written(bench: Bench, clock: FakeClock) -> None:
    write_events(bench.db, "p1", 2)
    sequencer = bench.sequencer()
    sequencer.turn()
    before = bench.db.all("SELECT name, holder, until FROM lease")
    for _ in range(100):
        clock.advance(1)
        sequencer.turn()
    assert bench.db.all("SELECT name, holder, until FROM lease") == before


def test_one_sequencer_works_at_a_time(bench: Bench, clock: FakeClock) -> None:
    other = Leases(bench.db, "host:2", clock)
    assert other.claim(LEASE, 30)
    write_events(bench.db, "p1", 2)
    sequencer = bench.sequencer()
    sequencer.turn()
    assert bench.logs.checkpoint(origin_of("p1")) is None
    clock.advance(31)
    sequencer.turn()
    assert bench.signed("p1")[0] == 2


def test_two_sequencers_at_once_do_no_harm(bench: Bench) -> None:
    first, second = bench.sequencer(), bench.sequencer()
    for _ in range(4):
        write_events(bench.db, "p1", 100)
        stale = store.log(bench.db, "p1")
        assert stale is not None
        with bench.db.read() as tx:
            growth = first._read(tx, stale, 1000)
        second.turn()
        assert growth is not None
        first._commit([growth])
        first.turn()
    assert bench.signed("p1") == (400, expected_root("p1", 400))
    assert alerts(bench) == []


def test_cosignatures_stay_with_their_checkpoint(bench: Bench) -> None:
    sequencer, origin = bench.sequencer(), origin_of("p1")
    for number in range(8):
        write_events(bench.db, "p1", 1)
        sequencer.turn()
        newest = bench.logs.newest(origin)
        assert newest is not None and newest.size == number + 1
        if number < 6:
            write_events(bench.db, "p1", 1)  # the log goes on while the witness thinks
            with bench.db.write() as tx:
                store.cosign(tx, newest, f"— w{number} AAAA\n")
                store.cosign(tx, newest, f"— v{number} AAAA\n")
            with bench.db.write() as tx:
                tx.run("DELETE FROM audit_event WHERE position = ?", (number + 1,))
                tx.run("UPDATE ledger_log SET allocated = ?", (number + 1,))
    assert [row.size for row in bench.logs.cosigned(origin)] == [6, 5, 4, 3]
    assert str(bench.logs.witnessed(origin)).endswith("— w5 AAAA\n— v5 AAAA\n")
    assert not str(bench.logs.checkpoint(origin)).endswith("AAAA\n")
    assert len(store.checkpoints(bench.db, origin)) == 5


def test_L3_changed_tiles_are_never_signed_over(bench: Bench) -> None:
    write_events(bench.db, "p1", 300)
    bench.sequencer().turn()
    with bench.db.write() as tx:
        tx.run("UPDATE ledger_tile SET data = ? WHERE level = -1 AND number = 1", (bytes(44 * 32),))
    write_events(bench.db, "p1", 1)
    write_events(bench.db, "p2", 1)
    bench.sequencer().turn()
    assert bench.signed("p1")[0] == 300
    assert bench.signed("p2")[0] == 1
    assert [alert["event"] for alert in alerts(bench)] == ["ledger.damaged"]


def test_L3_a_tile_of_a_longer_history_stops_its_log_alone(bench: Bench) -> None:
    write_events(bench.db, "p1", 5)
    write_events(bench.db, "p2", 5)
    with bench.db.write() as tx:
        sql = "INSERT INTO ledger_tile (origin, level, number, data) VALUES (?, -1, 0, ?)"
        tx.run(sql, (origin_of("p1"), bytes(9 * 32)))
    bench.sequencer().turn()
    assert bench.logs.checkpoint(origin_of("p1")) is None
    assert bench.signed("p2") == (5, expected_root("p2", 5))
    [alert] = alerts(bench)
    assert (alert["event"], alert["origin"]) == ("ledger.damaged", origin_of("p1"))
    log = bench.logs.log("p1")
    assert log is not None and log.size == 0


def test_L3_a_state_behind_its_own_checkpoints_is_not_signed(bench: Bench) -> None:
    write_events(bench.db, "p1", 5)
    bench.sequencer().turn()
    with bench.db.write() as tx:
        tx.run("DELETE FROM ledger_tile")
        tx.run("UPDATE ledger_log SET size = 0, allocated = 3, root = ?", (b"",))
        tx.run("DELETE FROM audit_event WHERE position >= 3")
    bench.sequencer().turn()
    assert bench.signed("p1") == (5, expected_root("p1", 5))
    [(origin, size, reason)] = store.refusals(bench.db)
    assert (origin, size) == (origin_of("p1"), 3) and "was signed before" in reason


def test_L4_a_witness_that_is_ahead_stops_the_signing(bench: Bench, clock: FakeClock) -> None:
    """The database was put back to an older state: what the witness saw is more than what is here."""
    seen = {origin_of("p1"): 10}

    def ahead(origin: str, size: int, root: bytes) -> str | None:
        return "a witness has seen more" if seen.get(origin, 0) > size else None

    write_events(bench.db, "p1", 4)
    write_events(bench.db, "p2", 4)
    sequencer = bench.sequencer(may_sign=ahead)
    sequencer.turn()
    assert bench.logs.checkpoint(origin_of("p1")) is None
    assert bench.signed("p2")[0] == 4
    assert store.refusals(bench.db) == [(origin_of("p1"), 4, "a witness has seen more")]
    for _ in range(5):
        clock.advance(1)
        write_events(bench.db, "p1", 1)
        sequencer.turn()
    assert store.refusals(bench.db)[0][2] == "a witness has seen more"
    assert [alert["event"] for alert in alerts(bench)] == ["ledger.refused"]
    assert bench.logs.checkpoint(origin_of("p1")) is None
    seen.clear()  # as when the right database is back
    clock.advance(11)
    sequencer.turn()
    assert bench.signed("p1") == (9, expected_root("p1", 9))
    assert store.refusals(bench.db) == []


def test_a_hook_that_fails_refuses(bench: Bench) -> None:
    def away(origin: str, size: int, root: bytes) -> str | None:
        raise Unavailable("the witness table cannot be read")

    write_events(bench.db, "p1", 1)
    bench.sequencer(may_sign=away).turn()
    assert bench.logs.checkpoint(origin_of("p1")) is None
    assert "cannot be read" in store.refusals(bench.db)[0][2]

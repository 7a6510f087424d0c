"""Privacy and retention: what hashes tell, what is removed, what stays valid; the monthly roots."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from pathlib import Path

import pytest

from andromede.app.base import Base
from andromede.app.ledger_service import ledger_mounts, ledger_reconcilers
from andromede.audit import Draft, Recorder
from andromede.clock import US
from andromede.config import Config
from andromede.db import Database, migrate, open_database
from andromede.ledger.policy import parse_policy
from andromede.ledger.receipt import Receipt, entry_of
from andromede.ledger.tree import leaf_hash
from andromede.log import Log
from andromede.sovereignty import store, witness_keys, witness_schema, witness_store
from andromede.sovereignty.retention import BATCH, MINIMUM_DAYS, STEADY_SECONDS, Retention, Steady
from andromede.sovereignty.roots import LOGS_PER_EVENT, MonthlyRoots
from andromede.sovereignty.witness_server import WitnessServer
from tests.support.clock import FakeClock, FakeIds
from tests.support.names import ODD_NAMES
from tests.support.tenantlog import DAY, TenantLog


def receipt(log: TenantLog, index: int, who: str = "demo") -> Receipt:
    answer = log.get(f"/receipts/{index}", who)
    assert answer.status == 200, answer.raw
    return Receipt.parse(answer.raw.decode())


def retention(log: TenantLog) -> Retention:
    return Retention(log.db, log.logs, log.recorder, log.clock, log.cloud.ids)


class Jumpy(FakeClock):
    """A wall clock that can jump."""

    off = 0

    def now_us(self) -> int:
        return self.us + self.off


def test_nothing_is_removed_while_the_clock_jumps() -> None:
    clock = Jumpy()
    steady = Steady(clock)
    assert not steady()
    clock.advance(STEADY_SECONDS)
    assert steady()
    clock.off = 4000 * DAY * US
    assert not steady()
    clock.advance(STEADY_SECONDS / 2)
    clock.off = 0
    assert not steady()
    clock.advance(STEADY_SECONDS / 2)
    assert not steady()
    clock.advance(STEADY_SECONDS / 2)
    assert steady()


def months(log: TenantLog) -> MonthlyRoots:
    return MonthlyRoots(log.db, log.logs, log.recorder, log.clock, log.cloud.ids)


def witnessed(log: TenantLog, folder: Path) -> bytes:
    """Have a witness of its own cosign the newest checkpoint; every byte that its database then holds."""
    db = open_database(f"sqlite:///{folder}/witness.db")
    migrate(db, witness_schema.MIGRATIONS)
    keys = witness_keys.ensure(folder / "witness.json", "one.example", db, log.cloud.ids, log.clock.now_us())
    origin, note = log.state().origin, log.logs.checkpoint(log.state().origin)
    with db.write() as tx:
        trusted = "\n".join(map(str, log.logs.verifiers(origin)))
        witness_store.put_trust(tx, origin.partition("/")[0] + "/", trusted, "", 0)
    answer = WitnessServer(db, keys, log.clock).add_checkpoint(f"old 0\n\n{note}".encode(), "192.0.2.7")
    assert answer.status == 200, answer
    newest = log.logs.newest(origin)
    assert newest is not None
    with log.db.write() as tx:
        store.cosign(tx, newest, answer.body)
    db.close()
    return b"".join(path.read_bytes() for path in folder.glob("witness.db*"))


def test_l6_no_object_name_reaches_tiles_checkpoints_or_witnesses(tenantlog: TenantLog, tmp_path: Path) -> None:
    """L6: grep everything that leaves the tenant's table for every object name: none."""
    log = tenantlog
    for name in ODD_NAMES:
        log.record(1, name="box/" + name)
    log.sequence()
    seen = witnessed(log, tmp_path)
    assert log.state().origin.encode() in seen
    with log.db.read() as tx:
        for table in ("ledger_tile", "ledger_checkpoint", "ledger_log", "witness_memory", "witness_trust"):
            for row in tx.all(f"SELECT * FROM {table}"):
                seen += b"\n".join(value if isinstance(value, bytes) else str(value).encode() for value in row)
    assert len(seen) > 1000
    shown = ("/checkpoint", "/tile/0/000.p/9", "/tile/entries/000.p/9", "/status", "/roots")
    seen += b"".join(log.get(path).raw for path in shown)
    words = [name for name in ODD_NAMES if len(name) > 3] + ["box/", "s3:PutObject", "user:u", "req-", "secret"]
    assert [word for word in words if word.encode() in seen] == []
    assert log.demo.encode() not in log.get("/checkpoint").raw and log.demo not in log.state().origin


def test_l6_a_known_event_cannot_be_guessed_without_its_salt(tenantlog: TenantLog) -> None:
    log = tenantlog
    index = log.record(3)[1]
    log.sequence()
    row = log.get(f"/events?from={index}&to={index + 1}").json["events"][0]
    event, salt = row["event"].encode(), base64.b64decode(row["salt"])
    entry = base64.b64decode(row["entry"])
    assert entry == entry_of(salt, event)
    own = log.state().origin.encode()
    salts = [b"", bytes(32), b"\xff" * 32, log.demo.encode(), hashlib.sha256(own).digest(), index.to_bytes(32, "big")]
    guesses = {entry_of(one, event) for one in salts} | {hashlib.sha256(event).digest(), leaf_hash(event)}
    stored = {base64.b64decode(one["entry"]) for one in log.get("/events").json["events"] if one["entry"]}
    assert not guesses & (stored | {leaf_hash(one) for one in stored}) and entry in stored
    with log.db.read() as tx:
        salts_seen = [bytes(one[0]) for one in tx.all("SELECT salt FROM audit_event WHERE salt IS NOT NULL")]
    assert all(len(one) == 32 for one in salts_seen) and len(set(salts_seen)) == len(salts_seen)


def test_l7_after_an_erasure_every_other_receipt_still_verifies(tenantlog: TenantLog) -> None:
    """L7: delete a payload: other receipts, old and new, still verify."""
    log = tenantlog
    first, second, third = log.record(3)
    log.sequence()
    policy = parse_policy(log.get("/policy").raw.decode())
    before = receipt(log, second)
    answer = log.call("DELETE", f"/events/{first}", "max")
    assert answer.status == 204 and answer.headers["andromede-ledger"].startswith(log.state().origin)
    log.sequence()
    gone = log.get(f"/receipts/{first}")
    assert gone.status == 410 and "other receipts stay valid" in gone.json["error"]["message"]
    row = log.get(f"/events?from={first}&to={first + 1}").json["events"][0]
    assert row["event"] is None and row["salt"] is None and len(base64.b64decode(row["entry"])) == 32
    for one in (before, receipt(log, second), receipt(log, third)):
        assert one.verify(policy).origin == log.state().origin
    told = receipt(log, int(answer.headers["andromede-ledger"].split()[1]))
    event = json.loads(told.event)
    assert (event["purpose"], event["detail"]["index"]) == ("ERASURE", first) and "secret" not in json.dumps(event)
    with log.db.read() as tx:
        assert tx.one("SELECT salt, body FROM audit_event WHERE tenant = ? AND position = ?", (log.demo, first)) == (
            None,
            b"",
        )


def test_erasures_have_bounds(tenantlog: TenantLog) -> None:
    log = tenantlog
    index = log.record()[0]
    assert log.call("DELETE", f"/events/{index}", "max").status == 409  # not in the tree yet
    log.sequence()
    assert log.call("DELETE", f"/events/{index}", "demo").status == 403
    assert log.call("DELETE", f"/events/{index}", "eve").status == 404  # her own log has none
    assert log.call("DELETE", f"/events/{index + 1000}", "admin").status == 404  # nor has the administrator's
    assert log.call("DELETE", "/events/9999", "max").status == 404
    assert log.call("DELETE", "/events/x", "max").status == 400
    told = log.call("DELETE", f"/events/{index}", "max").headers["andromede-ledger"].split()[1]
    assert log.call("DELETE", f"/events/{index}", "max").status == 410
    log.sequence()
    refused = log.call("DELETE", f"/events/{told}", "max")
    assert refused.status == 409 and "erasure" in refused.json["error"]["message"]


def test_retention_removes_old_events_and_keeps_the_proofs(tenantlog: TenantLog) -> None:
    log = tenantlog
    old = log.record(5)
    log.sequence()
    policy = parse_policy(log.get("/policy").raw.decode())
    kept = receipt(log, old[0])  # a tenant that took its receipt in time keeps it
    log.clock.advance(200 * DAY)
    young = log.record(2)
    log.sequence()
    assert retention(log).turn(365) is False
    assert log.logs.events(log.demo, 0, 1)[0][1] is not None
    assert retention(log).turn(1) is False  # a shorter rule than six months does not hold
    rows = log.logs.events(log.demo, 0, 1000)
    assert all(salt is None and body == b"" for index, salt, body in rows if index <= old[-1])
    assert all(salt and body for index, salt, body in rows if index >= young[0])
    log.sequence()
    log.tokens["demo"] = log.cloud.demo()
    assert log.get(f"/receipts/{old[1]}").status == 410
    assert receipt(log, young[0]).verify(policy) and kept.verify(policy)
    told = json.loads(rows[-1][2])
    assert (told["action"], told["purpose"]) == ("ledger.prune", "ERASURE")
    assert told["detail"]["end"] == old[-1] + 2  # the read of the receipt was old too
    count = log.state().allocated
    assert retention(log).turn(183) is False and log.state().allocated == count


def test_events_not_in_the_tree_are_never_pruned(tenantlog: TenantLog) -> None:
    log = tenantlog
    log.record(2)
    log.clock.advance(400 * DAY)
    assert retention(log).turn(365) is False
    assert all(salt for _, salt, _ in log.logs.events(log.demo, 0, 10))


def test_retention_works_in_bounded_steps(tenantlog: TenantLog) -> None:
    log = tenantlog
    log.record(BATCH + 10)
    log.sequence()
    log.clock.advance(400 * DAY)
    assert retention(log).turn(365) is True
    assert retention(log).turn(365) is False
    assert all(salt is None for index, salt, _ in log.logs.events(log.demo, BATCH, BATCH + 10))


@pytest.mark.parametrize(("days", "told"), [(365, 365), (10, MINIMUM_DAYS), (200, 200)])
def test_the_rule_is_published(tenantlog: TenantLog, days: int, told: int) -> None:
    from dataclasses import replace

    log = tenantlog
    log.record()
    log.ledger.tools = replace(log.ledger.tools, retention_days=days)
    assert log.get("/status").json["retention"] == {"event_days": told, "minimum_days": 183, "entries": "for ever"}
    assert f"for {told} days" in log.get("/policy").raw.decode().splitlines()[0]


def test_each_month_begins_with_the_roots_of_every_log(tenantlog: TenantLog) -> None:
    log = tenantlog
    assert months(log).turn() is False
    assert log.get("/logs/installation/roots", "ivo").json["months"] == []  # nothing in any tree yet
    log.record(3)
    log.record(2, tenant=log.other)
    log.sequence()
    state = log.state()
    months(log).turn()
    months(log).turn()
    log.sequence()
    mine = log.get("/roots").json["months"]
    assert len(mine) == 1 and mine[0]["month"] == "2026-01"
    root = base64.b64encode(state.root).decode()
    assert mine[0]["roots"] == [{"origin": state.origin, "size": state.size, "root": root}]
    every = log.get("/logs/installation/roots", "ivo").json["months"][0]
    assert {row["origin"] for row in every["roots"]} >= {state.origin, log.state(log.other).origin}
    assert every["logs"] == len(every["roots"])
    proof = log.get(f"/logs/installation/receipts/{every['index']}", "ivo")
    event = json.loads(Receipt.parse(proof.raw.decode()).event)
    assert event["action"] == "ledger.root" and event["detail"][state.origin] == f"{state.size} {root}"
    assert log.get(f"/logs/installation/receipts/{every['index']}", "demo").status == 404
    log.clock.advance(31 * DAY)
    months(log).turn()
    log.tokens["demo"] = log.cloud.demo()
    assert [row["month"] for row in log.get("/roots").json["months"]] == ["2026-02", "2026-01"]
    assert len(log.get("/roots?limit=1").json["months"]) == 1


def test_many_logs_take_several_events_of_bounded_size(tenantlog: TenantLog) -> None:
    log = tenantlog
    with log.db.write() as tx:
        log.recorder.record(tx, [Draft(f"p{n:031d}", "user:u", "s3:GetObject", "o", "req-1") for n in range(230)])
    log.sequence()
    months(log).turn()
    row = log.ledger.db.one("SELECT position, pages, logs FROM ledger_month")
    assert row is not None and row[2] >= 231 and row[1] == -(-row[2] // LOGS_PER_EVENT)
    events = log.logs.events("", row[0], row[0] + row[1])
    assert all(len(body) < 16_384 for _, _, body in events)
    every = log.get("/logs/installation/roots", "admin").json["months"][0]
    assert len(every["roots"]) == row[2]


def test_roots_outlive_retention(tenantlog: TenantLog) -> None:
    log = tenantlog
    log.record(3)
    log.sequence()
    months(log).turn()
    log.sequence()
    log.clock.advance(500 * DAY)
    while retention(log).turn(365):
        pass
    rows = log.logs.events("", 0, 1000)
    assert next(json.loads(body)["action"] for _, salt, body in rows if salt) == "ledger.root"
    assert any(salt is None for _, salt, _ in rows)
    log.tokens["demo"] = log.cloud.demo()
    assert log.get("/roots").json["months"][0]["roots"][0]["origin"] == log.state().origin


def test_bytes_that_are_no_text_are_shown_as_they_are(tenantlog: TenantLog) -> None:
    log = tenantlog
    name = b"box/\xff\xfe".decode("utf-8", "surrogateescape")
    index = log.record(1, name=name)[0]
    log.sequence()
    row = log.get(f"/events?from={index}&to={index + 1}").json["events"][0]
    event = base64.b64decode(row["event64"])
    assert row["event"] is None and b"\xff\xfe" in event
    assert entry_of(base64.b64decode(row["salt"]), event) == base64.b64decode(row["entry"])
    assert receipt(log, index).event == event
    assert log.call("DELETE", f"/events/{index}", "max").status == 204


def test_without_its_keys_the_ledger_is_missing_and_the_rest_goes_on(db: Database, tmp_path: Path) -> None:
    said = io.StringIO()
    clock = FakeClock()
    base = Base(Config(data=tmp_path), db, clock, FakeIds(), Log(said, clock=clock), Recorder("api-0", clock))
    assert ledger_mounts(base) == [] and ledger_reconcilers(base) == []
    assert "ledger.keys" in said.getvalue() and "restore" in said.getvalue()

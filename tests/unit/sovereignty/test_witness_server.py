"""The witness over a database: C2SP tlog-witness, trust rules, durable memory."""

from __future__ import annotations

import io
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from andromede.db import Database, migrate
from andromede.errors import Conflict, Fatal, Invalid
from andromede.ledger.note import BadNote, Verifier, open_note
from andromede.ledger.witness import origin_hash
from andromede.log import Log
from andromede.sovereignty import witness_keys, witness_routes, witness_schema
from andromede.sovereignty import witness_store as store
from andromede.sovereignty.witness_evidence import refusals
from andromede.sovereignty.witness_routes import Identity, Served
from andromede.sovereignty.witness_server import KEPT_EVIDENCE, TrustedLogs, WitnessServer
from andromede.web.api import Api, Parts
from andromede.web.call import HttpRequest
from andromede.web.limiter import caller
from tests.support import verifier
from tests.support.clock import FakeClock, FakeIds
from tests.support.toylog import ToyLog, signers

V: dict[str, Any] = json.loads((Path(__file__).parents[2] / "vectors" / "tlog.json").read_text())
INSTALL = "andromede-0123456789ab/"
PEER = "192.0.2.7"


@pytest.fixture
def ready(db: Database) -> Database:
    migrate(db, witness_schema.MIGRATIONS)
    with db.write() as tx:
        store.put_trust(tx, INSTALL, "\n".join(str(s.verifier) for s in signers(INSTALL + "i/00")), "", 0)
    return db


@pytest.fixture
def server(ready: Database, clock: FakeClock, ids: FakeIds, tmp_path: Path) -> WitnessServer:
    keys = witness_keys.ensure(tmp_path / "witness.json", "witness.example/w", ready, ids, clock.now_us())
    return WitnessServer(ready, keys, clock)


def play(server: WitnessServer, log: ToyLog, old: int, size: int | None = None) -> int:
    return server.add_checkpoint(log.request(old, size).encode(), PEER).status


def test_the_recorded_play_over_a_database(ready: Database, server: WitnessServer) -> None:
    log = Verifier.parse(V["ledger"]["keys"]["log_ed25519"]["vkey"])
    with ready.write() as tx:
        store.put_trust(tx, log.name, str(log), "", 0)
    for step in V["add_checkpoint"]["steps"]:
        answer = server.add_checkpoint(step["body"].encode(), PEER)
        assert answer.status == step["expect_status"], step["name"]
        remembered = store.memory(ready, log.name)
        assert remembered is not None and remembered[0] == step["then_size"]
        if "expect_body" in step:
            assert (answer.body, answer.content_type) == (step["expect_body"], step["expect_content_type"])


def test_every_log_below_a_prefix_is_cosigned_by_both_keys(server: WitnessServer, clock: FakeClock) -> None:
    for name in ("t/0000000000000001", "t/0000000000000002", "i/0000000000000003"):
        log = ToyLog(INSTALL + name).grow(5)
        answer = server.add_checkpoint(log.request(0).encode(), PEER)
        assert answer.status == 200
        keys = [Verifier.parse(text) for text in server.keys.vkeys]
        _, found = open_note(log.note() + answer.body, keys)
        assert [(s.verifier, s.time) for s in found] == [(key, clock.now_us() // 10**6) for key in keys]
        latest = server.latest(origin_hash(log.origin), PEER)
        assert (latest.status, latest.body) == (200, log.note() + answer.body)
        assert play(server, log.grow(300), 5) == 200
        assert play(server, log, 305) == 200  # again, for a fresh time
    assert server.latest(origin_hash("other"), PEER).status == 404


def test_logs_outside_the_rules_are_unknown(server: WitnessServer) -> None:
    assert play(server, ToyLog(INSTALL + "t/\u2028").grow(2), 0) == 400  # no key name holds a space
    strange = ("other/t/01", INSTALL + "t/\u00e9", INSTALL[:-1], "x" + INSTALL + "t/01")
    assert [play(server, ToyLog(origin).grow(2), 0) for origin in strange] == [404] * len(strange)
    stolen = ToyLog(INSTALL + "t/01", seeds=(b"\x05" * 32, b"\x06" * 32)).grow(2)
    assert play(server, stolen, 0) == 403


def test_forks_and_rollbacks_are_refused_and_kept(ready: Database, server: WitnessServer) -> None:
    log = ToyLog(INSTALL + "t/01").grow(8)
    assert play(server, log, 0) == 200
    fork = ToyLog(log.origin).grow(3).grow(9, "rewritten")
    assert play(server, fork, 8) == 422
    assert play(server, fork, 8, 8) == 422
    assert play(server, log, 0, 4) == 409
    assert play(server, log, 9, 8) == 400
    assert server.add_checkpoint(fork.request(3).encode(), PEER).body == "8\n"
    kept = [(row[1], 422, bytes(row[3])) for row in store.evidence(ready)]
    assert kept == [(log.origin, 422, fork.request(8, size).encode()) for size in (12, 8)]
    play(server, fork, 8)
    assert len(store.evidence(ready)) == 2  # each once
    for _ in range(KEPT_EVIDENCE + 3):
        play(server, fork.grow(1), 8)
    assert len(store.evidence(ready)) == KEPT_EVIDENCE
    assert fork.request(8, 8).encode() in [bytes(row[3]) for row in store.evidence(ready)]


def test_a_refusal_convicts_the_log(ready: Database, server: WitnessServer, tmp_path: Path) -> None:
    """What was cosigned and what was refused, both signed by the log, are an evidence file."""
    log = ToyLog(INSTALL + "t/01").grow(8)
    assert play(server, log, 0, 5) == 200
    fork = ToyLog(log.origin).grow(3).grow(9, "rewritten")
    assert [play(server, fork, 5, 5), play(server, fork, 5, 12)] == [422, 422]
    assert play(server, log, 5, 8) == 200
    assert play(server, fork, 8, 12) == 422  # kept already
    found = refusals(ready, TrustedLogs(ready))
    assert [(one.origin, one.verdict.kind) for one in found] == [(log.origin, "fork"), (log.origin, "not-a-prefix")]
    with ready.write() as tx:
        store.drop_trust(tx, INSTALL)
    assert {one.verdict.kind for one in refusals(ready, TrustedLogs(ready))} == {"open"}
    file, policy = tmp_path / "evidence.json", tmp_path / "policy"
    file.write_text(json.dumps(found[0].document))
    policy.write_text("".join(f"log {signer.verifier}\n" for signer in signers(log.origin)) + "quorum none\n")
    said = verifier.run(["contradiction", "evidence.json", "--policy", "policy"], tmp_path)
    assert said.returncode == 0 and "two roots are signed" in said.stdout, said


def test_strangers_cannot_fill_the_place_of_evidence(ready: Database, server: WitnessServer) -> None:
    """A true checkpoint with a false proof accuses nobody, and pushes out nothing that convicts."""
    log = ToyLog(INSTALL + "t/01").grow(8)
    assert play(server, log, 0) == 200
    false_proof = f"old 8\n{'A' * 43}=\n\n{log.note()}"
    assert server.add_checkpoint(false_proof.encode(), PEER).status == 422
    assert store.evidence(ready) == []
    fork = ToyLog(log.origin).grow(3).grow(5, "rewritten")
    assert play(server, fork, 8) == 422
    for _ in range(KEPT_EVIDENCE + 3):
        line = "— stranger " + "A" * 64 + "\n"
        false_proof = f"old 8\n{'A' * 43}=\n\n{log.grow(1).note()}{line * 20}"
        assert server.add_checkpoint(false_proof.encode(), PEER).status == 422
    kept = [bytes(row[3]) for row in store.evidence(ready)]
    assert len(kept) == KEPT_EVIDENCE and kept[0] == fork.request(8).encode()
    assert not any(b"stranger" in request for request in kept)


def test_garbage_is_a_bad_request(server: WitnessServer) -> None:
    log = ToyLog(INSTALL + "t/01").grow(2)
    body = log.request(0)
    bad = (
        b"", b"\xff\xfe", b"old 0\n\n", b"old x\n\n" + log.note().encode(), b"old 00\n\n" + log.note().encode(),
        ("old " + "9" * 5000 + "\n\n" + log.note()).encode(), body.replace("old 0\n", "old 0\nAAAA\n").encode(),
        body.replace("\n2\n", "\n02\n").encode(), ("old 0\n" + "A" * 44 + "\n") .encode() * 70,
    )  # fmt: skip
    assert [server.add_checkpoint(raw, PEER).status for raw in bad] == [400] * len(bad)


def test_strangers_signatures_are_not_remembered(ready: Database, server: WitnessServer) -> None:
    log = ToyLog(INSTALL + "t/01").grow(2)
    noise = ToyLog("stranger").grow(2).note().rpartition("\n\n")[2]
    assert server.add_checkpoint((log.request(0) + noise).encode(), PEER).status == 200
    row = store.memory(ready, log.origin)
    assert row is not None and "stranger" not in row[2]


def test_a_prefix_holds_a_bounded_number_of_logs(ready: Database, server: WitnessServer, clock: FakeClock) -> None:
    small = WitnessServer(ready, server.keys, clock, most=2)
    logs = [ToyLog(f"{INSTALL}t/{n:02}").grow(n + 1) for n in range(3)]
    assert [play(small, log, 0) for log in logs] == [200, 200, 404]
    assert play(small, logs[0].grow(3), 1) == 200


def test_one_address_is_limited(server: WitnessServer) -> None:
    statuses = [server.latest("0" * 64, PEER).status for _ in range(1001)]
    assert statuses[-1] == 429 and statuses[0] == 404
    assert server.latest("0" * 64, "192.0.2.8").status == 404


def test_addresses_of_one_subscriber_are_limited_together(server: WitnessServer) -> None:
    answers = [server.latest("00", f"2001:db8:0:7::{n:x}").status for n in range(1, 1102)]
    assert answers[0] == 404 and answers[-1] == 429
    assert server.latest("00", "2001:db8:0:8::1").status == 404
    assert [caller(one) for one in ("::ffff:192.0.2.1", "192.0.2.1", "")] == ["192.0.2.1", "192.0.2.1", ""]


def test_a_race_cosigns_one_of_two_forks(ready: Database, server: WitnessServer, monkeypatch: Any) -> None:
    """Both were checked against the same memory; only the first may be stored."""
    log, fork = ToyLog(INSTALL + "t/01").grow(4), ToyLog(INSTALL + "t/01").grow(4, "other")
    memory = server._witness._memory
    assert play(server, log, 0) == 200
    seen = [None, memory.latest(log.origin)]
    monkeypatch.setattr(memory, "latest", lambda origin: seen.pop(0))
    assert play(server, fork, 0) == 409
    assert seen == []
    row = store.memory(ready, log.origin)
    assert row is not None and bytes(row[1]) == log.root()


def test_keys_without_their_memory_do_not_start(ready: Database, ids: FakeIds, tmp_path: Path) -> None:
    path = tmp_path / "witness.json"
    keys = witness_keys.ensure(path, "w", ready, ids, 1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert witness_keys.ensure(path, "w", ready, ids, 2).vkeys == keys.vkeys
    with ready.write() as tx:
        tx.run("DELETE FROM witness_self")
    with pytest.raises(Conflict, match="memory is gone"):
        witness_keys.ensure(path, "w", ready, ids, 3)
    path.rename(tmp_path / "away")
    anew = witness_keys.ensure(path, "w", ready, ids, 4)
    assert anew.vkeys != keys.vkeys
    (tmp_path / "away").rename(path)
    with pytest.raises(Conflict, match="belongs to w"):
        witness_keys.ensure(path, "w", ready, ids, 5)
    path.write_text("{}")
    with pytest.raises(Fatal):
        witness_keys.read(path)
    with pytest.raises(Invalid):
        witness_keys.ensure(path, "a b", ready, ids, 6)


def test_every_route_is_in_the_table_of_rights() -> None:
    routes = [*witness_routes.witness_routes, *witness_routes.about_routes]
    assert {route.action for route in routes} == set(witness_routes.TABLE.rules)
    assert all(route.public and route.doc for route in routes)


def test_over_http(server: WitnessServer, clock: FakeClock, ids: FakeIds) -> None:
    identity = Identity("andromede-0", "andromede-0/", ("andromede-0/i/1+00000000+AA==",))
    api = Api(
        Parts(
            witness_routes.mounts(Served(server, lambda: identity)), None, clock, ids, Log(io.StringIO(), clock=clock)
        )  # type: ignore[arg-type]
    )

    def call(method: str, path: str, body: bytes = b"") -> Any:
        headers = {"host": "w.example"}
        return api.handle(HttpRequest(method, path.encode(), b"", headers, body, "https", PEER))

    log = ToyLog(INSTALL + "t/01").grow(3)
    answer = call("POST", "/sovereignty/v1/witness/add-checkpoint", log.request(0).encode())
    assert answer.status == 200
    keys = [Verifier.parse(text) for text in server.keys.vkeys]
    assert len(open_note(log.note() + answer.body.decode(), keys)[1]) == 2
    with pytest.raises(BadNote):
        open_note(log.note(2) + answer.body.decode(), keys)
    again = call("POST", "/sovereignty/v1/witness/add-checkpoint", log.request(0).encode())
    assert (again.status, again.body, dict(again.headers)["Content-Type"]) == (409, b"3\n", "text/x.tlog.size")
    shown = call("GET", f"/sovereignty/v1/witness/{origin_hash(log.origin)}/checkpoint")
    assert shown.body == log.note().encode() + answer.body
    about = json.loads(call("GET", "/sovereignty/v1/installation").body)
    assert about == {
        "install": "andromede-0", "prefix": "andromede-0/", "keys": list(identity.keys),
        "witness": {
            "name": "witness.example/w", "vkeys": server.keys.vkeys, "url": "https://w.example/sovereignty/v1/witness",
        },
    }  # fmt: skip
    assert call("PUT", "/sovereignty/v1/witness/add-checkpoint").status == 405
    assert api.max_body(b"/sovereignty/v1/witness/add-checkpoint") == 256 * 1024

"""Servers that say nothing, nonsense or too little; lateness; the tenant's own side."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from andromede.audit import Recorder
from andromede.errors import Conflict, Fatal, Invalid
from andromede.ids import request_id
from andromede.sovereignty.monitor import follow
from andromede.sovereignty.monitor.monitor import Monitor
from andromede.sovereignty.monitor.site import LogSite
from tests.support.clock import FakeIds
from tests.support.monitoring import Tenant
from tests.support.tenantlog import witness


def test_a_silent_server_is_silence_and_no_proof(tenant: Tenant) -> None:
    honest = tenant.wire.tamper
    tenant.silence()
    assert tenant.kinds() == (3, {"silent"})
    tenant.wire.tamper = honest
    assert tenant.round().code == 0
    tenant.silence()
    assert tenant.kinds() == (3, {"silent"})
    assert not (tenant.folder / "evidence").exists()


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503, 302])
def test_a_server_that_refuses(tenant: Tenant, status: int) -> None:
    tenant.wire.tamper = lambda path, good, body: (status, b"<html>")
    assert tenant.kinds() == (3, {"silent"})


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe", b"{}", b"[" * 100_000, b"null", b"a\n1\nx\n\n\xe2\x80\x94 a b\n", b"9" * 5000]
)
@pytest.mark.parametrize("word", ["/checkpoint", "/policy", "/status", "/events", "/tile/entries", "/tile/0", ""])
def test_nonsense_is_a_finding(tenant: Tenant, word: str, body: bytes) -> None:
    tenant.wire.tamper = lambda path, status, good: (status, body if word in path else good)
    assert tenant.kinds() == (3, {"garbled"})


@pytest.mark.parametrize(
    "row",
    [1, {}, {"index": -1}, {"index": "0"}, {"index": True}, {"index": 0, "salt": 1},
     {"index": 0, "salt": "AAAA", "event": "x"},
     {"index": 0, "salt": "A" * 43 + "=", "event": 7}, {"index": 0, "salt": "!", "event": "x"}, {"index": 5_000_000}],
)  # fmt: skip
def test_odd_events_are_a_finding(tenant: Tenant, row: object) -> None:
    def tamper(path: str, status: int, body: bytes) -> tuple[int, bytes]:
        return status, json.dumps({"events": [row]}).encode() if "/events" in path else body

    tenant.wire.tamper = tamper
    assert tenant.kinds() == (3, {"garbled"})


def test_an_event_that_is_none(tenant: Tenant) -> None:
    (index,) = tenant.log.record(1)
    with tenant.log.db.write() as tx:
        place = (b"[1]", index, tenant.log.demo)
        tx.run("UPDATE audit_event SET body = ? WHERE position = ? AND tenant = ?", place)
    tenant.log.sequence()
    assert tenant.kinds() == (3, {"event-form"})


def test_a_log_that_is_gone(tenant: Tenant) -> None:
    tenant.wire.tamper = lambda path, status, body: (404, b"")
    assert tenant.kinds() == (3, {"absent"})


def test_positions_that_no_checkpoint_covers(tenant: Tenant) -> None:
    """An event dropped after it got its place leaves a hole that the tree cannot pass: the tenant sees it stall."""
    assert tenant.round().code == 0
    log = tenant.log
    hole = log.record(3)[0]
    with log.db.write() as tx:
        tx.run("DELETE FROM audit_event WHERE tenant = ? AND position = ?", (log.demo, hole))
    while log.sequencer.turn():
        pass
    assert tenant.kinds() == (0, set())
    tenant.clock.advance(61)
    while log.sequencer.turn():
        pass
    assert tenant.kinds() == (3, {"lag"})


def test_a_long_way_is_proved_in_parts_and_survives_a_stop(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "CHUNK", 256)
    tenant.log.record(1000)
    tenant.log.sequence()
    honest, asked = tenant.wire.tamper, 0

    def stops(path: str, status: int, body: bytes) -> tuple[int, bytes]:
        nonlocal asked
        asked += "/events" in path
        return (503, b"") if asked > 2 else (status, body)

    tenant.wire.tamper = stops
    assert tenant.kinds() == (3, {"silent"})
    assert tenant.state["verified"] == 512
    with (tenant.folder / "leaves").open("ab") as file:  # torn by a crash before the state was stored
        file.write(b"torn")
    tenant.wire.tamper = honest
    tenant.log.sequence()
    assert tenant.kinds() == (0, set())
    assert tenant.state["verified"] == tenant.log.state().size


def test_what_is_kept_is_what_was_logged(tenant: Tenant) -> None:
    tenant.opt(keep=True)
    tenant.round()
    path = tenant.folder / "events.jsonl"
    assert path.stat().st_mode & 0o777 == 0o600
    kept = [json.loads(line) for line in path.read_text().splitlines()]
    assert [one["index"] for one in kept] == list(range(tenant.state["verified"]))


def test_the_state_is_guarded(tenant: Tenant) -> None:
    tenant.round()
    with Monitor(LogSite(tenant.wire), tenant.folder, tenant.clock, tenant.options):
        with pytest.raises(Conflict, match="another monitor"):
            tenant.round()
    with pytest.raises(Conflict, match="this state follows"):
        Tenant(tenant.log, tenant.folder, name=tenant.log.demo).round()
    leaves = tenant.folder / "leaves"
    os.truncate(leaves, 32)
    with pytest.raises(Fatal, match="fewer hashes"):
        tenant.round()
    for text in ("", "[]", "{}", '{"format": 1, "verified": "x"}', '{"format": 1, "more": 1}'):
        (tenant.folder / "state.json").write_text(text)
        with pytest.raises(Fatal, match="cannot be used"):
            tenant.round()


def test_the_tenants_own_policy_holds(tenant: Tenant) -> None:
    served = tenant.log.get("/policy").raw.decode()
    one = witness("one.example")
    keys = "".join(line + "\n" for line in served.splitlines() if line.startswith("log "))
    own = f"{keys}witness one {one.verifier}\nquorum one\n"
    tenant.opt(policy=own)
    assert tenant.kinds() == (3, {"policy-changed"})
    tenant.opt(policy=served)
    assert tenant.kinds() == (0, {"policy-adopted"})
    tenant.opt(policy=None)
    assert tenant.kinds() == (0, set())
    for bad in ("quorum none\n", "nonsense", "\n".join(keys.splitlines()[:1]) + "\nquorum none\n"):
        tenant.opt(policy=bad)
        with pytest.raises(Invalid, match="policy file"):
            tenant.round()


def test_a_policy_of_the_server_that_would_cost_too_much(tenant: Tenant) -> None:
    keys = "".join(line + "\n" for line in tenant.log.get("/policy").raw.decode().splitlines() if line[:4] == "log ")
    one = witness("one.example")
    groups = "".join(f"group g{n} any {'one' if n == 0 else f'g{n - 1}'}\n" for n in range(3000))
    text = f"{keys}witness one {one.verifier}\n{groups}quorum g2999\n".encode()
    tenant.wire.tamper = lambda path, status, body: (status, text if "/policy" in path else body)
    assert tenant.kinds() == (3, {"garbled"})


def test_a_source_that_stops_its_heartbeat(tenant: Tenant) -> None:
    log = tenant.log
    auditor = Tenant(log, tenant.folder / "whole", "installation", "ivo")

    def mark(source: str, word: str) -> None:
        with log.db.write() as tx:
            Recorder(source, log.clock, FakeIds()).mark(tx, word, request_id(FakeIds()))
        log.sequence()

    mark("api-0", "start")
    mark("objects-0", "start")
    mark("objects-1", "start")
    mark("objects-1", "stop")
    assert auditor.kinds() == (0, set())
    log.clock.advance(170)
    mark("api-0", "heartbeat")
    assert auditor.kinds() == (0, set())
    log.clock.advance(11)
    found = auditor.round()
    assert [(one.kind, one.about) for one in found.findings if one.grade != "note"] == [("source-silent", "objects-0")]


def test_evidence_and_state_are_whole_after_kill(tenant: Tenant, tmp_path: Path) -> None:
    """kill -9 between any two writes: what is there is whole, what is not there is written again."""
    script = tmp_path / "writer.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\n"
        "from andromede.sovereignty.monitor.state import Folder, State\n"
        "folder = Folder(Path(sys.argv[1]))\nnumber = 0\n"
        "while True:\n    number += 1\n    folder.save(State(origin='o' * 100_000, verified=number))\n"
        "    print(number, flush=True)\n"
    )
    command = [sys.executable, str(script), str(tmp_path / "s")]
    for _ in range(3):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            said = [writer.stdout.readline() for _ in range(5)][-1]
            writer.kill()
            last = int([said, *writer.stdout.read().split()][-1])
        found = json.loads((tmp_path / "s" / "state.json").read_text())
        assert last <= found["verified"] <= last + 1
        assert len(found["origin"]) == 100_000


def test_a_server_cannot_keep_a_round_busy_for_ever(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "CHUNK", 256)
    monkeypatch.setattr(follow, "MOST_AT_ONCE", 256)
    tenant.log.record(600)
    tenant.log.sequence()
    assert tenant.kinds() == (3, {"catching-up"})
    assert tenant.kinds() == (3, {"catching-up"})
    assert tenant.state["verified"] == 512
    assert tenant.kinds() == (0, set())


def test_many_lies_of_one_kind_are_told_in_short(tenant: Tenant) -> None:
    tenant.log.record(200)
    tenant.log.sequence()
    tenant.wire.tamper = lambda path, status, body: (status, b'{"events": []}') if "/events" in path else (status, body)
    found = tenant.round()
    hidden = [one for one in found.findings if one.kind == "hidden-event"]
    assert (found.code, len(hidden), hidden[-1].about) == (1, 21, "more")
    assert len(list((tenant.folder / "evidence").iterdir())) == 20


def test_witnesses_with_addresses_that_are_none(tenant: Tenant) -> None:
    keys = "".join(line + "\n" for line in tenant.log.get("/policy").raw.decode().splitlines() if line[:4] == "log ")
    one = witness("one.example")
    from andromede.sovereignty.monitor.views import ask_witness

    tenant.opt(ask=ask_witness)
    for number, url in enumerate(("ftp://x", "http://[", "http://x:99999", "http://x:0", "http://é/", "x")):
        text = f"{keys}witness one {one.verifier} {url}\nquorum none\n"
        folder = tenant.folder.with_name(f"m{number}")
        other = Tenant(tenant.log, folder)
        other.opt(policy=text, ask=ask_witness)
        code, kinds = other.kinds()
        assert (code, "witness-silent" in kinds) == (3, True)


def test_what_a_server_says_reaches_no_terminal_unprintable(tenant: Tenant) -> None:
    tenant.wire.tamper = lambda path, status, body: (500, b"\x1b]0;owned\x07\x9b31m")
    (found,) = tenant.round().findings
    assert found.text.isprintable()

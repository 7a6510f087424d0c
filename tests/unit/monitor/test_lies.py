"""A lying server: each lie is found, with evidence, and the right exit code."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from andromede.errors import Invalid
from andromede.ledger.note import Signer, checkpoint_fields, checkpoint_text, split_note
from andromede.ledger.policy import parse_policy
from andromede.ledger.receipt import Receipt
from tests.support import verifier
from tests.support.monitoring import Tamper, Tenant
from tests.support.tenantlog import witness


def on(word: str, change: Callable[[bytes], bytes]) -> Tamper:
    """Change the good answers of paths that hold a word."""

    def tamper(path: str, status: int, body: bytes) -> tuple[int, bytes]:
        return status, change(body) if word in path and status == 200 else body

    return tamper


def rows(change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Callable[[bytes], bytes]:
    def edit(body: bytes) -> bytes:
        found = json.loads(body)
        return json.dumps({**found, "events": change(found["events"])}).encode()

    return edit


def other_object(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**one, "event": one["event"].replace("secret-plan-4", "other-plan-4")} for one in events]


def other_salt(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**one, "salt": base64.b64encode(bytes(32)).decode()} if one["index"] == 4 else one for one in events]


@pytest.mark.parametrize("change", [other_object, other_salt])
def test_an_event_that_was_changed(tenant: Tenant, change: Callable[..., Any]) -> None:
    tenant.wire.tamper = on("/events", rows(change))
    assert tenant.kinds() == (1, {"event"})
    found = tenant.evidence("event")
    assert (found["about"], found["index"]) == ("4" if change is other_salt else str(found["index"]), found["index"])
    assert found["served"]["note"] == tenant.log.logs.checkpoint(tenant.log.state().origin)
    tenant.wire.tamper = lambda path, status, body: (status, body)
    assert tenant.kinds() == (0, set())


def test_an_event_that_is_left_out(tenant: Tenant) -> None:
    tenant.wire.tamper = on("/events", rows(lambda events: [one for one in events if one["index"] != 4]))
    assert tenant.kinds() == (1, {"hidden-event", "withheld"})
    assert tenant.evidence("hidden-event")["index"] == 4


def test_an_event_whose_content_is_withheld_without_a_word(tenant: Tenant) -> None:
    def blank(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**one, "salt": None, "event": None} if one["index"] == 4 else one for one in events]

    tenant.wire.tamper = on("/events", rows(blank))
    assert tenant.kinds() == (3, {"withheld"})
    assert tenant.state["withheld"] == [4]
    tenant.wire.tamper = lambda path, status, body: (status, body)
    assert tenant.kinds() == (3, {"withheld"})
    assert tenant.log.call("DELETE", "/events/4", "max").status == 204  # the log tells of the removal
    tenant.log.sequence()
    assert tenant.kinds() == (0, set())


@pytest.mark.parametrize("word", ["tile/0/", "tile/entries/"])
def test_a_tile_that_was_changed(tenant: Tenant, word: str) -> None:
    tenant.wire.tamper = on(word, lambda body: body[:-1] + bytes([body[-1] ^ 1]))
    assert tenant.kinds() == (1, {"tile"})
    assert "tile" in tenant.evidence("tile")["text"]


def test_entries_that_lead_nowhere(tenant: Tenant) -> None:
    def both(path: str, status: int, body: bytes) -> tuple[int, bytes]:
        if "/events" in path:
            return status, rows(other_salt)(body)
        return status, bytes(len(body)).replace(bytes(34), b"\0\x20" + bytes(32)) if "entries" in path else body

    tenant.wire.tamper = both
    assert tenant.kinds() == (1, {"entries"})


def forged(tenant: Tenant, size: int, root: bytes) -> bytes:
    """A checkpoint with the log's true signatures."""
    text = checkpoint_text(tenant.log.state().origin, size, root)
    return tenant.log.keys.sign(text).encode()


def test_two_roots_of_one_size(tenant: Tenant, tmp_path: Path) -> None:
    assert tenant.kinds()[0] == 0
    size = int(tenant.round().facts["size"])
    tenant.wire.tamper = on("/checkpoint", lambda body: forged(tenant, size, b"x" * 32))
    assert tenant.kinds() == (1, {"fork"})
    found = tenant.evidence("fork")
    assert [checkpoint_fields(split_note(one["note"])[0])[1] for one in found["notes"]] == [size, size]
    (path,) = (tenant.folder / "evidence").glob("fork-*.json")
    (tmp_path / "own.policy").write_text(found["policy"])
    done = verifier.run(["contradiction", str(path), "--policy", "own.policy"], tmp_path)
    assert (done.returncode, "CONTRADICTION" in done.stdout) == (0, True), done.stdout + done.stderr
    before = path.read_bytes()
    tenant.clock.advance(60)
    assert tenant.kinds() == (1, {"fork"})  # found again, kept once
    assert path.read_bytes() == before


def test_an_older_checkpoint_is_a_rollback(tenant: Tenant) -> None:
    old = tenant.log.get("/checkpoint").raw
    tenant.log.record(5)
    tenant.log.sequence()
    assert tenant.kinds()[0] == 0
    tenant.wire.tamper = on("/checkpoint", lambda body: old)
    assert tenant.kinds() == (1, {"rollback"})
    first, second = tenant.evidence("rollback")["notes"]
    assert second["note"] == old.decode()
    assert first["seen"] < second["seen"]
    once = iter([old])
    tenant.wire.tamper = on("/checkpoint", lambda body: next(once, body))  # a cache that was late once
    assert tenant.kinds() == (0, set())


def test_a_smaller_checkpoint_of_another_history(tenant: Tenant, tmp_path: Path) -> None:
    assert tenant.kinds()[0] == 0
    tenant.wire.tamper = on("/checkpoint", lambda body: forged(tenant, 6, b"x" * 32))
    assert tenant.kinds() == (1, {"not-a-prefix"})
    (path,) = (tenant.folder / "evidence").glob("not-a-prefix-*.json")
    done = verifier.run(["contradiction", str(path)], tmp_path)  # under the keys that the file names: no proof
    assert (done.returncode, "if the keys in this file are the log's" in done.stdout) == (1, True)
    (tmp_path / "own.policy").write_bytes(tenant.log.get("/policy").raw)
    done = verifier.run(["contradiction", str(path), "--policy", "own.policy"], tmp_path)
    assert (done.returncode, "does not begin with the smaller" in done.stdout) == (0, True), done.stdout


def test_a_larger_checkpoint_that_nothing_joins(tenant: Tenant) -> None:
    size = int(tenant.round().facts["size"])
    tenant.wire.tamper = on("/checkpoint", lambda body: forged(tenant, size + 1, b"x" * 32))
    assert tenant.kinds() == (3, {"unproven"})  # nothing is served behind it: not accepted, and no proof either
    tenant.log.record(3)
    tenant.log.sequence()
    assert tenant.kinds() == (1, {"not-a-prefix"})
    assert tenant.state["verified"] == size


def test_a_signature_that_does_not_hold(tenant: Tenant) -> None:
    tenant.round()
    tenant.wire.tamper = on("/checkpoint", lambda body: body.replace(b"\n1", b"\n2", 1))
    assert tenant.kinds() == (1, {"signature"})


def test_one_signature_of_two_is_not_enough(tenant: Tenant) -> None:
    tenant.round()
    tenant.wire.tamper = on("/checkpoint", lambda body: b"\n".join(body.split(b"\n")[:5]) + b"\n")
    assert tenant.kinds() == (1, {"signature"})


def test_another_key(tenant: Tenant) -> None:
    tenant.round()
    origin = tenant.log.state().origin
    mine = Signer(origin, 1, b"m" * 32)

    def replaced(path: str, status: int, body: bytes) -> tuple[int, bytes]:
        if "/policy" in path:
            return status, f"log {mine.verifier}\nquorum none\n".encode()
        return status, body

    tenant.wire.tamper = replaced
    assert tenant.kinds() == (1, {"keys"})
    tenant.wire.tamper = on("/checkpoint", lambda body: body.replace(origin.encode(), b"andromede-0/t/1"))
    assert tenant.kinds() == (1, {"signature"})


def test_numbers_given_twice(tenant: Tenant) -> None:
    tenant.round()
    log = tenant.log
    log.record(2)
    rewritten = "UPDATE audit_event SET body = ? WHERE tenant = ? AND position = ?"
    last = log.state().allocated - 1
    with log.db.write() as tx:
        row = tx.one("SELECT body FROM audit_event WHERE tenant = ? AND position = ?", (log.demo, last - 1))
        assert row is not None
        tx.run(rewritten, (bytes(row[0]), log.demo, last))
    log.sequence()
    assert tenant.kinds() == (1, {"number-twice"})


def test_a_promise_that_was_not_kept(tenant: Tenant, tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    origin, events = tenant.log.state().origin, tenant.log.get("/events").json["events"]
    good = [
        json.dumps({"ledger": f"{origin} {one['index']}", "request_id": json.loads(one["event"])["request_id"]})
        for one in events
    ]
    journal.write_text("\n".join(good) + "\n")
    tenant.opt(journal=journal)
    tenant.log.sequence()
    assert tenant.kinds() == (0, set())
    with journal.open("a") as file:  # an entry proved earlier, one that is new, one of another log, half a line
        file.write(json.dumps({"Andromede-Ledger": f"{origin} 3", "x-amz-request-id": "req-mine"}) + "\n")
        file.write(json.dumps({"ledger": "another/t/0 3", "request_id": "req-x"}) + "\nnonsense\n[]\n")
        file.write(json.dumps({"ledger": f"{origin} 99999", "request_id": "req-late"}) + '\n{"ledger"')
    assert tenant.kinds() == (1, {"promise", "journal-other", "journal-form"})
    found = tenant.evidence("promise")
    assert found["promised"] == {"ledger": f"{origin} 3", "request_id": "req-mine"}
    receipt = Receipt.parse(found["receipt"])
    receipt.verify(parse_policy(found["policy"]))
    assert receipt.index == 3
    tenant.clock.advance(61)
    tenant.log.sequence()
    assert tenant.kinds() == (3, {"promise-late"})
    tenant.limits(fresh=30)
    assert tenant.kinds() == (1, {"promise-late"})


def test_a_swift_request_id_is_known_too() -> None:
    from andromede.sovereignty.monitor.journal import same_request

    found = "req-01234567-89ab-cdef-0123-456789abcdef"
    assert same_request(found, "tx" + "b-cdef-0123-456789abcdef".replace("-", "")[-21:] + "-0065a1b2c3")
    assert not same_request(found, "tx" + "0" * 21 + "-0065a1b2c3")
    assert not same_request(found, "tx")
    assert same_request(found, found)


def test_a_stale_and_a_missing_cosignature(tenant: Tenant) -> None:
    one, log = witness("one.example"), tenant.log
    listed = [{"name": "one", "key": str(one.verifier), "url": ""}]
    assert log.call("PUT", "/witnesses", "max", {"witnesses": listed, "quorum": "all"}).status == 200
    tenant.limits(fresh=600, witness=10**9)
    log.sequence()
    found = tenant.round()
    assert found.code == 3
    assert "no quorum has signed" in found.findings[-1].text
    log.cosign(one)
    assert tenant.kinds() == (0, set())
    log.record(3)
    log.sequence()
    tenant.clock.advance(590)
    assert tenant.kinds() == (0, set())  # the newest checkpoint has no cosignature, an older one has a fresh one
    tenant.clock.advance(20)
    assert tenant.kinds() == (3, {"stale"})
    tenant.limits(fresh=6000, witness=10)
    assert tenant.kinds() == (3, {"witness-lag"})
    log.cosign(one)
    assert tenant.kinds() == (0, set())


def test_a_cosignature_from_the_future_counts_for_nothing(tenant: Tenant) -> None:
    one, log = witness("one.example"), tenant.log
    listed = [{"name": "one", "key": str(one.verifier), "url": ""}]
    assert log.call("PUT", "/witnesses", "max", {"witnesses": listed, "quorum": "all"}).status == 200
    log.sequence()
    tenant.clock.advance(10_000)
    log.cosign(one)
    tenant.clock.advance(-10_000)
    code, kinds = tenant.kinds()
    assert (code, "witness-clock" in kinds) == (3, True)


def test_a_promised_event_that_is_changed_or_withheld_later(tenant: Tenant, tmp_path: Path) -> None:
    tenant.round()
    origin, journal = tenant.log.state().origin, tmp_path / "journal"
    first = next(one for one in tenant.log.get("/events").json["events"] if "secret-plan-4" in one["event"])
    promise = {"ledger": f"{origin} {first['index']}", "request_id": json.loads(first["event"])["request_id"]}
    tenant.opt(journal=journal)

    def told(change: Callable[..., Any]) -> tuple[int, set[str]]:
        with journal.open("a") as file:
            file.write(json.dumps(promise) + "\n")
        tenant.wire.tamper = on("/events", rows(change))
        return tenant.kinds()

    assert told(other_object) == (1, {"event"})
    blank = {"salt": None, "event": None}
    code, kinds = told(lambda events: [one | blank if one["index"] == first["index"] else one for one in events])
    assert (code, kinds) == (3, {"promise-withheld"})
    code, kinds = told(lambda events: events)
    assert (code, kinds) == (0, set())
    journal.unlink()
    journal.write_text(json.dumps(promise) + "\n")  # a new file is read from its start
    assert tenant.kinds() == (0, set())
    with pytest.raises(Invalid, match="journal"):
        journal.unlink()
        tenant.kinds()


def test_a_cosigned_checkpoint_of_another_log(tenant: Tenant) -> None:
    one, log = witness("one.example"), tenant.log
    listed = [{"name": "one", "key": str(one.verifier), "url": ""}]
    assert log.call("PUT", "/witnesses", "max", {"witnesses": listed, "quorum": "all"}).status == 200
    log.sequence()
    log.cosign(one)
    assert tenant.kinds() == (0, set())
    tenant.wire.tamper = on("witnessed", lambda body: body.replace(b"\n1", b"\n2", 1))
    assert tenant.kinds() == (3, {"cosigned-note"})


@pytest.mark.parametrize("broken", ["/tile/", "/consistency"])
def test_one_way_of_proving_is_enough(tenant: Tenant, broken: str) -> None:
    """Where the server's tiles are gone its consistency answers serve, and the other way round."""
    size = int(tenant.round().facts["size"])
    tenant.log.sequence()  # the trace of the reading: proved to extend, not read yet
    tenant.wire.tamper = lambda path, status, body: (404, b"") if broken in path else (status, body)
    assert tenant.kinds() == (0, set())
    assert checkpoint_fields(split_note(tenant.state["note"])[0])[1] == size + 1
    tenant.log.record(5)
    tenant.log.sequence()
    code, kinds = tenant.kinds()
    assert (code, kinds) == ((3, {"absent"}) if broken == "/tile/" else (0, set()))

"""The tenant's side of the ledger over the API port."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from andromede.audit import Draft
from andromede.errors import Invalid
from andromede.ledger.note import Verifier, checkpoint_fields, split_note
from andromede.ledger.policy import parse_policy
from andromede.ledger.receipt import Receipt, entry_of
from andromede.ledger.tree import check_consistency, leaf_hash, node_hash, tile_path
from andromede.sovereignty import store, witness_store
from andromede.sovereignty.access import TABLE
from andromede.sovereignty.routes import routes
from tests.support.tenantlog import TenantLog, witness


def tree_head(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word."""
    if len(leaves) == 1:
        return leaves[0]
    k = 1 << ((len(leaves) - 1).bit_length() - 1)
    return node_hash(tree_head(leaves[:k]), tree_head(leaves[k:]))


def policy_of(log: TenantLog, who: str = "demo") -> str:
    answer = log.get("/policy", who)
    assert answer.status == 200
    return answer.raw.decode()


def paths(log: str) -> list[tuple[str, str]]:
    """Every route of a named log, with values in its path."""
    found = []
    for route in routes:
        if "{log}" in route.path:
            path = route.path.removeprefix("/v1").replace("{log}", log).replace("{level}", "0").replace("{index}", "0")
            for n in range(5):
                path = path.replace(f"{{n{n}}}", "000" if n == path.count("{") else "x001")
            found.append((route.method, path + ("?old=0" if path.endswith("consistency") else "")))
    return found


def test_every_route_has_a_rule_and_words() -> None:
    assert {route.action for route in routes} == set(TABLE.rules)
    for route in routes:
        assert route.doc and TABLE.grants(route.action)
        assert route.public == (route.action == "sovereignty:get_verifier")
        assert route.public or route.target, route.path


def test_nobody_reads_without_a_credential(tenantlog: TenantLog) -> None:
    for method, path in paths("installation"):
        assert tenantlog.call(method, path, None).status == 401


def test_l8_a_foreign_tenants_log_does_not_exist(tenantlog: TenantLog) -> None:
    """L8: over every route, a foreign log answers exactly as one that was never there."""
    log = tenantlog
    log.record(3)
    log.record(3, tenant=log.other)
    log.sequence()
    digits = log.state(log.other).origin[-16:]
    before = log.state(log.other).allocated
    for name in (log.other, digits, "installation", log.state("").origin[-16:]):
        for method, path in paths(name):
            mine, nowhere = log.call(method, path, "max", {"witnesses": []}), path.replace(name, "f" * len(name))
            gone = log.call(method, nowhere, "max", {"witnesses": []})
            assert mine.status == gone.status == 404, f"{method} {path}: {mine.status} {gone.status}"
            text = mine.json["error"]["message"].replace(name, "")
            assert text == gone.json["error"]["message"].replace("f" * len(name), "")
    assert log.state(log.other).allocated == before
    assert log.get(f"/logs/{log.demo}/checkpoint", "eve").status == 404
    assert log.get(f"/logs/{log.demo}/checkpoint", "demo").status == 200


def test_the_auditor_reads_every_log_and_settles_nothing(tenantlog: TenantLog) -> None:
    log = tenantlog
    log.record(3)
    log.sequence()
    for name in (log.demo, log.state().origin[-16:], "installation"):
        for word in ("checkpoint", "tile/0/000.p/1", "tile/entries/000.p/1", "events", "status", "witnesses", "policy"):
            assert log.get(f"/logs/{name}/{word}", "ivo").status == 200, word
        assert log.call("PUT", f"/logs/{name}/policy", "ivo", b"quorum none\n").status == 403
    assert log.call("DELETE", "/events/0", "ivo").status == 403
    assert log.get("/checkpoint", "ivo").status == 400  # no project: a log must be named
    purposes = [json.loads(row["event"])["purpose"] for row in log.get("/events").json["events"]]
    assert purposes[-2:] == ["OPERATOR_REVIEW", "OPERATOR_REVIEW"]


def test_a_receipt_proves_its_event_and_says_when_it_is_too_early(tenantlog: TenantLog) -> None:
    log = tenantlog
    index = log.record(5)[2]
    early = log.get(f"/receipts/{index}")
    assert (early.status, early.headers["retry-after"]) == (202, "1") and "not in a signed" in early.json["waiting"]
    log.sequence()
    answer = log.get(f"/receipts/{index}")
    assert answer.status == 200 and answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.headers["content-disposition"].endswith(f'-{index}.tlog-proof"')
    receipt = Receipt.parse(answer.raw.decode())
    policy = parse_policy(policy_of(log))
    accepted = receipt.verify(policy)
    assert accepted.origin == log.state().origin and len(accepted.signatures) == 2
    assert json.loads(receipt.event)["object"] == "box/secret-plan-2"
    assert answer.headers["andromede-ledger"] == f"{accepted.origin} {log.state().allocated - 1}"
    same = log.get("/receipts/" + json.loads(receipt.event)["request_id"])
    assert Receipt.parse(same.raw.decode()).index == index


def test_a_receipt_is_found_by_either_request_id(tenantlog: TenantLog) -> None:
    log = tenantlog
    log.record(2)
    known = "req-2bb24591-7033-420f-8fba-83865a5d7628"
    with log.db.write() as tx:
        first = log.recorder.record(tx, [Draft(log.demo, "user:u", f"s3:Step{n}", "o", known) for n in range(3)])[0]
    log.record(1200)
    log.sequence()
    for given in (known, "tx3420f8fba83865a5d7628-006b022e49"):
        receipt = Receipt.parse(log.get(f"/receipts/{given}").raw.decode())
        assert receipt.index == first.index and json.loads(receipt.event)["action"] == "s3:Step0"
    for other in (known[:-1] + "9", "tx4420f8fba83865a5d7628-006b022e49", "tx8-006b022e49", "tx"):
        assert log.get(f"/receipts/{other}").status == 404


@pytest.mark.parametrize(
    ("asked", "status"),
    [("999", 404), ("x", 400), ("-1", 400), ("9" * 30, 400), ("req-nobody", 404), ("٣", 400), ("1.0", 400)],
)
def test_odd_receipts_are_refused_with_words(tenantlog: TenantLog, asked: str, status: int) -> None:
    tenantlog.record()
    answer = tenantlog.get("/receipts/" + "".join(f"%{byte:02x}" for byte in asked.encode()))
    assert answer.status == status and len(answer.json["error"]["message"]) > 30


def test_a_receipt_waits_for_the_witnesses_when_asked(tenantlog: TenantLog) -> None:
    log, one, two = tenantlog, witness("one.example"), witness("two.example")
    listed = [{"name": key.verifier.name, "key": str(key.verifier), "url": ""} for key in (one, two)]
    assert log.call("PUT", "/witnesses", "max", {"witnesses": listed, "quorum": "all"}).status == 200
    index = log.record()[0]
    log.sequence()
    assert log.get(f"/receipts/{index}").status == 200
    log.cosign(one)
    waiting = log.get(f"/receipts/{index}?witnessed=true")
    assert waiting.status == 202 and "quorum" in waiting.json["waiting"]
    log.cosign(two)
    receipt = Receipt.parse(log.get(f"/receipts/{index}?witnessed=true").raw.decode())
    assert len(receipt.verify(parse_policy(policy_of(log))).signatures) == 4
    log.record()
    log.sequence()
    assert receipt.checkpoint == Receipt.parse(log.get(f"/receipts/{index}").raw.decode()).checkpoint


def test_a_witness_that_dates_its_cosignature_ahead_is_not_fresh(tenantlog: TenantLog) -> None:
    """Also not when the date is beyond the calendar."""
    log, one = tenantlog, witness("one.example")
    listed = [{"name": "one", "key": str(one.verifier), "url": ""}]
    assert log.call("PUT", "/witnesses", "max", {"witnesses": listed, "quorum": "all"}).status == 200
    for seconds in (3600, 1 << 62):
        log.record()
        log.sequence()
        newest = log.logs.newest(log.state().origin)
        assert newest is not None and newest.note is not None
        with log.db.write() as tx:
            line = one.line(split_note(newest.note)[0], log.clock.now_us() // 1_000_000 + seconds)
            store.cosign(tx, newest, line)
        for path in ("/witnesses", "/status"):
            seen = log.get(path).json
            assert seen["quorum_met"] is False and seen["witnesses"][0]["fresh"] is False
            assert seen["summary"].startswith("unwitnessed")


def test_tiles_and_entries_lead_to_the_checkpoint(tenantlog: TenantLog) -> None:
    log = tenantlog
    log.record(300)
    log.sequence()
    answer = log.get("/checkpoint")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["cache-control"] == "private, max-age=2"
    origin, size, root = checkpoint_fields(split_note(answer.raw.decode())[0])
    assert (origin, size) == (log.state().origin, log.state().size)
    full = log.get("/" + tile_path(0, 0))
    assert full.headers["content-type"] == "application/octet-stream" and len(full.raw) == 8192
    assert "immutable" in full.headers["cache-control"]
    part = log.get("/" + tile_path(0, 1, size - 256))
    assert len(part.raw) == 32 * (size - 256)
    entries = log.get("/tile/entries/000").raw
    assert len(entries) == 34 * 256 and entries[:2] == b"\x00\x20"
    assert leaf_hash(entries[2:34]) == full.raw[:32]
    above = log.get("/tile/1/000.p/1").raw
    assert len(above) == 32
    leaves = [full.raw[at : at + 32] for at in range(0, 8192, 32)] + [
        part.raw[at : at + 32] for at in range(0, len(part.raw), 32)
    ]
    assert tree_head(leaves[:256]) == above and tree_head(leaves) == root
    row = log.get("/events?from=7&to=8").json["events"][0]
    salt = base64.b64decode(row["salt"])
    assert entry_of(salt, row["event"].encode()) == base64.b64decode(row["entry"]) == entries[34 * 7 + 2 : 34 * 8]


@pytest.mark.parametrize(
    "path",
    ["0/1", "0/0000", "0/000.p/0", "0/000.p/256", "0/000.p/01", "64/000", "00/000", "x/000", "0/x000/000", "0/001/000",
     "0/x001/000.p/x", "0/099", "entries/099", "0/00a", "0/x001/x001/x001/x001/000", "5/000", "0/%D9%A30%D9%A3"],
)  # fmt: skip
def test_tiles_that_are_not_there(tenantlog: TenantLog, path: str) -> None:
    tenantlog.record()
    tenantlog.sequence()
    assert tenantlog.get(f"/tile/{path}").status == 404


def test_consistency_between_two_checkpoints(tenantlog: TenantLog) -> None:
    log = tenantlog
    log.record(5)
    log.sequence()
    _, old, old_root = checkpoint_fields(split_note(log.get("/checkpoint").raw.decode())[0])
    log.record(7)
    log.sequence()
    _, size, root = checkpoint_fields(split_note(log.get("/checkpoint").raw.decode())[0])
    answer = log.get(f"/consistency?old={old}")
    assert answer.headers["andromede-sizes"] == f"{old} {size}"
    proof = [base64.b64decode(line) for line in answer.raw.decode().splitlines()]
    assert check_consistency(old, size, old_root, root, proof)
    assert log.get(f"/consistency?old={old}&size={old}").raw == b""
    assert log.get("/consistency?old=0").raw == b""
    for query in ("", "?old=x", f"?old={size + 1}", "?old=3&size=2", f"?old=1&size={size + 1}", "?old=-1"):
        assert log.get("/consistency" + query).status == 400, query


def test_events_come_in_pages_and_asking_is_an_event(tenantlog: TenantLog) -> None:
    log = tenantlog
    log.record(4)
    before = log.state().allocated
    answer = log.get("/events?from=1&to=3")
    assert [row["index"] for row in answer.json["events"]] == [1, 2] and answer.json["next"] == 3
    assert all(row["entry"] is None and row["salt"] for row in answer.json["events"])
    assert log.state().allocated == before + 1
    newest = log.get("/events?newest=1").json["events"]
    assert json.loads(newest[0]["event"])["action"] == "sovereignty:get_events"
    assert log.get("/events?from=99999").json == {
        "origin": log.state().origin, "events": [], "next": 99999, "allocated": before + 2, "size": 0,
    }  # fmt: skip
    for query in ("from=-1", "to=x", "newest=0", "newest=1001"):
        assert log.get(f"/events?{query}").status == 400


def test_hashes_alone_leave_no_event(tenantlog: TenantLog) -> None:
    log = tenantlog
    log.record()
    log.sequence()
    before = log.state().allocated
    for path in ("checkpoint", "tile/0/000.p/1", "consistency?old=1", "policy", "witnesses", "status", "roots"):
        assert log.get("/" + path).status == 200
    assert log.state().allocated == before


def test_a_manager_settles_the_policy_and_others_do_not(tenantlog: TenantLog) -> None:
    log, one = tenantlog, witness("one.example")
    given = f"# ours\nwitness one {one.verifier} https://one.example/w\nquorum one\n"
    assert log.call("PUT", "/policy", "demo", given.encode()).status == 403
    answer = log.call("PUT", "/policy", "max", given.encode())
    assert answer.status == 200 and answer.headers["andromede-ledger"].startswith(log.state().origin)
    text = policy_of(log)
    assert given in text and "183" in text.splitlines()[0]
    policy = parse_policy(text)
    assert [key.name for key in policy.logs] == [log.state().origin] * 2 and policy.quorum == "one"
    assert log.call("PUT", "/policy", "max", text.encode()).status == 200  # what GET gives can be put back
    assert policy_of(log).count("# Events keep") == 1
    for bad in (b"", b"quorum x", b"\xff", b"log " + str(Verifier("x", 1, bytes(32))).encode() + b"\nquorum none\n"):
        refused = log.call("PUT", "/policy", "max", bad)
        assert refused.status == 400 and "policy" in refused.json["error"]["message"]
    seen = log.get("/witnesses").json
    assert seen["own_policy"] and seen["summary"].startswith("unwitnessed: no witness has signed")
    assert log.call("DELETE", "/policy", "max").status == 204
    assert log.get("/witnesses").json["summary"].startswith("unwitnessed: nobody but the operator")
    assert not log.get("/witnesses", "eve").json["own_policy"]


def test_the_default_policy_is_the_administrators(tenantlog: TenantLog) -> None:
    log, one = tenantlog, witness("one.example")
    listed = {"witnesses": [{"name": "one", "key": str(one.verifier)}]}
    assert log.call("PUT", "/logs/installation/witnesses", "max", listed).status == 404
    assert log.call("PUT", "/logs/installation/witnesses", "admin", listed).status == 200
    assert [row["name"] for row in log.get("/witnesses").json["witnesses"]] == ["one"]
    log.record()
    log.sequence()
    log.cosign(one)
    seen = log.get("/status").json
    assert seen["quorum_met"] and seen["summary"] == "cosigned within 24 hours by one; quorum witnesses met"
    assert seen["witnesses"][0]["size"] == seen["size"] == seen["checkpoint"]["size"]
    log.clock.advance(25 * 3600)
    log.tokens["demo"] = log.cloud.demo()
    late = log.get("/status").json
    assert not late["quorum_met"] and late["summary"].startswith("unwitnessed")
    assert late["checkpoint"]["age_seconds"] == 25 * 3600


@pytest.mark.parametrize(
    "body",
    [{}, {"witnesses": "x"}, {"witnesses": [{"name": "a"}]}, {"witnesses": [{"name": "a", "key": "k"}]},
     {"witnesses": [], "quorum": "all"}, {"witnesses": [], "more": 1}],
)  # fmt: skip
def test_odd_lists_of_witnesses_are_refused(tenantlog: TenantLog, body: object) -> None:
    assert tenantlog.call("PUT", "/witnesses", "max", body).status == 400


def test_names_with_spaces_cannot_smuggle_lines(tenantlog: TenantLog) -> None:
    key = str(witness("w").verifier)
    for name, url in (("a b", ""), ("", ""), ("a\nquorum none", ""), ("a", "http://x quorum"), ("a", "ftp://x")):
        listed = {"witnesses": [{"name": name, "key": key, "url": url}]}
        assert tenantlog.call("PUT", "/witnesses", "max", listed).status == 400


def test_urls_are_shown_to_the_guard(tenantlog: TenantLog) -> None:
    def guard(url: str) -> None:
        raise Invalid(f"{url} is not for us", "url")

    tenantlog.ledger.tools = replace(tenantlog.ledger.tools, guard=guard)
    listed = {"witnesses": [{"name": "a", "key": str(witness("w").verifier), "url": "http://127.0.0.1/"}]}
    assert "not for us" in tenantlog.call("PUT", "/witnesses", "max", listed).json["error"]["message"]


def test_before_the_first_event_there_is_nothing_yet(tenantlog: TenantLog) -> None:
    log = tenantlog
    answer = log.get(f"/logs/{'0' * 32}/checkpoint", "admin")
    assert answer.status == 404
    log.record()
    early = log.get("/checkpoint")
    assert early.status == 404 and early.headers["retry-after"] == "1"
    assert log.get("/status").json["checkpoint"] is None


def test_the_verifier_is_for_everybody(tenantlog: TenantLog) -> None:
    answer = tenantlog.get("/andromede-verify", None)
    if answer.status == 200:
        assert b"tlog-proof" in answer.raw and answer.headers["cache-control"].startswith("public")
    else:
        assert answer.status == 404 and "repository" in answer.json["error"]["message"]


def test_places_whose_events_are_still_to_come_are_waited_for(tenantlog: TenantLog) -> None:
    log = tenantlog
    first = log.record(2)[0]
    with log.db.write() as tx:
        tx.run("UPDATE ledger_log SET allocated = allocated + 3 WHERE tenant = ?", (log.demo,))
    log.record(1)
    answer = log.get(f"/receipts/{first + 2}")
    assert answer.status == 202 and "being written" in answer.json["waiting"]
    page = log.get("/events").json
    assert page["next"] == first + 2 and page["events"][-1]["index"] == first + 5


def test_receipts_that_will_not_come_are_not_waited_for_in_vain(tenantlog: TenantLog) -> None:
    log = tenantlog
    first, second = log.record(2)
    log.sequence()
    with log.db.write() as tx:
        tx.run("DELETE FROM audit_event WHERE tenant = ? AND position = ?", (log.demo, first))
        witness_store.put_halt(tx, log.state().origin, "https://w.example", "w.example: it was rolled back", "", 1)
    lost = log.get(f"/receipts/{first}")
    assert lost.status == 404 and "is missing" in lost.json["error"]["message"]
    assert log.get(f"/receipts/{second}").status == 200
    late = log.get(f"/receipts/{log.record()[0]}")
    assert (late.status, late.headers["retry-after"]) == (202, "3600") and "rolled back" in late.json["waiting"]


def test_a_checkpoint_that_meets_the_quorum_can_be_asked_for(tenantlog: TenantLog) -> None:
    log, one = tenantlog, witness("one.example")
    listed = {"witnesses": [{"name": "one", "key": str(one.verifier)}]}
    assert log.call("PUT", "/witnesses", "max", listed).status == 200
    log.sequence()
    assert log.get("/checkpoint?witnessed=true").status == 404
    log.cosign(one)
    cosigned = log.get("/checkpoint").raw
    log.record()
    log.sequence()
    assert log.get("/checkpoint?witnessed=true").raw == cosigned != log.get("/checkpoint").raw


def test_auditors_list_every_log_and_others_their_own(tenantlog: TenantLog) -> None:
    log = tenantlog
    log.record(1, tenant=log.other)
    log.record(2)
    log.sequence()
    found = log.get("/logs", "ivo").json
    assert [one["origin"] for one in found["logs"]] == sorted(one.origin for one in log.logs.all())
    assert {one["project_id"] for one in found["logs"]} >= {None, log.demo, log.other}
    assert found["next"] is None
    later = log.get(f"/logs?after={found['logs'][0]['origin']}", "ivo").json["logs"]
    assert later == found["logs"][1:]
    (own,) = log.get("/logs").json["logs"]
    assert (own["project_id"], own["size"]) == (log.demo, log.state().size)
    assert log.get("/logs", None).status == 401

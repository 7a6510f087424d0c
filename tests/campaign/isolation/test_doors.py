"""Every operation of both doors as every outsider: a full bucket and an empty one answer alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from andromede.db import Database
from andromede.objects.s3.operations import TABLE
from andromede.objects.swift.door import ROUTES
from tests.campaign.isolation.masks import masked
from tests.campaign.isolation.outsiders import BARE, FULL, KNOWN, S3_NO_BUCKET, Ground, s3_request, swift_request
from tests.support.cloud import Answer
from tests.support.house import House, Person, house
from tests.support.leaves import leaves
from tests.unit.s3.test_walk import ASKS, NOT_OFFERED

NONE = "none-bucket"


@pytest.fixture
def single(db: Database, tmp_path: Path) -> Iterator[House]:
    with house([db], tmp_path) as found:
        if db.dialect == "sqlite":
            db.one("PRAGMA synchronous = OFF")
        yield found


def shown(answer: Answer, *names: str) -> tuple[object, ...]:
    return masked(answer.status, answer.headers, answer.raw, names)


def s3_code(answer: Answer) -> str:
    return answer.raw.partition(b"<Code>")[2].partition(b"<")[0].decode()


def test_every_operation_is_asked_or_known() -> None:
    assert {operation.name for operation in TABLE.values()} - NOT_OFFERED == set(ASKS)
    assert set(KNOWN) <= set(ASKS)


def test_a_full_bucket_and_an_empty_one_are_the_same_to_outsiders_by_s3(single: House) -> None:
    ground = Ground.of(single)
    methods = {operation.name: operation.method for operation in TABLE.values()}
    wrong, compared = [], 0
    for name in sorted(set(ASKS) - set(KNOWN)):
        for who, person in ground.outsiders.items():
            answers = {}
            for bucket in (FULL, BARE, NONE):
                target, body, headers = s3_request(ground, name, bucket)
                if who == "unknown key":
                    single.clock.advance(2)  # guessed keys are slowed down
                answer = single.s3(person, methods[name], target, body, headers)
                answers[bucket] = answer
                if bucket != NONE and answer.status != 403 and name != "DeleteObjects":
                    wrong.append(f"{name} as {who} on {bucket}: {answer.status} {answer.raw[:200]!r}")
            compared += 1
            full, bare = shown(answers[FULL], FULL), shown(answers[BARE], BARE)
            if full != bare or b"SecretOfTheOwner" in answers[FULL].raw:
                wrong.append(f"{name} as {who}: full {full}\n  bare {bare}")
            none = shown(answers[NONE], NONE)
            told = (answers[NONE].status, s3_code(answers[NONE]) or "NoSuchBucket")
            if none != full and told != S3_NO_BUCKET:
                wrong.append(f"{name} as {who}: without a bucket {none}")
    assert wrong == [], "\n".join(wrong)
    assert compared == len(set(ASKS) - set(KNOWN)) * len(ground.outsiders)


@pytest.mark.parametrize("what", ["versionId", "uploadId", "copy source", "form"])
def test_ids_that_are_known_tell_no_more_than_ids_that_are_not(single: House, what: str) -> None:
    ground = Ground.of(single)
    for who, person in ground.outsiders.items():
        answers = []
        for bucket, upload, version in ((FULL, ground.upload, ground.version), (BARE, "0" * 32, "1" * 32)):
            headers: dict[str, str] = {}
            method, target, body = "GET", f"/{bucket}/k?versionId={version}", b""
            if what == "uploadId":
                target = f"/{bucket}/big?uploadId={upload}"
            if what == "copy source":
                method, target = "PUT", "/guests-own/copy"
                headers = {"x-amz-copy-source": f"/{bucket}/k?versionId={version}"}
            if what == "form":
                method, target = "POST", f"/{bucket}"
                body, headers = b"--b--\r\n", {"content-type": "multipart/form-data; boundary=b"}
            single.clock.advance(2)
            answer = single.s3(person, method, target, body, headers)
            answers.append(shown(answer, bucket, upload, version))
        assert answers[0] == answers[1], who


def test_what_is_not_yours_and_what_is_not_there_are_the_same_by_swift(single: House) -> None:
    ground = Ground.of(single)
    wrong = []
    account, nowhere = ground.owner.account, "AUTH_" + "f" * 32
    outsiders = {who: one for who, one in ground.outsiders.items() if who != "unknown key"}
    for route in ROUTES:
        level, method = route
        for who, person in [*outsiders.items(), ("bad token", "garbage")]:
            found = {}
            for place in ((account, FULL), (account, BARE), (account, NONE), (nowhere, FULL)):
                path, body, headers = swift_request(route, *place)
                answer = single.swift(person, method, path, body, headers)  # type: ignore[arg-type]
                assert answer.status in (401, 403), (who, route, place, answer.status, answer.raw)
                found[place] = shown(answer, *place, place[0].removeprefix("AUTH_"))
            full = found[(account, FULL)]
            for place, one in found.items():
                told = one if place[0] == account else without_ledger(one)
                if told != (full if place[0] == account else without_ledger(full)):
                    wrong.append(f"{method} {level} as {who}: {place} {one}\n  full {full}")
    assert wrong == [], "\n".join(wrong)


def without_ledger(one: tuple[object, ...]) -> tuple[object, ...]:
    """An account that holds nothing has no log, so its refusals name no place in one: the only thing that tells."""
    status, headers, body = one
    assert isinstance(headers, tuple)
    return status, tuple(pair for pair in headers if pair[0] != "andromede-ledger"), body


@pytest.mark.parametrize("query", ["temp_url_sig=0&temp_url_expires=1999999999", "bulk-delete", "extract-archive=tar"])
def test_signatures_and_bulk_requests_tell_nothing(single: House, query: str) -> None:
    ground = Ground.of(single)
    method = {"b": "POST", "e": "PUT", "t": "GET"}[query[0]]
    for person in (None, ground.outsiders["guest"]):
        found = set()
        for container in (FULL, BARE, NONE):
            tail = "" if method == "POST" else f"/{container}" + ("/k" if method == "GET" else "")
            body = f"{container}/k\n".encode() if method == "POST" else b""
            answer = single.swift(person, method, f"{ground.owner.account}{tail}?{query}", body)  # type: ignore[arg-type]
            found.add(shown(answer, container))
        assert len(found) == 1, "\n".join(map(str, found))


def test_a_refusal_is_in_the_log_of_whom_it_concerns_and_nowhere_else(single: House) -> None:
    ground = Ground.of(single)
    guest = ground.outsiders["guest"]
    assert isinstance(guest, object)
    for answer in (
        single.s3(guest, "GET", f"/{FULL}/k"),
        single.swift(guest, "GET", f"{ground.owner.account}/{FULL}/k"),  # type: ignore[arg-type]
    ):
        assert answer.status == 403
        single.flush()
        request_id = answer.headers.get("x-amz-request-id") or answer.headers["x-openstack-request-id"]
        left = leaves(single.db, request_id)
        assert [(tenant, event["outcome"]) for tenant, _, event in left] == [(ground.owner.project_id, "denied")]
        assert "secret" not in json.dumps(left[0][2]).lower()
    hidden = single.call("GET", f"/ledger/v1/events?project_id={ground.owner.project_id}", guest.token)  # type: ignore[union-attr]
    assert hidden.status == 403
    own = single.call("GET", "/ledger/v1/events?limit=1000", guest.token)  # type: ignore[union-attr]
    assert own.status == 200 and {row["tenant"] for row in own.json["events"]} == {guest.project_id}  # type: ignore[union-attr]


def test_the_rules_of_one_bucket_hold_at_both_doors(single: House) -> None:
    """docs/access.md: a policy binds Swift too, and a Swift ACL opens an object to S3."""
    ground = Ground.of(single)
    guest, owner = ground.outsiders["guest"], ground.owner
    assert single.s3(owner, "PUT", f"/{BARE}/k", b"x").status == 200

    def reads() -> tuple[int, int]:
        by_swift = single.swift(guest, "GET", f"{owner.account}/{BARE}/k")  # type: ignore[arg-type]
        return single.s3(guest, "GET", f"/{BARE}/k").status, by_swift.status

    assert reads() == (403, 403)
    read = {"X-Container-Read": f"{guest.project_id}:*"}  # type: ignore[union-attr]
    assert single.swift(owner, "POST", f"{owner.account}/{BARE}", headers=read).status == 204
    assert reads() == (200, 200)
    deny = {
        "Effect": "Deny", "Principal": {"AWS": guest.project_id}, "Action": "s3:GetObject",  # type: ignore[union-attr]
        "Resource": f"arn:aws:s3:::{BARE}/*",
    }  # fmt: skip
    policy = json.dumps({"Version": "2012-10-17", "Statement": [deny]}).encode()
    assert single.s3(owner, "PUT", f"/{BARE}?policy", policy).status < 300
    assert reads() == (403, 403)


@pytest.mark.parametrize("header", ["X-Symlink-Target", "X-Object-Manifest", "X-Copy-From"])
def test_what_a_stranger_points_at_tells_nothing(single: House, header: str) -> None:
    """A link, a manifest or a copy in the own account, aimed at what may be there in another's."""
    ground = Ground.of(single)
    guest, owner = ground.outsiders["guest"], ground.owner
    assert isinstance(guest, Person)
    found = set()
    for container, key in ((FULL, "locked"), (FULL, "absent"), (NONE, "locked")):
        names = {"X-Symlink-Target-Account": owner.account, "X-Copy-From-Account": owner.account}
        headers = {header: f"{container}/{key}", **names}
        put = single.swift(guest, "PUT", f"{guest.account}/guests-own/link", b"", headers)
        by_swift = single.swift(guest, "GET", f"{guest.account}/guests-own/link")
        by_s3 = single.s3(guest, "GET", "/guests-own/link")
        found.add(tuple(shown(one, container, key) for one in (put, by_swift, by_s3)))
        assert b"secret" not in by_swift.raw + by_s3.raw
    if header == "X-Object-Manifest":  # the account of a manifest is always its own
        assert all(one[1][0] in (200, 404) for one in found)
    else:
        assert len(found) == 1, "\n".join(map(str, found))

"""Tags and ACLs of an object that is replaced between the look at it and the commit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from andromede.db import Database
from andromede.engines.memory import MemoryEngine
from andromede.objects.service import Objects
from tests.support.access import OTHER
from tests.support.clock import FakeClock
from tests.support.s3door import Bench
from tests.support.vault import vault

TAGS = b"<Tagging><TagSet><Tag><Key>open</Key><Value>no</Value></Tag></TagSet></Tagging>"
PUBLIC = {"x_amz_acl": "public-read"}


@pytest.fixture
def s3(db: Database, tmp_path: Path, clock: FakeClock) -> Iterator[Bench]:
    with vault(db, MemoryEngine(), tmp_path, clock) as found:
        bench = Bench(found)
        assert bench.ask("PUT", "/box").status == 200
        statement = {
            "Effect": "Allow", "Principal": {"AWS": OTHER}, "Action": ["s3:PutObjectTagging", "s3:PutObjectAcl"],
            "Resource": "arn:aws:s3:::box/*", "Condition": {"StringEquals": {"s3:ExistingObjectTag/open": "yes"}},
        }  # fmt: skip
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]}).encode()
        assert bench.ask("PUT", "/box?policy", policy).status == 204
        assert bench.ask("PUT", "/box/k", b"first", x_amz_tagging="open=yes").status == 200
        yield bench


def replaced(s3: Bench, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """Right after the next look at the object, the owner puts or deletes it."""
    look, waiting = Objects.head, [method]

    def head(self: Objects, *what: Any) -> Any:
        found = look(self, *what)
        if waiting:
            caller = s3._admission.caller
            s3.ask(waiting.pop(), "/box/k", b"second" if method == "PUT" else b"")
            s3._admission.caller = caller
        return found

    monkeypatch.setattr(Objects, "head", head)


@pytest.mark.parametrize(("target", "body", "headers"), [("?tagging", TAGS, {}), ("?acl", b"", PUBLIC)])
def test_the_change_is_made_on_what_is_there_then(
    s3: Bench, monkeypatch: pytest.MonkeyPatch, target: str, body: bytes, headers: dict[str, str]
) -> None:
    replaced(s3, monkeypatch, "PUT")
    assert s3.ask("PUT", f"/box/k{target}", body, **headers).status == 200
    assert s3.ask("GET", "/box/k").body == b"second"
    shown = s3.ask("GET", f"/box/k{target}").body
    assert b"<Value>no</Value>" in shown or b"AllUsers" in shown
    replaced(s3, monkeypatch, "DELETE")
    assert s3.ask("PUT", f"/box/k{target}", body, **headers).code == "NoSuchKey"


@pytest.mark.parametrize(("target", "body", "headers"), [("?tagging", TAGS, {}), ("?acl", b"", PUBLIC)])
def test_the_right_is_asked_again_for_what_is_there_then(
    s3: Bench, monkeypatch: pytest.MonkeyPatch, target: str, body: bytes, headers: dict[str, str]
) -> None:
    replaced(s3, monkeypatch, "PUT")
    assert s3.ask("PUT", f"/box/k{target}", body, "other", **headers).code == "AccessDenied"
    assert b"AllUsers" not in s3.ask("GET", "/box/k?acl").body
    assert b"<Value>no</Value>" not in s3.ask("GET", "/box/k?tagging").body

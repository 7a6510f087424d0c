"""The serial form of an audit event: what is hashed into the ledger never changes by a byte."""

from __future__ import annotations

import json

import pytest

from andromede.audit import Draft, event_bytes
from andromede.errors import Invalid

_DRAFT = Draft("t", "user:u", "s3:PutObject", 'ü/"k"?v=null', "req-1", detail={"door": "s3", "bytes": 3, "a": "z"})


def test_an_event_is_written_in_the_order_of_its_names() -> None:
    expected = (
        '{"action":"s3:PutObject","actor":"user:u","detail":{"a":"z","bytes":3,"door":"s3"},'
        '"object":"ü/\\"k\\"?v=null","outcome":"success","purpose":"CUSTOMER_ACCESS","request_id":"req-1",'
        '"seq":7,"source":"objects-0","ts":1795881313928987,"v":1}'
    )
    assert event_bytes(_DRAFT, "objects-0", 7, 1795881313928987) == expected.encode()


@pytest.mark.parametrize("detail", [None, {}])
def test_nothing_is_said_of_no_detail(detail: dict[str, str | int] | None) -> None:
    body = event_bytes(Draft("t", "u", "a", "o", "r", "denied", detail=detail), "api-0", 1, 2)
    assert body == json.dumps(json.loads(body), sort_keys=True, separators=(",", ":")).encode()
    assert set(json.loads(body)) == {
        "action", "actor", "object", "outcome", "purpose", "request_id", "seq", "source", "ts", "v"
    }  # fmt: skip


@pytest.mark.parametrize("detail", [None, {"z": "s", "a": 1}])
def test_bytes_that_are_no_utf8_are_written_as_they_came(detail: dict[str, str | int] | None) -> None:
    name = b"k\xff\xfe"
    body = event_bytes(Draft("t", "u", "a", name.decode("utf-8", "surrogateescape"), "r", detail=detail), "s", 1, 2)
    told = b'"detail":{"a":1,"z":"s"},' if detail else b""
    assert body.startswith(b'{"action":"a","actor":"u",' + told + b'"object":"' + name + b'","outcome"')


def test_a_purpose_is_one_of_the_known() -> None:
    with pytest.raises(Invalid):
        event_bytes(Draft("t", "u", "a", "o", "r", purpose="CURIOSITY"), "s", 1, 2)

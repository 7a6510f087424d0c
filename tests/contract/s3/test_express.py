"""The short way answers exactly as the long one: generated requests go both ways, and neither may tell them apart."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from andromede.objects.s3.express import Express
from tests.contract.s3.client import Answer, Client

OWN = frozenset(("x-amz-request-id", "x-amz-id-2", "andromede-ledger", "date", "last-modified", "x-amz-version-id"))
DATA = b"some bytes"
VERSIONED = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
DENY = json.dumps(
    {"Version": "2012-10-17", "Statement": [
        {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::ruled/secret"}]}
)  # fmt: skip
RULE = (
    "<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status><Filter><Prefix></Prefix></Filter>"
    "<Expiration><Days>9</Days></Expiration></Rule></LifecycleConfiguration>"
)
CORS = (
    "<CORSConfiguration><CORSRule><AllowedOrigin>http://page.test</AllowedOrigin><AllowedMethod>GET</AllowedMethod>"
    "</CORSRule></CORSConfiguration>"
)
EXTRA: dict[str, list[str]] = {
    "content-type": ["text/plain", "", "a/b; charset=x"],
    "user-agent": ["curl/8"],
    "x-amz-checksum-mode": ["ENABLED", "enabled", "off"],
    "range": ["bytes=0-3", "bytes=99-"],
    "if-none-match": ["*", '"x"'],
    "if-match": ["*", '"x"'],
    "origin": ["http://page.test"],
    "x-amz-meta-colour": ["blue"],
    "x-amz-storage-class": ["STANDARD", "GLACIER"],
    "x-amz-tagging": ["a=b"],
    "x-amz-acl": ["public-read", "nonsense"],
    "x-amz-checksum-crc32": ["AAAAAA==", "not base64"],
    "x-amz-sdk-checksum-algorithm": ["CRC32", "NONE"],
    "content-md5": ["AAAA", "1B2M2Y8AsgTpgAmY7PhCfg=="],
    "cache-control": ["no-store"],
    "x-amz-expected-bucket-owner": ["p1", "p9"],
    "x-amz-server-side-encryption": ["AES256", "what"],
    "expect": ["100-continue"],
}
PATHS = [
    "/box/k", "/box/absent", "/box/a//b", "/box/with%20blank", "/box/%zz", "/none/k", "/ruled/k", "/ruled/secret",
    "/old/k", "/versioned/k", "/versioned/gone", "/cors/k", "/box/meta", "/box/empty", "/p1:box/k", "/other/k",
    "/box/" + "x" * 1025,
]  # fmt: skip
ABSENT = frozenset(("/box/absent", "/box/with%20blank", "/versioned/gone"))
"""Keys that there are not before a request, so that a conditional PUT finds the same both ways."""
ASKS = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "HEAD", "PUT"]),
        "target": st.sampled_from(PATHS),
        "body": st.sampled_from([b"", b"x", DATA, bytes(70_000)]),
        "headers": st.lists(
            st.sampled_from(sorted(EXTRA)).flatmap(lambda name: st.tuples(st.just(name), st.sampled_from(EXTRA[name]))),
            max_size=2,
        ).map(dict),
        "who": st.sampled_from(["KEY1", "KEY1", "KEY1", "KEY2", "READER1", "AUDITOR1", "RESELLER1", None]),
        "payload": st.sampled_from([None, None, "UNSIGNED-PAYLOAD", "0" * 64, "STREAMING-UNSIGNED-PAYLOAD-TRAILER"]),
        "broken": st.sampled_from([False] * 5 + [True]),
    }
)


def summed(text: str) -> dict[str, str]:
    return {"content-md5": base64.b64encode(hashlib.md5(text.encode()).digest()).decode()}


@pytest.fixture
def furnished(s3: Client) -> Client:
    for name in ("box", "ruled", "old", "versioned", "cors"):
        s3.bucket(name)
    s3.acting("KEY2").bucket("other")
    assert s3("PUT", "/versioned?versioning", VERSIONED).status == 200
    for target in (
        "/box/k",
        "/box/a//b",
        "/ruled/k",
        "/ruled/secret",
        "/old/k",
        "/versioned/k",
        "/versioned/gone",
        "/cors/k",
    ):
        assert s3("PUT", target, DATA).status == 200
    assert s3("PUT", "/box/empty").status == 200
    assert s3("PUT", "/box/meta", DATA, {"x-amz-meta-colour": "blue", "content-type": "text/plain"}).status == 200
    assert s3.acting("KEY2")("PUT", "/other/k", DATA).status == 200
    assert s3("DELETE", "/versioned/gone").status == 204
    assert s3("PUT", "/ruled?policy", DENY).status == 204
    assert s3("PUT", "/old?lifecycle", RULE, summed(RULE)).status == 200
    assert s3("PUT", "/cors?cors", CORS, summed(CORS)).status == 200
    return s3


def told(client: Client, ask: dict[str, Any], quick: bool) -> Answer:
    """The answer one way."""
    if ask["method"] == "PUT" and ask["target"] in ABSENT:
        assert client("DELETE", ask["target"]).status == 204
    acting = client.acting(ask["who"])
    acting.quick = quick
    headers = {"host": "127.0.0.1:8701", "content-length": str(len(ask["body"])), **ask["headers"]}
    request = acting.request(ask["method"], ask["target"], ask["body"], headers, payload=ask["payload"])
    if ask["broken"] and ask["who"]:
        request.target = request.path = request.path + b"."
    return acting.send(request)


def comparable(answer: Answer) -> tuple[int, dict[str, str], bytes]:
    """What must be the same, and that the rest is there on both."""
    # whether a refusal names its place here depends on the stock of places, and not on the way
    kept = {name: "" if name in OWN else value for name, value in answer.headers.items() if name != "andromede-ledger"}
    body = answer.body
    for name in OWN:
        if value := answer.headers.get(name):
            body = body.replace(value.encode(), b"")
    return answer.status, kept, body


@given(ASKS)
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_ways_say_the_same(furnished: Client, ask: dict[str, Any]) -> None:
    long = told(furnished, ask, False)
    short = told(furnished, ask, True)
    assert comparable(short) == comparable(long)


def test_plain_requests_take_the_short_way(furnished: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[bool] = []
    answer = Express.answer

    def noted(self: Express, request: Any) -> Any:
        found = answer(self, request)
        taken.append(found is not None)
        return found

    monkeypatch.setattr(Express, "answer", noted)
    crc = {"x-amz-checksum-crc32": "XwFIOw==", "x-amz-sdk-checksum-algorithm": "CRC32"}
    for method, target, body, headers in (
        ("PUT", "/box/new", DATA, {}), ("GET", "/box/new", b"", {"x-amz-checksum-mode": "ENABLED"}),
        ("HEAD", "/box/new", b"", {}), ("GET", "/versioned/k", b"", {}), ("PUT", "/versioned/k", DATA, {}),
        ("GET", "/cors/k", b"", {}), ("GET", "/box/meta", b"", {}), ("PUT", "/box/summed", b"x", crc),
    ):  # fmt: skip
        furnished(method, target, body, headers)
    assert taken[:-1] == [True] * 7
    assert len(taken) == 8


def test_both_ways_leave_the_same_event(furnished: Client) -> None:
    def event(quick: bool, method: str, body: bytes) -> dict[str, Any]:
        told(furnished, {"method": method, "target": "/box/same", "body": body, "headers": {}, "who": "KEY1",
                         "payload": None, "broken": False}, quick)  # fmt: skip
        for _ in range(200):
            furnished("PUT", "/box/tick", b"")
            found = [json.loads(bytes(row[0])) for row in furnished.events()]  # type: ignore[call-overload]
            mine = [e for e in found if str(e["object"]).startswith("box/same")]
            if len(mine) > len(seen):
                seen.append(mine[-1])
                return {k: v for k, v in mine[-1].items() if k not in ("seq", "ts", "object")}
        raise AssertionError("the event never came")

    seen: list[dict[str, Any]] = []
    assert event(False, "PUT", DATA) == event(True, "PUT", DATA)
    assert event(False, "GET", b"") == event(True, "GET", b"")
    assert event(False, "HEAD", b"") == event(True, "HEAD", b"")

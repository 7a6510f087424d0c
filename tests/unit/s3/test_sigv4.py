"""Signature version 4 against an independent signer."""

from __future__ import annotations

import datetime as dt
import hashlib

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from andromede.errors import Denied, Invalid
from andromede.objects.s3 import sigv4
from andromede.objects.s3.place import parse_query
from andromede.web.stream.body import BufferedBody
from andromede.web.stream.message import Headers, Request

KEYS = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
HOST = "127.0.0.1:8701"


def as_received(signed: AWSRequest, extra: tuple[tuple[str, str], ...] = ()) -> Request:
    prepared = signed.prepare()
    target = prepared.url.partition(HOST)[2].encode()
    path, _, query = target.partition(b"?")
    pairs = [("host", HOST), *extra]
    for name, value in prepared.headers.items():
        if name.lower() != "host":
            pairs.append((name, value.decode() if isinstance(value, bytes) else value))
    return Request(
        signed.method, target, path, query, Headers.of(*pairs), "http", "127.0.0.1", BufferedBody(b""), "req-1"
    )


def signed(method: str, path: str, headers: dict[str, str] | None = None) -> AWSRequest:
    request = AWSRequest(method, f"http://{HOST}{path}", headers=headers or {}, data=b"hello")
    S3SigV4Auth(KEYS, "s3", "fr1").add_auth(request)
    return request


def presigned(path: str, expires: int = 600) -> AWSRequest:
    request = AWSRequest("GET", f"http://{HOST}{path}")
    S3SigV4QueryAuth(KEYS, "s3", "fr1", expires=expires).add_auth(request)
    return request


@pytest.mark.parametrize(
    "path",
    [
        "/bucket/key",
        "/bucket/a%20b/c%2Bd//e",
        "/bucket/%C3%A9t%C3%A9/../x",
        "/bucket/~tilde-_.",
        "/bucket?list-type=2&prefix=a%2Fb&delimiter=%2F",
        "/bucket?versions&max-keys=3",
        "/bucket/key?partNumber=1&uploadId=abc%3D%3D",
        "/",
    ],
)
def test_header_signatures_of_another_implementation_hold(path: str) -> None:
    request = as_received(signed("PUT", path, {"x-amz-meta-a": "one   two", "Content-Type": "text/plain"}))
    claimed = sigv4.from_header(request, request.headers.get("authorization") or "")
    assert sigv4.verify(request, claimed, KEYS.secret_key)
    with pytest.raises(Denied) as refused:
        sigv4.verify(request, claimed, "other")
    assert refused.value.reason == "signature"


@pytest.mark.parametrize("path", ["/bucket/key", "/bucket/a%20b?versionId=3&response-content-type=text%2Fplain"])
def test_presigned_requests_hold(path: str) -> None:
    request = as_received(presigned(path))
    claimed = sigv4.from_query(request, parse_query(request.query))
    assert claimed.payload == sigv4.UNSIGNED and claimed.expires == 600
    assert sigv4.verify(request, claimed, KEYS.secret_key)


def test_every_amz_header_must_be_signed() -> None:
    request = as_received(presigned("/bucket/key"), (("x-amz-copy-source", "other/secret"),))
    claimed = sigv4.from_query(request, parse_query(request.query))
    with pytest.raises(Denied, match="x-amz-copy-source"):
        sigv4.verify(request, claimed, KEYS.secret_key)


def test_a_changed_byte_breaks_the_signature() -> None:
    request = as_received(signed("GET", "/bucket/key"))
    claimed = sigv4.from_header(request, request.headers.get("authorization") or "")
    request.path = b"/bucket/kez"
    with pytest.raises(Denied):
        sigv4.verify(request, claimed, KEYS.secret_key)


def claim(stamp: str, expires: int | None = None, date: str = "20260101") -> sigv4.Claimed:
    scope = sigv4.scope_of(f"A/{date}/fr1/s3/aws4_request", "host", "auth_header")
    return sigv4.Claimed(scope, "0" * 64, stamp, sigv4.UNSIGNED, expires)


NOW = int(dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("claimed", "error", "reason"),
    [
        (claim("20260101T114400Z"), Denied, "skew"),
        (claim("20260101T121600Z"), Denied, "skew"),
        (claim("nonsense"), Denied, "access"),
        (claim("20260101T120000Z", date="20260102"), Invalid, "auth_header"),
        (claim("20260101T120000Z", 0), Denied, "access"),
        (claim("20260101T120000Z", -1), Denied, "access"),
        (claim("20260101T120000Z", 604_801), Denied, "access"),
        (claim("20260101T110000Z", 3599), Denied, "access"),
        (claim("20260101T130000Z", 60), Denied, "access"),
    ],
)
def test_times_outside_the_window_are_refused(claimed: sigv4.Claimed, error: type[Exception], reason: str) -> None:
    with pytest.raises(error) as refused:
        sigv4.check_time(claimed, NOW)
    assert refused.value.reason == reason  # type: ignore[attr-defined]


@pytest.mark.parametrize("claimed", [claim("20260101T120500Z"), claim("20260101T115000Z", 604_800)])
def test_times_inside_the_window_pass(claimed: sigv4.Claimed) -> None:
    sigv4.check_time(claimed, NOW)
    assert claimed.scope.text == "20260101/fr1/s3/aws4_request"


def test_the_region_may_be_empty_and_keys_may_hold_slashes() -> None:
    scope = sigv4.scope_of("A/B/20260101//s3/aws4_request", "host;x-amz-date", "auth_header")
    assert (scope.access_key, scope.region, scope.signed) == ("A/B", "", (b"host", b"x-amz-date"))


@pytest.mark.parametrize("text", ["", "A/2026", "/20260101/fr1/s3/aws4_request", "A/20260101/fr1/s3/aws5_request"])
def test_malformed_credentials_are_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        sigv4.scope_of(text, "host", "auth_header")
    assert refused.value.reason == "auth_header"


def test_empty_sha256_is_what_it_says() -> None:
    assert hashlib.sha256(b"").hexdigest() == sigv4.EMPTY_SHA256


VALUES = st.text(st.sampled_from("ab ,\t"), max_size=6)
NAMES = st.sampled_from(["x-amz-date", "x-amz-meta-a", "range", "content-type"])


@given(st.lists(st.tuples(NAMES, VALUES), max_size=5), st.sets(NAMES), st.booleans())
def test_a_plain_request_has_the_canonical_form_of_any(
    pairs: list[tuple[str, str]], names: set[str], host: bool
) -> None:
    """The short way to it and the long one; and what is not signed is refused by both."""
    fields = [("host", HOST), *((name, value.strip(" \t")) for name, value in pairs)]
    request = Request(
        "GET", b"/b/k?a=1", b"/b/k", b"a=1", Headers.of(*fields), "http", "127.0.0.1", BufferedBody(), "req-1"
    )
    signed_names = ";".join(sorted(names | ({"host"} if host else set())) or ["range"])
    scope = sigv4.scope_of("KEY/20260101/fr1/s3/aws4_request", signed_names, "auth_header")
    claimed = sigv4.Claimed(scope, "", "20260101T000000Z", sigv4.UNSIGNED)
    found: list[bytes | str] = []
    for way in (sigv4.canonical_request, sigv4._canonical_of_any):
        try:
            found.append(way(request, claimed))
        except Denied as refused:
            found.append(refused.public)
    assert found[0] == found[1]

"""Heads that are refused, and heads that are not, because two parsers must never see two requests."""

from __future__ import annotations

import pytest

from andromede.web.stream.faults import BadRequest
from andromede.web.stream.head import early_fault, parse_head
from andromede.web.stream.limits import Limits

LIMITS = Limits()

REFUSED = [
    (b"", 400),
    (b"GET /", 400),
    (b"GET / HTTP/1.1 x\r\nHost: a", 400),
    (b"GET  / HTTP/1.1\r\nHost: a", 400),
    (b" GET / HTTP/1.1\r\nHost: a", 400),
    (b"GET\t/ HTTP/1.1\r\nHost: a", 400),
    (b"G(T / HTTP/1.1\r\nHost: a", 400),
    (b"\x16\x03\x01 / HTTP/1.1\r\nHost: a", 400),
    (b"A" * 40 + b" / HTTP/1.1\r\nHost: a", 400),
    (b"GET / HTTP/2.0\r\nHost: a", 505),
    (b"GET / HTTP/1.9\r\nHost: a", 505),
    (b"GET / http/1.1\r\nHost: a", 400),
    (b"GET / HTTP/1.10\r\nHost: a", 400),
    (b"GET noslash HTTP/1.1\r\nHost: a", 400),
    (b"GET * HTTP/1.1\r\nHost: a", 400),
    (b"CONNECT a:80 HTTP/1.1\r\nHost: a", 400),
    (b"GET ftp://a/b HTTP/1.1\r\nHost: a", 400),
    (b"GET http:///b HTTP/1.1\r\nHost: a", 400),
    (b"GET /a\x7f HTTP/1.1\r\nHost: a", 400),
    (b"GET /a\0 HTTP/1.1\r\nHost: a", 400),
    (b"GET / HTTP/1.1", 400),
    (b"GET / HTTP/1.1\r\nX: y", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a", 400),
    (b"GET / HTTP/1.1\nHost: a", 400),
    (b"GET / HTTP/1.1\r\nHost: a\nX: y", 400),
    (b"GET / HTTP/1.1\r\nHost: a\rX: y", 400),
    (b"GET / HTTP/1.1\r\nHost: a\rb\nX: y", 400),
    (b"GET / HTTP/1.1\r\nHost: a\n\rX: y", 400),
    (b"GET / HTTP/1.1\r\nHost : a", 400),
    (b"GET / HTTP/1.1\r\n Host: a", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n folded", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\tfolded", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nnocolon", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\n: empty", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX\xe9: y", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: y\x00z", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: y\x0bz", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: \x7f", 400),
    (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked", 400),
    (b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5", 400),
    (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5", 400),
    (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\ncontent-length: 6", 400),
    (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5", 400),
    (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: -1", 400),
    (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: +5", 400),
    (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5", 400),
    (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5.0", 400),
    (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5 6", 400),
    (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1_0", 400),
    (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: \xb2", 400),
    (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length:", 400),
    (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999999999999", 400),
    (b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity", 400),
    (b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked", 400),
    (b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity", 400),
    (b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked", 400),
    (b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 400),
    (b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked", 400),
    (b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked", 400),
    (b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:", 400),
    (b"PUT / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked", 400),
    (b"GET / HTTP/1.1\r\nHost: a" + b"\r\nX: y" * 200, 431),
]


@pytest.mark.parametrize(("block", "status"), REFUSED)
def test_a_head_that_two_parsers_might_read_differently_is_refused(block: bytes, status: int) -> None:
    with pytest.raises(BadRequest) as caught:
        parse_head(block, LIMITS)
    assert caught.value.status == status
    assert caught.value.kind == "invalid"


def test_values_are_kept_as_received() -> None:
    head = parse_head(
        b"PUT /b/k%20\xc3\xa9?a=b?c HTTP/1.1\r\nHost:  Some.Host:80 \r\nX-Amz-Meta-N:\t caf\xe9 \xc3\xa9\t\r\n"
        b"Accept-Encoding: identity\r\nx-amz-meta-n: second\r\nContent-Length: 007",
        LIMITS,
    )
    assert (head.method, head.target, head.path, head.query) == (
        "PUT",
        b"/b/k%20\xc3\xa9?a=b?c",
        b"/b/k%20\xc3\xa9",
        b"a=b?c",
    )
    assert head.headers.raw == (
        (b"host", b"Some.Host:80"),
        (b"x-amz-meta-n", b"caf\xe9 \xc3\xa9"),
        (b"accept-encoding", b"identity"),
        (b"x-amz-meta-n", b"second"),
        (b"content-length", b"007"),
    )
    assert head.length == 7
    assert head.headers.get("X-AMZ-META-N") == "caf\xe9 \xc3\xa9"
    assert head.headers.all("x-amz-meta-n") == ["caf\xe9 \xc3\xa9", "second"]
    assert "Host" in head.headers and "etag" not in head.headers
    assert head.headers.get("etag") is None


@pytest.mark.parametrize(
    ("lines", "keep"),
    [
        (b"", True),
        (b"\r\nConnection: close", False),
        (b"\r\nConnection: Keep-Alive, Close", False),
        (b"\r\nConnection: keep-alive\r\nConnection: close", False),
        (b"\r\nConnection: closer", True),
    ],
)
def test_keep_alive_follows_connection(lines: bytes, keep: bool) -> None:
    assert parse_head(b"GET / HTTP/1.1\r\nHost: a" + lines, LIMITS).keep_alive is keep


def test_http_1_0_closes_and_needs_no_host() -> None:
    head = parse_head(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue", LIMITS)
    assert head.http10 and not head.keep_alive and not head.expects and head.length == 0


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [(b"http://a.b:80/x/y?q", b"/x/y", b"q"), (b"https://a", b"/", b""), (b"HTTP://a?q=1", b"/", b"q=1")],
)
def test_absolute_form(target: bytes, path: bytes, query: bytes) -> None:
    head = parse_head(b"GET " + target + b" HTTP/1.1\r\nHost: a", LIMITS)
    assert (head.target, head.path, head.query) == (target, path, query)


def test_asterisk_form_is_for_options() -> None:
    assert parse_head(b"OPTIONS * HTTP/1.1\r\nHost: a", LIMITS).path == b"*"


def test_only_100_continue_is_an_expectation() -> None:
    assert parse_head(b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue", LIMITS).expects
    assert not parse_head(b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: cookies", LIMITS).expects


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\n", b"\x16\x03\x01", b"\rG", b"\n"])
def test_nonsense_is_recognised_before_it_ends(start: bytes) -> None:
    assert early_fault(start) is not None


@pytest.mark.parametrize("start", [b"", b"G", b"\r", b"GET / HTTP/1.1\r", b"GET / HTTP/1.1\r\nHost"])
def test_a_good_beginning_is_waited_on(start: bytes) -> None:
    assert early_fault(start) is None

"""What a front proxy and the API port could read differently is refused, and nothing piles up."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
from pathlib import Path

import pytest

from andromede.web.strict import HEAD_BYTES, HEAD_LINES

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: h\r\n"


def everything(port: int, data: bytes, half_close: bool = False) -> bytes:
    """All bytes until the port closes the connection, or says nothing for a while."""
    got = b""
    with socket.create_connection(("127.0.0.1", port), timeout=3) as client, contextlib.suppress(OSError):
        client.sendall(data)
        if half_close:
            client.shutdown(socket.SHUT_WR)
        while piece := client.recv(1 << 16):
            got += piece
    return got


def statuses(answers: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) [^\r]*\r\n", answers)]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n", 400),
        (b"GET /healthz\r\n\r\n", 505),
        (b"GET /healthz HTTP/1.1\nHost: h\n\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n", 400),
        (POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (POST + b"Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd", 400),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"a" * HEAD_BYTES + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: h\r\nA: " + b"a" * 600_000, 431),
        (b"GET /" + b"a" * 600_000, 431),
        (b"GET / HTTP/1.1\r\nHost: h\r\n" + b"A: b\r\n" * (HEAD_LINES + 1) + b"\r\n", 431),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: b\r\n" * (HEAD_LINES + 1) + b"\r\n", 431),
        (b"BREW / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ],
)  # fmt: skip
def test_it_is_refused_in_the_form_of_every_error(port: int, request_: bytes, status: int) -> None:
    answers = everything(port, request_)
    if len(request_) > 400_000 and not answers:
        return  # refused while the client was still sending: the reset may overtake the answer
    assert statuses(answers) == [status]
    assert re.search(rb"x-openstack-request-id: req-[0-9a-f-]{36}\r\n", answers)
    assert b'{"error": {"code": %d' % status in answers


def test_a_refusal_waits_for_the_answers_that_are_due(port: int) -> None:
    broken = POST + b"Content-Length: x\r\n\r\n"
    assert statuses(everything(port, HEALTH * 3 + broken + HEALTH)) == [200, 200, 200, 400]
    cut_off = POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"
    assert statuses(everything(port, HEALTH * 2 + cut_off + HEALTH)) == [200, 200, 400]


def test_half_closed_clients_get_their_answers(port: int) -> None:
    assert statuses(everything(port, HEALTH * 2, half_close=True)) == [200, 200]
    assert statuses(everything(port, HEALTH + HEALTH[:-2], half_close=True)) == [200]
    assert statuses(everything(port, POST + b"Content-Length: 5\r\n\r\nabc", half_close=True)) == []


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c"])
def test_no_other_protocol_is_spoken(port: int, protocol: bytes) -> None:
    upgrade = HEALTH[:-2] + b"Connection: upgrade\r\nUpgrade: " + protocol + b"\r\n\r\n"
    answers = everything(port, upgrade + HEALTH)
    assert statuses(answers) == [200]
    assert b"connection: close\r\n" in answers


def test_trailers_are_no_headers(port: int) -> None:
    """A field that only counts before a body (a token, a host) must not come in behind a proxy's back."""
    body = b"Transfer-Encoding: chunked\r\n\r\n0\r\nHost: other.example\r\nX-Auth-Token: x\r\n\r\n"
    answers = everything(port, b"GET / HTTP/1.1\r\nHost: first.example\r\n" + body)
    assert statuses(answers) == [200]
    assert b"other.example" not in answers


def test_a_pipeline_does_not_pile_up(port: int) -> None:
    """The client sends requests as fast as it can and reads nothing: what is parsed and waits stays bounded."""
    flood = HEALTH * 5000

    def memory() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = memory()
    with socket.create_connection(("127.0.0.1", port), timeout=0.5) as client:
        end = time.monotonic() + 2
        with contextlib.suppress(TimeoutError):
            while time.monotonic() < end:
                client.sendall(flood)
        assert memory() - before < 64 << 20

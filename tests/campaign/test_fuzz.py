"""Hostile input, short: `fuzz.py` and `fuzz_idle.py` on one installation, and their own reference parser."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator

import pytest

from tests.campaign import fuzz, fuzz_idle, fuzz_raw, fuzz_strict
from tests.campaign.fuzz_ask import Target
from tests.campaign.fuzz_wire import Reply
from tests.support.installation import Installation

pytestmark = pytest.mark.timeout(600)
REQUESTS, SECONDS, LEAST = 10_000, 18.0, 500
"""Of each seed: as many as this, or as a slow machine gets done in the time."""
IDLE = 400


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    found = Installation.fresh()
    with found:
        yield found
    shutil.rmtree(found.data, ignore_errors=True)


@pytest.fixture(scope="module")
def attacked(installation: Installation) -> Target:
    return fuzz.target(installation)


@pytest.mark.parametrize("seed", ["1", "fresh"])
def test_nothing_comes_of_hostile_input(installation: Installation, attacked: Target, seed: str) -> None:
    seed = secrets.token_hex(4) if seed == "fresh" else seed
    total = fuzz.attack(attacked, seed, REQUESTS, clients=3, seconds=SECONDS)
    assert not total.findings, f"seed {seed}: {total.findings[:3]}"
    assert total.answered + total.raw > LEAST
    assert len(total.worked) > 50, "most requests were refused at the door"
    assert fuzz.alerts(installation) == []
    assert fuzz.works(installation) == []


@pytest.mark.parametrize("port", ["objects", "api"])
def test_idle_connections_are_cheap_and_in_nobodys_way(installation: Installation, port: str) -> None:
    fuzz_idle.raise_limit(IDLE + 200)
    crowd = fuzz_idle.Crowd(installation.objects if port == "objects" else installation.api)
    fuzz_idle.pace(installation, 5)
    crowd.grow(20)
    before = fuzz_idle.held(installation)
    crowd.grow(IDLE)
    try:
        assert (fuzz_idle.held(installation) - before) / IDLE < 48 * 1024
        assert fuzz_idle.pace(installation, 20).worst_ms < 10_000
    finally:
        crowd.close()


GOOD = fuzz_raw.GOOD["s3"]


@pytest.mark.parametrize(
    ("data", "count", "wrong"),
    [
        (GOOD * 3, 3, False),
        (b"\r\n" + GOOD, 1, False),
        (GOOD + b"\r\n\r\n" + GOOD, 1, True),
        (b"PUT /a HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\n\r\nabc" + GOOD, 2, False),
        (b"PUT /a HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\ncontent-length: 3\r\n\r\nabc" + GOOD, 0, True),
        (
            b"PUT /a HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\na: b\r\n\r\n" + GOOD,
            2,
            False,
        ),
        (b"PUT /a HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n", 0, True),
        (b"PUT /a HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n", 0, True),
        (b"GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n" + GOOD, 1, False),
        (b"GET / HTTP/1.1\r\nhost: h\r\nx: y\n\r\n", 0, True),
        (b"GET / HTTP/1.1\r\nhost : h\r\n\r\n", 0, True),
        (b"GET  / HTTP/1.1\r\nhost: h\r\n\r\n", 0, True),
    ],
)
def test_the_reference_parser_counts(data: bytes, count: int, wrong: bool) -> None:
    found = fuzz_strict.read(data)
    assert (len(found.methods), bool(found.fault)) == (count, wrong)


def test_a_smuggled_answer_would_be_seen() -> None:
    """The oracle itself: answers that nobody asked for, missing ones and 500s are findings."""
    fine, refused = Reply(200, {b"x-amz-request-id": b"1"}, b""), Reply(400, {b"x-amz-request-id": b"1"}, b"")
    closing = Reply(400, {b"x-amz-request-id": b"1", b"connection": b"close"}, b"")
    one, broken = fuzz_strict.read(GOOD), fuzz_strict.read(b"GET /\r\n\r\n" + GOOD)
    assert fuzz_raw.verdict(one, [fine]) == ""
    assert fuzz_raw.verdict(broken, [closing]) == ""
    assert fuzz_raw.verdict(one, [fine, fine])
    assert fuzz_raw.verdict(one, [])
    assert fuzz_raw.verdict(broken, [fine])
    assert fuzz_raw.verdict(broken, [refused, refused])
    assert fuzz_raw.verdict(one, [Reply(500, {b"x-amz-request-id": b"1"}, b"")])
    assert fuzz_raw.verdict(one, [Reply(200, {}, b"")])

"""However TCP cuts the same bytes, the edge sees the same requests and gives the same answers."""

from __future__ import annotations

import io
import itertools
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from andromede.log import Log
from andromede.web.stream import Commit, Limits, Parts, Request, Response, ShortBody
from andromede.web.stream.chunked import ChunkedDecoder
from andromede.web.stream.connection import Connection
from andromede.web.stream.core import Core, Counters
from tests.support.clock import FakeClock, FakeIds


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.closed = False
        self.paused = False

    def get_extra_info(self, name: str) -> Any:
        return ("192.0.2.1", 5)

    def set_write_buffer_limits(self, high: int) -> None:
        assert high >= 0

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: bytes) -> None:
        self.written += data

    def writelines(self, parts: list[bytes]) -> None:
        self.written += b"".join(parts)

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def can_write_eof(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True

    abort = close


class Loop:
    def time(self) -> float:
        return 0.0


class Recorder:
    """Answers with what it was asked."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []

    def express(self, request: Request) -> None:
        return None

    def quick(self, request: Request) -> bool:
        return True

    def handle(self, request: Request) -> Response | Commit[Any]:
        body = request.body.read()
        self.seen.append((request.method, request.target, request.headers.raw, body))
        return Response(200, [], body[:10])

    def error(self, request: Request | None, error: BaseException) -> Response:
        return Response(getattr(error, "status", 500))  # the wording may depend on what was seen first


LIMITS = Limits(head_bytes=300, head_lines=10, small_body=2000)


def run(pieces: list[bytes]) -> tuple[list[tuple[Any, ...]], bytes, bool]:
    recorder, wire = Recorder(), Wire()
    parts = Parts(recorder, None, FakeClock(), FakeIds(), Log(io.StringIO()), LIMITS)  # type: ignore[arg-type]
    core = Core(parts, Loop(), Counters())  # type: ignore[arg-type]
    connection = Connection(core)
    connection.connection_made(wire)  # type: ignore[arg-type]
    for piece in pieces:
        rest = piece
        while rest and not wire.closed:
            assert not wire.paused
            room = connection.get_buffer(-1)
            count = min(len(room), len(rest))
            assert count > 0
            room[:count] = rest[:count]
            rest = rest[count:]
            connection.buffer_updated(count)
    still = core.held
    connection.connection_lost(None)
    assert core.held == 0 and still <= len(b"".join(pieces))
    return recorder.seen, bytes(wire.written), wire.closed


PIECES = [
    b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n",
    b"\r\nGET /b?x HTTP/1.1\r\nHost: h\r\nX-Amz-Meta-A: \t caf\xe9 \r\n\r\n",
    b"PUT /c HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n0123456789",
    b"PUT /d HTTP/1.1\r\nHost: h\r\nContent-Length: 2000\r\n\r\n" + b"GET / HTTP/1.1\r\n\r\n" * 111 + b"xx",
    b"HEAD /e HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"y" * 260 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"y" * 400 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\n" + b"a: b\r\n" * 12 + b"\r\n",
    b"GET / HTTP/1.1\nHost: h\n\n",
    b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : h\r\n\r\n",
    b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    b"\x16\x03\x01\x02",
    b"GET /end HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=6), st.lists(st.integers(0, 5000), max_size=30))
def test_any_cut_gives_the_same_requests(parts: list[bytes], cuts: list[int]) -> None:
    wire = b"".join(parts)
    edges = sorted({0, len(wire), *(cut % (len(wire) + 1) for cut in cuts)})
    pieces = [wire[a:b] for a, b in itertools.pairwise(edges)]
    assert run(pieces) == run([wire])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=4))
def test_byte_by_byte_gives_the_same_requests(parts: list[bytes]) -> None:
    wire = b"".join(parts)
    assert run([wire[n : n + 1] for n in range(len(wire))]) == run([wire])


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_garbage_is_refused_or_waited_on_but_never_handled(garbage: bytes) -> None:
    seen, written, _ = run([garbage])
    assert seen == []
    assert written == b"" or written.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 ", b"HTTP/1.1 505 "))


def decode(wire: bytes, early: int, receives: list[int], reads: list[int]) -> tuple[bytes | None, bytes]:
    rest = memoryview(wire)[early:]
    step = 0

    def recv_into(view: memoryview) -> int:
        nonlocal rest, step
        size = receives[step % len(receives)] if receives else len(view)
        step += 1
        count = min(len(view), len(rest), max(1, size))
        view[:count] = rest[:count]
        rest = rest[count:]
        return count

    decoder = ChunkedDecoder(wire[:early], recv_into)
    out = b""
    turn = 0
    try:
        while not decoder.ended:
            piece = bytearray(reads[turn % len(reads)] if reads else 4096)
            turn += 1
            got = decoder.readinto(memoryview(piece))
            out += piece[:got]
    except ShortBody:
        return None, b""
    return out, decoder.beyond + bytes(rest)


CHUNKS = st.lists(st.binary(min_size=1, max_size=3000), max_size=6)
SIZES = st.lists(st.integers(1, 5000), max_size=5)


@settings(max_examples=200, deadline=None)
@given(CHUNKS, st.binary(max_size=50), st.integers(0, 20_000), SIZES, SIZES)
def test_chunked_coding_decodes_the_same_however_it_is_cut(
    chunks: list[bytes], after: bytes, early: int, receives: list[int], reads: list[int]
) -> None:
    wire = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n" + after
    assert decode(wire, min(early, len(wire)), receives, reads) == (b"".join(chunks), after)


@settings(max_examples=200, deadline=None)
@given(CHUNKS, st.data())
def test_a_cut_chunked_body_is_never_taken_for_whole(chunks: list[bytes], data: st.DataObject) -> None:
    wire = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    cut = data.draw(st.integers(0, len(wire) - 1))
    assert decode(wire[:cut], 0, [], [])[0] is None

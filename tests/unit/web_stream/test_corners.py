"""Corners: answers after pipelined ones, short bodies in chunks, failing parts, scarce buffers."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from andromede.errors import Unavailable
from andromede.web.stream import (
    BufferedBody,
    Chunk,
    Commit,
    Edge,
    Headers,
    Limits,
    Request,
    Response,
    done_many,
    listen,
)
from andromede.web.stream.body import StreamBody
from andromede.web.stream.channel import LostChannel
from andromede.web.stream.faults import Gone
from tests.support.certs import contexts
from tests.support.edge import read_all, serving

CLOSE = b"Host: a\r\nConnection: close\r\n\r\n"


def numbered(size: int, closed: threading.Event | None = None) -> Iterator[Chunk]:
    """`size` bytes in chunks of 64 KiB from one buffer."""
    buffer = memoryview(bytearray(65_536))
    try:
        for at in range(0, size, 65_536):
            count = min(65_536, size - at)
            buffer[:count] = bytes([at // 65_536 % 251]) * count
            yield buffer[:count]
    finally:
        if closed is not None:
            closed.set()


@pytest.mark.parametrize("factory", [None, asyncio.new_event_loop])
def test_a_streamed_answer_waits_for_the_answers_before_it(factory: Any) -> None:
    def handle(request: Request) -> Response:
        if request.path == b"/stream":
            return Response(200, [], numbered(3_000_000), 3_000_000)
        return Response(200, [], b"s" * 200_000)

    with serving(handle, inline=True, limits=Limits(), loop_factory=factory) as served, served.connect() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        wire = b"GET /small HTTP/1.1\r\nHost: a\r\n\r\n" * 30 + b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n"
        client.sendall(wire * 3 + b"GET /small HTTP/1.1\r\n" + CLOSE)
        answers = read_all(client).split(b"HTTP/1.1 200 OK")[1:]
    assert len(answers) == 94
    whole = b"".join(bytes(chunk) for chunk in numbered(3_000_000))
    for number, answer in enumerate(answers):
        assert answer.split(b"\r\n\r\n", 1)[1] == (whole if number % 31 == 30 else b"s" * 200_000)


def test_a_client_that_leaves_while_a_stream_waits_ends_it() -> None:
    closed = threading.Event()

    def handle(request: Request) -> Response:
        if request.path == b"/stream":
            return Response(200, [], numbered(3_000_000, closed), 3_000_000)
        return Response(200, [], b"s" * 60_000)

    with serving(handle, inline=True) as served:
        with served.connect() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(
                (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 200 + b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n") * 2
            )
            assert client.recv(100)
        assert served.ask(b"GET / HTTP/1.1\r\n" + CLOSE).endswith(b"s")
    assert served.edge.counters.in_flight == 0


@pytest.mark.parametrize(("declared", "status"), [(1000, b"200"), (999, b"500"), (1001, b"500"), (None, b"200")])
def test_a_short_body_in_chunks_goes_out_at_once(declared: int | None, status: bytes) -> None:
    closed = threading.Event()

    def handle(request: Request) -> Response:
        return Response(200, [], numbered(1000, closed), declared)

    with serving(handle, inline=True) as served:
        answer = served.ask(b"GET / HTTP/1.1\r\n" + CLOSE)
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert closed.wait(5)
        head = served.ask(b"HEAD / HTTP/1.1\r\n" + CLOSE)
        assert head.endswith(b"\r\n\r\n") and head.startswith(b"HTTP/1.1 200 ")
        assert (b"Content-Length" in head) is (declared is not None)


@pytest.mark.parametrize(("status", "length"), [(204, None), (304, None)])
def test_answers_without_a_body(status: int, length: int | None) -> None:
    with serving(lambda request: Response(status, [("ETag", '"e"')], b"ignored", length), inline=True) as served:
        answer = served.ask(b"GET / HTTP/1.1\r\n" + CLOSE)
    assert answer.endswith(b"\r\n\r\n") and b"Content-Length" not in answer


def test_failing_parts_become_errors() -> None:
    def handle(request: Request) -> Response | Commit[Any]:
        def render(value: int) -> Response:
            raise RuntimeError("cannot render")

        return Commit(lambda tx: 1, render)

    with serving(handle, inline=True) as served:
        assert served.ask(b"PUT / HTTP/1.1\r\n" + CLOSE).startswith(b"HTTP/1.1 500 ")

        def full(commit: Any, done: Any) -> None:
            raise Unavailable("too many writes wait; try again")

        served.committer.submit = full  # type: ignore[method-assign]
        assert served.ask(b"PUT / HTTP/1.1\r\n" + CLOSE).startswith(b"HTTP/1.1 503 ")

        def unsure(request: Request) -> bool:
            raise RuntimeError("cannot say")

        served.answerer.quick = unsure  # type: ignore[method-assign]
        assert served.ask(b"PUT / HTTP/1.1\r\n" + CLOSE).startswith(b"HTTP/1.1 503 ")
        assert "cannot say" in served.log.getvalue() and "cannot render" in served.log.getvalue()


def test_a_second_outcome_is_ignored() -> None:
    dones = []

    def handle(request: Request) -> Commit[int]:
        return Commit(lambda tx: 1, lambda value: Response(200, [], b"once"))

    with serving(handle, inline=True) as served:
        original = served.committer.submit

        def twice(commit: Any, done: Any) -> None:
            dones.append(done)
            original(commit, done)

        served.committer.submit = twice  # type: ignore[method-assign]
        with served.connect() as client:
            client.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.recv(1000).endswith(b"once")
            dones[0](Response(200, [], b"twice"))
            client.sendall(b"PUT / HTTP/1.1\r\n" + CLOSE)
            assert read_all(client).endswith(b"\r\n\r\nonce")


def test_tls_uploads_share_scarce_buffers(tmp_path: Path) -> None:
    def handle(request: Request) -> Response:
        digest = hashlib.sha256()
        piece = memoryview(bytearray(300_000))
        while count := request.body.readinto(piece):
            digest.update(piece[:count])
        return Response(200, [], digest.hexdigest().encode())

    limits = Limits(tick_seconds=0.05, buffer_bytes=65_536, buffers_total=3 * 65_536)
    bodies = [bytes([number]) * 2_000_000 for number in range(6)]
    answers: dict[int, bytes] = {}
    with serving(handle, tls=contexts(tmp_path), limits=limits) as served:

        def put(number: int) -> None:
            wire = b"PUT / HTTP/1.1\r\nContent-Length: 2000000\r\n" + CLOSE
            answers[number] = served.ask(wire, bodies[number])

        threads = [threading.Thread(target=put, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    for number, body in enumerate(bodies):
        assert answers[number].endswith(hashlib.sha256(body).hexdigest().encode())


def test_a_body_can_be_read_in_pieces() -> None:
    body = BufferedBody(b"0123456789")
    assert (body.read(3), body.read(0), body.read(), body.read(5)) == (b"012", b"", b"3456789", b"")
    room = bytearray(4)
    assert BufferedBody(b"xy").readinto(memoryview(room)) == 2 and room == b"xy\0\0"

    class Tail:
        rest = b"456789"

        def recv_into(self, view: memoryview) -> int:
            count = min(2, len(view))
            piece, self.rest = self.rest[:count], self.rest[count:]
            view[: len(piece)] = piece
            return len(piece)

    stream = StreamBody(10, b"0123", Tail(), None)
    assert (stream.read(3), stream.unread, stream.read(4), stream.read(), stream.read(1)) == (
        b"012",
        7,
        b"3456",
        b"789",
        b"",
    )


def test_headers_made_by_hand() -> None:
    headers = Headers.of(("X-A", "1"), ("x-a", b"\xe9"), ("B", ""))
    assert headers.get("x-A") == "1" and headers.all("X-a") == ["1", "\xe9"] and headers.get("b") == ""
    assert "X-a" in headers and 5 not in headers and repr(headers) == "Headers(['x-a', 'x-a', 'b'])"
    for number in range(5000):  # the memory of names is bounded
        assert f"Name-{number}" not in headers


def test_a_lost_channel_has_nothing_to_say() -> None:
    channel, called = LostChannel(), []
    assert channel.recv_into(memoryview(bytearray(5))) == 0 and channel.unseen() == b""
    with pytest.raises(Gone):
        channel.send(b"x")
    channel.when_writable(lambda: called.append(1))
    channel.shut()
    channel.close()
    assert called == [1]


def test_plain_callables_may_wait_for_commits_too() -> None:
    seen: list[Any] = []
    answer = Response(200)

    def done(outcome: Any) -> None:
        seen.append(outcome)

    done_many([(done, answer)])
    assert seen == [answer]


def test_listening_and_stopping_early() -> None:
    with contextlib.closing(listen("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        with contextlib.closing(listen("127.0.0.1", port)) as second:
            assert second.getsockname()[1] == port
        with pytest.raises(OSError):
            listen("192.0.2.1", port)
    with serving(lambda request: Response(200)) as served:
        early = Edge(served.edge._parts, listen("127.0.0.1", 0))
        early.stop(0.1)
        early.run()
        assert early.counters.connections == 0

"""Slow, stuck, greedy and vanishing clients; too much work; the end of a worker."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from andromede.web.stream import Chunk, Commit, Limits, Request, Response, ShortBody
from tests.support.certs import contexts
from tests.support.edge import Running, read_all, serving

CLOSE = b"Host: a\r\nConnection: close\r\n\r\n"
QUICK = Limits(
    tick_seconds=0.02,
    head_seconds=0.3,
    idle_seconds=0.3,
    small_seconds=0.3,
    stall_seconds=0.3,
    linger_seconds=0.1,
    small_body=1000,
)


def plain(request: Request) -> Response | Commit[Any]:
    return Response(200, [], b"%d" % len(request.body.read()))


@pytest.fixture(params=["tcp", "tls"])
def tls(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return contexts(tmp_path) if request.param == "tls" else None


def until(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


def dribble(client: socket.socket, first: bytes, slow: bytes = b"") -> bytes:
    """Send `first` at once if there is more, then byte by byte until the edge answers; its whole answer."""
    if slow:
        client.sendall(first)
    client.settimeout(0.02)
    for byte in slow or first:
        with contextlib.suppress(ConnectionError):  # the edge has answered and closed since
            client.sendall(bytes([byte]))
        with contextlib.suppress(TimeoutError):
            answer = client.recv(1 << 16)
            client.settimeout(20)
            return answer + read_all(client)
    raise AssertionError("nobody stopped the dribble")


def test_a_head_that_dribbles_is_answered_408(tls: Any) -> None:
    with serving(plain, limits=QUICK, tls=tls) as served, served.connect() as client:
        answer = dribble(client, b"GET / HTTP/1.1\r\nX-Slow: " + b"a" * 200)
        assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_small_body_that_dribbles_is_answered_408(tls: Any) -> None:
    with serving(plain, limits=QUICK, tls=tls) as served, served.connect() as client:
        answer = dribble(client, b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n", b"a" * 200)
        assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_large_body_that_dribbles_is_given_up(tls: Any) -> None:
    limits = replace(QUICK, upload_rate=1 << 20, stall_seconds=1.0)
    with serving(plain, limits=limits, tls=tls) as served, served.connect() as client:
        wire = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        answer = dribble(client, wire, b"1\r\nx\r\n" * 100)
    assert answer.startswith(b"HTTP/1.1 400 ") and b"bytes per second" in answer


def test_an_idle_connection_is_closed_silently(tls: Any) -> None:
    with serving(plain, limits=QUICK, tls=tls) as served, served.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"\r\n\r\n0")


@pytest.mark.parametrize(("size", "status"), [(900, b"408"), (100_000, b"400")])
def test_a_body_that_stalls_is_given_up(tls: Any, size: int, status: bytes) -> None:
    with serving(plain, limits=QUICK, tls=tls) as served, served.connect() as client:
        client.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\nabc" % size)
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"Connection: close" in answer


def test_a_slow_body_that_moves_is_waited_for(tls: Any) -> None:
    limits = replace(QUICK, stall_seconds=1.0)
    with serving(plain, limits=limits, tls=tls) as served, served.connect() as client:
        client.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\nConnection: close\r\n\r\n")
        for _ in range(5):
            time.sleep(0.25)  # each far below the stall, together above it
            client.sendall(bytes(10_000))
        assert read_all(client).endswith(b"\r\n\r\n50000")


def endless(chunk: int, closed: threading.Event) -> Iterator[Chunk]:
    buffer = memoryview(bytearray(chunk))
    try:
        while True:
            yield buffer
    finally:
        closed.set()


def test_a_client_that_stops_reading_is_cut_off(tls: Any) -> None:
    closed = threading.Event()

    def handle(request: Request) -> Response:
        return Response(200, [], endless(1 << 20, closed), 1 << 40)

    with serving(handle, limits=QUICK, tls=tls) as served, served.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(10)
        assert closed.wait(10)
        assert until(lambda: served.edge.counters.connections == 0 and len(served.access) == 1)
        assert served.access[0].aborted and served.access[0].bytes_out < 100 << 20


def test_a_client_that_does_not_read_pipelined_answers_is_bounded_and_cut_off() -> None:
    def handle(request: Request) -> Response:
        return Response(200, [], bytes(60_000))

    with serving(handle, inline=True, limits=QUICK) as served, served.connect(1) as client:
        with contextlib.suppress(OSError):
            for _ in range(400):
                client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 1000)
        assert served.edge.counters.bytes_out < 40 << 20
        assert until(lambda: served.edge.counters.connections == 0)


def test_clients_that_read_slowly_hold_no_thread(tls: Any) -> None:
    size = 30 << 20

    def chunks() -> Iterator[Chunk]:
        buffer = memoryview(bytearray(1 << 20))
        for number in range(30):
            buffer[:] = bytes([number]) * len(buffer)
            yield buffer

    def handle(request: Request) -> Response:
        return Response(200, [], chunks(), size) if request.path == b"/big" else Response(200, [], b"quick")

    limits = Limits(tick_seconds=0.05, threads=1, patience_seconds=0.05)
    with serving(handle, tls=tls, limits=limits) as served, contextlib.ExitStack() as stack:
        slow = [stack.enter_context(served.connect()) for _ in range(3)]
        for client in slow:
            client.sendall(b"GET /big HTTP/1.1\r\n" + CLOSE)
        assert served.ask(b"GET / HTTP/1.1\r\n" + CLOSE).endswith(b"quick")
        for client in slow:
            body = read_all(client).split(b"\r\n\r\n", 1)[1]
            assert len(body) == size and body == b"".join(bytes([number]) * (1 << 20) for number in range(30))


def test_clients_that_send_slowly_leave_threads_to_others(tls: Any) -> None:
    limits = Limits(tick_seconds=0.05, threads=3, upload_threads=2)
    with serving(plain, tls=tls, limits=limits) as served, contextlib.ExitStack() as stack:
        slow = [stack.enter_context(served.connect()) for _ in range(4)]
        for client in slow:
            client.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 100000\r\n\r\nabc")
        for _ in range(3):
            assert served.ask(b"GET / HTTP/1.1\r\n" + CLOSE).endswith(b"0")
        for client in slow:
            client.sendall(bytes(99_997))
            assert read_all(client).endswith(b"\r\n\r\n100000")


def test_answers_that_nobody_takes_are_bounded_in_total(tls: Any) -> None:
    def handle(request: Request) -> Response:
        return Response(200, [], bytes(8 << 20))

    limits = Limits(tick_seconds=0.05, unsent_bytes=20 << 20)
    with serving(handle, inline=True, limits=limits, tls=tls) as served, contextlib.ExitStack() as stack:
        deaf = [stack.enter_context(served.connect()) for _ in range(12)]
        for client in deaf:
            with contextlib.suppress(OSError):
                client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert until(lambda: len(served.access) == 12 and served.edge.counters.connections < 12)
        core = served.edge._core
        assert core is not None
        assert until(lambda: core.unsent <= 20 << 20)  # the one that is cut off gives back a turn later
        taken = b""
        with contextlib.suppress(OSError):
            while piece := deaf[0].recv(1 << 20):
                taken += piece
                if len(taken) > 8 << 20:
                    break
        assert len(taken) > 8 << 20


def test_a_slow_reader_gets_everything_in_order() -> None:
    def handle(request: Request) -> Response:
        return Response(200, [], request.path * 10_000)

    with serving(handle, inline=True) as served, served.connect() as client:
        client.sendall(b"".join(b"GET /%03d HTTP/1.1\r\nHost: a\r\n\r\n" % n for n in range(1000)))
        client.sendall(b"GET /end HTTP/1.1\r\n" + CLOSE)
        time.sleep(0.3)
        answers = read_all(client).split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert [answer[-3:] for answer in answers] == [b"%03d" % n for n in range(1000)] + [b"end"]


def test_a_client_that_vanishes_ends_upload_and_download(tls: Any) -> None:
    closed, errors = threading.Event(), []

    def handle(request: Request) -> Response:
        if request.method == "GET":
            return Response(200, [], endless(100_000, closed), 1 << 40)
        try:
            request.body.read()
        except ShortBody as error:
            errors.append(error)
            raise
        raise AssertionError("the body was cut")

    with serving(handle, tls=tls) as served:
        for wire in (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n" + bytes(500_000), b""):
            with served.connect() as client:
                client.sendall(wire or b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                time.sleep(0.1)
        assert closed.wait(5) and until(lambda: len(errors) == 1)
        assert until(lambda: served.edge.counters.connections == 0 and served.edge.counters.in_flight == 0)


def test_too_many_requests_for_the_threads_are_refused_with_retry_after() -> None:
    gate = threading.Event()

    def handle(request: Request) -> Response:
        gate.wait(10)
        return Response(200)

    with serving(handle, limits=Limits(tick_seconds=0.05, threads=2, queued_jobs=3)) as served:
        clients = [served.connect() for _ in range(9)]
        for client in clients:
            client.sendall(b"GET / HTTP/1.1\r\n" + CLOSE)
        assert until(lambda: len(served.access) == 4)
        gate.set()
        answers = [read_all(client) for client in clients]
        for client in clients:
            client.close()
    refused = [answer for answer in answers if answer.startswith(b"HTTP/1.1 503 ")]
    assert len(refused) == 4 and all(b"Retry-After: 1" in answer for answer in refused)
    assert sum(answer.startswith(b"HTTP/1.1 200 ") for answer in answers) == 5


def test_too_many_connections_are_refused() -> None:
    with serving(plain, limits=Limits(tick_seconds=0.05, connections=2)) as served:
        with served.connect() as one, served.connect() as two:
            for client in (one, two):
                client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                assert client.recv(1000)
            assert served.ask().startswith(b"HTTP/1.1 503 ")
        assert until(lambda: served.edge.counters.connections == 0)
        assert served.ask(b"GET / HTTP/1.1\r\n" + CLOSE).startswith(b"HTTP/1.1 200 ")


def test_half_received_requests_are_bounded_in_total() -> None:
    with serving(plain, limits=Limits(tick_seconds=0.05, held_bytes=200_000)) as served:
        clients = [served.connect() for _ in range(8)]
        for client in clients:
            client.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n")
        assert until(lambda: served.edge.counters.requests == 0 and len(served.answerer.errors) == 5)
        for client in clients:
            client.close()
        assert until(lambda: served.edge.counters.connections == 0)
        assert served.ask(b"PUT / HTTP/1.1\r\nContent-Length: 60000\r\n" + CLOSE, bytes(60_000)).endswith(b"60000")


def finish(served: Running, client: socket.socket) -> bytes:
    answer = read_all(client)
    served.thread.join(5)
    assert not served.thread.is_alive()
    return answer


def test_stopping_finishes_what_is_in_work_and_closes_the_rest(tls: Any) -> None:
    begun, gate = threading.Event(), threading.Event()

    def handle(request: Request) -> Response:
        if request.path == b"/slow":
            begun.set()
            gate.wait(10)
        return Response(200, [], b"done")

    with serving(handle, tls=tls) as served, served.connect() as busy, served.connect() as idle:
        idle.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert idle.recv(1000)
        busy.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        assert begun.wait(5)
        served.edge.stop(5.0)
        assert read_all(idle) == b""
        with pytest.raises(OSError):
            served.ask(b"GET / HTTP/1.1\r\n" + CLOSE)
        gate.set()
        answer = finish(served, busy)
    assert answer.endswith(b"\r\n\r\ndone") and b"Connection: close" in answer


def test_stopping_cuts_what_outlasts_the_grace_and_sees_its_end() -> None:
    closed = threading.Event()

    def tidied() -> Iterator[Chunk]:
        try:
            yield from endless(1000, threading.Event())
        finally:
            time.sleep(0.2)
            closed.set()

    def handle(request: Request) -> Response:
        return Response(200, [], tidied(), 1 << 40)

    with serving(handle) as served, served.connect() as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(1000)
        served.edge.stop(0.1)
        with contextlib.suppress(ConnectionError):
            finish(served, client)
        assert closed.is_set() and served.edge.counters.in_flight == 0


def test_a_bad_answer_of_a_handler_is_never_sent() -> None:
    def handle(request: Request) -> Response:
        if request.path == b"/unicode":
            return Response(200, [("X-Name", "Łódź"), ("X-Raw", b"caf\xe9")])
        return Response(200, [("X-Evil", "a\r\nSet-Cookie: b")])

    with serving(handle, inline=True) as served:
        answer = served.ask(b"GET / HTTP/1.1\r\n" + CLOSE)
        assert answer.startswith(b"HTTP/1.1 500 ") and b"Cookie" not in answer
        answer = served.ask(b"GET /unicode HTTP/1.1\r\n" + CLOSE)
        assert "X-Name: Łódź\r\n".encode() in answer and b"X-Raw: caf\xe9\r\n" in answer


def test_a_failing_error_renderer_or_access_log_does_not_break_the_edge() -> None:
    def handle(request: Request) -> Response:
        raise RuntimeError("first")

    with serving(handle, inline=True) as served:

        def broken(request: Request | None, error: BaseException) -> Response:
            raise RuntimeError("second")

        served.answerer.error = broken  # type: ignore[method-assign]
        assert served.ask(b"GET / HTTP/1.1\r\n" + CLOSE).startswith(b"HTTP/1.1 500 ")
        assert served.ask(b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 500 ")
        assert "first" in served.log.getvalue() and "second" in served.log.getvalue()

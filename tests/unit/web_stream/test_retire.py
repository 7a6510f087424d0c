"""A worker that has a successor: what was begun is answered, and each answer says that it is the last."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

from andromede.web.stream import Limits, Request, Response
from tests.support.certs import contexts
from tests.support.edge import Running, serving

GET = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"


def answer(client: socket.socket) -> bytes:
    found = b""
    while b"\r\n\r\nbody" not in found:
        part = client.recv(4096)
        assert part, found
        found += part
    return found


def refused(edge: Running) -> bool:
    try:
        socket.create_connection(("127.0.0.1", edge.port), timeout=5).close()
    except ConnectionError:
        return True
    return False


def plain(request: Request) -> Response:
    return Response(200, [], b"body")


def test_an_idle_connection_is_answered_once_more_and_closed() -> None:
    with serving(plain) as edge, edge.connect() as client:
        client.sendall(GET)
        assert b"connection: close" not in answer(client).lower()
        edge.edge.retire()
        while not refused(edge):
            pass
        client.sendall(GET)
        assert b"connection: close" in answer(client).lower()
        assert client.recv(1) == b""
        edge.thread.join(10)
        assert not edge.thread.is_alive()


def test_a_request_in_work_is_finished() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(request: Request) -> Response:
        begun.set()
        assert go_on.wait(20)
        return Response(200, [], b"body")

    with serving(slow) as edge, edge.connect() as client:
        client.sendall(GET)
        assert begun.wait(10)
        edge.edge.retire()
        while not refused(edge):
            pass
        edge.thread.join(1.5)  # longer than it waits for latecomers
        assert edge.thread.is_alive()
        go_on.set()
        assert b"connection: close" in answer(client).lower()
        edge.thread.join(10)
        assert not edge.thread.is_alive()


def test_an_idle_connection_has_its_usual_time_and_no_more() -> None:
    with serving(plain, limits=Limits(tick_seconds=0.05, idle_seconds=1.5)) as edge, edge.connect() as client:
        client.sendall(GET)
        answer(client)
        edge.edge.retire()
        assert client.recv(1) == b""
        edge.thread.join(10)
        assert not edge.thread.is_alive()


def test_stop_hastens_it() -> None:
    with serving(plain) as edge, edge.connect() as client:
        client.sendall(GET)
        answer(client)
        edge.edge.retire()
        edge.edge.stop(0.2)
        assert client.recv(1) == b""
        edge.thread.join(5)
        assert not edge.thread.is_alive()


def test_a_handshake_that_has_begun_is_finished(tmp_path: Path) -> None:
    tls = contexts(tmp_path)
    limits = Limits(tick_seconds=0.05, head_seconds=2.0)
    with serving(plain, tls=tls, limits=limits) as edge:
        with socket.create_connection(("127.0.0.1", edge.port), timeout=20) as raw:
            edge.connect().close()  # accepted in order: the one before it is, too
            edge.edge.retire()
            while not refused(edge):
                pass
            with tls[1].wrap_socket(raw, server_hostname="localhost") as client:
                client.sendall(GET)
                assert b"connection: close" in answer(client).lower()

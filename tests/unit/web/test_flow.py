"""Bodies that flow through the API port, with the real server on a real socket."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn

from andromede.clock import SystemClock
from andromede.errors import Denied
from andromede.ids import RandomIds
from andromede.log import Log
from andromede.web import flow
from andromede.web.api import Mount, Parts, with_mount
from andromede.web.asgi import build_api
from andromede.web.call import Reply
from andromede.web.dialect import Dialect
from andromede.web.patience import PatientProtocol
from andromede.web.routes import Routes

MIB = 1 << 20
routes: Routes[list[Any]] = Routes()


@routes.add("PUT", "/flow/{name}", "flow:put", public=True, stream=True)
def take(call: Any) -> dict[str, Any]:
    """Hash what comes."""
    digest, part, size = hashlib.sha256(), memoryview(bytearray(100_000)), 0
    try:
        while count := call.stream.readinto(part):
            digest.update(part[:count])
            size += count
    except Exception as error:
        call.services.append(error)
        raise
    return {"size": size, "sha256": digest.hexdigest()}


@routes.add("PUT", "/refused", "flow:refuse", public=True, stream=True)
def refuse(call: Any) -> None:
    """Nobody reads the body."""
    raise Denied("no", "test")


@routes.add("PUT", "/late", "flow:late", public=True, stream=True)
def late(call: Any) -> Reply:
    """Nobody reads the body, and the answer takes its time."""

    def pieces() -> Iterator[bytes]:
        time.sleep(0.2)
        yield b"late"

    return Reply(pieces=pieces(), length=4, media_type="text/plain")


@routes.add("GET", "/flow/{name}", "flow:get", public=True, stream=True)
def give(call: Any) -> Reply:
    """Many pieces; a generator that tells when it is closed."""
    count = int(call.params["name"])

    def pieces() -> Iterator[bytes]:
        try:
            for number in range(count):
                call.services.append(number)
                yield b"p" * 65_536
        finally:
            call.services.append("closed")

    return Reply(pieces=pieces(), length=count * 65_536, media_type="application/octet-stream")


class Open:
    """Everybody may."""

    def authenticate(self, call: Any, service_type: str) -> None:
        return None

    def admit(self, call: Any) -> None: ...
    def authorize(self, call: Any, target: Any) -> None: ...


@pytest.fixture
def told() -> list[Any]:
    return []


@pytest.fixture
def server(told: list[Any]) -> Iterator[uvicorn.Server]:
    parts = Parts([], Open(), SystemClock(), RandomIds(), Log(level="error"))
    app = build_api(with_mount(parts, Mount("/x", "flow", routes, told, Dialect("x"))))
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, http=PatientProtocol, log_config=None, lifespan="on", ws="none", timeout_graceful_shutdown=1
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    wait(lambda: server.started)
    yield server
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.fixture
def port(server: uvicorn.Server) -> int:
    return int(server.servers[0].sockets[0].getsockname()[1])


def wait(true: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_body_of_unknown_length_arrives_whole(port: int) -> None:
    data = bytes(range(256)) * 40_000
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for _ in range(2):  # the connection goes on
        chunks = (data[at : at + 33_333] for at in range(0, len(data), 33_333))
        link.request("PUT", "/x/flow/a", chunks, encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
        answer = link.getresponse()
        assert answer.status == 200
        assert hashlib.sha256(data).hexdigest().encode() in answer.read()
    link.close()


def test_a_body_may_take_longer_than_the_patience_for_requests(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PatientProtocol, "patience", 0.3)

    def slowly() -> Iterator[bytes]:
        for _ in range(6):
            time.sleep(0.1)
            yield b"x" * 1000

    link = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    link.request("PUT", "/x/flow/a", slowly(), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    answer = link.getresponse()
    assert answer.status == 200 and b'"size":6000' in answer.read().replace(b" ", b"")
    link.sock.sendall(b"GET /x/flow/1 HT")  # what follows on the connection is watched again
    assert link.sock.recv(100) == b""
    link.close()


def test_an_answer_flows_and_its_reader_sets_the_pace(port: int, told: list[Any]) -> None:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    link.request("GET", "/x/flow/2000")
    answer = link.getresponse()
    assert answer.getheader("content-length") == str(2000 * 65_536)
    assert len(answer.read(65_536)) == 65_536
    time.sleep(0.3)
    assert len(told) < 1500, "what nobody reads is not made"
    assert len(answer.read()) == 1999 * 65_536
    wait(lambda: told[-1] == "closed")
    link.close()


def test_a_reader_that_leaves_ends_the_answer(port: int, told: list[Any]) -> None:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    link.request("GET", "/x/flow/2000")
    link.getresponse().read(65_536)
    link.close()
    wait(lambda: told[-1] == "closed")
    assert len(told) < 2000


def test_a_sender_that_leaves_is_told_to_the_handler(port: int, told: list[Any]) -> None:
    raw = socket.create_connection(("127.0.0.1", port))
    raw.sendall(b"PUT /x/flow/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 5000)
    time.sleep(0.1)
    raw.close()
    wait(lambda: bool(told))
    assert told[0].reason == "client"


def test_a_sender_that_keeps_still_is_given_up(port: int, told: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "STILL_SECONDS", 0.2)
    raw = socket.create_connection(("127.0.0.1", port))
    raw.settimeout(20)
    raw.sendall(b"PUT /x/flow/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx")
    assert raw.recv(100).startswith(b"HTTP/1.1 503")
    assert "kept still" in told[0].public
    raw.close()


def test_a_refused_body_is_read_so_that_the_answer_arrives(port: int) -> None:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for _ in range(2):
        link.request("PUT", "/x/refused", b"x" * (MIB))
        answer = link.getresponse()
        assert answer.status == 403 and answer.getheader("connection") is None
        answer.read()
    link.close()
    raw = socket.create_connection(("127.0.0.1", port))
    raw.sendall(b"PUT /x/refused HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * (5 * MIB))
    assert b"connection: close" in raw.recv(2000).lower()
    raw.close()


def test_more_of_a_body_that_nobody_wants_is_no_client_that_has_gone(port: int) -> None:
    raw = socket.create_connection(("127.0.0.1", port), timeout=20)
    raw.sendall(b"PUT /x/late HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * (5 * MIB))
    answer = b""
    while not answer.endswith(b"late"):
        part = raw.recv(2000)
        assert part, answer
        answer += part
    raw.close()


def test_a_refused_body_that_comes_by_drops_is_not_waited_for(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "DRAIN_SECONDS", 0.3)
    raw = socket.create_connection(("127.0.0.1", port), timeout=0.05)
    raw.sendall(b"PUT /x/refused HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
    for _ in range(100):
        raw.sendall(b"x")
        try:
            answer = raw.recv(2000)
            break
        except TimeoutError:
            continue
    assert b"403" in answer and b"connection: close" in answer.lower()
    raw.close()


def test_the_end_of_the_server_is_told_to_who_waits_for_a_body(
    server: uvicorn.Server, port: int, told: list[Any]
) -> None:
    raw = socket.create_connection(("127.0.0.1", port))
    raw.sendall(b"PUT /x/flow/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx")
    time.sleep(0.2)
    server.should_exit = True
    wait(lambda: bool(told))
    assert "the server is ending" in told[0].public
    raw.close()


def test_nothing_is_sent_for_head(port: int, told: list[Any]) -> None:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    link.request("GET", "/x/flow/0")
    answer = link.getresponse()
    assert answer.status == 200 and answer.read() == b"" and answer.getheader("content-length") == "0"
    link.close()

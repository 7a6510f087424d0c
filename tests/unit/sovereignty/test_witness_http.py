"""Calls to witnesses: one deadline, small answers, no redirects; guarded URLs reach public addresses only."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from andromede.clock import SystemClock
from andromede.errors import Error, Invalid, Unavailable
from andromede.sovereignty.witness_http import LARGEST_ANSWER, Link, check_url, is_public

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n\r\nhi"


class Raw:
    """A server that sends what it is told, piece by piece, and keeps what it got."""

    def __init__(self, serve: Callable[[socket.socket, threading.Event], None]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.ended = threading.Event()
        self.got = b""

        def run() -> None:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                self.got = connection.recv(65536)
                with contextlib.suppress(OSError):
                    serve(connection, self.ended)

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def link(self, seconds: float = 5.0, host: str = "127.0.0.1") -> Link:
        return Link(f"http://{host}:{self.port}/w", SystemClock(), seconds=seconds)

    def close(self) -> None:
        self.ended.set()
        self._listener.close()
        self._thread.join(5)


Make = Callable[[Callable[[socket.socket, threading.Event], None]], Raw]


@pytest.fixture
def raw() -> Iterator[Make]:
    made: list[Raw] = []

    def make(serve: Callable[[socket.socket, threading.Event], None]) -> Raw:
        made.append(Raw(serve))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_call_and_its_answer(raw: Make) -> None:
    server = raw(lambda connection, _: connection.sendall(OK))
    answer = server.link().post("/add-checkpoint", b"old 0\n")
    assert (answer.status, answer.content_type, answer.body) == (200, "text/plain", b"hi")
    head, _, body = server.got.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /w/add-checkpoint HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{server.port}".encode() in head and b"Content-Length: 6" in head
    assert body == b"old 0\n"


def test_a_length_ends_the_answer_and_so_does_the_end(raw: Make) -> None:
    kept = raw(lambda connection, ended: (connection.sendall(OK), ended.wait(20))[0])
    assert kept.link().get("/x").body == b"hi"
    chunked = b"HTTP/1.1 409 Conflict\r\nContent-Type: text/x.tlog.size\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunked += b"2\r\n7\n\r\n0\r\n\r\n"
    answer = raw(lambda connection, _: connection.sendall(chunked)).link().get("/x")
    assert (answer.status, answer.content_type, answer.body) == (409, "text/x.tlog.size", b"7\n")


def test_a_redirect_is_an_answer_like_others(raw: Make) -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    assert raw(lambda connection, _: connection.sendall(moved)).link().get("/x").status == 302


def test_slow_drops_end_at_the_deadline(raw: Make) -> None:
    def drip(connection: socket.socket, ended: threading.Event) -> None:
        for byte in OK * 1000:
            connection.sendall(bytes([byte]))
            if ended.wait(0.05):
                return

    clock = SystemClock()
    begin = clock.monotonic()
    with pytest.raises(Unavailable, match=r"whole answer|timed out"):
        raw(lambda connection, ended: drip(connection, ended)).link(seconds=0.6).get("/x")
    assert clock.monotonic() - begin < 3


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (LARGEST_ANSWER + 1),
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b"x" * (LARGEST_ANSWER + 1),
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 60_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFFFF\r\nhi\r\n0\r\n\r\n",
    ],
)
def test_answers_that_are_none(raw: Make, answer: bytes) -> None:
    with pytest.raises(Unavailable, match="does not answer as a witness"):
        raw(lambda connection, _: connection.sendall(answer)).link().get("/x")


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(Unavailable, match="refused"):
        Link(f"http://127.0.0.1:{port}", SystemClock()).get("/x")


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("1.1.1.1", True), ("2606:4700::1111", True), ("127.0.0.1", False), ("10.1.2.3", False),
        ("192.168.0.1", False), ("172.16.9.9", False), ("169.254.169.254", False), ("100.64.0.1", False),
        ("0.0.0.0", False), ("224.0.0.1", False), ("255.255.255.255", False), ("::1", False), ("::", False),
        ("fe80::1", False), ("fc00::1", False), ("fec0::1", False), ("ff02::1", False), ("::ffff:127.0.0.1", False),
        ("::ffff:10.0.0.1", False), ("2002:7f00:1::", False), ("64:ff9b::7f00:1", False), ("::7f00:1", False),
        ("64:ff9b::101:101", True), ("2001:0:53aa:64c::1", False),
        ("64:ff9b:1::a00:1", False), ("::ffff:0:7f00:1", False), ("::ffff:0:101:101", True),
    ],
)  # fmt: skip
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    "url",
    [
        "http://witness.example/", "https://127.0.0.1/", "https://[::1]/", "https://10.0.0.7/", "https://localhost/",
        "https://printer.local/", "https://db.internal/", "https://intranet/", "https://user@witness.example/",
        "https://witness.example/?x=1", "https://witness.example/#x", "ftp://witness.example/", "https:///x",
        "https://witness.example:0/", "https://witness.example:99999/", "https://wit ness.example/",
        "https://witness.example/" + "x" * 3000, "https://é.example/", "https://[::ffff:10.0.0.1]/", "https://[x]/",
    ],
)  # fmt: skip
def test_urls_that_tenants_may_not_give(url: str) -> None:
    with pytest.raises(Invalid):
        check_url(url, guarded=True)


def test_names_that_resolve_to_private_addresses_are_not_called(raw: Make) -> None:
    """Also when only one of several addresses is private, and whatever a second look-up would say."""
    server = raw(lambda connection, _: connection.sendall(OK))
    check_url("https://witness.example/w", guarded=True)
    for addresses in (["127.0.0.1"], ["1.1.1.1", "10.0.0.1"], ["::ffff:127.0.0.1"]):
        link = Link(
            f"https://witness.example:{server.port}/w", SystemClock(), guarded=True,
            resolver=lambda host, port, found=addresses: list(found),
        )  # fmt: skip
        with pytest.raises(Error, match="not public"):
            link.get("/x")
    assert server.got == b""

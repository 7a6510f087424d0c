"""Real sockets to servers that drip, flood, redirect, hang up or answer nonsense."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from andromede.errors import Invalid
from andromede.sovereignty.monitor.wire import Absent, Garbled, Silent, Site, Wire, blob, hashes, whole

Script = list[bytes | float]


class Peer:
    """Answers each connection with the next script: bytes are sent, numbers are pauses."""

    def __init__(self) -> None:
        self.scripts: list[Script] = []
        self.heads: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._run, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def _run(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                with connection, suppress(OSError):
                    self.heads.append(connection.recv(65536))
                    for step in self.scripts.pop(0):
                        if isinstance(step, bytes):
                            connection.sendall(step)
                        else:
                            time.sleep(step)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def peer() -> Iterator[Peer]:
    found = Peer()
    yield found
    found.close()


def answer(body: bytes, status: str = "200 OK", more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


def test_a_good_answer_and_a_fresh_token(peer: Peer) -> None:
    peer.scripts = [[answer(b"", "401 Unauthorized")], [answer(b'{"allocated": 7}')]]
    tokens: list[bool] = []

    def token(fresh: bool) -> str:
        tokens.append(fresh)
        return f"token-{fresh}"

    assert whole(Wire(Site(peer.url, token)).json("/x"), "allocated", "x") == 7
    assert tokens == [False, True]
    assert b"X-Auth-Token: token-True" in peer.heads[1]


@pytest.mark.parametrize(
    "script",
    [[], [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"], [b"\0\xff nonsense\r\n\r\n"],
     [b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 200],
     [b"HTTP/1.1 200 OK\r\nContent-Length: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"], [answer(b"", "500 Oops")],
     [answer(b"", "302 Found", "Location: http://127.0.0.1:1/\r\n")], [answer(b"", "429 Slow down")]],
)  # fmt: skip
def test_no_answer_that_could_be_judged(peer: Peer, script: Script) -> None:
    peer.scripts = [script]
    with pytest.raises(Silent):
        Wire(Site(peer.url, seconds=2)).text("/x")
    assert len(peer.heads) == 1  # no redirect was followed


def test_a_server_that_drips_is_cut(peer: Peer) -> None:
    peer.scripts = [[b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", *[b"x", 0.1] * 50]]
    began = time.monotonic()
    with pytest.raises(Silent, match="no whole answer within"):
        Wire(Site(peer.url, seconds=0.5)).text("/x")
    assert time.monotonic() - began < 3


def test_a_server_that_floods_is_cut(peer: Peer) -> None:
    peer.scripts = [[b"HTTP/1.1 200 OK\r\n\r\n", *[b"x" * 65536] * 100]]
    with pytest.raises(Garbled, match="more than"):
        Wire(Site(peer.url, seconds=5)).text("/x")


def test_nobody_listens_and_nothing_is_there(peer: Peer) -> None:
    peer.scripts = [[answer(b"", "404 Not Found")], [answer(b"", "410 Gone")], [answer(b"\xff")], [answer(b"[1]")]]
    wire = Wire(Site(peer.url))
    for kind in (Absent, Absent):
        with pytest.raises(kind):
            wire.text("/x")
    with pytest.raises(Garbled, match="UTF-8"):
        wire.text("/x")
    with pytest.raises(Garbled, match="object"):
        wire.json("/x")
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    with pytest.raises(Silent, match="refused"):
        Wire(Site(f"http://127.0.0.1:{port}")).text("/x")


def test_places_and_values_that_are_none() -> None:
    for url in ("", "ftp://x", "http://", "x"):
        with pytest.raises(Invalid, match="URL"):
            Site(url)
    for value in (None, 7, "!", "é"):
        with pytest.raises(Garbled):
            blob(value, "x")
    for values in (None, "AAAA", ["AAAA"], ["A" * 43 + "="] * 65):
        with pytest.raises(Garbled):
            hashes(values, "x")

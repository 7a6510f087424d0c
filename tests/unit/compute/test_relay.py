"""The relay of consoles: pages, tokens, bytes both ways, and nothing for strangers."""

from __future__ import annotations

import io
import socket
import ssl
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from andromede.compute.model import ConsoleToken
from andromede.compute.relay import Doors, Relay
from andromede.errors import Conflict, NotFound
from andromede.log import Log
from andromede.web import websocket
from tests.support.certs import contexts
from tests.support.clock import FakeClock

KEY = "x3JJHMbDL1EzLkh9GBhXDw=="


@dataclass
class House:
    """One guest, tokens that are good once, and the relay over them."""

    tokens: dict[str, ConsoleToken]
    guests: list[socket.socket] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    port: int = 0
    away: bool = False

    def redeem(self, token: str) -> ConsoleToken:
        if token not in self.tokens:
            raise NotFound("no such token", "token")
        return self.tokens.pop(token)

    def reach(self, guest: str, kind: str) -> socket.socket:
        if self.away:
            raise Conflict("it does not run", "power")
        ours, theirs = socket.socketpair()
        theirs.settimeout(5)
        self.guests.append(theirs)
        return ours

    def close(self, token: ConsoleToken) -> None:
        self.ended.append(token.server_id)

    def ask(self, text: str) -> tuple[socket.socket, bytes]:
        """An open connection, and the head of the answer."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        connection.sendall(text.replace("\n", "\r\n").encode())
        return connection, head(connection)

    def open(self, path: str = "/console/open?token=good", extra: str = "") -> tuple[socket.socket, bytes]:
        return self.ask(
            f"GET {path} HTTP/1.1\nHost: here\nUpgrade: websocket\nConnection: keep-alive, Upgrade\n"
            f"Sec-WebSocket-Key: {KEY}\nSec-WebSocket-Version: 13\n{extra}\n"
        )


def head(connection: socket.socket) -> bytes:
    found = b""
    while b"\r\n\r\n" not in found:
        piece = connection.recv(1)
        if not piece:
            break
        found += piece
    return found


def masked(kind: int, data: bytes) -> bytes:
    mask = b"\x01\x02\x03\x04"
    if len(data) < 126:
        size = bytes([0x80 | len(data)])
    elif len(data) < 1 << 16:
        size = bytes([0x80 | 126]) + struct.pack("!H", len(data))
    else:
        size = bytes([0x80 | 127]) + struct.pack("!Q", len(data))
    return bytes([0x80 | kind]) + size + mask + websocket.unmasked(mask, data)


def exactly(connection: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        piece = connection.recv(count - len(found))
        assert piece, "the connection ended"
        found += piece
    return found


def _tokens() -> dict[str, ConsoleToken]:
    return {name: ConsoleToken("h", "server", "p", "u", "serial", 0, 0, False) for name in ("good", "better")}


def _relay(house: House, tls: ssl.SSLContext | None = None) -> Relay:
    listener = socket.create_server(("127.0.0.1", 0))
    house.port = listener.getsockname()[1]
    doors = Doors(house.redeem, house.reach, house.close)
    return Relay(listener, tls, doors, Log(io.StringIO(), clock=FakeClock()))


@pytest.fixture
def house() -> Iterator[House]:
    made = House(_tokens())
    relay = _relay(made)
    thread = relay.start()
    yield made
    relay.close()
    thread.join(5)
    for guest in made.guests:
        guest.close()


@pytest.mark.parametrize(
    ("path", "kind", "holds"),
    [
        ("/console/vnc?token=good", "text/html; charset=utf-8", b"<script"),
        ("/console/serial?token=good", "text/html; charset=utf-8", b"</html>"),
        ("/console/pages/link.js", "text/javascript; charset=utf-8", b"WebSocket"),
        ("/console/pages/console.css", "text/css; charset=utf-8", b"canvas"),
    ],
)
def test_pages_are_for_everybody_and_use_no_token_up(house: House, path: str, kind: str, holds: bytes) -> None:
    connection, told = house.ask(f"GET {path} HTTP/1.1\nHost: here\n\n")
    with connection:
        assert told.startswith(b"HTTP/1.1 200 OK") and kind.encode() in told and b"default-src 'none'" in told
        length = int(told.split(b"Content-Length: ")[1].split(b"\r\n")[0])
        assert holds in exactly(connection, length)
    assert set(house.tokens) == {"good", "better"}


@pytest.mark.parametrize("path", ["/console/pages/__init__.py", "/console/pages/../relay.py", "/x", "/console/pages/"])
def test_nothing_else_is_served(house: House, path: str) -> None:
    connection, told = house.ask(f"GET {path} HTTP/1.1\nHost: here\n\n")
    connection.close()
    assert told.startswith(b"HTTP/1.1 404")


def test_bytes_go_both_ways(house: House) -> None:
    connection, told = house.open(extra="Sec-WebSocket-Protocol: base64, binary\n")
    with connection:
        assert told.startswith(b"HTTP/1.1 101 Switching Protocols") and b"Protocol: binary" in told
        assert b"Sec-WebSocket-Accept: HSmrc0sMlYUkAGmm5OPpG2HaGWk=" in told
        (guest,) = house.guests
        guest.sendall(b"login: ")
        assert exactly(connection, 9) == b"\x82\x07login: "
        for size in (4, 300, 70000):
            connection.sendall(masked(2, b"k" * size))
            assert exactly(guest, size) == b"k" * size
        guest.sendall(b"y" * 300)
        assert exactly(connection, 304) == b"\x82\x7e\x01\x2c" + b"y" * 300
        connection.sendall(masked(9, b"hello") + masked(10, b""))
        assert exactly(connection, 7) == b"\x8a\x05hello"
        connection.sendall(masked(8, b""))
        assert guest.recv(1) == b"" and connection.recv(1) == b""
    assert house.ended == ["server"]


def test_a_guest_that_ends_closes_its_console(house: House) -> None:
    connection, _ = house.open("/websockify", "Cookie: other=1; token=good\n")
    with connection:
        house.guests[0].close()
        assert exactly(connection, 2) == b"\x88\x00" and connection.recv(1) == b""


def test_a_new_console_closes_the_former(house: House) -> None:
    first, _ = house.open()
    second, told = house.open("/console/open?token=better")
    with first, second:
        assert told.startswith(b"HTTP/1.1 101") and exactly(first, 2) == b"\x88\x00"
        house.guests[1].sendall(b"z")
        assert exactly(second, 3) == b"\x82\x01z"


def test_a_token_is_good_once_and_strangers_see_nothing(house: House) -> None:
    first, _ = house.open()
    first.close()
    for path in ("/console/open?token=good", "/console/open?token=bad", "/console/open"):
        connection, told = house.open(path)
        with connection:
            assert told == b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            assert connection.recv(1) == b""


def test_a_guest_that_does_not_run_is_refused(house: House) -> None:
    house.away = True
    connection, told = house.open()
    connection.close()
    assert told.startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize(
    "extra",
    ["Origin: http://evil.example\n", "Sec-WebSocket-Version: 12\n"],
)
def test_a_page_from_elsewhere_may_not_connect(house: House, extra: str) -> None:
    connection, told = house.open(extra=extra)
    connection.close()
    assert told.startswith(b"HTTP/1.1 400") and "good" in house.tokens


@pytest.mark.parametrize("bad", [b"POST / HTTP/1.1\r\n\r\n", b"GET /" + b"x" * 40000, b""])
def test_what_is_no_request_is_cut(house: House, bad: bytes) -> None:
    with socket.create_connection(("127.0.0.1", house.port), timeout=5) as connection:
        try:
            connection.sendall(bad)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b""
        except OSError:
            pass


@pytest.mark.parametrize("bad", [b"\x82\x01a", b"\xf2\x81", b"\x82\xff" + b"\xff" * 8])
def test_frames_that_break_the_protocol_end_the_console(house: House, bad: bytes) -> None:
    connection, _ = house.open()
    with connection:
        connection.sendall(bad)
        assert connection.recv(1) == b""


def test_frames_may_come_in_pieces() -> None:
    whole = masked(2, b"k" * 300)
    held = bytearray()
    for at in range(len(whole) - 1):
        held += whole[at : at + 1]
        assert websocket.take(held) is None
    held += whole[-1:] + b"\x82"
    assert websocket.take(held) == (2, b"k" * 300) and bytes(held) == b"\x82"
    assert len(websocket.frame(2, b"x" * 70000)) == 70010


def test_consoles_are_encrypted_where_the_ports_are(tmp_path: Path) -> None:
    server, client = contexts(tmp_path)
    house = House(_tokens())
    relay = _relay(house, server)
    thread = relay.start()
    plain = socket.create_connection(("127.0.0.1", house.port), timeout=5)
    with client.wrap_socket(plain, server_hostname="localhost") as connection:
        connection.sendall(
            b"GET /console/open?token=good HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + KEY.encode() + b"\r\n\r\n"
        )
        assert head(connection).startswith(b"HTTP/1.1 101")
        connection.sendall(masked(2, b"a" * 40000) + masked(2, b"b" * 40000))
        assert exactly(house.guests[0], 80000) == b"a" * 40000 + b"b" * 40000
        house.guests[0].sendall(b"z" * 30000)
        assert exactly(connection, 30004)[4:] == b"z" * 30000
    relay.close()
    thread.join(5)
    house.guests[0].close()

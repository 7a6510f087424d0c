"""Consoles in a browser: the relay between websockets and the sockets of guests, on a listener of the host role's own
(decision 0019). Each connection has a thread and a limit; whoever has no token that is good sees nothing."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from urllib.parse import parse_qs, urlsplit

from andromede.compute import pages
from andromede.compute.accepting import Accepting
from andromede.compute.model import ConsoleToken
from andromede.errors import Error
from andromede.log import Log
from andromede.web import websocket
from andromede.web.websocket import BINARY, CLOSE, PING, PONG, Broken

AT_ONCE = 64
HEAD_SECONDS, HEAD_BYTES = 10.0, 16384
IDLE_SECONDS = 3600.0
"""A console over which nothing goes for so long is closed."""
PIECE = 65536
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
}
SHOWN = {"/console/vnc": "vnc.html", "/console/serial": "serial.html"}
_POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-ancestors 'none'"


@dataclass(frozen=True, slots=True)
class Doors:
    """What the relay stands on. `redeem`: a token is used up, and what it is good for told (NotFound, Denied);
    `reach`: the open socket of a guest's console of a kind; `ended`: a console was closed."""

    redeem: Callable[[str], ConsoleToken]
    reach: Callable[[str, str], socket.socket]
    ended: Callable[[ConsoleToken], None]


@dataclass(frozen=True, slots=True)
class Head:
    """A request's line and headers, names in small letters."""

    path: str
    token: str
    headers: dict[str, str]


class Relay(Accepting):
    """The consoles of a host. Who comes when all places are taken is turned away."""

    def __init__(self, listener: socket.socket, tls: ssl.SSLContext | None, doors: Doors, log: Log) -> None:
        super().__init__(listener, "consoles", AT_ONCE, turn_away=True)
        self._tls = tls
        self._doors = doors
        self._log = log
        self._open: dict[tuple[str, str], socket.socket] = {}
        self._lock = threading.Lock()

    def serve(self, connection: socket.socket) -> None:
        """One request: a page, or a console until it is left."""
        connection.settimeout(HEAD_SECONDS)
        with contextlib.suppress(OSError, Broken):
            plain = self._tls.wrap_socket(connection, server_side=True) if self._tls else connection
            with plain:
                self._serve(plain)

    def _serve(self, client: socket.socket) -> None:
        head = read_head(client)
        if "upgrade" not in head.headers:
            client.sendall(_page(head.path))
            return
        answer = websocket.accepted(head.headers)
        if answer is None or not _same_origin(head.headers):
            client.sendall(_plain(400))
            return
        try:
            token = self._doors.redeem(head.token)
            guest = self._doors.reach(token.server_id, token.kind)
        except Error as error:
            self._log.event("console.refused", "warning", text=error.public)
            client.sendall(_plain(403))
            return
        try:
            with guest:
                client.sendall(answer)
                self._relay(client, guest, token)
        finally:
            self._doors.ended(token)

    def _relay(self, client: socket.socket, guest: socket.socket, token: ConsoleToken) -> None:
        """Until one side ends. A console that is opened anew closes the former: the guest serves one at a time."""
        client.settimeout(IDLE_SECONDS)
        guest.settimeout(IDLE_SECONDS)
        key = (token.server_id, token.kind)
        with self._lock:
            former, self._open[key] = self._open.get(key), guest
        if former is not None:
            _shut(former)
        try:
            _both_ways(client, guest)
        finally:
            with self._lock:
                if self._open.get(key) is guest:
                    del self._open[key]


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _both_ways(client: socket.socket, guest: socket.socket) -> None:
    """One thread for both directions: a connection of TLS is not made for two."""
    held = bytearray()
    while True:
        waiting = isinstance(client, ssl.SSLSocket) and client.pending() > 0
        ready = select.select([client, guest], [], [], 0.0 if waiting else IDLE_SECONDS)[0]
        if not ready and not waiting:
            return
        if guest in ready:
            data = guest.recv(PIECE)
            client.sendall(websocket.frame(BINARY, data) if data else websocket.frame(CLOSE, b""))
            if not data:
                return
        if client in ready or waiting:
            data = client.recv(PIECE)
            held += data
            if not data or not _inward(held, client, guest):
                return


def _inward(held: bytearray, client: socket.socket, guest: socket.socket) -> bool:
    """Pass on what the browser sent; whether it stays."""
    while (found := websocket.take(held)) is not None:
        kind, data = found
        if kind == CLOSE:
            return False
        if kind == PING:
            client.sendall(websocket.frame(PONG, data))
        elif kind != PONG:
            guest.sendall(data)
    return True


def read_head(client: socket.socket) -> Head:
    """The request, without a body: none of ours has one. Raises `Broken`."""
    found = bytearray()
    while b"\r\n\r\n" not in found:
        piece = client.recv(4096)
        if not piece or len(found) > HEAD_BYTES:
            raise Broken("no request")
        found += piece
    lines = bytes(found).split(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    method, _, rest = lines[0].partition(" ")
    target = urlsplit(rest.rpartition(" ")[0])
    if method != "GET":
        raise Broken("not a GET")
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    given = parse_qs(target.query).get("token", [""])[0]
    cookie = parse_qs(headers.get("cookie", "").replace("; ", "&")).get("token", [""])[0]
    return Head(target.path, given or cookie, headers)


def _same_origin(headers: dict[str, str]) -> bool:
    """Whether the page that asks came from here; clients that are no browsers send no origin."""
    origin = headers.get("origin", "")
    return not origin or urlsplit(origin).netloc == headers.get("host", "")


def _plain(status: int) -> bytes:
    reason = {400: "Bad Request", 403: "Forbidden", 404: "Not Found"}[status]
    return f"HTTP/1.1 {status} {reason}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode("ascii")


def _page(path: str) -> bytes:
    """A page or a part of one."""
    name = SHOWN.get(path) or path.removeprefix("/console/pages/")
    known = {entry.name for entry in resources.files(pages).iterdir()}
    kind = KINDS.get(name[name.rfind(".") :]) if "." in name else None
    if name not in known or kind is None:
        return _plain(404)
    body = (resources.files(pages) / name).read_bytes()
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nCache-Control: no-store\r\n"
        f"Referrer-Policy: no-referrer\r\nX-Content-Type-Options: nosniff\r\nContent-Security-Policy: {_POLICY}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode("ascii") + body

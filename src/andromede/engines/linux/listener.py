"""The metadata service's sockets: one process listens in every network, at the same address.

A socket stays in the namespace that it was made in. So the one that took a connection names the network, and the
peer's address names the port in it; nothing that a guest sends does (no header is believed).
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import socket
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from andromede.engines.linux import kernel, names
from andromede.engines.linux.network_rules import METADATA
from andromede.errors import Error
from andromede.log import Log
from andromede.network import metadata
from andromede.network.metadata import Answer, Guests

SECONDS = 5.0
MOST_CONNECTIONS = 64
"""Of one network at a time."""
MOST_THREADS = 512
MOST_HEAD, MOST_BODY = 16384, 1 << 20
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 409: "Conflict",
            413: "Content Too Large", 503: "Service Unavailable"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Ear:
    network_id: str
    inode: int
    socket: socket.socket


class _Bad(Exception):
    """A request that is not one."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class Listener:
    """`port_at`: the port that has an address in a network, None without one. Both callables are asked from threads
    of this listener."""

    def __init__(self, installation: str, guests: Guests, port_at: Callable[[str, str], str | None], log: Log) -> None:
        self._installation = installation
        self._guests = guests
        self._port_at = port_at
        self._log = log
        self._lock = threading.Lock()
        self._ears: dict[str, _Ear] = {}
        self._selector = selectors.DefaultSelector()
        self._open: Counter[str] = Counter()
        self._wake_in, self._wake_out = os.pipe()
        self._thread: threading.Thread | None = None
        self._ended = False

    def start(self) -> None:
        """Begin to accept, from a thread that ends with the process."""
        self._selector.register(self._wake_in, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._accept, name="metadata", daemon=True)
        self._thread.start()

    def open(self, network_id: str) -> None:
        """Listen in a network whose namespace is there. Harmless when it is done."""
        place = names.namespace(self._installation, "n", network_id)
        inode = kernel.inode(place)
        with self._lock:
            ear = self._ears.get(network_id)
            if ear is not None and ear.inode == inode:
                return
        if ear is not None:
            self.close(network_id)
        if inode is None:
            return
        made = kernel.inside(place, _listen)
        with self._lock:
            if self._ended or network_id in self._ears:
                made.close()
                return
            self._ears[network_id] = _Ear(network_id, inode, made)
            self._selector.register(made, selectors.EVENT_READ, self._ears[network_id])
        self._wake()

    def close(self, network_id: str) -> None:
        """Listen there no more."""
        with self._lock:
            ear = self._ears.pop(network_id, None)
            if ear is not None:
                self._selector.unregister(ear.socket)
                ear.socket.close()
        self._wake()

    def heard(self, network_id: str, there: bool) -> None:
        """A network is there, or is about to go."""
        (self.open if there else self.close)(network_id)

    def networks(self) -> set[str]:
        """Where it listens."""
        with self._lock:
            return set(self._ears)

    def stop(self) -> None:
        """End."""
        self._ended = True
        for network_id in self.networks():
            self.close(network_id)
        if self._thread is not None:
            self._thread.join()
            self._selector.close()
            os.close(self._wake_in)
            os.close(self._wake_out)

    def _wake(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self._wake_out, b"!")

    def _accept(self) -> None:
        while not self._ended:
            for key, _ in self._selector.select():
                if key.data is None:
                    os.read(self._wake_in, 4096)
                else:
                    self._take(key.data)

    def _take(self, ear: _Ear) -> None:
        try:
            connection, peer = ear.socket.accept()
        except OSError:
            return
        with self._lock:
            full = self._open[ear.network_id] >= MOST_CONNECTIONS or self._open.total() >= MOST_THREADS
            if not full:
                self._open[ear.network_id] += 1
        if full:
            connection.close()
            return
        threading.Thread(target=self._serve, args=(ear.network_id, connection, peer[0]), daemon=True).start()

    def _serve(self, network_id: str, connection: socket.socket, peer: str) -> None:
        try:
            with connection, contextlib.suppress(OSError):
                connection.settimeout(SECONDS)
                method, answer = self._answered(network_id, connection, peer)
                connection.sendall(_reply(method, answer))
                connection.shutdown(socket.SHUT_WR)
        finally:
            with self._lock:
                self._open[network_id] -= 1
                self._open += Counter()

    def _answered(self, network_id: str, connection: socket.socket, peer: str) -> tuple[str, Answer]:
        try:
            method, path, body = _request(connection)
        except _Bad as bad:
            return "GET", bad.answer
        try:
            port_id = self._port_at(network_id, peer)
            return method, self._answer(port_id, method, path, body) if port_id is not None else metadata.NOT_FOUND
        except Exception as error:
            cause = error.public if isinstance(error, Error) else repr(error)
            self._log.event("network.metadata", "error", network=network_id, peer=peer, cause=cause)
            return method, Answer(503, b"the metadata service is busy; try again\n")

    def _answer(self, port_id: str, method: str, path: str, body: bytes) -> Answer:
        if method == "POST" and metadata.takes_password(path):
            return metadata.keep_password(self._guests, port_id, body)
        if method not in ("GET", "HEAD"):
            return Answer(405, b"metadata can be read only\n")
        documents = self._guests.documents(port_id)
        return metadata.answer(documents, path) if documents is not None else metadata.NOT_FOUND


def _listen() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((METADATA, 80))
        made.listen(MOST_CONNECTIONS)
    except OSError:
        made.close()
        raise
    return made


def _request(connection: socket.socket) -> tuple[str, str, bytes]:
    """Method, path without query, body."""
    data = b""
    while b"\r\n\r\n" not in data and b"\n\n" not in data:
        piece = connection.recv(4096)
        data += piece
        if not piece or len(data) > MOST_HEAD:
            raise _Bad(Answer(400, b"this is no request that can be understood\n"))
    cut = b"\r\n\r\n" if b"\r\n\r\n" in data else b"\n\n"
    head, _, body = data.partition(cut)
    first, _, lines = head.decode("latin-1").partition("\n")
    words = first.split()
    if len(words) not in (2, 3) or not words[1].startswith(("/", "http://")):
        raise _Bad(Answer(400, b"this is no request that can be understood\n"))
    size = _length(lines.splitlines())
    while len(body) < size:
        piece = connection.recv(4096)
        if not piece:
            raise _Bad(Answer(400, b"the body ends too early\n"))
        body += piece
    path = words[1] if words[1].startswith("/") else "/" + words[1].split("/", 3)[-1]
    return words[0].upper(), path.partition("?")[0], body[:size]


def _length(lines: list[str]) -> int:
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-length":
            if not re.fullmatch("[0-9]{1,9}", value.strip()) or int(value) > MOST_BODY:
                raise _Bad(Answer(413, b"a body of this size is not taken\n"))
            return int(value)
    return 0


def _reply(method: str, answer: Answer) -> bytes:
    head = (
        f"HTTP/1.1 {answer.status} {_REASONS[answer.status]}\r\nContent-Type: {answer.type}\r\n"
        f"Content-Length: {len(answer.body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (b"" if method == "HEAD" else answer.body)

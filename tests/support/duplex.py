"""An HTTP/1.1 client that sends and receives at the same time on one thread.

One thread, because OpenSSL allows no two at once on a connection: the state of a write in one thread
replaces the "wants to read" of a read in the other, and Python then reports an end that nobody sent.
TLS runs over memory, so that a failed send leaves what the other side has sent before readable.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
from dataclasses import dataclass

from tests.support.edge import Running

_PIECE = 1 << 16


class Duplex:
    """One connection. `waiting` is what is still to be sent; sending goes on whenever an answer is awaited."""

    def __init__(self, served: Running, seconds: float) -> None:
        self._seconds = seconds
        self._socket = socket.create_connection(("127.0.0.1", served.port), timeout=seconds)
        self._socket.setblocking(False)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        self._waiting = memoryview(b"")
        self._got = b""
        self._over = False
        if served.client_tls is not None:
            self._tls = served.client_tls.wrap_bio(self._in, self._out, server_hostname="localhost")
            self._shake_hands(self._tls)

    def __enter__(self) -> Duplex:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Have the data sent by the calls that follow."""
        if self._tls is not None:
            self._tls.write(data)
            data = self._out.read()
        self._waiting = memoryview(bytes(self._waiting) + data)

    def flush(self) -> None:
        """Send everything, reading nothing."""
        end = time.monotonic() + self._seconds
        while self._waiting:
            self._move(end, reading=False)

    def be_deaf(self, seconds: float) -> None:
        """For so long send what the other side takes, and read nothing."""
        end = time.monotonic() + seconds
        with contextlib.suppress(TimeoutError):
            while True:
                self._move(end, reading=False)

    def recv(self) -> bytes:
        """The next bytes of the answers, b"" at their end. `OSError` on a reset and when nothing comes in time."""
        end = time.monotonic() + self._seconds
        while not self._got and not self._over:
            self._move(end, reading=True)
        got, self._got = self._got, b""
        return got

    def _shake_hands(self, tls: ssl.SSLObject) -> None:
        end = time.monotonic() + self._seconds
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._waiting = memoryview(self._out.read())
                self._move(end, reading=True, decrypt=False)
        self._waiting = memoryview(bytes(self._waiting) + self._out.read())

    def _move(self, end: float, reading: bool, decrypt: bool = True) -> None:
        """Wait for the connection and move bytes once in each direction; reading comes first."""
        sources = [self._socket] if reading else []
        sinks = [self._socket] if self._waiting else []
        readable, writable, _ = select.select(sources, sinks, [], max(0.0, end - time.monotonic()))
        if not readable and not writable:
            raise TimeoutError("nothing moved in time")
        if readable:
            self._receive(decrypt)
        if writable and not self._over:
            try:
                self._waiting = self._waiting[self._socket.send(self._waiting[:_PIECE]) :]
            except BlockingIOError:
                pass
            except OSError:  # the other side takes no more: what it has answered before can still be read
                self._waiting = memoryview(b"")

    def _receive(self, decrypt: bool) -> None:
        raw = self._socket.recv(_PIECE)
        if self._tls is None:
            self._got, self._over = raw, not raw
            return
        if raw:
            self._in.write(raw)
        else:
            self._in.write_eof()
        if decrypt:
            self._decrypt(self._tls)

    def _decrypt(self, tls: ssl.SSLObject) -> None:
        try:
            while piece := tls.read(_PIECE):
                self._got += piece
            self._over = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLEOFError:
            self._over = True


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. `welcomes`: how often 100 Continue came before it. `closes`: it says that no other follows."""

    status: int
    body: bytes
    closes: bool
    welcomes: int


class Answers:
    """The answers of one connection in order, each whole. Raises `EOFError` when one breaks off."""

    def __init__(self, client: Duplex) -> None:
        self._client = client
        self._have = bytearray()

    def next(self) -> Answer:
        """Wait for the next answer."""
        welcomes = 0
        while (head := self._until(b"\r\n\r\n")) == b"HTTP/1.1 100 Continue":
            welcomes += 1
        first, *lines = head.split(b"\r\n")
        version, status, _ = first.split(b" ", 2)
        assert version == b"HTTP/1.1", first
        fields = dict(line.lower().split(b": ", 1) for line in lines)
        if fields.get(b"transfer-encoding") == b"chunked":
            body = self._chunks()
        else:
            body = self._exactly(int(fields[b"content-length"]))
        return Answer(int(status), body, fields.get(b"connection") == b"close", welcomes)

    def rest(self) -> bytes:
        """What comes after the last answer taken, to the end."""
        with contextlib.suppress(ConnectionError):  # the edge closes on bytes that it does not want
            while more := self._client.recv():
                self._have += more
        return bytes(self._have)

    def _chunks(self) -> bytes:
        body = bytearray()
        while size := int(self._until(b"\r\n"), 16):
            body += self._exactly(size)
            assert self._exactly(2) == b"\r\n"
        assert self._exactly(2) == b"\r\n"
        return bytes(body)

    def _until(self, mark: bytes) -> bytes:
        while (at := self._have.find(mark)) < 0:
            self._more()
        return self._exactly(at + len(mark))[:at]

    def _exactly(self, size: int) -> bytes:
        while len(self._have) < size:
            self._more()
        piece = bytes(self._have[:size])
        del self._have[:size]
        return piece

    def _more(self) -> None:
        more = self._client.recv()
        if not more:
            raise EOFError(f"the connection ended within an answer, after {bytes(self._have[:200])!r}")
        self._have += more

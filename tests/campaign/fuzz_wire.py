"""Hostile input, the client's side of the wire: bytes out, answers in, and a strict eye on their form (RFC 9112)."""

from __future__ import annotations

import re
import socket
import ssl
from dataclasses import dataclass

_HEAD = re.compile(
    rb"HTTP/1\.1 ([1-5]\d\d) [\t\x20-\x7e]*\r\n((?:[!#-'*+\-.0-9A-Z^-z|~]+:[\t\x20-\x7e\x80-\xff]*\r\n)*)\r\n"
)
_HEAD_MAX = 1 << 20
NUMBERED = (b"x-amz-request-id", b"x-openstack-request-id", b"x-trans-id")


class Malformed(Exception):
    """An answer that is no HTTP."""


class Cut(Malformed):
    """An answer that ended before its body did; the text is its request id."""


class Late(Exception):
    """No answer and no end within the deadline."""


@dataclass(slots=True)
class Reply:
    """One final answer. `headers`: names in lower case, the first of each."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def closes(self) -> bool:
        return b"close" in self.headers.get(b"connection", b"").lower()

    @property
    def numbered(self) -> bool:
        """Whether the answer carries a request id."""
        return any(name in self.headers for name in NUMBERED)


class Wire:
    """One connection."""

    def __init__(
        self, address: str, source: str = "", tls: ssl.SSLContext | None = None, seconds: float = 60.0
    ) -> None:
        host, _, port = address.rpartition(":")
        bound = (source, 0) if source else None
        self.socket = socket.create_connection((host, int(port)), seconds, bound)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname=host)
        self.data = b""
        self.ended = False
        self.reset = False

    def send(self, data: bytes) -> bool:
        """Whether the other side still took it."""
        try:
            self.socket.sendall(data)
        except TimeoutError as late:
            raise Late("the server does not read") from late
        except OSError:
            self.reset = True
            return False
        return True

    def half_close(self) -> None:
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self.reset = True

    def close(self) -> None:
        self.socket.close()

    def _more(self) -> bool:
        if self.ended:
            return False
        try:
            piece = self.socket.recv(1 << 18)
        except TimeoutError as late:
            raise Late(f"nothing more after {self.data[:80]!r}") from late
        except ssl.SSLError:
            piece = b""
        except OSError:
            self.reset, piece = True, b""
        self.data += piece
        self.ended = not piece
        return bool(piece)

    def read(self, method: str) -> Reply | None:
        """The next final answer; None when the server has ended the connection in front of it."""
        while True:
            while (stop := self.data.find(b"\r\n\r\n")) < 0:
                if len(self.data) > _HEAD_MAX:
                    raise Malformed(f"a head without an end: {self.data[:200]!r}")
                if not self._more():
                    if self.data and not self.reset:
                        raise Malformed(f"half a head: {self.data[:200]!r}")
                    return None
            head = self.data[: stop + 4]
            self.data = self.data[stop + 4 :]
            match = _HEAD.fullmatch(head)
            if match is None:
                raise Malformed(f"no head of an answer: {head[:400]!r}")
            status = int(match[1])
            if status < 200:
                continue
            headers: dict[bytes, bytes] = {}
            for line in match[2].split(b"\r\n")[:-1]:
                name, _, value = line.partition(b":")
                name = name.lower()
                if name in headers and name in (b"content-length", b"transfer-encoding"):
                    raise Malformed(f"{name!r} twice: {head[:400]!r}")
                headers.setdefault(name, value.strip())
            body = self._body(method, status, headers, head)
            if body is None:
                raise Cut(next((headers[name] for name in NUMBERED if name in headers), b"").decode("latin-1"))
            return Reply(status, headers, body)

    def _body(self, method: str, status: int, headers: dict[bytes, bytes], head: bytes) -> bytes | None:
        if method == "HEAD" or status in (204, 304):
            return b""
        if b"transfer-encoding" in headers:
            if headers[b"transfer-encoding"] != b"chunked" or b"content-length" in headers:
                raise Malformed(f"odd framing: {head[:400]!r}")
            return self._chunks()
        text = headers.get(b"content-length")
        if text is None:
            while self._more():
                pass
            whole, self.data = self.data, b""
            return whole
        if not text.isdigit():
            raise Malformed(f"odd length: {head[:400]!r}")
        return self._exactly(int(text))

    def _exactly(self, size: int) -> bytes | None:
        while len(self.data) < size:
            if not self._more():
                return None
        whole, self.data = self.data[:size], self.data[size:]
        return whole

    def _chunks(self) -> bytes | None:
        whole = b""
        while True:
            while (stop := self.data.find(b"\r\n")) < 0:
                if not self._more():
                    return None
            line, self.data = self.data[:stop], self.data[stop + 2 :]
            if not re.fullmatch(rb"[0-9a-fA-F]{1,16}", line):
                raise Malformed(f"no chunk size: {line[:80]!r}")
            size = int(line, 16)
            piece = self._exactly(size + 2)
            if piece is None:
                return None
            if piece[-2:] != b"\r\n":
                raise Malformed("a chunk does not end in CR LF")
            if size == 0:
                return whole
            whole += piece[:-2]

"""Uvicorn's HTTP protocol with bounds and without guesses.

What two parsers might read differently is refused (RFC 9112), as on the object port; heads, trailers and
pipelines have limits; a refusal has the form of every other error and comes after the answers that are due.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from andromede.errors import Invalid
from andromede.ids import Ids, RandomIds, request_id
from andromede.web.dialect import Dialect

HEAD_BYTES = 64 * 1024
HEAD_LINES = 200
_PHRASES = {400: b"Bad Request", 431: b"Request Header Fields Too Large", 505: b"HTTP Version Not Supported"}
_DIALECT = Dialect("andromede")


class Refused(Exception):
    """Raised inside the parser's callbacks; the parser stops there."""


class Debt(FlowControl):
    """Reading goes on only when no request waits for its turn: what is piled up is the client's debt, and one
    connection could pile up gigabytes of it."""

    def __init__(self, protocol: StrictProtocol) -> None:
        super().__init__(protocol.transport)
        self._protocol = protocol

    def resume_reading(self) -> None:
        if not self._protocol.pipeline and self._protocol._refusal is None:
            super().resume_reading()


class StrictProtocol(HttpToolsProtocol):
    """One connection.

    `_taken`: bytes of a head (or of trailers) that has not ended, as far as they are known; `_fault`: status and text
    of what a callback refuses, until the parser has stopped; `_refusal`: status and text of an answer that waits for
    the ones before it, status 0 where the connection only ends then."""

    ids: ClassVar[Ids] = RandomIds()
    _in_head = True
    _taken = 0
    _lines = 0
    _fault: tuple[int, str] | None = None
    _refusal: tuple[int, str] | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.flow = Debt(self)

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None or self.transport.is_closing():
            return
        self._taken += len(data)
        super().data_received(data)
        if self._in_head and self._taken > HEAD_BYTES and self._refusal is None:
            self._fault = 431, f"the request head is longer than {HEAD_BYTES} bytes; send less"
            self.send_400_response("")

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio's own meaning of the value
        """The client will send no more: what it has asked for wholly is still answered."""
        if self.scheme != "http" or not self._cut():
            return False
        self._refusal = self._refusal or (0, "")
        return True

    # --- what the parser finds

    def on_message_begin(self) -> None:
        self._in_head, self._taken, self._lines = True, 0, 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._lines += 1
        if self._lines > HEAD_LINES:
            self._stop(431, f"the request has more than {HEAD_LINES} header lines; send fewer")
        if self._in_head:
            super().on_header(name, value)
        elif self._taken > HEAD_BYTES:
            self._stop(431, f"the trailers are longer than {HEAD_BYTES} bytes; send less")

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > HEAD_BYTES:
            self._stop(431, f"the request head is longer than {HEAD_BYTES} bytes; send less")
        version = self.parser.get_http_version()
        if version not in ("1.0", "1.1"):
            self._stop(505, "only HTTP/1.1 and HTTP/1.0 are served here")
        names = [name for name, _ in self.headers]
        if names.count(b"host") > 1 or (version == "1.1" and b"host" not in names):
            self._stop(400, "a request needs exactly one Host header")
        codings = [value.strip().lower() for name, value in self.headers if name == b"transfer-encoding"]
        if codings and (codings != [b"chunked"] or version == "1.0" or b"content-length" in names):
            self._stop(400, "Transfer-Encoding must be exactly 'chunked', in HTTP/1.1, without Content-Length")
        super().on_headers_complete()
        self._in_head, self._taken = False, 0

    def on_body(self, body: bytes) -> None:
        self._taken = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_head, self._taken = True, 0
        super().on_message_complete()

    def _stop(self, status: int, text: str) -> None:
        self._fault = status, text
        raise Refused(text)

    # --- how it ends

    def _unsupported_upgrade_warning(self) -> None:
        """No other protocol is spoken here. The parser reads no further, so this is the last request."""
        self._refusal = 0, ""
        self.flow.pause_reading()
        if self.cycle is not None:
            self.cycle.keep_alive = False

    def send_400_response(self, msg: str) -> None:
        self._refusal = self._fault or (400, "this is not an HTTP request that can be read in one way only")
        self.flow.pause_reading()
        if not self._cut():
            self._refuse()

    def _cut(self) -> bool:
        """Forget a request that will not arrive whole; whether answers to earlier ones are due."""
        cycle: Any = self.cycle
        if cycle is None or cycle.response_complete:
            return False
        if cycle.more_body:
            if not self.pipeline or self.pipeline[0][0] is not cycle:
                cycle.disconnected = True
                cycle.message_event.set()
                return False
            self.pipeline.popleft()
        return True

    def on_response_complete(self) -> None:
        last = not self.pipeline
        super().on_response_complete()
        if last and self._refusal is not None:
            self._refuse()

    def _refuse(self) -> None:
        if self._refusal is not None and self._refusal[0] and not self.transport.is_closing():
            self.transport.write(self._answer(*self._refusal))
        self.transport.close()

    def _answer(self, status: int, text: str) -> bytes:
        named = request_id(self.ids)
        fault = Invalid(text, "http")
        body = json.dumps(_DIALECT.envelope(status, text, fault, named)).encode()
        lines: list[tuple[bytes, Any]] = [
            *self.server_state.default_headers,
            (b"content-type", b"application/json"),
            (b"x-openstack-request-id", named.encode()),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        head = b"".join(b"%s: %s\r\n" % line for line in lines)
        return b"HTTP/1.1 %d %s\r\n" % (status, _PHRASES[status]) + head + b"\r\n" + body

"""One client connection: finds requests in the bytes, one at a time, in order.

No buffer belongs to an idle connection: bytes are received into one scratch buffer of the loop
(`get_buffer` and `buffer_updated` follow each other without another connection in between), and a
whole small request is parsed where it lies.
"""

from __future__ import annotations

from andromede.web.stream import render
from andromede.web.stream.body import Body, BufferedBody, PacedSource, StreamBody
from andromede.web.stream.channel import Channel, send_interim
from andromede.web.stream.core import Core
from andromede.web.stream.exchange import Exchange
from andromede.web.stream.faults import BadRequest, Overloaded
from andromede.web.stream.head import Head, early_fault, parse_head
from andromede.web.stream.link import BUSY, CLOSED, DRAIN, HEAD, IDLE, LINGER, SMALL, Link
from andromede.web.stream.message import Request
from andromede.web.stream.relay import Relay

_PIPELINED = 1 << 14


class Connection(Link):
    """The protocol object of one connection. Everything here runs on the loop's thread."""

    __slots__ = ("_fill", "_head", "_pumping")

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._head: Head | None = None
        self._fill = 0
        self._pumping = False

    # --- transport callbacks

    def get_buffer(self, sizehint: int) -> memoryview:
        state = self._state
        if state == SMALL:
            assert self._body is not None
            return self._body[self._fill :]
        if state == DRAIN:
            return self._core.scratch_view[: self._drain]
        if state == BUSY:
            channel = self._exchange.channel if self._exchange is not None else None
            if isinstance(channel, Relay) and channel.active:
                return channel.room()
            return self._core.scratch_view[:_PIPELINED]
        return self._core.scratch_view

    def buffer_updated(self, nbytes: int) -> None:
        state = self._state
        if state == IDLE:
            self._pump(self._core.scratch_view, nbytes)
        elif state == HEAD:
            assert self._pending is not None
            pending, self._pending = self._pending, None
            self._core.held += nbytes
            pending += self._core.scratch_view[:nbytes]
            deadline = self._deadline
            self._pump(memoryview(pending), len(pending), held=len(pending))
            if self._still_in_head(len(pending)):
                self._deadline = deadline  # the same head as before: its time runs on
        elif state == SMALL:
            self._fill += nbytes
            self._small_progress()
        elif state == BUSY:
            self._while_busy(nbytes)
        elif state == DRAIN:
            self._drain -= nbytes
            if self._drain == 0:
                self._ready()
        elif state == LINGER:
            self._drain -= nbytes
            if self._drain <= 0:
                self._transport.close()

    def eof_received(self) -> bool:
        """The client will send no more. An answer under way is still delivered, where the transport can."""
        self.half_closed = True
        exchange = self._exchange
        if self._state == BUSY and exchange is not None:
            if isinstance(exchange.channel, Relay):
                exchange.channel.ended()
            return self._core.scheme == "http"
        return self._unsent > 0 and self._pending is not None and self._core.scheme == "http"

    # --- finding requests

    def _pump(self, view: memoryview, end: int, held: int = 0) -> None:
        """Handle the requests that lie whole in view[:end] and keep what is left."""
        self._state = IDLE
        self._core.held -= held
        self._pumping = True
        at = 0
        try:
            while at < end and self._state == IDLE and not self._unsent:
                step = self._one(view[at:end])
                if step == 0:
                    break
                at += step
        finally:
            self._pumping = False
        if at < end and self._state not in (LINGER, CLOSED):
            self._keep(view[at:end])

    def _one(self, view: memoryview) -> int:
        """Take one request off the front; the count of bytes used, 0 when the head is not complete."""
        limits = self._core.limits
        front = bytes(view[: limits.head_bytes + 6])
        start = 2 if front.startswith(b"\r\n") else 0  # one empty line before a request is forgiven (RFC 9112 2.2)
        stop = front.find(b"\r\n\r\n", start, start + limits.head_bytes + 4)
        if stop < 0:
            self._incomplete(front[start : start + limits.head_bytes + 4])
            return 0
        try:
            head = parse_head(front[start:stop], limits)
        except BadRequest as fault:
            self._refuse(fault)
            return 0
        used = stop + 4
        if head.length == 0:
            if head.expects:  # botocore misreads the next answer on a connection whose empty PUT got no 100
                self.write(render.CONTINUE, b"")
            self._begin(head, BufferedBody())
            return used
        if head.length is None or head.length > limits.small_body:
            return used + self._begin_stream(head, bytes(view[used:]))
        ready = bytes(view[used : used + head.length])
        if len(ready) == head.length:
            self._begin(head, BufferedBody(ready))
            return used + head.length
        if head.expects:
            return used + self._begin_stream(head, ready)
        return used + self._begin_small(head, ready)

    def _incomplete(self, front: bytes) -> None:
        """Wait for the rest of a head, unless it is wrong or too long already."""
        limits = self._core.limits
        fault = early_fault(front)
        if fault is None and len(front) == limits.head_bytes + 4:
            fault = BadRequest(f"the request head is longer than {limits.head_bytes} bytes; send less", 431)
        if fault is not None:
            self._refuse(fault)
        elif self._state == IDLE:
            self._state = HEAD
            self._deadline_in(limits.head_seconds)

    def _begin_small(self, head: Head, ready: bytes) -> int:
        core = self._core
        assert head.length is not None
        if core.held + head.length > core.limits.held_bytes:
            self._refuse(Overloaded("too many requests are being received; try again shortly"))
            return len(ready)
        core.held += head.length
        self._body = memoryview(bytearray(head.length))
        self._body[: len(ready)] = ready
        self._fill = len(ready)
        self._head = head
        self._state = SMALL
        self._deadline_in(core.limits.small_seconds)
        return len(ready)

    def _small_progress(self) -> None:
        body, head = self._body, self._head
        assert body is not None and head is not None
        if self._fill < len(body):
            return
        self._core.held -= len(body)
        self._body = self._head = None
        self._begin(head, BufferedBody(bytes(body)))

    def _begin_stream(self, head: Head, rest: bytes) -> int:
        """A body to be read by a thread: the loop stops receiving. All of `rest` goes to the reader."""
        early = rest if head.length is None else rest[: head.length]
        self._pause()
        channel = self.open_channel()
        if isinstance(channel, Relay):
            channel.expect(None if head.length is None else head.length - len(early))
        clock, limits = self._core.clock, self._core.limits
        welcome = None
        if head.expects and not early:

            def welcome() -> None:
                send_interim(channel, render.CONTINUE, clock, limits.stall_seconds)

        source = PacedSource(channel, clock, limits.stall_seconds, limits.upload_rate)
        self._begin(head, StreamBody(head.length, early, source, welcome), channel)
        return len(early)

    def _begin(self, head: Head, body: Body, channel: Channel | None = None) -> None:
        core = self._core
        self._state = BUSY
        self._deadline = 0
        core.counters.requests += 1
        core.counters.in_flight += 1
        request = Request(
            head.method,
            head.target,
            head.path,
            head.query,
            head.headers,
            core.scheme,
            self._peer,
            body,
            core.next_id(),
        )
        exchange = self._exchange = Exchange(core, self, head, request)
        exchange.channel = channel
        exchange.start()

    def _still_in_head(self, size: int) -> bool:
        return self._state == HEAD and self._pending is not None and len(self._pending) == size

    def _while_busy(self, nbytes: int) -> None:
        exchange = self._exchange
        if exchange is not None and isinstance(exchange.channel, Relay) and exchange.channel.active:
            self.touch()
            exchange.channel.filled(nbytes)
        else:
            self._keep(self._core.scratch_view[:nbytes])

    def _keep(self, rest: memoryview) -> None:
        """Remember bytes of a later, or not yet whole, request; while one is in work no more are read."""
        self._core.held += len(rest)
        if self._pending is None:
            self._pending = bytearray(rest)
        else:
            self._pending += rest
        if self._state != HEAD:
            self._pause()
        if self._core.held > self._core.limits.held_bytes:
            self.abort()

    # --- what exchanges ask for

    def finished(self, exchange: Exchange, whole: bool, close: bool) -> None:
        """The answer is with the transport (or cut): close, read an unread body away, or go on."""
        self._exchange = None
        body, channel = exchange.request.body, exchange.channel
        unseen = b""
        if channel is not None:
            unseen = channel.unseen()
            channel.close()
        if self._state == CLOSED:
            return
        if not whole:
            self.abort()
            return
        self._drain = 0
        if isinstance(body, StreamBody):
            rest = body.beyond + unseen
            if body.unread:
                self._drain = max(0, body.unread - len(rest))
            elif rest:
                self._pending = bytearray(rest) + (self._pending or b"")
                self._core.held += len(rest)
        if close and isinstance(body, StreamBody) and body.unread != 0:
            self._linger()
        elif close:
            self._end()
        elif self._drain:
            self._state = DRAIN
            self._deadline_in(self._core.limits.stall_seconds)
            self._resume()
        else:
            self._ready()

    # --- between requests

    def _ready(self) -> None:
        self._state = IDLE
        if not self._unsent:
            self._deadline = self._core.ticks + self._core.idle_ticks
        if not self._pumping:
            self._resume_pending()

    def _resume_pending(self) -> None:
        if self._pending is not None and not self._unsent:
            pending, self._pending = self._pending, None
            self._pump(memoryview(pending), len(pending), held=len(pending))
        if self._state in (IDLE, HEAD, SMALL):
            if (self._core.stopping and self._state == IDLE) or self.half_closed:
                self._end()
            elif not self._unsent:
                self._resume()

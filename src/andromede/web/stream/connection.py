"""One client connection: finds requests in the bytes, one at a time, in order.

No buffer belongs to an idle connection: bytes are received into one scratch buffer of the loop
(`get_buffer` and `buffer_updated` follow each other without another connection in between), and a
whole small request is parsed where it lies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from andromede.web.stream import render
from andromede.web.stream.body import Body, BufferedBody, StreamBody
from andromede.web.stream.channel import Channel, DirectChannel, LostChannel
from andromede.web.stream.core import Core
from andromede.web.stream.exchange import Exchange
from andromede.web.stream.faults import BadRequest, Overloaded
from andromede.web.stream.head import Head, early_fault, parse_head
from andromede.web.stream.message import Request
from andromede.web.stream.relay import Relay

IDLE, HEAD, SMALL, BUSY, DRAIN, LINGER, CLOSED = range(7)
"""No request; part of a head; part of a small body; a request in work; reading an unwanted body away;
waiting for the client to close; over."""
_PIPELINED = 1 << 14


class Connection(asyncio.BufferedProtocol):
    """The protocol object of one connection. Everything here runs on the loop's thread."""

    __slots__ = (
        "_body",
        "_core",
        "_deadline",
        "_drain",
        "_exchange",
        "_fill",
        "_head",
        "_mark",
        "_paused",
        "_peer",
        "_pending",
        "_pumping",
        "_state",
        "_then",
        "_transport",
        "_unsent",
        "half_closed",
    )

    def __init__(self, core: Core) -> None:
        self._core = core
        self._state = IDLE
        self._pending: bytearray | None = None
        self._body: memoryview | None = None
        self._head: Head | None = None
        self._exchange: Exchange | None = None
        self._then: Callable[[], None] | None = None
        self._fill = self._drain = self._deadline = self._mark = 0
        self._paused = self._pumping = self._unsent = self.half_closed = False

    # --- transport callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        core = self._core
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if isinstance(peer, tuple) else ""
        self._transport.set_write_buffer_limits(high=core.limits.write_high)
        core.counters.accepted += 1
        core.counters.connections += 1
        self._deadline = core.ticks_for(core.limits.idle_seconds)
        if len(core.connections) >= core.limits.connections:
            core.counters.refused += 1
            self._refuse(Overloaded("too many connections; try again shortly"))
        core.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        core = self._core
        self._state = CLOSED
        core.connections.discard(self)
        core.counters.connections -= 1
        self._forget()
        if self._exchange is not None:
            self._exchange.lost()
        then, self._then = self._then, None
        if then is not None:
            then()

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
            self._pump(memoryview(pending), len(pending), held=len(pending))
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

    def pause_writing(self) -> None:
        self._unsent = True
        self._mark = self._transport.get_write_buffer_size()
        self._deadline_in(self._core.limits.stall_seconds)
        if self._exchange is not None and isinstance(self._exchange.channel, Relay):
            self._exchange.channel.drained(False)

    def resume_writing(self) -> None:
        self._unsent = False
        self._mark = 0
        if self._exchange is not None and isinstance(self._exchange.channel, Relay):
            self._exchange.channel.drained(True)
        if self._then is not None:
            then, self._then = self._then, None
            self._transport.set_write_buffer_limits(high=self._core.limits.write_high)
            then()
        elif self._state == IDLE:
            self._deadline_in(self._core.limits.idle_seconds)
            self._resume_pending()

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
        if head.length is None or head.length > limits.small_body or head.expects:
            return used + self._begin_stream(head, bytes(view[used:]))
        ready = bytes(view[used : used + head.length])
        if len(ready) == head.length:
            self._begin(head, BufferedBody(ready))
            return used + head.length
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
        self._deadline_in(core.limits.stall_seconds)
        return len(ready)

    def _small_progress(self) -> None:
        body, head = self._body, self._head
        assert body is not None and head is not None
        if self._fill < len(body):
            self._deadline_in(self._core.limits.stall_seconds)
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
        welcome = None
        if head.expects and not early:

            def welcome() -> None:
                channel.send(render.CONTINUE)

        self._begin(head, StreamBody(head.length, early, channel, welcome), channel)
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

    def open_channel(self) -> Channel:
        """The way for a thread to this connection's bytes; reading stops."""
        self._pause()
        core, transport = self._core, self._transport
        if self._state == CLOSED:
            return LostChannel()
        if core.scheme == "https":
            relay = Relay(core, transport, self.touch)
            relay.drained(not self._unsent)
            return relay
        socket = transport.get_extra_info("socket")
        return DirectChannel(core.loop, core.limits, socket.fileno(), socket.family)

    def when_drained(self, then: Callable[[], None]) -> None:
        """Call `then` once nothing waits in the transport: from there on a thread may write directly."""
        if self._state == CLOSED or self._transport.get_write_buffer_size() == 0 or self._core.scheme == "https":
            then()
        else:
            self._then = then
            self._transport.set_write_buffer_limits(high=0)

    def write(self, head: bytes, body: bytes) -> None:
        """Queue a whole answer."""
        if self._state == CLOSED:
            return
        if len(body) < 1 << 16:
            self._transport.write(head + body)
        else:
            self._transport.writelines([head, body])

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

    def abort(self) -> None:
        """Cut the connection so that the client cannot take what it got for whole."""
        self._state = CLOSED
        self._transport.abort()

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
        if self._state in (IDLE, HEAD):
            if (self._core.stopping and self._state == IDLE) or self.half_closed:
                self._end()
            elif not self._unsent:
                self._resume()

    def _refuse(self, fault: BadRequest | Overloaded) -> None:
        """Answer a request that could not be read, then close."""
        self.write(*self._core.refusal(fault))
        self._forget()
        self._linger()

    def _linger(self) -> None:
        """Close without losing the answer: a close while the client still sends would reset the connection
        and take the answer with it (RFC 9112 9.6)."""
        self._state = LINGER
        self._drain = self._core.limits.drain_bytes
        self._deadline_in(self._core.limits.linger_seconds)
        if self.half_closed:
            self._end()
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._resume()

    def _end(self) -> None:
        """Close when everything is sent; a client that does not take it is cut off after a stall."""
        self._state = LINGER
        self._drain = self._core.limits.drain_bytes
        self._deadline_in(self._core.limits.stall_seconds)
        self._transport.close()

    def _forget(self) -> None:
        """Drop bytes held for requests that will not come."""
        if self._pending is not None:
            self._core.held -= len(self._pending)
            self._pending = None
        if self._body is not None:
            self._core.held -= len(self._body)
            self._body = None

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            self._transport.resume_reading()

    # --- time

    def _deadline_in(self, seconds: float) -> None:
        self._deadline = self._core.ticks_for(seconds)

    def touch(self) -> None:
        """Something is expected of the client from now on."""
        self._deadline_in(self._core.limits.stall_seconds)

    def look(self, ticks: int) -> None:
        """Called once per tick: act on a deadline that has passed."""
        if self._deadline and ticks >= self._deadline:
            self._deadline = 0
            self._expire()

    def stop(self) -> None:
        """The worker is stopping: close when no request is in work."""
        if self._state == IDLE:
            self._end()

    def _expire(self) -> None:
        waiting = self._transport.get_write_buffer_size()
        if waiting and not 0 < self._mark <= waiting:
            self._mark = waiting
            self._deadline_in(self._core.limits.stall_seconds)
        elif waiting or self._state in (DRAIN, LINGER):
            self.abort()
        elif self._state == HEAD:
            self._refuse(BadRequest("the request head did not arrive in time", 408))
        elif self._state == SMALL:
            self._refuse(BadRequest("the request body did not arrive in time", 408))
        elif self._state == BUSY:
            if self._exchange is not None and self._exchange.parked:
                self.abort()
            elif self._exchange is not None and isinstance(self._exchange.channel, Relay):
                self._exchange.channel.expire()
        elif self._state == IDLE:
            self._end()

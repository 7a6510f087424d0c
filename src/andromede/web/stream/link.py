"""The transport side of one client connection: reading on and off, writing, waiting, closing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from andromede.web.stream.channel import Channel, DirectChannel, LostChannel
from andromede.web.stream.core import Core
from andromede.web.stream.exchange import Exchange
from andromede.web.stream.faults import BadRequest, Overloaded
from andromede.web.stream.relay import Relay

IDLE, HEAD, SMALL, BUSY, DRAIN, LINGER, CLOSED = range(7)
"""No request; part of a head; part of a small body; a request in work; reading an unwanted body away;
waiting for the client to close; over."""
_COPIED = 1 << 16


class Link(asyncio.BufferedProtocol):
    """What `connection.Connection` stands on. Everything runs on the loop's thread."""

    __slots__ = (
        "_body",
        "_core",
        "_counted",
        "_deadline",
        "_drain",
        "_exchange",
        "_mark",
        "_paused",
        "_peer",
        "_pending",
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
        self._exchange: Exchange | None = None
        self._then: Callable[[], None] | None = None
        self._drain = self._deadline = self._mark = self._counted = 0
        self._paused = self._unsent = self.half_closed = False

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
            self._refuse(Overloaded("too many connections; try again shortly"))
        core.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        core = self._core
        self._state = CLOSED
        self._count_unsent(0)
        core.connections.discard(self)
        core.counters.connections -= 1
        self._forget()
        if self._exchange is not None:
            self._exchange.lost()
        then, self._then = self._then, None
        if then is not None:
            then()

    def pause_writing(self) -> None:
        self._unsent = True
        self._mark = self._transport.get_write_buffer_size()
        self._count_unsent(self._mark)
        self._deadline_in(self._core.limits.stall_seconds)
        if self._exchange is not None and isinstance(self._exchange.channel, Relay):
            self._exchange.channel.drained(False)

    def resume_writing(self) -> None:
        self._unsent = False
        self._mark = 0
        self._count_unsent(0)
        if self._exchange is not None and isinstance(self._exchange.channel, Relay):
            self._exchange.channel.drained(True)
        if self._then is not None:
            then, self._then = self._then, None
            self._transport.set_write_buffer_limits(high=self._core.limits.write_high)
            then()
        elif self._state == IDLE:
            self._deadline_in(self._core.limits.idle_seconds)
            self._resume_pending()

    def _count_unsent(self, size: int) -> None:
        """Keep the sum of what clients do not take within its bound, at the cost of the client that breaks it."""
        self._core.unsent += size - self._counted
        self._counted = size
        if size and self._core.unsent > self._core.limits.unsent_bytes:
            self.abort()

    def _resume_pending(self) -> None:
        """Go on with bytes that were kept while answers were waiting to leave."""
        raise NotImplementedError

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
        if len(body) < _COPIED:
            self._transport.write(head + body)
        elif self._core.scheme == "http":
            self._transport.writelines([head, body])
        else:  # in pieces, or all of it hides in the transport below TLS, where nobody counts it
            self._transport.write(head)
            for at in range(0, len(body), _COPIED):
                self._transport.write(body[at : at + _COPIED])
        if self._unsent:
            self._count_unsent(self._transport.get_write_buffer_size())

    def abort(self) -> None:
        """Cut the connection so that the client cannot take what it got for whole."""
        self._state = CLOSED
        self._transport.abort()

    # --- closing

    def _refuse(self, fault: BadRequest | Overloaded) -> None:
        """Answer a request that could not be read, then close."""
        self._core.counters.refused += 1
        self.write(*self._core.refusal(fault))
        self._forget()
        if self._state != CLOSED:
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

    # --- reading and waiting

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            self._transport.resume_reading()

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

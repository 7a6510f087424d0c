"""How a handler thread moves bytes: straight on the socket for plain TCP, through the loop for TLS."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from typing import Protocol

from andromede.clock import Clock
from andromede.web.stream.faults import Gone, ShortBody, Slow
from andromede.web.stream.limits import Limits
from andromede.web.stream.message import Chunk


class Channel(Protocol):
    """Blocking transfer for one request at a time. `shut` may be called from any thread and wakes the others."""

    def recv_into(self, view: memoryview) -> int:
        """Wait for bytes; 0 when the client has ended. Raises `ShortBody` on a stall."""

    def send(self, data: Chunk, more: bool = False) -> None:
        """Send all; the memory may be reused on return. `more`: other bytes follow at once.

        Raises `Gone` when the client is lost, `Slow` when it does not read.
        """

    def when_writable(self, then: Callable[[], None]) -> None:
        """After `Slow`, on the loop's thread: call `then` there once sending makes sense again."""

    def shut(self) -> None:
        """The connection is lost: wake whoever waits."""

    def unseen(self) -> bytes:
        """Bytes received from the connection that no `recv_into` has returned."""

    def close(self) -> None:
        """The request is over."""


def send_interim(channel: Channel, data: bytes, clock: Clock, seconds: float) -> None:
    """Send what must be out before the body is read (100 Continue).

    The client gets `seconds` to take it, not just a sender's patience: nothing can follow half an interim answer.
    Raises `ShortBody` when the client is lost, or does not read in time; then it is cut off.
    """
    end = clock.monotonic() + seconds
    rest: Chunk = data
    while True:
        try:
            channel.send(rest)
            return
        except Slow as slow:
            rest = slow.rest
        except Gone:
            raise ShortBody from None
        if clock.monotonic() >= end:
            channel.shut()
            raise ShortBody("short body: the client does not read the answer that it waits for")


class DirectChannel:
    """System calls on a duplicate of the connection's descriptor, while the loop keeps its hands off.

    The kernel's socket buffers overlap network and handler; nothing is copied or queued in this
    process and no wake-up crosses threads (docs/decisions/0009). Made on the loop's thread only:
    there the descriptor cannot be closed and given to another connection meanwhile.
    """

    __slots__ = ("_limits", "_loop", "_socket", "_timeout", "_watching")

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits, fileno: int, family: int) -> None:
        self._loop = loop
        self._limits = limits
        self._socket = socket.socket(family, socket.SOCK_STREAM, fileno=os.dup(fileno))
        self._timeout = 0.0
        self._watching = False

    def _wait_at_most(self, seconds: float) -> None:
        if self._timeout != seconds:
            self._timeout = seconds
            self._socket.settimeout(seconds)

    def recv_into(self, view: memoryview) -> int:
        self._wait_at_most(self._limits.stall_seconds)
        try:
            return self._socket.recv_into(view)
        except TimeoutError:
            raise ShortBody("short body: the client stopped sending before the whole body arrived") from None
        except OSError:
            return 0

    def send(self, data: Chunk, more: bool = False) -> None:
        self._wait_at_most(self._limits.patience_seconds)
        flags = socket.MSG_MORE if more else 0
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._socket.send(rest, flags) :]
        except TimeoutError:
            raise Slow(rest) from None
        except OSError as error:
            raise Gone(str(error)) from None

    def when_writable(self, then: Callable[[], None]) -> None:
        def ready() -> None:
            self._forget()
            then()

        self._watching = True
        self._loop.add_writer(self._socket.fileno(), ready)

    def _forget(self) -> None:
        if self._watching:
            self._watching = False
            self._loop.remove_writer(self._socket.fileno())

    def shut(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def unseen(self) -> bytes:
        return b""

    def close(self) -> None:
        self._forget()
        self._socket.close()


class LostChannel:
    """The channel of a connection that is gone already."""

    __slots__ = ()

    def recv_into(self, view: memoryview) -> int:
        return 0

    def send(self, data: Chunk, more: bool = False) -> None:
        raise Gone("the client closed the connection")

    def when_writable(self, then: Callable[[], None]) -> None:
        then()

    def shut(self) -> None:
        return None

    def unseen(self) -> bytes:
        return b""

    def close(self) -> None:
        return None

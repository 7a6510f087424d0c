"""How a handler thread moves bytes: straight on the socket for plain TCP, through the loop for TLS."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Protocol

from andromede.web.stream.faults import Gone, ShortBody
from andromede.web.stream.message import Chunk


class Channel(Protocol):
    """Blocking transfer for one request at a time. `shut` may be called from any thread and wakes the others."""

    def recv_into(self, view: memoryview) -> int:
        """Wait for bytes; 0 when the client has ended. Raises `ShortBody` on a stall."""

    def send(self, data: Chunk, more: bool = False) -> None:
        """Send all; the memory may be reused on return. Raises `Gone` when the client is lost or stalls."""

    def shut(self) -> None:
        """The connection is lost: wake whoever waits."""

    def unseen(self) -> bytes:
        """Bytes received from the connection that no `recv_into` has returned."""

    def close(self) -> None:
        """The request is over."""


class DirectChannel:
    """System calls on a duplicate of the connection's descriptor, while the loop keeps its hands off.

    The kernel's socket buffers overlap network and handler; nothing is copied or queued in this
    process and no wake-up crosses threads (docs/decisions/0030). Made on the loop's thread only:
    there the descriptor cannot be closed and given to another connection meanwhile.
    """

    __slots__ = ("_socket",)

    def __init__(self, fileno: int, family: int, stall_seconds: float) -> None:
        self._socket = socket.socket(family, socket.SOCK_STREAM, fileno=os.dup(fileno))
        self._socket.settimeout(stall_seconds)

    def recv_into(self, view: memoryview) -> int:
        try:
            return self._socket.recv_into(view)
        except TimeoutError:
            raise ShortBody("short body: the client stopped sending before the whole body arrived") from None
        except OSError:
            return 0

    def send(self, data: Chunk, more: bool = False) -> None:
        flags = socket.MSG_MORE if more else 0
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._socket.send(rest, flags) :]
        except OSError as error:
            raise Gone(str(error)) from None

    def shut(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def unseen(self) -> bytes:
        return b""

    def close(self) -> None:
        self._socket.close()


class LostChannel:
    """The channel of a connection that is gone already."""

    __slots__ = ()

    def recv_into(self, view: memoryview) -> int:
        return 0

    def send(self, data: Chunk, more: bool = False) -> None:
        raise Gone("the client closed the connection")

    def shut(self) -> None:
        return None

    def unseen(self) -> bytes:
        return b""

    def close(self) -> None:
        return None

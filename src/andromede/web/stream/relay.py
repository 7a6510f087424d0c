"""The channel of TLS connections: the loop decrypts into a pair of reused buffers, a thread takes from them."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from andromede.web.stream.faults import Gone, ShortBody, Slow
from andromede.web.stream.message import Chunk

if TYPE_CHECKING:
    from andromede.web.stream.core import Core


_SLICE = 1 << 18


class Buffers:
    """Receive buffers, reused, bounded in number. Lives on the loop's thread."""

    def __init__(self, size: int, total: int) -> None:
        self.size = size
        self._spare: list[bytearray] = []
        self._left = max(2, total // size)
        self._waiting: deque[Relay] = deque()

    def take(self, asker: Relay) -> bytearray | None:
        """A buffer, or None: then `asker.granted` is called when one is free."""
        if self._spare:
            return self._spare.pop()
        if self._left:
            self._left -= 1
            return bytearray(self.size)
        self._waiting.append(asker)
        return None

    def give(self, buffer: bytearray) -> None:
        """Return a buffer."""
        if self._waiting:
            self._waiting.popleft().granted(buffer)
        else:
            self._spare.append(buffer)


class Relay:
    """Double buffering between the loop (fills) and one handler thread (empties).

    Loop side: `room`, `filled`, `ended`, `resume`, `drained`. Thread side: `recv_into`, `send`.
    A buffer is handed over when it is full or the body ends; reading pauses while both are taken.
    `touch` is called whenever bytes from the client are waited for anew.
    """

    def __init__(self, core: Core, transport: asyncio.Transport, touch: Callable[[], None]) -> None:
        self._loop = core.loop
        self._patience = core.limits.patience_seconds
        self._transport = transport
        self._buffers = core.buffers
        self._touch = touch
        self._then: Callable[[], None] | None = None
        self._lock = threading.Condition(threading.Lock())
        self._full: deque[tuple[bytearray, int]] = deque()
        self._taking: tuple[bytearray, int] | None = None
        self._at = 0
        self._filling: bytearray | None = None
        self._fill = 0
        self._held = 0
        self._queued = False
        self._left: int | None = 0
        self._ended = False
        self._lost = False
        self._stalled = False
        self._reading = False
        self._writable = True

    # --- loop side

    def expect(self, size: int | None) -> None:
        """Bytes of the body still to come from the connection (None: until the coding ends)."""
        self._left = size

    def room(self) -> memoryview:
        """Where the next bytes go; only called while reading is on."""
        assert self._filling is not None
        view = memoryview(self._filling)[self._fill :]
        return view if self._left is None else view[: self._left]

    @property
    def active(self) -> bool:
        """Whether bytes from the connection belong here."""
        return self._reading

    def filled(self, count: int) -> None:
        """`count` bytes were received into `room`."""
        self._fill += count
        if self._left is not None:
            self._left -= count
        assert self._filling is not None
        done = self._left == 0
        if self._fill == len(self._filling) or done or self._left is None:
            self._hand_over()
            if done:
                self._pause()
            else:
                self.resume()

    def ended(self) -> None:
        """The client ended its side."""
        self._hand_over()
        with self._lock:
            self._ended = True
            self._lock.notify_all()

    def resume(self) -> None:
        """Go on receiving when a buffer can be had, else pause."""
        if self._lost or self._ended or self._left == 0 or self._queued:
            self._pause()
        elif self._filling is not None:
            self._read()
        elif self._held < 2:
            self._queued = True
            buffer = self._buffers.take(self)
            if buffer is None:
                self._pause()
            else:
                self.granted(buffer)
        else:
            self._pause()

    def granted(self, buffer: bytearray) -> None:
        """A buffer to fill; given on when it is no longer wanted."""
        self._queued = False
        if self._lost or self._ended or self._left == 0:
            self._buffers.give(buffer)
            return
        self._filling = buffer
        self._held += 1
        self._read()

    def expire(self) -> None:
        """Too long since `touch`: a stall, unless it is the handler that does not take what is there."""
        if not self._reading:
            return
        with self._lock:
            self._stalled = True
            self._lock.notify_all()

    def drained(self, writable: bool) -> None:
        """The transport's write buffer fell below, or rose above, its high-water mark."""
        with self._lock:
            self._writable = writable
            self._lock.notify_all()
        if writable:
            self._go_on()

    def when_writable(self, then: Callable[[], None]) -> None:
        self._then = then
        if self._writable or self._lost:
            self._go_on()

    def _go_on(self) -> None:
        then, self._then = self._then, None
        if then is not None:
            then()

    def shut(self) -> None:
        with self._lock:
            self._lost = True
            self._lock.notify_all()
        self._go_on()

    def close(self) -> None:
        """Give the buffers back (on the loop's thread, after the handler is done)."""
        self._pause()
        self._lost = True
        kept = [self._filling, self._taking[0] if self._taking else None, *(buffer for buffer, _ in self._full)]
        self._filling = self._taking = None
        self._full.clear()
        for buffer in kept:
            if buffer is not None:
                self._buffers.give(buffer)

    def unseen(self) -> bytes:
        """Bytes received and never taken by the thread (on the loop's thread, after the handler is done)."""
        parts = []
        if self._taking is not None:
            parts.append(bytes(memoryview(self._taking[0])[self._at : self._taking[1]]))
        parts.extend(bytes(memoryview(buffer)[:size]) for buffer, size in self._full)
        if self._filling is not None:
            parts.append(bytes(memoryview(self._filling)[: self._fill]))
        return b"".join(parts)

    def _hand_over(self) -> None:
        if self._filling is None or not self._fill:
            return
        with self._lock:
            self._full.append((self._filling, self._fill))
            self._lock.notify_all()
        self._filling, self._fill = None, 0

    def _read(self) -> None:
        self._touch()
        if not self._reading:
            self._reading = True
            self._transport.resume_reading()

    def _pause(self) -> None:
        if self._reading:
            self._reading = False
            self._transport.pause_reading()

    def _taken_back(self, buffer: bytearray) -> None:
        self._held -= 1
        self._buffers.give(buffer)
        self.resume()

    # --- thread side

    def recv_into(self, view: memoryview) -> int:
        if self._taking is None:
            with self._lock:
                if not self._full and not self._ended and not self._lost:
                    self._loop.call_soon_threadsafe(self.resume)
                while not self._full:
                    if self._stalled:
                        raise ShortBody("short body: the client stopped sending before the whole body arrived")
                    if self._ended or self._lost:
                        return 0
                    self._lock.wait()
                self._taking = self._full.popleft()
                self._at = 0
        buffer, size = self._taking
        count = min(len(view), size - self._at)
        view[:count] = memoryview(buffer)[self._at : self._at + count]
        self._at += count
        if self._at == size:
            self._taking = None
            self._loop.call_soon_threadsafe(self._taken_back, buffer)
        return count

    def send(self, data: Chunk, more: bool = False) -> None:
        rest = memoryview(data)
        while rest:
            piece, rest = rest[:_SLICE], rest[_SLICE:]
            self._send_piece(piece)
            with self._lock:
                self._lock.wait_for(lambda: self._writable or self._lost, self._patience)
                if self._lost:
                    raise Gone("the client closed the connection")
                if not self._writable:
                    raise Slow(rest)

    def _send_piece(self, piece: memoryview) -> None:
        """TLS has copied (encrypted) the piece when its `write` returns."""
        sent = threading.Event()

        def write() -> None:
            if not self._lost:
                self._transport.write(piece)
            sent.set()

        self._loop.call_soon_threadsafe(write)
        sent.wait()

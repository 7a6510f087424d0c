"""The listener of one object-port worker: one loop, many connections, a graceful end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import socket
import ssl
import sys
from collections.abc import Callable
from typing import Any

from andromede.web.stream.connection import Connection
from andromede.web.stream.core import Core, Counters, Parts

_COLLECT = (5000, 20, 20)  # requests leave no cycles behind, so the collector may look less often
_SETTLE = 1.0
_SWITCH_SECONDS = 0.0005  # loop and committer take turns: at 5 ms the 99th percentile of 64 GETs is twice as long


def listen(host: str, port: int, backlog: int = 1024) -> socket.socket:
    """A listening socket that several worker processes may open on the same address (SO_REUSEPORT)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
        listener.listen(backlog)
    except OSError:
        listener.close()
        raise
    return listener


class Edge:
    """Serves one listening socket. `run` blocks the calling thread; `stop` may be called from any thread."""

    def __init__(self, parts: Parts, listener: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        self.counters = Counters()
        self._parts = parts
        self._listener = listener
        self._tls = tls
        self._core: Core | None = None
        self._ending: asyncio.Event | None = None
        self._grace = 0.0
        self._stop_early = self._retire_early = False
        if tls is not None:
            tls.minimum_version = max(tls.minimum_version, ssl.TLSVersion.TLSv1_2)
            tls.options |= ssl.OP_NO_RENEGOTIATION  # so that a write encrypts at once and never waits for a read

    def run(self, ready: Callable[[], None] | None = None, loop_factory: Callable[[], Any] | None = None) -> None:
        """Serve until `stop`. `ready` is called once connections are accepted."""
        _tune()
        _allow_files(2 * self._parts.limits.connections + 1024)
        with asyncio.Runner(loop_factory=loop_factory or fast_loop) as runner:
            runner.run(self._serve(ready))

    def stop(self, grace_seconds: float = 10.0) -> None:
        """Stop accepting, close idle connections, let requests in work finish within the grace, then cut."""
        self._grace = grace_seconds
        self._stop_early = True
        core, ending = self._core, self._ending
        if core is not None and ending is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                core.loop.call_soon_threadsafe(ending.set)

    def retire(self) -> None:
        """Stop accepting, and serve the connections that there are until their clients have what they began: each
        answer says that it is the last, and idle ones have their usual time. Then `run` ends; `stop` hastens it."""
        self._retire_early = True
        core, ending = self._core, self._ending
        if core is not None and ending is not None:
            with contextlib.suppress(RuntimeError):
                core.loop.call_soon_threadsafe(ending.set)

    async def _serve(self, ready: Callable[[], None] | None) -> None:
        loop = asyncio.get_running_loop()
        core = Core(self._parts, loop, self.counters)
        core.scheme = "https" if self._tls is not None else "http"
        self._ending = asyncio.Event()
        self._core = core
        self._listener.setblocking(False)
        limits = core.limits
        server = await loop.create_server(
            lambda: Connection(core),
            sock=self._listener,
            ssl=self._tls,
            backlog=limits.backlog,
            ssl_handshake_timeout=None if self._tls is None else limits.head_seconds,
            ssl_shutdown_timeout=None if self._tls is None else limits.linger_seconds,
        )
        ticking = loop.create_task(_tick(core))
        if ready is not None:
            ready()
        if not self._stop_early:
            await self._ending.wait()
        server.close()
        if self._retire_early:
            await self._retire(core)
        core.stopping = True
        for connection in list(core.connections):
            connection.stop()
        await _until(lambda: not core.connections, core, self._grace)
        for connection in list(core.connections):
            connection.abort()
        # threads find out that their client is gone; what they hold of its connection is given back on this loop
        await _until(lambda: not core.connections and not core.counters.in_flight, core, 1.0)
        ticking.cancel()
        core.threads.stop()

    async def _retire(self, core: Core) -> None:
        """Until the last connection has ended. Those accepted a moment ago may not have begun yet, and a handshake has
        its time."""
        core.retiring = True
        await _until(lambda: self._stop_early, core, _SETTLE if self._tls is None else core.limits.head_seconds)
        while core.connections and not self._stop_early:
            await asyncio.sleep(0.05)


def fast_loop() -> asyncio.AbstractEventLoop:
    """A uvloop event loop, or asyncio's own where uvloop is missing."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def _tune() -> None:
    """Set this process up for many short calls on several threads."""
    gc.collect()
    gc.freeze()  # what exists by now stays: the collector need not walk it again and again
    gc.set_threshold(*_COLLECT)
    sys.setswitchinterval(_SWITCH_SECONDS)


def _allow_files(count: int) -> None:
    """Raise this process's limit of open files towards `count`, as far as the hard limit lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        count = min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


async def _tick(core: Core) -> None:
    """Once per tick: renew the date and look at every connection's deadline (10,000 of them take about 1 ms)."""
    while True:
        await asyncio.sleep(core.limits.tick_seconds)
        core.ticks += 1
        core.dated.renew()
        ticks = core.ticks
        for connection in list(core.connections):
            connection.look(ticks)


async def _until(condition: Callable[[], bool], core: Core, seconds: float) -> None:
    """Wait until the condition holds, at most so long."""
    step = min(0.02, core.limits.tick_seconds)
    end = core.loop.time() + seconds
    while not condition() and core.loop.time() < end:
        await asyncio.sleep(step)

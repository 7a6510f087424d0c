"""100 Continue for clients that read late, never, or have left."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time

import pytest

from andromede.web.stream import Limits, Request, Response, ShortBody
from tests.support.edge import Running, read_all, serving

WELCOME = b"HTTP/1.1 100 Continue\r\n\r\n"
LIMITS = Limits(tick_seconds=0.05, patience_seconds=0.05)


class Gate:
    """A handler that reads the body once it is let."""

    def __init__(self) -> None:
        self.reached, self.open = threading.Event(), threading.Event()

    def handle(self, request: Request) -> Response:
        self.reached.set()
        assert self.open.wait(10)
        return Response(200, [], b"read %d" % len(request.body.read()))


def expecting(served: Running, gate: Gate) -> socket.socket:
    """A connection whose request of 100,000 bytes is with its handler, which has not asked for the body yet."""
    client = served.connect()
    client.sendall(b"PUT /k HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\nExpect: 100-continue\r\n\r\n")
    assert gate.reached.wait(10)
    return client


def fill(served: Running) -> int:
    """Put bytes into the socket of the only connection until it takes no more; their count."""
    core = served.edge._core
    assert core is not None
    (connection,) = core.connections
    own = connection._transport.get_extra_info("socket").fileno()
    count = 0
    with socket.socket(fileno=os.dup(own)) as full, contextlib.suppress(BlockingIOError):
        while True:
            count += full.send(b"-" * 65_536, socket.MSG_DONTWAIT)
    return count


def test_a_client_that_reads_late_still_gets_its_100_continue() -> None:
    gate = Gate()
    with serving(gate.handle, limits=LIMITS) as served, expecting(served, gate) as client:
        before = fill(served)
        gate.open.set()
        time.sleep(0.3)  # several times the patience
        got = bytearray()
        while len(got) < before + len(WELCOME) and (piece := client.recv(1 << 16)):
            got += piece
        assert got[before:] == WELCOME
        client.sendall(bytes(100_000))
        assert client.recv(1000).endswith(b"\r\n\r\nread 100000")
    assert served.answerer.errors == []


@pytest.mark.parametrize("leaves", [True, False])
def test_nobody_to_take_100_continue_is_no_fault_of_the_edge(leaves: bool) -> None:
    gate = Gate()
    limits = Limits(tick_seconds=0.05, patience_seconds=0.05, stall_seconds=0.2)
    with serving(gate.handle, limits=limits) as served, expecting(served, gate) as client:
        before = fill(served)
        if leaves:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()  # with a reset
        gate.open.set()
        end = time.monotonic() + 10
        while served.edge.counters.connections and time.monotonic() < end:
            time.sleep(0.01)
        assert served.edge.counters.connections == 0
        if not leaves:
            with contextlib.suppress(ConnectionError):
                assert len(read_all(client)) <= before
        (error,) = served.answerer.errors
        assert isinstance(error, ShortBody)
        assert "request failed" not in served.log.getvalue()

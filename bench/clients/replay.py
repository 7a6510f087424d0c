"""What wrk cannot send: HEAD, each request exactly once, and different methods in one load.

    python -m bench.clients.replay FILE HOST:PORT CONNECTIONS SECONDS

One process and one loop over all connections. With SECONDS 0 every request of FILE is sent once. Prints one JSON
object: operations, rate a second, p50 and p99 in milliseconds, failures.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.clients.requests import read
from bench.figures import Line, summary


@dataclass(slots=True)
class Wire:
    """A connection with a request on its way."""

    socket: socket.socket
    began: float = 0.0
    head: bool = False
    answer: bytes = b""
    left: int = -1  # of the body; -1 while the head is incomplete
    status: int = 0

    def take(self, data: bytes) -> bool:
        """Whether the answer is complete now."""
        if self.left >= 0:
            self.left -= len(data)
            return self.left <= 0
        self.answer += data
        end = self.answer.find(b"\r\n\r\n")
        if end < 0:
            return False
        text = self.answer[:end].lower()
        self.status = int(text[9:12])
        place = text.find(b"\r\ncontent-length:")
        length = int(text[place + 17 :].split(b"\r\n", 1)[0]) if place >= 0 else 0
        self.left = 0 if self.head or self.status == 204 else length - (len(self.answer) - end - 4)
        return self.left <= 0


@dataclass(slots=True)
class Replay:
    """A load in progress."""

    address: str
    requests: list[bytes]
    end: float = 0.0
    turn: int = 0
    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def connect(self) -> Wire:
        host, _, port = self.address.rpartition(":")
        wire = socket.create_connection((host, int(port)), 60)
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Wire(wire)

    def send(self, wire: Wire) -> bool:
        """The next request; False when there is none."""
        if self.turn >= len(self.requests) if not self.end else time.perf_counter() >= self.end:
            return False
        request = self.requests[self.turn % len(self.requests)]
        self.turn += 1
        wire.head, wire.answer, wire.left = request.startswith(b"HEAD"), b"", -1
        wire.began = time.perf_counter()
        wire.socket.sendall(request)
        return True

    def run(self, connections: int) -> None:
        wires: dict[int, Wire] = {}
        with select.epoll() as poll:
            for _ in range(connections):
                self.begin(poll, wires)
            self.loop(poll, wires)

    def begin(self, poll: select.epoll, wires: dict[int, Wire]) -> None:
        """A new connection, if there is a request for it."""
        wire = self.connect()
        if self.send(wire):
            wires[wire.socket.fileno()] = wire
            poll.register(wire.socket, select.EPOLLIN)
        else:
            wire.socket.close()

    def loop(self, poll: select.epoll, wires: dict[int, Wire]) -> None:
        while wires:
            ready = poll.poll(60)
            if not ready:
                raise TimeoutError(f"{len(wires)} requests have no answer after a minute")
            for number, _ in ready:
                wire = wires[number]
                data = wire.socket.recv(1 << 18)
                if data and not wire.take(data):
                    continue
                self.note(wire, bool(data))
                closing = not data or b"\r\nconnection: close" in wire.answer[:4096].lower()
                if not closing and self.send(wire):
                    continue
                poll.unregister(number)
                wires.pop(number).socket.close()
                if closing:
                    self.begin(poll, wires)

    def note(self, wire: Wire, answered: bool) -> None:
        if answered and wire.status < 300:
            self.seconds.append(time.perf_counter() - wire.began)
        else:
            self.failures.append(f"status {wire.status}" if answered else "the connection was closed")


def replay(address: str, requests: list[bytes], connections: int, seconds: float = 0.0) -> Line:
    """Send them; with `seconds` 0 each exactly once."""
    began = time.perf_counter()
    load = Replay(address, requests, began + seconds if seconds else 0.0)
    load.run(connections)
    return summary(load.seconds, load.failures, time.perf_counter() - began)


def main(path: str, address: str, connections: str, seconds: str) -> None:
    print(json.dumps(replay(address, read(Path(path)), int(connections), float(seconds))))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Large bodies over a few kept-alive connections, one thread each.

    python -m bench.large FILE HOST:PORT METHOD SIZE CONNECTIONS SECONDS

FILE holds request heads in the form of replay.lua. With SECONDS 0 each is sent once. Prints one JSON object:
operations, megabytes a second, p50 and p99 in milliseconds, failures. The buffers are reused and the system calls
release the interpreter lock, so that the client costs little.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from pathlib import Path

from bench.figures import percentile
from bench.requests import PIECE, read

WINDOW = memoryview(PIECE)


def read_head(wire: socket.socket) -> tuple[int, int, int]:
    """Status, content length, and how much of the body came along."""
    head = b""
    while b"\r\n\r\n" not in head:
        piece = wire.recv(65536)
        if not piece:
            raise ConnectionError("closed before the head")
        head += piece
    lines, _, rest = head.partition(b"\r\n\r\n")
    status = int(lines.split(b" ", 2)[1])
    fields = (line.partition(b":") for line in lines.split(b"\r\n")[1:])
    length = next((int(value) for name, _, value in fields if name.lower() == b"content-length"), 0)
    return status, length, len(rest)


class Load:
    """What the threads share."""

    def __init__(self, address: str, method: str, size: int) -> None:
        host, _, port = address.rpartition(":")
        self.address = (host, int(port))
        self.method, self.size = method, size
        self.seconds: list[float] = []
        self.failures: list[str] = []

    def one(self, wire: socket.socket, request: bytes, buffer: bytearray) -> None:
        began = time.perf_counter()
        wire.sendall(request)
        left = self.size if self.method == "PUT" else 0
        while left:
            piece = min(left, len(WINDOW))
            wire.sendall(WINDOW[:piece])
            left -= piece
        status, length, got = read_head(wire)
        while got < length:
            count = wire.recv_into(buffer)
            if not count:
                raise ConnectionError("closed within the body")
            got += count
        if status >= 300 or (self.method == "GET" and length != self.size):
            self.failures.append(f"{status}, {length} bytes")
        else:
            self.seconds.append(time.perf_counter() - began)

    def connection(self, requests: list[bytes], first: int, step: int, end: float) -> None:
        """Every `step`th request, in turn until `end`; each once with an `end` of 0."""
        buffer, turn, wire = bytearray(1 << 20), first, None
        while (time.perf_counter() < end if end else turn < len(requests)) and len(self.failures) < 100:
            try:
                if wire is None:
                    wire = socket.create_connection(self.address, 60)
                    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.one(wire, requests[turn % len(requests)], buffer)
            except OSError as failure:
                self.failures.append(str(failure))
                wire = None
            turn += step


def main(path: str, address: str, method: str, *numbers: str) -> None:
    size, connections, seconds = int(numbers[0]), int(numbers[1]), float(numbers[2])
    load, requests, began = Load(address, method, size), read(Path(path)), time.perf_counter()
    end = began + seconds if seconds else 0.0
    threads = [
        threading.Thread(target=load.connection, args=(requests, number, connections, end))
        for number in range(connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took, count = time.perf_counter() - began, len(load.seconds)
    found = {"operations": count, "rate": count * size / took / 1e6, "failures": len(load.failures)}
    found |= {"p50": percentile(load.seconds, 0.5) * 1e3, "p99": percentile(load.seconds, 0.99) * 1e3}
    print(json.dumps({**found, "why": load.failures[:1]}))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Large bodies over a few kept-alive connections, one thread each.

    python -m bench.clients.large FILE HOST:PORT METHOD SIZE CONNECTIONS SECONDS

FILE holds request heads in the form of replay.lua. With SECONDS 0 each is sent once. Prints one JSON object:
operations, megabytes a second, p50 and p99 in milliseconds, failures. The buffers are reused and the system calls
release the interpreter lock, so that the client costs little.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from functools import partial
from pathlib import Path

from bench.clients.requests import PIECE, read
from bench.clients.threads import Threads

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


class Load(Threads):
    """The requests of a file, dealt out over connections."""

    def __init__(self, address: str, method: str, size: int, requests: list[bytes]) -> None:
        super().__init__(size)
        host, _, port = address.rpartition(":")
        self.address = (host, int(port))
        self.method, self.requests = method, requests

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

    def connection(self, step: int, first: int, end: float) -> None:
        """Every `step`th request, in turn until `end`; each once with an `end` of 0."""
        buffer, turn, wire, requests = bytearray(1 << 20), first, None, self.requests
        while (time.perf_counter() < end if end else turn < len(requests)) and len(self.failures) < 100:
            try:
                if wire is None:
                    wire = socket.create_connection(self.address, 60)
                    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.one(wire, requests[turn % len(requests)], buffer)
            except OSError as failure:
                self.failures.append(str(failure))
                if wire is not None:
                    wire.close()
                wire = None
            turn += step
        if wire is not None:
            wire.close()


def main(path: str, address: str, method: str, *numbers: str) -> None:
    size, connections, seconds = int(numbers[0]), int(numbers[1]), float(numbers[2])
    load = Load(address, method, size, read(Path(path)))
    print(json.dumps(load.run(partial(load.connection, connections), connections, seconds)))


if __name__ == "__main__":
    main(*sys.argv[1:])

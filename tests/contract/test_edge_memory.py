"""Memory of an edge process: large bodies pass through it, idle connections hardly exist in it."""

from __future__ import annotations

import re
import resource
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.certs import contexts

MIB = 1 << 20
SERVER = Path(__file__).parents[1] / "support" / "edge_process.py"


@dataclass
class Process:
    pid: int
    port: int
    client_tls: ssl.SSLContext | None

    def memory(self, field: str) -> int:
        """`VmRSS` or `VmHWM` (the peak) of the process in bytes."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(rf"{field}:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024

    def connect(self) -> socket.socket:
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        return self.client_tls.wrap_socket(plain, server_hostname="localhost") if self.client_tls else plain


@pytest.fixture(params=["tcp", "tls"])
def process(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Process]:
    client = contexts(tmp_path)[1] if request.param == "tls" else None
    command = [sys.executable, str(SERVER), *([str(tmp_path)] if client else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as served:
        assert served.stdout is not None
        port = int(served.stdout.readline())
        yield Process(served.pid, port, client)
        served.kill()


def upload(process: Process, size: int) -> None:
    piece = bytes(MIB)
    with process.connect() as client:
        client.sendall(b"PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // MIB):
            client.sendall(piece)
        assert client.recv(1000).endswith(b"\r\n\r\n%d" % size)


def download(process: Process, size: int) -> None:
    with process.connect() as client:
        client.sendall(b"GET /%d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % size)
        piece, total = bytearray(MIB), 0
        while count := client.recv_into(piece):
            total += count
    assert size < total < size + 1000


@pytest.mark.parametrize("size", [384 * MIB])
def test_large_bodies_do_not_grow_the_process(process: Process, size: int) -> None:
    upload(process, 8 * MIB)
    download(process, 8 * MIB)
    before = process.memory("VmHWM")
    upload(process, size)
    download(process, size)
    assert process.memory("VmHWM") - before < 24 * MIB


def test_idle_connections_are_cheap(process: Process) -> None:
    count = min(1000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 100)
    if process.client_tls:
        count = 50
    clients = []
    for number in range(count + 50):
        client = process.connect()
        client.sendall(b"GET /0 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
        clients.append(client)
        if number == 49:
            before = process.memory("VmRSS")
    each = (process.memory("VmRSS") - before) / count  # type: ignore[possibly-undefined]
    for client in clients:
        client.close()
    assert each < (48 * 1024 if process.client_tls else 6 * 1024)

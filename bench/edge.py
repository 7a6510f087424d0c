"""Speed of the object port's edge alone: no authentication, no storage.

    python -m bench.edge [--workers 2] [--port 21280] [--seconds 3] [--tls FOLDER]

Small requests by wrk (Debian package `wrk`), large bodies by threads of this program. Prints requests
per second and server CPU microseconds per request, or MB/s and server CPU milliseconds per MiB.
Client and server share the machine: compare only rounds of one run.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from andromede.clock import SystemClock
from andromede.db import Tx
from andromede.ids import RandomIds
from andromede.log import Log
from andromede.web.stream import Chunk, Commit, Done, Edge, Parts, Request, Response, done_many, listen

MIB = 1 << 20
SMALL = bytes(4096)
SIZE = 64 * MIB
PUT_LUA = "wrk.method='PUT' wrk.body=string.rep('x',4096) wrk.headers['X-Amz-Date']='20260101T000000Z'\n"


class Handlers:
    """Fixed answers: what is left is the edge."""

    def express(self, request: Request) -> None:
        """No short way: every request is asked whether it is quick."""

    def quick(self, request: Request) -> bool:
        return not request.path.startswith(b"/thread")

    def handle(self, request: Request) -> Response | Commit[Any]:
        if request.path.startswith(b"/big"):
            return self._get_big() if request.method == "GET" else self._put_big(request)
        if request.path.startswith(b"/commit"):
            return Commit(lambda tx: None, lambda value: Response(200, [("ETag", '"x"')]))
        if request.method == "PUT":
            return Response(200, [("ETag", '"0123456789abcdef"'), ("X-Size", str(len(request.body.read())))])
        return Response(200, [("ETag", '"0123456789abcdef"'), ("Content-Type", "binary/octet-stream")], SMALL)

    def error(self, request: Request | None, error: BaseException) -> Response:
        return Response(500, [], repr(error).encode())

    def _get_big(self) -> Response:
        buffer = memoryview(bytearray(MIB))

        def chunks() -> Iterator[Chunk]:
            for _ in range(SIZE // MIB):
                yield buffer

        return Response(200, [], chunks(), SIZE)

    def _put_big(self, request: Request) -> Response:
        piece = memoryview(bytearray(MIB))
        while request.body.readinto(piece):
            pass
        return Response(200)


class Committer:
    """Group commit without work: what is left is the hand-over between threads."""

    def __init__(self) -> None:
        self._gathered: list[tuple[Commit[Any], Done]] = []
        self._some = threading.Condition(threading.Lock())
        threading.Thread(target=self._run, daemon=True).start()

    def submit(self, commit: Commit[Any], done: Done) -> None:
        with self._some:
            self._gathered.append((commit, done))
            self._some.notify()

    def _run(self) -> None:
        while True:
            with self._some:
                while not self._gathered:
                    self._some.wait()
                batch, self._gathered = self._gathered, []
            done_many([(done, commit.render(commit.work(cast(Tx, None)))) for commit, done in batch])


def serve(port: int, folder: str) -> None:
    sys.setswitchinterval(0.0005)
    log = Log(io.StringIO())
    tls = None
    if folder:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(f"{folder}/cert.pem", f"{folder}/key.pem")
    edge = Edge(Parts(Handlers(), Committer(), SystemClock(), RandomIds(), log), listen("127.0.0.1", port), tls)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    edge.run()


@dataclass
class Servers:
    pids: list[int]

    def cpu(self) -> float:
        """CPU seconds used so far by all workers."""
        total = 0
        for pid in self.pids:
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")


def wrk(servers: Servers, port: int, path: str, connections: int, seconds: int, script: str = "") -> str:
    scheme = "https" if "--tls" in sys.argv else "http"
    before = servers.cpu()
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as lua:
        lua.write(script)
        lua.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", *(["-s", lua.name] if script else [])]
        text = subprocess.run(
            [*command, f"{scheme}://127.0.0.1:{port}{path}"], capture_output=True, text=True, check=True
        ).stdout
    count = int(re.search(r"(\d+) requests in", text)[1])  # type: ignore[index]
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])  # type: ignore[index]
    bad = re.search(r"Non-2xx.*|Socket errors.*", text)
    return f"{rate:>9,.0f} req/s  {(servers.cpu() - before) / count * 1e6:6.1f} us CPU  {bad[0] if bad else ''}"


def together(servers: Servers, clients: int, rounds: int, work: Callable[[], None]) -> str:
    before, start = servers.cpu(), time.perf_counter()
    with ThreadPoolExecutor(clients) as threads:
        for done in [threads.submit(lambda: [work() for _ in range(rounds)]) for _ in range(clients)]:
            done.result()  # a client that fails ends the run
    mib = SIZE * clients * rounds / MIB
    seconds = time.perf_counter() - start
    return f"{mib * MIB / 1e6 / seconds:>9,.0f} MB/s   {(servers.cpu() - before) / mib * 1e3:6.3f} ms CPU per MiB"


def connect(port: int, tls: ssl.SSLContext | None) -> socket.socket:
    plain = socket.create_connection(("127.0.0.1", port))
    return tls.wrap_socket(plain) if tls else plain


def get_big(port: int, tls: ssl.SSLContext | None) -> None:
    piece = bytearray(MIB)
    with connect(port, tls) as client:
        client.sendall(b"GET /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        total = 0
        while count := client.recv_into(piece):
            total += count
    assert total > SIZE


def put_big(port: int, tls: ssl.SSLContext | None) -> None:
    piece = bytes(MIB)
    with connect(port, tls) as client:
        client.sendall(b"PUT /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % SIZE)
        for _ in range(SIZE // MIB):
            client.sendall(piece)
        assert client.recv(100).startswith(b"HTTP/1.1 200")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="bench.edge", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--port", type=int, default=21280)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--tls", default="", metavar="FOLDER", help="serve TLS with cert.pem and key.pem there")
    options = parser.parse_args()
    client = ssl._create_unverified_context() if options.tls else None
    pids = []
    for _ in range(options.workers):
        pid = os.fork()
        if pid == 0:
            serve(options.port, options.tls)
        pids.append(pid)
    servers = Servers(pids)
    time.sleep(1)
    try:
        if shutil.which("wrk"):
            for name, path, script in (
                ("GET 4 KiB inline", "/small", ""),
                ("PUT 4 KiB inline", "/small", PUT_LUA),
                ("PUT 4 KiB commit", "/commit", PUT_LUA),
                ("GET 4 KiB thread", "/thread", ""),
            ):
                for connections in (1, 16, 64):
                    print(
                        f"{name} x{connections:<3}",
                        wrk(servers, options.port, path, connections, options.seconds, script),
                    )
        for clients in (1, 4):
            print(f"GET 64 MiB x{clients}", together(servers, clients, 8, lambda: get_big(options.port, client)))
            print(f"PUT 64 MiB x{clients}", together(servers, clients, 8, lambda: put_big(options.port, client)))
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)


if __name__ == "__main__":
    main()

"""An edge that runs in a thread, with an answerer written as functions and a group commit without a database."""

from __future__ import annotations

import contextlib
import io
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from andromede.clock import SystemClock
from andromede.db import Tx
from andromede.errors import Error
from andromede.ids import RandomIds
from andromede.log import Log
from andromede.web.stream import (
    Access,
    Commit,
    Done,
    Edge,
    Limits,
    Outcome,
    Parts,
    Request,
    Response,
    done_many,
    listen,
)

Handle = Callable[[Request], Response | Commit[Any]]
STATUS = {"fatal": 500, "invalid": 400, "unavailable": 503, "denied": 403, "not_found": 404}


@dataclass
class TestAnswerer:
    """Runs `handle_with`; renders errors as plain text with their kind."""

    __test__ = False
    handle_with: Handle
    inline: bool = False
    errors: list[BaseException] = field(default_factory=list)

    def express(self, request: Request) -> None:
        return None

    def quick(self, request: Request) -> bool:
        return self.inline

    def handle(self, request: Request) -> Response | Commit[Any]:
        return self.handle_with(request)

    def error(self, request: Request | None, error: BaseException) -> Response:
        self.errors.append(error)
        if not isinstance(error, Error):
            return Response(500, [], b"unforeseen\n")
        status = getattr(error, "status", STATUS.get(error.kind, 409))
        headers: list[tuple[str, str | bytes]] = [("Content-Type", "text/plain")]
        if "retry_after" in error.detail:
            headers.append(("Retry-After", str(error.detail["retry_after"])))
        return Response(status, headers, f"{error.kind}: {error.public}\n".encode())


class TestCommitter:
    """Runs what has gathered as one batch on one thread."""

    __test__ = False

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[Commit[Any], Done] | None] = queue.SimpleQueue()
        self.batches: list[int] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def submit(self, commit: Commit[Any], done: Done) -> None:
        self._queue.put((commit, done))

    def stop(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            batch = [item]
            with contextlib.suppress(queue.Empty):
                while len(batch) < 64 and (more := self._queue.get_nowait()) is not None:
                    batch.append(more)
            self.batches.append(len(batch))
            done_many([(done, self._one(commit)) for commit, done in batch])

    def _one(self, commit: Commit[Any]) -> Outcome:
        try:
            value = commit.work(cast(Tx, None))
        except Error as error:
            return error
        return lambda: commit.render(value)


@dataclass
class Running:
    """A served edge: where it listens and what it has seen."""

    edge: Edge
    port: int
    answerer: TestAnswerer
    committer: TestCommitter
    access: list[Access]
    log: io.StringIO
    thread: threading.Thread
    client_tls: ssl.SSLContext | None = None

    def connect(self, seconds: float = 20.0) -> socket.socket:
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=seconds)
        return self.client_tls.wrap_socket(plain, server_hostname="localhost") if self.client_tls else plain

    def ask(self, *pieces: bytes) -> bytes:
        """Send, then read until the edge closes."""
        with self.connect() as client:
            for piece in pieces:
                client.sendall(piece)
            return read_all(client)


def read_all(client: socket.socket) -> bytes:
    """Everything until the other side closes."""
    out = bytearray()
    while piece := client.recv(1 << 16):
        out += piece
    return bytes(out)


@contextlib.contextmanager
def serving(
    handle: Handle,
    *,
    inline: bool = False,
    limits: Limits | None = None,
    tls: tuple[ssl.SSLContext, ssl.SSLContext] | None = None,
    loop_factory: Callable[[], Any] | None = None,
) -> Iterator[Running]:
    """Serve on a free port until the block ends. `tls`: contexts for server and client."""
    answerer, committer, log = TestAnswerer(handle, inline), TestCommitter(), io.StringIO()
    access: list[Access] = []
    limits = limits or Limits(tick_seconds=0.05)
    parts = Parts(answerer, committer, SystemClock(), RandomIds(), Log(log), limits, access.append)
    listener = listen("127.0.0.1", 0)
    edge = Edge(parts, listener, tls[0] if tls else None)
    ready = threading.Event()
    thread = threading.Thread(target=edge.run, args=(ready.set, loop_factory), daemon=True)
    thread.start()
    assert ready.wait(10)
    port = int(listener.getsockname()[1])
    try:
        yield Running(edge, port, answerer, committer, access, log, thread, tls[1] if tls else None)
    finally:
        edge.stop(0.2)
        thread.join(10)
        committer.stop()
        listener.close()

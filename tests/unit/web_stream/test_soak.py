"""Many clients at once, most of them badly behaved: afterwards nothing is held, open or in work."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from andromede.errors import Denied
from andromede.web.stream import Chunk, Commit, Limits, Request, Response
from tests.support.certs import contexts
from tests.support.edge import Running, serving

CLIENTS, ROUNDS = 12, 12


def handle(request: Request) -> Response | Commit[Any]:
    """`/in` digests, `/out/N` streams N bytes, `/commit` commits, `/deny` refuses unread, `/half` reads a part."""
    what, _, rest = request.path[1:].decode().partition("/")
    if what == "out":
        size = int(rest)
        return Response(200, [], chunks(size), size if size % 2 else None)
    if what == "deny":
        raise Denied("not yours")
    if what == "half":
        request.body.read(1000)
        return Response(200)
    digest, piece = hashlib.md5(usedforsecurity=False), memoryview(bytearray(50_000))
    while count := request.body.readinto(piece):
        digest.update(piece[:count])
    answer = digest.hexdigest().encode()
    if what == "commit":
        return Commit(lambda tx: answer, lambda value: Response(200, [], value))
    return Response(200, [], answer)


def chunks(size: int) -> Iterator[Chunk]:
    buffer = memoryview(bytearray(40_000))
    for at in range(0, size, 40_000):
        yield buffer[: min(40_000, size - at)]


def wire(rng: random.Random) -> tuple[bytes, bytes]:
    """A request and what its answer must hold (b"" when any will do)."""
    if rng.random() < 0.3:
        return b"GET /out/%d HTTP/1.1\r\nHost: a\r\n\r\n" % rng.choice([0, 1, 1000, 70_001, 700_000, 2_000_001]), b""
    path = rng.choice([b"/in", b"/commit", b"/deny", b"/half"])
    body = rng.randbytes(rng.choice([0, 1, 5000, 65_536, 65_537, 300_000, 1_500_000]))
    extra = rng.choice([b"", b"", b"Expect: 100-continue\r\n", b"Connection: close\r\n"])
    if rng.random() < 0.3:
        cuts = sorted(rng.randrange(len(body) + 1) for _ in range(5))
        parts = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
        coded = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts if part) + b"0\r\n\r\n"
        request = b"PUT %b HTTP/1.1\r\nHost: a\r\n%bTransfer-Encoding: chunked\r\n\r\n%b" % (path, extra, coded)
    else:
        request = b"PUT %b HTTP/1.1\r\nHost: a\r\n%bContent-Length: %d\r\n\r\n%b" % (path, extra, len(body), body)
    wanted = hashlib.md5(body, usedforsecurity=False).hexdigest().encode() if path in (b"/in", b"/commit") else b""
    return request, wanted


def misbehave(served: Running, rng: random.Random, wrong: list[str]) -> None:
    for _ in range(ROUNDS):
        requests = [wire(rng) for _ in range(rng.choice([1, 1, 2, 4]))]
        data = b"".join(request for request, _ in requests)
        manner = rng.choice(["well", "well", "vanish", "cut", "deaf"])
        with contextlib.suppress(OSError), served.connect(10) as client:
            if manner == "cut":
                client.sendall(data[: rng.randrange(len(data))])
                continue
            sender = threading.Thread(target=send, args=(client, data))
            sender.start()
            if manner == "well":
                read_well(client, requests[0][1], wrong)
            elif manner == "vanish":
                client.recv(rng.choice([1, 10_000]))
            else:
                time.sleep(rng.random() * 0.2)
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
            sender.join()


def send(client: socket.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        client.sendall(data)


def read_well(client: socket.socket, wanted: bytes, wrong: list[str]) -> None:
    """The first answer must be whole and right."""
    got = client.recv(1 << 16)
    got = got.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n") or client.recv(1 << 16)
    if not got.startswith(b"HTTP/1.1 ") or got[9:12] not in (b"200", b"403"):
        wrong.append(f"odd answer {got[:60]!r}")
    while wanted and wanted not in got and (more := client.recv(1 << 16)):
        got += more
    if wanted and wanted not in got:
        wrong.append(f"{wanted!r} not in {got[:200]!r}")


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("way", ["tcp", "tls"])
def test_nothing_is_left_behind(way: str, seed: int, tmp_path: Path) -> None:
    limits = Limits(tick_seconds=0.05, stall_seconds=2.0, patience_seconds=0.05, threads=8, upload_threads=5)
    wrong: list[str] = []
    tls = contexts(tmp_path) if way == "tls" else None
    with serving(handle, inline=seed == 1, limits=limits, tls=tls) as served:
        before = descriptors()
        rngs = [random.Random(seed * 1000 + number) for number in range(CLIENTS)]
        threads = [threading.Thread(target=misbehave, args=(served, rng, wrong)) for rng in rngs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        end = time.monotonic() + 10
        core, counters = served.edge._core, served.edge.counters
        assert core is not None
        while time.monotonic() < end and (counters.connections or counters.in_flight or core.held):
            time.sleep(0.05)
        assert wrong == []
        assert (counters.connections, counters.in_flight, core.held, core.unsent) == (0, 0, 0, 0)
        assert descriptors() <= before
        unforeseen = [error for error in served.answerer.errors if not hasattr(error, "kind")]
        assert unforeseen == []
        assert "request failed" not in served.log.getvalue()

"""Hostile input: ten thousand connections that do nothing, and a thousand that do it slowly.

    python -m tests.campaign.fuzz_idle --connections 10000 --slow 1000

States the memory of each and what a working client beside them notices; every one is ended by its deadline.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import selectors
import shutil
import socket
import ssl
import statistics
import sys
import time
from dataclasses import dataclass, field

from tests.campaign.driver import verdict
from tests.support.installation import Installation
from tests.support.load import S3Door
from tests.support.processes import memory, processes, processor_seconds, with_children

SOURCES = 20
SLOW_PACE = 2.0
DEADLINES = {"objects": 75 + 30 + 5, "api": 30 + 5 + 5}
"""Seconds after which a port has ended every connection that does not get on."""
STARTS = (
    b"", b"G", b"GET / HTTP/1.1\r\nhost: h\r\n", b"PUT /b/k HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\n",
    b"PUT /b/k HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n5\r\n",
    b"POST /identity/v3/auth/tokens HTTP/1.1\r\nhost: h\r\n",
)  # fmt: skip
DROPS = (b"x: y\r\n", b"a", b"1", b"\r\n")


def raise_limit(count: int) -> int:
    """As many descriptors as this process may have, for `count` connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(count + 256, hard if hard != resource.RLIM_INFINITY else count + 256)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)


@dataclass(slots=True)
class Crowd:
    """Open connections to one port, from many source addresses."""

    address: str
    sockets: list[socket.socket] = field(default_factory=list)

    def grow(self, count: int, start: bytes = b"", tls: ssl.SSLContext | None = None) -> None:
        host, _, port = self.address.rpartition(":")
        for number in range(count):
            source = f"127.0.0.{2 + number % SOURCES}"
            made = socket.create_connection((host, int(port)), 30, (source, 0))
            if tls is not None:
                made = tls.wrap_socket(made, server_hostname=host)
            if start:
                made.sendall(start)
            made.setblocking(False)
            self.sockets.append(made)

    def ended(self) -> int:
        """Forget those that the server has ended; how many."""
        gone = []
        with selectors.DefaultSelector() as ready:
            for one in self.sockets:
                ready.register(one, selectors.EVENT_READ)
            for key, _ in ready.select(0):
                one = key.fileobj
                assert isinstance(one, socket.socket)
                with contextlib.suppress(BlockingIOError, ssl.SSLWantReadError):
                    try:
                        while one.recv(65536):
                            pass
                    except (ConnectionError, ssl.SSLError):
                        pass
                    gone.append(one)
        for one in gone:
            self.sockets.remove(one)
            one.close()
        return len(gone)

    def drip(self, piece: bytes) -> None:
        """A little more from everyone."""
        for one in self.sockets:
            with contextlib.suppress(OSError):
                one.send(piece)

    def close(self) -> None:
        for one in self.sockets:
            one.close()
        self.sockets.clear()


@dataclass(frozen=True, slots=True)
class Pace:
    """How a working client does."""

    median_ms: float
    worst_ms: float
    processor_ms: float


def pace(installation: Installation, count: int) -> Pace:
    """So many rounds of a put and a get by one client."""
    door = S3Door(installation)
    pids = with_children(list(processes(installation.data)))
    door.call("PUT", "/beside")
    took, cpu = [], processor_seconds(pids)
    for number in range(count):
        start = time.perf_counter()
        for method, body in (("PUT", b"x" * 1000), ("GET", b"")):
            status, _, _ = door.call(method, f"/beside/k{number % 20}", body)
            assert status == 200, status
        took.append((time.perf_counter() - start) * 1000)
    spent = processor_seconds(pids) - cpu
    door.close()
    return Pace(statistics.median(took), max(took), spent / count * 1000)


def held(installation: Installation) -> int:
    return memory(with_children(list(processes(installation.data))))


def idle(installation: Installation, port: str, count: int, rounds: int) -> list[str]:
    """Open, measure, work beside them, wait for their end. What is wrong."""
    address = installation.objects if port == "objects" else installation.api
    pace(installation, rounds)
    crowd = Crowd(address)
    crowd.grow(50)
    before, alone = held(installation), pace(installation, rounds)
    start = time.monotonic()
    crowd.grow(count)
    opened = time.monotonic() - start
    each = (held(installation) - before) / count
    beside = pace(installation, rounds)
    print(
        f"{port}: {count} idle connections in {opened:.1f} s, {each / 1024:.1f} KiB each; a put and a get take "
        f"{alone.median_ms:.1f} ms alone ({alone.processor_ms:.1f} ms of processor), {beside.median_ms:.1f} ms beside "
        f"them ({beside.processor_ms:.1f}), at worst {beside.worst_ms:.0f} ms",
        flush=True,
    )
    wrong = _until_ended(crowd, port)
    print(f"{port}: all ended after {time.monotonic() - start:.0f} s", flush=True)
    if each > 40 * 1024:
        wrong.append(f"{port}: {each / 1024:.0f} KiB for an idle connection")
    if beside.processor_ms > 2 * alone.processor_ms + 5:
        wrong.append(
            f"{port}: a request costs {beside.processor_ms:.1f} ms beside idle ones, {alone.processor_ms:.1f} alone"
        )
    return wrong


def slow(installation: Installation, port: str, count: int, rounds: int) -> list[str]:
    """A thousand clients that send drop by drop; others are served meanwhile. What is wrong."""
    address = installation.objects if port == "objects" else installation.api
    crowd = Crowd(address)
    for start in STARTS:
        crowd.grow(count // len(STARTS), start)
    crowd.drip(DROPS[0])
    beside = pace(installation, rounds)
    print(
        f"{port}: beside {len(crowd.sockets)} slow clients a put and a get take {beside.median_ms:.1f} ms", flush=True
    )
    wrong = _until_ended(crowd, port, drip=True)
    if beside.worst_ms > 10_000:
        wrong.append(f"{port}: a request beside slow clients took {beside.worst_ms:.0f} ms")
    return wrong


def _until_ended(crowd: Crowd, port: str, drip: bool = False) -> list[str]:
    end, turn = time.monotonic() + DEADLINES[port], 0
    while crowd.sockets and time.monotonic() < end:
        time.sleep(SLOW_PACE)
        crowd.ended()
        if drip:
            crowd.drip(DROPS[turn % len(DROPS)])
            turn += 1
    left = len(crowd.sockets)
    crowd.close()
    return [f"{port}: {left} connections outlive their deadline of {DEADLINES[port]} s"] if left else []


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--slow", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--tls", action="store_true")
    options = parser.parse_args()
    if (most := raise_limit(options.connections + 1000)) < options.connections + 200:
        print(f"only {most} descriptors are allowed here; raise the limit (ulimit -n)")
        return 2
    installation = Installation.fresh(tls=options.tls)
    wrong: list[str] = []
    try:
        with installation:
            for port in ("objects", "api"):
                wrong += idle(installation, port, options.connections, options.rounds)
                wrong += slow(installation, port, options.slow, options.rounds)
            wrong += [line for line in installation.log_text().splitlines() if '"alert": true' in line]
    finally:
        shutil.rmtree(installation.data, ignore_errors=True)
    return verdict(wrong)


if __name__ == "__main__":
    sys.exit(main())

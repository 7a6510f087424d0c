"""What an operation costs in a store of a million objects and a hundred thousand buckets, beside a small one.

    python -m bench.scale [--objects 1000000] [--buckets 100000] [--size 1024] [--rounds 3] [--keep FOLDER]

Two installations are filled through the commit path of the program (`bench.scale_fill`): the large one as asked, the
small one with just what the operations need (4,000 objects, 1,000 buckets). Both run at once; every operation is sent
to both over HTTP from a few connections, in alternating order, and costs the CPU time of all processes of its
installation until they are idle again, so that what a worker does later is in it. Then: work at rest, memory, start
after a stop and after kill -9, fsck, backup, and the bytes an object takes in each table and in the log.

`--keep` leaves the filled installations in a folder and uses them again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import resource
import shutil
import signal
import socket
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from bench.clients.large import read_head
from bench.scale_fill import BUCKET, Layout, fill
from tests.support.installation import Installation, wait_until
from tests.support.processes import memory, processes, processor_seconds, with_children
from tests.support.sigv4 import Signer

CONNECTIONS = 8
SMALL = Layout(deep=1000, wide=1000, flat=2000, buckets=1000)
PUT_BYTES = 4096
IDLE_SECONDS = 30
MIB = 1 << 20


@dataclass(slots=True)
class Side:
    """One of the two installations."""

    name: str
    cloud: Installation
    holds: Layout
    made: int = 0
    signer: Signer = field(init=False)

    def __post_init__(self) -> None:
        self.signer = Signer.of(self.cloud.s3)

    def pids(self) -> set[int]:
        return with_children(list(processes(self.cloud.data)))

    def request(self, method: str, target: str, body: bytes = b"") -> bytes:
        """A signed request as it goes over the wire."""
        fields = self.signer.headers(method, target, {"host": self.cloud.objects})
        if method == "PUT":
            fields |= {"content-length": str(len(body)), "content-type": "binary/octet-stream"}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body

    def settled(self, seconds: float = 40.0) -> float:
        """Processor seconds of all processes once they are idle: less than a twentieth of a core over half a second."""
        end, before = time.perf_counter() + seconds, processor_seconds(self.pids())
        while True:
            time.sleep(0.5)
            now = processor_seconds(self.pids())
            if now - before < 0.025 or time.perf_counter() > end:
                return now
            before = now


def send(address: str, requests: Sequence[bytes]) -> None:
    """Send every request once over a few kept-alive connections. RuntimeError for the first that does not succeed."""
    host, _, port = address.rpartition(":")

    def share(first: int) -> None:
        buffer = bytearray(1 << 16)
        with socket.create_connection((host, int(port)), 60) as wire:
            for request in requests[first::CONNECTIONS]:
                wire.sendall(request)
                status, length, got = read_head(wire)
                length = 0 if request.startswith(b"HEAD") else length
                while got < length:
                    got += wire.recv_into(buffer, min(len(buffer), length - got)) or length
                if status >= 300:
                    raise RuntimeError(f"{request[:120]!r} was answered with {status}")

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        list(threads.map(share, range(CONNECTIONS)))


Make = Callable[[Side, int, random.Random], Iterator[bytes]]


def _puts(side: Side, count: int, chance: random.Random) -> Iterator[bytes]:
    first, side.made = side.made, side.made + count
    body = chance.randbytes(PUT_BYTES)
    return (side.request("PUT", f"/{BUCKET}/new/{number:07d}", body) for number in range(first, side.made))


def _deletes(side: Side, count: int, chance: random.Random) -> Iterator[bytes]:
    """Of what `put` made."""
    first, side.made = side.made - count, side.made
    return (side.request("DELETE", f"/{BUCKET}/new/{number:07d}") for number in range(first, side.made))


def _reads(method: str) -> Make:
    def make(side: Side, count: int, chance: random.Random) -> Iterator[bytes]:
        for _ in range(count):
            yield side.request(method, f"/{BUCKET}/flat/{chance.randrange(side.holds.flat):06d}")

    return make


def _few_reads(side: Side, count: int, chance: random.Random) -> Iterator[bytes]:
    """Of as many objects in either store, spread over the whole of it: what memory does for a hot set, it does here."""
    step = side.holds.flat // SMALL.flat
    for _ in range(count):
        yield side.request("GET", f"/{BUCKET}/flat/{chance.randrange(SMALL.flat) * step:06d}")


def _lists(query: str) -> Make:
    """Pages of 1,000: `{middle}` in the query becomes a random key that has so many behind it."""

    def make(side: Side, count: int, chance: random.Random) -> Iterator[bytes]:
        for _ in range(count):
            middle = f"flat/{chance.randrange(side.holds.flat - 1000):06d}"
            yield side.request("GET", f"/{BUCKET}?list-type=2&{query.format(middle=quote(middle, safe=''))}")

    return make


def _bucket_pages(side: Side, count: int, chance: random.Random) -> Iterator[bytes]:
    return (side.request("GET", "/?max-buckets=1000") for _ in range(count))


def _new_buckets(side: Side, count: int, chance: random.Random) -> Iterator[bytes]:
    for _ in range(count):
        yield side.request("PUT", f"/fresh-{chance.randbytes(8).hex()}")


COLD = "GET 1 KiB, bytes on the disk"
OPERATIONS: dict[str, tuple[Make, int]] = {
    "PUT 4 KiB": (_puts, 3000),
    "GET 1 KiB": (_reads("GET"), 6000),
    "GET 1 KiB, one of 2,000 spread over the store": (_few_reads, 6000),
    COLD: (_reads("GET"), 1500),
    "HEAD": (_reads("HEAD"), 6000),
    "list, first 1,000 keys": (_lists(""), 200),
    "list, 1,000 keys from the middle": (_lists("start-after={middle}"), 200),
    "list, one of 1,000 keys": (_lists("max-keys=1&start-after={middle}"), 2000),
    "list, delimiter at the root: three common prefixes": (_lists("delimiter=/"), 1000),
    "list, delimiter in a prefix: 1,000 common prefixes": (_lists("delimiter=/&prefix=wide/"), 200),
    "list, 1,000 keys of one deep prefix": (_lists("delimiter=/&prefix=deep/"), 200),
    "DELETE": (_deletes, 3000),
    "list buckets, 1,000": (_bucket_pages, 200),
    "create a bucket": (_new_buckets, 1000),
}


def in_memory(side: Side, wanted: bool) -> None:
    """Have the database and the segment logs in the kernel's page cache, or the logs out of it."""
    files = [*(side.cloud.data / "blobs" / "log").iterdir(), *([side.cloud.data / "andromede.db"] if wanted else [])]
    for path in files:
        with path.open("rb") as file:
            if wanted:
                while file.read(4 * MIB):
                    pass
            else:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def operations(sides: Sequence[Side], rounds: int, only: str) -> dict[str, dict[str, list[float]]]:
    """Microseconds of CPU by operation and side, one value a round."""
    found: dict[str, dict[str, list[float]]] = {}
    for number in range(rounds):
        for name, (make, count) in OPERATIONS.items():
            if only not in name:
                continue
            for side in sorted(sides, key=lambda side: side.name, reverse=bool(number % 2)):
                requests = list(make(side, count, random.Random(f"{number} {name}")))
                in_memory(side, name != COLD)
                before = side.settled()
                send(side.cloud.objects, requests)
                spent = (side.settled() - before) / count * 1e6
                found.setdefault(name, {}).setdefault(side.name, []).append(spent)
                print(f"round {number}, {side.name}, {name}: {spent:,.0f} µs", flush=True)
    return found


def at_rest(side: Side) -> dict[str, float]:
    """CPU milliseconds a second without any request, and MiB of memory (proportional set size)."""
    before = side.settled()
    time.sleep(IDLE_SECONDS)
    spent = processor_seconds(side.pids()) - before
    return {"idle, ms of CPU a second": spent / IDLE_SECONDS * 1e3, "memory, MiB": memory(side.pids()) / MIB}


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds of wall and of CPU (children that ended) of a call."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    call()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def starts(side: Side) -> dict[str, float]:
    """Seconds from the command to all roles ready."""

    def kill() -> None:
        for pid in processes(side.cloud.data):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_until("the end of all processes", lambda: not processes(side.cloud.data), 30)

    found: dict[str, float] = {}
    for name, end in (("start after a stop", side.cloud.stop), ("start after kill -9", kill)):
        took = []
        for _ in range(3):
            end()
            wall, spent = timed(side.cloud.start)
            took.append((wall, spent + processor_seconds(side.pids())))
        found[f"{name}, s"], found[f"{name}, CPU s"] = map(statistics.median, zip(*took, strict=True))
    return found


def commands(side: Side) -> dict[str, float]:
    """Seconds of fsck, plain and deep, and of a backup, beside the running installation."""
    found = {}
    for name, words in (("fsck, s", ("fsck",)), ("fsck --deep, s", ("fsck", "--deep"))):
        found[name], found[f"{name[:-1]}CPU s"] = timed(lambda words=words: side.cloud.run(*words, seconds=7200))
    with tempfile.TemporaryDirectory(prefix="scale-backup-", dir=side.cloud.data.parent) as folder:
        target = Path(folder) / "backup"
        found["backup, s"], found["backup, CPU s"] = timed(lambda: side.cloud.run("backup", str(target), seconds=7200))
        found["backup, MiB"] = sum(path.stat().st_size for path in target.rglob("*") if path.is_file()) / MIB
    return found


def sizes(data: Path) -> dict[str, int]:
    """Bytes of every table and index of a stopped installation, of the database file and of the segment logs."""
    db = sqlite3.connect(f"file:{data}/andromede.db?mode=ro", uri=True)
    try:
        found = dict(db.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name ORDER BY 2 DESC"))
        rows = {
            name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for name in ("version", "container", "audit_event")
        }
    finally:
        db.close()
    logs = sum(path.stat().st_size for path in (data / "blobs" / "log").iterdir())
    total = (data / "andromede.db").stat().st_size
    return {"database file": total, "segment logs": logs, **{f"rows of {k}": v for k, v in rows.items()}, **found}


def prepared(name: str, folder: Path, holds: Layout, size: int) -> Side:
    """An installation that holds this, running; filled unless the folder has it already."""
    cloud = Installation(folder / name, settings={"server.object_workers": 2})
    done = folder / f"{name}.filled"
    if not done.exists():
        shutil.rmtree(cloud.data, ignore_errors=True)
        cloud.start()
        cloud.stop()
        fill(cloud.data, holds, size)
        done.write_text(json.dumps({"objects": holds.objects, "buckets": holds.buckets}) + "\n")
    cloud.start()
    return Side(name, cloud, holds)


def report(
    found: dict[str, dict[str, list[float]]], facts: dict[str, dict[str, float]], bytes_of: dict[str, int]
) -> None:
    """Markdown."""
    print("\n| server CPU an operation, µs | small | large | ratio |\n|---|---|---|---|")
    for name, sides in found.items():
        small, large = (statistics.median(sides[side]) for side in ("small", "large"))
        ratio = statistics.median(b / a for a, b in zip(sides["small"], sides["large"], strict=True))
        print(f"| {name} | {small:,.0f} | {large:,.0f} | {ratio:.2f} |")
    print("\n| | small | large |\n|---|---|---|")
    for name in facts["small"]:
        print(f"| {name} | {facts['small'][name]:,.2f} | {facts['large'][name]:,.2f} |")
    print("\n| part of the large store | bytes |\n|---|---|")
    for name, count in bytes_of.items():
        if count > 100_000 or name.startswith("rows"):
            print(f"| {name} | {count:,} |")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="bench.scale", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--objects", type=int, default=1_000_000)
    parser.add_argument("--buckets", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=1024, help="bytes of each object")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="folder of the installations")
    parser.add_argument("--only", default="", help="operations with this in their name")
    parser.add_argument("--skip", default="", help="leave out: operations, rest, starts, commands, sizes")
    choice = parser.parse_args()
    folder = choice.keep or Path(tempfile.mkdtemp(prefix="bench-scale-"))
    folder.mkdir(parents=True, exist_ok=True)
    skipped, sides = set(choice.skip.split(",")), []
    try:
        sides = [
            prepared("small", folder, SMALL, choice.size),
            prepared("large", folder, Layout.of(choice.objects, choice.buckets), choice.size),
        ]
        found = {} if "operations" in skipped else operations(sides, choice.rounds, choice.only)
        facts: dict[str, dict[str, float]] = {side.name: {} for side in sides}
        for name, part in (("rest", at_rest), ("starts", starts), ("commands", commands)):
            for side in sides if name not in skipped else []:
                facts[side.name] |= part(side)
                print(side.name, facts[side.name], flush=True)
        for side in sides:
            side.cloud.stop()
        report(found, facts, {} if "sizes" in skipped else sizes(folder / "large"))
    finally:
        for side in sides:
            side.cloud.stop()
        if choice.keep is None:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

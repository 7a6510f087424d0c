"""How soon a receipt can be had, and what memory the ledger costs, under load.

    python -m bench.receipts [--events 200000] [--samples 200] [--rate 1000]

One fresh installation. First a paced load of PUTs (about `--rate` a second); then PUT and GET as fast as they go until
the project's log has `--events` entries. During both, probes put an object at random moments and ask for its receipt
every 100 ms: the time from the answer's arrival to the first 200. Memory is the proportional set size of all roles when
idle: fresh, warm after the paced load, at the end; and the highest under load.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from bench.load import settle, small_files
from bench.memory import Watch
from bench.peers.andromede import Andromede
from tests.support.installation import ROOT
from tests.support.keystone import Keystone
from tests.support.processes import memory, processes

PROBES, CONNECTIONS, PACED = 6, 16, 64
USUAL_MS = 10  # about what a request takes under the paced load; the rest of its turn a connection waits
GIVE_UP, LONGEST = 60.0, 300.0
MIB = 1 << 20


@dataclass
class Probes:
    """Threads that put an object and wait for its receipt, one sample after another."""

    peer: Andromede
    samples: list[float] = field(default_factory=list)
    missing: int = 0
    index: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def one(self, objects: http.client.HTTPConnection, receipts: Receipts) -> None:
        """One sample: seconds from the answer of a PUT to its receipt."""
        target = f"{self.peer.prefix}/probe-{threading.get_ident()}"
        objects.request("PUT", target, b"probe", dict(self.peer.headers("PUT", target)))
        answer = objects.getresponse()
        answer.read()
        answered = time.perf_counter()
        origin, _, index = (answer.getheader("Andromede-Ledger") or "").rpartition(" ")
        assert answer.status == 200 and origin, (answer.status, answer.getheaders())
        self.index = max(self.index, int(index))
        while not receipts.there(int(index)):
            if time.perf_counter() - answered > GIVE_UP:
                self.missing += 1
                return
            time.sleep(0.1)
        self.samples.append(time.perf_counter() - answered)

    def run(self) -> None:
        assert self.peer.cloud is not None
        receipts = Receipts(self.peer)
        with contextlib.closing(http.client.HTTPConnection(self.peer.address, timeout=60)) as objects:
            while not self._stop.wait(random.uniform(0.0, 1.5)):
                self.one(objects, receipts)

    def __enter__(self) -> Probes:
        self._pool = ThreadPoolExecutor(PROBES)
        self._running = [self._pool.submit(self.run) for _ in range(PROBES)]
        return self

    def __exit__(self, *failure: object) -> None:
        self._stop.set()
        for running in self._running:
            running.result()
        self._pool.shutdown()


class Receipts:
    """The receipts of the project, over the API."""

    def __init__(self, peer: Andromede) -> None:
        assert peer.cloud is not None
        user = Keystone.log_in(peer.cloud, peer.cloud.clouds["andromede"]["auth"])
        url = urlsplit(user.endpoint("sovereignty"))
        self._prefix = url.path.rstrip("/").removesuffix("/v1") + "/v1"
        self._headers = {"X-Auth-Token": user.token}
        self._wire = http.client.HTTPConnection(url.netloc, timeout=60)

    def there(self, index: int) -> bool:
        self._wire.request("GET", f"{self._prefix}/receipts/{index}", headers=self._headers)
        with self._wire.getresponse() as answer:
            text = answer.read()
            assert answer.status in (200, 202), (answer.status, text[:500])
            return answer.status == 200


@contextlib.contextmanager
def load(peer: Andromede, file: Path, seconds: float, pause: int | None = None) -> Iterator[subprocess.Popen[str]]:
    """wrk in the background; with a pause (ms) before each request of a connection, or flat out."""
    script = ROOT / "bench" / "clients" / ("replay.lua" if pause is None else "paced.lua")
    connections = CONNECTIONS if pause is None else PACED
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, int(seconds))}s", "-s", str(script)]
    words = [f"http://{peer.address}", "--", str(file), *([] if pause is None else [str(pause)])]
    wrk = subprocess.Popen([*command, *words], stdout=subprocess.PIPE, text=True)
    try:
        yield wrk
    finally:
        wrk.terminate()
        wrk.communicate()


def by_role(peer: Andromede) -> dict[str, int]:
    """Proportional set size of each role's processes."""
    assert peer.cloud is not None
    found: dict[str, int] = {}
    for pid, role in processes(peer.cloud.data).items():
        found[role] = found.get(role, 0) + memory({pid})
    return found


def in_mebibytes(sizes: dict[str, int]) -> str:
    parts = ", ".join(f"{role} {size / MIB:.0f}" for role, size in sorted(sizes.items()))
    return f"{sum(sizes.values()) / MIB:.0f} MiB ({parts})"


def shown(name: str, probes: Probes, events: int, seconds: float) -> str:
    times = sorted(probes.samples)
    if not times:
        return f"| {name} | {events / seconds:,.0f} | no receipt within {GIVE_UP:.0f} s ({probes.missing}) |||||"
    cuts = (statistics.median(times), times[int(len(times) * 0.99)], times[-1])
    cells = " | ".join(f"{value:.2f}" for value in cuts)
    return f"| {name} | {events / seconds:,.0f} | {len(times)} | {cells} | {probes.missing} |"


def paced(peer: Andromede, file: Path, choice: argparse.Namespace) -> str:
    """The table row of the paced load."""
    seconds = choice.samples / PROBES * 1.8
    pause = max(1, round(PACED / choice.rate * 1000) - USUAL_MS)
    with load(peer, file, seconds + 60, pause), Probes(peer) as probes:
        time.sleep(2)
        first, began = probes.index, time.perf_counter()
        while len(probes.samples) < choice.samples and time.perf_counter() - began < seconds:
            time.sleep(0.1)
        count, took = probes.index - first, time.perf_counter() - began
    return shown("PUT, paced", probes, count, took)


def flat_out(peer: Andromede, files: dict[str, Path], events: int) -> tuple[str, int]:
    """The table row of PUT and GET in turns, each for five seconds, until the log has that many entries, and how many
    it has."""
    with Probes(peer) as probes:
        time.sleep(2)
        first, began = probes.index, time.perf_counter()
        turn = 0
        while probes.index < events and time.perf_counter() - began < LONGEST:
            with load(peer, files["put" if turn % 2 == 0 else "get"], 5) as wrk:
                wrk.wait()
            turn += 1
            time.sleep(0.1)
        count, took = probes.index - first, time.perf_counter() - began
    return shown("PUT and GET, flat out", probes, count, took), probes.index


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="bench.receipts", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=200_000, help="entries of the log at the end")
    parser.add_argument("--samples", type=int, default=150, help="receipts under the paced load")
    parser.add_argument("--rate", type=float, default=1000.0, help="events a second of the paced load")
    choice = parser.parse_args()
    if shutil.which("wrk") is None:
        print("wrk is needed (Debian: apt-get install wrk)")
        return 1
    scratch, peer = Path(tempfile.mkdtemp(prefix="bench-receipts-")), Andromede()
    try:
        peer.start(scratch)
        files = small_files(peer, scratch)
        settle(peer, time.perf_counter())
        sizes = [by_role(peer)]
        with Watch(peer) as watch:
            rows = [paced(peer, files["put"], choice)]
            settle(peer, time.perf_counter())
            sizes.append(by_role(peer))
            row, events = flat_out(peer, files, choice.events)
            rows.append(row)
            ended = time.perf_counter()
            settle(peer, time.perf_counter())
        lag = time.perf_counter() - ended
        sizes.append(by_role(peer))
    finally:
        peer.stop()
        shutil.rmtree(scratch, ignore_errors=True)
    print("| load | events/s | receipts | median s | p99 s | longest s | missing |\n|" + "---|" * 7)
    print("\n".join(rows))
    fresh, warm, end = map(in_mebibytes, sizes)
    print(f"\nmemory, idle: fresh {fresh}; warm {warm}; after {events:,} events {end};", end=" ")
    print(f"at most {watch.highest / MIB:.0f} MiB under load; idle again {lag:.1f} s after it")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Memory of this program: at rest after its first start, and what many large uploads at once add.

    python -m bench.memory [--uploads 64] [--size 64MiB]

Memory is the proportional set size of all roles together.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import threading
import time
from pathlib import Path

from bench.clients import requests
from bench.figures import Case, Line, size_of
from bench.load import child, settle
from bench.peers.andromede import Andromede
from tests.support.processes import memory

MIB = 1 << 20


class Watch:
    """The highest memory of a peer while the block runs."""

    def __init__(self, peer: Andromede, every: float = 0.5) -> None:
        self.peer, self.every = peer, every
        self.highest = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.wait(self.every):
            self.highest = max(self.highest, memory(self.peer.pids()))

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._stop.set()
        self._thread.join()


def measure(uploads: int = 64, size: int = 64 << 20) -> Line:
    """Bytes at rest (`idle`), the highest during as many uploads at once (`highest`), at rest again (`after`)."""
    scratch, peer = Path(tempfile.mkdtemp(prefix="bench-memory-")), Andromede()
    try:
        peer.start(scratch)
        settle(peer, time.perf_counter())
        idle = memory(peer.pids())
        puts = list(requests.requests_of(peer, Case("put", size, uploads)))
        file = requests.write(scratch / "puts", [puts[at % len(puts)] for at in range(uploads)])
        with Watch(peer, 0.1) as watch:
            found = child("bench.clients.large", file, peer.address, "PUT", size, uploads, 0)
        if found["failures"]:
            raise RuntimeError(f"{found['failures']} of {uploads} uploads failed: {found['why']}")
        settle(peer, time.perf_counter())
        return {"idle": idle, "highest": max(idle, watch.highest), "after": memory(peer.pids()), **found}
    finally:
        peer.stop()
        shutil.rmtree(scratch, ignore_errors=True)


def shown(found: Line, uploads: int, size: int) -> str:
    idle, highest, after = (found[name] / MIB for name in ("idle", "highest", "after"))
    return (
        f"memory of all roles: {idle:.0f} MiB at rest; {uploads} uploads of {size // MIB} MiB at once add "
        f"{highest - idle:.0f} MiB; {after:.0f} MiB at rest again; {found['rate']:,.0f} MB/s"
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.memory", description=__doc__)
    parser.add_argument("--uploads", type=int, default=64)
    parser.add_argument("--size", type=size_of, default=64 << 20)
    choice = parser.parse_args()
    print(shown(measure(choice.uploads, choice.size), choice.uploads, choice.size))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

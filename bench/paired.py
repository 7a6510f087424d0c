"""What the ledger costs: this program against an earlier commit of itself, in alternating paired rounds.

    python -m bench.paired [--before 3e8cc9e] [--rounds 4] [--seconds 2] [--operations put:16,put:64,get:16,get:64]

Each round starts both fresh and gives both the same signed requests of 4 KiB; which one goes first alternates. Rate and
p99 are the client's. CPU is that of all processes of the installation, counted until they are idle again, so that what
a worker does later for these requests is in it. Printed are medians over the rounds, and the median of their ratios.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.load import small_files, wrk
from bench.peers import Andromede, processor_seconds
from tests.support.installation import ROOT

BEFORE = "3e8cc9e"
OPERATIONS = "put:16,put:64,get:16,get:64"


def source_of(commit: str) -> Path:
    """`src` of a commit, unpacked once under build/."""
    folder = ROOT / "build" / "bench" / commit
    if not (folder / "src").exists():
        folder.mkdir(parents=True, exist_ok=True)
        packed = subprocess.run(["git", "archive", commit, "src"], cwd=ROOT, capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x", "-C", str(folder)], input=packed, check=True)
    return folder / "src"


def settled(peer: Andromede, seconds: float = 30.0) -> float:
    """Processor seconds of a peer once it is idle: less than a twentieth of a core over half a second."""
    end, before = time.perf_counter() + seconds, processor_seconds(peer.pids())
    while True:
        time.sleep(0.5)
        now = processor_seconds(peer.pids())
        if now - before < 0.025 or time.perf_counter() > end:
            return now
        before = now


def measure(peer: Andromede, scratch: Path, operations: list[str], seconds: float) -> Iterator[dict[str, Any]]:
    files = small_files(peer, scratch)
    for operation in operations:
        name, _, connections = operation.partition(":")
        before = settled(peer)
        found = wrk(peer, files[name], int(connections), seconds)
        spent = settled(peer) - before
        yield {"operation": operation, "cpu_us": spent / max(1, found["operations"]) * 1e6, **found}


def one_round(number: int, sources: dict[str, Path], choice: argparse.Namespace) -> list[dict[str, Any]]:
    found = []
    for name in sorted(sources, reverse=bool(number % 2)):
        scratch, peer = Path(tempfile.mkdtemp(prefix=f"bench-{name}-")), Andromede(sources[name])
        try:
            peer.start(scratch)
            for line in measure(peer, scratch, choice.operations.split(","), choice.seconds):
                found.append({"side": name, "round": number, **line})
                print({key: round(v, 1) if isinstance(v, float) else v for key, v in found[-1].items()}, flush=True)
        finally:
            peer.stop()
            shutil.rmtree(scratch, ignore_errors=True)
    return found


def report(found: list[dict[str, Any]], before: str) -> None:
    """A Markdown table."""

    def values(side: str, operation: str, key: str) -> list[float]:
        return [line[key] for line in found if (line["side"], line["operation"]) == (side, operation)]

    def ratio(operation: str, key: str) -> float:
        pairs = zip(values("now", operation, key), values("before", operation, key), strict=True)
        return statistics.median(now / before for now, before in pairs)

    print(f"\n| operation | {before}: rate; p99 ms; CPU µs | now: rate; p99 ms; CPU µs | rate | CPU |\n|" + "---|" * 5)
    for operation in dict.fromkeys(line["operation"] for line in found):
        cells = [
            "; ".join(f"{statistics.median(values(side, operation, key)):,.0f}" for key in ("rate", "p99", "cpu_us"))
            for side in ("before", "now")
        ]
        lost, more = (ratio(operation, key) - 1 for key in ("rate", "cpu_us"))
        print(f"| {operation} | {cells[0]} | {cells[1]} | {lost:+.0%} | {more:+.0%} |")
    print(f"\nfailed requests: {sum(line['failures'] for line in found)}")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="bench.paired", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", default=BEFORE, help="commit to compare with (default: the last without a ledger)")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each operation")
    parser.add_argument("--operations", default=OPERATIONS, help="put, get with their connections")
    choice = parser.parse_args()
    if shutil.which("wrk") is None:
        print("wrk is needed (Debian: apt-get install wrk)")
        return 1
    sources = {"before": source_of(choice.before), "now": ROOT / "src"}
    report([line for number in range(choice.rounds) for line in one_round(number, sources, choice)], choice.before)
    return 0


if __name__ == "__main__":
    sys.exit(main())

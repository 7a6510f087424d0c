"""This program against itself in alternating paired rounds: what the ledger costs, or what changed since a commit.

    python -m bench.paired [--before unsequenced] [--rounds 4] [--seconds 2] [--operations put:16,put:64,get:16,get:64]

`--before` is a commit, or `unsequenced`: the same program with a checkpoint an hour instead of one a second, so that no
event is sequenced, hashed into a log or signed for meanwhile (events are recorded in both).

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

from bench.figures import Line
from bench.load import settle, small_files, wrk
from bench.packages import Missing
from bench.peers.andromede import Andromede
from tests.support.installation import ROOT

UNSEQUENCED = "unsequenced"
OPERATIONS = "put:16,put:64,get:16,get:64"


def source_of(commit: str) -> Path:
    """`src` of a commit, unpacked once under build/."""
    folder = ROOT / "build" / "bench" / commit
    if not (folder / "src").exists():
        folder.mkdir(parents=True, exist_ok=True)
        packed = subprocess.run(["git", "archive", commit, "src"], cwd=ROOT, capture_output=True, check=True).stdout
        subprocess.run(["tar", "-x", "-C", str(folder)], input=packed, check=True)
    return folder / "src"


def side(name: str) -> Andromede:
    """The program as it is (`now`), without sequencing, or as it was at a commit."""
    if name == "now":
        return Andromede()
    if name == UNSEQUENCED:
        return Andromede(settings={"ledger.checkpoint_seconds": 3600})
    return Andromede(source_of(name))


def measure(peer: Andromede, scratch: Path, operations: list[str], seconds: float) -> Iterator[Line]:
    files = small_files(peer, scratch)
    for operation in operations:
        name, _, connections = operation.partition(":")
        before = settle(peer, time.perf_counter())
        found = wrk(peer.address, files[name], int(connections), seconds)
        spent = settle(peer, time.perf_counter()) - before
        yield {"operation": operation, "cpu_us": spent / max(1, found["operations"] + found["cut"]) * 1e6, **found}


def one_round(number: int, names: list[str], operations: list[str], seconds: float) -> list[Line]:
    found = []
    for name in names[:: -1 if number % 2 else 1]:
        scratch, peer = Path(tempfile.mkdtemp(prefix=f"bench-{name}-")), side(name)
        try:
            peer.start(scratch)
            for line in measure(peer, scratch, operations, seconds):
                found.append({"side": name, "round": number, **line})
                print({key: round(v, 1) if isinstance(v, float) else v for key, v in found[-1].items()}, flush=True)
        finally:
            peer.stop()
            shutil.rmtree(scratch, ignore_errors=True)
    return found


def values(found: list[Line], name: str, operation: str, key: str) -> list[float]:
    return [line[key] for line in found if (line["side"], line["operation"]) == (name, operation)]


def ratio(found: list[Line], before: str, operation: str, key: str) -> float:
    """Median of now ÷ before over the rounds."""
    pairs = zip(values(found, "now", operation, key), values(found, before, operation, key), strict=True)
    return statistics.median(now / other for now, other in pairs)


def lost(rounds: int, seconds: float) -> dict[str, float]:
    """Shares of the rate that sequencing and checkpoints cost at 64 connections, by `put` and `get`."""
    names, operations = [UNSEQUENCED, "now"], ["put:64", "get:64"]
    found = [line for number in range(rounds) for line in one_round(number, names, operations, seconds)]
    return {name: 1 - ratio(found, UNSEQUENCED, f"{name}:64", "rate") for name in ("put", "get")}


def report(found: list[Line], before: str) -> None:
    """A Markdown table."""
    print(f"\n| operation | {before}: rate; p99 ms; CPU µs | now: rate; p99 ms; CPU µs | rate | CPU |\n|" + "---|" * 5)
    for operation in dict.fromkeys(line["operation"] for line in found):
        cells = [
            "; ".join(
                f"{statistics.median(values(found, name, operation, key)):,.0f}" for key in ("rate", "p99", "cpu_us")
            )
            for name in (before, "now")
        ]
        less, more = (ratio(found, before, operation, key) - 1 for key in ("rate", "cpu_us"))
        print(f"| {operation} | {cells[0]} | {cells[1]} | {less:+.0%} | {more:+.0%} |")
    print(f"\nfailed requests: {sum(line['failures'] for line in found)}")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="bench.paired", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", default=UNSEQUENCED, help=f"a commit, or {UNSEQUENCED} (default)")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each operation")
    parser.add_argument("--operations", default=OPERATIONS, help="put, get with their connections")
    choice = parser.parse_args()
    if shutil.which("wrk") is None:
        raise Missing("wrk is needed (Debian: wrk)")
    names, operations = [choice.before, "now"], choice.operations.split(",")
    lines = [line for number in range(choice.rounds) for line in one_round(number, names, operations, choice.seconds)]
    report(lines, choice.before)
    return 0


if __name__ == "__main__":
    sys.exit(main())

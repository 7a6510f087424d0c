"""This program beside its peers: `python -m bench [--cases put:4KiB:64,get+put:64MiB:4] [--peers nginx,swift,rgw]`.

Paired and interleaved: all systems are started fresh and filled with the same objects; then, in each round, every one
of them runs each case before the next case begins, in alternating order, while the others are at rest. Requests are
signed beforehand. Small bodies are sent by wrk, those from 1 MiB on by threads. Processor time is that of all processes
of a system, from the beginning of a case until its next one begins, so that what is done later for these requests
counts, less what it uses at rest. Printed are medians over the rounds and the median of the rounds' own ratios; a JSON
file with every figure goes to build/bench/.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench import packages, report
from bench.ceph import Rgw
from bench.figures import Case, Line, Results, cases_of, turns
from bench.load import Rig
from bench.peers import Andromede, Nginx, Peer, Rclone
from bench.swift import Swift

PEERS: dict[str, type[Peer]] = {"andromede": Andromede, "nginx": Nginx, "swift": Swift, "rgw": Rgw, "rclone": Rclone}
CASES = "put+get:4KiB:64,put+get:64MiB:4"


@contextlib.contextmanager
def started(names: list[str], cases: list[Case], scratch: Path) -> Iterator[dict[str, Rig]]:
    """All systems that can be started and filled; who cannot is named."""
    rigs: dict[str, Rig] = {}
    with contextlib.ExitStack() as ends:
        for name in names:
            peer = PEERS[name]()
            ends.callback(peer.stop)
            try:
                peer.start(scratch)
                rig = Rig(peer, scratch)
                rig.prepare([case for case in cases if rig.can(case)])
                rigs[name] = rig
                print(f"{name}: {peer.version}; {peer.durability}; at rest {rig.idle:.1%} of a core", flush=True)
            except (OSError, AssertionError, RuntimeError) as failure:
                print(f"{name}: NOT MEASURED, {failure}", flush=True)
                peer.stop()
        yield rigs


def rounds(rigs: dict[str, Rig], cases: list[Case], choice: argparse.Namespace) -> list[Line]:
    """All lines; a system that fails in a case is named and goes on with the next."""
    turn = 0
    for number in range(choice.rounds):
        for case in cases:
            for name in turns(list(rigs), turn):
                rig = rigs[name]
                if not rig.can(case):
                    continue
                try:
                    print(report.progress(rig.run(case, choice.seconds, number)), flush=True)
                except (OSError, AssertionError, RuntimeError, ValueError) as failure:
                    print(f"{name} {case}: NOT MEASURED, {failure}", flush=True)
            turn += 1
    for rig in rigs.values():
        rig.settled()
    return [line for rig in rigs.values() for line in rig.lines]


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", default="nginx,swift,rgw,rclone", help=f"of {', '.join(PEERS)}")
    parser.add_argument("--cases", default=CASES, help="operation:size:connections, parts joined with +")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each case")
    return parser


def main() -> int:
    choice = options().parse_args()
    cases, names = cases_of(choice.cases), [name for name in choice.peers.split(",") if name in PEERS]
    for line in packages.install(names):
        print(f"missing: {line}", flush=True)
    names = ["andromede", *names]
    scratch = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        with started(names, cases, scratch) as rigs:
            found = Results(rounds(rigs, cases, choice))
            report.table(found, list(rigs))
            report.save(found, {name: rig.peer for name, rig in rigs.items()})
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""This program beside its peers: `python -m bench [--cases put:4KiB:64,get+put:64MiB:4] [--peers nginx,swift,rgw]`.

Paired and interleaved: all systems are started fresh and filled with the same objects; then, in each round, every one
of them runs each case before the next case begins, in alternating order, while the others are at rest. Requests are
signed beforehand. Small bodies are sent by wrk, those from 1 MiB on by threads. Processor time is that of all processes
of a system, from the beginning of a case until it is at rest again, two seconds after the load at least, so that what
is done later for these requests counts, less what it uses at rest. Printed are medians over the rounds and the median
of the rounds' own ratios, the limits of the machine, and every figure that the design sets a floor for. A JSON file
goes to build/bench/.

A case is operation:size:connections, with `+` between alternatives. Operations: put, get, crc (PUT with a CRC64NVME of
its own, where no MD5 is wanted), head, delete, list (size: keys), mixed (45 % GET, 30 % HEAD, 25 % PUT), multipart
(parts of 8 MiB), issue and validate (tokens; size: how many different ones).
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from andromede.ops import limits
from bench import floors, hashes, memory, packages, paired, pressure, report
from bench.figures import Case, Line, Results, cases_of, turns
from bench.load import Rig, rest
from bench.peers.andromede import Andromede
from bench.peers.base import Peer
from bench.peers.ceph import Rgw
from bench.peers.keystone import Keystone
from bench.peers.nginx import Nginx
from bench.peers.rclone import Rclone
from bench.peers.swift import Swift

PEERS: dict[str, Callable[[], Peer]] = {
    "andromede": Andromede,
    "nginx": Nginx,
    "swift": Swift,
    "rgw": Rgw,
    "rclone": Rclone,
    "keystone": Keystone,
}
RIVALS = "nginx,swift,rgw,rclone,keystone"
CASES = "put+get:4KiB:1+16+64,put+get:64MiB:1+4,crc:64MiB:4,issue:1:1+4,validate:1:16,validate:300:16"
WIDE = (
    "put+get:4KiB:4,put+get:64KiB+1MiB:1+4+16+64,put+get:64MiB:16+64,"
    "head+delete+mixed:4KiB:16,list:1000:4,multipart:64MiB:4"
)
PARTS = ("memory", "pressure", "ledger")


@dataclass(frozen=True, slots=True)
class Planned:
    """A case with its length, and in how many rounds it takes part."""

    case: Case
    seconds: float
    rounds: int


def plan(choice: argparse.Namespace) -> list[Planned]:
    """ValueError when the options name no case."""
    core = [Planned(case, choice.seconds, choice.rounds) for case in cases_of(choice.cases)]
    known = {planned.case for planned in core}
    wide = [Planned(case, choice.wide_seconds, choice.wide_rounds) for case in cases_of(choice.wide)]
    return [*core, *(planned for planned in wide if planned.case not in known)]


def start(name: str, scratch: Path) -> Peer | Exception:
    """The started peer, or why it did not start."""
    peer = PEERS[name]()
    try:
        peer.start(scratch)
        return peer
    except (OSError, AssertionError, RuntimeError) as failure:
        peer.stop()
        return failure


@contextlib.contextmanager
def started(names: list[str], cases: list[Case], scratch: Path) -> Iterator[dict[str, Rig]]:
    """All systems that can be started and filled; who cannot is named."""
    rigs: dict[str, Rig] = {}
    with contextlib.ExitStack() as ends:
        with ThreadPoolExecutor(2) as threads:
            peers = dict(zip(names, threads.map(lambda name: start(name, scratch), names), strict=True))
        for peer in peers.values():
            if not isinstance(peer, Exception):
                ends.callback(peer.stop)
        for name, peer in peers.items():
            try:
                if isinstance(peer, Exception):
                    raise peer
                rig = Rig(peer, scratch)
                rig.prepare([case for case in cases if rig.can(case)])
                rigs[name] = rig
            except (OSError, AssertionError, RuntimeError) as failure:
                print(f"{name}: NOT MEASURED, {failure}", flush=True)
        rest(list(rigs.values()))
        yield rigs


def rounds(rigs: dict[str, Rig], planned: list[Planned]) -> list[Line]:
    """All lines; a system that fails in a case is named and goes on with the next."""
    turn = 0
    for number in range(max(one.rounds for one in planned)):
        for one in planned:
            if number >= one.rounds:
                continue
            for name in turns(list(rigs), turn):
                if not rigs[name].can(one.case):
                    continue
                try:
                    print(report.progress(rigs[name].run(one.case, one.seconds, number)), flush=True)
                except (OSError, AssertionError, RuntimeError, ValueError) as failure:
                    print(f"{name} {one.case}: NOT MEASURED, {failure}", flush=True)
            turn += 1
    for rig in rigs.values():
        rig.settled()
    return [line for rig in rigs.values() for line in rig.lines]


def more(choice: argparse.Namespace) -> dict[str, Any]:
    """What is measured on installations of its own, one after another; a failure is named and leaves its figure out."""
    works: dict[str, Callable[[], Any]] = {
        "memory": memory.measure,
        "pressure": pressure.measure,
        "ledger": lambda: paired.lost(choice.rounds, choice.seconds),
    }
    found = {}
    for name in filter(None, choice.parts.split(",")):
        try:
            print(f"measuring: {name}", flush=True)
            found[name] = works[name]()
        except (OSError, AssertionError, RuntimeError) as failure:
            print(f"{name}: NOT MEASURED, {failure}", flush=True)
    return found


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", default=RIVALS, help=f"(default: {RIVALS}; an empty word: none)")
    parser.add_argument("--cases", default=CASES, help="run in every round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each of these cases")
    parser.add_argument("--wide", default=WIDE, help="the other cases, run in fewer rounds (an empty word: none)")
    parser.add_argument("--wide-rounds", type=int, default=1)
    parser.add_argument("--wide-seconds", type=float, default=1.0)
    parser.add_argument("--parts", default=",".join(PARTS), help="also measured, alone (an empty word: none)")
    return parser


def chosen(parser: argparse.ArgumentParser, choice: argparse.Namespace) -> tuple[list[str], list[Planned]]:
    """Names of the systems and the plan; ends the program when an option is wrong."""
    names = [name for name in choice.peers.split(",") if name and name != "andromede"]
    if unknown := set(names) - set(PEERS):
        parser.error(f"no such peer: {', '.join(sorted(unknown))} (known: {', '.join(PEERS)})")
    if unknown := set(filter(None, choice.parts.split(","))) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))} (known: {', '.join(PARTS)})")
    try:
        planned = plan(choice)
    except ValueError as failure:
        parser.error(str(failure))
    if not planned:
        parser.error("no case is left to measure")
    return ["andromede", *names], planned


def main() -> int:
    parser = options()
    choice = parser.parse_args()
    names, planned = chosen(parser, choice)
    began, where = time.perf_counter(), report.machine()
    for line in packages.install(names[1:]):
        print(f"missing: {line}", flush=True)
    scratch = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        spent, walls = limits.all_of(scratch, time.thread_time), limits.all_of(scratch, time.perf_counter)
        with started(names, [one.case for one in planned], scratch) as rigs:
            systems = [report.system(rig) for rig in rigs.values()]
            print("\n".join(report.systems(systems)), flush=True)
            found = Results(rounds(rigs, planned))
            hashed = rigs["andromede"].hashed if "andromede" in rigs else True
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    extra = more(choice)
    costs = hashes.password_hashes()
    evidence = floors.Evidence(
        found, spent, costs["argon2id"], extra.get("memory"), extra.get("pressure"), extra.get("ledger"), hashed
    )
    lines = floors.verdicts(evidence)
    took = time.perf_counter() - began
    machine_limits = {"wall_seconds": walls, "cpu_seconds": spent, "password_hashes_cpu_seconds": costs}
    document = {"machine": {**where, "seconds": took}, "systems": systems, "lines": list(found.lines), **extra}
    print(report.whole(found, list(rigs), machine_limits, floors.table(lines), report.systems(systems)))
    path = report.save({**document, "limits": machine_limits, "floors": [report.judged(line) for line in lines]})
    print(f"\n{path}: every figure of this run; it took {took / 60:.1f} minutes")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Paired, interleaved rounds: `python -m bench [--peers nginx,swift] [--rounds 3] [--seconds 3] [--operations ...]`.

Every round starts each system fresh and gives it the same requests in the same order, so that a slow minute of the
machine hits all. Requests are signed beforehand. Small ones are sent by wrk, bodies of 64 MiB by threads. Printed are
medians: operations (or MB) a second, p99, server CPU time an operation, and the ratio to each peer. Results go to
build/bench/results.jsonl.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import peers
from bench.large import send_all
from bench.peers import Andromede, Nginx, Peer, Swift
from tests.support.processes import processor_seconds

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "build" / "bench" / "results.jsonl"
SMALL, LARGE = 4096, 64 << 20
OPERATIONS = "put:1,put:16,put:64,get:1,get:16,get:64,PUT:1,PUT:4,GET:1,GET:4"
SMALL_COUNT, LARGE_COUNT = 1000, 8


def write_requests(path: Path, peer: Peer, method: str, size: int, count: int) -> None:
    """Ready-made requests; a small PUT carries its body, a large one only its head."""
    body = bytes(size) if method == "PUT" and size == SMALL else b""
    with path.open("wb") as out:
        for number in range(count):
            target = f"{peer.prefix}/object-{size}-{number:05d}"
            fields = dict(peer.headers(method, target))
            if method == "PUT":
                fields |= {"content-length": str(size), "content-type": "application/octet-stream"}
            head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            request = f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body
            out.write(b"%d\n" % len(request) + request)


def seconds_of(text: str) -> float:
    """wrk's `1.25ms` in milliseconds."""
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}[unit]


def small(peer: Peer, file: Path, connections: int, seconds: float) -> dict[str, Any]:
    script = str(ROOT / "bench" / "replay.lua")
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "-s", script, f"http://{peer.address}"]
    text = subprocess.run([*command, "--", str(file)], capture_output=True, text=True, check=True).stdout
    count = int(re.search(r"(\d+) requests in", text)[1])  # type: ignore[index]
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])  # type: ignore[index]
    shares = {name: seconds_of(value) for name, value in re.findall(r"^ +(50|99)%\s+(\S+)", text, re.MULTILINE)}
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    broken = re.search(r"Socket errors: (.*)", text)
    failures = (int(bad[1]) if bad else 0) + sum(
        int(number) for number in re.findall(r"\d+", broken[1] if broken else "")
    )
    return {"operations": count, "rate": rate, "p50": shares["50"], "p99": shares["99"], "failures": failures}


def large(peer: Peer, file: Path, method: str, connections: int, seconds: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.large", str(file), peer.address, method, str(LARGE)]
    done = subprocess.run(
        [*command, str(connections), str(seconds)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measure(peer: Peer, scratch: Path, operations: list[str], seconds: float) -> Iterator[dict[str, Any]]:
    """One round on a started peer: fill, then each operation with the CPU time it took the server."""
    files = {name: scratch / f"{peer.name}-{name}" for name in ("put", "get", "PUT", "GET")}
    for name, file in files.items():
        few = name.isupper()
        write_requests(file, peer, name.upper(), LARGE if few else SMALL, LARGE_COUNT if few else SMALL_COUNT)
    send_all(files["put"], peer.address, 8)
    if any(name[0].isupper() for name in operations):
        large(peer, files["PUT"], "PUT", LARGE_COUNT, 1)
    for operation in operations:
        name, _, connections = operation.partition(":")
        before = processor_seconds(peer.pids())
        if name.isupper():
            found = large(peer, files[name], name, int(connections), seconds)
        else:
            found = small(peer, files[name], int(connections), seconds)
        spent = processor_seconds(peer.pids()) - before
        found["cpu_us"] = spent / max(1, found["operations"]) * 1e6
        yield {"peer": peer.name, "operation": operation, **found}
        time.sleep(0.3)


def run(names: list[str], choice: argparse.Namespace) -> list[dict[str, Any]]:
    """All rounds; a peer that cannot be measured is named and left out."""
    found: list[dict[str, Any]] = []
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    for number in range(choice.rounds):
        for name in names:
            scratch = Path(tempfile.mkdtemp(prefix=f"bench-{name}-"))
            peer = make(name)
            try:
                peer.start(scratch)
                for line in measure(peer, scratch, choice.operations.split(","), choice.seconds):
                    found.append(line)
                    with RESULTS.open("a") as out:
                        out.write(json.dumps({**line, "round": number}) + "\n")
                    print({key: round(v, 1) if isinstance(v, float) else v for key, v in line.items()}, flush=True)
            except (OSError, AssertionError, RuntimeError, subprocess.SubprocessError) as failure:
                print(f"{name}: NOT MEASURED, {failure}", flush=True)
            finally:
                peer.stop()
                shutil.rmtree(scratch, ignore_errors=True)
    return found


def make(name: str) -> Peer:
    if name == "swift":
        return Swift(peers.swift_environment(ROOT / "build"))
    return Nginx() if name == "nginx" else Andromede()


def report(found: list[dict[str, Any]], names: list[str]) -> None:
    """A Markdown table of medians, with the ratios of this program to each peer."""

    def median(name: str, operation: str, key: str) -> float:
        values = [line[key] for line in found if line["peer"] == name and line["operation"] == operation]
        return statistics.median(values) if values else 0.0

    rivals = [name for name in names if name != "andromede"]
    print("\n| operation | " + " | ".join(f"{name}, rate; p99 ms; CPU µs" for name in names), end=" | ")
    print(" | ".join(f"÷ {name}" for name in rivals) + " |\n|" + "---|" * (1 + len(names) + len(rivals)))
    for operation in dict.fromkeys(line["operation"] for line in found):
        keys = ("rate", "p99", "cpu_us")
        cells = ["; ".join(f"{median(name, operation, key):,.0f}" for key in keys) for name in names]
        ours = median("andromede", operation, "rate")
        ratios = [
            f"{ours / median(name, operation, 'rate'):.2f}" if median(name, operation, "rate") else "–"
            for name in rivals
        ]
        print(f"| {operation} | " + " | ".join([*cells, *ratios]) + " |", flush=True)
    failures = sum(line["failures"] for line in found)
    print(f"\nfailed requests: {failures}")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", default="nginx,swift", help="peers beside this program: nginx, swift")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each operation")
    parser.add_argument("--operations", default=OPERATIONS, help="put, get: 4 KiB; PUT, GET: 64 MiB; with connections")
    choice = parser.parse_args()
    if shutil.which("wrk") is None:
        print("wrk is needed (Debian: apt-get install wrk)")
        return 1
    names = ["andromede", *filter(None, choice.peers.split(","))]
    report(run(names, choice), names)
    return 0


if __name__ == "__main__":
    sys.exit(main())

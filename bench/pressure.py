"""Latency of this program while compaction, lifecycle and a backup work at once, against a quiet time.

    python -m bench.pressure [--seconds 5] [--connections 16]

One fresh installation with its logs filled and, by a restart, closed. PUT and GET of 4 KiB are measured while nothing
else works. Then everything in those logs is overwritten, so that they are due for compaction; a rule makes thousands of
objects of another bucket due for removal; backups are taken one after another; and the same two loads run until each of
the three has done something, which is counted. The worst p99 of these repetitions is told.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from bench.clients import requests
from bench.clients.replay import replay
from bench.figures import Case, Line
from bench.load import settle, small_files, wrk
from bench.peers.andromede import Andromede
from bench.peers.base import PLAIN

SETTINGS: Mapping[str, Any] = {
    "objects.worker_seconds": 1,
    "objects.garbage_grace_seconds": 5,
    "objects.test_mode": True,
    "objects.day_seconds": 1,
}
DUE, DYING, LONGEST = 12_000, 48 << 10, 60.0
OLD = "/bench-old"
RULE = (
    b"<LifecycleConfiguration><Rule><ID>old</ID><Status>Enabled</Status><Filter><Prefix></Prefix></Filter>"
    b"<Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>"
)


def call(peer: Andromede, method: str, target: str, body: bytes = b"") -> httpx.Response:
    sums = {"content-md5": base64.b64encode(hashlib.md5(body).digest()).decode()} if body else {}
    headers = dict(peer.headers(method, target, sums))
    answer = httpx.request(method, f"http://{peer.address}{target}", headers=headers, content=body, **PLAIN)
    assert answer.status_code < 300, f"{method} {target}: {answer.status_code} {answer.text[:300]}"
    return answer


def logs(peer: Andromede) -> set[str]:
    """Names of the log files that are there."""
    assert peer.cloud is not None
    return {path.name for path in (peer.cloud.data / "blobs" / "log").iterdir()}


def left(peer: Andromede) -> int:
    """Objects of the old bucket that still exist."""
    count, after = 0, ""
    while True:
        text = call(peer, "GET", f"{OLD}?list-type=2&max-keys=1000{after}").text
        keys = text.split("<Key>")[1:]
        count += len(keys)
        if "<IsTruncated>true" not in text:
            return count
        after = "&start-after=" + keys[-1].partition("<")[0]


@dataclass
class Backups:
    """One backup after another while the block runs."""

    peer: Andromede
    scratch: Path
    done: int = 0
    failures: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def _run(self) -> None:
        assert self.peer.cloud is not None
        while not self._stop.is_set() and len(self.failures) < 5:
            folder = self.scratch / f"backup-{self.done}"
            made = self.peer.cloud.run("backup", str(folder), check=False)
            if made.returncode:
                self.failures.append(made.stdout[-300:])
            self.done += made.returncode == 0
            folder.with_name(folder.name + ".key").unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)

    def __enter__(self) -> Backups:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._stop.set()
        self._thread.join()


def put(peer: Andromede, puts: list[bytes]) -> None:
    made = replay(peer.address, puts, 32)
    if made["failures"]:
        raise RuntimeError(f"{made['failures']} objects could not be put: {made['why']}")


def both(peer: Andromede, files: dict[str, Path], connections: int, seconds: float) -> dict[str, Line]:
    return {name: wrk(peer.address, file, connections, seconds) for name, file in files.items()}


def worst(lines: list[Line]) -> Line:
    """The medians of the lines, the worst p99 and the sum of the failures."""
    found = {key: statistics.median(line[key] for line in lines) for key in ("rate", "p50")}
    return {**found, "p99": max(line["p99"] for line in lines), "failures": sum(line["failures"] for line in lines)}


def measure(connections: int = 16, seconds: float = 5.0) -> dict[str, Any]:
    """`quiet` and `pressed` hold a line each for `put` and `get`; the rest counts what was done meanwhile."""
    scratch, peer = Path(tempfile.mkdtemp(prefix="bench-pressure-")), Andromede(settings=SETTINGS)
    try:
        peer.start(scratch)
        files = small_files(peer, scratch)
        call(peer, "PUT", OLD)
        keys = [f"{OLD}/{number:05d}" for number in range(DUE)]
        put(peer, [requests.request(peer, "PUT", key, 1024) for key in keys])
        dying = list(requests.requests_of(peer, Case("put", DYING, 1)))
        put(peer, dying)
        assert peer.cloud is not None
        peer.cloud.stop()
        peer.cloud.start()
        settle(peer, time.perf_counter())
        quiet = both(peer, files, connections, seconds)
        before, existed = logs(peer), left(peer)
        put(peer, dying)
        call(peer, "PUT", f"{OLD}?lifecycle=", RULE)
        rounds, end = [], time.perf_counter() + LONGEST
        counts = dict.fromkeys(("backups", "logs_compacted", "objects_expired"), 0)
        with Backups(peer, scratch) as backups:
            while not all(counts.values()) and time.perf_counter() < end:
                rounds.append(both(peer, files, connections, seconds))
                gone, removed = len(before - logs(peer)), existed - left(peer)
                counts = {"backups": backups.done, "logs_compacted": gone, "objects_expired": removed}
        pressed = {name: worst([one[name] for one in rounds]) for name in files}
        return {"quiet": quiet, "pressed": pressed, **counts, "why": backups.failures}
    finally:
        peer.stop()
        shutil.rmtree(scratch, ignore_errors=True)


def shown(found: dict[str, Any]) -> str:
    lines = []
    for name in ("put", "get"):
        quiet, pressed = found["quiet"][name], found["pressed"][name]
        lines.append(
            f"{name}: quiet {quiet['rate']:,.0f}/s, p50 {quiet['p50']:.1f}, p99 {quiet['p99']:.1f} ms; under pressure "
            f"{pressed['rate']:,.0f}/s, p50 {pressed['p50']:.1f}, p99 {pressed['p99']:.1f} ms, "
            f"{pressed['failures']} failed"
        )
    did = f"{found['backups']} backups, {found['logs_compacted']} logs compacted, {found['objects_expired']} objects "
    return "\n".join([*lines, f"meanwhile: {did}expired {found['why'] or ''}".rstrip()])


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.pressure", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=16)
    choice = parser.parse_args()
    print(shown(measure(choice.connections, choice.seconds)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

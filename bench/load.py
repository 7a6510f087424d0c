"""One case against one started peer: who sends it, and the processor time that it cost the peer."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bench.clients import requests
from bench.clients.multipart import multipart
from bench.clients.replay import replay
from bench.figures import LARGE, STORING, TOKENS, Case, Line, of_wrk
from bench.packages import program
from bench.peers.base import PLAIN, Peer, processor_seconds
from tests.support.installation import ROOT

BUSY = 0.08  # of one core: what is less is rest
WINDOW, REST, LONGEST = 0.25, 1.2, 20.0
TAIL = 2.0
LONGEST_CASE, MANY = 5.0, 8
MOST_DELETED, LEAST_DELETED = 4000, 200
CANNOT = {
    "dav": ("list", "multipart", "crc"),
    "swift": ("crc",),
    "identity": STORING,
}  # dialect -> operations that it has not


def settle(peer: Peer, since: float = 0.0) -> float:
    """Wait until the peer is at rest, at least 1.2 s after `since`; its processor seconds by then."""
    end, before = time.perf_counter() + LONGEST, processor_seconds(peer.pids())
    while True:
        time.sleep(WINDOW)
        now, instant = processor_seconds(peer.pids()), time.perf_counter()
        if (now - before < BUSY * WINDOW and instant >= since + REST) or instant > end:
            return now
        before = now


def wrk(address: str, file: Path, connections: int, seconds: float, script: str = "replay.lua") -> Line:
    """Requests of a file in turn, as fast as they go, for whole seconds. `cut` are those under way at the end: they
    cost the peer what all cost, and are no operations."""
    words = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency", "--timeout", "30s"]
    words += ["-s", str(ROOT / "bench" / "clients" / script), f"http://{address}", "--", str(file)]
    found = of_wrk(subprocess.run([program("wrk"), *words], capture_output=True, text=True, check=True).stdout)
    return {**found, "cut": connections}


def child(module: str, *words: object) -> Line:
    """What a client in a process of its own printed."""
    command = [sys.executable, "-m", module, *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{module}: {done.stderr.strip()[-400:]}")
    found: Line = json.loads(done.stdout)
    return found


def small_files(peer: Peer, scratch: Path) -> dict[str, Path]:
    """Files of PUT and GET requests of 4 KiB, by `put` and `get`; every object has been put once."""
    made = {name: list(requests.requests_of(peer, Case(name, 4096, 1))) for name in ("put", "get")}
    filled = replay(peer.address, made["put"], 8)
    if filled["failures"]:
        raise RuntimeError(f"{peer.name}: {filled['failures']} objects could not be put: {filled['why']}")
    return {name: requests.write(scratch / f"{peer.name}-{name}", lines) for name, lines in made.items()}


@dataclass(slots=True)
class Rig:
    """A started peer, filled for its cases, with what its processes did at rest."""

    peer: Peer
    scratch: Path
    idle: float = 0.0  # processor seconds a second, before any load
    closing: threading.Timer | None = None
    fill_rate: float = 0.0
    hashed: bool = True  # whether a PUT with a checksum of its own still has an MD5 for its ETag
    lines: list[Line] = field(default_factory=list)

    def can(self, case: Case) -> bool:
        if case.operation in TOKENS:
            return self.peer.login is not None
        return case.operation not in CANNOT.get(self.peer.dialect, ())

    def prepare(self, cases: list[Case]) -> None:
        """Objects of every size that the cases read, and whether a checksum spares the MD5."""
        stored = [case for case in cases if case.operation in STORING]
        for size in sorted({4096 if case.operation == "list" else case.size for case in stored}):
            self._fill(size)
            body, whole = fetch(self.peer, requests.key_of(self.peer, size, 0)), requests.PIECE
            if len(body) != size or any(
                body[at : at + len(whole)] != whole[: size - at] for at in range(0, size, len(whole))
            ):
                raise RuntimeError(f"{self.peer.name}: an object of {size} bytes does not come back as it was put")
        for case in stored:
            if case.operation == "list" and self.can(case):
                listed = fetch(self.peer, requests.listing(self.peer, case.size)).count(b"object-4096-0")
                if listed < case.size:
                    raise RuntimeError(f"{self.peer.name}: a page of {case.size} keys has {listed}")
        if self.peer.dialect == "s3":
            target = requests.key_of(self.peer, 4096, 0, "crc")
            self.hashed = re.fullmatch("[0-9a-f]{32}", etag(self.peer, target, 4096, requests.crc64(4096))) is not None

    def _fill(self, size: int) -> None:
        puts = list(requests.requests_of(self.peer, Case("put", size, 1)))
        began = time.perf_counter()
        if size < LARGE:
            found = replay(self.peer.address, puts, 8)
        else:
            file = requests.write(self.scratch / f"{self.peer.name}-fill", puts)
            found = child("bench.clients.large", file, self.peer.address, "PUT", size, 4, 0)
        if found["failures"]:
            raise RuntimeError(f"{self.peer.name}: {found['failures']} objects could not be put: {found['why']}")
        if size == 4096:
            self.fill_rate = len(puts) / (time.perf_counter() - began)

    def settled(self) -> None:
        """The books of the case before are closed."""
        if self.closing is not None:
            self.closing.join()
            self.closing = None

    def _close(self, line: Line, before: float, began: float) -> None:
        """All that the peer did since a case began, less what it does at rest."""
        spent = processor_seconds(self.peer.pids()) - before - self.idle * (time.perf_counter() - began)
        line["cpu_us"] = max(0.0, spent) / max(1, line["operations"] + line.get("cut", 0)) * 1e6
        self.lines.append(line)

    def run(self, case: Case, seconds: float, number: int) -> Line:
        """Measure, and return when the peer is at rest. Its processor time is read two seconds after the load's end,
        while the next peer is measured already, so that what is done at a slow rhythm for these requests counts."""
        self.settled()
        send = self._sender(case, seconds)
        if case.operation in ("delete", *TOKENS):
            settle(self.peer, time.perf_counter())
        os.sync()
        before, began = processor_seconds(self.peer.pids()), time.perf_counter()
        found = send()
        ended = time.perf_counter()
        line = {"peer": self.peer.name, "case": str(case), "round": number, **found}
        settle(self.peer)
        wait = max(0.0, ended + TAIL - time.perf_counter())
        self.closing = threading.Timer(wait, self._close, (line, before, began))
        self.closing.start()
        return line

    def _long_enough(self, case: Case, seconds: float) -> float:
        """A slow peer is measured longer, so that the requests cut off at the end are few among all."""
        rates = [float(line["rate"]) for line in self.lines if line["case"] == str(case)]
        rate = rates[-1] if rates else self.fill_rate or 1000.0
        return max(seconds, min(LONGEST_CASE, MANY * case.connections / max(1.0, rate)))

    def _sender(self, case: Case, seconds: float) -> Callable[[], Line]:
        peer, address = self.peer, self.peer.address
        file = self.scratch / f"{peer.name}-requests"
        if case.operation in TOKENS:
            return self._token_sender(case, seconds)
        if case.operation == "multipart":
            return lambda: multipart(peer, case.size, case.connections, seconds)
        if case.operation == "delete":
            count = int(max(LEAST_DELETED, min(MOST_DELETED, self.fill_rate * seconds)))
            puts, deletes = requests.deletions(peer, case.size, count)
            made = replay(address, puts, 16)
            if made["failures"]:
                raise RuntimeError(f"{peer.name}: objects to delete could not be put: {made['why']}")
            requests.write(file, deletes)
            return lambda: child("bench.clients.replay", file, address, case.connections, 0)
        requests.write(file, requests.requests_of(peer, case))
        if case.operation in ("head", "mixed"):
            return lambda: child("bench.clients.replay", file, address, case.connections, seconds)
        if case.operation == "list" or case.size < LARGE:
            return lambda: wrk(address, file, case.connections, self._long_enough(case, seconds))
        method = "GET" if case.operation == "get" else "PUT"
        return lambda: child("bench.clients.large", file, address, method, case.size, case.connections, seconds)

    def _token_sender(self, case: Case, seconds: float) -> Callable[[], Line]:
        login, file = self.peer.login, self.scratch / f"{self.peer.name}-requests"
        assert login is not None
        if case.operation == "issue":
            requests.write(file, [requests.post(login, login.password_body)])
            return lambda: child("bench.clients.replay", file, login.address, case.connections, seconds)
        requests.write(file, requests.validations(login, case.size))
        if case.size == 1:
            return lambda: wrk(login.address, file, case.connections, seconds)
        return lambda: child("bench.clients.replay", file, login.address, case.connections, 0)


def rest(rigs: list[Rig], seconds: float = 5.0) -> None:
    """What each started peer uses while nobody asks it anything."""
    for rig in rigs:
        settle(rig.peer, time.perf_counter())
    before = [processor_seconds(rig.peer.pids()) for rig in rigs]
    time.sleep(seconds)
    for rig, spent in zip(rigs, before, strict=True):
        rig.idle = (processor_seconds(rig.peer.pids()) - spent) / seconds


def fetch(peer: Peer, target: str) -> bytes:
    """The body of a GET; AssertionError when it is refused."""
    answer = httpx.get(f"http://{peer.address}{target}", headers=dict(peer.headers("GET", target)), **PLAIN)
    assert answer.status_code == 200, f"{peer.name} {target}: {answer.status_code} {answer.text[:300]}"
    return answer.content


def etag(peer: Peer, target: str, size: int, crc: str) -> str:
    """The ETag that a small PUT with a checksum gets."""
    fields = {"x-amz-checksum-crc64nvme": crc, "x-amz-sdk-checksum-algorithm": "CRC64NVME"}
    headers = dict(peer.headers("PUT", target, fields))
    answer = httpx.put(f"http://{peer.address}{target}", headers=headers, content=requests.body_of(size), **PLAIN)
    assert answer.status_code == 200, answer.text[:300]
    return str(answer.headers["etag"]).strip('"')

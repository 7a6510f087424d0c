"""Hostile input: a million requests and more to both doors and the API port, and what must not come of it.

    python -m tests.campaign.fuzz --requests 1000000 --seed 1

No answer is a 500, malformed or missing; no request hides in another; memory, descriptors and threads stay; the log
holds no alert; afterwards clients work and fsck finds nothing. Findings are reduced into build/campaign/fuzz.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import queue
import shutil
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from tests.campaign import driver, fuzz_identity, fuzz_reduce
from tests.campaign.fuzz_ask import Target
from tests.campaign.fuzz_client import Tally, work
from tests.support.installation import ROOT, Installation
from tests.support.keystone import Keystone
from tests.support.processes import memory, processes, processor_seconds, with_children
from tests.support.sigv4 import Signer

CLIENTS = 6
WARM_UP = 0.1
GROWTH_MIB = 160
THREADS_MOST = 190
"""The bounds of all pools: 64 in each of two object workers, 14 at the API port, and those that are always there."""
OUT = driver.OUT / "fuzz"


@dataclass(frozen=True, slots=True)
class State:
    """What an installation holds at rest. `bytes`: memory without the pages of mapped files."""

    bytes: int
    descriptors: int
    threads: int
    sockets: int

    @classmethod
    def of(cls, installation: Installation) -> State:
        pids = with_children(list(processes(installation.data)))
        descriptors = threads = sockets = 0
        for pid in pids:
            with contextlib.suppress(OSError):
                threads += len(os.listdir(f"/proc/{pid}/task"))
                for name in os.listdir(f"/proc/{pid}/fd"):
                    descriptors += 1
                    with contextlib.suppress(OSError):
                        sockets += os.readlink(f"/proc/{pid}/fd/{name}").startswith("socket:")
        return cls(memory(pids, "Pss_Anon"), descriptors, threads, sockets)


class Curve(threading.Thread):
    """The memory of each role while the attack goes on, to tell a leak from caches that fill."""

    def __init__(self, installation: Installation, every: float = 15.0) -> None:
        super().__init__(daemon=True)
        self._data, self._every, self._stop_asked = installation.data, every, threading.Event()
        self.points: list[dict[str, float]] = []

    def run(self) -> None:
        while not self._stop_asked.wait(self._every):
            point: dict[str, float] = {}
            for pid, role in processes(self._data).items():
                point[role] = point.get(role, 0.0) + memory({pid}, "Pss_Anon") / (1 << 20)
            self.points.append(point)

    def __enter__(self) -> Curve:
        self.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._stop_asked.set()
        self.join()

    def lines(self, most: int = 10) -> list[str]:
        """At most so many points, evenly over the time."""
        step = max(1, -(-len(self.points) // most))
        return [
            ", ".join(f"{role} {size:.0f}" for role, size in sorted(point.items())) for point in self.points[::step]
        ]


def settled(installation: Installation, seconds: float = 20.0) -> State:
    """The state once nothing moves any more."""
    last, end = State.of(installation), time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(1.0)
        now = State.of(installation)
        if now.descriptors == last.descriptors and abs(now.bytes - last.bytes) < 1 << 20:
            return now
        last = now
    return last


def target(installation: Installation) -> Target:
    """A populated installation and the credentials to attack it with."""
    made, admin = fuzz_identity.populate(installation)
    with contextlib.closing(admin.http):
        tenants = {name: admin.tenant(f"fuzz-{name}") for name in ("own", "other")}
        region = installation.s3["AWS_REGION"]
        signers = {name: Signer(one.access, one.secret, region) for name, one in tenants.items()}
        tokens = {**made.tokens, "admin": _token(installation, None)}
        for name, holder in (("own", "demo"), ("other", "stranger")):
            tokens["demo" if holder == "demo" else "swift stranger"] = _token(installation, tenants[name])
    account = f"AUTH_{tenants['own'].project_id}"
    return Target(
        installation.api,
        installation.objects,
        account,
        signers,
        tokens,
        made.ids,
        installation.ca if installation.tls else None,
    )


def _token(installation: Installation, tenant: Any) -> str:
    if tenant is None:
        user = Keystone.admin(installation)
    else:
        auth = {"username": tenant.user_name, "password": tenant.password, "project_name": tenant.project_name}
        user = Keystone.log_in(installation, auth)
    user.http.close()
    return user.token


def attack(to: Target, seed: str, requests: int, clients: int = CLIENTS, seconds: float = 1e9) -> Tally:
    """So many requests from several processes."""
    context = multiprocessing.get_context("spawn")
    out: Any = context.Queue()
    quota = -(-requests // clients)
    started = [
        context.Process(target=work, args=(f"{seed}-{number}", quota, to, out, seconds), daemon=True)
        for number in range(clients)
    ]
    for process in started:
        process.start()
    total = Tally()
    missing = clients
    while missing:
        try:
            total.add(out.get(timeout=5))
            missing -= 1
        except queue.Empty:
            broken = [process.exitcode for process in started if process.exitcode]
            if broken and not any(process.is_alive() for process in started):
                total.findings.append({"kind": "client", "wrong": f"{missing} clients ended without a word: {broken}"})
                break
    for process in started:
        process.join()
    return total


def alerts(installation: Installation) -> list[str]:
    """Lines of the log that an operator must see."""
    return [
        line[:2000] for line in installation.log_text().splitlines() if '"alert": true' in line or "Traceback" in line
    ]


def unexplained(installation: Installation, cut: Sequence[str]) -> list[str]:
    """Answers that broke off without a line in the log that says why."""
    lines = [line for line in installation.log_text().splitlines() if '"event": "answer.cut"' in line]
    told = {json.loads(line)["request_id"] for line in lines}
    return [f"the answer to {one or 'a request without an id'} broke off" for one in cut if one not in told]


def works(installation: Installation) -> list[str]:
    """What ordinary clients cannot do any more."""
    wrong = []
    verify = ssl.create_default_context(cafile=installation.ca)
    client, signer = httpx.Client(verify=verify, timeout=60, trust_env=False), Signer.of(installation.s3)
    for method, path, body, wanted in (
        ("PUT", "/after-the-fuzz", b"", 200), ("PUT", "/after-the-fuzz/k", b"x" * 100_000, 200),
        ("GET", "/after-the-fuzz/k", b"", 200), ("GET", "/after-the-fuzz?list-type=2", b"", 200),
        ("DELETE", "/after-the-fuzz/k", b"", 204), ("DELETE", "/after-the-fuzz", b"", 204),
    ):  # fmt: skip
        headers = signer.headers(method, path, {"host": installation.objects})
        answer = client.request(method, f"{installation.objects_url}{path}", content=body, headers=headers)
        if answer.status_code != wanted:
            wrong.append(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
    client.close()
    for name in ("andromede", "andromede-admin"):
        with contextlib.closing(Keystone.log_in(installation, installation.clouds[name]["auth"]).http):
            pass
    return wrong


def judged(installation: Installation, before: State, after: State) -> list[str]:
    """What the attack left behind."""
    wrong = [f"alert: {line}" for line in alerts(installation)]
    growth = (after.bytes - before.bytes) / (1 << 20)
    if growth > GROWTH_MIB:
        wrong.append(f"memory grew by {growth:.0f} MiB")
    if after.sockets > before.sockets:
        wrong.append(f"sockets: {before.sockets} before, {after.sockets} after")
    # pools grow up to their bounds, and each thread may hold the three files of a database connection
    grown = max(0, after.threads - before.threads)
    if after.descriptors > before.descriptors + 4 * grown + 8:
        wrong.append(f"descriptors: {before.descriptors} before, {after.descriptors} after, {grown} more threads")
    if after.threads > THREADS_MOST:
        wrong.append(f"threads: {before.threads} before, {after.threads} after")
    return wrong + works(installation)


def checked(installation: Installation) -> list[str]:
    """What fsck says of the stored data."""
    done = installation.run("fsck", check=False, seconds=3600)
    return [] if done.returncode == 0 else [f"fsck: {done.stdout[-3000:]}"]


def run(options: argparse.Namespace) -> int:
    OUT.mkdir(parents=True, exist_ok=True)
    installation = Installation.fresh(tls=options.tls)
    try:
        with installation:
            return _run(options, installation)
    finally:
        if not options.keep:
            shutil.rmtree(installation.data, ignore_errors=True)


def _run(options: argparse.Namespace, installation: Installation) -> int:
    to = target(installation)
    warm = attack(to, f"{options.seed}w", max(3000, int(options.requests * WARM_UP)), options.clients)
    before = settled(installation)
    _say(f"warm-up: {warm.answered + warm.raw} requests, {before.bytes >> 20} MiB, {before.descriptors} descriptors")
    pids = with_children(list(processes(installation.data)))
    start, cpu = time.monotonic(), processor_seconds(pids)
    with Curve(installation) as curve:
        total = attack(to, str(options.seed), options.requests, options.clients)
    seconds, spent = time.monotonic() - start, processor_seconds(pids) - cpu
    after = settled(installation)
    total.findings += warm.findings
    count = total.answered + total.raw
    wrong = judged(installation, before, after) + checked(installation)
    wrong += unexplained(installation, warm.cut + total.cut)
    reduced = fuzz_reduce.write(total.findings, to, OUT, str(options.seed))
    _report(total, count, seconds, spent)
    grown = (after.bytes - before.bytes) / (1 << 20)
    _say(
        f"memory {before.bytes >> 20} -> {after.bytes >> 20} MiB ({grown:+.1f}); descriptors {before.descriptors} -> "
        f"{after.descriptors}; threads {before.threads} -> {after.threads}"
    )
    _say(f"{len(warm.cut) + len(total.cut)} answers broke off, as large objects do whose parts are gone")
    for line in curve.lines():
        _say(f"  MiB over time: {line}")
    for line in wrong:
        _say(f"WRONG: {line}")
    _say(
        f"{len(total.findings)} findings in {len(reduced)} groups, see {OUT.relative_to(ROOT)}"
        if reduced
        else "no findings"
    )
    for name, found in list(reduced.items())[:40]:
        _say(f"  {name}: {found}")
    return 1 if wrong or total.findings else 0


def _report(total: Tally, count: int, seconds: float, spent: float) -> None:
    _say(
        f"{count} requests in {seconds:.0f} s, {count / seconds:.0f}/s; "
        f"server {spent / count * 1000:.2f} ms of processor each"
    )
    _say(
        f"slowest pipeline {total.slowest:.1f} s; "
        f"operations that succeeded: {len(total.worked)} of {len(total.tried)} tried"
    )
    doors: dict[str, Counter[str]] = {}
    for name, number in total.statuses.items():
        door, _, status = name.rpartition(" ")
        doors.setdefault(door, Counter())[status] += number
    for door, statuses in sorted(doors.items()):
        _say(f"  {door}: " + ", ".join(f"{status} {number}" for status, number in sorted(statuses.items())))
    failed = sorted(total.tried - total.worked)
    (OUT / "never-succeeded.txt").write_text("\n".join(failed) + "\n")
    (OUT / "last.json").write_text(json.dumps({"requests": count, "seconds": seconds, "statuses": total.statuses}))


def _say(text: str) -> None:
    print(text, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--tls", action="store_true", help="over TLS")
    parser.add_argument("--keep", action="store_true", help="leave the data directory")
    options = parser.parse_args()
    print(f"seed {options.seed}")
    return run(options)


if __name__ == "__main__":
    sys.exit(main())

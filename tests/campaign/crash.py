"""Kill anything at any time, start it again, and hold the program against a journal kept outside it:
`python -m tests.campaign.crash --kills 1000 --seed 1 [--postgres]`.

A load of S3, Swift, identity calls and commands runs all the time. Roles (object workers, API, background worker, the
supervisor, all at once, or all of a start on its way) end by SIGKILL at random moments. After each kill every worker
checks the keys that it touched since the last one; every so many kills the load rests and everything is checked. With
the same seed the load and the kills are drawn alike; only the machine's timing differs. When something is wrong the
data directory and the journal stay, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import os
import platform
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.campaign import driver
from tests.campaign.crash_checks import Checks
from tests.campaign.crash_control import Buckets, Keys, Projects
from tests.campaign.crash_doors import Api, Doors
from tests.campaign.crash_load import FADING, LARGE, PLAIN, VERSIONED, Fading, Large, Plain, Versioned
from tests.campaign.crash_model import Journal, Violations
from tests.campaign.crash_worker import SILENCE_SECONDS, Fleet
from tests.support.installation import COMMAND, ROOT, Installation, wait_until
from tests.support.keystone import Keystone
from tests.support.processes import processes, with_children

SETTINGS = {
    "objects__test_mode": True, "objects__worker_seconds": 1, "objects__garbage_grace_seconds": 1,
    "objects__day_seconds": Fading.day, "objects__key_cache_seconds": 1, "ledger__checkpoint_seconds": 0.3,
}  # fmt: skip
ROLE_WEIGHTS = {"objects": 45, "both objects": 6, "work": 19, "api": 14, "supervisor": 7, "all": 5, "start": 4}
MOST_DELAYED = 4
"""Deaths of one role in one life of the supervisor: after more of them it waits longer before it starts it again."""
CHECK_EVERY = 50
EXPORT_EVERY = 5


@dataclass(slots=True)
class Campaign:
    """One run."""

    installation: Installation
    seed: int
    journal: Journal
    violations: Violations
    chance: random.Random
    fleet: Fleet = field(init=False)
    checks: Checks = field(init=False)
    kills: Counter[str] = field(default_factory=Counter)
    deaths: Counter[str] = field(default_factory=Counter)
    starts: int = 0
    checking: float = 0.0

    # --- before

    def prepare(self, workers: int, pace: float = 0.0) -> None:
        """Log in, make buckets, start the load."""
        user = Keystone.log_in(self.installation, self.installation.clouds["andromede"]["auth"])
        admin = Keystone.admin(self.installation)
        self.fleet = Fleet(self.installation, self.journal, self.violations, user, self.seed, pace=pace)
        doors = Doors(self.installation, user, self.violations)
        self.checks = Checks(self.fleet, doors, Api(self.installation, user.token, self.violations))
        for bucket in (PLAIN, VERSIONED, FADING):
            assert doors.s3("PUT", bucket).status == 200
        assert doors.swift("PUT", LARGE).status == 201
        on = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        assert doors.s3("PUT", VERSIONED, on, "versioning=").status == 200
        rule = (
            b"<LifecycleConfiguration><Rule><ID>day</ID><Filter><Prefix>gone/</Prefix></Filter><Status>Enabled</Status>"
            b"<Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>"
        )
        digest = base64.b64encode(hashlib.md5(rule).digest()).decode()
        answer = doors.s3("PUT", FADING, rule, "lifecycle=", {"content-md5": digest})
        assert answer.status == 200, answer.body
        for number in range(workers):
            Plain(self.fleet, number)
        Versioned(self.fleet, 0)
        Large(self.fleet, 0)
        Fading(self.fleet, 0)
        Buckets(self.fleet, 0)
        Projects(self.fleet, 0, admin.token)
        Keys(self.fleet, 0, admin.tenant(f"sacrifice-{self.seed}"))
        for worker in self.fleet.workers:
            worker.prepare()
        for client in (user, admin):
            client.http.close()
        self.fleet.going.set()

    def go(self) -> None:
        for worker in self.fleet.workers:
            worker.thread.start()

    # --- kills

    def choose(self) -> str:
        """The next victim. A supervisor that has seen many deaths of a role is due: it only waits longer and longer."""
        if any(count >= MOST_DELAYED for count in self.deaths.values()):
            return self.chance.choice(("supervisor", "all", "start"))
        return self.chance.choices(list(ROLE_WEIGHTS), list(ROLE_WEIGHTS.values()))[0]

    def kill(self, role: str) -> None:
        self.journal.line("kill", role=role, number=self.kills.total() + 1)
        running = processes(self.installation.data)
        if role in ("objects", "both objects", "work", "api"):
            kind = "objects" if role == "both objects" else role
            victims = sorted(pid for pid, name in running.items() if name == kind)
            if role == "objects":
                victims = self.chance.sample(victims, min(1, len(victims)))
            self._end(victims)
            self.deaths[role] += 1
            self.kills[role] += 1
            self.fleet.epoch += 1
            return
        if role == "supervisor":
            self._end([pid for pid, name in running.items() if name == "up"])
        else:
            self._end(sorted(with_children(list(self._ours()))))
        self.kills[role] += 1
        self.fleet.epoch += 1
        self._restart(role == "start")

    def _end(self, pids: list[int]) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _ours(self) -> dict[int, str]:
        """Processes of a cloud that runs or starts, not of other commands."""
        return {pid: name for pid, name in processes(self.installation.data).items() if name or starting(pid)}

    def _restart(self, killed_again: bool) -> None:
        wait_until("the end of all roles", lambda: not self._ours(), 60, 0.02)
        self.deaths.clear()
        if killed_again:
            self._killed_start()
        wait_until("a start", self._start, SILENCE_SECONDS, 0.1)

    def _killed_start(self) -> None:
        """A start that is killed on its way."""
        words = ["up", "--listen", self.installation.api, "--objects", self.installation.objects, "--detach"]
        process = subprocess.Popen(
            [*COMMAND, *words, "--data", str(self.installation.data)], env=self.installation.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(self.chance.random() * 1.5)
        process.kill()
        process.wait()
        wait_until("the end of a killed start", self._ended, 60, 0.02)

    def _ended(self) -> bool:
        """Kill what is there: a start forks while one looks. Whether nothing was left."""
        left = self._ours()
        self._end(sorted(with_children(list(left))))
        return not left

    def _start(self) -> bool:
        words = ("up", "--listen", self.installation.api, "--objects", self.installation.objects, "--detach")
        done = self.installation.run(*words, check=False)
        self.starts += 1
        if done.returncode != 0:
            self.journal.line("start failed", code=done.returncode, text=done.stdout[-500:])
            if "already runs" not in done.stdout and "is starting" not in done.stdout:
                self.violations.add("start", "up", done.stdout[-1500:])
        return done.returncode == 0

    # --- the run

    def run(self, kills: int, check_every: int, exporting: bool = True) -> None:
        began = time.monotonic()
        for number in range(1, kills + 1):
            self._wait()
            self.kill(self.choose())
            if number % check_every == 0 or number == kills:
                self.whole(exporting and (number // check_every % EXPORT_EVERY == 0 or number == kills))
                self._report(number, kills, time.monotonic() - began)
            if any(not worker.thread.is_alive() for worker in self.fleet.workers):
                break

    def _wait(self) -> None:
        """Mostly until all have checked what the last kill may have hurt, and a while of load; at times not at all."""
        if self.chance.random() < 0.3:
            time.sleep(self.chance.random() * 0.5)
            return
        end = time.monotonic() + SILENCE_SECONDS + 10
        while not self.fleet.settled() and time.monotonic() < end:
            time.sleep(0.02)
        if not self.fleet.settled():
            self.violations.add("silence", "workers", "not every worker got its answers after a kill")
        if "up" not in self._ours().values():
            self.violations.add("start", "supervisor", "the supervisor has ended by itself")
            self._restart(False)
        self.checks.glance()
        time.sleep(0.1 + self.chance.random() * 1.2)

    def whole(self, export: bool) -> None:
        began = time.monotonic()
        if not self.fleet.pause():
            self.violations.add("silence", "workers", "not every worker came to rest")
        self.checks.whole(self.journal.path.parent / "export" if export else None)
        for worker in self.fleet.workers:
            if isinstance(worker, Plain):
                worker.tidy()
        self.checking += time.monotonic() - began
        self.fleet.resume()

    def _report(self, number: int, kills: int, seconds: float) -> None:
        journal = self.journal
        print(
            f"{number}/{kills} kills, {seconds:.0f} s, {self.checking:.0f} of them whole checks; "
            f"{journal.acknowledged} acknowledged, {journal.lost} lost, {journal.refused} refused; "
            f"checks: {self.fleet.checks} keys, {self.checks.counted}; violations: {len(self.violations.found)}",
            flush=True,
        )

    def summary(self, seconds: float) -> dict[str, Any]:
        keys = [worker for worker in self.fleet.workers if isinstance(worker, Keys)]
        return {
            "seed": self.seed, "kills": dict(self.kills), "kills in all": self.kills.total(), "starts": self.starts,
            "commands killed": sum(worker.commands.killed for worker in keys),
            "acknowledged": self.journal.acknowledged, "lost": self.journal.lost, "refused": self.journal.refused,
            "keys checked": self.fleet.checks, "checks": self.checks.counted, "seconds": round(seconds, 1),
            "violations": self.violations.found, **versions(self.installation),
        }  # fmt: skip


def starting(pid: int) -> bool:
    """Whether a process without a role's name is one of `andromede up`."""
    try:
        return b"up" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False


def versions(installation: Installation) -> dict[str, str]:
    """What ran."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    changed = subprocess.run(["git", "status", "--short", "src"], cwd=ROOT, capture_output=True, text=True).stdout
    database = "PostgreSQL" if "storage.database" in installation.settings else f"SQLite {sqlite3.sqlite_version}"
    return {
        "commit": commit + (" and changes" if changed else ""), "python": platform.python_version(),
        "kernel": platform.release(), "database": database,
        "date": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
    }  # fmt: skip


@contextlib.contextmanager
def campaign(seed: int, folder: Path):  # type: ignore[no-untyped-def]
    """A running installation with its journal in `folder`; the data stays when something was wrong."""
    installation = Installation.fresh(**SETTINGS)
    journal = Journal(folder / "journal.jsonl")
    made = Campaign(installation, seed, journal, Violations(journal), random.Random(f"kills {seed}"))
    try:
        installation.start()
        yield made
    except BaseException:
        print(f"the data directory {installation.data} and {journal.path} stay for a look", flush=True)
        raise
    finally:
        with contextlib.suppress(AttributeError):
            made.fleet.stop()
            made.checks.doors.close()
        installation.stop()
        if made.violations.found:
            print(f"the data directory {installation.data} and {journal.path} stay for a look", flush=True)
    if not made.violations.found:
        shutil.rmtree(installation.data, ignore_errors=True)


def execute(kills: int, seed: int, check_every: int, workers: int) -> dict[str, Any]:
    """A whole campaign; its summary."""
    folder = Path(tempfile.mkdtemp(prefix="andromede-crash-"))
    began = time.monotonic()
    with campaign(seed, folder) as made:
        made.prepare(workers)
        made.go()
        time.sleep(1.0)
        made.run(kills, check_every)
        if kills == 0:
            time.sleep(20)
            made.whole(True)
        found: dict[str, Any] = made.summary(time.monotonic() - began)
    if not found["violations"]:
        shutil.rmtree(folder, ignore_errors=True)
    return found


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--check-every", type=int, default=CHECK_EVERY, help="kills between whole checks")
    parser.add_argument("--workers", type=int, default=3, help="workers on the unversioned bucket, beside six others")
    parser.add_argument("--postgres", action="store_true", help="on a throw-away PostgreSQL instead of SQLite")
    parser.add_argument("--output", type=Path, default=driver.OUT / "crash.json")
    choice = parser.parse_args(words)
    if choice.postgres and (code := driver.on_postgres("tests.campaign.crash", words)) is not None:
        return code
    found = execute(choice.kills, choice.seed, choice.check_every, choice.workers)
    driver.write(choice.output, found)
    print(f"{found['kills in all']} kills, {len(found['violations'])} violations; summary in {choice.output}")
    return 1 if found["violations"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Backups of a loaded cloud, each restored and held against the journal of its clients.

    python -m tests.campaign.backup --backups 5 --writers 6

Each writer does one thing after the other, on keys of its own in three buckets, through S3 and Swift, and notes
outside when it asked and when it was answered. A restored backup must hold, for every writer, exactly what its first
`n` changes made, in all buckets at once: at least those answered before the backup began, none that was asked after it
had ended.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from tests.support import postgres
from tests.support.installation import Installation
from tests.support.keystone import Keystone
from tests.support.load import S3Door
from tests.support.swift import SwiftDoor

BUCKETS = ("first", "second", "third")
SIZES = (16, 900, 9_000, 70_000, 400_000)
Key = tuple[str, str]


@dataclass(slots=True)
class Change:
    """One line of the journal; `body` None is a deletion. Instants of the monotonic clock."""

    key: Key
    body: bytes | None
    asked: float
    answered: float = float("inf")
    place: tuple[str, str] | None = None


@dataclass(slots=True)
class Writer:
    """A client and its journal."""

    installation: Installation
    user: Keystone
    number: int
    pace: float = 0.0
    journal: list[Change] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def run(self, ending: threading.Event) -> None:
        chance = random.Random(self.number)
        s3 = S3Door(self.installation)
        with SwiftDoor(self.user) as swift:
            while not ending.is_set():
                key = (chance.choice(BUCKETS), f"w{self.number}/{chance.randrange(30):02d}")
                number = len(self.journal).to_bytes(8, "big")
                size = chance.choice(SIZES)
                body = None if chance.random() < 0.15 else number + chance.randbytes(size)
                change = Change(key, body, time.monotonic())
                self.journal.append(change)
                try:
                    self._do(s3, swift, change, chance.random() < 0.4)
                except Exception as failure:
                    self.failures.append(repr(failure))
                    return  # what is unknown would only weaken the check
                change.answered = time.monotonic()
                ending.wait(self.pace)
        s3.close()

    def _do(self, s3: S3Door, swift: SwiftDoor, change: Change, by_swift: bool) -> None:
        path = f"/{change.key[0]}/{quote(change.key[1])}"
        method = "PUT" if change.body is not None else "DELETE"
        if by_swift:
            status, answer, _ = swift.call(method, f"/{change.key[0]}/{change.key[1]}", change.body or b"")
        else:
            status, answer, headers = s3.call(method, path, change.body or b"")
            change.place = (headers["andromede-ledger"], headers["x-amz-request-id"])
        assert status in (200, 201, 204, 404), f"{method} {path}: {status} {answer[:200]!r}"

    def problems(self, read: Callable[[Key], bytes | None], began: float, ended: float) -> list[str]:
        """What is wrong with a restored copy of what this writer wrote; `began`, `ended`: of the backup."""
        keys = sorted({change.key for change in self.journal})
        found = {key: read(key) for key in keys}
        seen = [int.from_bytes(body[:8], "big") for body in found.values() if body is not None]
        least = sum(change.answered < began for change in self.journal)
        most = sum(change.asked < ended for change in self.journal)
        cut = max([least, *(number + 1 for number in seen)])
        name = f"writer {self.number}"
        if cut > most:
            return [f"{name}: change {cut} is there, and the backup had ended before it was asked (at {most})"]
        state: dict[Key, bytes | None] = {change.key: None for change in self.journal}
        for change in self.journal[:cut]:
            state[change.key] = change.body
        while state != found and cut < most and self.journal[cut].body is None:
            state[self.journal[cut].key] = None
            cut += 1
        return [
            f"{name}: {key} is {_name(found[key])} instead of {_name(state[key])} ({least} answered before, cut {cut})"
            for key in keys
            if found[key] != state[key]
        ]


def _name(body: bytes | None) -> str:
    return "absent" if body is None else f"change {int.from_bytes(body[:8], 'big')} of {len(body)} bytes"


@dataclass(slots=True)
class Taken:
    """A backup, and when it was taken."""

    folder: Path
    began: float
    ended: float


def ledger_problems(data: Path, writers: list[Writer], began: float) -> list[str]:
    """Places that were promised before the backup began, and are not what was promised in the restored database."""
    db = sqlite3.connect(data / "andromede.db")
    rows = db.execute("SELECT position, body FROM audit_event WHERE position IS NOT NULL").fetchall()
    db.close()
    places = {json.loads(body)["request_id"]: int(position) for position, body in rows}
    promised = [change.place for each in writers for change in each.journal if change.place and change.answered < began]
    return [
        f"the event of {request} is at {places.get(request)} instead of {header}"
        for header, request in promised
        if places.get(request) != int(header.split()[1])
    ]


def judge(taken: Taken, writers: list[Writer]) -> dict[str, object]:
    """Restore a backup into a new directory, start it, and compare."""
    with tempfile.TemporaryDirectory(prefix="restored-") as parent:
        made = Installation(Path(parent) / "data")
        words = ["restore", str(taken.folder)]
        if dsn := postgres.address(f"restored-{taken.folder.name}-{Path(parent).name}"):
            words += ["--database", dsn]
        began = time.monotonic()
        made.run(*words, seconds=900)
        seconds = time.monotonic() - began
        problems = [] if dsn else ledger_problems(made.data, writers, taken.began)
        with made:
            door = S3Door(made)

            def read(key: Key) -> bytes | None:
                status, body, _ = door.call("GET", f"/{key[0]}/{quote(key[1])}")
                assert status in (200, 404), f"{key}: {status}"
                return body if status == 200 else None

            for writer in writers:
                problems += writer.problems(read, taken.began, taken.ended)
            door.close()
            ledger = json.loads(made.run("ledger", "status", "--json").stdout)
            problems += [f"gap: {gap}" for gap in ledger["gaps"]]
        checked = made.run("fsck", "--deep", check=False, seconds=900)
        if checked.returncode:
            problems.append(checked.stdout[-1000:])
        done = sum(change.answered < taken.began for each in writers for change in each.journal)
        during = sum(taken.began < change.answered < taken.ended for each in writers for change in each.journal)
        return {
            "backup_s": round(taken.ended - taken.began, 2), "restore_s": round(seconds, 2), "answered_before": done,
            "answered_meanwhile": during, "problems": problems,
        }  # fmt: skip


def run(installation: Installation, backups: int, writers: int, pace: float = 0.0) -> list[dict[str, object]]:
    """One report for each backup."""
    user = Keystone.log_in(installation, installation.clouds["andromede"]["auth"])
    door = S3Door(installation)
    assert all(door.call("PUT", f"/{bucket}")[0] == 200 for bucket in BUCKETS)
    door.close()
    ending = threading.Event()
    clients = [Writer(installation, user, number, pace) for number in range(writers)]
    threads = [threading.Thread(target=client.run, args=(ending,)) for client in clients]
    taken = []
    with tempfile.TemporaryDirectory(prefix="backups-") as folder:
        try:
            for thread in threads:
                thread.start()
            time.sleep(2.0)
            for number in range(backups):
                began = time.monotonic()
                installation.run("backup", f"{folder}/{number}", seconds=900)
                taken.append(Taken(Path(folder) / str(number), began, time.monotonic()))
                time.sleep(0.5)
        finally:
            ending.set()
            for thread in threads:
                thread.join()
            user.http.close()
        assert [failure for client in clients for failure in client.failures] == []
        return [judge(each, clients) for each in taken]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backups", type=int, default=5)
    parser.add_argument("--writers", type=int, default=6)
    parser.add_argument("--pace", type=float, default=0.02, help="seconds that a writer rests between changes")
    args = parser.parse_args()
    with Installation.fresh() as installation:
        found = run(installation, args.backups, args.writers, args.pace)
    shutil.rmtree(installation.data, ignore_errors=True)
    print(json.dumps(found, indent=1))
    raise SystemExit(any(each["problems"] for each in found))


if __name__ == "__main__":
    main()

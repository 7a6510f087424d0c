"""Whole checks while the load rests: every key, listings against keys, the ledger against every promise, fsck."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from andromede.db import Database, open_database
from andromede.ledger.note import checkpoint_fields, split_note
from andromede.ledger.tree import check_consistency
from andromede.sovereignty.service import is_request
from tests.campaign.crash_doors import Api, Doors, Lost, Promise, text_of
from tests.campaign.crash_load import LARGE, PLAIN, VERSIONED, tree
from tests.campaign.crash_model import MARKER
from tests.campaign.crash_worker import Fleet
from tests.support.installation import ROOT, Installation, wait_until

VERIFIER = ROOT / "src" / "andromede" / "sovereignty" / "files" / "andromede-verify"
PAD = "ledger.pad"
MOST_LOGS = 8


def dsn(installation: Installation) -> str:
    return str(installation.settings.get("storage.database") or f"sqlite:///{installation.data}/andromede.db")


def unfilled(db: Database) -> list[Any]:
    """Logs with a place that has no event, or that a process still holds."""
    rows = db.all(
        "SELECT l.tenant, l.allocated, count(e.position), max(e.position) FROM ledger_log l "
        "LEFT JOIN audit_event e ON e.tenant = l.tenant GROUP BY l.tenant, l.allocated"
    )
    held = db.all("SELECT tenant, first, count, source FROM ledger_lease")
    return [row for row in rows if row[1] and not row[1] == row[2] == row[3] + 1] + [("held", *row) for row in held]


def broken(db: Database, promises: list[Promise]) -> list[str]:
    """Promised places that hold something else than the request's event."""
    tenants = {str(origin): str(tenant) for origin, tenant in db.all("SELECT origin, tenant FROM ledger_log")}
    wrong: list[str] = []
    wanted: dict[str, dict[int, Promise]] = {}
    for promise in promises:
        origin, _, index = promise.place.partition(" ")
        if origin not in tenants:
            wrong.append(f"{promise.place}: there is no such log")
            continue
        others = wanted.setdefault(tenants[origin], {})
        if int(index) in others and others[int(index)].request_id != promise.request_id:
            wrong.append(f"{promise.place} was given to {promise.request_id} and {others[int(index)].request_id}")
        others[int(index)] = promise
    for tenant, places in wanted.items():
        rows = db.all(
            "SELECT position, body FROM audit_event WHERE tenant = ? AND position >= ? AND position <= ?",
            (tenant, min(places), max(places)),
        )
        events = {int(row[0]): json.loads(bytes(row[1]).decode("utf-8", "surrogateescape")) for row in rows}
        for index, promise in places.items():
            event = events.get(index)
            if event is None:
                wrong.append(f"{promise.place}, promised to {promise.request_id}: there is no event")
            elif not is_request(event["request_id"], promise.request_id) and not (
                promise.read and event["action"] == PAD
            ):
                wrong.append(f"{promise.place}, promised to {promise.request_id}: {event['action']} stands there")
    return wrong


@dataclass(slots=True)
class Checks:
    """Whole checks of one campaign; what was proven once is not read again."""

    fleet: Fleet
    doors: Doors
    api: Api
    seen: list[tuple[int, bytes]] = field(default_factory=list)
    promised: int = 0
    counted: dict[str, int] = field(default_factory=dict)

    def count(self, what: str, number: int = 1) -> None:
        self.counted[what] = self.counted.get(what, 0) + number

    def glance(self) -> None:
        """Remember the newest checkpoint, if the API answers now."""
        try:
            answer = self.api.call("GET", "/sovereignty/v1/checkpoint")
        except Lost:
            return
        if answer.status == 200:
            _, size, root = checkpoint_fields(split_note(answer.body.decode())[0])
            if not self.seen or self.seen[-1] != (size, root):
                self.seen.append((size, root))

    def whole(self, export: Path | None) -> None:
        """Everything. The load must rest. `export` also writes and verifies whole logs offline, in that folder."""
        for worker in self.fleet.workers:
            worker.verify_all()
            self.count("keys", len(worker.states))
        for worker in self.fleet.workers:
            self.patiently(worker.extra_checks)
        self.patiently(self.listings)
        self.promises()
        self.patiently(self.consistency)
        self.fsck()
        if export is not None:
            self.exported(export)
        self.count("whole")

    def patiently(self, check: Any) -> None:
        """A role may still be starting: what had no answer is asked again."""

        def answered() -> bool:
            try:
                check()
            except Lost:
                return False
            return True

        wait_until(f"answers for {check.__name__}", answered, 60)

    # --- listings

    def listings(self) -> None:
        """Listings of both doors name exactly the keys that are there, with their sizes and hashes."""
        for bucket in (PLAIN, VERSIONED):
            wanted = {
                key.partition("/")[2]: (state[0].size, state[0].etag)
                for worker in self.fleet.workers if not worker.late
                for key, state in worker.states.items()
                if key.startswith(f"{bucket}/") and state and state[0].sha != MARKER
            }  # fmt: skip
            if any(worker.late for worker in self.fleet.workers):
                continue
            self.compare(f"S3 listing of {bucket}", wanted, self.listed_s3(bucket))
            self.compare(f"Swift listing of {bucket}", set(wanted), set(self.listed_swift(bucket)))
        keys = {
            key.partition("/")[2]
            for worker in self.fleet.workers
            for key, state in worker.states.items()
            if key.startswith(f"{LARGE}/") and state
        }
        if not any(worker.late for worker in self.fleet.workers):
            self.compare(f"Swift listing of {LARGE}", keys, set(self.listed_swift(LARGE)))

    def compare(self, what: str, wanted: Any, found: Any) -> None:
        self.count("listings")
        if wanted != found:
            only = sorted(set(wanted) ^ set(found)) or [key for key in wanted if wanted[key] != found[key]]
            self.fleet.violations.add("listing", what, f"{only[:10]} differ from the keys")

    def listed_s3(self, bucket: str) -> dict[str, tuple[int, str]]:
        found: dict[str, tuple[int, str]] = {}
        token = ""
        while True:
            answer = self.doors.s3("GET", bucket, query=f"{token}list-type=2&max-keys=100")
            assert answer.status == 200, text_of(answer)
            page = tree(answer.body)
            for part in page.iter("Contents"):
                etag = str(part.findtext("ETag")).strip('"')
                found[str(part.findtext("Key"))] = (int(str(part.findtext("Size"))), etag)
            if page.findtext("IsTruncated") != "true":
                return found
            token = f"continuation-token={page.findtext('NextContinuationToken')}&"

    def listed_swift(self, container: str) -> list[str]:
        answer = self.doors.swift("GET", container, query="limit=10000")
        assert answer.status in (200, 204), text_of(answer)
        return answer.body.decode().split("\n")[:-1]

    # --- the ledger

    def promises(self) -> None:
        """Every place that an answer named holds that request's event; no log has a hole that stays."""
        boxes = [worker.doors.promises for worker in self.fleet.workers]
        boxes += [worker.api.promises for worker in self.fleet.workers if hasattr(worker, "api")]
        boxes += [self.doors.promises, self.api.promises]
        promises = [promise for box in boxes for promise in box]
        db = open_database(dsn(self.fleet.installation))
        try:
            try:
                wait_until("an event in every place", lambda: not unfilled(db), 60)
            except AssertionError as failure:
                self.fleet.violations.add("ledger", "places", f"{failure}: {unfilled(db)}")
            for text in broken(db, promises):
                self.fleet.violations.add("ledger", text.partition(",")[0], text)
        finally:
            db.close()
        self.count("promises", len(promises))
        for box in boxes:
            box.clear()

    def consistency(self) -> None:
        """Every checkpoint that was seen is a prefix of the newest one."""
        answer = self.api.call("GET", "/sovereignty/v1/checkpoint")
        assert answer.status == 200, text_of(answer)
        _, size, root = checkpoint_fields(split_note(answer.body.decode())[0])
        for old, old_root in self.seen:
            if old in (0, size):
                good = old == 0 or old_root == root
            elif old > size:
                good = False
            else:
                proof = self.api.call("GET", f"/sovereignty/v1/consistency?old={old}&size={size}")
                steps = [base64.b64decode(line) for line in proof.body.decode().split("\n") if line]
                good = proof.status == 200 and check_consistency(old, size, old_root, root, steps)
            self.count("checkpoints")
            if not good:
                self.fleet.violations.add("ledger", "checkpoint", f"the log of {size} is no extension of that of {old}")
        self.seen[:] = [(size, root)]

    # --- the program's own proof

    def fsck(self) -> None:
        done = self.fleet.installation.run("fsck", "--deep", check=False, seconds=300)
        self.count("fsck")
        if done.returncode != 0:
            self.fleet.violations.add("fsck", "installation", done.stdout[-3000:])

    def exported(self, folder: Path) -> None:
        """Whole logs, recomputed offline by the published verifier."""
        shutil.rmtree(folder, ignore_errors=True)
        self.fleet.installation.run("ledger", "export", "-o", str(folder), seconds=300)
        sizes = {place: (place / "log.jsonl").stat().st_size for place in folder.iterdir()}
        for place in sorted(sizes, key=lambda place: -sizes[place])[:MOST_LOGS]:
            command = [sys.executable, "-E", str(VERIFIER), "log", str(place), "--json"]
            env = {"PATH": "/usr/bin:/bin"}
            done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=300)
            self.count("exported logs")
            if done.returncode != 0:
                self.fleet.violations.add(
                    "ledger", place.name, f"not proven: {done.stdout[-1500:]}{done.stderr[-500:]}"
                )
        shutil.rmtree(folder, ignore_errors=True)

"""Bits that flip where an installation keeps things: bodies, rows, tiles, checkpoints, keys, settings."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.campaign.faults_report import Report
from tests.campaign.faults_site import LARGE, SMALL, Answer, Connection, Faulty, Site, alerts, content, fsck
from tests.support.installation import wait_until
from tests.support.sigv4 import Signer

Undo = Callable[[], None]


def flip_byte(path: Path, offset: int, bit: int = 0) -> Undo:
    """Turn one bit over; returns what turns it back."""

    def turn() -> None:
        with path.open("r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ (1 << bit)]))

    turn()
    return turn


def flipped(value: Any) -> Any:
    """The value with one bit turned over in its middle (of a text: so that it stays printable)."""
    if isinstance(value, int):
        return value ^ 4
    raw = bytearray(value.encode() if isinstance(value, str) else value)
    raw[len(raw) // 2] ^= 1
    return raw.decode("utf-8", "replace") if isinstance(value, str) else bytes(raw)


@dataclass(frozen=True, slots=True)
class Rows:
    """The database file, changed behind the program's back. What it changes is changed for the program at once."""

    path: Path

    def one(self, sql: str, *parameters: Any) -> tuple[Any, ...]:
        with closing(sqlite3.connect(self.path, timeout=30)) as db:
            row: tuple[Any, ...] = db.execute(sql, parameters).fetchone()
        return row

    def set(self, table: str, column: str, where: str, value: Any) -> Undo:
        """Put a value into a row; returns what puts the old one back."""
        (old,) = self.one(f"SELECT {column} FROM {table} WHERE {where}")

        def put(what: Any) -> None:
            with closing(sqlite3.connect(self.path, timeout=30)) as db, db:
                db.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (what,))

        put(value)
        return lambda: put(old)

    def count_keys(self) -> None:
        """As a change of a key does: no key that was opened before is used any more."""
        with closing(sqlite3.connect(self.path, timeout=30)) as db, db:
            db.execute(
                "INSERT INTO sequence (name, value) VALUES ('keys', 1000) "
                "ON CONFLICT (name) DO UPDATE SET value = value + 1"
            )

    def flip(self, table: str, column: str, where: str) -> Undo:
        (old,) = self.one(f"SELECT {column} FROM {table} WHERE {where}")
        return self.set(table, column, where, flipped(old))


def _extent(rows: Rows, key: str) -> tuple[str, int, int]:
    (ref,) = rows.one("SELECT ref FROM version WHERE key = ?", key)
    name, offset, length, _ = ref.rsplit(":", 3)
    return name, int(offset), int(length)


def _file(site: Site, name: str) -> Path:
    blobs = site.installation.data / "blobs"
    return blobs / name if name.startswith("log/") else blobs / "file" / name[-2:] / name.removeprefix("file/")


def bodies(site: Site, report: Report) -> None:
    """A flipped bit in stored bytes: that object is refused and named, all others are well."""
    rows = Rows(site.installation.data / "andromede.db")
    for kind, size in (("small body", SMALL), ("large body", LARGE)):
        name = f"flip-{size}"
        for key in (name, f"{name}-beside"):
            assert site.s3("PUT", f"/box/{key}", content(key, size)).ok
        blob, offset, length = _extent(rows, name)
        for place, at in (("first byte", offset), ("middle", offset + length // 2), ("last byte", offset + length - 1)):
            since = site.installation.log_size
            undo = flip_byte(_file(site, blob), at)
            _refused(site, report, f"bit flip, {kind}", (name, size), since)
            undo()
            found = site.s3("GET", f"/box/{name}")
            report.check(f"bit flip, {kind}", f"{place}, turned back", found.word, "" if found.ok else found.text[:200])
        undo = flip_byte(_file(site, blob), offset + length // 2)
        _named(site, report, f"bit flip, {kind}", name)
        undo()


def _refused(site: Site, report: Report, fault: str, what: tuple[str, int], since: int) -> None:
    name, size = what
    for door in ("S3", "Swift"):
        answer = site.s3("GET", f"/box/{name}") if door == "S3" else site.swift("GET", f"/box/{name}")
        report.check(fault, f"{door} GET", _cut(answer), _leak(answer, name, size))
        beside = site.s3("GET", f"/box/{name}-beside")
        well = beside.body == content(f"{name}-beside", size)
        report.check(fault, "object beside it", beside.word, "" if well else "damaged, too")
    found = {a["event"] for a in alerts(site.installation, since)}
    report.check(fault, "alert", " ".join(sorted(found)), "" if "object.damage" in found else "no alert")


def _cut(answer: Answer) -> str:
    return answer.word if answer.status else "cut off after its head"


def _leak(answer: Answer, name: str, size: int) -> str:
    if answer.status == 200:
        return "damaged bytes were sent as if they were whole"
    if answer.status not in (0, 500) or (answer.status and "damaged" not in answer.text):
        return f"{answer.word}: {answer.text[:200]}"
    return ""


def _named(site: Site, report: Report, fault: str, key: str) -> None:
    """The deep check names the object and nothing else."""
    problems = fsck(site.installation)
    mine = [problem for problem in problems if f"'{key}'" in problem["subject"] or problem["kind"] == "counter"]
    wrong = [] if mine else [f"fsck --deep does not name {key}"]
    wrong += [f"fsck names {problem['subject']}" for problem in problems if problem not in mine]
    report.check(fault, "fsck --deep", f"{len(problems)} named", *wrong)


def noticed(site: Site) -> None:
    """Change something through the program: what it keeps in memory of rows is looked up again afterwards."""
    tags = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
    for bucket in ("box", "ver"):
        done = site.s3("PUT", f"/{bucket}?tagging=", tags)
        assert done.ok, done.text
        site.s3("PUT", f"/{bucket}/tick", b"x")  # refused where the key of the bucket is what is damaged


COLUMNS = {
    "wrapped": "refused",
    "kek": "refused",
    "blob_id": "refused",
    "ref": "refused",
    "size": "refused",
    "wide": "unseen",
    "etag": "served",
    "kind": "refused",
}
"""Columns of a version's row -> whether a read of the object must be refused when a bit of it flipped. An ETag that is
not of the bytes is found by the deep check, a changed letter of metadata by nobody."""


def version_rows(site: Site, report: Report) -> None:
    """A flipped bit in the row of an object."""
    rows = Rows(site.installation.data / "andromede.db")
    name = "flip-row"
    assert site.s3("PUT", f"/box/{name}", content(name, SMALL), x_amz_meta_colour="blue").ok
    assert site.s3("PUT", f"/box/{name}-beside", content(name, SMALL)).ok
    where = f"key = '{name}'"
    for column, wanted in COLUMNS.items():
        fault = f"bit flip, version.{column}"
        since = site.installation.log_size
        undo = rows.flip("version", column, where)
        noticed(site)
        answers = [
            site.s3("GET", f"/box/{name}"),
            site.swift("GET", f"/box/{name}"),
            site.s3("GET", "/box?list-type=2"),
        ]
        for answer, operation in zip(answers[:2], ("S3 GET", "Swift GET"), strict=True):
            wrong = ""
            if wanted == "refused" and (answer.ok or answer.status not in (0, 404, 500)):
                wrong = f"{answer.word}: {answer.text[:200]}"
            if answer.ok and answer.body != content(name, SMALL):
                wrong = "bytes that are not the object's"
            report.check(fault, operation, _cut(answer), wrong)
        beside = site.s3("GET", f"/box/{name}-beside")
        report.check(fault, "object beside it", beside.word, "" if beside.ok else beside.text[:200])
        crashes = [
            a for a in alerts(site.installation, since) if "Error(" in a.get("error", "") and "Fatal" not in a["error"]
        ]
        report.check(fault, "no unforeseen error", f"{len(crashes)}", *(crash["error"][:200] for crash in crashes[:1]))
        if wanted != "unseen":
            _named(site, report, fault, name)
        undo()
        noticed(site)
        again = site.s3("GET", f"/box/{name}")
        report.check(fault, "turned back", again.word, "" if again.ok else again.text[:200])


def keys_and_tenants(site: Site, report: Report) -> None:
    """A flipped bit in the keys' rows; and a row that came to lie in another tenant's container."""
    rows = Rows(site.installation.data / "andromede.db")
    name = "flip-key"
    assert site.s3("PUT", f"/ver/{name}", content(name, SMALL)).ok
    (kek,) = rows.one("SELECT kek FROM version WHERE key = ?", name)
    for column in ("wrapped", "tenant", "parent"):
        fault = f"bit flip, key.{column}"
        undo = rows.flip("key", column, f"id = '{kek}'") if column != "parent" else _lost_parent(rows, kek)
        rows.count_keys()
        noticed(site)
        answer = site.s3("GET", f"/ver/{name}")
        report.check(fault, "S3 GET", _cut(answer), _leak(answer, name, SMALL))
        beside = site.s3("GET", "/box/little")
        report.check(fault, "other container", beside.word, "" if beside.ok else beside.text[:200])
        undo()
        rows.count_keys()
        noticed(site)
        again = site.s3("GET", f"/ver/{name}")
        report.check(fault, "turned back", again.word, "" if again.ok else again.text[:200])


def _lost_parent(rows: Rows, kek: str) -> Undo:
    return rows.set("key", "parent", f"id = '{kek}'", "00000000-0000-0000-0000-000000000000")


def _at_rest(rows: Rows, origin: str) -> bool:
    """Whether the newest checkpoint is over all that there is, and nothing comes for a moment."""

    def state() -> tuple[Any, ...]:
        log = rows.one("SELECT allocated, size FROM ledger_log WHERE origin = ?", origin)
        return (
            *log,
            *rows.one("SELECT max(size) FROM ledger_checkpoint WHERE origin = ? AND note IS NOT NULL", origin),
        )

    before = state()
    time.sleep(1.5)
    return len(set(before)) == 1 and state() == before


def ledger(site: Site, report: Report) -> None:
    """A flipped bit in a tile, in a checkpoint and in an event."""
    installation = site.installation
    rows = Rows(installation.data / "andromede.db")
    (origin,) = rows.one("SELECT origin FROM ledger_log WHERE tenant = ?", site.demo.project_id)
    cases = {
        "tile": ("ledger_tile", "data", f"origin = '{origin}' AND level = -1"),
        "checkpoint": ("ledger_checkpoint", "note", f"origin = '{origin}' AND note IS NOT NULL"),
        "root": ("ledger_log", "root", f"origin = '{origin}'"),
    }
    for what, (table, column, where) in cases.items():
        fault = f"bit flip, ledger {what}"
        since = installation.log_size
        wait_until("a ledger at rest", lambda: _at_rest(rows, origin), 30)
        undo = rows.flip(table, column, where)
        problems = fsck(installation, deep=False)
        mine = [p for p in problems if p["kind"] == "ledger"]
        report.check(fault, "fsck", f"{len(problems)} named", "" if mine else "fsck does not see it")
        answer = site.s3("PUT", f"/box/flip-{what}", content("x", SMALL))
        report.check(fault, "S3 PUT", answer.word, "" if answer.ok else answer.text[:200])
        found = sorted({a["event"] for a in alerts(installation, since)})
        report.check(fault, "alert", " ".join(found))
        undo()


def _plain(installation: Faulty) -> Answer:
    """A GET that needs no token."""
    host = urlsplit(installation.objects_url).netloc
    sent = Signer.of(installation.s3).headers("GET", "/box/little", {"host": host}, hashlib.sha256(b"").hexdigest())
    return Connection(host).call("GET", "/box/little", b"", sent)


def files(installation: Faulty, report: Report) -> None:
    """A flipped bit in a file that the start reads: it is refused with words, nothing is made anew over it."""
    installation.stop()
    data = installation.data
    names = [
        "keys/root.json",
        "andromede.json",
        *sorted(str(p.relative_to(data)) for p in (data / "keys").rglob("*") if p.is_file()),
    ]
    for name in dict.fromkeys(names):
        path = data / name
        if not path.is_file() or not path.stat().st_size:
            continue
        before = path.read_bytes()
        undo = flip_byte(path, path.stat().st_size // 2)
        done = installation.run(
            "up", "--listen", installation.api, "--objects", installation.objects, "--detach", check=False
        )
        text = done.stdout.strip()
        wrong = "Traceback" in text and "a traceback instead of words"
        report.check("bit flip, file", name, "started" if done.returncode == 0 else "refused", wrong or "")
        if done.returncode == 0:
            answer = _plain(installation)
            wrong = "" if answer.ok or answer.status == 500 else f"{answer.word}: {answer.text[:200]}"
            report.check("bit flip, file", f"{name}: GET", _cut(answer), wrong)
        installation.stop()
        undo()
        assert path.read_bytes() == before, f"{name} was written over"
    installation.start()
    site = Site(installation)
    wait_until("an answer", lambda: site.s3("GET", "/box/little").ok, 30)
    report.check("bit flip, file", "all turned back", "200")
    site.close()

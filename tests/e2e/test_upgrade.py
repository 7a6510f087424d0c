"""Data directories of former releases (made by `tests.campaign.release`) under this program: upgraded with a snapshot,
whole afterwards, put back on demand; and what stops an upgrade half-way leaves them as they were."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support import postgres
from tests.support.installation import ROOT, Installation, wait_until
from tests.support.load import S3Door

RELEASES = ROOT / "tests" / "data" / "releases"
pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(bool(os.environ.get(postgres.VARIABLE)), reason="the directories are of SQLite installations"),
]


@pytest.fixture
def former(request: pytest.FixtureRequest) -> Iterator[Installation]:
    """A former release's directory, nothing running on it."""
    made = Installation.fresh()
    with tarfile.open(RELEASES / f"{request.param}.tar.xz") as archive:
        # the filters of `tarfile` came with Python 3.11.4; these archives are ours
        kind = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(made.data.parent / f"{made.data.name}-x", **kind)  # type: ignore[arg-type]
    made.data.rmdir()
    (made.data.parent / f"{made.data.name}-x" / "data").rename(made.data)
    (made.data.parent / f"{made.data.name}-x").rmdir()
    for folder in (made.data, *(path for path in made.data.rglob("*") if path.is_dir())):
        folder.chmod(0o700)
    yield made
    made.stop()
    shutil.rmtree(made.data, ignore_errors=True)


def rows(data: Path) -> tuple[list[tuple[str, int]], str, int]:
    """(schema, integrity, events) of the database as it lies there."""
    with sqlite3.connect(data / "andromede.db") as db:
        schema = db.execute("SELECT domain, version FROM schema_version ORDER BY 1, 2").fetchall()
        found = schema, db.execute("PRAGMA integrity_check").fetchone()[0], events(db)
    db.close()
    return found


def events(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT count(*) FROM audit_event").fetchone()[0])


def expected(name: str) -> list[list[str]]:
    found: list[list[str]] = json.loads((RELEASES / f"{name}.json").read_text())
    return found


def ledger(own: Installation) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(own.run("ledger", "status", "--json").stdout)["logs"]
    return found


def wrong(own: Installation, name: str) -> list[str]:
    """What cannot be read as it was stored by the former release."""
    door, bad = S3Door(own), []
    for bucket, key, version, digest in expected(name):
        target = f"/{bucket}/{quote(key)}" + (f"?versionId={version}" if version else "")
        status, body, _ = door.call("GET", target)
        if status != 200 or hashlib.sha256(body).hexdigest() != digest:
            bad.append(f"{target}: {status}")
    if door.call("GET", "/plain/gone")[0] != 404:
        bad.append("what was deleted is back")
    door.close()
    return bad


@pytest.mark.parametrize("former", ["vault-3e8cc9e"], indirect=True)
def test_a_vault_becomes_a_ledger_and_goes_back(former: Installation) -> None:
    name, before = "vault-3e8cc9e", rows(former.data)
    manifest = json.loads((former.data / "installation.json").read_text())
    assert former.run("migrate", "--check", check=False).returncode == 4
    assert rows(former.data) == before
    board = json.loads(
        former.run("up", "--listen", former.api, "--objects", former.objects, "--detach", "--json").stdout
    )
    snapshot = Path(board["snapshot"])
    assert len(board["migrated"]) > 3 and snapshot.parent == former.data / "snapshots"
    assert rows(former.data) != before  # the database has moved on
    with sqlite3.connect(snapshot) as kept:
        assert (kept.execute("SELECT domain, version FROM schema_version ORDER BY 1, 2").fetchall(), events(kept)) == (
            before[0], before[2],
        )  # fmt: skip
    kept.close()
    assert wrong(former, name) == []
    door = S3Door(former)
    assert door.call("PUT", "/plain/new", b"x")[2]["andromede-ledger"]
    door.close()
    wait_until(
        "old events are in the logs", lambda: json.loads(former.run("ledger", "status", "--json").stdout)["logs"]
    )
    assert former.run("fsck", "--deep").returncode == 0
    refused = former.run("migrate", "--back", check=False)
    assert refused.returncode == 1 and "already runs" in refused.stdout
    former.stop()
    now = json.loads((former.data / "installation.json").read_text())
    assert now["format"] == 2 and now["id"] == manifest["id"]
    told = former.run("migrate", "--back").stdout
    assert str(snapshot) in told and "witnesses" in told
    assert rows(former.data) == before
    assert json.loads((former.data / "installation.json").read_text()) == manifest
    assert len(list(former.data.glob("andromede.db.before-going-back-*"))) == 1
    former.start()  # and forward again
    assert wrong(former, name) == []
    assert former.run("fsck", "--deep").returncode == 0


@pytest.mark.parametrize("former", ["ledger-056e173"], indirect=True)
def test_the_former_release_goes_on_and_its_logs_with_it(former: Installation) -> None:
    name = "ledger-056e173"
    former.start()
    assert wrong(former, name) == []
    wait_until(
        "a checkpoint", lambda: json.loads(former.run("ledger", "status", "--json").stdout)["logs"][0]["checkpoint"]
    )
    assert former.run("fsck", "--deep").returncode == 0
    former.stop()
    with sqlite3.connect(former.data / "andromede.db") as db:
        db.execute("INSERT INTO schema_version (domain, version) VALUES ('objects', 99)")
    db.close()
    for command in (("up", "--detach"), ("serve", "api"), ("migrate",)):
        done = former.run(*command, check=False)
        assert done.returncode != 0
        assert "newer release (objects 99)" in done.stdout
    with sqlite3.connect(former.data / "andromede.db") as db:
        db.execute("DELETE FROM schema_version WHERE version = 99")
    db.close()
    path = former.data / "installation.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 3, "program": "9.9.9"}))
    done = former.run("up", "--detach", check=False)
    assert done.returncode != 0 and "release 9.9.9 or newer" in done.stdout


DYING = """
import os, signal, sys
sys.path[:0] = sys.argv[1:3]
from andromede.db import sqlite
from andromede.ops import migration
from andromede.ops.layout import Layout
from andromede import app
from andromede.clock import SystemClock
from pathlib import Path

last, run, count = int(sys.argv[4]), sqlite.SqliteTx.run, 0

def counted(tx, sql, params=()):
    global count
    count += 1
    if count == last:
        os.kill(os.getpid(), signal.SIGKILL)
    return run(tx, sql, params)

sqlite.SqliteTx.run = counted
place = Layout(Path(sys.argv[3]))
migration.upgrade(place, f"sqlite://{place.data}/andromede.db", app.migrations(), SystemClock())
print(count)
"""


def die_at(data: Path, statement: int, stage: str = "") -> subprocess.CompletedProcess[str]:
    script = DYING + stage
    if stage:
        script = DYING.replace("place = Layout", f"{stage}\nplace = Layout")
    return subprocess.run(
        [sys.executable, "-c", script, str(ROOT / "src"), str(ROOT), str(data), str(statement)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize("former", ["vault-3e8cc9e"], indirect=True)
def test_an_upgrade_that_is_killed_is_the_former_database(former: Installation) -> None:
    before, manifest = rows(former.data), (former.data / "installation.json").read_bytes()
    whole = former.data.with_name(former.data.name + "-whole")
    shutil.copytree(former.data, whole)
    count = int(die_at(whole, -1).stdout)
    shutil.rmtree(whole)
    assert count > 20
    for statement in sorted({2, 3, count // 3, 2 * count // 3, count - 1, count}):
        assert die_at(former.data, statement).returncode == -9
        assert rows(former.data) == before, f"killed at statement {statement} of {count}"
        assert (former.data / "installation.json").read_bytes() == manifest
    assert 1 <= len(list((former.data / "snapshots").glob("*.db"))) <= 3
    late = "migration.mark_program = lambda place: os.kill(os.getpid(), signal.SIGKILL)"
    assert die_at(former.data, -1, late).returncode == -9
    assert rows(former.data)[0] != before[0]
    former.start()
    assert wrong(former, "vault-3e8cc9e") == []
    assert json.loads((former.data / "installation.json").read_text())["format"] == 2


@pytest.mark.parametrize("former", ["vault-3e8cc9e"], indirect=True)
def test_an_upgrade_without_room_is_the_former_database(former: Installation) -> None:
    before, size = rows(former.data), (former.data / "andromede.db").stat().st_size
    small = "os.statvfs = lambda path: __import__('types').SimpleNamespace(f_bavail=1, f_frsize=1 << 20)"
    done = die_at(former.data, -1, small)
    assert done.returncode == 1 and "1 MiB are free; make room" in done.stderr
    assert rows(former.data) == before and not list((former.data / "snapshots").iterdir())
    limit = "__import__('resource').setrlimit(__import__('resource').RLIMIT_FSIZE, ({0}, {0}))"
    later = "taken = migration._snapshot\nmigration._snapshot = lambda *given: (taken(*given), " + limit + ")[0]"
    for full in (limit.format(size // 2), later.format(1000), later.format(50_000), later.format(100_000)):
        done = die_at(former.data, -1, full)  # at the snapshot, or at the steps
        said = done.stderr.partition("Exception ignored in atexit")[0]  # the measure of coverage has no room either
        assert said.splitlines()[-1].startswith("andromede.errors."), done.stderr
        assert done.returncode == 1, f"{full}: {done.stdout} {done.stderr[-300:]}"
        assert rows(former.data) == before
        assert not list((former.data / "snapshots").glob("*.part*"))
    former.start()
    assert wrong(former, "vault-3e8cc9e") == []

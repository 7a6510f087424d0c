"""Schema upgrades: a snapshot first, all steps in one transaction, a check, and back when anything fails.

A process that dies in the middle leaves the database as it was: the transaction was not committed. The snapshot is
for what a transaction cannot undo: a result that does not pass the check, and an operator who wants the former release
back. PostgreSQL databases get none (they may be large and lie elsewhere): there, it is a backup that goes back.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from andromede.clock import Clock, iso_second
from andromede.db import Database, Migration, ahead, migrate, open_database, pending
from andromede.durable import sync_folder
from andromede.errors import Conflict, Fatal, Invalid, NoCapacity, NotFound
from andromede.ops import copying
from andromede.ops.layout import Layout, mark_program, private_write

KEPT = 3
_ROOM = 64 << 20
"""Bytes that stay free besides the snapshot and the growth of the log during the steps."""


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What was done: names of the steps, and the snapshot from before or None."""

    applied: list[str]
    snapshot: Path | None


def folder(place: Layout) -> Path:
    """Where snapshots are kept."""
    return place.data / "snapshots"


def refuse_newer(db: Database, steps: Sequence[Migration]) -> None:
    """Raises `Invalid` when a newer release changed this database in ways that this one does not know."""
    if unknown := ahead(db, steps):
        raise Invalid(
            f"the database was changed by a newer release ({', '.join(unknown)}), which this one would damage; install "
            "that release again, and go back with it if you must: andromede migrate --back",
            "data",
        )


def upgrade(place: Layout, dsn: str, steps: Sequence[Migration], clock: Clock) -> Upgrade:
    """Bring the database to these steps. Nothing else may use it meanwhile. Raises `Invalid` for a database that is
    newer, `NoCapacity` before anything is done when the snapshot does not fit, `Fatal` when a step fails or the
    result does not pass the check; the database is then as it was."""
    db = open_database(dsn)
    try:
        refuse_newer(db, steps)
        missing = pending(db, steps)
        if not missing:
            mark_program(place)
            return Upgrade([], None)
        fresh = not db.all("SELECT 1 FROM schema_version LIMIT 1")
        snapshot = None if fresh or db.dialect != "sqlite" else _snapshot(place, db, clock)
        try:
            applied = migrate(db, steps)
        except Exception as error:
            raise _failed(f"a migration failed ({error})", repr(error), snapshot) from error
        if problems := [] if fresh else db.check():
            cause = "; ".join(problems)
            if snapshot is not None:
                db.close()
                put_back(_path(dsn), snapshot)
                raise _failed("the migrated database did not pass its check", cause, snapshot)
            raise Fatal("the migrated database did not pass its check; restore a backup", "migrate", cause=cause)
    finally:
        db.close()
    mark_program(place)
    return Upgrade(applied, snapshot)


def _failed(what: str, cause: str, snapshot: Path | None) -> Fatal:
    kept = f" (a snapshot from before is {snapshot})" if snapshot else ""
    return Fatal(
        f"{what}; the database is again as it was before{kept}. Go on with the former release, and report this with: "
        "andromede support-bundle",
        "migrate",
        cause=cause,
    )


def _path(dsn: str) -> Path:
    return Path(dsn.removeprefix("sqlite://"))


def _snapshot(place: Layout, db: Database, clock: Clock) -> Path:
    there = folder(place)
    there.mkdir(mode=0o700, exist_ok=True)
    for rest in there.glob("*.part*"):
        rest.unlink()
    older = snapshots(place)
    for path in older[: max(0, len(older) - KEPT + 1)]:
        path.unlink()
        path.with_suffix(".json").unlink(missing_ok=True)
    _require_room(place, db)
    target = there / f"before-migrate-{iso_second(clock.now_us()).replace(':', '')}.db"
    part = target.with_suffix(".part")
    try:
        db.backup(str(part))
        copying.sync_file(part)
        private_write(target.with_suffix(".json"), place.manifest.read_bytes())
        part.rename(target)
        sync_folder(there)
    except OSError as error:
        raise NoCapacity(f"the snapshot before the upgrade could not be written: {error.strerror}", "disk") from error
    finally:
        part.unlink(missing_ok=True)
    return target


def _require_room(place: Layout, db: Database) -> None:
    """Room for the snapshot and for a log of the same size, in which the steps are written."""
    row = db.one("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
    found = os.statvfs(place.data)
    need, free = 2 * int(row[0] if row else 0) + _ROOM, found.f_bavail * found.f_frsize
    if free < need:
        raise NoCapacity(
            f"the upgrade needs {need >> 20} MiB in {place.data} for a snapshot of the database and its changes, and "
            f"{free >> 20} MiB are free; make room and start again. Nothing was changed",
            "disk",
        )


def snapshots(place: Layout) -> list[Path]:
    """Those that are whole, oldest first."""
    return sorted(folder(place).glob("before-*.db"))


def put_back(path: Path, snapshot: Path) -> None:
    """Make the database what the snapshot is. On a full disk the snapshot itself takes the place."""
    part = path.with_name(path.name + ".part")
    try:
        shutil.copyfile(snapshot, part)
        copying.sync_file(part)
    except OSError:
        part.unlink(missing_ok=True)
        part = snapshot
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    part.chmod(0o600)
    part.rename(path)
    sync_folder(path.parent)


def go_back(place: Layout, dsn: str, named: str, clock: Clock) -> tuple[Path, Path]:
    """Put the newest snapshot, or the one `named`, in the place of the database: (snapshot, what was the database).
    Nothing may run. What was written since the snapshot is then only in the database that was put aside."""
    if not dsn.startswith("sqlite:"):
        raise Invalid("there are no snapshots of a PostgreSQL database; restore a backup instead", "migrate")
    found = snapshots(place)
    snapshot = Path(named).absolute() if named else found[-1] if found else None
    if snapshot is None or not snapshot.exists():
        raise NotFound(f"there is no snapshot {named or f'in {folder(place)}'}", "migrate")
    former = open_database(f"sqlite://{snapshot}")
    problems = former.check()
    former.close()
    for suffix in ("-wal", "-shm", ".lock"):
        snapshot.with_name(snapshot.name + suffix).unlink(missing_ok=True)
    if problems:
        raise Conflict(f"{snapshot} is damaged ({problems[0]}); use another one", "migrate")
    path = _path(dsn)
    aside = path.with_name(f"{path.name}.before-going-back-{iso_second(clock.now_us()).replace(':', '')}")
    now = open_database(dsn)
    now.all("PRAGMA wal_checkpoint(TRUNCATE)")
    now.close()
    os.link(path, aside)  # so that there is a database at every instant
    put_back(path, snapshot)
    manifest = snapshot.with_suffix(".json")
    if manifest.exists():
        json.loads(manifest.read_text())
        private_write(place.manifest, manifest.read_bytes())
    return snapshot, aside

"""Schema upgrades: a snapshot first, and back to it when a step fails."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from andromede.clock import Clock, iso_second
from andromede.db import Database, Migration, migrate, open_database, pending
from andromede.errors import Fatal, Unavailable
from andromede.ops.layout import Layout

KEPT = 3


def folder(place: Layout) -> Path:
    """Where snapshots are kept."""
    return place.data / "snapshots"


def upgrade(place: Layout, dsn: str, steps: Sequence[Migration], clock: Clock) -> tuple[list[str], Path | None]:
    """(names of the steps that were run, the snapshot taken before them or None). Nothing else may use the
    database meanwhile. Raises `Fatal` after going back to the snapshot when a step fails."""
    db = open_database(dsn)
    try:
        missing = pending(db, steps)
        if not missing:
            return [], None
        fresh = not db.all("SELECT 1 FROM schema_version LIMIT 1")
        snapshot = None if fresh else _snapshot(place, db, clock)
        try:
            return migrate(db, steps), snapshot
        except Exception as error:
            dialect = db.dialect
            db.close()
            if snapshot is None:
                raise
            _go_back(dsn, dialect, snapshot)
            raise Fatal(
                f"a migration failed ({error}); the database is again as it was before. "
                "Go on with the former release, and report this with: andromede support-bundle",
                "migrate",
                cause=repr(error),
            ) from error
    finally:
        db.close()


def _snapshot(place: Layout, db: Database, clock: Clock) -> Path:
    folder(place).mkdir(mode=0o700, exist_ok=True)
    older = sorted(folder(place).glob("before-*"))
    for path in older[: max(0, len(older) - KEPT + 1)]:
        path.unlink()
    kind = "db" if db.dialect == "sqlite" else "dump"
    target = folder(place) / f"before-migrate-{iso_second(clock.now_us()).replace(':', '')}.{kind}"
    try:
        db.backup(str(target))
    except FileNotFoundError as error:
        raise Unavailable("pg_dump is not installed; get it with: apt install postgresql-client", "migrate") from error
    return target


def _go_back(dsn: str, dialect: str, snapshot: Path) -> None:
    if dialect == "postgresql":
        from andromede.db.postgresql import load_dump

        load_dump(dsn, str(snapshot), replace=True)
        return
    path = Path(dsn.removeprefix("sqlite://"))
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    part = path.with_name(path.name + ".part")
    shutil.copyfile(snapshot, part)
    part.chmod(0o600)
    part.rename(path)

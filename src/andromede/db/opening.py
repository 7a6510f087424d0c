"""Open the database that a DSN names."""

from __future__ import annotations

from pathlib import Path

from andromede.db.base import Database
from andromede.errors import Invalid


def open_database(dsn: str) -> Database:
    """`sqlite:///path` or `postgresql://...`. Libraries of the other kind are not imported.
    Raises `Invalid` for anything else."""
    if dsn.startswith("sqlite:///"):
        from andromede.db.sqlite import SqliteDatabase

        return SqliteDatabase(Path(dsn.removeprefix("sqlite://")))
    if dsn.startswith(("postgresql://", "postgres://")):
        from andromede.db.postgresql import PostgresDatabase

        return PostgresDatabase(dsn)
    raise Invalid("storage.database is neither sqlite:///path nor postgresql://...", "config")

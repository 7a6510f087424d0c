"""Rows about stored bytes: files in use, references that ended, dead bytes in logs, readers at work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from andromede.db import Row, Tx
from andromede.objects.container_store import Reader


def add(tx: Tx, refs: Iterable[tuple[str, str]], now_us: int) -> None:
    """References (with their blob ids) that ended now."""
    tx.insert("garbage (ref, blob_id, since)", [(ref, blob, now_us) for ref, blob in refs])


def due(reader: Reader, before_us: int, limit: int) -> list[Row]:
    """(id, ref, blob id) of references that ended before an instant, oldest first."""
    return reader.all(
        "SELECT id, ref, blob_id FROM garbage WHERE since < ? ORDER BY since, id LIMIT ?", (before_us, limit)
    )


def forget(tx: Tx, rows: Sequence[Row]) -> None:
    """The references' bytes are gone or counted dead."""
    tx.many("DELETE FROM garbage WHERE id = ?", [(row[0],) for row in rows])
    tx.many("DELETE FROM moved WHERE blob_id = ?", [(row[2],) for row in rows])


def waits(reader: Reader, name: str) -> bool:
    """Whether garbage of this blob still waits for its grace."""
    return reader.one("SELECT 1 FROM garbage WHERE ref >= ? AND ref < ? LIMIT 1", (f"{name}:", f"{name};")) is not None


def pending(reader: Reader) -> list[Row]:
    """(ref,) of everything that waits for collection."""
    return reader.all("SELECT ref FROM garbage ORDER BY id")


def depths(reader: Reader) -> dict[str, int]:
    """How much waits for the worker: references to collect, bytes dead in logs, uploads not finished."""
    row = reader.one(
        "SELECT (SELECT count(*) FROM garbage), (SELECT coalesce(sum(bytes), 0) FROM log_dead), "
        "(SELECT count(*) FROM upload WHERE completed IS NULL)"
    )
    assert row is not None
    return {"garbage": int(row[0]), "dead_log_bytes": int(row[1]), "unfinished_uploads": int(row[2])}


def add_file(tx: Tx, name: str, now_us: int) -> None:
    """A file is referred to from now on."""
    tx.run("INSERT INTO blob (name, created) VALUES (?, ?)", (name, now_us))


def remove_file(tx: Tx, name: str) -> None:
    """A file is gone."""
    tx.run("DELETE FROM blob WHERE name = ?", (name,))


def has_file(reader: Reader, name: str) -> bool:
    """Whether a file is referred to (or waits for collection)."""
    return reader.one("SELECT 1 FROM blob WHERE name = ?", (name,)) is not None


def files(reader: Reader) -> set[str]:
    """Every file that should be there."""
    return {row[0] for row in reader.all("SELECT name FROM blob")}


def add_dead(tx: Tx, name: str, size: int) -> None:
    """Bytes of a log that nothing refers to."""
    tx.run(
        "INSERT INTO log_dead (name, bytes) VALUES (?, ?) "
        "ON CONFLICT (name) DO UPDATE SET bytes = log_dead.bytes + excluded.bytes",
        (name, size),
    )


def dead(reader: Reader) -> dict[str, int]:
    """Dead bytes by log."""
    return {row[0]: row[1] for row in reader.all("SELECT name, bytes FROM log_dead")}


def forget_log(tx: Tx, name: str) -> None:
    """The log is gone."""
    tx.run("DELETE FROM log_dead WHERE name = ?", (name,))


def moved(tx: Tx, blob_id: str, container_id: int, key: str) -> None:
    """The row that owns these bytes moved: the record's own header no longer names it."""
    tx.run(
        "INSERT INTO moved (blob_id, container_id, key) VALUES (?, ?, ?) ON CONFLICT (blob_id) "
        "DO UPDATE SET container_id = excluded.container_id, key = excluded.key",
        (blob_id, container_id, key),
    )


def where_moved(reader: Reader, blob_id: str) -> Row | None:
    """(container id, key) of a row that moved."""
    return reader.one("SELECT container_id, key FROM moved WHERE blob_id = ?", (blob_id,))


def set_reading(tx: Tx, source: str, oldest_us: int, now_us: int) -> None:
    """The oldest read in progress of one process."""
    tx.run(
        "INSERT INTO reading (source, oldest, seen) VALUES (?, ?, ?) ON CONFLICT (source) "
        "DO UPDATE SET oldest = excluded.oldest, seen = excluded.seen",
        (source, oldest_us, now_us),
    )


def oldest_reading(reader: Reader, seen_after_us: int) -> int | None:
    """When the oldest read still in progress anywhere began."""
    row = reader.one("SELECT min(oldest) FROM reading WHERE seen > ?", (seen_after_us,))
    return row[0] if row else None

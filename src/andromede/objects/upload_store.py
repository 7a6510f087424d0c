"""Rows of multipart uploads. A completed one is kept a while, to answer a repeated Complete."""

from __future__ import annotations

from andromede.db import Row, Tx
from andromede.objects import codec
from andromede.objects.codec import UPLOAD_COLUMNS
from andromede.objects.container_store import Reader
from andromede.objects.model import Upload


def insert(tx: Tx, u: Upload) -> None:
    """Add an upload."""
    marks = ", ".join("?" * 12)
    tx.run(
        f"INSERT INTO upload ({UPLOAD_COLUMNS}) VALUES ({marks})",
        (
            u.container_id, u.key, u.id, u.version_id, u.owner_id, u.initiator_id, u.created_us, None,
            u.checksum_algorithm, u.checksum_kind, u.attributes.content_type, codec.pack_wide(u.attributes),
        ),
    )  # fmt: skip


def get(reader: Reader, container_id: int, key: str, upload_id: str) -> tuple[Upload, int | None] | None:
    """An upload and when it was completed."""
    row = reader.one(
        f"SELECT {UPLOAD_COLUMNS} FROM upload WHERE container_id = ? AND key = ? AND id = ?",
        (container_id, key, upload_id),
    )
    return (codec.upload(row), row[7]) if row else None


def complete(tx: Tx, u: Upload, now_us: int) -> None:
    """Mark as completed."""
    tx.run(
        "UPDATE upload SET completed = ? WHERE container_id = ? AND key = ? AND id = ?",
        (now_us, u.container_id, u.key, u.id),
    )


def delete(tx: Tx, u: Upload) -> None:
    """Forget an upload."""
    tx.run("DELETE FROM upload WHERE container_id = ? AND key = ? AND id = ?", (u.container_id, u.key, u.id))


def delete_parts(tx: Tx, owner: str) -> None:
    """Remove all parts of an upload that was given up."""
    tx.run("DELETE FROM part WHERE owner = ?", (owner,))


def drop_container(tx: Tx, container_id: int) -> list[str]:
    """Forget every upload of a container; the reserved version ids of the unfinished ones."""
    rows = tx.all("SELECT version_id FROM upload WHERE container_id = ? AND completed IS NULL", (container_id,))
    tx.run("DELETE FROM upload WHERE container_id = ?", (container_id,))
    return [row[0] for row in rows]


def forget_completed(tx: Tx, before_us: int, limit: int) -> int:
    """Forget uploads completed before an instant; how many."""
    rows = tx.all(
        "SELECT container_id, key, id FROM upload WHERE completed IS NOT NULL AND completed < ? "
        "ORDER BY completed LIMIT ?",
        (before_us, limit),
    )
    tx.many("DELETE FROM upload WHERE container_id = ? AND key = ? AND id = ?", rows)
    return len(rows)


def page(reader: Reader, container_id: int, low: tuple[str, str], high: str | None, limit: int) -> list[Row]:
    """UPLOAD_COLUMNS of unfinished uploads behind (key, id) and below the key `high`, in order.
    The id "" stands before every id of its key."""
    below = " AND key < ?" if high is not None else ""
    params = (container_id, low[0], low[0], low[1], *((high,) if high is not None else ()), limit)
    return reader.all(
        f"SELECT {UPLOAD_COLUMNS} FROM upload WHERE container_id = ? AND (key > ? OR (key = ? AND id > ?)){below} "
        "AND completed IS NULL ORDER BY key, id LIMIT ?",
        params,
    )


def older(reader: Reader, container_id: int, prefix_low: str, prefix_high: str | None, before_us: int) -> list[Upload]:
    """Unfinished uploads begun before an instant under a range of keys (lifecycle)."""
    below = " AND key < ?" if prefix_high is not None else ""
    rows = reader.all(
        f"SELECT {UPLOAD_COLUMNS} FROM upload WHERE container_id = ? AND key >= ?{below} AND created < ? "
        "AND completed IS NULL ORDER BY key, id LIMIT 1000",
        (container_id, prefix_low, *((prefix_high,) if prefix_high is not None else ()), before_us),
    )
    return [codec.upload(row) for row in rows]

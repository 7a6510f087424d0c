"""How far the access log of each container was delivered."""

from __future__ import annotations

from andromede.db import Migration, Tx

MIGRATIONS = (
    Migration(
        "bucketlog",
        1,
        "cursors",
        """
CREATE TABLE bucket_log (
  container_id {int} PRIMARY KEY,
  event {int} NOT NULL
);
""",
    ),
)


def cursor(tx: Tx, container_id: int) -> int | None:
    """The id of the last event that was looked at, None before the first delivery."""
    row = tx.one("SELECT event FROM bucket_log WHERE container_id = ?", (container_id,))
    return int(row[0]) if row else None


def move(tx: Tx, container_id: int, event: int) -> None:
    """Remember the last event that was looked at."""
    tx.run(
        "INSERT INTO bucket_log (container_id, event) VALUES (?, ?) "
        "ON CONFLICT (container_id) DO UPDATE SET event = excluded.event",
        (container_id, event),
    )

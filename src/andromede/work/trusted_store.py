"""The row that keeps how late it is known to be, so that the next run can tell a wrong clock from a right one."""

from __future__ import annotations

from andromede.db import Database, Migration, Tx

MIGRATION = Migration(
    "work",
    2,
    "how late it is known to be",
    """
CREATE TABLE trusted_time (
  id {int} PRIMARY KEY,
  us {int} NOT NULL
) {norowid};
""",
)


def last(db: Database) -> int:
    """The newest instant that was written, 0 when there is none."""
    row = db.one("SELECT us FROM trusted_time WHERE id = 1")
    return int(row[0]) if row else 0


def put(tx: Tx, us: int) -> None:
    """Write what is believed now, earlier than before when the clock was set back."""
    tx.run(
        "INSERT INTO trusted_time (id, us) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET us = excluded.us",
        (us,),
    )

"""Rows of leases."""

from __future__ import annotations

from andromede.db import Database, Migration, Row, Tx

MIGRATIONS = (
    Migration(
        "work",
        1,
        "leases",
        """
CREATE TABLE lease (
  name {text} PRIMARY KEY,
  holder {text} NOT NULL,
  until {int} NOT NULL
) {norowid};
""",
    ),
)


def held(db: Database, name: str) -> Row | None:
    """(holder, until) of a lease."""
    return db.one("SELECT holder, until FROM lease WHERE name = ?", (name,))


def holders(db: Database, now_us: int) -> list[Row]:
    """(name, holder) of every lease that is held."""
    return db.all("SELECT name, holder FROM lease WHERE until > ? ORDER BY name", (now_us,))


def claim(tx: Tx, name: str, holder: str, now_us: int, until_us: int, believed_us: int) -> bool:
    """Take or prolong a lease that is free, over or the holder's own; or one that reaches beyond `believed_us`."""
    tx.run("INSERT INTO lease (name, holder, until) VALUES (?, ?, ?) ON CONFLICT (name) DO NOTHING", (name, holder, 0))
    return (
        tx.run(
            "UPDATE lease SET holder = ?, until = ? WHERE name = ? AND (holder = ? OR until <= ? OR until > ?)",
            (holder, until_us, name, holder, now_us, believed_us),
        )
        == 1
    )


def release(tx: Tx, name: str, holder: str) -> None:
    """End a lease, if it is still the holder's."""
    tx.run("UPDATE lease SET until = 0 WHERE name = ? AND holder = ?", (name, holder))

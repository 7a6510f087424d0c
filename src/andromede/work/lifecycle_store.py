"""Statements over the columns of `work.lifecycle.COLUMNS`, whatever the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from andromede.clock import US
from andromede.db import Database, Tx

FAR_US = 86_400 * US
"""No step waits longer and no lease lasts as long: an instant further ahead was written before the clock went back."""
_DUE = "(due_us <= ? OR due_us > ?) AND (lease_us <= ? OR lease_us > ?)"


def _instants(now_us: int) -> tuple[int, int, int, int]:
    return now_us, now_us + FAR_US, now_us, now_us + FAR_US


def due(db: Database, table: str, now_us: int, limit: int) -> list[str]:
    """Rows that want a worker, the longest waiting first."""
    sql = f"SELECT id FROM {table} WHERE {_DUE} ORDER BY due_us LIMIT ?"
    return [str(row[0]) for row in db.all(sql, (*_instants(now_us), limit))]


def first_due(db: Database, table: str) -> int | None:
    """When the next row wants a worker."""
    row = db.one(f"SELECT min(due_us) FROM {table} WHERE due_us IS NOT NULL AND lease_us = 0")
    return int(row[0]) if row and row[0] is not None else None


def claim(tx: Tx, table: str, row_id: str, holder: str, span: tuple[int, int]) -> bool:
    """Take the lease of a due row; `span`: now and its end."""
    sql = f"UPDATE {table} SET holder = ?, lease_us = ? WHERE id = ? AND {_DUE}"
    return tx.run(sql, (holder, span[1], row_id, *_instants(span[0]))) == 1


def prolong(tx: Tx, table: str, rows: Sequence[str], holder: str, until_us: int) -> None:
    """Keep leases that are held."""
    for row_id in rows:
        tx.run(f"UPDATE {table} SET lease_us = ? WHERE id = ? AND holder = ?", (until_us, row_id, holder))


def release(tx: Tx, table: str, row_id: str, holder: str, due_us: int) -> bool:
    """Give a lease back before the work is over: the row waits for whoever comes, from `due_us` on."""
    sql = f"UPDATE {table} SET holder = '', lease_us = 0, due_us = ? WHERE id = ? AND holder = ?"
    return tx.run(sql, (due_us, row_id, holder)) == 1


def advance(tx: Tx, table: str, row_id: str, held: tuple[str, str], sets: Mapping[str, Any]) -> bool:
    """Change a row whose lease and state are still `held` (holder, state); whether they were."""
    names = ", ".join(f"{name} = ?" for name in sets)
    sql = f"UPDATE {table} SET {names} WHERE id = ? AND holder = ? AND state = ?"
    return tx.run(sql, (*sets.values(), row_id, *held)) == 1


def remove(tx: Tx, table: str, row_id: str, held: tuple[str, str]) -> bool:
    """Remove a row whose lease and state are still held."""
    return tx.run(f"DELETE FROM {table} WHERE id = ? AND holder = ? AND state = ?", (row_id, *held)) == 1


def begin(
    tx: Tx, table: str, row_id: str, move: tuple[Sequence[str], str], now_us: int, changes: Mapping[str, Any]
) -> bool:
    sources, state = move
    sets = {"state": state, "since_us": now_us, "due_us": now_us, "lease_us": 0, "holder": "", "tries": 0, "fault": ""}
    sets |= changes
    names = ", ".join(f"{name} = ?" for name in sets)
    marks = ", ".join("?" * len(sources))
    return tx.run(f"UPDATE {table} SET {names} WHERE id = ? AND state IN ({marks})",
                  (*sets.values(), row_id, *sources)) == 1  # fmt: skip


def signal(tx: Tx, table: str, row_id: str, word: str, now_us: int) -> bool:
    row = tx.one(f"SELECT signals FROM {table} WHERE id = ?", (row_id,))
    if row is None:
        return False
    words = [*str(row[0]).split(), word] if word not in str(row[0]).split() else str(row[0]).split()
    return tx.run(f"UPDATE {table} SET signals = ?, due_us = ? WHERE id = ?", (" ".join(words), now_us, row_id)) == 1


def signals(tx: Tx, table: str, row_id: str) -> str:
    """The wishes that wait at a row."""
    row = tx.one(f"SELECT signals FROM {table} WHERE id = ?", (row_id,))
    return str(row[0]) if row else ""


def free(tx: Tx, table: str, holder: str) -> int:
    """Give back every lease of a holder that has ended."""
    return tx.run(f"UPDATE {table} SET lease_us = 0, holder = '' WHERE holder = ?", (holder,))


def holders(db: Database, table: str) -> list[str]:
    """Who holds leases."""
    return [str(row[0]) for row in db.all(f"SELECT DISTINCT holder FROM {table} WHERE holder <> ''")]


LATE_US = 60 * US
"""A row that is due for longer than this is one that nobody works on."""


def counts(db: Database, table: str) -> dict[str, int]:
    """How many rows there are by state."""
    rows = db.all(f"SELECT state, count(*) FROM {table} GROUP BY state ORDER BY 1")
    return {str(row[0]): int(row[1]) for row in rows}


def stuck(db: Database, table: str, now_us: int, limit: int) -> list[dict[str, Any]]:
    """Rows whose work failed and is tried again, or that nobody works on, the oldest first: id, state, seconds in it,
    tries, fault."""
    sql = f"SELECT id, state, since_us, tries, fault FROM {table} WHERE due_us < ? AND (tries > 0 OR due_us < ?)"
    late = now_us - LATE_US
    rows = db.all(f"{sql} ORDER BY since_us LIMIT ?", (now_us + LATE_US, late, max(0, limit)))
    return [
        {"id": row[0], "state": row[1], "seconds": (now_us - row[2]) // US, "tries": row[3], "fault": row[4]}
        for row in rows
    ]

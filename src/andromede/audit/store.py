"""Rows of audit events."""

from __future__ import annotations

from collections.abc import Sequence

from andromede.db import Migration, Row, Tx

MIGRATIONS = (
    Migration(
        "audit",
        1,
        "events",
        """
CREATE TABLE audit_event (
  id {int} PRIMARY KEY,
  tenant {text} NOT NULL,
  source {text} NOT NULL,
  seq {int} NOT NULL,
  ts {int} NOT NULL,
  body {blob} NOT NULL
);
CREATE INDEX audit_event_tenant ON audit_event (tenant, id);
CREATE UNIQUE INDEX audit_event_source ON audit_event (source, seq);
""",
    ),
)


def insert(tx: Tx, rows: Sequence[Row]) -> None:
    """Store (id, tenant, source, seq, ts, body) rows."""
    tx.many("INSERT INTO audit_event (id, tenant, source, seq, ts, body) VALUES (?, ?, ?, ?, ?, ?)", rows)


def events(tx: Tx, tenant: str | None, after: int, limit: int) -> list[Row]:
    """(id, tenant, body) in order of id, of one tenant or (None) of all."""
    if tenant is None:
        return tx.all("SELECT id, tenant, body FROM audit_event WHERE id > ? ORDER BY id LIMIT ?", (after, limit))
    return tx.all(
        "SELECT id, tenant, body FROM audit_event WHERE tenant = ? AND id > ? ORDER BY id LIMIT ?",
        (tenant, after, limit),
    )


def newest(tx: Tx, tenant: str | None, count: int) -> list[Row]:
    """The last `count` (id, tenant, body) rows, oldest first."""
    where, params = ("", ()) if tenant is None else ("WHERE tenant = ? ", (tenant,))
    rows = tx.all(f"SELECT id, tenant, body FROM audit_event {where}ORDER BY id DESC LIMIT ?", (*params, count))
    return rows[::-1]


def gaps(tx: Tx) -> list[Row]:
    """(source, lowest, highest, count) of every source whose numbers are not contiguous."""
    return tx.all(
        "SELECT source, min(seq), max(seq), count(*) FROM audit_event GROUP BY source "
        "HAVING max(seq) - min(seq) + 1 <> count(*)"
    )


def sources(tx: Tx) -> list[Row]:
    """(source, lowest, highest, count, newest instant) of every source."""
    return tx.all(
        "SELECT source, min(seq), max(seq), count(*), max(ts) FROM audit_event GROUP BY source ORDER BY source"
    )

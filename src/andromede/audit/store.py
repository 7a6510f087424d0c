"""Rows of audit events."""

from __future__ import annotations

from collections.abc import Sequence

from andromede.audit import lease_store
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
    Migration(
        "audit",
        2,
        "positions in the tenants' logs",
        """
ALTER TABLE audit_event ADD COLUMN position {int};
ALTER TABLE audit_event ADD COLUMN salt {blob};
CREATE UNIQUE INDEX audit_event_position ON audit_event (tenant, position);
CREATE TABLE ledger_log (
  tenant {text} PRIMARY KEY,
  origin {text} NOT NULL UNIQUE,
  allocated {int} NOT NULL,
  size {int} NOT NULL,
  root {blob} NOT NULL
) {norowid};
CREATE INDEX ledger_log_behind ON ledger_log (tenant) WHERE allocated > size;
""",
    ),
    lease_store.MIGRATION,
    Migration(
        "audit",
        4,
        "an index of events without a position",
        """
CREATE INDEX audit_event_unplaced ON audit_event (id) WHERE position IS NULL;
""",
    ),
)


_SHOWN = "id, tenant, body, position"


def insert(tx: Tx, rows: Sequence[Row]) -> None:
    """Store (id, tenant, source, seq, ts, body, position, salt) rows."""
    tx.insert("audit_event (id, tenant, source, seq, ts, body, position, salt)", rows)


def allocate(tx: Tx, tenant: str, count: int) -> Row | None:
    """(origin, positions allocated so far) of a tenant's log after taking `count` more; None: it has no log yet."""
    found = tx.all(
        "UPDATE ledger_log SET allocated = allocated + ? WHERE tenant = ? RETURNING origin, allocated", (count, tenant)
    )
    return found[0] if found else None


def origin(tx: Tx, tenant: str) -> str | None:
    """The origin of a tenant's log."""
    row = tx.one("SELECT origin FROM ledger_log WHERE tenant = ?", (tenant,))
    return str(row[0]) if row else None


def add_log(tx: Tx, tenant: str, origin: str, root: bytes) -> None:
    """Begin an empty log."""
    tx.run(
        "INSERT INTO ledger_log (tenant, origin, allocated, size, root) VALUES (?, ?, 0, 0, ?)", (tenant, origin, root)
    )


def without_position(tx: Tx, limit: int) -> list[Row]:
    """(id, tenant) of events that were written before there were logs, oldest first."""
    return tx.all("SELECT id, tenant FROM audit_event WHERE position IS NULL ORDER BY id LIMIT ?", (limit,))


def place(tx: Tx, rows: Sequence[Row]) -> None:
    """Give events their (position, salt, id)."""
    tx.many("UPDATE audit_event SET position = ?, salt = ? WHERE id = ?", rows)


def events(tx: Tx, tenant: str | None, after: int, limit: int) -> list[Row]:
    """(id, tenant, body, position) in order of id, of one tenant or (None) of all; an erased body is empty."""
    if tenant is None:
        return tx.all(f"SELECT {_SHOWN} FROM audit_event WHERE id > ? ORDER BY id LIMIT ?", (after, limit))
    return tx.all(
        f"SELECT {_SHOWN} FROM audit_event WHERE tenant = ? AND id > ? ORDER BY id LIMIT ?", (tenant, after, limit)
    )


def newest(tx: Tx, tenant: str | None, count: int) -> list[Row]:
    """The last `count` (id, tenant, body, position) rows, oldest first."""
    where, params = ("", ()) if tenant is None else ("WHERE tenant = ? ", (tenant,))
    rows = tx.all(f"SELECT {_SHOWN} FROM audit_event {where}ORDER BY id DESC LIMIT ?", (*params, count))
    return rows[::-1]


def gaps(tx: Tx) -> list[Row]:
    """(source, lowest, highest, count) of every source whose numbers are not contiguous."""
    return tx.all(
        "SELECT source, min(seq), max(seq), count(*) FROM audit_event GROUP BY source "
        "HAVING max(seq) - min(seq) + 1 <> count(*)"
    )


def sources(tx: Tx) -> list[Row]:
    """(source, lowest, highest, count, instant of the highest) of every source. Reads an index, not the events."""
    return tx.all(
        "SELECT s.source, s.low, s.high, s.n, "
        "(SELECT ts FROM audit_event WHERE audit_event.source = s.source AND audit_event.seq = s.high) "
        "FROM (SELECT source, min(seq) AS low, max(seq) AS high, count(*) AS n FROM audit_event GROUP BY source) s "
        "ORDER BY s.source"
    )

"""Rows of leases: places of a log that a source holds without their events."""

from __future__ import annotations

from collections.abc import Sequence

from andromede.db import Migration, Row, Tx

MIGRATION = Migration(
    "audit",
    3,
    "leases of places",
    """
CREATE TABLE ledger_lease (
  tenant {text} NOT NULL,
  first {int} NOT NULL,
  count {int} NOT NULL,
  source {text} NOT NULL,
  PRIMARY KEY (tenant, first)
) {norowid};
""",
)


def add(tx: Tx, rows: Sequence[Row]) -> None:
    """Store (tenant, first, count, source) rows."""
    if rows:
        tx.many("INSERT INTO ledger_lease (tenant, first, count, source) VALUES (?, ?, ?, ?)", rows)


def held(tx: Tx, source: str) -> list[Row]:
    """(tenant, first, count) of every lease of a source."""
    return tx.all("SELECT tenant, first, count FROM ledger_lease WHERE source = ? ORDER BY tenant, first", (source,))


def end(tx: Tx, rows: Sequence[Row]) -> None:
    """Remove leases by (tenant, first)."""
    if rows:
        tx.many("DELETE FROM ledger_lease WHERE tenant = ? AND first = ?", rows)


def filled(tx: Tx, tenant: str, first: int, stop: int) -> set[int]:
    """The places in [first, stop) that have an event."""
    rows = tx.all(
        "SELECT position FROM audit_event WHERE tenant = ? AND position >= ? AND position < ?", (tenant, first, stop)
    )
    return {int(row[0]) for row in rows}


def body(tx: Tx, tenant: str, place: int) -> bytes | None:
    """The event at a place, None when there is none yet."""
    row = tx.one("SELECT body FROM audit_event WHERE tenant = ? AND position = ?", (tenant, place))
    return bytes(row[0]) if row else None


def silent(tx: Tx, before_us: int) -> list[str]:
    """The sources that hold leases and have written nothing since an instant."""
    rows = tx.all(
        "SELECT DISTINCT source FROM ledger_lease WHERE NOT EXISTS (SELECT 1 FROM audit_event "
        "WHERE audit_event.source = ledger_lease.source AND audit_event.seq = "
        "(SELECT max(newest.seq) FROM audit_event newest WHERE newest.source = ledger_lease.source) "
        "AND audit_event.ts >= ?) ORDER BY source",
        (before_us,),
    )
    return [str(row[0]) for row in rows]

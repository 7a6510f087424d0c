"""Rows of policies, of what retention has done and of the months whose roots were signed."""

from __future__ import annotations

from andromede.db import Database, Row, Tx

Read = Tx | Database


def policy(read: Read, tenant: str) -> str | None:
    """The stored lines of a tenant's policy."""
    row = read.one("SELECT body FROM ledger_policy WHERE tenant = ?", (tenant,))
    return str(row[0]) if row else None


def put_policy(tx: Tx, tenant: str, body: str, now_us: int) -> None:
    """Replace a tenant's policy."""
    tx.run(
        "INSERT INTO ledger_policy (tenant, body, changed_us) VALUES (?, ?, ?) "
        "ON CONFLICT (tenant) DO UPDATE SET body = excluded.body, changed_us = excluded.changed_us",
        (tenant, body, now_us),
    )


def drop_policy(tx: Tx, tenant: str) -> bool:
    """Remove a tenant's policy; False when it has none."""
    return tx.run("DELETE FROM ledger_policy WHERE tenant = ?", (tenant,)) == 1


def policy_tenants(read: Read) -> list[str]:
    """Tenants with a policy of their own."""
    return [str(row[0]) for row in read.all("SELECT tenant FROM ledger_policy ORDER BY tenant")]


def pruned_upto(read: Read, tenant: str) -> int:
    """The index up to which retention has gone through a tenant's events."""
    row = read.one("SELECT upto FROM ledger_pruned WHERE tenant = ?", (tenant,))
    return int(row[0]) if row else 0


def put_pruned(tx: Tx, tenant: str, upto: int) -> None:
    """Remember how far retention has gone."""
    tx.run(
        "INSERT INTO ledger_pruned (tenant, upto) VALUES (?, ?) "
        "ON CONFLICT (tenant) DO UPDATE SET upto = excluded.upto",
        (tenant, upto),
    )


def aged(read: Read, tenant: str, first: int, end: int, limit: int) -> list[Row]:
    """(position, ts) of the events of a tenant from `first` up to `end`, in order."""
    return read.all(
        "SELECT position, ts FROM audit_event WHERE tenant = ? AND position >= ? AND position < ? "
        "ORDER BY position LIMIT ?",
        (tenant, first, end, limit),
    )


def blank(tx: Tx, tenant: str, first: int, end: int) -> int:
    """Take salt and body of the events of a range away for good; the number that still had them."""
    return tx.run(
        "UPDATE audit_event SET salt = NULL, body = ? "
        "WHERE tenant = ? AND position >= ? AND position < ? AND salt IS NOT NULL",
        (b"", tenant, first, end),
    )


def newest_events(read: Read, tenant: str, before: int, limit: int) -> list[Row]:
    """(position, body) of the events of a tenant below a position, newest first."""
    return read.all(
        "SELECT position, body FROM audit_event WHERE tenant = ? AND position < ? ORDER BY position DESC LIMIT ?",
        (tenant, before, limit),
    )


def attempts(read: Read, origin: str) -> list[Row]:
    """(url, instant of the last call, failures in a row, error) of the witnesses that are asked about a log."""
    return read.all("SELECT url, tried, failures, error FROM witness_view WHERE origin = ?", (origin,))


def runners(read: Read) -> dict[str, str]:
    """URL -> who runs the witness there, as the operator told."""
    return {str(row[0]): str(row[1]) for row in read.all("SELECT url, run_by FROM witness_peer")}


def halt(read: Read, origin: str) -> str:
    """Why a log may not be signed; empty when it may."""
    row = read.one("SELECT reason FROM witness_halt WHERE origin = ?", (origin,))
    return str(row[0]) if row else ""


def claim_month(tx: Tx, month: str, now_us: int) -> bool:
    """Whether the month's roots were still to be written, and are now this transaction's to write."""
    return (
        tx.run(
            "INSERT INTO ledger_month (month, position, pages, logs, at_us) VALUES (?, 0, 0, 0, ?) "
            "ON CONFLICT (month) DO NOTHING",
            (month, now_us),
        )
        == 1
    )


def has_month(read: Read, month: str) -> bool:
    """Whether the month's roots are written."""
    return read.one("SELECT 1 FROM ledger_month WHERE month = ?", (month,)) is not None


def put_month(tx: Tx, month: str, position: int, pages: int, logs: int) -> None:
    """Where the month's events stand in the installation's log."""
    tx.run("UPDATE ledger_month SET position = ?, pages = ?, logs = ? WHERE month = ?", (position, pages, logs, month))


def months(read: Read) -> list[Row]:
    """(month, position, pages, logs, instant), newest first."""
    return read.all("SELECT month, position, pages, logs, at_us FROM ledger_month ORDER BY month DESC")

"""A new log in the place of one that may not be signed any more, most often after a restore of an older database.

The old log ends as it is: witnesses and tenants keep what they saw of it, its receipts verify, and it is never signed
again. The new one has another origin and begins with the events that are still here; its next entry tells of the
change, and so does the installation's log. Nobody can take it for the old one: that is the point.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from andromede.audit import INSTALLATION, Draft, Recorder
from andromede.db import Database
from andromede.errors import Conflict
from andromede.ids import Ids
from andromede.sovereignty import store, witness_store
from andromede.sovereignty.store import LogState

ACTION = "ledger.renew"
PURPOSE = "OPERATOR_INCIDENT"


@dataclass(frozen=True, slots=True)
class Order:
    """Who renews, why, and the request that it belongs to."""

    actor: str
    reason: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Renewed:
    """A log that ended at `size`, and the origin of the one in its place."""

    tenant: str
    old: str
    new: str
    size: int


def stopped(db: Database) -> dict[str, str]:
    """Origin -> why it is not signed, of the logs that stand still."""
    reasons = {str(row[0]): str(row[2]) for row in witness_store.halts(db)}
    reasons |= {origin: reason for origin, _, reason in store.refusals(db)}
    return {origin: reason for origin, reason in reasons.items() if store.by_origin(db, origin) is not None}


def renew(db: Database, recorder: Recorder, ids: Ids, tenant: str, order: Order) -> Renewed:
    """Begin a new log for a tenant. `Conflict` for one that can go on: what is whole is not broken off."""
    standing = stopped(db)
    with db.write() as tx:
        log = store.log(tx, tenant)
        if log is None or log.origin not in standing:
            name = log.origin if log else f"of {tenant}"
            raise Conflict(f"the log {name} goes on: only one that is refused its signature can be renewed", "log")
        new = f"{log.origin.rpartition('/')[0]}/{ids.secret(8).hex()}"
        store.rename(tx, log.origin, new)
        witness_store.drop_halt(tx, log.origin)
        recorder.record(tx, _drafts(log, new, order))
    return Renewed(tenant, log.origin, new, log.size)


def _drafts(log: LogState, new: str, order: Order) -> list[Draft]:
    detail: dict[str, str | int] = {
        "from": log.origin,
        "to": new,
        "size": log.size,
        "root": base64.b64encode(log.root).decode(),
        "reason": order.reason,
    }
    return [
        Draft(tenant, order.actor, ACTION, f"log:{log.origin}", order.request_id, purpose=PURPOSE, detail=detail)
        for tenant in dict.fromkeys((log.tenant, INSTALLATION))
    ]

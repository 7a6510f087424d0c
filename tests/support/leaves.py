"""What requests left in the ledger: for tests that walk the routes."""

from __future__ import annotations

import json
from typing import Any

from andromede.db import Database
from andromede.objects.commit import Step
from andromede.objects.service import Objects

HEADER = "andromede-ledger"
Leaf = tuple[str, int, dict[str, Any]]


def leaves(db: Database, request_id: str) -> list[Leaf]:
    """(tenant, position, event) of everything that a request left."""
    rows = db.all("SELECT tenant, position, body FROM audit_event ORDER BY id")
    found = [(str(row[0]), int(row[1]), json.loads(bytes(row[2]))) for row in rows if row[2]]
    return [leaf for leaf in found if leaf[2]["request_id"] == request_id]


def named(db: Database, leaf: Leaf) -> str:
    """The header that names a leaf."""
    row = db.one("SELECT origin FROM ledger_log WHERE tenant = ?", (leaf[0],))
    assert row is not None
    return f"{row[0]} {leaf[1]}"


def only(db: Database, request_id: str, header: str | None, where: str) -> Leaf:
    """The one leaf of a request, which the header of its answer names."""
    found = leaves(db, request_id)
    assert len(found) == 1, f"{where} left {len(found)} leaves: {found}"
    assert header == named(db, found[0]), where
    return found[0]


def flush(objects: Objects) -> None:
    """Let the events of reads become durable."""
    objects.run(Step(lambda tx: None))

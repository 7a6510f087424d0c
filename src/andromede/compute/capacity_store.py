"""Statements over capacity."""

from __future__ import annotations

from andromede.db import Tx
from andromede.db.table import Reader


def used(db: Reader, provider_id: str) -> tuple[dict[str, int], int]:
    """(what is given out by resource class, how many consumers there are)."""
    rows = db.all(
        "SELECT resource_class, sum(used) FROM placement_allocation WHERE provider_id = ? GROUP BY resource_class",
        (provider_id,),
    )
    row = db.one("SELECT count(DISTINCT consumer_id) FROM placement_allocation WHERE provider_id = ?", (provider_id,))
    return {str(name): int(value) for name, value in rows}, int(row[0]) if row else 0


def turn(tx: Tx, provider_id: str, generation: int, now_us: int) -> bool:
    """Raise a provider's generation, if it is still this one; whether it was."""
    sql = "UPDATE placement_provider SET generation = ?, updated_us = ? WHERE id = ? AND generation = ?"
    return tx.run(sql, (generation + 1, now_us, provider_id, generation)) == 1

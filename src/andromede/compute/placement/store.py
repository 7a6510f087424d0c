"""Queries over the rows of capacity and what Placement keeps beside them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from andromede.db import Tx
from andromede.db.table import PART, Reader, names


def turn(tx: Tx, provider_id: str, now_us: int) -> None:
    """Raise a provider's generation."""
    tx.run(
        "UPDATE placement_provider SET generation = generation + 1, updated_us = ? WHERE id = ?", (now_us, provider_id)
    )


def _by_provider(db: Reader, sql: str, providers: Collection[str]) -> Iterable[tuple[Any, ...]]:
    ordered = sorted(providers)
    for at in range(0, len(ordered), PART):
        part = ordered[at : at + PART]
        yield from db.all(sql.format(marks=", ".join("?" * len(part))), part)


def used(db: Reader, providers: Collection[str]) -> dict[str, dict[str, int]]:
    """Provider -> class -> how much is taken."""
    sql = (
        "SELECT provider_id, resource_class, sum(used) FROM placement_allocation WHERE provider_id IN ({marks}) "
        "GROUP BY provider_id, resource_class"
    )
    found: dict[str, dict[str, int]] = {}
    for provider_id, name, total in _by_provider(db, sql, providers):
        found.setdefault(str(provider_id), {})[str(name)] = int(total)
    return found


def traits(db: Reader, providers: Collection[str]) -> dict[str, set[str]]:
    """Provider -> its traits."""
    sql = "SELECT provider_id, name FROM placement_trait WHERE provider_id IN ({marks})"
    found: dict[str, set[str]] = {}
    for provider_id, name in _by_provider(db, sql, providers):
        found.setdefault(str(provider_id), set()).add(str(name))
    return found


def aggregates(db: Reader, providers: Collection[str]) -> dict[str, set[str]]:
    """Provider -> its aggregates."""
    sql = "SELECT provider_id, aggregate_id FROM placement_aggregate WHERE provider_id IN ({marks})"
    found: dict[str, set[str]] = {}
    for provider_id, aggregate_id in _by_provider(db, sql, providers):
        found.setdefault(str(provider_id), set()).add(str(aggregate_id))
    return found


def set_traits(tx: Tx, provider_id: str, wanted: Collection[str]) -> None:
    """Replace a provider's traits."""
    tx.run("DELETE FROM placement_trait WHERE provider_id = ?", (provider_id,))
    tx.many("INSERT INTO placement_trait (provider_id, name) VALUES (?, ?)", [(provider_id, n) for n in sorted(wanted)])


def set_aggregates(tx: Tx, provider_id: str, wanted: Collection[str]) -> None:
    """Replace a provider's aggregates."""
    tx.run("DELETE FROM placement_aggregate WHERE provider_id = ?", (provider_id,))
    tx.many(
        "INSERT INTO placement_aggregate (provider_id, aggregate_id) VALUES (?, ?)",
        [(provider_id, each) for each in sorted(wanted)],
    )


def own_names(db: Reader, kind: str) -> list[str]:
    """The operator's own resource classes (`class`) or traits (`trait`)."""
    return names(db.all("SELECT name FROM placement_name WHERE kind = ? ORDER BY created_us, name", (kind,)))


def add_name(tx: Tx, kind: str, name: str, now_us: int) -> bool:
    """Keep a name; whether it was new."""
    sql = "INSERT INTO placement_name (kind, name, created_us) VALUES (?, ?, ?) ON CONFLICT (kind, name) DO NOTHING"
    return tx.run(sql, (kind, name, now_us)) == 1


def drop_name(tx: Tx, kind: str, name: str) -> bool:
    """Forget a name; whether it was there."""
    return tx.run("DELETE FROM placement_name WHERE kind = ? AND name = ?", (kind, name)) == 1


def traits_in_use(db: Reader) -> set[str]:
    """Traits that some provider has."""
    return set(names(db.all("SELECT DISTINCT name FROM placement_trait")))


def class_in_use(db: Reader, name: str) -> bool:
    """Whether some provider offers a resource class."""
    return db.one("SELECT 1 FROM placement_inventory WHERE resource_class = ? LIMIT 1", (name,)) is not None


def usage(db: Reader, project_id: str, user_id: str | None) -> list[tuple[str, str, int]]:
    """(consumer type, resource class, used) of a project."""
    sql = (
        "SELECT c.consumer_type, a.resource_class, sum(a.used) FROM placement_allocation a JOIN placement_consumer c "
        "ON c.id = a.consumer_id WHERE c.project_id = ?"
    )
    params = [project_id]
    if user_id is not None:
        sql, params = sql + " AND c.user_id = ?", [*params, user_id]
    sql += " GROUP BY c.consumer_type, a.resource_class ORDER BY c.consumer_type, a.resource_class"
    return [(str(row[0]), str(row[1]), int(row[2])) for row in db.all(sql, params)]


def consumer_counts(db: Reader, project_id: str, user_id: str | None) -> dict[str, int]:
    """Consumer type -> how many consumers of a project."""
    sql = "SELECT consumer_type, count(*) FROM placement_consumer WHERE project_id = ?"
    params = [project_id]
    if user_id is not None:
        sql, params = sql + " AND user_id = ?", [*params, user_id]
    return {str(row[0]): int(row[1]) for row in db.all(sql + " GROUP BY consumer_type", params)}

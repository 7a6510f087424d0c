"""Quotas of projects, and what they have used."""

from __future__ import annotations

from andromede.db import Tx
from andromede.db.table import Reader
from andromede.network import tables

DEFAULTS = {
    "network": 100,
    "subnet": 100,
    "subnetpool": -1,
    "port": 500,
    "router": 50,
    "floatingip": 50,
    "security_group": 50,
    "security_group_rule": 500,
    "rbac_policy": 50,
}
"""-1 is without limit."""
TABLES = {
    "network": tables.NETWORKS.name,
    "subnet": tables.SUBNETS.name,
    "subnetpool": tables.POOLS.name,
    "port": tables.PORTS.name,
    "router": tables.ROUTERS.name,
    "floatingip": tables.FLOATING.name,
    "security_group": tables.GROUPS.name,
    "security_group_rule": tables.RULES.name,
    "rbac_policy": tables.RBAC.name,
}


def limit(tx: Reader, project_id: str, resource: str) -> int:
    """How many a project may have."""
    row = tx.one("SELECT amount FROM network_quota WHERE project_id = ? AND resource = ?", (project_id, resource))
    return int(row[0]) if row else DEFAULTS[resource]


def limits(tx: Reader, project_id: str) -> dict[str, int]:
    """Every quota of a project."""
    rows = tx.all("SELECT resource, amount FROM network_quota WHERE project_id = ?", (project_id,))
    return DEFAULTS | {str(row[0]): int(row[1]) for row in rows}


def projects(tx: Reader) -> list[str]:
    """Projects with quotas of their own."""
    return [str(row[0]) for row in tx.all("SELECT DISTINCT project_id FROM network_quota ORDER BY project_id")]


def used(tx: Reader, table: str, project_id: str) -> int:
    """How many rows a project has in a table."""
    if table == tables.PORTS.name:
        return ports(tx, project_id)
    row = tx.one(f"SELECT count(*) FROM {table} WHERE project_id = ?", (project_id,))
    return int(row[0]) if row else 0


def counted(tx: Tx, project_id: str, step: int) -> None:
    """A project has so many ports more, or fewer: kept, since projects may have many."""
    sql = (
        "INSERT INTO network_count (project_id, ports) VALUES (?, ?) "
        "ON CONFLICT (project_id) DO UPDATE SET ports = network_count.ports + excluded.ports"
    )
    tx.run(sql, (project_id, step))
    if step < 0:
        tx.run("DELETE FROM network_count WHERE project_id = ? AND ports = 0", (project_id,))


def recount(tx: Tx) -> None:
    """Count the ports of every project anew: a former release, which keeps no count, may have been at work."""
    tx.run("DELETE FROM network_count")
    tx.run("INSERT INTO network_count (project_id, ports) SELECT project_id, count(*) FROM network_port "
           "GROUP BY project_id")  # fmt: skip


def ports(tx: Reader, project_id: str) -> int:
    """How many ports a project has."""
    row = tx.one("SELECT ports FROM network_count WHERE project_id = ?", (project_id,))
    return int(row[0]) if row else 0


def put(tx: Tx, project_id: str, resource: str, amount: int) -> None:
    """Set a quota."""
    sql = (
        "INSERT INTO network_quota (project_id, resource, amount) VALUES (?, ?, ?) "
        "ON CONFLICT (project_id, resource) DO UPDATE SET amount = excluded.amount"
    )
    tx.run(sql, (project_id, resource, amount))


def reset(tx: Tx, project_id: str) -> int:
    """Back to the defaults; how many quotas the project had."""
    return tx.run("DELETE FROM network_quota WHERE project_id = ?", (project_id,))

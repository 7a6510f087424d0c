"""Rows of the load balancer service."""

from __future__ import annotations

from andromede.balancer.model import Balancer, Part, Quota, Traffic
from andromede.db import Tx
from andromede.db.table import Reader, Table

BALANCERS = Table("balancer", Balancer, "created_us, id")
PARTS = Table("balancer_part", Part, "position, created_us, id")
TRAFFIC = Table("balancer_traffic", Traffic, "listener_id")
QUOTAS = Table("balancer_quota", Quota, "project_id")


def count(reader: Reader, resource: str, project_id: str) -> int:
    """How many a project has, of what its quota counts."""
    if resource == "loadbalancer":
        row = reader.one("SELECT count(*) FROM balancer WHERE project_id = ?", (project_id,))
    else:
        sql = "SELECT count(*) FROM balancer_part WHERE project_id = ? AND kind = ?"
        row = reader.one(sql, (project_id, resource))
    return int(row[0]) if row else 0


def parts(reader: Reader, balancer_id: str, kind: str | None = None) -> list[Part]:
    """The parts of a load balancer, policies in their order."""
    return PARTS.select(reader, {"balancer_id": balancer_id, **({"kind": kind} if kind else {})})


def settle(tx: Tx, balancer_id: str, provisioning: str) -> None:
    """What was pending is there, or is in error."""
    tx.run(
        "UPDATE balancer_part SET provisioning = ? WHERE balancer_id = ? AND provisioning IN ('PENDING_CREATE', "
        "'PENDING_UPDATE')",
        (provisioning, balancer_id),
    )
    tx.run("DELETE FROM balancer_part WHERE balancer_id = ? AND provisioning = 'PENDING_DELETE'", (balancer_id,))
    tx.run(
        "DELETE FROM balancer_traffic WHERE balancer_id = ? AND listener_id NOT IN (SELECT id FROM balancer_part WHERE "
        "balancer_id = ?)",
        (balancer_id, balancer_id),
    )


def forget(tx: Tx, balancer_id: str) -> None:
    """Remove everything of a load balancer but its own row."""
    PARTS.remove(tx, balancer_id=balancer_id)
    TRAFFIC.remove(tx, balancer_id=balancer_id)


def touch(tx: Tx, ids: list[str], provisioning: str, now_us: int) -> None:
    """Mark parts as changed."""
    PARTS.update(tx, {"id": ids}, provisioning=provisioning, updated_us=now_us)

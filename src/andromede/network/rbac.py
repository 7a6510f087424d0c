"""Rules of policies that show objects to other projects (Networking API v2.0, "RBAC policies")."""

from __future__ import annotations

from typing import Any

from andromede.network.core import Job
from andromede.network.faults import bad, clash, forbidden
from andromede.network.model import RbacRow
from andromede.network.networks import EVERYBODY
from andromede.network.shapes import NETWORK
from andromede.network.shapes_more import ADDRESS_GROUP, GROUP, RBAC
from andromede.network.tables import PORTS
from andromede.network.tables import RBAC as POLICIES

OBJECTS = {shape.singular: shape for shape in (NETWORK, GROUP, ADDRESS_GROUP)}


def create(job: Job, values: dict[str, Any]) -> RbacRow:
    """Show an object of one's own to a project; to all of them only as administrator."""
    target = values["target_tenant"]
    if target == EVERYBODY and not job.who.admin:
        forbidden("create_rbac_policy:target_tenant")
    if target != EVERYBODY and not job.core.known(target):
        bad(f"target project {target} does not exist", "HTTPBadRequest")
    row = job.owned(OBJECTS[values["object_type"]], values["object_id"])
    same = {"object_id": row.id, "action": values["action"], "target_tenant": target}
    if POLICIES.find(job.tx, **same):
        clash("An RBAC policy already exists with those values.", "DuplicateRbacPolicy")
    made: RbacRow = job.insert(RBAC, values)
    return made


def update(job: Job, row: RbacRow, values: dict[str, Any]) -> RbacRow:
    """Show the object to another project instead."""
    if values.get("target_tenant") == EVERYBODY and not job.who.admin:
        forbidden("update_rbac_policy:target_tenant")
    _unused(job, row)
    new: RbacRow = job.update(RBAC, row, **values)
    return new


def delete(job: Job, row: RbacRow) -> None:
    """Show the object no longer."""
    _unused(job, row)
    POLICIES.remove(job.tx, id=row.id)


def _unused(job: Job, row: RbacRow) -> None:
    if row.object_type != "network":
        return
    where, params = "WHERE t.network_id = ? AND t.project_id = ?", [row.object_id, row.target_tenant]
    if row.target_tenant == EVERYBODY:
        where, params = "WHERE t.network_id = ? AND t.project_id NOT IN (?, '')", [row.object_id, row.project_id]
    if PORTS.query(job.tx, f"{where} LIMIT 1", params):
        clash(f"RBAC policy on object {row.object_id} cannot be removed because other objects depend on it.",
              "RbacPolicyInUse")  # fmt: skip

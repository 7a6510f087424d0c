"""Rules of security groups (Networking API v2.0, "Security groups")."""

from __future__ import annotations

from typing import Any

from andromede.network import links_store, secrules
from andromede.network.core import Job
from andromede.network.faults import bad, clash, missing
from andromede.network.model import GroupRow
from andromede.network.shapes_more import GROUP
from andromede.network.tables import DEFAULT_RULES, GROUPS, RBAC, RULES

DEFAULT = "default"


def default(job: Job, project_id: str) -> GroupRow:
    """The default security group of a project, made when it is first wanted."""
    row = GROUPS.find(job.tx, project_id=project_id, is_default=True)
    if row is not None:
        return row
    values = {"project_id": project_id, "name": DEFAULT, "description": "Default security group", "stateful": True}
    made: GroupRow = job.as_admin().insert(GROUP, values, is_default=True)
    _rules(job, made)
    return made


def create(job: Job, values: dict[str, Any]) -> GroupRow:
    """A new security group with the rules that new groups get."""
    default(job, values["project_id"])
    if values["name"] == DEFAULT:
        clash("Default security group already exists.", "SecurityGroupDefaultAlreadyExists")
    row: GroupRow = job.insert(GROUP, values, is_default=False)
    _rules(job, row)
    job.concern(row.project_id)
    return row


def _rules(job: Job, group: GroupRow) -> None:
    for rule in DEFAULT_RULES.select(job.tx, {"in_default" if group.is_default else "in_others": True}):
        remote = group.id if rule.remote_group == secrules.PARENT else rule.remote_group
        extra = {
            "group_id": group.id, "direction": rule.direction, "ethertype": rule.ethertype, "protocol": rule.protocol,
            "low": rule.low, "high": rule.high, "prefix": rule.prefix, "remote_group": remote,
            "remote_addresses": rule.remote_addresses,
        }  # fmt: skip
        secrules.add(job.as_admin(), group, extra, rule.description)


def update(job: Job, row: GroupRow, values: dict[str, Any]) -> GroupRow:
    """Change a security group. The default one keeps its name."""
    name = values.get("name", row.name)
    if row.is_default and name != row.name:
        clash("Updating default security group not allowed.", "SecurityGroupCannotUpdateDefault")
    if not row.is_default and name == DEFAULT:
        clash("Default security group already exists.", "SecurityGroupDefaultAlreadyExists")
    stateful = values.get("stateful", row.stateful)
    if stateful != row.stateful and links_store.group_ports(job.tx, row.id):
        clash(f"Security Group {row.id} in use.", "SecurityGroupInUse")
    new: GroupRow = job.update(GROUP, row, **values)
    return new


def delete(job: Job, row: GroupRow) -> None:
    """Remove a security group that no port is in. A project's default group stays, unless an administrator acts."""
    if row.is_default and not job.who.admin:
        clash("Insufficient rights for removing default security group.", "SecurityGroupCannotRemoveDefault")
    if links_store.group_ports(job.tx, row.id):
        clash(f"Security Group {row.id} in use.", "SecurityGroupInUse")
    job.touch(*links_store.networks_of_groups(job.tx, links_store.groups_naming(job.tx, "remote_group", [row.id])))
    RULES.remove(job.tx, remote_group=row.id)
    DEFAULT_RULES.remove(job.tx, remote_group=row.id)
    RULES.remove(job.tx, group_id=row.id)
    RBAC.remove(job.tx, object_id=row.id)
    links_store.untag(job.tx, row.id)
    GROUPS.remove(job.tx, id=row.id)


def chosen(job: Job, project_id: str, asked: list[str] | None, secured: bool, owner: str) -> list[str]:
    """The groups of a new port; without a choice its project's default group."""
    if asked is not None:
        return named(job, project_id, asked)
    if not secured or owner.startswith("network:"):
        return []
    return [default(job, project_id).id]


def named(job: Job, project_id: str, asked: list[str]) -> list[str]:
    """Groups that a port of the project may be in. Raises `NotFound`."""
    found = []
    for group_id in asked:
        row = GROUPS.find(job.tx, id=group_id)
        shown = row is not None and (
            row.project_id == project_id
            or job.who.owns(row)
            or bool(links_store.shown_to(job.tx, [row.id], project_id))
        )
        if row is None or not shown:
            missing("SecurityGroup", group_id)
        found.append(row.id)
    return sorted(set(found))


def by_name(job: Job, project_id: str, asked: list[str]) -> list[str]:
    """Ids of groups that are given by id or by name. Raises `NotFound`, and `Conflict` where a name is not one's own
    only."""
    found = []
    for text in asked:
        row = GROUPS.find(job.tx, id=text)
        if row is not None:
            found.append(row.id)
            continue
        if text == DEFAULT:
            found.append(default(job, project_id).id)
            continue
        rows = GROUPS.select(job.tx, {"project_id": project_id, "name": text})
        if not rows:
            missing("SecurityGroup", text)
        if len(rows) > 1:
            bad(f"Multiple security_group matches found for name '{text}', use an ID to be more specific.",
                "NoUniqueMatch")  # fmt: skip
        found.append(rows[0].id)
    return found

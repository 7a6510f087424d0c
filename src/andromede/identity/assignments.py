"""The list of role assignments: as stored, or *effective* (groups resolved to users, inheritance to projects,
priors to what they imply)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from andromede.db import Tx
from andromede.db.table import names
from andromede.identity import principals_store, roles_store
from andromede.identity.model import Assignment

PROJECTS = principals_store.PROJECTS


@dataclass(frozen=True, slots=True)
class Filter:
    """What the client asked for; None: any. `within`: only targets of this domain (a domain's reader)."""

    user_id: str | None = None
    group_id: str | None = None
    role_id: str | None = None
    project_id: str | None = None
    domain_id: str | None = None
    system: bool = False
    inherited: bool | None = None
    subtree: bool = False
    within: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """An assignment and where it comes from: the group, the target and the role that led to it."""

    row: Assignment
    group_id: str | None = None
    prior_id: str | None = None
    origin: Assignment | None = None


def _targets(tx: Tx, asked: Filter) -> set[tuple[str, str]] | None:
    """(kind, id) of the targets asked for, or None for all."""
    wanted: set[tuple[str, str]] | None = None
    if asked.project_id is not None:
        wanted = {("project", asked.project_id)}
        if asked.subtree:
            wanted |= {("project", project.id) for project in principals_store.subtree(tx, asked.project_id)}
    elif asked.domain_id is not None:
        wanted = {("domain", asked.domain_id)}
    elif asked.system:
        wanted = {("system", roles_store.SYSTEM)}
    if asked.within is not None:
        inside = {("project", p.id) for p in PROJECTS.select(tx, {"domain_id": asked.within})}
        inside |= {("domain", asked.within), ("project", asked.within)}
        wanted = inside if wanted is None else wanted & inside
    return wanted


def stored(tx: Tx, asked: Filter) -> list[Found]:
    """Assignments as they were made."""
    where: dict[str, object] = {}
    if asked.user_id is not None:
        where |= {"actor_kind": "user", "actor_id": asked.user_id}
    if asked.group_id is not None:
        where |= {"actor_kind": "group", "actor_id": asked.group_id}
    if asked.role_id is not None:
        where["role_id"] = asked.role_id
    if asked.inherited is not None:
        where["inherited"] = asked.inherited
    wanted = _targets(tx, asked)
    if wanted is not None:
        where["target_id"] = {target_id for _, target_id in wanted}
    rows = roles_store.assignments(tx, where)
    return [Found(row) for row in rows if wanted is None or (row.target_kind, row.target_id) in wanted]


def effective(tx: Tx, asked: Filter) -> list[Found]:
    """What users really hold. Group and inheritance filters make no sense here and give nothing."""
    if asked.group_id is not None or asked.inherited:
        return []
    where: dict[str, object] = {}
    if asked.user_id is not None:
        where["actor_id"] = [asked.user_id, *principals_store.user_groups(tx, asked.user_id)]
    implied = roles_store.implications(tx)
    shown = {role.id for role in roles_store.ROLES.select(tx, {"domain_id": ""})}
    wanted = _targets(tx, asked)
    found: dict[Assignment, Found] = {}
    for row in roles_store.assignments(tx, where):
        for placed in _placed(tx, row):
            if wanted is not None and (placed.target_kind, placed.target_id) not in wanted:
                continue
            for user_id, group_id in _users(tx, row):
                if asked.user_id not in (None, user_id):
                    continue
                for role_id, prior in roles_store.closure([row.role_id], implied).items():
                    if role_id in shown and asked.role_id in (None, role_id):
                        one = replace(placed, actor_kind="user", actor_id=user_id, role_id=role_id)
                        found.setdefault(one, Found(one, group_id, prior, row))
    return list(found.values())


def _placed(tx: Tx, row: Assignment) -> Iterator[Assignment]:
    """The assignment on each target where it takes effect."""
    if not row.inherited:
        yield row
    elif row.target_kind == "project":
        for project in principals_store.subtree(tx, row.target_id):
            yield replace(row, target_id=project.id, inherited=False)
    else:
        for project in PROJECTS.select(tx, {"domain_id": row.target_id, "is_domain": False}):
            yield replace(row, target_kind="project", target_id=project.id, inherited=False)


def _users(tx: Tx, row: Assignment) -> Iterator[tuple[str, str | None]]:
    """(user, group that it is in) behind an assignment."""
    if row.actor_kind == "user":
        yield row.actor_id, None
        return
    sql = "SELECT user_id FROM identity_membership WHERE group_id = ? ORDER BY user_id"
    for user_id in names(tx.all(sql, (row.actor_id,))):
        yield user_id, row.actor_id

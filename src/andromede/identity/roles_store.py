"""Roles, what they imply, and who holds them where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from andromede.db import Tx
from andromede.db.table import Reader, Table, Where, names
from andromede.identity import principals_store
from andromede.identity.model import Assignment, Project, Role

ROLES = Table("identity_role", Role, order="name, id")
ASSIGNMENTS = Table("identity_assignment", Assignment, order="actor_id, target_id, role_id, inherited")

SYSTEM = "all"
"""The only target id of the system."""


def implications(tx: Reader) -> dict[str, list[str]]:
    """Every direct inference: prior role id -> implied role ids."""
    found: dict[str, list[str]] = {}
    for prior, implied in tx.all("SELECT prior, implied FROM identity_implied ORDER BY prior, implied"):
        found.setdefault(prior, []).append(implied)
    return found


def closure(role_ids: Iterable[str], implied: dict[str, list[str]]) -> dict[str, str | None]:
    """The given roles and all that they imply: role id -> the role that implied it (None: given)."""
    found: dict[str, str | None] = dict.fromkeys(role_ids)
    queue = list(found)
    while queue:
        prior = queue.pop()
        for role_id in implied.get(prior, ()):
            if role_id not in found:
                found[role_id] = prior
                queue.append(role_id)
    return found


def imply(tx: Tx, prior: str, implied: str) -> None:
    """Add an inference; again is no error."""
    tx.run(
        "INSERT INTO identity_implied (prior, implied) VALUES (?, ?) ON CONFLICT (prior, implied) DO NOTHING",
        (prior, implied),
    )


def unimply(tx: Tx, prior: str, implied: str) -> int:
    """Remove an inference; 0 when there was none."""
    return tx.run("DELETE FROM identity_implied WHERE prior = ? AND implied = ?", (prior, implied))


def grant(tx: Tx, assignment: Assignment) -> None:
    """Assign; again is no error."""
    tx.run(
        "INSERT INTO identity_assignment (actor_kind, actor_id, target_kind, target_id, role_id, inherited) "
        "VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (actor_id, actor_kind, target_kind, target_id, role_id, inherited) DO NOTHING",
        (
            assignment.actor_kind,
            assignment.actor_id,
            assignment.target_kind,
            assignment.target_id,
            assignment.role_id,
            int(assignment.inherited),
        ),
    )


def assignments(tx: Reader, where: Where) -> list[Assignment]:
    """Direct assignments that fit."""
    return ASSIGNMENTS.select(tx, where)


def forget_role(tx: Tx, role_id: str) -> None:
    """Remove a role with its assignments and inferences."""
    ASSIGNMENTS.remove(tx, role_id=role_id)
    tx.run("DELETE FROM identity_implied WHERE prior = ? OR implied = ?", (role_id, role_id))
    ROLES.remove(tx, id=role_id)


def _held(tx: Reader, user_id: str, targets: Sequence[tuple[str, str, int]]) -> set[str]:
    """Role ids that a user holds, itself or by group, on any of (kind, id, inherited)."""
    actors = [("user", user_id), *(("group", group) for group in principals_store.user_groups(tx, user_id))]
    who = " OR ".join(["(actor_kind = ? AND actor_id = ?)"] * len(actors))
    where = " OR ".join(["(target_kind = ? AND target_id = ? AND inherited = ?)"] * len(targets))
    params = [part for pair in actors for part in pair] + [part for target in targets for part in target]
    return set(names(tx.all(f"SELECT role_id FROM identity_assignment WHERE ({who}) AND ({where})", params)))


def on_project(tx: Reader, user_id: str, project: Project) -> set[str]:
    """Ids of the roles held on a project: direct ones, and those inherited from projects above and the domain."""
    if project.is_domain:
        return _held(tx, user_id, [("project", project.id, 0)])
    above = principals_store.ancestors(tx, project)
    targets = [("project", project.id, 0), *(("project", parent.id, 1) for parent in above)]
    return _held(tx, user_id, [*targets, ("domain", project.domain_id, 1)])


def on_domain(tx: Reader, user_id: str, domain_id: str) -> set[str]:
    """Ids of the roles held on a domain itself."""
    return _held(tx, user_id, [("domain", domain_id, 0)])


def on_system(tx: Reader, user_id: str) -> set[str]:
    """Ids of the roles held on the system."""
    return _held(tx, user_id, [("system", SYSTEM, 0)])


def expand(tx: Reader, role_ids: Iterable[str]) -> list[Role]:
    """The roles with all that they imply, without domain roles, by name: what a token shows."""
    found = closure(role_ids, implications(tx))
    return ROLES.select(tx, {"id": list(found), "domain_id": ""}) if found else []


def project_ids(tx: Reader, user_id: str) -> set[str]:
    """Ids of the projects on which a user holds any role."""
    actors = [user_id, *principals_store.user_groups(tx, user_id)]
    rows = ASSIGNMENTS.select(tx, {"actor_id": actors})
    found = {row.target_id for row in rows if row.target_kind == "project" and not row.inherited}
    for row in rows:
        if row.inherited and row.target_kind == "project":
            found |= {below.id for below in principals_store.subtree(tx, row.target_id)}
        elif row.inherited and row.target_kind == "domain":
            below = principals_store.PROJECTS.select(tx, {"domain_id": row.target_id, "is_domain": False})
            found |= {project.id for project in below}
    return found


def domain_ids(tx: Reader, user_id: str) -> set[str]:
    """Ids of the domains on which a user holds a role (not only one to inherit)."""
    actors = [user_id, *principals_store.user_groups(tx, user_id)]
    rows = ASSIGNMENTS.select(tx, {"actor_id": actors, "target_kind": "domain", "inherited": False})
    return {row.target_id for row in rows}

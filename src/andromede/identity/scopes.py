"""Every actor that a user could be today: one per scope in which the user holds roles. For explanations."""

from __future__ import annotations

from andromede.db import Tx
from andromede.errors import Conflict, NotFound
from andromede.identity import principals_store, roles_store
from andromede.identity.model import User
from andromede.web.actor import Actor


def find_user(tx: Tx, name_or_id: str) -> User:
    """A user by id, else by a name that only one user has. Raises `NotFound` or `Conflict`."""
    if user := principals_store.USERS.find(tx, id=name_or_id):
        return user
    users = principals_store.USERS.select(tx, {"name": name_or_id})
    if not users:
        raise NotFound(f"there is no user {name_or_id!r}; list them with: openstack user list", "user")
    if len(users) > 1:
        where = ", ".join(f"{user.id} (domain {user.domain_id})" for user in users)
        raise Conflict(f"several users are called {name_or_id!r}; give the id: {where}", "user")
    return users[0]


def actors(tx: Tx, user: User) -> list[tuple[str, Actor]]:
    """(scope in words, actor) of each scope, projects first."""
    found = []
    for project_id in sorted(roles_store.project_ids(tx, user.id)):
        project = principals_store.PROJECTS.find(tx, id=project_id)
        if project is not None and project.enabled:
            roles = _names(tx, roles_store.on_project(tx, user.id, project))
            actor = Actor(user.id, user.name, user.domain_id, roles, project_id, project.name, project.domain_id)
            found.append((f"project {project.name}", actor))
    for domain_id in sorted(roles_store.domain_ids(tx, user.id)):
        roles = _names(tx, roles_store.on_domain(tx, user.id, domain_id))
        found.append((f"domain {domain_id}", Actor(user.id, user.name, user.domain_id, roles, domain_id=domain_id)))
    if held := roles_store.on_system(tx, user.id):
        found.append(("system", Actor(user.id, user.name, user.domain_id, _names(tx, held), system=True)))
    return found


def _names(tx: Tx, role_ids: set[str]) -> frozenset[str]:
    return frozenset(role.name for role in roles_store.expand(tx, role_ids))

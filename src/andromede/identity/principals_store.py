"""Domains, projects, users, groups and their passwords in the database."""

from __future__ import annotations

from andromede.db import Tx
from andromede.db.table import Reader, Table, names
from andromede.identity.model import Group, Password, Project, User

PROJECTS = Table("identity_project", Project, order="name, id")
USERS = Table("identity_user", User, order="name, id")
GROUPS = Table("identity_group", Group, order="name, id")
PASSWORDS = Table("identity_password", Password, order="id DESC")

MAX_DEPTH = 32


def epoch(tx: Reader) -> int:
    """The number that every change of credentials, roles or enabled states raises."""
    row = tx.one("SELECT value FROM identity_epoch WHERE id = 1")
    return int(row[0]) if row else 0


def raise_epoch(tx: Tx) -> None:
    """Make every process forget what it knows about tokens and credentials, at the commit."""
    tx.new_epoch()
    tx.run("UPDATE identity_epoch SET value = value + 1 WHERE id = 1")


def user_groups(tx: Reader, user_id: str) -> list[str]:
    """Ids of the groups that a user is in."""
    return names(tx.all("SELECT group_id FROM identity_membership WHERE user_id = ? ORDER BY group_id", (user_id,)))


def groups_of(tx: Reader, user_id: str) -> list[Group]:
    """The groups that a user is in."""
    return GROUPS.query(
        tx,
        "JOIN identity_membership m ON m.group_id = t.id WHERE m.user_id = ? ORDER BY t.name, t.id",
        (user_id,),
    )


def members(tx: Reader, group_id: str) -> list[User]:
    """The users in a group."""
    return USERS.query(
        tx,
        "JOIN identity_membership m ON m.user_id = t.id WHERE m.group_id = ? ORDER BY t.name, t.id",
        (group_id,),
    )


def is_member(tx: Reader, group_id: str, user_id: str) -> bool:
    """Whether the user is in the group."""
    sql = "SELECT 1 FROM identity_membership WHERE group_id = ? AND user_id = ?"
    return tx.one(sql, (group_id, user_id)) is not None


def join(tx: Tx, group_id: str, user_id: str) -> None:
    """Put a user into a group; again is no error."""
    tx.run(
        "INSERT INTO identity_membership (group_id, user_id) VALUES (?, ?) ON CONFLICT (group_id, user_id) DO NOTHING",
        (group_id, user_id),
    )


def leave(tx: Tx, group_id: str, user_id: str) -> int:
    """Take a user out of a group; 0 when it was not in it."""
    return tx.run("DELETE FROM identity_membership WHERE group_id = ? AND user_id = ?", (group_id, user_id))


def forget_members(tx: Tx, group_id: str = "", user_id: str = "") -> None:
    """Empty a group, or take a user out of all groups."""
    tx.run("DELETE FROM identity_membership WHERE group_id = ? OR user_id = ?", (group_id, user_id))


def ancestors(tx: Reader, project: Project) -> list[Project]:
    """The projects above a project, nearest first, without its domain."""
    found: list[Project] = []
    parent_id = project.parent_id
    while parent_id and len(found) < MAX_DEPTH:
        parent = PROJECTS.find(tx, id=parent_id)
        if parent is None or parent.is_domain:
            break
        found.append(parent)
        parent_id = parent.parent_id
    return found


def subtree(tx: Reader, project_id: str) -> list[Project]:
    """The projects below a project, level by level."""
    found: list[Project] = []
    level = [project_id]
    while level:
        below = PROJECTS.select(tx, {"parent_id": level, "is_domain": False})
        found += below
        level = [project.id for project in below]
    return found


def tags(tx: Reader, project_id: str) -> list[str]:
    """The tags of a project, sorted."""
    return names(tx.all("SELECT name FROM identity_tag WHERE project_id = ? ORDER BY name", (project_id,)))


def all_tags(tx: Reader) -> dict[str, list[str]]:
    """Tags by project, for lists."""
    found: dict[str, list[str]] = {}
    for project_id, name in tx.all("SELECT project_id, name FROM identity_tag ORDER BY name"):
        found.setdefault(project_id, []).append(name)
    return found


def set_tags(tx: Tx, project_id: str, values: list[str]) -> None:
    """Replace all tags of a project."""
    tx.run("DELETE FROM identity_tag WHERE project_id = ?", (project_id,))
    tx.many("INSERT INTO identity_tag (project_id, name) VALUES (?, ?)", [(project_id, value) for value in values])


def add_password(tx: Tx, password: Password) -> None:
    """Make a password the current one of its user."""
    PASSWORDS.insert(tx, password)


def passwords(tx: Reader, user_id: str) -> list[Password]:
    """A user's passwords, the current one first."""
    return PASSWORDS.select(tx, {"user_id": user_id})


def current_password(tx: Reader, user_id: str) -> Password | None:
    """The password that counts."""
    return PASSWORDS.find(tx, user_id=user_id)


def expiries(tx: Reader) -> dict[str, int | None]:
    """When each user's current password expires."""
    rows = tx.all("SELECT user_id, expires_us FROM identity_password ORDER BY id")
    return {str(user_id): expires for user_id, expires in rows}

"""Access lists of secrets and containers: whether the project may read, and which users besides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from andromede.audit.changes import Desk
from andromede.db import Tx
from andromede.db.table import Reader
from andromede.keymanager import store
from andromede.keymanager.model import Acl, Container, Secret
from andromede.web.call import Call
from andromede.web.routes import Target


@dataclass(frozen=True, slots=True)
class AclWish:
    """A change of a list: None leaves a part as it is (PATCH), or at its default (PUT)."""

    project_access: bool | None = None
    users: Sequence[str] | None = None


class Acls:
    """One list per secret or container, by its id; without one the whole project may read."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def find(self, reader: Reader, owner_id: str) -> tuple[Acl, list[str]] | None:
        """(the list, whom it names), or None where none was set."""
        acl = store.ACLS.find(reader, owner_id=owner_id)
        return None if acl is None else (acl, store.users(reader, owner_id))

    def target(self, call: Call[Any], owned: Secret | Container) -> Target:
        """What access rules see of a secret or container: no project where the list shuts the caller's out, and the
        caller as its user where the list names it."""
        who = call.who
        found = self.find(self._desk.db, owned.id)
        if found is None:
            return Target(project_id=owned.project_id)
        acl, users = found
        named = who.user_id if who.user_id in users else None
        inside = acl.project_access or owned.creator_id == who.user_id or "admin" in who.roles
        other = owned.project_id != who.project_id
        return Target(project_id=owned.project_id if inside or other else None, user_id=named)

    def set(self, call: Call[Any], owned: Secret | Container, wish: AclWish, whole: bool) -> None:
        """Replace a list (`whole`) or change parts of it."""
        with self._desk.change(call, f"{_kind(owned)}/{owned.id}/acl", owned.project_id) as change:
            now = change.now_us
            old = store.ACLS.find(change.tx, owner_id=owned.id)
            acl = old or Acl(owned.id, True, now, now)
            if whole or wish.project_access is not None:
                acl = replace(acl, project_access=wish.project_access is not False)
            store.ACLS.remove(change.tx, owner_id=owned.id)
            store.ACLS.insert(change.tx, replace(acl, updated_us=now))
            if whole or wish.users is not None:
                store.set_users(change.tx, owned.id, wish.users or ())

    def remove(self, call: Call[Any], owned: Secret | Container) -> None:
        """Take a list away: the whole project may read again."""
        with self._desk.change(call, f"{_kind(owned)}/{owned.id}/acl", owned.project_id) as change:
            store.drop_acl(change.tx, owned.id)

    @staticmethod
    def forget(tx: Tx, owner_id: str) -> None:
        """Take the list of something that goes away along."""
        store.drop_acl(tx, owner_id)


def _kind(owned: Secret | Container) -> str:
    return "secret" if isinstance(owned, Secret) else "container"

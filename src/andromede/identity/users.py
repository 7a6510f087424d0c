"""Rules of users, their passwords, and groups (Identity API v3, "Users", "Groups")."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from andromede.db import Tx
from andromede.errors import Conflict, Invalid, Unauthenticated
from andromede.identity import principals_store
from andromede.identity.auth import revoke_user
from andromede.identity.authenticator import REFUSED
from andromede.identity.bodies import ChangePassword, GroupFields, UserFields
from andromede.identity.common import check_options, default_domain, extras, found, given, merged, required
from andromede.identity.core import Core
from andromede.identity.login import Login
from andromede.identity.model import Group, Password, User
from andromede.identity.projects import forget_group, forget_user
from andromede.web.call import Call

US = 1_000_000
DAY_US = 86400 * US
USERS = principals_store.USERS
GROUPS = principals_store.GROUPS
PROJECTS = principals_store.PROJECTS


class Users:
    """Creation, change and removal of users, and their passwords."""

    def __init__(self, core: Core, login: Login) -> None:
        self._core = core
        self._login = login

    def get(self, user_id: str) -> User:
        """A user."""
        return found(USERS.find(self._core.db, id=user_id), "user", user_id)

    def create(self, call: Call[Any], fields: UserFields) -> User:
        """A new user. Raises `Conflict` for a name in use."""
        values = given(fields)
        required(values, "name")
        check_options("user", values.get("options", {}))
        secret = values.get("password")
        hashed = self._hash_new(secret) if secret is not None else None
        domain_id = values.get("domain_id") or default_domain(call)
        with self._core.change(call) as change:
            tx = change.tx
            found(PROJECTS.find(tx, id=domain_id, is_domain=True), "domain", domain_id)
            user = User(
                id=self._core.ids.hex(),
                name=values["name"],
                domain_id=domain_id,
                enabled=values.get("enabled", True),
                default_project_id=self._default_project(tx, values.get("default_project_id")),
                options=merged({}, values.get("options", {})),
                extra=_extra({}, values, extras(call.json, "user", fields)),
            )
            self._unique(tx, user)
            USERS.insert(tx, user)
            if hashed is not None:
                self._store(tx, user.id, hashed, by_admin=True)
            change.object = f"user:{user.id}"
        return user

    @staticmethod
    def _default_project(tx: Tx, project_id: str | None) -> str | None:
        if project_id is not None:
            project = PROJECTS.find(tx, id=project_id)
            if project is not None and project.is_domain:
                raise Invalid("default_project_id may not name a domain", "default_project")
        return project_id

    @staticmethod
    def _unique(tx: Tx, user: User) -> None:
        same = USERS.find(tx, name=user.name, domain_id=user.domain_id)
        if same is not None and same.id != user.id:
            raise Conflict(
                f"Conflict occurred attempting to store user - Duplicate entry found with name {user.name} "
                f"at domain ID {user.domain_id}.",
                "user",
            )

    def update(self, call: Call[Any], user_id: str, fields: UserFields) -> User:
        """Change members; a new password or a disabled user ends all tokens of the user."""
        values = given(fields)
        check_options("user", values.get("options", {}))
        secret = values.get("password")
        hashed = self._hash_new(secret) if secret is not None else None
        with self._core.change(call, f"user:{user_id}") as change:
            tx = change.tx
            old = found(USERS.find(tx, id=user_id), "user", user_id)
            if values.get("domain_id", old.domain_id) != old.domain_id:
                raise Invalid("Cannot change Domain ID", "fixed")
            new: dict[str, Any] = {name: values[name] for name in ("name", "enabled") if name in values}
            if "default_project_id" in values:
                new["default_project_id"] = self._default_project(tx, values["default_project_id"])
            if "options" in values:
                new["options"] = merged(old.options, values["options"])
            new["extra"] = _extra(old.extra, values, extras(call.json, "user", fields))
            if values.get("enabled"):
                new["failures"] = 0
            self._unique(tx, replace(old, name=values.get("name", old.name)))
            USERS.update(tx, {"id": user_id}, **new)
            if hashed is not None:
                self._store(tx, user_id, hashed, by_admin=True)
            if hashed is not None or values.get("enabled") is False:
                revoke_user(self._core, tx, user_id)
            return found(USERS.find(tx, id=user_id), "user", user_id)

    def remove(self, call: Call[Any], user_id: str) -> None:
        """Delete a user with its assignments and credentials."""
        with self._core.change(call, f"user:{user_id}") as change:
            found(USERS.find(change.tx, id=user_id), "user", user_id)
            forget_user(change.tx, user_id)

    def change_password(self, call: Call[Any], user_id: str, body: ChangePassword) -> None:
        """A user's own change, proven by the old password; ends all tokens of the user."""
        core = self._core
        user = USERS.find(core.db, id=user_id)
        try:
            self._login.check_password(call, user, body.original_password)
        except Unauthenticated as error:
            if error.reason != "password_expired":
                raise
        if user is None or not user.enabled:
            raise Unauthenticated(REFUSED, "login", cause="disabled")
        if user.options.get("lock_password"):
            raise Invalid("This user's password may only be changed by an administrator.", "password")
        self._old_enough(user)
        self._not_used_before(user, body.password)
        hashed = self._hash_new(body.password)
        with core.change(call, f"user:{user_id}") as change:
            self._store(change.tx, user_id, hashed, by_admin=False)
            revoke_user(core, change.tx, user_id)

    def _old_enough(self, user: User) -> None:
        days = self._core.settings.password_minimum_age_days
        password = principals_store.current_password(self._core.db, user.id)
        if not days or password is None or password.by_admin:
            return
        if self._core.clock.now_us() < password.created_us + days * DAY_US:
            raise Invalid(f"Cannot change password before minimum age {days} days is met.", "password_age")

    def _not_used_before(self, user: User, secret: str) -> None:
        """Each former password costs one hash; the history is short."""
        count = self._core.settings.password_history
        for former in principals_store.passwords(self._core.db, user.id)[:count]:
            if self._core.passwords.verify(former.hash, secret):
                raise Invalid(
                    f"The new password cannot be identical to a previous password. The total number which "
                    f"includes the new password must be unique is {count}.",
                    "password_history",
                )

    def _hash_new(self, secret: str) -> str:
        pattern = self._core.settings.password_regex
        if pattern and not re.fullmatch(pattern, secret):
            why = self._core.settings.password_regex_text or f"it must match {pattern}"
            raise Invalid(f"The password does not match the requirements: {why}.", "password_regex")
        return self._core.passwords.hash(secret)

    def _store(self, tx: Tx, user_id: str, hashed: str, by_admin: bool) -> None:
        now, days = self._core.clock.now_us(), self._core.settings.password_expires_days
        expires = now + days * DAY_US if days else None
        number = tx.take("identity/password")
        principals_store.add_password(tx, Password(number, user_id, hashed, now, expires, by_admin))
        keep = max(1, self._core.settings.password_history)
        for former in principals_store.passwords(tx, user_id)[keep:]:
            principals_store.PASSWORDS.remove(tx, id=former.id)


def _extra(old: dict[str, Any], values: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
    named: dict[str, Any] = {name: values[name] for name in ("description", "email") if name in values}
    return {**old, **named, **extra}


class Groups:
    """Creation, change, removal and membership of groups."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def get(self, group_id: str) -> Group:
        """A group."""
        return found(GROUPS.find(self._core.db, id=group_id), "group", group_id)

    def create(self, call: Call[Any], fields: GroupFields) -> Group:
        """A new group. Raises `Conflict` for a name in use."""
        values = given(fields)
        required(values, "name")
        domain_id = values.get("domain_id") or default_domain(call)
        with self._core.change(call) as change:
            found(PROJECTS.find(change.tx, id=domain_id, is_domain=True), "domain", domain_id)
            group = Group(
                self._core.ids.hex(), values["name"], domain_id, values.get("description") or "",
                extras(call.json, "group", fields),
            )  # fmt: skip
            self._unique(change.tx, group)
            GROUPS.insert(change.tx, group)
            change.object = f"group:{group.id}"
        return group

    @staticmethod
    def _unique(tx: Tx, group: Group) -> None:
        same = GROUPS.find(tx, name=group.name, domain_id=group.domain_id)
        if same is not None and same.id != group.id:
            raise Conflict(f"Conflict occurred attempting to store group - there is one named {group.name}.", "group")

    def update(self, call: Call[Any], group_id: str, fields: GroupFields) -> Group:
        """Change members of the description."""
        values = given(fields)
        with self._core.change(call, f"group:{group_id}") as change:
            old = found(GROUPS.find(change.tx, id=group_id), "group", group_id)
            if values.get("domain_id", old.domain_id) != old.domain_id:
                raise Invalid("Cannot change Domain ID", "fixed")
            new: dict[str, Any] = {"extra": {**old.extra, **extras(call.json, "group", fields)}}
            if "name" in values:
                new["name"] = values["name"]
            if "description" in values:
                new["description"] = values["description"] or ""
            self._unique(change.tx, replace(old, name=values.get("name", old.name)))
            GROUPS.update(change.tx, {"id": group_id}, **new)
            return found(GROUPS.find(change.tx, id=group_id), "group", group_id)

    def remove(self, call: Call[Any], group_id: str) -> None:
        """Delete a group; its members lose what it gave them at once."""
        with self._core.change(call, f"group:{group_id}") as change:
            found(GROUPS.find(change.tx, id=group_id), "group", group_id)
            forget_group(change.tx, group_id)

    def join(self, call: Call[Any], group_id: str, user_id: str) -> None:
        """Put a user into a group."""
        with self._core.change(call, f"group:{group_id}/user:{user_id}") as change:
            self._both(change.tx, group_id, user_id)
            principals_store.join(change.tx, group_id, user_id)

    def leave(self, call: Call[Any], group_id: str, user_id: str) -> None:
        """Take a user out of a group."""
        with self._core.change(call, f"group:{group_id}/user:{user_id}") as change:
            self._both(change.tx, group_id, user_id)
            if not principals_store.leave(change.tx, group_id, user_id):
                found(None, "user in group", user_id)

    def check(self, group_id: str, user_id: str) -> None:
        """Raise `NotFound` unless the user is in the group."""
        with self._core.db.read() as tx:
            self._both(tx, group_id, user_id)
            if not principals_store.is_member(tx, group_id, user_id):
                found(None, "user in group", user_id)

    @staticmethod
    def _both(tx: Tx, group_id: str, user_id: str) -> None:
        found(USERS.find(tx, id=user_id), "user", user_id)
        found(GROUPS.find(tx, id=group_id), "group", group_id)

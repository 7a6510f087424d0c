"""Rules of domains and projects (Identity API v3, "Domains", "Projects")."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from andromede.db import Tx
from andromede.errors import Conflict, Denied, Invalid
from andromede.identity import catalog_store, credentials_store, principals_store, roles_store
from andromede.identity.bodies import ProjectFields
from andromede.identity.common import (
    check_options,
    default_domain,
    extras,
    found,
    given,
    merged,
    not_immutable,
    required,
)
from andromede.identity.core import Core
from andromede.identity.model import Project
from andromede.web.call import Call

PROJECTS = principals_store.PROJECTS
MAX_TREE = 5
DEFAULT_DOMAIN = "default"
MAX_TAGS = 80


def check_tag(tag: str) -> None:
    """Raise `Invalid` for a tag that the API does not allow."""
    if not 1 <= len(tag) <= 255 or "/" in tag or "," in tag:
        raise Invalid(f"tag {tag!r} must have 1 to 255 characters, without slash and comma", "tag")


def check_tags(tags: list[str]) -> list[str]:
    """The tags without repetition."""
    for tag in tags:
        check_tag(tag)
    if len(set(tags)) > MAX_TAGS:
        raise Invalid(f"a project may have at most {MAX_TAGS} tags", "tag")
    return sorted(set(tags))


class Projects:
    """Creation, change and removal. A domain is a project without a domain above it."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def get(self, project_id: str) -> Project:
        """A project, or a domain seen as one."""
        return found(PROJECTS.find(self._core.db, id=project_id), "project", project_id)

    def domain(self, domain_id: str) -> Project:
        """A domain."""
        return found(PROJECTS.find(self._core.db, id=domain_id, is_domain=True), "domain", domain_id)

    def create(self, call: Call[Any], fields: ProjectFields, domain: bool = False) -> tuple[Project, list[str]]:
        """A new project or domain. Raises `Conflict` for a name in use."""
        values = given(fields)
        required(values, "name")
        check_options("project", values.get("options", {}))
        tags = check_tags(values.get("tags", []))
        key = "domain" if domain else "project"
        is_domain = domain or values.get("is_domain", False)
        with self._core.change(call) as change:
            parent_id, domain_id = (None, "") if is_domain else self._place(call, change.tx, values)
            project = Project(
                id=self._core.ids.hex(),
                name=values["name"],
                domain_id=domain_id,
                parent_id=parent_id,
                is_domain=is_domain,
                enabled=values.get("enabled", True),
                description=values.get("description") or "",
                options=merged({}, values.get("options", {})),
                extra=extras(call.json, key, fields),
            )
            self._unique(change.tx, project)
            PROJECTS.insert(change.tx, project)
            principals_store.set_tags(change.tx, project.id, tags)
            change.object, change.tenant = f"{key}:{project.id}", "" if is_domain else project.id
        return project, tags

    def _place(self, call: Call[Any], tx: Tx, values: dict[str, Any]) -> tuple[str, str]:
        """(parent, domain) of a new project."""
        parent_id = values.get("parent_id")
        parent = None
        if parent_id is not None:
            parent = found(PROJECTS.find(tx, id=parent_id), "project", parent_id)
        domain_id = values.get("domain_id")
        if domain_id is None:
            domain_id = (parent.domain_id or parent.id) if parent else default_domain(call)
        found(PROJECTS.find(tx, id=domain_id, is_domain=True), "domain", domain_id)
        if parent is None:
            return domain_id, domain_id
        if (parent.domain_id or parent.id) != domain_id:
            raise Invalid("parent_id names a project of another domain", "parent")
        if not parent.enabled:
            raise Denied(f"cannot create a project below the disabled project {parent.id}", "parent")
        if not parent.is_domain and len(principals_store.ancestors(tx, parent)) + 3 > MAX_TREE:
            raise Denied(f"Max hierarchy depth reached for {parent.id} branch.", "depth")
        return parent.id, domain_id

    def _unique(self, tx: Tx, project: Project) -> None:
        same = PROJECTS.find(tx, name=project.name, domain_id=project.domain_id)
        if same is not None and same.id != project.id:
            kind = "domain" if project.is_domain else "project"
            raise Conflict(f"Conflict occurred attempting to store {kind} - it is not permitted to have two "
                           f"{kind}s with the name {project.name!r} in one place.", kind)  # fmt: skip

    def update(
        self, call: Call[Any], project_id: str, fields: ProjectFields, key: str = "project"
    ) -> tuple[Project, list[str]]:
        """Change members. Raises `Denied` for moves and for switches that the hierarchy forbids."""
        values = given(fields)
        check_options(key, values.get("options", {}))
        with self._core.change(call, f"{key}:{project_id}") as change:
            tx = change.tx
            old = found(PROJECTS.find(tx, id=project_id), key, project_id)
            if key == "domain" and not old.is_domain:
                found(None, "domain", project_id)
            not_immutable(key, project_id, old.options, values)
            change.tenant = "" if old.is_domain else project_id
            self._fixed(old, values)
            if project_id == DEFAULT_DOMAIN and values.get("enabled") is False:
                raise Denied("The default domain cannot be disabled: the administrator lives in it.", "default")
            if "enabled" in values:
                self._switch(tx, old, values["enabled"])
            new: dict[str, Any] = {name: values[name] for name in ("name", "enabled") if name in values}
            if "description" in values:
                new["description"] = values["description"] or ""
            if "options" in values:
                new["options"] = merged(old.options, values["options"])
            new["extra"] = {**old.extra, **extras(call.json, key, fields)}
            self._unique(tx, replace(old, name=values.get("name", old.name)))
            PROJECTS.update(tx, {"id": project_id}, **new)
            if "tags" in values:
                principals_store.set_tags(tx, project_id, check_tags(values["tags"]))
            project = found(PROJECTS.find(tx, id=project_id), key, project_id)
            return project, principals_store.tags(tx, project_id)

    @staticmethod
    def _fixed(old: Project, values: dict[str, Any]) -> None:
        if values.get("parent_id", old.parent_id) != old.parent_id:
            raise Denied("Update of `parent_id` is not allowed.", "fixed")
        if values.get("is_domain", old.is_domain) != old.is_domain:
            raise Denied("Update of `is_domain` is not allowed.", "fixed")
        if not old.is_domain and values.get("domain_id", old.domain_id) != old.domain_id:
            raise Invalid("Cannot change Domain ID", "fixed")

    @staticmethod
    def _switch(tx: Tx, project: Project, enabled: bool) -> None:
        if project.is_domain or enabled == project.enabled:
            return
        if enabled and not all(parent.enabled for parent in principals_store.ancestors(tx, project)):
            raise Denied(f"Cannot enable project {project.id} since it has disabled parents.", "parent")
        if not enabled and any(below.enabled for below in principals_store.subtree(tx, project.id)):
            raise Denied(f"Cannot disable project {project.id} since its subtree contains enabled projects.", "subtree")

    def remove(self, call: Call[Any], project_id: str) -> None:
        """Delete a project that has none below it. A domain seen as a project follows the rules of domains."""
        if self.get(project_id).is_domain:
            self.remove_domain(call, project_id)
            return
        with self._core.change(call, f"project:{project_id}", project_id) as change:
            project = found(PROJECTS.find(change.tx, id=project_id), "project", project_id)
            not_immutable("project", project_id, project.options)
            if principals_store.subtree(change.tx, project_id):
                raise Denied(f"Cannot delete project {project_id}: it is not a leaf in the hierarchy.", "subtree")
            self._forget(change.tx, project_id)

    def remove_domain(self, call: Call[Any], domain_id: str) -> None:
        """Delete a disabled domain with everything in it."""
        with self._core.change(call, f"domain:{domain_id}") as change:
            tx = change.tx
            domain = found(PROJECTS.find(tx, id=domain_id, is_domain=True), "domain", domain_id)
            not_immutable("domain", domain_id, domain.options)
            if domain_id == DEFAULT_DOMAIN:
                raise Denied("The default domain cannot be deleted: the administrator lives in it.", "default")
            if domain.enabled:
                raise Denied(f"Cannot delete domain {domain_id}: it is enabled; disable it first.", "enabled")
            for user in principals_store.USERS.select(tx, {"domain_id": domain_id}):
                forget_user(tx, user.id)
            for group in principals_store.GROUPS.select(tx, {"domain_id": domain_id}):
                forget_group(tx, group.id)
            for project in PROJECTS.select(tx, {"domain_id": domain_id}):
                self._forget(tx, project.id)
            for role in roles_store.ROLES.select(tx, {"domain_id": domain_id}):
                roles_store.forget_role(tx, role.id)
            roles_store.ASSIGNMENTS.remove(tx, target_kind="domain", target_id=domain_id)
            catalog_store.LIMITS.remove(tx, domain_id=domain_id)
            catalog_store.clear_config(tx, domain_id)
            self._forget(tx, domain_id)

    @staticmethod
    def _forget(tx: Tx, project_id: str) -> None:
        roles_store.ASSIGNMENTS.remove(tx, target_kind="project", target_id=project_id)
        credentials_store.forget_project(tx, project_id)
        catalog_store.LIMITS.remove(tx, project_id=project_id)
        principals_store.USERS.update(tx, {"default_project_id": project_id}, default_project_id=None)
        principals_store.set_tags(tx, project_id, [])
        PROJECTS.remove(tx, id=project_id)

    def retag(self, call: Call[Any], project_id: str, add: list[str], drop: list[str] | None) -> list[str]:
        """Add tags and drop others (None: all others); the tags afterwards."""
        with self._core.change(call, f"project:{project_id}", project_id) as change:
            project = found(PROJECTS.find(change.tx, id=project_id), "project", project_id)
            not_immutable("project", project_id, project.options)
            now = set() if drop is None else set(principals_store.tags(change.tx, project_id))
            if drop and not set(drop) <= now:
                found(None, "project tag", drop[0])
            tags = check_tags(sorted((now | set(add)) - set(drop or [])))
            principals_store.set_tags(change.tx, project_id, tags)
        return tags


def forget_user(tx: Tx, user_id: str) -> None:
    """Remove a user with all that hangs on it."""
    principals_store.forget_members(tx, user_id=user_id)
    principals_store.PASSWORDS.remove(tx, user_id=user_id)
    roles_store.ASSIGNMENTS.remove(tx, actor_kind="user", actor_id=user_id)
    credentials_store.forget_user(tx, user_id)
    principals_store.USERS.remove(tx, id=user_id)


def forget_group(tx: Tx, group_id: str) -> None:
    """Remove a group with its memberships and assignments."""
    principals_store.forget_members(tx, group_id=group_id)
    roles_store.ASSIGNMENTS.remove(tx, actor_kind="group", actor_id=group_id)
    principals_store.GROUPS.remove(tx, id=group_id)

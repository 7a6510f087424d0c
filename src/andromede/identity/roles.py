"""Rules of roles, inferences and assignments (Identity API v3, "Roles")."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from andromede.db import Tx
from andromede.errors import Conflict, Denied, Invalid
from andromede.identity import principals_store, roles_store
from andromede.identity.bodies import RoleFields
from andromede.identity.common import check_options, extras, found, given, merged, not_immutable, required
from andromede.identity.core import Core
from andromede.identity.model import Assignment, Role
from andromede.web.call import Call

ROLES = roles_store.ROLES
HIGH = frozenset({"admin", "service", "auditor", "operator", "custodian", "ResellerAdmin"})
"""Roles with rights beyond one domain: a domain manager may neither give nor take them (SCS-0302)."""


def is_high(tx: Tx, role: Role) -> bool:
    """Whether the role is a high one or implies one."""
    ids = roles_store.closure([role.id], roles_store.implications(tx))
    return any(other.name in HIGH for other in ROLES.select(tx, {"id": list(ids)}) if not other.domain_id)


def holds_high(tx: Tx, actor_id: str) -> bool:
    """Whether a group, or a user itself or by a group, holds a high role anywhere."""
    actors = [actor_id, *principals_store.user_groups(tx, actor_id)]
    role_ids = {row.role_id for row in roles_store.assignments(tx, {"actor_id": actors})}
    return any(is_high(tx, role) for role in ROLES.select(tx, {"id": role_ids}))


class Roles:
    """Creation, change and removal of roles; who holds them."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def get(self, role_id: str) -> Role:
        """A role."""
        return found(ROLES.find(self._core.db, id=role_id), "role", role_id)

    def create(self, call: Call[Any], fields: RoleFields) -> Role:
        """A new role, global or of a domain. Raises `Conflict` for a name in use."""
        values = given(fields)
        required(values, "name")
        check_options("role", values.get("options", {}))
        with self._core.change(call) as change:
            domain_id = values.get("domain_id")
            if domain_id is not None:
                found(principals_store.PROJECTS.find(change.tx, id=domain_id, is_domain=True), "domain", domain_id)
            role = Role(
                self._core.ids.hex(), values["name"], domain_id or "", values.get("description"),
                merged({}, values.get("options", {})), extras(call.json, "role", fields),
            )  # fmt: skip
            self._unique(change.tx, role)
            ROLES.insert(change.tx, role)
            change.object = f"role:{role.id}"
        return role

    @staticmethod
    def _unique(tx: Tx, role: Role) -> None:
        same = ROLES.find(tx, name=role.name, domain_id=role.domain_id)
        if same is not None and same.id != role.id:
            raise Conflict(
                f"Conflict occurred attempting to store role - Duplicate entry found with name {role.name}.", "role"
            )

    def update(self, call: Call[Any], role_id: str, fields: RoleFields) -> Role:
        """Change members."""
        values = given(fields)
        check_options("role", values.get("options", {}))
        with self._core.change(call, f"role:{role_id}") as change:
            old = found(ROLES.find(change.tx, id=role_id), "role", role_id)
            not_immutable("role", role_id, old.options, values)
            if (values.get("domain_id", old.domain_id) or "") != old.domain_id:
                raise Invalid("Cannot change Domain ID", "fixed")
            new: dict[str, Any] = {name: values[name] for name in ("name", "description") if name in values}
            if "options" in values:
                new["options"] = merged(old.options, values["options"])
            new["extra"] = {**old.extra, **extras(call.json, "role", fields)}
            self._unique(change.tx, replace(old, name=values.get("name", old.name)))
            ROLES.update(change.tx, {"id": role_id}, **new)
            return found(ROLES.find(change.tx, id=role_id), "role", role_id)

    def remove(self, call: Call[Any], role_id: str) -> None:
        """Delete a role with every assignment of it."""
        with self._core.change(call, f"role:{role_id}") as change:
            role = found(ROLES.find(change.tx, id=role_id), "role", role_id)
            not_immutable("role", role_id, role.options)
            roles_store.forget_role(change.tx, role_id)

    def imply(self, call: Call[Any], prior_id: str, implied_id: str) -> tuple[Role, Role]:
        """Let one role imply another."""
        with self._core.change(call, f"role:{prior_id}/implies:{implied_id}") as change:
            prior, implied = self._pair(change.tx, prior_id, implied_id)
            if implied.name in HIGH and not implied.domain_id:
                raise Denied(f"{implied_id} cannot be an implied role.", "implied")
            if implied.domain_id and not prior.domain_id:
                raise Denied("A global role cannot imply a domain specific role.", "implied")
            roles_store.imply(change.tx, prior_id, implied_id)
        return prior, implied

    def unimply(self, call: Call[Any], prior_id: str, implied_id: str) -> None:
        """Remove an inference."""
        with self._core.change(call, f"role:{prior_id}/implies:{implied_id}") as change:
            self._pair(change.tx, prior_id, implied_id)
            if not roles_store.unimply(change.tx, prior_id, implied_id):
                found(None, "implied role", implied_id)

    def inference(self, prior_id: str, implied_id: str) -> tuple[Role, Role]:
        """Both roles of an inference that exists."""
        with self._core.db.read() as tx:
            pair = self._pair(tx, prior_id, implied_id)
            if implied_id not in roles_store.implications(tx).get(prior_id, ()):
                found(None, "implied role", implied_id)
        return pair

    @staticmethod
    def _pair(tx: Tx, prior_id: str, implied_id: str) -> tuple[Role, Role]:
        return (
            found(ROLES.find(tx, id=prior_id), "role", prior_id),
            found(ROLES.find(tx, id=implied_id), "role", implied_id),
        )

    def inferences(self) -> list[tuple[Role, list[Role]]]:
        """Every role that implies others, with them."""
        with self._core.db.read() as tx:
            known = {role.id: role for role in ROLES.select(tx)}
            found_ = roles_store.implications(tx)
        return [(known[prior], [known[i] for i in implied]) for prior, implied in found_.items() if prior in known]

    def grant(self, call: Call[Any], assignment: Assignment) -> None:
        """Assign a role; again is no error."""
        with self._core.change(call, _label(assignment), _tenant(assignment)) as change:
            role = self._check(change.tx, assignment)
            if role.domain_id and assignment.target_kind != "system":
                domain_id = self._domain_of(change.tx, assignment)
                if role.domain_id != domain_id:
                    raise Denied(f"Domain specific role {role.id} belongs to another domain.", "role")
            if role.domain_id and assignment.target_kind == "system":
                raise Denied("A domain specific role cannot be assigned on the system.", "role")
            roles_store.grant(change.tx, assignment)

    def revoke(self, call: Call[Any], assignment: Assignment) -> None:
        """Take a role away; `NotFound` when it was not held that way."""
        with self._core.change(call, _label(assignment), _tenant(assignment)) as change:
            found(ROLES.find(change.tx, id=assignment.role_id), "role", assignment.role_id)
            if not roles_store.ASSIGNMENTS.remove(change.tx, **_where(assignment)):
                found(None, "role assignment", _label(assignment))

    def check(self, assignment: Assignment) -> None:
        """Raise `NotFound` unless the role is assigned just so."""
        with self._core.db.read() as tx:
            self._check(tx, assignment)
            if roles_store.ASSIGNMENTS.find(tx, **_where(assignment)) is None:
                found(None, "role assignment", _label(assignment))

    def listed(self, assignment: Assignment) -> list[Role]:
        """The roles that an actor holds directly on a target; `role_id` is not looked at."""
        with self._core.db.read() as tx:
            self._parties(tx, assignment)
            where = _where(assignment)
            del where["role_id"]
            rows = roles_store.assignments(tx, where)
            return ROLES.select(tx, {"id": [row.role_id for row in rows]})

    @staticmethod
    def _domain_of(tx: Tx, assignment: Assignment) -> str:
        project = principals_store.PROJECTS.find(tx, id=assignment.target_id)
        return (project.domain_id or project.id) if project else ""

    @staticmethod
    def _parties(tx: Tx, assignment: Assignment) -> None:
        projects = principals_store.PROJECTS
        if assignment.target_kind == "project":
            found(projects.find(tx, id=assignment.target_id), "project", assignment.target_id)
        elif assignment.target_kind == "domain":
            found(projects.find(tx, id=assignment.target_id, is_domain=True), "domain", assignment.target_id)
        if assignment.actor_kind == "user":
            found(principals_store.USERS.find(tx, id=assignment.actor_id), "user", assignment.actor_id)
        else:
            found(principals_store.GROUPS.find(tx, id=assignment.actor_id), "group", assignment.actor_id)

    def _check(self, tx: Tx, assignment: Assignment) -> Role:
        self._parties(tx, assignment)
        return found(ROLES.find(tx, id=assignment.role_id), "role", assignment.role_id)


def _where(assignment: Assignment) -> dict[str, Any]:
    return {name: getattr(assignment, name) for name in roles_store.ASSIGNMENTS.columns}


def _tenant(assignment: Assignment) -> str:
    return assignment.target_id if assignment.target_kind == "project" else ""


def _label(assignment: Assignment) -> str:
    inherited = "/inherited" if assignment.inherited else ""
    return (
        f"{assignment.target_kind}:{assignment.target_id}/{assignment.actor_kind}:{assignment.actor_id}"
        f"/role:{assignment.role_id}{inherited}"
    )

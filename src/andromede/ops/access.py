"""Why a user may or may not do something: the rule, and each scope of the user against it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from andromede.errors import Invalid, NotFound
from andromede.web.access import AccessTable
from andromede.web.actor import Actor
from andromede.web.routes import Target


def target_of(resource: str, user_id: str) -> Target | None:
    """`project:ID`, `domain:ID` or `user:ID`; None for no particular one."""
    if not resource:
        return None
    kind, _, value = resource.partition(":")
    if kind not in ("project", "domain", "user") or not value:
        raise Invalid(f"{resource!r} is not project:ID, domain:ID or user:ID", "config")
    found = user_id if value == "self" else value
    if kind == "user":
        return Target(user_id=found)
    return Target(project_id=found) if kind == "project" else Target(domain_id=found)


def explain(
    table: AccessTable, name: str, scopes: Sequence[tuple[str, Actor]], action: str, resource: str
) -> dict[str, Any]:
    """The answer for one action of the API port."""
    grants = table.grants(action)
    if not grants:
        near = [known for known in table.rules if action.rpartition(":")[2] in known][:5]
        hint = f"; did you mean {', '.join(near)}?" if near else "."
        raise NotFound(f"there is no action {action!r}{hint} All of them: andromede explain access", "action")
    rule = "; or ".join(grant.text() for grant in grants)
    because, allowed = [], any(grant.scope == "public" for grant in grants)
    for where, actor in scopes:
        target = target_of(resource, actor.user_id)
        yes = table.admits(actor, action) if target is None else table.allows(actor, action, target)
        allowed = allowed or yes
        roles = ", ".join(sorted(actor.roles)) or "no role"
        because.append(f"in {where}: {'yes' if yes else 'no'} (roles {roles})")
    if not scopes:
        because.append("the user holds no role anywhere")
    return {
        "user": name,
        "action": action,
        "resource": resource,
        "allowed": allowed,
        "rule": rule,
        "because": because,
    }

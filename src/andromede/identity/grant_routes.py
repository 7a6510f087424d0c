"""Who holds which role where: on projects, domains and the system, directly or to be inherited (OS-INHERIT)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from andromede.identity import principals_store
from andromede.identity.model import Assignment, Group, User
from andromede.identity.project_views import listing
from andromede.identity.role_routes import role_view
from andromede.identity.roles import ROLES, is_high
from andromede.identity.roles_store import SYSTEM
from andromede.identity.service import Identity
from andromede.web.call import Call
from andromede.web.routes import Handler, Routes, Target

F = TypeVar("F", bound=Handler)

routes: Routes[Identity] = Routes()
IdentityCall = Call[Identity]

ACTORS = (("users", "user"), ("groups", "group"))
TARGETS = (("projects", "project"), ("domains", "domain"))


def _assignment(call: IdentityCall) -> Assignment:
    params = call.params
    actor = "user" if "user_id" in params else "group"
    target = next((kind for kind in ("project", "domain") if f"{kind}_id" in params), "system")
    return Assignment(
        actor,
        params[f"{actor}_id"],
        target,
        params.get(f"{target}_id", SYSTEM),
        params.get("role_id", ""),
        inherited=call.path.endswith("/inherited_to_projects"),
    )


def _grant_target(call: IdentityCall, body: Any) -> Target:
    """The domain of user, target and role, if it is the same; a high role is within nobody's reach but the
    administrator's when it is to be given or taken."""
    assignment = _assignment(call)
    with call.services.core.db.read() as tx:
        actor: User | Group | None
        if assignment.actor_kind == "user":
            actor = principals_store.USERS.find(tx, id=assignment.actor_id)
        else:
            actor = principals_store.GROUPS.find(tx, id=assignment.actor_id)
        project = principals_store.PROJECTS.find(tx, id=assignment.target_id)
        role = ROLES.find(tx, id=assignment.role_id) if assignment.role_id else None
        unfit = role is not None and call.method in ("PUT", "DELETE") and is_high(tx, role)
    if actor is None or project is None or unfit or (assignment.role_id and role is None):
        return Target()
    domain_id = project.domain_id or project.id
    fits = actor.domain_id == domain_id and (role is None or role.domain_id in ("", domain_id))
    return Target(domain_id=domain_id if fits else None)


def _everywhere(method: str, tail: str, action: str, status: int, inherited_tail: str) -> Callable[[F], F]:
    """Declare one handler on projects and domains, for users and groups, direct and inherited."""

    def declare(handler: F) -> F:
        for targets, target in TARGETS:
            for actors, actor in ACTORS:
                path = f"{targets}/{{{target}_id}}/{actors}/{{{actor}_id}}/roles"
                routes.add(method, f"/v3/{path}{tail}", action, status=status, target=_grant_target)(handler)
                inherit = f"/v3/OS-INHERIT/{path}{inherited_tail}"
                routes.add(method, inherit, action, status=status, target=_grant_target)(handler)
        return handler

    return declare


@_everywhere("PUT", "/{role_id}", "identity:create_grant", 204, "/{role_id}/inherited_to_projects")
def grant(call: IdentityCall) -> None:
    """Assign a role; again is no error."""
    call.services.roles.grant(call, _assignment(call))


@_everywhere("GET", "/{role_id}", "identity:check_grant", 204, "/{role_id}/inherited_to_projects")
def check(call: IdentityCall) -> None:
    """204 when the role is assigned just so, else 404."""
    call.services.roles.check(_assignment(call))


@_everywhere("DELETE", "/{role_id}", "identity:revoke_grant", 204, "/{role_id}/inherited_to_projects")
def revoke(call: IdentityCall) -> None:
    """Take a role away."""
    call.services.roles.revoke(call, _assignment(call))


@_everywhere("GET", "", "identity:list_grants", 200, "/inherited_to_projects")
def list_grants(call: IdentityCall) -> dict[str, Any]:
    """The roles assigned directly (or, below OS-INHERIT, to be inherited)."""
    rows = call.services.roles.listed(_assignment(call))
    return listing(call, "roles", [role_view(call, role) for role in rows])


@routes.add("GET", "/v3/system/users/{user_id}/roles", "identity:list_system_grants")
@routes.add("GET", "/v3/system/groups/{group_id}/roles", "identity:list_system_grants")
def list_system(call: IdentityCall) -> dict[str, Any]:
    """The roles that a user or group holds on the system."""
    return list_grants(call)


@routes.add("PUT", "/v3/system/users/{user_id}/roles/{role_id}", "identity:create_system_grant", status=204)
@routes.add("PUT", "/v3/system/groups/{group_id}/roles/{role_id}", "identity:create_system_grant", status=204)
def grant_system(call: IdentityCall) -> None:
    """Assign a role on the system."""
    grant(call)


@routes.add("GET", "/v3/system/users/{user_id}/roles/{role_id}", "identity:check_system_grant", status=204)
@routes.add("GET", "/v3/system/groups/{group_id}/roles/{role_id}", "identity:check_system_grant", status=204)
def check_system(call: IdentityCall) -> None:
    """204 when the role is held on the system, else 404."""
    check(call)


@routes.add("DELETE", "/v3/system/users/{user_id}/roles/{role_id}", "identity:revoke_system_grant", status=204)
@routes.add("DELETE", "/v3/system/groups/{group_id}/roles/{role_id}", "identity:revoke_system_grant", status=204)
def revoke_system(call: IdentityCall) -> None:
    """Take a role on the system away."""
    revoke(call)

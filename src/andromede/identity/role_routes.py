"""Roles and what they imply."""

from __future__ import annotations

from typing import Any

from andromede.identity import roles_store
from andromede.identity.bodies import RoleRequest
from andromede.identity.common import filters, own_scope
from andromede.identity.model import Role
from andromede.identity.project_views import listing, self_link
from andromede.identity.roles import ROLES
from andromede.identity.service import TABLE, Identity
from andromede.web import paging
from andromede.web.call import Call
from andromede.web.routes import Routes, Target

routes: Routes[Identity] = Routes()
IdentityCall = Call[Identity]


def role_view(call: IdentityCall, role: Role) -> dict[str, Any]:
    """A role."""
    return {
        **role.extra,
        "id": role.id,
        "name": role.name,
        "domain_id": role.domain_id or None,
        "description": role.description,
        "options": role.options,
        "links": self_link(call, f"roles/{role.id}"),
    }


def short(call: IdentityCall, role: Role) -> dict[str, Any]:
    """A role inside an inference."""
    return {"id": role.id, "name": role.name, "links": self_link(call, f"roles/{role.id}")}


def role_target(call: IdentityCall, body: Any) -> Target | None:
    """The role of the path. Global roles are within reach of every domain's reader."""
    role = ROLES.find(call.services.core.db, id=call.params["role_id"])
    return None if role is None else Target(domain_id=role.domain_id or call.who.domain_id)


@routes.add("POST", "/v3/roles", "identity:create_role", body=RoleRequest, status=201)
def create_role(call: IdentityCall, body: RoleRequest) -> dict[str, Any]:
    """Create a role, global or (with domain_id) of a domain."""
    return {"role": role_view(call, call.services.roles.create(call, body.role))}


@routes.add("GET", "/v3/roles", "identity:list_roles", target=own_scope)
def list_roles(call: IdentityCall) -> dict[str, Any]:
    """Global roles by name, or those of the domain_id given."""
    where = filters(call, "name")
    where["domain_id"] = call.query.get("domain_id") or ""
    reach = TABLE.reach(call.who, call.action)
    if not reach.everything and where["domain_id"] not in ("", reach.domain_id):
        return listing(call, "roles", [])
    chosen, last = paging.cut(ROLES.select(call.services.core.db, where), paging.page(call))
    views = [role_view(call, role) for role in chosen]
    return listing(call, "roles", views, paging.next_url(call, last.id) if last else None)


@routes.add("GET", "/v3/roles/{role_id}", "identity:get_role", target=role_target)
def show_role(call: IdentityCall) -> dict[str, Any]:
    """A role."""
    return {"role": role_view(call, call.services.roles.get(call.params["role_id"]))}


@routes.add("PATCH", "/v3/roles/{role_id}", "identity:update_role", body=RoleRequest, target=role_target)
def update_role(call: IdentityCall, body: RoleRequest) -> dict[str, Any]:
    """Change a role."""
    return {"role": role_view(call, call.services.roles.update(call, call.params["role_id"], body.role))}


@routes.add("DELETE", "/v3/roles/{role_id}", "identity:delete_role", target=role_target, status=204)
def delete_role(call: IdentityCall) -> None:
    """Delete a role and every assignment of it."""
    call.services.roles.remove(call, call.params["role_id"])


def _inference(call: IdentityCall, prior: Role, implied: Role) -> dict[str, Any]:
    return {
        "role_inference": {"prior_role": short(call, prior), "implies": short(call, implied)},
        "links": self_link(call, f"roles/{prior.id}/implies/{implied.id}"),
    }


@routes.add("GET", "/v3/roles/{role_id}/implies", "identity:list_implied_roles", target=role_target)
def list_implied(call: IdentityCall) -> dict[str, Any]:
    """What a role implies directly."""
    role = call.services.roles.get(call.params["role_id"])
    db = call.services.core.db
    implied = ROLES.select(db, {"id": roles_store.implications(db).get(role.id, [])})
    body = {"prior_role": short(call, role), "implies": [short(call, other) for other in implied]}
    return {"role_inference": body, "links": self_link(call, f"roles/{role.id}/implies")}


@routes.add(
    "PUT", "/v3/roles/{role_id}/implies/{implied_id}", "identity:create_implied_role", target=role_target, status=201
)
def create_implied(call: IdentityCall) -> dict[str, Any]:
    """Let a role imply another; whoever holds the first holds the second."""
    return _inference(call, *call.services.roles.imply(call, call.params["role_id"], call.params["implied_id"]))


@routes.add("GET", "/v3/roles/{role_id}/implies/{implied_id}", "identity:get_implied_role", target=role_target)
def show_implied(call: IdentityCall) -> dict[str, Any]:
    """One inference."""
    return _inference(call, *call.services.roles.inference(call.params["role_id"], call.params["implied_id"]))


@routes.add(
    "HEAD", "/v3/roles/{role_id}/implies/{implied_id}", "identity:check_implied_role", target=role_target, status=204
)
def check_implied(call: IdentityCall) -> None:
    """204 when the inference exists, else 404."""
    call.services.roles.inference(call.params["role_id"], call.params["implied_id"])


@routes.add(
    "DELETE", "/v3/roles/{role_id}/implies/{implied_id}", "identity:delete_implied_role", target=role_target,
    status=204,
)  # fmt: skip
def delete_implied(call: IdentityCall) -> None:
    """Remove an inference."""
    call.services.roles.unimply(call, call.params["role_id"], call.params["implied_id"])


@routes.add("GET", "/v3/role_inferences", "identity:list_role_inference_rules", target=own_scope)
def list_inferences(call: IdentityCall) -> dict[str, Any]:
    """Every inference from a global role, and for a domain's reader those from the roles of that domain."""
    reach = TABLE.reach(call.who, call.action)
    rows = [
        {"prior_role": short(call, prior), "implies": [short(call, role) for role in implied]}
        for prior, implied in call.services.roles.inferences()
        if reach.everything or prior.domain_id in ("", reach.domain_id)
    ]
    return {"role_inferences": rows, "links": self_link(call, "role_inferences")}

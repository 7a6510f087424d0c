"""Registered limits and limits."""

from __future__ import annotations

import dataclasses
from typing import Any

from andromede.identity.bodies import (
    LimitRequest,
    LimitsRequest,
    RegisteredLimitRequest,
    RegisteredLimitsRequest,
)
from andromede.identity.common import filters, own_scope
from andromede.identity.limits import LIMITS, REGISTERED
from andromede.identity.model import Limit, RegisteredLimit
from andromede.identity.project_views import listing, self_link
from andromede.identity.projects import PROJECTS
from andromede.identity.service import TABLE, Identity
from andromede.web.call import Call
from andromede.web.routes import Routes, Target

routes: Routes[Identity] = Routes()
IdentityCall = Call[Identity]


def _view(call: IdentityCall, one: Limit | RegisteredLimit) -> dict[str, Any]:
    path = "limits" if isinstance(one, Limit) else "registered_limits"
    return {**dataclasses.asdict(one), "links": self_link(call, f"{path}/{one.id}")}


@routes.add("GET", "/v3/limits/model", "identity:get_limit_model")
def model(call: IdentityCall) -> dict[str, Any]:
    """How limits of projects in a hierarchy relate: not at all."""
    return {"model": {"name": "flat", "description": "Limit enforcement and validation does not take project "
                      "hierarchy into consideration."}}  # fmt: skip


@routes.add(
    "POST", "/v3/registered_limits", "identity:create_registered_limit", body=RegisteredLimitsRequest, status=201
)
def register(call: IdentityCall, body: RegisteredLimitsRequest) -> dict[str, Any]:
    """Create default limits, all or none."""
    made = call.services.limits.register(call, body.registered_limits)
    return listing(call, "registered_limits", [_view(call, one) for one in made])


@routes.add("GET", "/v3/registered_limits", "identity:list_registered_limits")
def list_registered(call: IdentityCall) -> dict[str, Any]:
    """Default limits; filters service_id, region_id, resource_name."""
    rows = REGISTERED.select(call.services.core.db, filters(call, "service_id", "region_id", "resource_name"))
    return listing(call, "registered_limits", [_view(call, one) for one in rows])


@routes.add("GET", "/v3/registered_limits/{limit_id}", "identity:get_registered_limit")
def show_registered(call: IdentityCall) -> dict[str, Any]:
    """A default limit."""
    return {"registered_limit": _view(call, call.services.limits.registered(call.params["limit_id"]))}


@routes.add(
    "PATCH", "/v3/registered_limits/{limit_id}", "identity:update_registered_limit", body=RegisteredLimitRequest
)
def update_registered(call: IdentityCall, body: RegisteredLimitRequest) -> dict[str, Any]:
    """Change a default limit."""
    one = call.services.limits.update_registered(call, call.params["limit_id"], body.registered_limit)
    return {"registered_limit": _view(call, one)}


@routes.add("DELETE", "/v3/registered_limits/{limit_id}", "identity:delete_registered_limit", status=204)
def unregister(call: IdentityCall) -> None:
    """Delete a default limit on which no limit leans."""
    call.services.limits.unregister(call, call.params["limit_id"])


@routes.add("POST", "/v3/limits", "identity:create_limit", body=LimitsRequest, status=201)
def create_limits(call: IdentityCall, body: LimitsRequest) -> dict[str, Any]:
    """Create limits of projects or domains, all or none."""
    made = call.services.limits.create(call, body.limits)
    return listing(call, "limits", [_view(call, one) for one in made])


@routes.add("GET", "/v3/limits", "identity:list_limits", target=own_scope)
def list_limits(call: IdentityCall) -> dict[str, Any]:
    """Limits; filters service_id, region_id, resource_name, project_id, domain_id. Others see those of their scope."""
    where = filters(call, "service_id", "region_id", "resource_name", "project_id", "domain_id")
    rows = LIMITS.select(call.services.core.db, where)
    reach = TABLE.reach(call.who, "identity:get_limit")
    if not reach.everything:
        inside = {reach.project_id, reach.domain_id} - {None}
        if reach.domain_id:
            inside |= {project.id for project in PROJECTS.select(call.services.core.db, {"domain_id": reach.domain_id})}
        rows = [one for one in rows if (one.project_id or one.domain_id) in inside]
    return listing(call, "limits", [_view(call, one) for one in rows])


def _target(call: IdentityCall, body: Any) -> Target | None:
    one = LIMITS.find(call.services.core.db, id=call.params["limit_id"])
    if one is None:
        return None
    project = PROJECTS.find(call.services.core.db, id=one.project_id) if one.project_id else None
    return Target(domain_id=one.domain_id or (project.domain_id if project else None), project_id=one.project_id)


@routes.add("GET", "/v3/limits/{limit_id}", "identity:get_limit", target=_target)
def show_limit(call: IdentityCall) -> dict[str, Any]:
    """A limit."""
    return {"limit": _view(call, call.services.limits.limit(call.params["limit_id"]))}


@routes.add("PATCH", "/v3/limits/{limit_id}", "identity:update_limit", body=LimitRequest, target=_target)
def update_limit(call: IdentityCall, body: LimitRequest) -> dict[str, Any]:
    """Change a limit's amount or description."""
    return {"limit": _view(call, call.services.limits.update(call, call.params["limit_id"], body.limit))}


@routes.add("DELETE", "/v3/limits/{limit_id}", "identity:delete_limit", target=_target, status=204)
def delete_limit(call: IdentityCall) -> None:
    """Delete a limit; the default holds again."""
    call.services.limits.remove(call, call.params["limit_id"])

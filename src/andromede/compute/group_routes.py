"""Server groups (Compute API, "Server groups")."""

from __future__ import annotations

from typing import Any

from andromede.compute.checks import Fields, refuse
from andromede.compute.core import is_admin, own_project, project_of, version
from andromede.compute.model import ServerGroup
from andromede.compute.service import Compute
from andromede.errors import Invalid
from andromede.web.call import Call
from andromede.web.routes import Routes, Target

routes: Routes[Compute] = Routes()
ComputeCall = Call[Compute]
Body = dict[str, Any]
PATH = "/v2.1/os-server-groups"
POLICIES = ("affinity", "anti-affinity")
SOFT = ("soft-affinity", "soft-anti-affinity")


def _found(call: ComputeCall) -> ServerGroup:
    return call.services.groups.find(call.params["group_id"], None if is_admin(call) else project_of(call))


def whose(call: ComputeCall, body: Any) -> Target:
    """The group of the path."""
    return Target(project_id=_found(call).project_id)


def _view(call: ComputeCall, group: ServerGroup, members: list[str]) -> Body:
    asked = version(call)
    body: Body = {"id": group.id, "name": group.name, "members": members}
    if asked >= (2, 13):
        body |= {"project_id": group.project_id, "user_id": group.user_id}
    if asked >= (2, 64):
        return body | {"policy": group.policy, "rules": group.rules}
    return body | {"policies": [group.policy], "metadata": {}}


@routes.add("GET", PATH, "compute:list_groups", target=own_project)
def list_groups(call: ComputeCall) -> Body:
    """The project's groups; for admins all with `all_projects`."""
    every = is_admin(call) and "all_projects" in call.query
    rows = call.services.groups.listed(None if every else project_of(call))
    start = call.integer("offset", 0, 10**9) or 0
    limit = call.integer("limit", 0, 10**9)
    rows = rows[start : start + (1000 if limit is None else min(limit, 1000))]
    members = call.services.groups.members([group.id for group in rows])
    return {"server_groups": [_view(call, group, members[group.id]) for group in rows]}


@routes.add("GET", PATH + "/{group_id}", "compute:show_group", target=whose)
def show_group(call: ComputeCall) -> Body:
    """One group."""
    group = _found(call)
    return {"server_group": _view(call, group, call.services.groups.members([group.id])[group.id])}


def _policy(call: ComputeCall, fields: Fields) -> str:
    allowed = POLICIES + (SOFT if version(call) >= (2, 15) else ())
    if version(call) >= (2, 64):
        fields.only("name", "policy", "rules")
        fields.need("name", "policy")
        return fields.choice("policy", *allowed) or ""
    fields.only("name", "policies")
    fields.need("name", "policies")
    listed = fields.get("policies")
    if not isinstance(listed, list) or len(listed) != 1 or listed[0] not in allowed:
        raise refuse("policies", listed, f"It must hold exactly one of {list(allowed)}.")
    return str(listed[0])


@routes.add("POST", PATH, "compute:create_group", body=Body, target=own_project)
def create_group(call: ComputeCall, body: Body) -> Body:
    """Add a group."""
    fields = Fields.of(body, "server_group")
    policy, name = _policy(call, fields), fields.name("name") or ""
    rules = Fields(fields.get("rules") or {}, "rules")
    rules.only("max_server_per_host")
    most = rules.integer("max_server_per_host", 1)
    if most is not None and policy != "anti-affinity":
        raise Invalid("Only anti-affinity policy supports rules.", "schema")
    desk = call.services.core.desk
    group = ServerGroup(
        desk.ids.dashed(), project_of(call), call.who.user_id, name, policy,
        {} if most is None else {"max_server_per_host": most}, desk.clock.now_us(),
    )  # fmt: skip
    return {"server_group": _view(call, call.services.groups.create(call, group), [])}


@routes.add("DELETE", PATH + "/{group_id}", "compute:delete_group", target=whose, status=204)
def delete_group(call: ComputeCall) -> None:
    """Delete a group."""
    call.services.groups.remove(call, _found(call))

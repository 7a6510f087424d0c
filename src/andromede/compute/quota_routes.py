"""Quotas, their defaults, and limits (Compute API, "Quota sets", "Quota class sets", "Limits")."""

from __future__ import annotations

from typing import Any

from andromede.compute.checks import MOST, Fields
from andromede.compute.core import is_admin, own_project, project_of, version
from andromede.compute.quotas import INJECTED, NETWORK, names
from andromede.compute.service import Compute
from andromede.errors import Invalid
from andromede.web.call import Call, Reply
from andromede.web.routes import Routes, Target

routes: Routes[Compute] = Routes()
ComputeCall = Call[Compute]
Body = dict[str, Any]
SETS = "/v2.1/os-quota-sets/{project_id}"
CLASSES = "/v2.1/os-quota-class-sets/{name}"


def whose(call: ComputeCall, body: Any) -> Target:
    """The project of the path."""
    return Target(project_id=call.params["project_id"])


def _view(call: ComputeCall, limits: dict[str, int], named: str | None = None) -> Body:
    body: Body = {} if named is None else {"id": named}
    return body | {name: limits[name] for name in names(version(call))}


@routes.add("GET", SETS, "compute:show_quota", target=whose)
def show_quota(call: ComputeCall) -> Body:
    """The limits of a project, or of a user in it (`user_id`)."""
    project = call.params["project_id"]
    limits = call.services.quotas.of(project, call.query.get("user_id") or "")
    return {"quota_set": _view(call, limits, project)}


@routes.add("GET", SETS + "/defaults", "compute:show_quota_defaults")
def show_defaults(call: ComputeCall) -> Body:
    """The limits of projects that nobody set any for."""
    return {"quota_set": _view(call, call.services.quotas.defaults(), call.params["project_id"])}


@routes.add("GET", SETS + "/detail", "compute:show_quota_detail", target=whose)
def show_detail(call: ComputeCall) -> Body:
    """Limits and use."""
    project, user = call.params["project_id"], call.query.get("user_id") or ""
    limits, used = call.services.quotas.of(project, user), call.services.quotas.used(project, user)
    detail = {
        name: {"limit": limits[name], "in_use": used.get(name, 0), "reserved": 0} for name in names(version(call))
    }
    return {"quota_set": {"id": project, **detail}}


def _limits(fields: Fields, allowed: list[str], *beside: str) -> dict[str, int]:
    fields.only(*allowed, *beside)
    found = {name: fields.integer(name, -1, MOST) for name in allowed if name in fields}
    return {name: value for name, value in found.items() if value is not None}


@routes.add("PUT", SETS, "compute:update_quota", body=Body, target=whose)
def update_quota(call: ComputeCall, body: Body) -> Body:
    """Set limits of a project, or of a user in it."""
    fields, project = Fields.of(body, "quota_set"), call.params["project_id"]
    limits = _limits(fields, names(version(call)), "force", "tenant_id")
    user = call.query.get("user_id") or ""
    call.services.quotas.update(call, (project, user), limits, fields.flag("force"))
    return {"quota_set": _view(call, call.services.quotas.of(project, user))}


@routes.add("DELETE", SETS, "compute:delete_quota", target=whose, status=202)
def delete_quota(call: ComputeCall) -> None:
    """Back to the defaults."""
    call.services.quotas.reset(call, call.params["project_id"], call.query.get("user_id") or "")


def _class(call: ComputeCall, limits: dict[str, int], named: str | None) -> Body:
    body: Body = {} if named is None else {"id": named}
    return {"quota_class_set": body | {name: limits[name] for name in names(version(call), True)}}


@routes.add("GET", CLASSES, "compute:show_quota_class")
def show_class(call: ComputeCall) -> Body:
    """The limits of a class; `default` is the one that matters."""
    return _class(call, call.services.quotas.defaults(), call.params["name"])


@routes.add("PUT", CLASSES, "compute:update_quota_class", body=Body)
def update_class(call: ComputeCall, body: Body) -> Body:
    """Set the limits of the class `default`."""
    if call.params["name"] != "default":
        raise Invalid(f"quota class {call.params['name']} is not used here; only `default` is", "quota")
    limits = _limits(Fields.of(body, "quota_class_set"), names(version(call), True))
    call.services.quotas.update_class(call, limits)
    return _class(call, call.services.quotas.defaults(), None)


ABSOLUTE = (
    ("maxServerMeta", "metadata_items"),
    ("maxPersonality", "injected_files"),
    ("maxPersonalitySize", "injected_file_content_bytes"),
    ("maxTotalCores", "cores"),
    ("maxTotalInstances", "instances"),
    ("maxTotalRAMSize", "ram"),
    ("maxTotalKeypairs", "key_pairs"),
    ("maxServerGroups", "server_groups"),
    ("maxServerGroupMembers", "server_group_members"),
    ("maxTotalFloatingIps", "floating_ips"),
    ("maxSecurityGroups", "security_groups"),
    ("maxSecurityGroupRules", "security_group_rules"),
)
USED = (
    ("totalCoresUsed", "cores"),
    ("totalInstancesUsed", "instances"),
    ("totalRAMUsed", "ram"),
    ("totalServerGroupsUsed", "server_groups"),
)


@routes.add("GET", "/v2.1/limits", "compute:show_limits", target=own_project)
def show_limits(call: ComputeCall) -> Reply:
    """What the project may have and has; admins may ask for another's (`tenant_id`)."""
    asked = version(call)
    project = call.query.get("tenant_id") if is_admin(call) else None
    limits = call.services.quotas.of(project or project_of(call))
    used = call.services.quotas.used(project or project_of(call))
    gone = (NETWORK if asked >= (2, 36) else frozenset()) | (INJECTED if asked >= (2, 57) else frozenset())
    absolute = {word: limits[name] for word, name in ABSOLUTE if name not in gone}
    absolute |= {word: used[name] for word, name in USED}
    if asked < (2, 39):
        absolute["maxImageMeta"] = limits["metadata_items"]
    if asked < (2, 36):
        absolute |= {"totalFloatingIpsUsed": 0, "totalSecurityGroupsUsed": 0}
    return Reply({"limits": {"rate": [], "absolute": absolute}})

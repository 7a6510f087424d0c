"""Quotas, limits, QoS specs and messages (Block Storage API v3)."""

from __future__ import annotations

from typing import Any

from andromede.clock import US
from andromede.errors import Invalid
from andromede.volumes import listing, messages, quotas
from andromede.volumes.api import (
    BlockCall,
    Fields,
    VolumeRoutes,
    adding,
    at_least,
    dropping,
    links,
    needs,
    pairs,
    project_of,
    reach,
    scoped,
    stamp,
    truth,
)
from andromede.volumes.model import Message, Qos
from andromede.volumes.tables import MESSAGES, QOS, TYPES
from andromede.volumes.volume_routes import Body, member_of
from andromede.web.call import Reply
from andromede.web.routes import Target

routes = VolumeRoutes()
LARGEST = 2**31 - 1


def _project(call: BlockCall, body: Any = None) -> Target:
    """The project that the path asks for."""
    scoped(call)
    return Target(project_id=call.params["project_id"])


def _read(call: BlockCall) -> Any:
    return call.services.volumes.desk.db


@routes.on("GET", "/os-quota-sets/{project_id}", "get_quota", target=_project)
def show_quota(call: BlockCall) -> Any:
    """The limits of a project; with `usage` what it uses of them, too."""
    project = call.params["project_id"]
    limits = quotas.limits(_read(call), project)
    if not truth(call.query.get("usage") or "false", "usage"):
        return {"quota_set": {"id": project, **limits}}
    used = quotas.usage(_read(call), project)
    body = {
        name: {"limit": limit, "in_use": used.get(name, 0), "reserved": 0} for name, limit in limits.items()
    }  # fmt: skip
    return {"quota_set": {"id": project, **body}}


@routes.on("GET", "/os-quota-sets/{project_id}/defaults", "get_quota", target=_project)
def show_defaults(call: BlockCall) -> Any:
    """The limits of a project for which none were set."""
    return {"quota_set": {"id": call.params["project_id"], **quotas.defaults(_read(call))}}


def _values(call: BlockCall, body: Body, key: str) -> dict[str, int]:
    fields = Fields(call, body, key)
    found = {}
    for name in fields.values:
        if name in ("tenant_id", "id", "force"):
            continue
        value = fields.integer(name, -1, LARGEST)
        if value is None:
            raise Invalid(f"Invalid input for {key}.{name[:60]}: it must be a whole number.", "schema")
        found[name] = value
    return found


@routes.on("PUT", "/os-quota-sets/{project_id}", "set_quota", body=Body, target=_project)
def set_quota(call: BlockCall, body: Body) -> Any:
    """Change the limits of a project."""
    limits = call.services.kinds.set_quotas(call, call.params["project_id"], _values(call, body, "quota_set"))
    return {"quota_set": limits}


@routes.on("DELETE", "/os-quota-sets/{project_id}", "delete_quota", target=_project)
def delete_quota(call: BlockCall) -> Reply:
    """Back to the defaults."""
    call.services.kinds.drop_quotas(call, call.params["project_id"])
    return Reply(None, 200)


@routes.on("GET", "/os-quota-class-sets/{name}", "get_quota_class")
def show_class(call: BlockCall) -> Any:
    """The defaults of all projects."""
    return {"quota_class_set": {"id": call.params["name"], **quotas.defaults(_read(call))}}


@routes.on("PUT", "/os-quota-class-sets/{name}", "set_quota_class", body=Body)
def set_class(call: BlockCall, body: Body) -> Any:
    """Change the defaults of all projects; there is one class, `default`."""
    if call.params["name"] != "default":
        raise Invalid(f"There is one quota class, default, and no {call.params['name'][:60]!r}.", "quota")
    values = _values(call, body, "quota_class_set")
    values.pop("class_name", None)
    call.services.kinds.set_quotas(call, quotas.CLASS, values)
    return {"quota_class_set": quotas.defaults(_read(call))}


@routes.on("GET", "/limits", "get_limits")
def show_limits(call: BlockCall) -> Any:
    """The project's limits and what it uses, in one."""
    project = call.query.get("project_id") if reach(call) is None and at_least(call, 39) else None
    project = project or call.who.project_id or ""
    limits, used = quotas.limits(_read(call), project), quotas.usage(_read(call), project)
    absolute = {
        "maxTotalVolumes": limits["volumes"],
        "maxTotalVolumeGigabytes": limits["gigabytes"],
        "maxTotalSnapshots": limits["snapshots"],
        "maxTotalBackups": limits["backups"],
        "maxTotalBackupGigabytes": limits["backup_gigabytes"],
        "totalVolumesUsed": used["volumes"],
        "totalGigabytesUsed": used["gigabytes"],
        "totalSnapshotsUsed": used["snapshots"],
        "totalBackupsUsed": used["backups"],
        "totalBackupGigabytesUsed": used["backup_gigabytes"],
    }
    return {"limits": {"rate": [], "absolute": absolute}}


# --- QoS specs

QOS_SHAPE = listing.Shape(
    texts={"name": lambda q: q.name, "id": lambda q: q.id, "consumer": lambda q: q.consumer},
    sorts={"name": lambda q: q.name, "consumer": lambda q: q.consumer},
)


def _qos(call: BlockCall) -> Qos:
    return call.services.kinds.qos(call.params["qos_id"])


def _qos_view(row: Qos) -> dict[str, Any]:
    return {"id": row.id, "name": row.name, "consumer": row.consumer, "specs": dict(row.specs)}


def _consumer(value: str) -> str:
    if value not in ("front-end", "back-end", "both"):
        raise Invalid("Invalid consumer: it must be front-end, back-end or both.", "schema")
    return value


@routes.on("GET", "/qos-specs", "list_qos")
def list_qos(call: BlockCall) -> Any:
    """All of them."""
    page = listing.Page(call, QOS.select(_read(call)), QOS_SHAPE)
    return page.body(call, "qos_specs", [_qos_view(row) for row in page.rows])


@routes.on("POST", "/qos-specs", "create_qos", body=Body)
def create_qos(call: BlockCall, body: Body) -> Any:
    """New limits: a name, a consumer, and any other pairs."""
    fields = Fields(call, body, "qos_specs")
    name, consumer = fields.required("name").strip(), _consumer(fields.text("consumer") or "back-end")
    specs = pairs({k: v for k, v in fields.values.items() if k not in ("name", "consumer")}, "qos_specs")
    row = call.services.kinds.create_qos(call, name, consumer, specs)
    return {"qos_specs": _qos_view(row), "links": links(call, f"qos-specs/{row.id}")}


@routes.on("GET", "/qos-specs/{qos_id}", "get_qos")
def show_qos(call: BlockCall) -> Any:
    """One of them."""
    row = _qos(call)
    return {"qos_specs": _qos_view(row), "links": links(call, f"qos-specs/{row.id}")}


@routes.on("PUT", "/qos-specs/{qos_id}", "update_qos", body=Body)
def update_qos(call: BlockCall, body: Body) -> Any:
    """Set pairs, or the consumer."""
    row, given = _qos(call), dict(member_of(body, "qos_specs"))
    more = pairs(given, "qos_specs")
    changes: dict[str, Any] = {}
    if "consumer" in more:
        changes["consumer"] = _consumer(more.pop("consumer"))
    call.services.kinds.update_qos(call, row, specs=adding(more), **changes)
    return {"qos_specs": given}


@routes.on("PUT", "/qos-specs/{qos_id}/delete_keys", "update_qos", body=Body, status=202)
def delete_qos_keys(call: BlockCall, body: Body) -> Reply:
    """Remove pairs."""
    row, keys = _qos(call), body.get("keys")
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise Invalid("keys must be a list of names.", "schema")
    missing = [key for key in keys if key not in row.specs]
    if missing:
        raise Invalid(f"QoS Specs {row.id} has no spec with key {missing[0][:60]}.", "qos")
    call.services.kinds.update_qos(call, row, specs=dropping(*keys))
    return Reply(None, 202)


@routes.on("DELETE", "/qos-specs/{qos_id}", "delete_qos", status=202)
def delete_qos(call: BlockCall) -> Reply:
    """Delete what no type refers to; with `force` also what one does."""
    force = truth(call.query.get("force") or "false", "force")
    call.services.kinds.delete_qos(call, _qos(call), force)
    return Reply(None, 202)


@routes.on("GET", "/qos-specs/{qos_id}/associations", "get_qos")
def list_associations(call: BlockCall) -> Any:
    """The types that refer to it."""
    rows = TYPES.select(_read(call), {"qos_id": _qos(call).id})
    return {"qos_associations": [{"association_type": "volume_type", "name": r.name, "id": r.id} for r in rows]}


@routes.on("GET", "/qos-specs/{qos_id}/associate", "associate_qos", status=202)
def associate(call: BlockCall) -> Reply:
    """Let a type refer to it."""
    return _associate(call, True)


@routes.on("GET", "/qos-specs/{qos_id}/disassociate", "associate_qos", status=202)
def disassociate(call: BlockCall) -> Reply:
    """A type refers to it no more."""
    return _associate(call, False)


def _associate(call: BlockCall, join: bool) -> Reply:
    row, type_id = _qos(call), call.query.get("vol_type_id")
    if not type_id:
        raise Invalid("Volume Type id must not be None: give vol_type_id.", "qos")
    call.services.kinds.associate(call, row, type_id, join)
    return Reply(None, 202)


@routes.on("GET", "/qos-specs/{qos_id}/disassociate_all", "associate_qos", status=202)
def disassociate_all(call: BlockCall) -> Reply:
    """No type refers to it."""
    call.services.kinds.disassociate_all(call, _qos(call))
    return Reply(None, 202)


# --- messages (3.3)

MESSAGE_SHAPE = listing.Shape(
    texts={
        "event_id": lambda m: m.event_id,
        "resource_uuid": lambda m: m.resource_id,
        "resource_type": lambda m: m.resource_type,
        "request_id": lambda m: m.request_id,
        "message_level": lambda m: "ERROR",
        "id": lambda m: m.id,
    },
    sorts={
        "event_id": lambda m: m.event_id,
        "resource_type": lambda m: m.resource_type,
        "resource_uuid": lambda m: m.resource_id,
        "request_id": lambda m: m.request_id,
        "message_level": lambda m: "ERROR",
        "guaranteed_until": lambda m: m.created_us,
    },
)


def _message(call: BlockCall) -> Message:
    needs(call, 3)
    return call.services.kinds.message(call.params["message_id"], reach(call))


def _message_target(call: BlockCall, body: Any = None) -> Target:
    scoped(call)
    return Target(project_id=_message(call).project_id)


def _message_view(call: BlockCall, row: Message) -> dict[str, Any]:
    return {
        "id": row.id,
        "event_id": row.event_id,
        "user_message": row.text,
        "message_level": "ERROR",
        "created_at": stamp(row.created_us),
        "guaranteed_until": stamp(row.created_us + messages.KEPT_SECONDS * US),
        "request_id": row.request_id,
        "resource_type": row.resource_type,
        "resource_uuid": row.resource_id,
        "links": links(call, f"messages/{row.id}"),
    }


@routes.on("GET", "/messages", "list_messages")
def list_messages(call: BlockCall) -> Any:
    """Why things did not work, the newest first."""
    needs(call, 3)
    project_of(call)
    page = listing.Page(call, MESSAGES.select(_read(call), listing.owner(call)), MESSAGE_SHAPE)
    return page.body(call, "messages", [_message_view(call, row) for row in page.rows])


@routes.on("GET", "/messages/{message_id}", "get_message", target=_message_target)
def show_message(call: BlockCall) -> Any:
    """One of them."""
    return {"message": _message_view(call, _message(call))}


@routes.on("DELETE", "/messages/{message_id}", "delete_message", target=_message_target, status=204)
def delete_message(call: BlockCall) -> None:
    """Forget it."""
    call.services.kinds.delete_message(call, _message(call))

"""Groups of volumes (Block Storage API v3, "Generic volume groups", 3.13; "Group types", 3.11; "Group snapshots",
3.14)."""

from __future__ import annotations

from typing import Any

from andromede.errors import Invalid, NotFound
from andromede.volumes import listing, types
from andromede.volumes.action_routes import allow, named
from andromede.volumes.api import (
    BlockCall,
    Fields,
    VolumeRoutes,
    adding,
    at_least,
    dropping,
    needs,
    pairs,
    project_of,
    reach,
    scoped,
    stamp,
    truth,
)
from andromede.volumes.model import Group, GroupSnapshot, GroupType
from andromede.volumes.tables import GROUP_SNAPSHOTS, GROUP_TYPES, GROUPS
from andromede.volumes.volume_routes import Body, member_of
from andromede.web.call import Reply
from andromede.web.routes import Target

routes = VolumeRoutes()
DEFAULT_NAME = "default_cgsnapshot_type"
"""What `group_types/default` looks for."""


# --- types


def type_view(call: BlockCall, row: GroupType) -> dict[str, Any]:
    """A group type; what it is specified by is for administrators."""
    body: dict[str, Any] = {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "is_public": row.is_public,
    }
    return body | ({"group_specs": dict(row.specs)} if reach(call) is None else {})


def _type(call: BlockCall) -> GroupType:
    needs(call, 11)
    row = call.services.groups.type(call.params["group_type_id"])
    if not row.is_public and reach(call) is not None:
        raise NotFound(f"Group type {row.id} could not be found.", "group_type")
    return row


TYPE_SHAPE = listing.Shape(
    texts={"name": lambda t: t.name, "id": lambda t: t.id},
    dicts={"group_specs": lambda t: t.specs},
    sorts={"name": lambda t: t.name},
    others=("is_public",),
)


@routes.on("GET", "/group_types", "list_group_types")
def list_group_types(call: BlockCall) -> Any:
    """Kinds of groups."""
    needs(call, 11)
    rows = GROUP_TYPES.select(call.services.groups.desk.db)
    asked = call.query.get("is_public") or "true"
    if reach(call) is not None or asked.lower() != "none":
        wanted = reach(call) is not None or truth(asked, "is_public")
        rows = [row for row in rows if row.is_public == wanted]
    page = listing.Page(call, rows, TYPE_SHAPE)
    return page.body(call, "group_types", [type_view(call, row) for row in page.rows])


@routes.on("GET", "/group_types/default", "get_group_type")
def default_group_type(call: BlockCall) -> Any:
    """The kind that a group without one would have."""
    needs(call, 11)
    row = GROUP_TYPES.find(call.services.groups.desk.db, name=DEFAULT_NAME)
    if row is None:
        raise NotFound("The resource could not be found: there is no default group type.", "group_type")
    return {"group_type": type_view(call, row)}


@routes.on("GET", "/group_types/{group_type_id}", "get_group_type")
def show_group_type(call: BlockCall) -> Any:
    """One kind."""
    return {"group_type": type_view(call, _type(call))}


@routes.on("POST", "/group_types", "create_group_type", body=Body, status=202)
def create_group_type(call: BlockCall, body: Body) -> Any:
    """A new kind."""
    needs(call, 11)
    fields = Fields(call, body, "group_type", ("name", "description", "is_public", "group_specs"))
    wish = GroupType(
        "", fields.required("name").strip(), fields.text("description"), fields.flag("is_public", True),
        fields.pairs("group_specs"), 0,
    )  # fmt: skip
    return {"group_type": type_view(call, call.services.groups.create_type(call, wish))}


@routes.on("PUT", "/group_types/{group_type_id}", "update_group_type", body=Body)
def update_group_type(call: BlockCall, body: Body) -> Any:
    """Change name, description or who sees it."""
    fields = Fields(call, body, "group_type", ("name", "description", "is_public"))
    changes: dict[str, Any] = {}
    if fields.values.get("name") is not None:
        changes["name"] = fields.required("name").strip()
    if fields.values.get("description") is not None:
        changes["description"] = fields.text("description")
    if fields.values.get("is_public") is not None:
        changes["is_public"] = fields.flag("is_public")
    if not changes:
        raise Invalid("Specify group type name, description or is_public.", "schema")
    return {"group_type": type_view(call, call.services.groups.update_type(call, _type(call), **changes))}


@routes.on("DELETE", "/group_types/{group_type_id}", "delete_group_type", status=202)
def delete_group_type(call: BlockCall) -> None:
    """Delete a kind that no group has."""
    call.services.groups.delete_type(call, _type(call))


@routes.on("GET", "/group_types/{group_type_id}/group_specs", "list_group_specs")
def list_group_specs(call: BlockCall) -> Any:
    """What a kind is specified by."""
    return {"group_specs": dict(_type(call).specs)}


@routes.on("POST", "/group_types/{group_type_id}/group_specs", "set_group_specs", body=Body, status=202)
def create_group_specs(call: BlockCall, body: Body) -> Any:
    """Add to it."""
    row, more = _type(call), pairs(member_of(body, "group_specs"), "group_specs")
    call.services.groups.update_type(call, row, specs=adding(more))
    return {"group_specs": more}


def _spec(call: BlockCall) -> tuple[GroupType, str]:
    row, key = _type(call), call.params["key"]
    if key not in row.specs:
        raise NotFound(f"Group Type {row.id} has no specs with key {key[:60]}.", "spec")
    return row, key


@routes.on("GET", "/group_types/{group_type_id}/group_specs/{key}", "list_group_specs")
def show_group_spec(call: BlockCall) -> Any:
    """One pair."""
    row, key = _spec(call)
    return {key: row.specs[key]}


@routes.on("PUT", "/group_types/{group_type_id}/group_specs/{key}", "set_group_specs", body=Body)
def update_group_spec(call: BlockCall, body: Body) -> Any:
    """Set one pair."""
    row, key = _type(call), call.params["key"]
    if list(body) != [key]:
        raise Invalid("The body must hold just the key of the path.", "schema")
    more = pairs(body, "group_specs")
    call.services.groups.update_type(call, row, specs=adding(more))
    return more


@routes.on("DELETE", "/group_types/{group_type_id}/group_specs/{key}", "set_group_specs", status=202)
def delete_group_spec(call: BlockCall) -> None:
    """Remove one pair."""
    row, key = _spec(call)
    call.services.groups.update_type(call, row, specs=dropping(key))


# --- groups


def _group(call: BlockCall) -> Group:
    needs(call, 13)
    return call.services.groups.find(call.params["group_id"], reach(call))


def _group_target(call: BlockCall, body: Any = None) -> Target:
    scoped(call)
    return Target(project_id=_group(call).project_id)


def group_view(call: BlockCall, row: Group) -> dict[str, Any]:
    """A group in detail."""
    body: dict[str, Any] = {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "status": call.services.groups.status(row),
        "availability_zone": row.zone,
        "created_at": stamp(row.created_us),
        "group_type": row.type_id,
        "volume_types": list(row.volume_types),
    }
    if at_least(call, 14):
        body["group_snapshot_id"] = row.group_snapshot_id or None
        body["source_group_id"] = row.source_group_id or None
    if at_least(call, 25) and call.query.get("list_volume"):
        body["volumes"] = [volume.id for volume in call.services.groups.volumes(row.id)]
    if at_least(call, 38):
        body["replication_status"] = None
    return body


GROUP_SHAPE = listing.Shape(
    texts={"name": lambda g: g.name, "id": lambda g: g.id, "group_type": lambda g: g.type_id},
    sorts={"name": lambda g: g.name},
    others=("list_volume", "status"),
)


def _groups(call: BlockCall) -> listing.Page:
    needs(call, 13)
    rows = GROUPS.select(call.services.groups.desk.db, listing.owner(call))
    if wanted := call.query.get("status"):
        rows = [row for row in rows if call.services.groups.status(row) == wanted.lower()]
    return listing.Page(call, rows, GROUP_SHAPE)


@routes.on("GET", "/groups", "list_groups")
def list_groups(call: BlockCall) -> Any:
    """Groups of the project."""
    page = _groups(call)
    return page.body(call, "groups", [{"id": row.id, "name": row.name} for row in page.rows])


@routes.on("GET", "/groups/detail", "list_groups")
def list_groups_detail(call: BlockCall) -> Any:
    """The same in detail."""
    page = _groups(call)
    return page.body(call, "groups", [group_view(call, row) for row in page.rows])


@routes.on("GET", "/groups/{group_id}", "get_group", target=_group_target)
def show_group(call: BlockCall) -> Any:
    """One group."""
    return {"group": group_view(call, _group(call))}


@routes.on("POST", "/groups", "create_group", body=Body, status=202)
def create_group(call: BlockCall, body: Body) -> Any:
    """An empty group."""
    needs(call, 13)
    known = ("name", "description", "group_type", "volume_types", "availability_zone")
    fields = Fields(call, body, "group", known)
    kinds, db = fields.values.get("volume_types"), call.services.groups.desk.db
    if not isinstance(kinds, list) or not kinds or not all(isinstance(kind, str) for kind in kinds):
        raise Invalid("volume_types must be a list of types.", "schema")
    found = [types.find(db, kind, reach(call)).id for kind in kinds]
    kind = call.services.groups.type(fields.required("group_type"))
    zone = fields.text("availability_zone") or call.services.volumes.tools.zone
    wish = Group(
        "", project_of(call), fields.text("name") or "", fields.text("description"), zone, kind.id, found, "", "", "", 0
    )
    row = call.services.groups.create(call, wish)
    return {"group": {"id": row.id, "name": row.name}}


@routes.on("PUT", "/groups/{group_id}", "update_group", body=Body, target=_group_target, status=202)
def update_group(call: BlockCall, body: Body) -> Reply:
    """Change name, description and members."""
    fields = Fields(call, body, "group", ("name", "description", "add_volumes", "remove_volumes"))
    changes = {name: fields.text(name) or "" for name in ("name", "description") if fields.values.get(name) is not None}
    join, leave = (
        [part for part in (fields.text(name, 4096) or "").split(",") if part]
        for name in ("add_volumes", "remove_volumes")
    )
    if not (changes or join or leave):
        raise Invalid("At least one of name, description, add_volumes and remove_volumes must be given.", "schema")
    call.services.groups.update(call, _group(call), changes, join, leave)
    return Reply(None, 202)


@routes.on("POST", "/groups/{group_id}/action", "group_action", body=Body, target=_group_target, status=202)
def group_action(call: BlockCall, body: Body) -> Reply:
    """delete, reset_status (3.20); replication says why not."""
    name, value = named(body)
    row = _group(call)
    if name == "delete":
        allow(call, "delete_group", row.project_id)
        fields = Fields(call, {name: value}, name, ("delete-volumes",))
        call.services.groups.delete(call, row, fields.flag("delete-volumes"))
    elif name == "reset_status":
        needs(call, 20)
        allow(call, "reset_group_status", row.project_id)
        status = Fields(call, {name: value}, name, ("status",)).required("status").lower()
        call.services.groups.reset(call, row, status)
    elif name in ("enable_replication", "disable_replication", "failover_replication", "list_replication_targets"):
        raise Invalid(f"Group {row.id} is replicated nowhere.", "group")
    else:
        raise Invalid(f"There is no such action: {name[:80]}", "action")
    return Reply(None, 202)


@routes.on("POST", "/groups/action", "create_group", body=Body, status=202)
def create_group_from(call: BlockCall, body: Body) -> Any:
    """create-from-src (3.14): copies of the members of a group, or of a group snapshot."""
    needs(call, 14)
    name, value = named(body)
    if name != "create-from-src":
        raise Invalid(f"There is no such action: {name[:80]}", "action")
    allow(call, "create_group_from", project_of(call))
    fields = Fields(call, {name: value}, name, ("name", "description", "group_snapshot_id", "source_group_id"))
    snapshot_id, group_id = fields.identifier("group_snapshot_id"), fields.identifier("source_group_id")
    if bool(snapshot_id) == bool(group_id):
        raise Invalid("Give group_snapshot_id or source_group_id, and one of them.", "schema")
    groups = call.services.groups
    if snapshot_id:
        origin = groups.find(groups.snapshot(snapshot_id, reach(call)).group_id, None)
    else:
        origin = groups.find(group_id, reach(call))
    wish = Group(
        "", project_of(call), fields.text("name") or "", fields.text("description"), origin.zone, origin.type_id,
        origin.volume_types, snapshot_id, group_id, "", 0,
    )  # fmt: skip
    row = groups.create_from(call, wish)
    return {"group": {"id": row.id, "name": row.name}}


# --- group snapshots


def _snapshot(call: BlockCall) -> GroupSnapshot:
    needs(call, 14)
    return call.services.groups.snapshot(call.params["group_snapshot_id"], reach(call))


def _snapshot_target(call: BlockCall, body: Any = None) -> Target:
    scoped(call)
    return Target(project_id=_snapshot(call).project_id)


def snapshot_view(call: BlockCall, row: GroupSnapshot) -> dict[str, Any]:
    """A group snapshot in detail."""
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "group_id": row.group_id,
        "group_type_id": row.type_id,
        "status": call.services.groups.snapshot_status(row),
        "created_at": stamp(row.created_us),
    }


SNAPSHOT_SHAPE = listing.Shape(
    texts={"name": lambda g: g.name, "id": lambda g: g.id, "group_id": lambda g: g.group_id},
    sorts={"name": lambda g: g.name, "group_id": lambda g: g.group_id},
    others=("status",),
)


def _snapshots(call: BlockCall) -> listing.Page:
    needs(call, 14)
    rows = GROUP_SNAPSHOTS.select(call.services.groups.desk.db, listing.owner(call))
    if wanted := call.query.get("status"):
        rows = [row for row in rows if call.services.groups.snapshot_status(row) == wanted.lower()]
    return listing.Page(call, rows, SNAPSHOT_SHAPE)


@routes.on("GET", "/group_snapshots", "list_group_snapshots")
def list_group_snapshots(call: BlockCall) -> Any:
    """Group snapshots of the project."""
    page = _snapshots(call)
    return page.body(call, "group_snapshots", [{"id": row.id, "name": row.name} for row in page.rows])


@routes.on("GET", "/group_snapshots/detail", "list_group_snapshots")
def list_group_snapshots_detail(call: BlockCall) -> Any:
    """The same in detail."""
    page = _snapshots(call)
    return page.body(call, "group_snapshots", [snapshot_view(call, row) for row in page.rows])


@routes.on("GET", "/group_snapshots/{group_snapshot_id}", "get_group_snapshot", target=_snapshot_target)
def show_group_snapshot(call: BlockCall) -> Any:
    """One of them."""
    return {"group_snapshot": snapshot_view(call, _snapshot(call))}


@routes.on("POST", "/group_snapshots", "create_group_snapshot", body=Body, status=202)
def create_group_snapshot(call: BlockCall, body: Body) -> Any:
    """Snapshot every member of a group."""
    needs(call, 14)
    fields = Fields(call, body, "group_snapshot", ("group_id", "name", "description"))
    group = call.services.groups.find(fields.required("group_id"), reach(call))
    name, text = fields.text("name") or "", fields.text("description")
    wish = GroupSnapshot("", group.project_id, name, text, group.id, group.type_id, "", 0)
    row = call.services.groups.take(call, wish)
    return {"group_snapshot": {"id": row.id, "name": row.name, "group_type_id": row.type_id}}


@routes.on(
    "PUT", "/group_snapshots/{group_snapshot_id}", "update_group_snapshot", body=Body, target=_snapshot_target
)  # fmt: skip
def update_group_snapshot(call: BlockCall, body: Body) -> Any:
    """Change name or description."""
    fields = Fields(call, body, "group_snapshot", ("name", "description"))
    changes = {name: fields.text(name) or "" for name in ("name", "description") if fields.values.get(name) is not None}
    row = _snapshot(call)
    call.services.groups.update_snapshot(call, row, **changes)
    return {"group_snapshot": {"id": row.id, "name": changes.get("name", row.name)}}


@routes.on(
    "DELETE", "/group_snapshots/{group_snapshot_id}", "delete_group_snapshot", target=_snapshot_target, status=202
)
def delete_group_snapshot(call: BlockCall) -> None:
    """Delete it with all that it holds."""
    call.services.groups.delete_snapshot(call, _snapshot(call))


@routes.on(
    "POST", "/group_snapshots/{group_snapshot_id}/action", "group_snapshot_action", body=Body,
    target=_snapshot_target, status=202,
)  # fmt: skip
def group_snapshot_action(call: BlockCall, body: Body) -> Reply:
    """reset_status (3.19)."""
    needs(call, 19)
    name, value = named(body)
    row = _snapshot(call)
    if name != "reset_status":
        raise Invalid(f"There is no such action: {name[:80]}", "action")
    allow(call, "reset_group_snapshot_status", row.project_id)
    status = Fields(call, {name: value}, name, ("status",)).required("status").lower()
    if status not in ("available", "creating", "deleting", "error", "error_deleting", "updating"):
        raise Invalid(f"Invalid status {status[:60]!r}.", "status")
    call.services.groups.update_snapshot(call, row, status=status)
    return Reply(None, 202)

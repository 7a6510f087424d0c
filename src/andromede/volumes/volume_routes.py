"""Volumes (Block Storage API v3, "Volumes", "Volume metadata")."""

from __future__ import annotations

from typing import Any

from andromede.errors import Invalid, NotFound
from andromede.volumes import editing, listing, views
from andromede.volumes.api import (
    BlockCall,
    Fields,
    VolumeRoutes,
    adding,
    at_least,
    dropping,
    pairs,
    project_of,
    reach,
    scoped,
    truth,
)
from andromede.volumes.creation import LARGEST
from andromede.volumes.model import Volume, VolumeWish
from andromede.volumes.tables import ATTACHMENTS, TYPES, VOLUMES
from andromede.web.routes import Target

routes = VolumeRoutes()
Body = dict[str, Any]
SHAPE = listing.Shape(
    texts={
        "name": lambda v: v.name,
        "display_name": lambda v: v.name,
        "description": lambda v: v.description,
        "status": lambda v: v.state,
        "id": lambda v: v.id,
        "size": lambda v: v.size,
        "availability_zone": lambda v: v.zone,
        "user_id": lambda v: v.user_id,
        "volume_type_id": lambda v: v.type_id,
        "snapshot_id": lambda v: v.snapshot_id,
        "source_volid": lambda v: v.source_id,
        "group_id": lambda v: v.group_id,
        "migration_status": lambda v: v.migration,
        "image_id": lambda v: v.image_id,
    },
    flags={
        "bootable": lambda v: v.bootable,
        "multiattach": lambda v: v.multiattach,
        "encrypted": lambda v: True,
        "consumes_quota": lambda v: True,
        "deleted": lambda v: False,
    },
    dicts={
        "metadata": lambda v: v.metadata,
        "glance_metadata": lambda v: v.image_metadata,
        "volume_image_metadata": lambda v: v.image_metadata,
    },
    sorts={
        "name": lambda v: v.name or "",
        "size": lambda v: v.size,
        "status": lambda v: v.state,
        "availability_zone": lambda v: v.zone,
        "bootable": lambda v: v.bootable,
        "user_id": lambda v: v.user_id,
        "updated_at": lambda v: v.updated_us,
        "volume_type_id": lambda v: v.type_id,
        "snapshot_id": lambda v: v.snapshot_id,
        "host": lambda v: "",
    },
    others=("volume_type", "attach_status", "host"),
)
_CREATE = (
    "size", "name", "display_name", "description", "display_description", "availability_zone", "source_volid",
    "snapshot_id", "imageRef", "image_id", "volume_type", "metadata", "consistencygroup_id", "multiattach", "group_id",
    "backup_id", "user_id", "project_id", "status", "attach_status", "scheduler_hints", "shareable", "cipher",
    "source_replica",
)  # fmt: skip
_UPDATE = ("name", "display_name", "description", "display_description", "metadata")


def find(call: BlockCall) -> Volume:
    """The volume of the path, if the caller may know of it."""
    return call.services.volumes.find(call.params["volume_id"], reach(call))


def volume_target(call: BlockCall, body: Any = None) -> Target:
    """The project of the volume of the path."""
    scoped(call)
    return Target(project_id=find(call).project_id)


def _wish(call: BlockCall, fields: Fields) -> VolumeWish:
    size = fields.values.get("size")
    if size is not None and (isinstance(size, float) or (isinstance(size, str) and not size.strip())):
        raise Invalid(f"Invalid input received: size {str(size)[:40]!r} must be a number of GiB.", "size")
    count = fields.integer("size", 1, LARGEST)
    kind = fields.values.get("volume_type")
    name = kind.get("id") or kind.get("name") if isinstance(kind, dict) else kind
    if name is not None and not isinstance(name, str):
        raise Invalid("Invalid input for volume.volume_type: it must be a name or an id.", "schema")
    backup_id = fields.identifier("backup_id")
    if backup_id and not at_least(call, 47):
        raise Invalid("A volume can be made of a backup from microversion 3.47 on.", "schema")
    group_id = fields.identifier("group_id") if at_least(call, 13) else ""
    wish = VolumeWish(
        size=count or 0, name=label_of(fields, "name"), description=label_of(fields, "description"),
        image_id=fields.identifier("imageRef") or fields.identifier("image_id"),
        snapshot_id=fields.identifier("snapshot_id"), source_id=fields.identifier("source_volid"),
        backup_id=backup_id, type=name or "", zone=fields.identifier("availability_zone"),
        multiattach=fields.flag("multiattach"), group_id=group_id, metadata=fields.pairs("metadata"),
    )  # fmt: skip
    if sum(map(bool, (wish.image_id, wish.snapshot_id, wish.source_id, wish.backup_id))) > 1:
        raise Invalid("A volume is made of one source: an image, a snapshot, a volume or a backup.", "schema")
    return wish


def label_of(fields: Fields, name: str) -> str | None:
    """`name`, or `display_name` as version 1 called it, without blanks around it."""
    value = fields.text(name) if name in fields else fields.text(f"display_{name}")
    return value.strip() if value is not None else None


@routes.on("POST", "/volumes", "create", body=Body, status=202)
def create_volume(call: BlockCall, body: Body) -> Any:
    """Accept a volume and answer at once; a worker makes it."""
    fields = Fields(call, body, "volume", _CREATE)
    if isinstance(body.get("OS-SCH-HNT:scheduler_hints", {}), dict) is False:
        raise Invalid("OS-SCH-HNT:scheduler_hints must be an object.", "schema")
    wish, project_id = _wish(call, fields), project_of(call)
    if wish.backup_id:
        made = call.services.backups.create_volume(call, project_id, wish)
    else:
        made = editing.create(call.services.volumes, call, project_id, wish, reach(call) is None)
    return {"volume": views.volume(call, made, True)}


def _page(call: BlockCall) -> listing.Page:
    where = listing.owner(call)
    db = call.services.volumes.desk.db
    rows = VOLUMES.select(db, where)
    kind, status = call.query.get("volume_type"), call.query.get("attach_status")
    if kind is not None:
        ids = {row.id for row in TYPES.select(db) if kind in (row.id, row.name)}
        rows = [row for row in rows if row.type_id in ids]
    if status is not None:
        held = {item.volume_id for item in ATTACHMENTS.select(db, {"status": "attached"})}
        rows = [row for row in rows if ("attached" if row.id in held else "detached") == status]
    host = call.query.get("host")
    if host is not None and host not in _hosts(call):
        rows = []
    return listing.Page(call, rows, SHAPE)


def _hosts(call: BlockCall) -> tuple[str, ...]:
    name = call.services.volumes.tools.host
    return name, name + "@qcow2", views.host_name(name)


@routes.on("GET", "/volumes", "list")
def list_volumes(call: BlockCall) -> Any:
    """Volumes of the project, the newest first."""
    page = _page(call)
    return page.body(call, "volumes", [views.summary(call, row, "volumes") for row in page.rows])


@routes.on("GET", "/volumes/detail", "list")
def list_volumes_detail(call: BlockCall) -> Any:
    """The same in detail."""
    page = _page(call)
    render = views.Volumes(call, page.rows)
    return page.body(call, "volumes", [render.one(row) for row in page.rows])


@routes.on("GET", "/volumes/summary", "list")
def summary(call: BlockCall) -> Any:
    """How many volumes of which size in all (3.12), and what metadata they have (3.36)."""
    if not at_least(call, 12):
        raise NotFound("Volume summary could not be found.", "volume")
    rows = _page(call).all
    body: dict[str, Any] = {"total_count": len(rows), "total_size": sum(row.size for row in rows)}
    if at_least(call, 36):
        found: dict[str, set[str]] = {}
        for row in rows:
            for name, value in row.metadata.items():
                found.setdefault(name, set()).add(value)
        body["metadata"] = {name: sorted(values) for name, values in found.items()}
    return {"volume-summary": body}


@routes.on("GET", "/volumes/{volume_id}", "get", target=volume_target)
def show_volume(call: BlockCall) -> Any:
    """One volume."""
    return {"volume": views.volume(call, find(call))}


@routes.on("PUT", "/volumes/{volume_id}", "update", body=Body, target=volume_target)
def update_volume(call: BlockCall, body: Body) -> Any:
    """Change name, description or metadata."""
    fields = Fields(call, body, "volume", _UPDATE)
    if not fields.values:
        raise Invalid("Invalid input: the body needs something to change.", "schema")
    changes: dict[str, Any] = {}
    for name in ("name", "description"):
        if name in fields or f"display_{name}" in fields:
            changes[name] = label_of(fields, name)
    if "metadata" in fields:
        changes["metadata"] = fields.pairs("metadata")
    made = editing.update(call.services.volumes, call, find(call), changes)
    return {"volume": views.volume(call, made, True)}


@routes.on("DELETE", "/volumes/{volume_id}", "delete", target=volume_target, status=202)
def delete_volume(call: BlockCall) -> None:
    """Delete a volume; `cascade`: with its snapshots; `force` (3.23, administrators): in any state."""
    cascade = truth(call.query.get("cascade") or "false", "cascade")
    force = at_least(call, 23) and truth(call.query.get("force") or "false", "force")
    if force and reach(call) is not None:
        force = False
    editing.delete(call.services.volumes, call, find(call), cascade, force)


# --- metadata


@routes.on("GET", "/volumes/{volume_id}/metadata", "get_metadata", target=volume_target)
def show_metadata(call: BlockCall) -> Any:
    """All of it."""
    return {"metadata": dict(find(call).metadata)}


@routes.on("POST", "/volumes/{volume_id}/metadata", "update_metadata", body=Body, target=volume_target)
def create_metadata(call: BlockCall, body: Body) -> Any:
    """Add to it."""
    volume, more = find(call), pairs(member_of(body, "metadata"), "metadata")
    return _metadata(call, volume, adding(more, "metadata"))


@routes.on("PUT", "/volumes/{volume_id}/metadata", "update_metadata", body=Body, target=volume_target)
def replace_metadata(call: BlockCall, body: Body) -> Any:
    """Replace it."""
    return _metadata(call, find(call), pairs(member_of(body, "metadata"), "metadata"))


def member_of(body: Body, name: str) -> Any:
    if not isinstance(body.get(name), dict):
        raise Invalid(f"Invalid input: the body needs an object '{name}'.", "schema")
    return body[name]


def _metadata(call: BlockCall, volume: Volume, change: Any) -> Any:
    made = editing.update(call.services.volumes, call, volume, {"metadata": change})
    return {"metadata": dict(made.metadata)}


@routes.on("GET", "/volumes/{volume_id}/metadata/{key}", "get_metadata", target=volume_target)
def show_metadata_item(call: BlockCall) -> Any:
    """One pair."""
    return {"meta": {call.params["key"]: item_of(call, find(call).metadata)}}


def item_of(call: BlockCall, metadata: dict[str, str]) -> str:
    if call.params["key"] not in metadata:
        raise NotFound(f"There is no metadata key {call.params['key'][:60]!r}.", "metadata")
    return metadata[call.params["key"]]


@routes.on("PUT", "/volumes/{volume_id}/metadata/{key}", "update_metadata", body=Body, target=volume_target)
def update_metadata_item(call: BlockCall, body: Body) -> Any:
    """Set one pair."""
    meta, key, volume = pairs(member_of(body, "meta"), "meta"), call.params["key"], find(call)
    if list(meta) != [key]:
        raise Invalid("The body must hold just the key of the path.", "schema")
    _metadata(call, volume, adding(meta, "metadata"))
    return {"meta": meta}


@routes.on("DELETE", "/volumes/{volume_id}/metadata/{key}", "delete_metadata", target=volume_target)
def delete_metadata_item(call: BlockCall) -> None:
    """Remove one pair."""
    volume = find(call)
    item_of(call, volume.metadata)
    _metadata(call, volume, dropping(call.params["key"]))

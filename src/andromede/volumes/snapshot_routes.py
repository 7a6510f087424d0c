"""Snapshots (Block Storage API v3, "Volume snapshots", "Snapshot actions")."""

from __future__ import annotations

from typing import Any

from andromede.errors import Invalid, NotFound
from andromede.volumes import listing, views
from andromede.volumes.action_routes import allow, named
from andromede.volumes.api import BlockCall, Fields, VolumeRoutes, adding, at_least, dropping, pairs, reach, scoped
from andromede.volumes.model import Snapshot
from andromede.volumes.tables import SNAPSHOTS
from andromede.volumes.volume_routes import Body, item_of, label_of, member_of
from andromede.web.call import Reply
from andromede.web.routes import Target

routes = VolumeRoutes()
SHAPE = listing.Shape(
    texts={
        "name": lambda s: s.name,
        "display_name": lambda s: s.name,
        "description": lambda s: s.description,
        "status": lambda s: s.state,
        "volume_id": lambda s: s.volume_id,
        "id": lambda s: s.id,
        "user_id": lambda s: s.user_id,
        "size": lambda s: s.size,
        "volume_size": lambda s: s.size,
        "group_snapshot_id": lambda s: s.group_snapshot_id,
        "progress": lambda s: s.progress,
    },
    flags={"consumes_quota": lambda s: True, "deleted": lambda s: False},
    dicts={"metadata": lambda s: s.metadata},
    sorts={
        "name": lambda s: s.name or "",
        "status": lambda s: s.state,
        "volume_id": lambda s: s.volume_id,
        "updated_at": lambda s: s.updated_us,
        "user_id": lambda s: s.user_id,
    },
    others=("availability_zone",),
)
_CREATE = ("volume_id", "name", "display_name", "description", "display_description", "force", "metadata")


def find(call: BlockCall) -> Snapshot:
    """The snapshot of the path, if the caller may know of it."""
    return call.services.snapshots.find(call.params["snapshot_id"], reach(call))


def snapshot_target(call: BlockCall, body: Any = None) -> Target:
    """The project of the snapshot of the path."""
    scoped(call)
    return Target(project_id=find(call).project_id)


@routes.on("POST", "/snapshots", "create_snapshot", body=Body, status=202)
def create_snapshot(call: BlockCall, body: Body) -> Any:
    """Accept a snapshot; of a volume in use with `force`, and from 3.66 on without."""
    fields = Fields(call, body, "snapshot", _CREATE)
    force = fields.flag("force")
    if at_least(call, 66):
        if "force" in fields and not force:
            raise Invalid("force = false is not possible from microversion 3.66 on; leave it out.", "schema")
        force = True
    facts = {
        "name": label_of(fields, "name"),
        "description": label_of(fields, "description"),
        "metadata": fields.pairs("metadata"),
    }
    if "volume_id" in fields and fields.values["volume_id"] is None:
        raise NotFound("Volume None could not be found.", "volume")
    made = call.services.snapshots.create(call, fields.required("volume_id"), reach(call), facts, force)
    return {"snapshot": views.snapshot(call, made, False)}


def _page(call: BlockCall) -> listing.Page:
    rows = SNAPSHOTS.select(call.services.volumes.desk.db, listing.owner(call))
    zone = call.query.get("availability_zone")
    if zone is not None and zone != call.services.volumes.tools.zone:
        rows = []
    return listing.Page(call, rows, SHAPE)


@routes.on("GET", "/snapshots", "list_snapshots")
def list_snapshots(call: BlockCall) -> Any:
    """Snapshots of the project, the newest first."""
    page = _page(call)
    return page.body(call, "snapshots", [views.snapshot(call, row, False) for row in page.rows])


@routes.on("GET", "/snapshots/detail", "list_snapshots")
def list_snapshots_detail(call: BlockCall) -> Any:
    """The same in detail."""
    page = _page(call)
    return page.body(call, "snapshots", [views.snapshot(call, row) for row in page.rows])


@routes.on("GET", "/snapshots/{snapshot_id}", "get_snapshot", target=snapshot_target)
def show_snapshot(call: BlockCall) -> Any:
    """One snapshot."""
    return {"snapshot": views.snapshot(call, find(call))}


@routes.on("PUT", "/snapshots/{snapshot_id}", "update_snapshot", body=Body, target=snapshot_target)
def update_snapshot(call: BlockCall, body: Body) -> Any:
    """Change name or description."""
    fields = Fields(call, body, "snapshot", _CREATE[1:5])
    names = [name for name in ("name", "description") if name in fields or f"display_{name}" in fields]
    if not names:
        raise Invalid("Invalid input: the body needs a name or a description.", "schema")
    changes = {name: label_of(fields, name) for name in names}
    return {"snapshot": views.snapshot(call, call.services.snapshots.update(call, find(call), changes), False)}


@routes.on("DELETE", "/snapshots/{snapshot_id}", "delete_snapshot", target=snapshot_target, status=202)
def delete_snapshot(call: BlockCall) -> None:
    """Delete a snapshot."""
    call.services.snapshots.delete(call, find(call))


@routes.on("POST", "/snapshots/{snapshot_id}/action", "snapshot_action", body=Body, target=snapshot_target, status=202)
def snapshot_action(call: BlockCall, body: Body) -> Reply:
    """os-reset_status, os-update_snapshot_status, os-force_delete; os-unmanage says why not."""
    name, value = named(body)
    snapshot = find(call)
    if name == "os-force_delete":
        allow(call, "force_delete_snapshot", snapshot.project_id)
        call.services.snapshots.delete(call, snapshot, True)
    elif name in ("os-reset_status", "os-update_snapshot_status"):
        allow(call, "reset_snapshot_status" if "reset" in name else "update_snapshot_status", snapshot.project_id)
        fields = Fields(call, {name: value}, name, ("status", "progress"))
        progress = fields.text("progress")
        if progress is not None and not (progress.rstrip("%").isdigit() and int(progress.rstrip("%")) <= 100):
            raise Invalid("progress must be a percentage such as 80%.", "schema")
        call.services.snapshots.reset(call, snapshot, fields.required("status").lower(), progress)
    else:
        raise Invalid(f"There is no such action: {name[:80]}", "action")
    return Reply(None, 202)


# --- metadata


def _metadata(call: BlockCall, snapshot: Snapshot, change: Any) -> Any:
    return {"metadata": dict(call.services.snapshots.update(call, snapshot, {"metadata": change}).metadata)}


@routes.on("GET", "/snapshots/{snapshot_id}/metadata", "get_snapshot_metadata", target=snapshot_target)
def show_metadata(call: BlockCall) -> Any:
    """All of it."""
    return {"metadata": dict(find(call).metadata)}


@routes.on("POST", "/snapshots/{snapshot_id}/metadata", "update_snapshot_metadata", body=Body, target=snapshot_target)
def create_metadata(call: BlockCall, body: Body) -> Any:
    """Add to it."""
    snapshot, more = find(call), pairs(member_of(body, "metadata"), "metadata")
    return _metadata(call, snapshot, adding(more, "metadata"))


@routes.on("PUT", "/snapshots/{snapshot_id}/metadata", "update_snapshot_metadata", body=Body, target=snapshot_target)
def replace_metadata(call: BlockCall, body: Body) -> Any:
    """Replace it."""
    return _metadata(call, find(call), pairs(member_of(body, "metadata"), "metadata"))


@routes.on("GET", "/snapshots/{snapshot_id}/metadata/{key}", "get_snapshot_metadata", target=snapshot_target)
def show_metadata_item(call: BlockCall) -> Any:
    """One pair."""
    return {"meta": {call.params["key"]: item_of(call, find(call).metadata)}}


@routes.on(
    "PUT", "/snapshots/{snapshot_id}/metadata/{key}", "update_snapshot_metadata", body=Body, target=snapshot_target
)
def update_metadata_item(call: BlockCall, body: Body) -> Any:
    """Set one pair."""
    meta, key, snapshot = pairs(member_of(body, "meta"), "meta"), call.params["key"], find(call)
    if list(meta) != [key]:
        raise Invalid("The body must hold just the key of the path.", "schema")
    _metadata(call, snapshot, adding(meta, "metadata"))
    return {"meta": meta}


@routes.on("DELETE", "/snapshots/{snapshot_id}/metadata/{key}", "delete_snapshot_metadata", target=snapshot_target)
def delete_metadata_item(call: BlockCall) -> None:
    """Remove one pair."""
    snapshot = find(call)
    item_of(call, snapshot.metadata)
    _metadata(call, snapshot, dropping(call.params["key"]))

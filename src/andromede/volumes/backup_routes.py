"""Backups (Block Storage API v3, "Backups", "Backup actions")."""

from __future__ import annotations

from typing import Any

from andromede.errors import Invalid
from andromede.volumes import listing, store, views
from andromede.volumes.action_routes import allow, named
from andromede.volumes.api import BlockCall, Fields, VolumeRoutes, at_least, needs, project_of, reach, scoped
from andromede.volumes.backups import SERVICE
from andromede.volumes.model import Backup
from andromede.volumes.tables import BACKUPS
from andromede.volumes.volume_routes import Body, label_of
from andromede.web.call import Reply
from andromede.web.routes import Target

routes = VolumeRoutes()
SHAPE = listing.Shape(
    texts={
        "name": lambda b: b.name,
        "description": lambda b: b.description,
        "status": lambda b: b.state,
        "volume_id": lambda b: b.volume_id,
        "snapshot_id": lambda b: b.snapshot_id,
        "id": lambda b: b.id,
        "availability_zone": lambda b: b.zone,
        "container": lambda b: b.container,
        "size": lambda b: b.size,
        "user_id": lambda b: b.user_id,
        "parent_id": lambda b: b.parent_id,
    },
    flags={"is_incremental": lambda b: b.incremental, "deleted": lambda b: False},
    dicts={"metadata": lambda b: b.metadata},
    sorts={
        "name": lambda b: b.name or "",
        "status": lambda b: b.state,
        "size": lambda b: b.size,
        "volume_id": lambda b: b.volume_id,
        "updated_at": lambda b: b.updated_us,
        "data_timestamp": lambda b: b.data_us,
        "container": lambda b: b.container,
    },
)
_CREATE = (
    "volume_id", "snapshot_id", "name", "description", "container", "incremental", "force", "metadata",
    "availability_zone",
)  # fmt: skip


def find(call: BlockCall) -> Backup:
    """The backup of the path, if the caller may know of it."""
    return call.services.backups.find(call.params["backup_id"], reach(call))


def backup_target(call: BlockCall, body: Any = None) -> Target:
    """The project of the backup of the path."""
    scoped(call)
    return Target(project_id=find(call).project_id)


@routes.on("POST", "/backups", "create_backup", body=Body, status=202)
def create_backup(call: BlockCall, body: Body) -> Any:
    """Accept a backup of a volume, or of one of its snapshots."""
    fields = Fields(call, body, "backup", _CREATE)
    volume = call.services.volumes.find(fields.required("volume_id"), reach(call))
    zone = fields.identifier("availability_zone")
    if zone and at_least(call, 51) and zone != call.services.volumes.tools.zone:
        raise Invalid(f"Availability zone {zone[:60]!r} is invalid.", "zone")
    facts: dict[str, Any] = {
        "name": label_of(fields, "name"),
        "description": label_of(fields, "description"),
        "snapshot_id": fields.identifier("snapshot_id"),
    }
    if at_least(call, 43):
        facts["metadata"] = fields.pairs("metadata")
    if container := fields.text("container"):
        facts["container"] = container
    incremental, force = fields.flag("incremental"), fields.flag("force")
    made = call.services.backups.create(call, volume, facts, incremental, force)
    return {"backup": views.backup_summary(call, made)}


def _page(call: BlockCall) -> listing.Page:
    return listing.Page(call, BACKUPS.select(call.services.volumes.desk.db, listing.owner(call)), SHAPE)


@routes.on("GET", "/backups", "list_backups")
def list_backups(call: BlockCall) -> Any:
    """Backups of the project, the newest first."""
    page = _page(call)
    return page.body(call, "backups", [views.summary(call, row, "backups") for row in page.rows])


@routes.on("GET", "/backups/detail", "list_backups")
def list_backups_detail(call: BlockCall) -> Any:
    """The same in detail."""
    page = _page(call)
    parents = store.parents(call.services.volumes.desk.db)
    return page.body(call, "backups", [views.backup(call, row, row.id in parents) for row in page.rows])


@routes.on("GET", "/backups/{backup_id}", "get_backup", target=backup_target)
def show_backup(call: BlockCall) -> Any:
    """One backup."""
    row = find(call)
    return {"backup": views.backup(call, row, store.has_dependents(call.services.volumes.desk.db, row.id))}


@routes.on("PUT", "/backups/{backup_id}", "update_backup", body=Body, target=backup_target)
def update_backup(call: BlockCall, body: Body) -> Any:
    """Change name, description (3.9) or metadata (3.43)."""
    needs(call, 9)
    fields = Fields(call, body, "backup", ("name", "description", "metadata"))
    changes: dict[str, Any] = {name: label_of(fields, name) for name in ("name", "description") if name in fields}
    if "metadata" in fields and at_least(call, 43):
        changes["metadata"] = fields.pairs("metadata")
    if not changes:
        raise Invalid("Invalid input: the body needs something to change.", "schema")
    return {"backup": views.backup_summary(call, call.services.backups.update(call, find(call), changes))}


@routes.on("DELETE", "/backups/{backup_id}", "delete_backup", target=backup_target, status=202)
def delete_backup(call: BlockCall) -> None:
    """Delete a backup that no incremental one builds upon."""
    call.services.backups.delete(call, find(call))


@routes.on("POST", "/backups/{backup_id}/restore", "restore_backup", body=Body, target=backup_target, status=202)
def restore_backup(call: BlockCall, body: Body) -> Any:
    """Restore to a volume, or to a new one with a given name."""
    fields = Fields(call, body, "restore", ("volume_id", "name"))
    row = find(call)
    volume = call.services.backups.restore(call, row, fields.identifier("volume_id"), fields.text("name"))
    return {"restore": {"backup_id": row.id, "volume_id": volume.id, "volume_name": volume.name or ""}}


@routes.on("POST", "/backups/{backup_id}/action", "backup_action", body=Body, target=backup_target, status=202)
def backup_action(call: BlockCall, body: Body) -> Reply:
    """os-reset_status and os-force_delete, for administrators."""
    name, value = named(body)
    row = find(call)
    if name == "os-force_delete":
        allow(call, "force_delete_backup", row.project_id)
        call.services.backups.delete(call, row, True)
    elif name == "os-reset_status":
        allow(call, "reset_backup_status", row.project_id)
        fields = Fields(call, {name: value}, name, ("status",))
        call.services.backups.reset(call, row, fields.required("status").lower())
    else:
        raise Invalid(f"There is no such action: {name[:80]}", "action")
    return Reply(None, 202)


@routes.on("GET", "/backups/{backup_id}/export_record", "export_backup", target=backup_target)
def export_record(call: BlockCall) -> Any:
    """What is needed to find the data again, should the row be lost."""
    row = find(call)
    if row.state != "available":
        raise Invalid(f"Backup status must be available and is {row.state}.", "state")
    return {"backup-record": {"backup_service": SERVICE, "backup_url": call.services.backups.export(row)}}


@routes.on("POST", "/backups/import_record", "import_backup", body=Body, status=201)
def import_record(call: BlockCall, body: Body) -> Any:
    """A row for an exported record of this project."""
    project_of(call)
    fields = Fields(call, body, "backup-record", ("backup_service", "backup_url"))
    row = call.services.backups.imported(
        call, fields.required("backup_service"), fields.required("backup_url", 16384)
    )  # fmt: skip
    return {"backup": views.summary(call, row, "backups")}

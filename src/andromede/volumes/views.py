"""Volumes and what belongs to them as the API shows them, by microversion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from andromede.volumes.api import BlockCall, at_least, links, reach, stamp
from andromede.volumes.model import Attachment, Backup, Snapshot, Transfer, Volume
from andromede.volumes.tables import ATTACHMENTS, DISKS, TYPES

POOL = "qcow2#local"


def host_name(host: str) -> str:
    """`HOST@BACKEND#POOL`"""
    return f"{host}@{POOL}"


def summary(call: BlockCall, row: Any, kind: str) -> dict[str, Any]:
    """Id, name and links."""
    return {"id": row.id, "name": row.name, "links": links(call, f"{kind}/{row.id}")}


def _attached(call: BlockCall, item: Attachment) -> dict[str, Any]:
    return {
        "id": item.volume_id,
        "attachment_id": item.id,
        "volume_id": item.volume_id,
        "server_id": item.server_id or None,
        "host_name": (item.host or None) if reach(call) is None else None,
        "device": item.device or None,
        "attached_at": stamp(item.attached_us),
    }


class Volumes:
    """Renders many volumes with few queries."""

    def __init__(self, call: BlockCall, rows: Sequence[Volume]) -> None:
        self._call = call
        reader = call.services.volumes.desk.db
        ids = [row.id for row in rows]
        self._types = {row.id: row.name for row in TYPES.select(reader)}
        self._attachments: dict[str, list[Attachment]] = {}
        for item in ATTACHMENTS.select(reader, {"volume_id": ids}):
            self._attachments.setdefault(item.volume_id, []).append(item)
        self._keys: Mapping[str, str] = {}
        if at_least(call, 64):
            self._keys = {row.id: row.key_id for row in DISKS.select(reader, {"id": ids})}

    def one(self, volume: Volume, created: bool = False) -> dict[str, Any]:
        """A volume in detail; an answer to its creation or change shows less."""
        call = self._call
        metadata = dict(volume.metadata)
        if volume.readonly is not None and not created:
            metadata["readonly"] = "True" if volume.readonly else "False"
        body: dict[str, Any] = {
            "id": volume.id,
            "name": volume.name,
            "description": volume.description,
            "status": volume.state,
            "size": volume.size,
            "availability_zone": volume.zone,
            "created_at": stamp(volume.created_us),
            "updated_at": stamp(volume.updated_us),
            "volume_type": self._types.get(volume.type_id),
            "snapshot_id": volume.snapshot_id or None,
            "source_volid": volume.source_id or None,
            "metadata": metadata,
            "links": links(call, f"volumes/{volume.id}"),
            "user_id": volume.user_id,
            "bootable": "true" if volume.bootable else "false",
            "encrypted": True,
            "replication_status": None,
            "consistencygroup_id": None,
            "multiattach": volume.multiattach,
            "attachments": [
                _attached(call, item)
                for item in self._attachments.get(volume.id, [])
                if item.status in ("attached", "detaching")
            ],
        }
        if created:
            body["migration_status"] = volume.migration
        else:
            self._detail(volume, body)
        return body | self._newer(volume, created)

    def _detail(self, volume: Volume, body: dict[str, Any]) -> None:
        call = self._call
        if volume.image_metadata:
            body["volume_image_metadata"] = dict(volume.image_metadata)
        body["os-vol-tenant-attr:tenant_id"] = volume.project_id
        if reach(call) is None:
            body["os-vol-host-attr:host"] = host_name(call.services.volumes.tools.host)
            body["os-vol-mig-status-attr:migstat"] = volume.migration
            body["os-vol-mig-status-attr:name_id"] = None
            body["migration_status"] = volume.migration

    def _newer(self, volume: Volume, created: bool) -> dict[str, Any]:
        call = self._call
        body: dict[str, Any] = {}
        admin = reach(call) is None
        if at_least(call, 13):
            body["group_id"] = volume.group_id or None
        if at_least(call, 21) and admin and not created:
            body["provider_id"] = None
        if at_least(call, 48):
            body["service_uuid"] = None
            body["shared_targets"] = False
        if at_least(call, 61) and admin and not created:
            body["cluster_name"] = None
        if at_least(call, 63):
            body["volume_type_id"] = volume.type_id
        if at_least(call, 64) and volume.id in self._keys:
            body["encryption_key_id"] = self._keys[volume.id]
        if at_least(call, 65):
            body["consumes_quota"] = True
        return body


def volume(call: BlockCall, row: Volume, created: bool = False) -> dict[str, Any]:
    """One volume."""
    return Volumes(call, [row]).one(row, created)


def snapshot(call: BlockCall, row: Snapshot, detail: bool = True) -> dict[str, Any]:
    """One snapshot."""
    body: dict[str, Any] = {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "status": row.state,
        "size": row.size,
        "volume_id": row.volume_id,
        "created_at": stamp(row.created_us),
        "updated_at": stamp(row.updated_us),
        "metadata": dict(row.metadata),
    }
    if detail:
        body["os-extended-snapshot-attributes:progress"] = row.progress
        body["os-extended-snapshot-attributes:project_id"] = row.project_id
        if at_least(call, 14):
            body["group_snapshot_id"] = row.group_snapshot_id or None
    if at_least(call, 41):
        body["user_id"] = row.user_id
    if at_least(call, 65):
        body["consumes_quota"] = True
    return body


def backup_summary(call: BlockCall, row: Backup) -> dict[str, Any]:
    """What an answer to a backup's creation shows."""
    body = summary(call, row, "backups")
    return body | ({"metadata": dict(row.metadata)} if at_least(call, 43) else {})


def backup(call: BlockCall, row: Backup, dependents: bool) -> dict[str, Any]:
    """One backup; `dependents`: whether incremental ones build upon it."""
    body: dict[str, Any] = {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "status": row.state,
        "fail_reason": row.fault or None,
        "size": row.size,
        "object_count": row.objects,
        "container": row.container,
        "availability_zone": row.zone,
        "created_at": stamp(row.created_us),
        "updated_at": stamp(row.updated_us),
        "volume_id": row.volume_id,
        "snapshot_id": row.snapshot_id or None,
        "is_incremental": row.incremental,
        "has_dependent_backups": dependents,
        "data_timestamp": stamp(row.data_us),
        "links": links(call, f"backups/{row.id}"),
    }
    if at_least(call, 18) and reach(call) is None:
        body["os-backup-project-attr:project_id"] = row.project_id
    if at_least(call, 43):
        body["metadata"] = dict(row.metadata)
    if at_least(call, 56):
        body["user_id"] = row.user_id
    if at_least(call, 64):
        body["encryption_key_id"] = None
    return body


def transfer(call: BlockCall, row: Transfer, detail: bool = True) -> dict[str, Any]:
    """One transfer; its key is shown when it is made, never again."""
    path = "volume-transfers" if "volume-transfers" in call.path else "os-volume-transfer"
    body: dict[str, Any] = {
        "id": row.id,
        "name": row.name,
        "volume_id": row.volume_id,
        "links": links(call, f"{path}/{row.id}"),
    }
    if not detail:
        return body
    body["created_at"] = stamp(row.created_us)
    if at_least(call, 55):
        body["no_snapshots"] = not row.snapshots
    if at_least(call, 57):
        body["source_project_id"] = row.project_id
        body["destination_project_id"] = row.destination or None
        body["accepted"] = row.accepted
    return body


def attachment(row: Attachment, detail: bool = True) -> dict[str, Any]:
    """One attachment (3.27)."""
    status = row.status if row.status != "detaching" else "attached"
    body: dict[str, Any] = {
        "id": row.id,
        "volume_id": row.volume_id,
        "instance": row.server_id or None,
        "status": status,
    }
    if detail:
        body["attached_at"] = stamp(row.attached_us)
        body["detached_at"] = None
        body["attach_mode"] = row.mode
        body["connection_info"] = (
            {} if status == "reserved" else {"driver_volume_type": "qcow2", "attachment_id": row.id}
        )
    return body

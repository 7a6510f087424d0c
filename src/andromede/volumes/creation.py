"""New volumes: where their bytes come from, how large and of which type they are."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from andromede.audit.changes import Change
from andromede.db.table import Reader
from andromede.errors import Invalid, NotFound
from andromede.volumes import quotas, types
from andromede.volumes.engine import GIB
from andromede.volumes.model import Snapshot, Volume, VolumeType, VolumeWish
from andromede.volumes.ports import Picture, Pictures
from andromede.volumes.tables import SNAPSHOTS, VOLUMES

LARGEST = 4096
"""GiB of one volume: what one cluster of a qcow2 L1 table covers."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A wish with everything resolved that needs no transaction."""

    wish: VolumeWish
    kind: VolumeType
    size: int
    image_metadata: dict[str, str]
    bootable: bool


def _owned(row: Any, project_id: str | None, what: str, row_id: str) -> Any:
    if row is None or (project_id is not None and row.project_id != project_id):
        raise NotFound(f"{what} {row_id} could not be found.", what.lower())
    return row


def snapshot_of(reader: Reader, wish: VolumeWish, project_id: str | None) -> Snapshot:
    """The snapshot to copy."""
    found: Snapshot = _owned(SNAPSHOTS.find(reader, id=wish.snapshot_id), project_id, "Snapshot", wish.snapshot_id)
    if found.state != "available":
        raise Invalid(f"Snapshot {found.id} is {found.state}: it must be available to make a volume of it.", "state")
    return found


def source_of(reader: Reader, wish: VolumeWish, project_id: str | None) -> Volume:
    """The volume to copy."""
    found: Volume = _owned(VOLUMES.find(reader, id=wish.source_id), project_id, "Volume", wish.source_id)
    if found.state not in ("available", "in-use"):
        raise Invalid(f"Volume {found.id} is {found.state}: it must be available or in-use to be copied.", "state")
    return found


def needs(picture: Picture) -> int:
    """GiB that an image wants at least."""
    return max(picture.min_disk, -(-max(picture.virtual_size, picture.size) // GIB), 1)


def mapped(picture: Picture) -> str:
    """The snapshot that an image of a server on volumes names as its root; "" for an image of bytes."""
    try:
        rows = json.loads(picture.properties.get("block_device_mapping") or "[]")
    except ValueError:
        return ""
    if picture.size or not isinstance(rows, list):
        return ""
    roots = (row for row in rows if isinstance(row, dict) and row.get("boot_index") == 0)
    return str(next(roots, {}).get("snapshot_id") or "")


def about(picture: Picture) -> dict[str, str]:
    """What a volume remembers of its image."""
    facts = {
        "image_id": picture.id,
        "image_name": picture.name,
        "checksum": picture.checksum,
        "container_format": picture.container_format,
        "disk_format": picture.disk_format,
        "min_disk": str(picture.min_disk),
        "min_ram": str(picture.min_ram),
        "size": str(picture.size),
    }
    return {**{name: str(value) for name, value in picture.properties.items()}, **facts}


def plan(reader: Reader, pictures: Pictures, project_id: str, wish: VolumeWish, anyone: bool = False) -> Plan:
    """Resolve a wish. `anyone`: administrators copy what belongs to others."""
    owner = None if anyone else project_id
    picture = pictures.find(wish.image_id, project_id) if wish.image_id else None
    if picture is not None:
        if picture.status != "active":
            raise Invalid(f"Image {picture.id} is {picture.status}: it must be active to make a volume of it.", "image")
        if snapshot_id := mapped(picture):
            wish, picture = replace(wish, image_id="", snapshot_id=snapshot_id), None
    least, image_metadata, bootable, kind = 0, {}, False, ""
    if wish.snapshot_id:
        snapshot = snapshot_of(reader, wish, owner)
        origin = VOLUMES.find(reader, id=snapshot.volume_id)
        least = snapshot.size
        if origin is not None:
            image_metadata, bootable, kind = origin.image_metadata, origin.bootable, origin.type_id
    elif wish.source_id:
        source = source_of(reader, wish, owner)
        least, image_metadata, bootable, kind = source.size, source.image_metadata, source.bootable, source.type_id
    elif picture is not None:
        least, image_metadata, bootable = needs(picture), about(picture), True
    size = wish.size or (least if not wish.image_id else 0)
    if not 1 <= size <= LARGEST:
        raise Invalid(f"Invalid input received: size {size!r} must be a number of GiB from 1 to {LARGEST}.", "size")
    if size < least:
        raise Invalid(f"Invalid input received: size {size} GiB is smaller than its source, {least} GiB.", "size")
    found = types.find(reader, wish.type or kind, owner) if wish.type or kind else types.default(reader, project_id)
    multiattach = wish.multiattach or found.specs.get("multiattach", "").lower() == "<is> true"
    return Plan(replace(wish, multiattach=multiattach), found, size, image_metadata, bootable)


def insert(change: Change, volume_id: str, owner: tuple[str, str], made: Plan, request_id: str) -> Volume:
    """Add the row of a planned volume, within the quota; `owner`: project and user."""
    project_id, user_id = owner
    quotas.claim_size(change.tx, project_id, made.size)
    quotas.claim(change.tx, project_id, made.kind, volumes=1, gigabytes=made.size)
    wish = made.wish
    state = "restoring-backup" if wish.backup_id else "creating"
    volume = Volume(
        id=volume_id, project_id=project_id, user_id=user_id, name=wish.name, description=wish.description,
        size=made.size, type_id=made.kind.id, zone=wish.zone, bootable=made.bootable, multiattach=wish.multiattach,
        metadata=dict(wish.metadata), image_metadata=made.image_metadata, snapshot_id=wish.snapshot_id,
        source_id=wish.source_id, image_id=wish.image_id, group_id=wish.group_id, created_us=change.now_us,
        state=state, since_us=change.now_us, due_us=None if wish.backup_id else change.now_us, request_id=request_id,
    )  # fmt: skip
    change.object = f"volume/{volume_id}"
    return VOLUMES.insert(change.tx, volume)

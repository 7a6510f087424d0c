"""What members and administrators do to volumes: rules and rows, one transaction each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from andromede.errors import Invalid, NotFound
from andromede.volumes import attaching, creation, quotas, store, types
from andromede.volumes.model import Volume, VolumeWish
from andromede.volumes.ports import NewPicture, Picture
from andromede.volumes.service import DELETABLE, Volumes
from andromede.volumes.tables import ATTACHMENTS, GROUPS, SNAPSHOTS, TYPES, VOLUMES
from andromede.web.call import Call
from andromede.work.lifecycle import begin, signal

WORKING = ("creating", "downloading", "extending", "uploading", "reverting", "deleting")
"""States in which the host role is at work, unless somebody has reset a row to them."""
RESETS = frozenset(
    (
        "creating", "available", "deleting", "error", "error_deleting", "attaching", "detaching", "in-use",
        "maintenance", "error_extending", "error_restoring", "reserved", "awaiting-transfer", "uploading",
        "extending", "retyping", "backing-up", "restoring-backup",
    )
)  # fmt: skip
"""What an administrator may say of a volume."""
AnyCall = Call[Any]


def name_of(volume: Volume) -> str:
    """The object of audit events."""
    return f"volume/{volume.id}"


def create(volumes: Volumes, call: AnyCall, project_id: str, wish: VolumeWish, anyone: bool) -> Volume:
    """A new volume; `anyone`: the caller may copy what belongs to others."""
    zone = volumes.tools.zone
    if wish.zone and wish.zone != zone:
        raise Invalid(f"Availability zone '{wish.zone}' is invalid: this installation has {zone}.", "zone")
    wish = replace(wish, zone=zone)
    made = creation.plan(volumes.desk.db, volumes.tools.pictures, project_id, wish, anyone)
    if wish.group_id and GROUPS.find(volumes.desk.db, id=wish.group_id, project_id=project_id) is None:
        raise NotFound(f"Group {wish.group_id} could not be found.", "group")
    volume_id = volumes.desk.ids.dashed()
    with volumes.desk.change(call, tenant=project_id) as change:
        return creation.insert(change, volume_id, (project_id, call.who.user_id), made, call.request_id)


def update(volumes: Volumes, call: AnyCall, volume: Volume, changes: dict[str, Any]) -> Volume:
    """Name, description or metadata; `changes` as `attaching.resolved` takes them."""
    with volumes.desk.change(call, name_of(volume), volume.project_id) as change:
        changes = attaching.resolved(attaching.locked(change.tx, volume.id), changes)
        VOLUMES.update(change.tx, {"id": volume.id}, updated_us=change.now_us, **changes)
        return attaching.locked(change.tx, volume.id)


def delete(volumes: Volumes, call: AnyCall, volume: Volume, cascade: bool, force: bool) -> None:
    """Delete a volume. With `cascade` its snapshots go too; with `force` the state does not matter."""
    with volumes.desk.change(call, name_of(volume), volume.project_id) as change:
        tx = change.tx
        volume = attaching.locked(tx, volume.id)
        if not force:
            attaching.refuse(volume, "deleted", *DELETABLE)
            if any(item.status == "attached" for item in ATTACHMENTS.select(tx, {"volume_id": volume.id})):
                raise Invalid(f"Invalid volume: volume {volume.id} is attached; detach it first.", "state")
        if volume.group_id:
            raise Invalid(f"Invalid volume: volume {volume.id} belongs to group {volume.group_id}.", "state")
        snapshots = store.snapshots_of(tx, volume)
        if snapshots and not cascade:
            raise Invalid(
                f"Invalid volume: volume {volume.id} still has {len(snapshots)} dependent snapshots.", "state"
            )
        for snapshot in snapshots:
            signal(tx, SNAPSHOTS.name, snapshot.id, "delete", change.now_us)
        if volume.state in WORKING and volume.due_us is not None and volume.state != "deleting":
            signal(tx, VOLUMES.name, volume.id, "delete", change.now_us)
        else:
            begin(tx, VOLUMES.name, volume.id, (volume.state, "deleting"), change.now_us, request_id=call.request_id)


def extend(volumes: Volumes, call: AnyCall, volume: Volume, size: int, live: bool) -> None:
    """Begin to grow a volume; `live`: also one that is in use (3.42)."""
    with volumes.desk.change(call, name_of(volume), volume.project_id) as change:
        volume = attaching.locked(change.tx, volume.id)
        attaching.refuse(volume, "extended", "available", *(("in-use",) if live else ()))
        if size <= volume.size:
            raise Invalid(
                f"New size for extend must be greater than current size. (current: {volume.size}, extended: {size}).",
                "size",
            )
        quotas.claim_size(change.tx, volume.project_id, size)
        kind = TYPES.find(change.tx, id=volume.type_id)
        quotas.claim(change.tx, volume.project_id, kind, gigabytes=size - volume.size)
        change.detail["size"] = size
        begin(
            change.tx, VOLUMES.name, volume.id, (volume.state, "extending"), change.now_us,
            request_id=call.request_id, new_size=size, previous=volume.state,
        )  # fmt: skip


def retype(volumes: Volumes, call: AnyCall, volume: Volume, name: str) -> None:
    """Another type. All types are made by one engine and encrypted alike, so nothing moves."""
    with volumes.desk.change(call, name_of(volume), volume.project_id) as change:
        volume = attaching.locked(change.tx, volume.id)
        attaching.refuse(volume, "retyped", "available", "in-use")
        try:
            kind = types.find(change.tx, name, volume.project_id)
        except NotFound as error:
            raise Invalid(f"Invalid volume type: {error.public}", "type") from error
        if kind.id == volume.type_id:
            raise Invalid(f"Invalid input: volume {volume.id} is of type {kind.name} already.", "type")
        quotas.claim(change.tx, volume.project_id, kind, volumes=0, gigabytes=0)
        VOLUMES.update(change.tx, {"id": volume.id}, type_id=kind.id, updated_us=change.now_us)


def revert(volumes: Volumes, call: AnyCall, volume: Volume, snapshot_id: str) -> None:
    """Begin to give a volume the bytes of its newest snapshot (3.40)."""
    with volumes.desk.change(call, name_of(volume), volume.project_id) as change:
        volume = attaching.locked(change.tx, volume.id)
        newest = next(iter(store.snapshots_of(change.tx, volume)), None)
        if newest is None or newest.id != snapshot_id:
            raise Invalid(f"Volume {volume.id} can be reverted to its newest snapshot only.", "snapshot")
        attaching.refuse(volume, "reverted", "available")
        if newest.state != "available":
            raise Invalid(f"Snapshot {snapshot_id} is {newest.state}; it must be available.", "state")
        begin(
            change.tx, VOLUMES.name, volume.id, ("available", "reverting"), change.now_us, request_id=call.request_id,
            **_wish(wipe="yes", snapshot_id=snapshot_id),
        )  # fmt: skip


def reimage(volumes: Volumes, call: AnyCall, volume: Volume, picture: Picture, reserved: bool) -> None:
    """Begin to give a volume the bytes of an image (3.68)."""
    with volumes.desk.change(call, name_of(volume), volume.project_id) as change:
        volume = attaching.locked(change.tx, volume.id)
        attaching.refuse(volume, "written anew", "available", "error", *(("reserved",) if reserved else ()))
        if picture.status != "active" or creation.needs(picture) > volume.size or creation.mapped(picture):
            raise Invalid(
                f"Image {picture.id} is not active, does not fit into volume {volume.id}, or has no bytes of its own.",
                "image",
            )
        VOLUMES.update(change.tx, {"id": volume.id}, image_metadata=creation.about(picture), bootable=True)
        begin(
            change.tx, VOLUMES.name, volume.id, (volume.state, "downloading"), change.now_us,
            request_id=call.request_id, image_id=picture.id, **_wish(wipe="yes"),
        )  # fmt: skip


def _wish(**wish: str) -> dict[str, Any]:
    return {"wish": VOLUMES.encode("wish", wish)}


def upload(
    volumes: Volumes, call: AnyCall, volume: Volume, wish: NewPicture, force: bool
) -> tuple[Volume, Picture]:  # fmt: skip
    """Begin to make an image of a volume; `force`: also of one that is in use."""
    attaching.refuse(volume, "uploaded", "available", *(("in-use",) if force else ()))
    project_id = call.who.project_id or volume.project_id
    picture = volumes.tools.pictures.begin(project_id, call.who.user_id, wish, call.request_id)
    with volumes.desk.change(call, name_of(volume), volume.project_id) as change:
        volume = attaching.locked(change.tx, volume.id)
        attaching.refuse(volume, "uploaded", "available", *(("in-use",) if force else ()))
        change.detail["image"] = picture.id
        begin(
            change.tx, VOLUMES.name, volume.id, (volume.state, "uploading"), change.now_us,
            request_id=call.request_id, previous=volume.state,
            **_wish(image_id=picture.id, copy_id=volumes.desk.ids.dashed()),
        )  # fmt: skip
        return attaching.locked(change.tx, volume.id), picture


def reset(volumes: Volumes, call: AnyCall, volume: Volume, status: str | None, migration: str | None) -> None:
    """Say what state a volume is in, without doing anything about it. Administrators only."""
    changes: dict[str, Any] = {} if migration is None else {"migration": migration}
    if status is not None:
        if status not in RESETS:
            raise Invalid(f"Invalid status {status[:60]!r}: no volume can be in it.", "status")
        changes |= {"state": status, "due_us": None, "holder": "", "lease_us": 0, "fault": "", "signals": ""}
    with volumes.desk.change(call, name_of(volume), volume.project_id) as change:
        VOLUMES.update(change.tx, {"id": volume.id}, updated_us=change.now_us, **changes)
        if status == "available":
            ATTACHMENTS.remove(change.tx, volume_id=volume.id, status=["reserved", "attaching"])

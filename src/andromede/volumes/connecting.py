"""Attachments that clients make by themselves (os-attach and its kin, and the attachments API, 3.27).

Those of servers belong to Nova: only the server lets go of a volume that it has open.
"""

from __future__ import annotations

from typing import Any

from andromede.audit.changes import Change
from andromede.errors import Conflict, Invalid, NotFound
from andromede.volumes import attaching
from andromede.volumes.editing import name_of
from andromede.volumes.model import Attachment, Volume
from andromede.volumes.service import Volumes
from andromede.volumes.tables import ATTACHMENTS
from andromede.web.call import Call

AnyCall = Call[Any]
BY_CLIENT: dict[str, object] = {"by": "client"}


def find(volumes: Volumes, attachment_id: str, project_id: str | None) -> Attachment:
    """An attachment of the project; of any with None."""
    row = ATTACHMENTS.find(volumes.desk.db, id=attachment_id)
    if row is None or (project_id is not None and row.project_id != project_id):
        raise NotFound(
            f"Volume attachment could not be found with filter: attachment_id = {attachment_id}.", "attachment"
        )
    return row


def _free(item: Attachment) -> None:
    """Raise `Conflict` for what Nova has made and uses."""
    if item.server_id and item.connector.get("by") != "client" and item.status != "reserved":
        raise Conflict(
            f"Attachment {item.id} is used by server {item.server_id}: detach the volume from the server.", "nova"
        )


def _make(change: Change, volumes: Volumes, volume: Volume, server_id: str, mode: str) -> Attachment:
    made = attaching.reserve(change, volumes.desk.ids, volume, server_id, mode)
    ATTACHMENTS.update(change.tx, {"id": made.id}, connector=BY_CLIENT, mode=mode)
    return made


def reserve(volumes: Volumes, call: AnyCall, volume: Volume) -> None:
    """os-reserve: `attaching`, for nobody yet."""
    with volumes.desk.change(call, name_of(volume), volume.project_id) as change:
        volume = attaching.locked(change.tx, volume.id)
        attaching.refuse(volume, "reserved", "available", *(("in-use",) if volume.multiattach else ()))
        attaching.set_state(change.tx, volume.id, "attaching", previous=volume.state)


def unreserve(volumes: Volumes, call: AnyCall, volume: Volume) -> None:
    """os-unreserve: back to what it was."""
    with volumes.desk.change(call, name_of(volume), volume.project_id) as change:
        volume = attaching.locked(change.tx, volume.id)
        attaching.refuse(volume, "given back", "attaching", "reserved")
        attaching.settle(change.tx, volume.id, change.now_us)


def attach(volumes: Volumes, call: AnyCall, volume: Volume, where: tuple[str, str], device: str, mode: str) -> None:
    """os-attach: a client tells that it has attached the volume; `where`: server id and host, one of them."""
    with volumes.desk.change(call, name_of(volume), volume.project_id) as change:
        volume = attaching.locked(change.tx, volume.id)
        if volume.readonly and mode == "rw":
            raise Invalid(f"Invalid volume: volume {volume.id} is read-only and cannot be attached as rw.", "mode")
        if volume.state == "attaching" and not ATTACHMENTS.select(change.tx, {"volume_id": volume.id}):
            attaching.set_state(change.tx, volume.id, "available")
            volume = attaching.locked(change.tx, volume.id)
        made = _make(change, volumes, volume, where[0], mode)
        attaching.attached(change, made, where[1], device)


def detach(volumes: Volumes, call: AnyCall, volume: Volume, attachment_id: str, force: bool = False) -> None:
    """os-detach and os-force_detach: a client tells that it has let go; of a volume that is free that says nothing
    new."""
    with volumes.desk.change(call, name_of(volume), volume.project_id) as change:
        volume = attaching.locked(change.tx, volume.id)
        found = ATTACHMENTS.select(change.tx, {"volume_id": volume.id})
        chosen = [item for item in found if attachment_id in ("", item.id)]
        if attachment_id and not chosen:
            raise NotFound(f"Volume {volume.id} has no attachment {attachment_id}.", "attachment")
        if not found and volume.state == "available":
            return
        if not force:
            attaching.refuse(volume, "detached", "in-use", "detaching", "attaching")
        if len(chosen) > 1:
            raise Invalid(f"Volume {volume.id} has {len(chosen)} attachments: name the one to end.", "attachment")
        for item in chosen:
            _free(item)
            attaching.detached(change, item)
        if force and volume.state in ("error", "error_restoring", "error_extending"):
            attaching.set_state(change.tx, volume.id, "available")  # as far as its attachments go
        attaching.settle(change.tx, volume.id, change.now_us)


def begin_detaching(volumes: Volumes, call: AnyCall, volume: Volume) -> None:
    """os-begin_detaching."""
    with volumes.desk.change(call, name_of(volume), volume.project_id) as change:
        volume = attaching.locked(change.tx, volume.id)
        attaching.refuse(volume, "detached", "in-use")
        attaching.set_state(change.tx, volume.id, "detaching")


def roll_detaching(volumes: Volumes, call: AnyCall, volume: Volume) -> None:
    """os-roll_detaching."""
    with volumes.desk.change(call, name_of(volume), volume.project_id) as change:
        volume = attaching.locked(change.tx, volume.id)
        attaching.refuse(volume, "kept", "detaching")
        attaching.set_state(change.tx, volume.id, "in-use")


def create(
    volumes: Volumes, call: AnyCall, volume: Volume, server_id: str, connector: dict[str, object] | None, mode: str
) -> Attachment:
    """POST attachments: hold a volume, and with a connector begin to attach it."""
    with volumes.desk.change(call, name_of(volume), volume.project_id) as change:
        volume = attaching.locked(change.tx, volume.id)
        made = _make(change, volumes, volume, server_id, mode)
        if connector:
            _connect(change, made, connector)
        return ATTACHMENTS.find(change.tx, id=made.id) or made


def _connect(change: Change, item: Attachment, connector: dict[str, object]) -> None:
    host, device = str(connector.get("host") or ""), str(connector.get("mountpoint") or "")
    ATTACHMENTS.update(
        change.tx, {"id": item.id}, status="attaching", connector={**connector, **BY_CLIENT}, host=host[:255],
        device=device[:255], attached_us=change.now_us,
    )  # fmt: skip
    attaching.settle(change.tx, item.volume_id, change.now_us)


def connect(volumes: Volumes, call: AnyCall, item: Attachment, connector: dict[str, object]) -> Attachment:
    """PUT attachments: who attaches, and where."""
    with volumes.desk.change(call, f"volume/{item.volume_id}", item.project_id) as change:
        _free(item)
        if item.status == "attached":
            raise Invalid(f"Attachment {item.id} is attached already.", "state")
        _connect(change, item, connector)
        return ATTACHMENTS.find(change.tx, id=item.id) or item


def complete(volumes: Volumes, call: AnyCall, item: Attachment) -> None:
    """os-complete (3.44): it is attached now."""
    with volumes.desk.change(call, f"volume/{item.volume_id}", item.project_id) as change:
        _free(item)
        attaching.attached(change, item, item.host, item.device)


def remove(volumes: Volumes, call: AnyCall, item: Attachment) -> list[Attachment]:
    """DELETE attachments; what is left of the volume's."""
    with volumes.desk.change(call, f"volume/{item.volume_id}", item.project_id) as change:
        _free(item)
        attaching.detached(change, item)
        return ATTACHMENTS.select(change.tx, {"volume_id": item.volume_id})

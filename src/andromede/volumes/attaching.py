"""Volumes at servers: reserved, attached, detached. Rules over one transaction, for the service and the API alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from andromede.audit.changes import Change
from andromede.db import Tx
from andromede.db.table import Reader
from andromede.errors import Invalid, NotFound
from andromede.ids import Ids
from andromede.volumes.model import Attachment, Volume
from andromede.volumes.tables import ATTACHMENTS, VOLUMES


def locked(tx: Tx, volume_id: str) -> Volume:
    """The volume as it is in this transaction. NotFound reason `volume`."""
    volume = VOLUMES.find(tx, id=volume_id)
    if volume is None:
        raise NotFound(f"Volume {volume_id} could not be found.", "volume")
    return volume


def refuse(volume: Volume, what: str, *states: str) -> None:
    """Raise `Invalid` reason `state` unless the volume is in one of the states."""
    if volume.state not in states:
        wanted = " or ".join(states)
        raise Invalid(
            f"Invalid volume: volume {volume.id} cannot be {what} while it is {volume.state}; it must be {wanted}.",
            "state",
        )


def resolved(row: object, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Columns to write: a change that is a function makes the new value of what `row` holds. Given the row as it is in
    the transaction, of two that add to the same pairs at once neither loses what the other has added."""
    return {name: value(getattr(row, name)) if callable(value) else value for name, value in changes.items()}


def set_state(tx: Tx, volume_id: str, state: str, **changes: Any) -> None:
    """A volume at rest comes into another state at rest."""
    VOLUMES.update(tx, {"id": volume_id}, state=state, due_us=None, fault="", **changes)


def of(reader: Reader, volume_id: str, server_id: str) -> Attachment | None:
    """The attachment of a volume to a server."""
    return ATTACHMENTS.find(reader, volume_id=volume_id, server_id=server_id)


def reserve(change: Change, ids: Ids, volume: Volume, server_id: str, mode: str = "rw") -> Attachment:
    """Hold a volume for a server (or for a client that attaches by itself, with an empty id). One that may be attached
    to several servers can be held while it is in use."""
    if server_id and (known := of(change.tx, volume.id, server_id)) is not None:
        if volume.multiattach:
            raise Invalid(f"Invalid volume: volume {volume.id} is attached to server {server_id} already.", "state")
        refuse(volume, "attached", "available")
        return known
    if volume.multiattach:
        refuse(volume, "attached", "available", "in-use", "reserved", "attaching")
    else:
        refuse(volume, "attached", "available")
    made = Attachment(
        ids.dashed(), volume.project_id, volume.id, server_id, "", "", mode, "reserved", {}, None, change.now_us
    )  # fmt: skip
    ATTACHMENTS.insert(change.tx, made)
    if volume.state == "available":
        set_state(change.tx, volume.id, "reserved")
    return made


def attached(change: Change, attachment: Attachment, host: str, device: str) -> None:
    """The server has the volume open now."""
    ATTACHMENTS.update(
        change.tx, {"id": attachment.id}, status="attached", host=host, device=device,
        attached_us=attachment.attached_us or change.now_us,
    )  # fmt: skip
    set_state(change.tx, attachment.volume_id, "in-use", updated_us=change.now_us)


def settle(tx: Tx, volume_id: str, now_us: int) -> None:
    """The state that follows from the attachments that are left."""
    left = {item.status for item in ATTACHMENTS.select(tx, {"volume_id": volume_id})}
    if left & {"attached", "detaching"}:
        state = "in-use"
    elif left:
        state = "attaching" if "attaching" in left else "reserved"
    else:
        state = "available"
    where = {"id": volume_id, "state": ["reserved", "attaching", "detaching", "in-use", "available"]}
    VOLUMES.update(tx, where, state=state, due_us=None, updated_us=now_us)


def detached(change: Change, attachment: Attachment) -> None:
    """The server has let go."""
    ATTACHMENTS.remove(change.tx, id=attachment.id)
    settle(change.tx, attachment.volume_id, change.now_us)

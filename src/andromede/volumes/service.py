"""Block storage for the other services: volumes for servers, and the disks that they boot from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from andromede.audit.changes import Change, Desk
from andromede.db import Tx
from andromede.db.table import Reader
from andromede.errors import Invalid, NotFound
from andromede.volumes import attaching, creation, store
from andromede.volumes.disks import Disks
from andromede.volumes.engine import BlockEngine, Disk, Found, Layer, OpenDisk, Raw, Room, Source
from andromede.volumes.model import Attachment, Snapshot, Volume, VolumeWish
from andromede.volumes.ports import LiveDisks, NewPicture, Picture, Pictures
from andromede.volumes.tables import ATTACHMENTS, SNAPSHOTS, VOLUMES
from andromede.work.lifecycle import begin, signal

ZONE = "nova"
"""The one availability zone."""
DELETABLE = ("available", "error", "error_deleting", "error_extending", "error_restoring", "error_managing")


@dataclass(frozen=True, slots=True)
class Tools:
    """What the service stands on. `host`: the name of the host that holds the disks."""

    desk: Desk
    disks: Disks
    pictures: Pictures
    host: str
    zone: str = ZONE


class Volumes:
    """What Nova and its kin call. Every method is one transaction of its own, or part of the caller's `tx`, which must
    then be a write. Errors as the API tells them: NotFound, Invalid reason `state`, OverQuota."""

    def __init__(self, tools: Tools) -> None:
        self.tools = tools
        self.desk = tools.desk

    @contextmanager
    def _change(self, tx: Tx | None, action: str, volume: Volume, request_id: str) -> Iterator[Change]:
        if tx is not None:  # the caller's transaction has its own event
            yield Change(tx, self.desk.clock.now_us(), f"volume/{volume.id}", volume.project_id)
            return
        with self.desk.system(action, f"volume/{volume.id}", volume.project_id, request_id) as change:
            yield change

    def find(self, volume_id: str, project_id: str | None) -> Volume:
        """A volume of the project; of any with None."""
        volume = VOLUMES.find(self.desk.db, id=volume_id)
        if volume is None or (project_id is not None and volume.project_id != project_id):
            raise NotFound(f"Volume {volume_id} could not be found.", "volume")
        return volume

    def find_snapshot(self, snapshot_id: str, project_id: str | None) -> Snapshot:
        """A snapshot of the project; of any with None."""
        snapshot = SNAPSHOTS.find(self.desk.db, id=snapshot_id)
        if snapshot is None or (project_id is not None and snapshot.project_id != project_id):
            raise NotFound(f"Snapshot {snapshot_id} could not be found.", "snapshot")
        return snapshot

    def create_for(self, project_id: str, user_id: str, wish: VolumeWish, request_id: str) -> Volume:
        """A new volume, which the host role makes; look at its state until it is `available` (or `error`, with the
        reason in `fault`)."""
        wish = wish if wish.zone else replace(wish, zone=self.tools.zone)
        known = VOLUMES.find(self.desk.db, id=wish.id, project_id=project_id) if wish.id else None
        if known is not None:
            return known
        made = creation.plan(self.desk.db, self.tools.pictures, project_id, wish)
        volume_id = wish.id or self.desk.ids.dashed()
        with self.desk.system("volume:create", f"volume/{volume_id}", project_id, request_id) as change:
            return creation.insert(change, volume_id, (project_id, user_id), made, request_id)

    def reserve(
        self, volume_id: str, project_id: str | None, server_id: str, request_id: str, tx: Tx | None = None
    ) -> Attachment:
        """Hold a volume for a server: `available` becomes `reserved`. Invalid reason `state` where it is not free."""
        volume = self.find(volume_id, project_id)
        with self._change(tx, "volume:reserve", volume, request_id) as change:
            return attaching.reserve(change, self.desk.ids, attaching.locked(change.tx, volume_id), server_id)

    def attach(
        self, volume_id: str, server_id: str, device: str, request_id: str, tx: Tx | None = None
    ) -> Attachment:  # fmt: skip
        """The server has a reserved volume open now, under a device name such as `/dev/vdb`: it is `in-use`. May be
        repeated."""
        volume = self.find(volume_id, None)
        with self._change(tx, "volume:attach", volume, request_id) as change:
            known = attaching.of(change.tx, volume_id, server_id)
            if known is None:
                raise Invalid(f"Volume {volume_id} is not reserved for server {server_id}.", "state")
            attaching.attached(change, known, self.tools.host, device)
            return known

    def begin_detaching(
        self, volume_id: str, server_id: str, request_id: str, tx: Tx | None = None
    ) -> Attachment:  # fmt: skip
        """The server is asked to let go: `in-use` becomes `detaching`."""
        volume = self.find(volume_id, None)
        with self._change(tx, "volume:begin_detaching", volume, request_id) as change:
            volume = attaching.locked(change.tx, volume_id)
            known = attaching.of(change.tx, volume_id, server_id)
            if known is None:
                raise NotFound(f"Volume {volume_id} is not attached to server {server_id}.", "attachment")
            attaching.refuse(volume, "detached", "in-use", "detaching")
            ATTACHMENTS.update(change.tx, {"id": known.id}, status="detaching")
            attaching.set_state(change.tx, volume_id, "detaching")
            return known

    def roll_detaching(self, volume_id: str, server_id: str, request_id: str, tx: Tx | None = None) -> None:
        """The server did not let go: it is attached as before."""
        volume = self.find(volume_id, None)
        with self._change(tx, "volume:roll_detaching", volume, request_id) as change:
            ATTACHMENTS.update(
                change.tx, {"volume_id": volume_id, "server_id": server_id, "status": "detaching"}, status="attached"
            )
            attaching.settle(change.tx, volume_id, change.now_us)

    def detach(self, volume_id: str, server_id: str, request_id: str, tx: Tx | None = None) -> None:
        """The server has let go, or a reservation is given up: without other attachments the volume is `available`.
        A volume or attachment that is gone is no error."""
        volume = VOLUMES.find(tx or self.desk.db, id=volume_id)
        if volume is None:
            return
        with self._change(tx, "volume:detach", volume, request_id) as change:
            known = attaching.of(change.tx, volume_id, server_id)
            if known is not None:
                attaching.detached(change, known)

    def delete(self, volume_id: str, request_id: str, tx: Tx | None = None) -> bool:
        """Delete a volume that nothing is attached to, as `delete_on_termination` wants; whether it goes. One that is
        still being made is given up, and one of which there are snapshots stays: images may name them."""
        volume = VOLUMES.find(tx or self.desk.db, id=volume_id)
        if volume is None or self._snapshotted(tx or self.desk.db, volume):
            return False
        with self._change(tx, "volume:delete", volume, request_id) as change:
            volume = attaching.locked(change.tx, volume_id)
            if self._snapshotted(change.tx, volume):
                return False
            states = (DELETABLE, "deleting")
            if not begin(change.tx, VOLUMES.name, volume_id, states, change.now_us, request_id=request_id):
                if volume.state not in ("creating", "downloading", "deleting"):
                    attaching.refuse(volume, "deleted", *DELETABLE)
                signal(change.tx, VOLUMES.name, volume_id, "delete", change.now_us)
        return True

    @staticmethod
    def _snapshotted(reader: Reader, volume: Volume) -> bool:
        return any(snapshot.state != "deleting" for snapshot in store.snapshots_of(reader, volume))

    def attachments(self, volume_id: str) -> list[Attachment]:
        """Of one volume, the oldest first."""
        return ATTACHMENTS.select(self.desk.db, {"volume_id": volume_id})

    def attachments_of(self, server_id: str) -> list[Attachment]:
        """Of one server, the oldest first."""
        return ATTACHMENTS.select(self.desk.db, {"server_id": server_id})

    def image_of(self, volume_id: str) -> dict[str, str]:
        """What is known of the image that a volume was made from: for servers that boot from it."""
        return dict(self.find(volume_id, None).image_metadata)


__all__ = [
    "ZONE",
    "BlockEngine",
    "Disk",
    "Disks",
    "Found",
    "Layer",
    "LiveDisks",
    "NewPicture",
    "OpenDisk",
    "Picture",
    "Pictures",
    "Raw",
    "Room",
    "Source",
    "Tools",
    "Volume",
    "VolumeWish",
    "Volumes",
]

"""Lifecycles of volumes and snapshots."""

from __future__ import annotations

from functools import partial

from andromede.db import Tx
from andromede.errors import Error, Fatal, NotFound, Unavailable
from andromede.volumes import scheduling, steps, store
from andromede.volumes.engine import GIB
from andromede.volumes.model import Snapshot, Volume
from andromede.volumes.steps import POLL_SECONDS, Host
from andromede.volumes.tables import ATTACHMENTS, SNAPSHOTS, TRANSFERS, TYPES, VOLUMES
from andromede.work.lifecycle import Deadline, Lifecycle, Next

LONG, SHORT = 6 * 3600.0, 900.0

# --- volumes


def creating(host: Host, volume: Volume) -> Next:
    """Make the disk: empty, or a copy of a snapshot or of another volume."""
    if not volume.wish:  # a copy under way is not looked at again
        scheduling.place(host.desk.db, TYPES.find(host.desk.db, id=volume.type_id))
    if volume.image_id:
        return Next("downloading")
    if volume.snapshot_id:
        host.disks.copy(volume.project_id, volume.snapshot_id, volume.id, volume.bytes, volume.request_id)
        return Next("available")
    if volume.source_id:
        if VOLUMES.find(host.desk.db, id=volume.source_id) is None:
            raise NotFound(f"volume {volume.source_id}, which was to be copied, is gone", "volume")
        going = steps.copied(host, volume, volume.source_id, volume.id, volume.bytes)
        if going:
            return going
        if volume.wish.get("live"):
            host.disks.grow(volume.id, volume.bytes)
        return Next("available", changes={"wish": {}})
    host.disks.create(volume.project_id, volume.id, volume.bytes, volume.request_id)
    return Next("available")


def downloading(host: Host, volume: Volume) -> Next:
    """Fill the disk with an image; one that is there is removed first where it is to be written anew."""
    if volume.wish.get("wipe"):
        host.disks.remove(volume.id, volume.request_id)
        return Next("downloading", changes={"wish": {}})
    with host.pictures.source(volume.image_id) as source:
        host.disks.create(volume.project_id, volume.id, volume.bytes, volume.request_id, source)
    return Next("available")


def extending(host: Host, volume: Volume) -> Next:
    """Grow the disk, in a running guest by its hypervisor."""
    size = volume.new_size * GIB
    if steps.is_open(host, volume.id):
        if not host.live.grow(steps.server_of(host, volume.id), volume.id, size):
            return Next("extending", POLL_SECONDS)
        host.disks.grown(volume.id, size)
    else:
        host.disks.grow(volume.id, size)
    return Next(volume.previous, changes={"size": volume.new_size, "new_size": 0}, then=partial(_grown, host, volume))


def _grown(host: Host, volume: Volume, tx: Tx) -> None:
    for held in ATTACHMENTS.select(tx, {"volume_id": volume.id, "status": "attached"}):
        host.live.extended(tx, held.server_id, volume)


def reverting(host: Host, volume: Volume) -> Next:
    """Give the disk the bytes of a snapshot: the old one goes, and a copy takes its place."""
    if volume.wish.get("wipe"):
        host.disks.remove(volume.id, volume.request_id)
        return Next("reverting", changes={"wish": {"snapshot_id": volume.wish["snapshot_id"]}})
    snapshot_id = volume.wish["snapshot_id"]
    host.disks.copy(volume.project_id, snapshot_id, volume.id, volume.bytes, volume.request_id)
    return Next("available", changes={"wish": {}})


def uploading(host: Host, volume: Volume) -> Next:
    """Make an image of the bytes. Where that fails the volume is as good as before, and its server may let go of it."""
    if volume.wish.get("uploaded"):
        steps.swept(host, volume)
        return Next(volume.previous, changes={"wish": {}})
    try:
        return _upload(host, volume)
    except (Unavailable, Fatal):  # tried again; or the volume itself is damaged
        raise
    except Error as error:
        why = error.public
        host.pictures.fail(volume.wish["image_id"], why, volume.request_id)
        wish, told = volume.wish | {"uploaded": "no"}, partial(_tell, host, volume, why)
        return Next("uploading", changes={"wish": wish}, then=told)


def _tell(host: Host, volume: Volume, why: str, tx: Tx) -> None:
    steps.tell(tx, host, "volume", volume, why)


def _upload(host: Host, volume: Volume) -> Next:
    """Of a running guest's volume by way of a copy."""
    source, image_id = volume.id, volume.wish["image_id"]
    if volume.wish.get("live") or steps.is_open(host, volume.id):
        source = volume.wish["copy_id"]
        going = steps.copied(host, volume, volume.id, source, volume.bytes)
        if going:
            return going
    with host.disks.plain(source) as raw:
        host.pictures.upload(image_id, raw, volume.request_id)
    if source != volume.id:
        return Next("uploading", changes={"wish": volume.wish | {"uploaded": "yes"}})
    return Next(volume.previous, changes={"wish": {}})


def deleting(host: Host, volume: Volume) -> Next:
    """Remove the disk and destroy its key, once the snapshots that go with it are gone."""
    if store.snapshots_of(host.desk.db, volume):
        return Next("deleting", POLL_SECONDS)
    steps.swept(host, volume)
    host.disks.remove(volume.id, volume.request_id)
    return Next("deleted", then=partial(_forget, volume.id))


def _forget(volume_id: str, tx: Tx) -> None:
    ATTACHMENTS.remove(tx, volume_id=volume_id)
    TRANSFERS.remove(tx, volume_id=volume_id)


def _volume_failed(host: Host, tx: Tx, volume: Volume, why: str) -> None:
    VOLUMES.update(tx, {"id": volume.id}, new_size=0)
    steps.tell(tx, host, "volume", volume, why)


_REST = ("available", "in-use", "error", "error_deleting", "error_extending", "error_restoring")


def volumes(host: Host) -> Lifecycle[Volume]:
    """The lifecycle of volumes. What is at rest for other reasons (attaching, backing-up, ...) is its service's."""
    deletable = {state: frozenset({"deleting"}) for state in _REST}
    return Lifecycle(
        "volume",
        VOLUMES,
        {
            "creating": partial(creating, host),
            "downloading": partial(downloading, host),
            "extending": partial(extending, host),
            "reverting": partial(reverting, host),
            "uploading": partial(uploading, host),
            "deleting": partial(deleting, host),
        },
        {
            **deletable,
            "creating": frozenset({"creating", "downloading", "available", "error", "deleting"}),
            "downloading": frozenset({"downloading", "available", "error", "deleting"}),
            "extending": frozenset({"extending", "available", "in-use", "error_extending"}),
            "reverting": frozenset({"reverting", "available", "error"}),
            "uploading": frozenset({"uploading", "available", "in-use", "error"}),
            "deleting": frozenset({"deleting", "deleted", "error_deleting"}),
        },
        {
            "creating": Deadline(LONG),
            "downloading": Deadline(LONG),
            "extending": Deadline(SHORT, "error_extending"),
            "uploading": Deadline(LONG),
            "reverting": Deadline(LONG),
            "deleting": Deadline(SHORT, "error_deleting"),
        },
        interrupts={"delete": "deleting"},
        undo=partial(_volume_failed, host),
    )


# --- snapshots


def taking(host: Host, snapshot: Snapshot) -> Next:
    """Copy the volume's disk."""
    going = steps.copied(host, snapshot, snapshot.volume_id, snapshot.id, snapshot.size * GIB)
    return going or Next("available", changes={"progress": "100%", "wish": {}})


def dropping(host: Host, snapshot: Snapshot) -> Next:
    """Remove the copy and destroy its key."""
    steps.swept(host, snapshot)
    host.disks.remove(snapshot.id, snapshot.request_id)
    return Next("deleted")


def _snapshot_failed(host: Host, tx: Tx, snapshot: Snapshot, why: str) -> None:
    steps.tell(tx, host, "snapshot", snapshot, why)


def snapshots(host: Host) -> Lifecycle[Snapshot]:
    """The lifecycle of snapshots."""
    return Lifecycle(
        "volume_snapshot",
        SNAPSHOTS,
        {"creating": partial(taking, host), "deleting": partial(dropping, host)},
        {
            "creating": frozenset({"creating", "available", "error", "deleting"}),
            "available": frozenset({"deleting"}),
            "error": frozenset({"deleting"}),
            "error_deleting": frozenset({"deleting"}),
            "deleting": frozenset({"deleting", "deleted", "error_deleting"}),
        },
        {"creating": Deadline(LONG), "deleting": Deadline(SHORT, "error_deleting")},
        interrupts={"delete": "deleting"},
        undo=partial(_snapshot_failed, host),
    )

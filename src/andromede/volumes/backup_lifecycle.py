"""The lifecycle of backups, which also restores them."""

from __future__ import annotations

from functools import partial
from typing import Any

from andromede.db import Tx
from andromede.errors import NotFound
from andromede.volumes import archive, steps, store
from andromede.volumes.engine import GIB
from andromede.volumes.lifecycle import LONG
from andromede.volumes.model import Backup, Volume
from andromede.volumes.steps import Host
from andromede.volumes.tables import BACKUPS, VOLUMES
from andromede.work.lifecycle import Deadline, Lifecycle, Next

KEY_BYTES = 32


def _release(tx: Tx, backup: Backup) -> None:
    """The volume that was being backed up is free again."""
    if backup.wish.get("previous"):
        where = {"id": backup.volume_id, "state": "backing-up"}
        VOLUMES.update(tx, where, state=backup.wish["previous"], previous="")


def _about(volume: Volume | None) -> dict[str, Any]:
    if volume is None:
        return {}
    return {"bootable": volume.bootable, "image_metadata": volume.image_metadata, "metadata": volume.metadata}


def creating(host: Host, backup: Backup) -> Next:
    """Store the bytes of a snapshot, of a volume, or of a copy of one that a guest has open."""
    source = backup.snapshot_id or backup.volume_id
    if "stored" in backup.wish:
        host.disks.remove(backup.wish["copy_id"], backup.request_id)
        return _made(host, backup, int(backup.wish["stored"]))
    if not backup.snapshot_id and (backup.wish.get("live") or steps.is_open(host, source)):
        source = backup.wish["copy_id"]
        going = steps.copied(host, backup, backup.volume_id, source, backup.size * GIB)
        if going:
            return going
    parent = BACKUPS.find(host.desk.db, id=backup.parent_id) if backup.parent_id else None
    before = archive.manifest(host.vault, parent.account, parent.data_id) if parent else None
    writer = archive.Writer(host.vault, backup.project_id, backup.data_id, backup.request_id)
    about = _about(VOLUMES.find(host.desk.db, id=backup.volume_id))
    with host.disks.plain(source) as raw:
        stored, _ = writer.store(raw, before, host.desk.ids.secret(KEY_BYTES), about)
    if source == backup.wish.get("copy_id"):
        return Next("creating", changes={"wish": backup.wish | {"stored": str(stored)}})
    return _made(host, backup, stored)


def _made(host: Host, backup: Backup, stored: int) -> Next:
    changes = {"objects": stored, "wish": {}, "updated_us": host.desk.clock.now_us()}
    return Next("available", changes=changes, then=partial(_then, _release, backup))


def _then(work: Any, row: Any, tx: Tx) -> None:
    work(tx, row)


def deleting(host: Host, backup: Backup) -> Next:
    """Remove the pieces, unless another record stands for the same data."""
    steps.swept(host, backup)
    if store.data_users(host.desk.db, backup.data_id) <= 1:
        archive.remove(host.vault, backup.account, backup.data_id, backup.request_id)
    return Next("deleted", then=partial(_then, _release, backup))


def restoring(host: Host, backup: Backup) -> Next:
    """Write the bytes to a volume, which is made if it is new."""
    volume = VOLUMES.find(host.desk.db, id=backup.restore_id)
    if volume is None:
        raise NotFound(f"volume {backup.restore_id}, which was to hold the backup, is gone", "volume")
    whole = archive.manifest(host.vault, backup.account, backup.data_id)
    host.disks.create(volume.project_id, volume.id, volume.bytes, backup.request_id)
    with host.disks.plain(volume.id, writable=True) as raw:
        archive.restore(host.vault, backup.account, whole, raw)
    return Next("available", changes={"restore_id": ""}, then=partial(_restored, volume, whole.about))


def _restored(volume: Volume, about: dict[str, Any], tx: Tx) -> None:
    changes: dict[str, Any] = {"state": "available", "previous": ""}
    if volume.previous == "":  # a new one
        changes["metadata"] = {**about.get("metadata", {}), **volume.metadata}
    if about.get("bootable") and not volume.bootable:
        changes |= {"bootable": True, "image_metadata": about.get("image_metadata", {})}
    VOLUMES.update(tx, {"id": volume.id, "state": "restoring-backup"}, **changes)


def _failed(host: Host, tx: Tx, backup: Backup, why: str) -> None:
    if backup.state == "restoring":
        where = {"id": backup.restore_id, "state": "restoring-backup"}
        VOLUMES.update(tx, where, state="error_restoring", fault=why)
    _release(tx, backup)
    steps.tell(tx, host, "backup", backup, why)


def backups(host: Host) -> Lifecycle[Backup]:
    """The lifecycle of backups. One that could not be restored is still good."""
    return Lifecycle(
        "volume_backup",
        BACKUPS,
        {
            "creating": partial(creating, host),
            "restoring": partial(restoring, host),
            "deleting": partial(deleting, host),
        },
        {
            "creating": frozenset({"creating", "available", "error", "deleting"}),
            "available": frozenset({"deleting"}),
            "error": frozenset({"deleting"}),
            "error_deleting": frozenset({"deleting"}),
            "restoring": frozenset({"restoring", "available"}),
            "deleting": frozenset({"deleting", "deleted", "error_deleting"}),
        },
        {
            "creating": Deadline(LONG),
            "restoring": Deadline(LONG, "available"),
            "deleting": Deadline(LONG, "error_deleting"),
        },
        interrupts={"delete": "deleting"},
        undo=partial(_failed, host),
    )

"""Backups: rules and rows, one transaction each."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import replace
from typing import Any

from andromede.db import Tx
from andromede.errors import Invalid, NotFound
from andromede.volumes import attaching, creation, quotas, store
from andromede.volumes.model import Backup, Volume, VolumeWish
from andromede.volumes.service import Volumes
from andromede.volumes.tables import BACKUPS, SNAPSHOTS, VOLUMES
from andromede.web.call import Call
from andromede.work.lifecycle import begin, signal

SERVICE = "cinder.backup.drivers.andromede"
"""What an exported record names as the driver that reads it."""
RESETS = frozenset(("available", "error"))
DELETABLE = ("available", "error", "error_deleting")
_RECORD = (
    "id", "data_id", "volume_id", "snapshot_id", "name", "description", "size", "objects", "incremental", "data_us",
    "project_id",
)  # fmt: skip
AnyCall = Call[Any]


class Backups:
    """Backups of volumes."""

    def __init__(self, volumes: Volumes) -> None:
        self._volumes = volumes
        self._desk = volumes.desk

    def find(self, backup_id: str, project_id: str | None) -> Backup:
        """A backup of the project; of any with None."""
        row = BACKUPS.find(self._desk.db, id=backup_id)
        if row is None or (project_id is not None and row.project_id != project_id):
            raise NotFound(f"Backup {backup_id} could not be found.", "backup")
        return row

    @staticmethod
    def _parent(tx: Tx, volume: Volume) -> Backup:
        """The newest backup that an incremental one can build upon: one whose data lie in the same account."""
        volume_id, project_id = volume.id, volume.project_id
        where = {"volume_id": volume_id, "project_id": project_id, "state": "available"}
        rows = [row for row in BACKUPS.select(tx, where) if row.account == project_id]
        if not rows:
            raise Invalid(
                f"Invalid backup: No backups available to do an incremental backup of volume {volume_id}; "
                "make a full one first.",
                "backup",
            )
        return max(rows, key=lambda row: (row.data_us, row.created_us))

    def create(
        self, call: AnyCall, volume: Volume, facts: dict[str, Any], incremental: bool, force: bool
    ) -> Backup:  # fmt: skip
        """Begin a backup of a volume or, where `facts` hold a `snapshot_id`, of its snapshot."""
        snapshot_id = facts.get("snapshot_id", "")
        with self._desk.change(call, f"volume/{volume.id}", volume.project_id) as change:
            volume = attaching.locked(change.tx, volume.id)
            parent = self._parent(change.tx, volume) if incremental else None
            data_us, size, wish = change.now_us, volume.size, {"copy_id": self._desk.ids.dashed()}
            if snapshot_id:
                of = {"volume_id": volume.id, "project_id": volume.project_id}
                snapshot = SNAPSHOTS.find(change.tx, id=snapshot_id, **of)
                if snapshot is None:
                    raise NotFound(f"Snapshot {snapshot_id} of volume {volume.id} could not be found.", "snapshot")
                if snapshot.state != "available":
                    raise Invalid(f"Snapshot {snapshot_id} is {snapshot.state}; it must be available.", "state")
                data_us, size, wish = snapshot.created_us, snapshot.size, {}
            else:
                states = ("available", "in-use") if force else ("available",)
                attaching.refuse(volume, "backed up", *states)
                wish["previous"] = volume.state
            quotas.claim(change.tx, volume.project_id, None, backups=1, backup_gigabytes=size)
            backup_id = self._desk.ids.dashed()
            row = Backup(
                id=backup_id, project_id=volume.project_id, user_id=call.who.user_id, volume_id=volume.id, size=size,
                zone=volume.zone, parent_id=parent.id if parent else "", incremental=incremental, data_id=backup_id,
                data_us=data_us, wish=wish, created_us=change.now_us, state="creating", since_us=change.now_us,
                due_us=change.now_us, request_id=call.request_id, **facts,
            )  # fmt: skip
            if not snapshot_id:
                attaching.set_state(change.tx, volume.id, "backing-up", previous=volume.state)
            change.object = f"backup/{backup_id}"
            return BACKUPS.insert(change.tx, row)

    def update(self, call: AnyCall, backup: Backup, changes: dict[str, Any]) -> Backup:
        """Name, description or metadata (3.9)."""
        with self._desk.change(call, f"backup/{backup.id}", backup.project_id) as change:
            BACKUPS.update(change.tx, {"id": backup.id}, updated_us=change.now_us, **changes)
            return BACKUPS.find(change.tx, id=backup.id) or backup

    def delete(self, call: AnyCall, backup: Backup, force: bool = False) -> None:
        """Begin to delete a backup that none builds upon."""
        with self._desk.change(call, f"backup/{backup.id}", backup.project_id) as change:
            row = BACKUPS.find(change.tx, id=backup.id) or backup
            if not force and row.state not in DELETABLE:
                raise Invalid(f"Invalid backup: Backup status must be available or error, and is {row.state}.", "state")
            if store.has_dependents(change.tx, row.id):
                raise Invalid(
                    f"Invalid backup: Incremental backups exist for backup {row.id}; delete them first.", "state"
                )
            if row.state in ("creating", "restoring") and row.due_us is not None:
                signal(change.tx, BACKUPS.name, row.id, "delete", change.now_us)
            else:
                begin(
                    change.tx, BACKUPS.name, row.id, (row.state, "deleting"), change.now_us, request_id=call.request_id
                )

    def restore(self, call: AnyCall, backup: Backup, volume_id: str, name: str | None) -> Volume:
        """Begin to restore a backup, to a volume of at least its size or, with an empty id, to a new one."""
        if backup.state != "available":
            raise Invalid(f"Invalid backup: Backup status must be available, and is {backup.state}.", "state")
        with self._desk.change(call, f"backup/{backup.id}", backup.project_id) as change:
            if volume_id:
                volume = attaching.locked(change.tx, volume_id)
                if volume.project_id != backup.project_id:
                    raise NotFound(f"Volume {volume_id} could not be found.", "volume")
                attaching.refuse(volume, "restored", "available")
                if volume.size < backup.size:
                    raise Invalid(
                        f"Invalid volume: volume {volume_id} of {volume.size} GiB is too small for backup {backup.id} "
                        f"of {backup.size} GiB.",
                        "size",
                    )
                attaching.set_state(change.tx, volume_id, "restoring-backup", previous=volume.state)
            else:
                wish = VolumeWish(
                    size=backup.size, name=name or f"restore_backup_{backup.id}",
                    description="auto-created_from_restore_from_backup", backup_id=backup.id,
                    zone=self._volumes.tools.zone,
                )  # fmt: skip
                made = creation.plan(change.tx, self._volumes.tools.pictures, backup.project_id, wish)
                owner = (backup.project_id, call.who.user_id)
                volume = creation.insert(change, self._desk.ids.dashed(), owner, made, call.request_id)
                change.object = f"backup/{backup.id}"
            change.detail["volume"] = volume.id
            self.begin_restoring(change.tx, backup.id, volume.id, change.now_us, call.request_id)
            return volume

    @staticmethod
    def begin_restoring(tx: Tx, backup_id: str, volume_id: str, now_us: int, request_id: str) -> None:
        """One restore at a time."""
        moves = ("available", "restoring")
        if not begin(tx, BACKUPS.name, backup_id, moves, now_us, request_id=request_id, restore_id=volume_id):
            raise Invalid(f"Invalid backup: backup {backup_id} is not available; wait until it is.", "state")

    def create_volume(self, call: AnyCall, project_id: str, wish: VolumeWish) -> Volume:
        """A new volume with the bytes of a backup (3.47)."""
        backup = self.find(wish.backup_id, project_id)
        if backup.state != "available":
            raise Invalid(f"Invalid backup: Backup status must be available, and is {backup.state}.", "state")
        size = wish.size or backup.size
        if size < backup.size:
            raise Invalid(f"Invalid input received: size {size} GiB is smaller than backup {backup.id}.", "size")
        made = creation.plan(
            self._desk.db,
            self._volumes.tools.pictures,
            project_id,
            replace(wish, size=size, zone=self._volumes.tools.zone),
        )
        with self._desk.change(call, tenant=project_id) as change:
            volume_id = self._desk.ids.dashed()
            volume = creation.insert(change, volume_id, (project_id, call.who.user_id), made, call.request_id)
            self.begin_restoring(change.tx, backup.id, volume_id, change.now_us, call.request_id)
            return volume

    def reset(self, call: AnyCall, backup: Backup, status: str) -> None:
        """Say what state a backup is in. Administrators only."""
        if status not in RESETS:
            raise Invalid(f"Invalid status {status[:60]!r}: it must be available or error.", "status")
        with self._desk.change(call, f"backup/{backup.id}", backup.project_id) as change:
            row = BACKUPS.find(change.tx, id=backup.id) or backup
            BACKUPS.update(
                change.tx, {"id": row.id}, state=status, due_us=None, holder="", lease_us=0, fault="",
                updated_us=change.now_us,
            )  # fmt: skip
            if row.wish.get("previous") and row.state == "creating":
                where = {"id": row.volume_id, "state": "backing-up"}
                VOLUMES.update(change.tx, where, state=row.wish["previous"], previous="")

    @staticmethod
    def export(backup: Backup) -> str:
        """A record from which this installation finds the data again, as base64 of JSON."""
        record = {name: getattr(backup, name) for name in _RECORD} | {"project_id": backup.account}
        return base64.b64encode(json.dumps(record).encode()).decode()

    def imported(self, call: AnyCall, service: str, url: str) -> Backup:
        """A row for an exported record."""
        record = _record(service, url)
        project_id = call.who.project_id or ""
        with self._desk.change(call, f"backup/{record['id']}", project_id) as change:
            if BACKUPS.find(change.tx, id=record["id"]) is not None:
                raise Invalid(f"Backup {record['id']} already exists in the database.", "backup")
            quotas.claim(change.tx, project_id, None, backups=1, backup_gigabytes=record["size"])
            row = Backup(
                id=record["id"], project_id=project_id, user_id=call.who.user_id, volume_id=record["volume_id"],
                snapshot_id=record["snapshot_id"], name=record["name"], description=record["description"],
                size=record["size"], zone=self._volumes.tools.zone, objects=record["objects"],
                incremental=record["incremental"], data_id=record["data_id"], data_us=record["data_us"],
                created_us=change.now_us, state="available", since_us=change.now_us, request_id=call.request_id,
                data_project=record["project_id"],
            )  # fmt: skip
            return BACKUPS.insert(change.tx, row)


_KINDS: dict[str, type | tuple[type, ...]] = {
    "size": int, "objects": int, "incremental": bool, "data_us": int, "name": (str, type(None)),
    "description": (str, type(None)),
}  # fmt: skip
_ID = frozenset("0123456789abcdef-")


def _record(service: str, url: str) -> dict[str, Any]:
    """A decoded record. Raises `Invalid`."""
    if service != SERVICE:
        raise Invalid(f"No backup service here reads records of {service[:60]!r}.", "backup")
    try:
        found = json.loads(base64.b64decode(url, validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise Invalid("Can't parse backup record: it is no base64 of JSON.", "backup") from error
    if not isinstance(found, dict) or any(
        not isinstance(found.get(name), _KINDS.get(name, str)) for name in _RECORD
    ):  # fmt: skip
        raise Invalid("Can't parse backup record: members are missing or of the wrong kind.", "backup")
    if not 1 <= found["size"] <= creation.LARGEST or not 0 <= found["data_us"] < 1 << 62:
        raise Invalid("Can't parse backup record: its size or time is out of range.", "backup")
    if any(
        not found[name] or not set(found[name]) <= _ID or len(found[name]) > 36
        for name in ("id", "data_id", "project_id")
    ):
        raise Invalid("Can't parse backup record: its id is none.", "backup")
    return found

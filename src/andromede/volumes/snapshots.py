"""Snapshots: rules and rows, one transaction each."""

from __future__ import annotations

from typing import Any

from andromede.audit.changes import Change
from andromede.errors import Invalid
from andromede.volumes import attaching, quotas
from andromede.volumes.model import Snapshot
from andromede.volumes.service import Volumes
from andromede.volumes.tables import SNAPSHOTS, TYPES
from andromede.web.call import Call
from andromede.work.lifecycle import begin, signal

RESETS = frozenset(("available", "creating", "deleting", "error", "error_deleting"))
DELETABLE = ("available", "error", "error_deleting")
AnyCall = Call[Any]


class Snapshots:
    """Snapshots of volumes."""

    def __init__(self, volumes: Volumes) -> None:
        self._volumes = volumes
        self._desk = volumes.desk

    def find(self, snapshot_id: str, project_id: str | None) -> Snapshot:
        """A snapshot of the project; of any with None."""
        return self._volumes.find_snapshot(snapshot_id, project_id)

    def create(
        self, call: AnyCall, volume_id: str, owner: str | None, facts: dict[str, Any], force: bool
    ) -> Snapshot:  # fmt: skip
        """Begin to take a snapshot; `facts`: name, description and metadata; `force`: also of a volume in use."""
        volume = self._volumes.find(volume_id, owner)
        with self._desk.change(call, f"volume/{volume_id}", volume.project_id) as change:
            made = self.take(change, volume_id, (call.who.user_id, call.request_id), facts, force)
            change.object = f"snapshot/{made.id}"
            return made

    def take(
        self, change: Change, volume_id: str, who: tuple[str, str], facts: dict[str, Any], force: bool
    ) -> Snapshot:  # fmt: skip
        """The row of a new snapshot; `who`: user and request id."""
        volume = attaching.locked(change.tx, volume_id)
        attaching.refuse(volume, "snapshotted", "available", *(("in-use",) if force else ()))
        kind = TYPES.find(change.tx, id=volume.type_id)
        quotas.claim(change.tx, volume.project_id, kind, snapshots=1, gigabytes=volume.size)
        row = Snapshot(
            id=self._desk.ids.dashed(), project_id=volume.project_id, user_id=who[0], volume_id=volume_id,
            size=volume.size, created_us=change.now_us, state="creating", since_us=change.now_us,
            due_us=change.now_us, request_id=who[1], **facts,
        )  # fmt: skip
        return SNAPSHOTS.insert(change.tx, row)

    def update(self, call: AnyCall, snapshot: Snapshot, changes: dict[str, Any]) -> Snapshot:
        """Name, description or metadata; `changes` as `attaching.resolved` takes them."""
        with self._desk.change(call, f"snapshot/{snapshot.id}", snapshot.project_id) as change:
            changes = attaching.resolved(SNAPSHOTS.find(change.tx, id=snapshot.id) or snapshot, changes)
            SNAPSHOTS.update(change.tx, {"id": snapshot.id}, updated_us=change.now_us, **changes)
            return SNAPSHOTS.find(change.tx, id=snapshot.id) or snapshot

    def delete(self, call: AnyCall, snapshot: Snapshot, force: bool = False) -> None:
        """Begin to delete a snapshot; with `force` its state does not matter."""
        with self._desk.change(call, f"snapshot/{snapshot.id}", snapshot.project_id) as change:
            row = SNAPSHOTS.find(change.tx, id=snapshot.id) or snapshot
            if not force and row.state not in DELETABLE:
                raise Invalid(
                    f"Invalid snapshot: snapshot {row.id} is {row.state}; it must be {' or '.join(DELETABLE)}.", "state"
                )
            if row.group_snapshot_id:
                raise Invalid(f"Invalid snapshot: snapshot {row.id} belongs to a group snapshot.", "state")
            if row.state == "creating" and row.due_us is not None:
                signal(change.tx, SNAPSHOTS.name, row.id, "delete", change.now_us)
            else:
                begin(
                    change.tx, SNAPSHOTS.name, row.id, (row.state, "deleting"), change.now_us,
                    request_id=call.request_id,
                )  # fmt: skip

    def reset(self, call: AnyCall, snapshot: Snapshot, status: str, progress: str | None = None) -> None:
        """Say what state a snapshot is in. Administrators only."""
        if status not in RESETS:
            raise Invalid(f"Invalid status {status[:60]!r}: it must be one of {', '.join(sorted(RESETS))}.", "status")
        changes = {} if progress is None else {"progress": progress}
        with self._desk.change(call, f"snapshot/{snapshot.id}", snapshot.project_id) as change:
            SNAPSHOTS.update(
                change.tx, {"id": snapshot.id}, state=status, due_us=None, holder="", lease_us=0, fault="",
                updated_us=change.now_us, **changes,
            )  # fmt: skip

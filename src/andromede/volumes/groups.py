"""Groups of volumes, which are snapshotted together (generic volume groups, 3.13)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from andromede.errors import Conflict, Invalid, NotFound
from andromede.volumes import attaching, creation, quotas, store
from andromede.volumes.model import Group, GroupSnapshot, GroupType, Volume, VolumeWish
from andromede.volumes.service import Volumes
from andromede.volumes.snapshots import Snapshots
from andromede.volumes.tables import GROUP_SNAPSHOTS, GROUP_TYPES, GROUPS, SNAPSHOTS, VOLUMES
from andromede.web.call import Call
from andromede.work.lifecycle import begin, signal

AnyCall = Call[Any]
RESETS = frozenset(["available", "creating", "deleting", "error", "error_deleting", "in-use", "updating"])


class Groups:
    """Groups, their types and their snapshots. A group's status follows from its volumes unless it was reset."""

    def __init__(self, volumes: Volumes, snapshots: Snapshots) -> None:
        self._volumes = volumes
        self._snapshots = snapshots
        self.desk = volumes.desk

    # --- types

    def type(self, type_id: str) -> GroupType:
        """A type by id or name."""
        row = GROUP_TYPES.find(self.desk.db, id=type_id) or GROUP_TYPES.find(self.desk.db, name=type_id)
        if row is None:
            raise NotFound(f"Group type {type_id} could not be found.", "group_type")
        return row

    def create_type(self, call: AnyCall, wish: GroupType) -> GroupType:
        """A new type."""
        with self.desk.change(call) as change:
            if GROUP_TYPES.find(change.tx, name=wish.name) is not None:
                raise Conflict(f"Group Type {wish.name} already exists.", "group_type")
            row = replace(wish, id=self.desk.ids.dashed(), created_us=change.now_us)
            change.object = f"group_type/{row.id}"
            return GROUP_TYPES.insert(change.tx, row)

    def update_type(self, call: AnyCall, row: GroupType, **changes: Any) -> GroupType:
        """Change a type; `changes` as `attaching.resolved` takes them."""
        with self.desk.change(call, f"group_type/{row.id}") as change:
            row = GROUP_TYPES.find(change.tx, id=row.id) or row
            changes = attaching.resolved(row, changes)
            name = changes.get("name", row.name)
            if name != row.name and GROUP_TYPES.find(change.tx, name=name) is not None:
                raise Conflict(f"Group Type {name} already exists.", "group_type")
            GROUP_TYPES.update(change.tx, {"id": row.id}, **changes)
            return GROUP_TYPES.find(change.tx, id=row.id) or row

    def delete_type(self, call: AnyCall, row: GroupType) -> None:
        """Delete a type that no group has."""
        with self.desk.change(call, f"group_type/{row.id}") as change:
            if GROUPS.find(change.tx, type_id=row.id) is not None:
                raise Invalid(f"Group type {row.id} still has groups.", "group_type")
            GROUP_TYPES.remove(change.tx, id=row.id)

    # --- groups

    def find(self, group_id: str, project_id: str | None) -> Group:
        """A group of the project; of any with None."""
        row = GROUPS.find(self.desk.db, id=group_id)
        if row is None or (project_id is not None and row.project_id != project_id):
            raise NotFound(f"Group {group_id} could not be found.", "group")
        return row

    def volumes(self, group_id: str) -> list[Volume]:
        """The members of a group."""
        return VOLUMES.select(self.desk.db, {"group_id": group_id})

    def status(self, group: Group) -> str:
        """What a group is doing."""
        if group.status:
            return group.status
        states = {row.state for row in self.volumes(group.id)}
        if "error" in states:
            return "error"
        return "creating" if states & {"creating", "downloading"} else "available"

    def create(self, call: AnyCall, wish: Group) -> Group:
        """An empty group."""
        with self.desk.change(call, tenant=wish.project_id) as change:
            quotas.claim(change.tx, wish.project_id, None, groups=1)
            row = replace(wish, id=self.desk.ids.dashed(), created_us=change.now_us)
            change.object = f"group/{row.id}"
            return GROUPS.insert(change.tx, row)

    def create_from(self, call: AnyCall, wish: Group) -> Group:
        """A group with copies of the members of another, or of a group snapshot."""
        wishes: list[VolumeWish] = []
        if wish.group_snapshot_id:
            taken = SNAPSHOTS.select(self.desk.db, {"group_snapshot_id": wish.group_snapshot_id})
            wishes = [VolumeWish(snapshot_id=row.id, name=wish.name, zone=wish.zone) for row in taken]
        else:
            wishes = [
                VolumeWish(source_id=row.id, name=wish.name, zone=wish.zone)
                for row in self.volumes(wish.source_group_id)
            ]
        if not wishes:
            raise Invalid(f"Invalid group: the source of group {wish.name} has no volumes.", "group")
        pictures = self._volumes.tools.pictures
        plans = [creation.plan(self.desk.db, pictures, wish.project_id, item) for item in wishes]
        with self.desk.change(call, tenant=wish.project_id) as change:
            quotas.claim(change.tx, wish.project_id, None, groups=1)
            row = replace(wish, id=self.desk.ids.dashed(), created_us=change.now_us)
            GROUPS.insert(change.tx, row)
            for made in plans:
                made = replace(made, wish=replace(made.wish, group_id=row.id))
                owner = (wish.project_id, call.who.user_id)
                creation.insert(change, self.desk.ids.dashed(), owner, made, call.request_id)
            change.object = f"group/{row.id}"
            return row

    def update(self, call: AnyCall, group: Group, changes: dict[str, Any], join: list[str], leave: list[str]) -> None:
        """Name, description and members."""
        with self.desk.change(call, f"group/{group.id}", group.project_id) as change:
            for volume_id in join:
                volume = VOLUMES.find(change.tx, id=volume_id, project_id=group.project_id)
                if volume is None or volume.group_id not in ("", group.id):
                    raise Invalid(f"Cannot add volume {volume_id[:60]} to group {group.id}.", "group")
                attaching.refuse(volume, "grouped", "available", "in-use")
                VOLUMES.update(change.tx, {"id": volume_id}, group_id=group.id)
            for volume_id in leave:
                if not VOLUMES.update(change.tx, {"id": volume_id, "group_id": group.id}, group_id=""):
                    raise Invalid(f"Cannot remove volume {volume_id[:60]} from group {group.id}.", "group")
            if changes:
                GROUPS.update(change.tx, {"id": group.id}, **changes)

    def delete(self, call: AnyCall, group: Group, with_volumes: bool) -> None:
        """Delete a group, and its members where that is asked for."""
        with self.desk.change(call, f"group/{group.id}", group.project_id) as change:
            members = VOLUMES.select(change.tx, {"group_id": group.id})
            if members and not with_volumes:
                raise Invalid(f"Group {group.id} still has {len(members)} volumes; say delete-volumes.", "group")
            if GROUP_SNAPSHOTS.find(change.tx, group_id=group.id) is not None:
                raise Invalid(f"Group {group.id} still has group snapshots.", "group")
            for volume in members:
                attaching.refuse(volume, "deleted", "available", "error")
                if store.snapshots_of(change.tx, volume):
                    raise Invalid(f"Volume {volume.id} of group {group.id} still has snapshots.", "group")
                moves = (volume.state, "deleting")
                begin(change.tx, VOLUMES.name, volume.id, moves, change.now_us, request_id=call.request_id)
            GROUPS.remove(change.tx, id=group.id)

    def reset(self, call: AnyCall, group: Group, status: str) -> None:
        """Say what state a group is in (3.20)."""
        if status not in RESETS:
            raise Invalid(f"Invalid status {status[:60]!r}.", "status")
        with self.desk.change(call, f"group/{group.id}", group.project_id) as change:
            GROUPS.update(change.tx, {"id": group.id}, status=status)

    # --- group snapshots

    def snapshot(self, snapshot_id: str, project_id: str | None) -> GroupSnapshot:
        """A group snapshot of the project; of any with None."""
        row = GROUP_SNAPSHOTS.find(self.desk.db, id=snapshot_id)
        if row is None or (project_id is not None and row.project_id != project_id):
            raise NotFound(f"GroupSnapshot {snapshot_id} could not be found.", "group_snapshot")
        return row

    def snapshot_status(self, row: GroupSnapshot) -> str:
        """What a group snapshot is doing."""
        if row.status:
            return row.status
        states = {item.state for item in SNAPSHOTS.select(self.desk.db, {"group_snapshot_id": row.id})}
        return next((word for word in ("error", "creating", "deleting") if word in states), "available")

    def take(self, call: AnyCall, wish: GroupSnapshot) -> GroupSnapshot:
        """Begin to snapshot every member."""
        with self.desk.change(call, tenant=wish.project_id) as change:
            members = VOLUMES.select(change.tx, {"group_id": wish.group_id})
            if not members:
                raise Invalid(f"Group {wish.group_id} has no volumes to snapshot.", "group")
            row = replace(wish, id=self.desk.ids.dashed(), created_us=change.now_us)
            GROUP_SNAPSHOTS.insert(change.tx, row)
            for volume in members:
                facts = {"name": wish.name, "description": wish.description, "group_snapshot_id": row.id}
                self._snapshots.take(change, volume.id, (call.who.user_id, call.request_id), facts, True)
            change.object = f"group_snapshot/{row.id}"
            return row

    def delete_snapshot(self, call: AnyCall, row: GroupSnapshot) -> None:
        """Delete a group snapshot with all that it holds."""
        with self.desk.change(call, f"group_snapshot/{row.id}", row.project_id) as change:
            for item in SNAPSHOTS.select(change.tx, {"group_snapshot_id": row.id}):
                signal(change.tx, SNAPSHOTS.name, item.id, "delete", change.now_us)
            GROUP_SNAPSHOTS.remove(change.tx, id=row.id)

    def update_snapshot(self, call: AnyCall, row: GroupSnapshot, **changes: Any) -> None:
        """Change a group snapshot, or say what state it is in (3.19)."""
        with self.desk.change(call, f"group_snapshot/{row.id}", row.project_id) as change:
            GROUP_SNAPSHOTS.update(change.tx, {"id": row.id}, **changes)

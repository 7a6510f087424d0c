"""Types of volumes, their limits of speed, quotas and messages: what administrators keep."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from andromede.errors import Conflict, Invalid, NotFound
from andromede.volumes import attaching, quotas, store, types
from andromede.volumes.model import Message, Qos, VolumeType
from andromede.volumes.schema import DEFAULT_TYPE
from andromede.volumes.service import Volumes
from andromede.volumes.tables import MESSAGES, QOS, TYPES, VOLUMES
from andromede.web.call import Call

AnyCall = Call[Any]


class Kinds:
    """Types, QoS specs, quotas, messages."""

    def __init__(self, volumes: Volumes) -> None:
        self.desk = volumes.desk

    # --- types

    def find(self, type_id: str, project_id: str | None) -> VolumeType:
        """A type by id, or by name."""
        return types.find(self.desk.db, type_id, project_id)

    def exact(self, type_id: str) -> VolumeType:
        """A type by id alone, for administrators."""
        row = TYPES.find(self.desk.db, id=type_id)
        if row is None:
            raise NotFound(f"Volume type {type_id} could not be found.", "type")
        return row

    def create(self, call: AnyCall, wish: VolumeType) -> VolumeType:
        """A new type. Conflict for a name that is taken."""
        with self.desk.change(call) as change:
            if TYPES.find(change.tx, name=wish.name) is not None:
                raise Conflict(f"Volume Type {wish.name} already exists.", "type")
            row = replace(wish, id=self.desk.ids.dashed(), created_us=change.now_us)
            change.object = f"volume_type/{row.id}"
            return TYPES.insert(change.tx, row)

    def update(self, call: AnyCall, row: VolumeType, **changes: Any) -> VolumeType:
        """Change a type; `changes` as `attaching.resolved` takes them. Conflict for a name that is taken."""
        with self.desk.change(call, f"volume_type/{row.id}") as change:
            row = TYPES.find(change.tx, id=row.id) or row
            changes = attaching.resolved(row, changes)
            name = changes.get("name")
            if name is not None and name != row.name and TYPES.find(change.tx, name=name) is not None:
                raise Conflict(f"Volume Type {name} already exists.", "type")
            TYPES.update(change.tx, {"id": row.id}, updated_us=change.now_us, **changes)
            return TYPES.find(change.tx, id=row.id) or row

    def delete(self, call: AnyCall, row: VolumeType) -> None:
        """Delete a type that no volume has."""
        with self.desk.change(call, f"volume_type/{row.id}") as change:
            if VOLUMES.find(change.tx, type_id=row.id) is not None:
                raise Invalid(
                    f"Volume Type {row.id} deletion is not allowed with volumes present with the type.", "type"
                )
            if row.id == DEFAULT_TYPE:
                raise Invalid(f"Volume Type {row.name} is the default and cannot be deleted.", "type")
            store.revoke_type(change.tx, row.id)
            for project, type_id in store.default_types(change.tx):
                if type_id == row.id:
                    store.set_default_type(change.tx, project, None)
            TYPES.remove(change.tx, id=row.id)

    def grant(self, call: AnyCall, row: VolumeType, project_id: str, allow: bool) -> None:
        """Let a project use a private type, or not any more."""
        if row.is_public:
            raise Conflict(f"Volume type {row.id} is public: every project may use it.", "type")
        with self.desk.change(call, f"volume_type/{row.id}") as change:
            change.detail["project"] = project_id
            if allow and not store.grant_type(change.tx, row.id, project_id):
                raise Conflict(f"Volume type access for {row.id} / {project_id} combination already exists.", "type")
            if not allow and not store.revoke_type(change.tx, row.id, project_id):
                raise NotFound(f"Volume type access not found for {row.id} / {project_id} combination.", "type")

    def set_default(self, call: AnyCall, project_id: str, type_id: str | None) -> None:
        """The type of a project's volumes that name none (3.62)."""
        with self.desk.change(call, f"project/{project_id}") as change:
            store.set_default_type(change.tx, project_id, type_id)

    # --- QoS specs

    def qos(self, qos_id: str) -> Qos:
        """NotFound reason `qos`."""
        row = QOS.find(self.desk.db, id=qos_id)
        if row is None:
            raise NotFound(f"No such qos spec {qos_id}.", "qos")
        return row

    def create_qos(self, call: AnyCall, name: str, consumer: str, specs: dict[str, str]) -> Qos:
        """New limits. Conflict for a name that is taken."""
        with self.desk.change(call) as change:
            if QOS.find(change.tx, name=name) is not None:
                raise Conflict(f"QoS specs {name} already exists.", "qos")
            row = Qos(self.desk.ids.dashed(), name, consumer, specs, change.now_us)
            change.object = f"qos/{row.id}"
            return QOS.insert(change.tx, row)

    def update_qos(self, call: AnyCall, row: Qos, **changes: Any) -> None:
        """Change limits; `changes` as `attaching.resolved` takes them."""
        with self.desk.change(call, f"qos/{row.id}") as change:
            changes = attaching.resolved(QOS.find(change.tx, id=row.id) or row, changes)
            QOS.update(change.tx, {"id": row.id}, **changes)

    def delete_qos(self, call: AnyCall, row: Qos, force: bool) -> None:
        """Delete limits that no type refers to; with `force` they are taken from the types."""
        with self.desk.change(call, f"qos/{row.id}") as change:
            if TYPES.find(change.tx, qos_id=row.id) is not None and not force:
                raise Invalid(f"QoS Specs {row.id} is still associated with entities.", "qos")
            TYPES.update(change.tx, {"qos_id": row.id}, qos_id="")
            QOS.remove(change.tx, id=row.id)

    def associate(self, call: AnyCall, row: Qos, type_id: str, join: bool) -> None:
        """Let a type refer to limits, or not any more."""
        kind = self.exact(type_id)
        with self.desk.change(call, f"qos/{row.id}") as change:
            if join and kind.qos_id not in ("", row.id):
                raise Invalid(f"Type {type_id} is already associated with another qos specs.", "qos")
            TYPES.update(change.tx, {"id": type_id}, qos_id=row.id if join else "")

    def disassociate_all(self, call: AnyCall, row: Qos) -> None:
        """No type refers to the limits."""
        with self.desk.change(call, f"qos/{row.id}") as change:
            TYPES.update(change.tx, {"qos_id": row.id}, qos_id="")

    # --- quotas

    def set_quotas(self, call: AnyCall, project_id: str, values: dict[str, int]) -> dict[str, int]:
        """Change limits; all of them then. `quotas.CLASS` stands for the defaults."""
        with self.desk.change(call, f"quota/{project_id}") as change:
            known = quotas.defaults(change.tx)
            for name, value in values.items():
                if name not in known:
                    raise Invalid(f"Bad key in quota set: {name[:60]!r} is no quota.", "quota")
                store.set_quota(change.tx, project_id, name, value)
            return quotas.limits(change.tx, project_id)

    def drop_quotas(self, call: AnyCall, project_id: str) -> None:
        """Back to the defaults."""
        with self.desk.change(call, f"quota/{project_id}") as change:
            store.drop_quotas(change.tx, project_id)

    # --- messages

    def message(self, message_id: str, project_id: str | None) -> Message:
        """A message to the project; to any with None."""
        row = MESSAGES.find(self.desk.db, id=message_id)
        if row is None or (project_id is not None and row.project_id != project_id):
            raise NotFound(f"Message {message_id} could not be found.", "message")
        return row

    def delete_message(self, call: AnyCall, row: Message) -> None:
        """Forget a message."""
        with self.desk.change(call, f"message/{row.id}", row.project_id) as change:
            MESSAGES.remove(change.tx, id=row.id)

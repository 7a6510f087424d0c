"""Volumes that change hands: offered with a key, accepted by the project that knows it.

What was sealed under a key of the giver is sealed under one of the taker's, and the giver's key is destroyed. Groups
stay with the giver: what changes hands leaves them.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from andromede.db import Reach
from andromede.errors import Invalid, NotFound
from andromede.volumes import attaching, quotas, store, types
from andromede.volumes.model import Transfer
from andromede.volumes.service import Volumes
from andromede.volumes.tables import SNAPSHOTS, TRANSFERS, TYPES, VOLUMES
from andromede.web.call import Call

AnyCall = Call[Any]


def _digest(salt: str, key: str) -> str:
    return hmac.new(salt.encode(), key.encode(), hashlib.sha256).hexdigest()


def matches(salt: str, digest: str, key: str) -> bool:
    """Whether this is the key of the offer of which salt and digest are kept."""
    return hmac.compare_digest(_digest(salt, key), digest)


class Transfers:
    """Offers of volumes."""

    def __init__(self, volumes: Volumes) -> None:
        self._volumes = volumes
        self._desk = volumes.desk

    def find(self, transfer_id: str, project_id: str | None) -> Transfer:
        """An offer of the project; of any with None."""
        row = TRANSFERS.find(self._desk.db, id=transfer_id)
        if row is None or (project_id is not None and project_id not in (row.project_id, row.destination)):
            raise NotFound(f"Transfer {transfer_id} could not be found.", "transfer")
        return row

    def create(
        self, call: AnyCall, volume_id: str, owner: str | None, name: str | None, snapshots: bool
    ) -> tuple[Transfer, str]:
        """An offer and its key, which is kept nowhere."""
        volume = self._volumes.find(volume_id, owner)
        key, salt = self._desk.ids.hex()[-16:], self._desk.ids.hex()[-16:]
        with self._desk.change(call, f"volume/{volume_id}", volume.project_id) as change:
            volume = attaching.locked(change.tx, volume_id)
            attaching.refuse(volume, "transferred", "available")
            for snapshot in store.snapshots_of(change.tx, volume) if snapshots else ():
                if snapshot.state != "available":
                    raise Invalid(f"Invalid snapshot: snapshot {snapshot.id} is {snapshot.state}.", "state")
            row = Transfer(
                self._desk.ids.dashed(), volume.project_id, volume_id, name, salt, _digest(salt, key), snapshots, "",
                False, change.now_us,
            )  # fmt: skip
            attaching.set_state(change.tx, volume_id, "awaiting-transfer")
            return TRANSFERS.insert(change.tx, row), key

    def delete(self, call: AnyCall, transfer: Transfer) -> None:
        """Take an offer back."""
        with self._desk.change(call, f"volume/{transfer.volume_id}", transfer.project_id) as change:
            if TRANSFERS.remove(change.tx, id=transfer.id) and not transfer.accepted:
                where = {"id": transfer.volume_id, "state": "awaiting-transfer"}
                VOLUMES.update(change.tx, where, state="available")

    def accept(self, call: AnyCall, transfer_id: str, key: str, project_id: str) -> Transfer:
        """Take a volume over."""
        transfer = TRANSFERS.find(self._desk.db, id=transfer_id, accepted=False)
        if transfer is None:
            raise NotFound(f"Transfer {transfer_id} could not be found.", "transfer")
        if not matches(transfer.salt, transfer.digest, key):
            raise Invalid(f"Attempt to transfer {transfer_id} with invalid auth key.", "key")
        name = f"volume/{transfer.volume_id}"
        with self._desk.change(call, name, project_id, Reach.EVERYTHING) as change:
            tx = change.tx
            offer = {"id": transfer.id, "accepted": False}
            if not TRANSFERS.update(tx, offer, accepted=True, destination=project_id):
                raise NotFound(f"Transfer {transfer_id} could not be found.", "transfer")
            volume = attaching.locked(tx, transfer.volume_id)
            attaching.refuse(volume, "accepted", "awaiting-transfer")
            kind = TYPES.find(tx, id=volume.type_id)
            if kind is not None and not kind.is_public and project_id not in store.type_projects(tx, kind.id):
                kind = types.default(tx, project_id)
            snapshots = store.snapshots_of(tx, volume) if transfer.snapshots else []
            if transfer.project_id != project_id:
                size = volume.size + sum(item.size for item in snapshots)
                quotas.claim(tx, project_id, kind, volumes=1, gigabytes=size, snapshots=len(snapshots))
            for disk_id in (volume.id, *(item.id for item in snapshots)):
                self._volumes.tools.disks.hand_over(change, disk_id, project_id)
            moved = {"id": [item.id for item in snapshots]}
            SNAPSHOTS.update(tx, moved, project_id=project_id, group_snapshot_id="")
            attaching.set_state(
                tx, volume.id, "available", project_id=project_id, user_id=call.who.user_id,
                type_id=kind.id if kind else volume.type_id, group_id="", updated_us=change.now_us,
            )  # fmt: skip
            change.detail["giver"] = transfer.project_id
        with self._desk.system("volume:give", name, transfer.project_id, call.request_id) as given:
            given.detail["taker"] = project_id
        return self.find(transfer_id, None)

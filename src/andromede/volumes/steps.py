"""What the steps of volumes, snapshots and backups share: the host's means, and copies of disks that may be running."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from andromede.audit.changes import Desk
from andromede.db import Tx
from andromede.errors import Unavailable
from andromede.volumes import messages
from andromede.volumes.disks import Disks
from andromede.volumes.ports import LiveDisks, Pictures, Vault
from andromede.volumes.tables import ATTACHMENTS
from andromede.work.lifecycle import Next, Row

POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Host:
    """What the steps stand on."""

    desk: Desk
    disks: Disks
    pictures: Pictures
    live: LiveDisks
    vault: Vault


class Copying(Row, Protocol):
    """A row whose working state makes a copy."""

    @property
    def wish(self) -> dict[str, str]: ...


def server_of(host: Host, volume_id: str) -> str:
    """The server that has a volume open."""
    found = ATTACHMENTS.select(host.desk.db, {"volume_id": volume_id})
    server = next((item.server_id for item in found if item.server_id), "")
    if not server:
        raise Unavailable(f"volume {volume_id} is in use by a process that belongs to no server", "in_use")
    return server


def is_open(host: Host, disk_id: str) -> bool:
    """Whether a process of this host has the disk open."""
    found = host.disks.observe(disk_id)
    return found is not None and found.in_use


def copied(host: Host, row: Copying, source_id: str, target_id: str, size: int) -> Next | None:
    """Take a step towards a copy of a volume's disk; None once it is whole. The hypervisor copies a disk that a guest
    has open, into a file that counts as garbage until it has said that it is whole."""
    server = row.wish.get("live", "")
    if row.wish.get("whole"):
        host.live.forget(server, row.id)
        return None
    open_now = is_open(host, source_id)
    if server and open_now:
        if not host.live.copy(server, source_id, target_id, row.id):
            return Next(row.state, POLL_SECONDS)
        return Next(row.state, changes={"wish": row.wish | {"whole": "yes"}})
    if server:  # the guest has ended in between
        host.disks.remove(target_id, row.request_id)
        return Next(row.state, changes={"wish": row.wish | {"live": ""}})
    if open_now:
        server = server_of(host, source_id)
        host.disks.create(row.project_id, target_id, host.disks.value(source_id).size, row.request_id)
        return Next(row.state, changes={"wish": row.wish | {"live": server}})
    host.disks.copy(row.project_id, source_id, target_id, size, row.request_id)
    return None


def swept(host: Host, row: Copying) -> None:
    """What a copy has left behind is gone: the hypervisor's job and a disk in between."""
    if server := row.wish.get("live", ""):
        host.live.forget(server, row.id)
    if copy_id := row.wish.get("copy_id"):
        host.disks.remove(copy_id, row.request_id)


def tell(tx: Tx, host: Host, kind: str, row: Copying, why: str) -> None:
    """Leave the reason of a failure where clients look for it (message API)."""
    messages.leave(tx, host.desk, (kind, row.id, row.project_id), (row.state, why), row.request_id)

"""The whole route table of block storage."""

from __future__ import annotations

from andromede.volumes import (
    action_routes,
    attachment_routes,
    backup_routes,
    group_routes,
    quota_routes,
    snapshot_routes,
    system_routes,
    type_routes,
    volume_routes,
)
from andromede.volumes.access import UNTOUCHED
from andromede.volumes.api import DIALECT, VERSIONS, Block
from andromede.volumes.backups import Backups
from andromede.volumes.groups import Groups
from andromede.volumes.kinds import Kinds
from andromede.volumes.service import Volumes
from andromede.volumes.snapshots import Snapshots
from andromede.volumes.transfers import Transfers
from andromede.web.api import Mount
from andromede.web.routes import Routes

PARTS = (
    system_routes,
    volume_routes,
    action_routes,
    snapshot_routes,
    backup_routes,
    attachment_routes,
    type_routes,
    quota_routes,
    group_routes,
)
PREFIX = "/volume"

routes: Routes[Block] = Routes()
for _part in PARTS:
    routes.merge(_part.routes)


def build(volumes: Volumes) -> Block:
    """The services behind the routes."""
    snapshots = Snapshots(volumes)
    return Block(
        volumes, snapshots, Backups(volumes), Transfers(volumes), Kinds(volumes), Groups(volumes, snapshots)
    )  # fmt: skip


def mount(volumes: Volumes) -> Mount:
    """Cinder under /volume."""
    return Mount(
        PREFIX, "block-storage", routes, build(volumes), DIALECT, VERSIONS,
        untouched=lambda call: call.action in UNTOUCHED, exact=True,
    )  # fmt: skip

"""Block storage: which engine holds the disks, and what its neighbours are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from andromede.app.hosting.site import Duties
from andromede.clock import US
from andromede.work import Reconciler

if TYPE_CHECKING:
    from andromede.app.hosting.site import Site
    from andromede.volumes.disks import Disks
    from andromede.volumes.ports import Pictures
    from andromede.volumes.service import Volumes
    from andromede.volumes.steps import Host
    from andromede.web.api import Mount

FOLDER = "volumes"
"""Below the data directory."""
SEEN_SECONDS = 10.0
LEFT_SECONDS = 5.0
ALERT_SHARE = 0.03
"""Share of the file system that is free, below which the operator is alerted."""


def disks(site: Site) -> Disks:
    """Disks and their keys."""
    from andromede.engines.qcow2.engine import Qcow2Engine
    from andromede.volumes.disks import Disks

    return Disks(site.desk, site.keys, lambda: Qcow2Engine(site.config.data / FOLDER, site.base.ids))


def pictures(site: Site) -> Pictures:
    """The images of this installation."""
    from andromede.app.hosting.pictures import PicturesHere

    return PicturesHere(site)


def service(site: Site) -> Volumes:
    """What Nova calls."""
    from andromede.volumes.service import Tools, Volumes

    return Volumes(Tools(site.desk, site.disks, pictures(site), site.host))


def host(site: Site) -> Host:
    """What the steps of the host role stand on."""
    from andromede.app.hosting.backups import ObjectVault
    from andromede.app.hosting.crew import LiveDisks
    from andromede.volumes.steps import Host

    return Host(site.desk, site.disks, pictures(site), LiveDisks(site), ObjectVault(lambda: site.objects))


def duties(site: Site) -> Duties:
    """Lifecycles of volumes, snapshots and backups."""
    from andromede.volumes import backup_lifecycle, lifecycle

    made = host(site)
    lifecycles = (lifecycle.volumes(made), lifecycle.snapshots(made), backup_lifecycle.backups(made))
    tasks = (
        Reconciler("volumes.seen", SEEN_SECONDS, lambda: seen(site)),
        Reconciler("volumes.left", LEFT_SECONDS, lambda: let_go(site)),
    )
    return Duties(lifecycles, tasks)


def let_go(site: Site) -> bool:
    """Volumes of servers that are gone are free again, whatever was under way when they went."""
    from andromede.compute.tables import SERVERS
    from andromede.db.table import Not
    from andromede.ids import request_id
    from andromede.volumes.connecting import BY_CLIENT
    from andromede.volumes.tables import ATTACHMENTS

    db, before = site.base.db, site.base.clock.now_us() - int(LEFT_SECONDS * US)
    mine = [
        item
        for item in ATTACHMENTS.select(db, {"server_id": Not("")})
        if item.connector.get("by") != BY_CLIENT["by"] and item.created_us < before
    ]
    there = SERVERS.select(db, {"id": {item.server_id for item in mine}, "state": Not("deleted")}) if mine else []
    kept = {server.id for server in there}
    for item in mine:
        if item.server_id not in kept:
            site.volumes.detach(item.volume_id, item.server_id, request_id(site.base.ids))
    return False


def seen(site: Site) -> bool:
    """The host holds disks, is alive and has so much room; an alert when there is little left."""
    from andromede.db import Reach
    from andromede.volumes import store
    from andromede.volumes.views import host_name

    room, now = site.disks.room(), site.base.clock.now_us()
    backend = host_name(site.host).partition("#")[0]
    with site.base.db.write(Reach.EVENTS) as tx:
        for binary, name in (("cinder-volume", backend), ("cinder-backup", site.host), ("cinder-scheduler", site.host)):
            store.seen(tx, (binary, name), now, (room.free, room.total))
    if room.free < ALERT_SHARE * room.total:
        site.base.log.alert("volumes.room", free_mib=room.free >> 20, total_mib=room.total >> 20)
    return False


def mounts(site: Site) -> list[Mount]:
    """Cinder."""
    from andromede.volumes.routes import mount

    return [mount(site.volumes)]

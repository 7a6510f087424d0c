"""Block storage: which engine holds the disks, and what its neighbours are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from andromede.app.hosting.site import Duties

if TYPE_CHECKING:
    from andromede.app.hosting.site import Site
    from andromede.volumes.disks import Disks
    from andromede.volumes.ports import Pictures
    from andromede.volumes.service import Volumes
    from andromede.volumes.steps import Host

FOLDER = "volumes"
"""Below the data directory."""


def disks(site: Site) -> Disks:
    """Disks and their keys."""
    from andromede.engines.qcow2.engine import Qcow2Engine
    from andromede.volumes.disks import Disks

    return Disks(site.desk, site.keys, lambda: Qcow2Engine(site.config.data / FOLDER, site.base.ids))


def pictures(site: Site) -> Pictures:
    """The images of this installation."""
    from andromede.volumes.ports import NoPictures

    return NoPictures()


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
    return Duties((lifecycle.volumes(made), lifecycle.snapshots(made), backup_lifecycle.backups(made)))

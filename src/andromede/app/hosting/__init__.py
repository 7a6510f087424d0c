"""The hosting half of the composition root: one file for each domain, all over one `Site`.

A domain's file here offers `mounts(site)` for the API port and `duties(site)` for the host role; its access table and
its migrations stand in the two lists below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from andromede.db import Migration

if TYPE_CHECKING:
    from andromede.app.hosting.site import Duties, Site
    from andromede.objects.rewrap import Rewrap
    from andromede.web.access import AccessTable
    from andromede.web.api import Mount


def migrations() -> list[Migration]:
    """The schema of every hosting domain, there whether this installation hosts or not."""
    from andromede.balancer.schema import MIGRATIONS as BALANCER
    from andromede.compute.placement.schema import MIGRATIONS as PLACEMENT
    from andromede.compute.schema import MIGRATIONS as COMPUTE
    from andromede.images.schema import MIGRATIONS as IMAGES
    from andromede.keymanager.schema import MIGRATIONS as KEYMANAGER
    from andromede.network.schema import MIGRATIONS as NETWORK
    from andromede.volumes.schema import MIGRATIONS as VOLUMES

    return [
        *COMPUTE,
        *PLACEMENT,
        *IMAGES,
        *KEYMANAGER,
        *BALANCER,
        *NETWORK,
        *VOLUMES,
    ]


def tables() -> list[AccessTable]:
    """The access rules of every hosting domain."""
    from andromede.balancer import access as balancer
    from andromede.compute import access as compute
    from andromede.compute.placement import access as placement
    from andromede.images import access as images
    from andromede.keymanager import access as keymanager
    from andromede.network import access as network
    from andromede.volumes import access as volumes

    return [
        compute.TABLE,
        placement.TABLE,
        images.TABLE,
        keymanager.TABLE,
        balancer.TABLE,
        network.TABLE,
        volumes.TABLE,
    ]


def rewraps() -> list[Rewrap]:
    """What follows the rotation of a key besides objects: everything that is sealed under one must be here, or it is
    lost when the former version goes."""
    from andromede.keys import sealed
    from andromede.volumes import store as volumes

    return [sealed.SEALED.rewrap, volumes.PASSPHRASES.rewrap]


def mounts(site: Site) -> list[Mount]:
    """Every hosting service of the API port."""
    from andromede.app.hosting import balancer, compute, images, keymanager, network, placement, volumes

    return [
        *compute.mounts(site),
        *placement.mounts(site),
        *images.mounts(site),
        *keymanager.mounts(site),
        *balancer.mounts(site),
        *network.mounts(site),
        *volumes.mounts(site),
    ]


def duties(site: Site) -> list[Duties]:
    """What the host role does for every domain."""
    from andromede.app.hosting import balancer, guests, images, keymanager, network, volumes

    return [
        images.duties(site),
        keymanager.duties(site),
        network.duties(site),
        volumes.duties(site),
        guests.duties(site),
        balancer.duties(site),
    ]

"""Compute: its API over the services of its neighbours, and what the host role does for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from andromede.app.hosting.site import Site
    from andromede.compute.service import Compute
    from andromede.web.api import Mount

PATCH = "application/openstack-images-v2.1-json-patch"
"""The media type of changes to images."""


def service(site: Site) -> Compute:
    """The compute service of one process."""
    from functools import partial

    from andromede.app.hosting import consoles
    from andromede.app.hosting.compute_neighbours import ImagesHere, NetworksHere, VolumesHere
    from andromede.app.hosting.inside import Inside
    from andromede.compute.asking import RemoteViews
    from andromede.compute.core import Core
    from andromede.compute.service import Compute
    from andromede.images import access as image_access
    from andromede.images import routes as image_routes
    from andromede.network import access as network_access
    from andromede.network import more_routes
    from andromede.volumes import access as volume_access
    from andromede.volumes import routes as volume_routes

    network = Inside(lambda: more_routes.mount(site.networks), network_access.TABLE)
    image = Inside(lambda: image_routes.mount(site.images), image_access.TABLE, PATCH)
    volume = Inside(lambda: volume_routes.mount(site.volumes), volume_access.TABLE)
    views = RemoteViews(site.place.run)
    core = Core(
        site.desk,
        ImagesHere(site),
        NetworksHere(site),
        VolumesHere(site),
        views,
        network,
        image,
        volume,
        partial(consoles.address, site),
    )
    return Compute(core)


def mounts(site: Site) -> list[Mount]:
    """Nova's API."""
    from andromede.compute import flavors, routes

    flavors.provide(site.desk)
    return [routes.mount(site.compute)]

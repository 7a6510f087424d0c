"""Compute: its API over the services of its neighbours, and what the host role does for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from andromede.app.hosting.site import Site
    from andromede.compute.service import Compute
    from andromede.web.api import Mount


def service(site: Site) -> Compute:
    """The compute service of one process."""
    from andromede.app.hosting.compute_neighbours import ImagesHere, NetworksHere, VolumesHere
    from andromede.compute.asking import RemoteViews
    from andromede.compute.core import Core
    from andromede.compute.service import Compute

    core = Core(site.desk, ImagesHere(site), NetworksHere(site), VolumesHere(site), RemoteViews(site.place.run))
    return Compute(core)


def mounts(site: Site) -> list[Mount]:
    """Nova's API."""
    from andromede.compute import flavors, routes

    flavors.provide(site.desk)
    return [routes.mount(site.compute)]

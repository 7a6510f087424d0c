"""Compute: its API over the services of its neighbours, and what the host role does for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from andromede.errors import NotFound

if TYPE_CHECKING:
    from andromede.app.hosting.site import Site
    from andromede.compute.service import Compute
    from andromede.web.api import Mount
    from andromede.web.call import Call


def service(site: Site) -> Compute:
    """The compute service of one process."""
    from andromede.app.hosting.compute_neighbours import ImagesHere, NetworksHere, VolumesHere
    from andromede.app.hosting.inside import Inside
    from andromede.compute.asking import RemoteViews
    from andromede.compute.core import Core
    from andromede.compute.service import Compute
    from andromede.network import access as network_access
    from andromede.network import more_routes
    from andromede.volumes import access as volume_access
    from andromede.volumes import routes as volume_routes

    def absent(call: Call[Any], method: str, path: str, body: Any = None, query: Sequence[tuple[str, str]] = ()) -> Any:
        raise NotFound("this service is not here", "service")

    network = Inside(lambda: more_routes.mount(site.networks), network_access.TABLE)
    volume = Inside(lambda: volume_routes.mount(site.volumes), volume_access.TABLE)
    views = RemoteViews(site.place.run)
    core = Core(site.desk, ImagesHere(site), NetworksHere(site), VolumesHere(site), views, network, absent, volume)
    return Compute(core)


def mounts(site: Site) -> list[Mount]:
    """Nova's API."""
    from andromede.compute import flavors, routes

    flavors.provide(site.desk)
    return [routes.mount(site.compute)]

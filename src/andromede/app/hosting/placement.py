"""Placement: an API over the rows of capacity, which the host role writes and servers claim."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from andromede.app.hosting.site import Site
    from andromede.web.api import Mount


def mounts(site: Site) -> list[Mount]:
    """Placement's API."""
    from andromede.compute.placement import routes, service

    return [routes.mount(service.build(site.desk))]

"""The network service: Neutron's API, and the host role that makes networks and routers of its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from andromede.app.hosting.site import Site
    from andromede.network.service import Networks
    from andromede.web.api import Mount


def service(site: Site) -> Networks:
    """The service of one process."""
    from andromede.identity import principals_store
    from andromede.network.service import Core, Networks

    def known(project_id: str) -> bool:
        return principals_store.PROJECTS.find(site.base.db, id=project_id, is_domain=False) is not None

    return Networks(Core(site.desk, site.config.hosting, known, site.host))


def mounts(site: Site) -> list[Mount]:
    """Neutron's API."""
    from andromede.network import more_routes

    return [more_routes.mount(site.networks)]

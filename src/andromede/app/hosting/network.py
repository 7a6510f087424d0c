"""The network service: Neutron's API, and the host role that makes networks and routers of its rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from andromede.app.hosting.site import Duties

if TYPE_CHECKING:
    from andromede.app.hosting.site import Site
    from andromede.config import Server
    from andromede.engines.linux.host import Host
    from andromede.network.engine import Fabric
    from andromede.network.lifecycle import Wiring
    from andromede.network.parts import Place
    from andromede.network.service import Networks
    from andromede.web.api import Mount


def service(site: Site) -> Networks:
    """The service of one process."""
    from andromede.identity import principals_store
    from andromede.network.service import Core, Networks

    def known(project_id: str) -> bool:
        return principals_store.PROJECTS.find(site.base.db, id=project_id, is_domain=False) is not None

    return Networks(Core(site.desk, site.config.hosting, known, site.host))


def host(site: Site) -> Host:
    """What is this installation's of this machine's kernel."""
    from andromede.engines.linux.host import Host

    return Host.of(site.installation, Path(site.config.hosting.runtime))


def fabric(site: Site) -> Fabric:
    """Networks made by this machine's kernel."""
    from andromede.engines.linux.fabric import LinuxFabric

    return LinuxFabric(host(site))


def mounts(site: Site) -> list[Mount]:
    """Neutron's API."""
    from andromede.network import more_routes

    return [more_routes.mount(site.networks)]


def open_ports(server: Server) -> tuple[int, ...]:
    """The TCP ports of this machine that guests may reach: those of the program, where they listen to more than the
    machine itself."""
    found = []
    for listen in (server.listen, server.objects):
        host, _, port = listen.rpartition(":")
        if host not in ("127.0.0.1", "::1", "[::1]", "localhost"):
            found.append(int(port))
    return tuple(found)


def wiring(site: Site, heard: Callable[[str, bool], None]) -> Wiring:
    """The steps of networks and routers on this host; `heard` is told which networks are there."""
    from andromede.network.lifecycle import Wiring

    return Wiring(site.base.db, site.fabric, place(site), site.base.clock, heard)


def place(site: Site) -> Place:
    """Where parts are rendered for."""
    from andromede.network.parts import Place

    return Place(site.host, site.config.hosting, open_ports(site.config.server))


def begin(site: Site) -> None:
    """Make the network `public` of a new installation."""
    from andromede.identity import principals_store
    from andromede.ids import request_id

    owner = principals_store.PROJECTS.find(site.base.db, name="admin", domain_id="default", is_domain=False)
    if owner is not None:
        site.networks.begin(owner.id, request_id(site.base.ids))


def duties(site: Site) -> Duties:
    """Networks, routers and the way outside are made, and watched."""
    from andromede.app.hosting import metadata
    from andromede.network.lifecycle import PULSE_SECONDS, Watch
    from andromede.work import Reconciler

    ears = metadata.listener(site)
    made = wiring(site, ears.heard)
    watch = Watch(made, site.base.clock, site.base.log)
    answers = metadata.duties(site, ears)
    return Duties(
        [made.lifecycle()],
        [Reconciler("network.watch", PULSE_SECONDS, watch.turn), *answers.reconcilers],
        [lambda: begin(site), *answers.starts],
    )

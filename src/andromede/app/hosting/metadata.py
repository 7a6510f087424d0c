"""The metadata service: listening in every network of this host, answered with what compute knows of its servers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from andromede.app.hosting.site import Duties
from andromede.errors import NotFound

if TYPE_CHECKING:
    from andromede.app.hosting.site import Site
    from andromede.engines.linux.listener import Listener
    from andromede.network.metadata import Documents

SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Servers:
    """Servers by their ports."""

    site: Site

    def documents(self, port_id: str) -> Documents | None:
        """What compute tells of the server behind a port."""
        try:
            return self.site.compute.metadata(port_id)
        except NotFound:
            return None

    def keep_password(self, port_id: str, text: str) -> bool:
        """Compute keeps it for the server's owner."""
        try:
            return self.site.compute.keep_password(port_id, text)
        except NotFound:
            return False


def listener(site: Site) -> Listener:
    """The sockets of this process."""
    from andromede.app.hosting import network
    from andromede.engines.linux.listener import Listener
    from andromede.network.metadata_store import port_at

    own = network.host(site).installation
    return Listener(own, Servers(site), lambda net, address: port_at(site.base.db, net, address), site.base.log)


def duties(site: Site, ears: Listener) -> Duties:
    """Listening from the start on wherever a network stands, and in those that are mended."""
    from andromede.work import Reconciler

    def turn() -> bool:
        there = set(site.fabric.listing())
        for network_id in sorted(ears.networks() - there):
            ears.close(network_id)
        for network_id in sorted(there):
            ears.open(network_id)
        return False

    return Duties(reconcilers=[Reconciler("network.metadata", SECONDS, turn)], starts=[ears.start])

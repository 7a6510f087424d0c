"""The compute service: its parts over one core."""

from __future__ import annotations

from typing import Any

from andromede.compute import server_store
from andromede.compute.attaching import Attaching
from andromede.compute.consoles import Consoles
from andromede.compute.core import Core
from andromede.compute.deeds import Deeds
from andromede.compute.documents import Documents, documents
from andromede.compute.flavors import Flavors
from andromede.compute.groups import Groups
from andromede.compute.hosts import Hosts
from andromede.compute.keypairs import Keypairs
from andromede.compute.planning import Plan, Planner
from andromede.compute.quotas import Quotas
from andromede.compute.server_bodies import ServerWish
from andromede.compute.servers import Servers
from andromede.web.call import Call


class Compute:
    """What routes and other domains call."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.flavors = Flavors(core)
        self.quotas = Quotas(core)
        self.keypairs = Keypairs(core, self.quotas)
        self.groups = Groups(core, self.quotas)
        self.hosts = Hosts(core)
        self.servers = Servers(core, self.quotas)
        self.deeds = Deeds(core, self.servers, self.quotas)
        self.attaching = Attaching(core)
        self.consoles = Consoles(core)
        self.planner = Planner(core, self.flavors, self.keypairs, (self.hosts, self.groups, self.quotas))

    def plan(self, call: Call[Any], wish: ServerWish) -> Plan:
        """What a wish comes to."""
        return self.planner.plan(call, wish)

    def metadata(self, port_id: str) -> Documents:
        """What the guest behind a port may read of itself. Raises `NotFound`."""
        return self.documents(self.core.networks.server_of(port_id))

    def keep_password(self, port_id: str, text: str) -> bool:
        """Keep what the guest behind a port left for its owner; whether it was the first. Raises `NotFound`."""
        return self.servers.keep_password(self.servers.find(self.core.networks.server_of(port_id), None), text)

    def documents(self, server_id: str) -> Documents:
        """What a guest may read of itself, for the metadata service and the config drive. Raises `NotFound`."""
        server = self.servers.find(server_id, None)
        devices = server_store.devices(self.core.desk.db, [server_id]).get(server_id, [])
        networks = self.core.networks
        zone = self.hosts.zone_of(server.host) if server.host else server.availability_zone or self.core.zone
        known = (
            zone,
            networks.addresses([server_id]).get(server_id, ()),
            networks.group_names([server_id]).get(server_id, ()),
        )
        return documents(server, devices, networks.nics(server_id), known, self.core.desk.ids.secret(512))

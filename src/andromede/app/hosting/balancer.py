"""Load balancers: Octavia's API, and the host role that carries their traffic."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from andromede.app.hosting.site import Duties
from andromede.balancer.engine import Vip, VipWish
from andromede.balancer.model import OWNER
from andromede.errors import Conflict, Invalid, NotFound

if TYPE_CHECKING:
    from andromede.app.hosting.site import Site
    from andromede.balancer.service import Balancers
    from andromede.db import Tx
    from andromede.engines.haproxy.engine import HaproxyCarrier
    from andromede.keymanager.service import KeyManager
    from andromede.network.model import Port
    from andromede.network.service import Networks
    from andromede.web.api import Mount


class Ports:
    """VIP ports as the network service has them (`balancer.engine.Vips`)."""

    def __init__(self, site: Site) -> None:
        self._site = site

    @property
    def _networks(self) -> Networks:
        return self._site.networks

    def take(self, wish: VipWish, request_id: str, tx: Tx) -> Vip:
        """A new port, or the tenant's own, which must be free."""
        from andromede.network.model import PortWish

        if wish.port_id:
            return self._given(wish, tx)
        network_id = wish.network_id or self._network_of(wish, tx)
        fixed = [(wish.subnet_id, wish.address)] if wish.subnet_id or wish.address else None
        made = self._networks.create_port(
            wish.project_id, network_id,
            PortWish(
                name=f"octavia-lb-{wish.balancer_id}", fixed_ips=fixed, security_groups=[],
                device_id=f"lb-{wish.balancer_id}", device_owner=OWNER, trusted=True,
            ),
            request_id, tx,
        )  # fmt: skip
        return self._vip(made, wish, True)

    @staticmethod
    def _network_of(wish: VipWish, tx: Tx) -> str:
        from andromede.network.tables import SUBNETS

        row = SUBNETS.find(tx, id=wish.subnet_id)
        if row is None:
            raise Invalid(f"Subnet {wish.subnet_id} not found.", "subnet")
        return row.network_id

    def _given(self, wish: VipWish, tx: Tx) -> Vip:
        port = self._networks.port(wish.port_id, wish.project_id, tx)
        if port.device_id or port.device_owner:
            raise Conflict(f"The VIP port {port.id} is already in use: {port.device_owner} {port.device_id}", "port")
        return self._vip(port, wish, False)

    @staticmethod
    def _vip(port: Port, wish: VipWish, own: bool) -> Vip:
        found = [pair for pair in port.fixed_ips if wish.address in ("", pair[1])]
        if not found:
            raise Invalid(f"The VIP port {port.id} has no such address: {wish.address or 'any'}", "address")
        subnet_id, address = found[0]
        return Vip(port.id, port.network_id, subnet_id, address, own)

    def settle(self, port_id: str, balancer_id: str, host: str, request_id: str) -> bool:
        """Bind the port to this host, as a namespace of its own."""
        self._networks.bind(port_id, f"lb-{balancer_id}", host, request_id, owner=OWNER)
        return self._networks.is_wired(port_id)

    def give_back(self, port_id: str, own: bool, request_id: str) -> None:
        """Unbind it, or delete it."""
        with contextlib.suppress(NotFound):
            self._networks.unbind(port_id, request_id)
            if own:
                self._networks.delete_port(port_id, request_id)


class Certificates:
    """Certificates as the key manager has them (`balancer.engine.Certificates`)."""

    def __init__(self, keys: KeyManager) -> None:
        self._keys = keys

    def pem(self, ref: str, project_id: str, reader: str, request_id: str) -> bytes:
        """Of a certificate container, or of a secret with a bundle."""
        from andromede.balancer import pem

        found = self._keys.contents(ref, project_id, request_id, reader)
        return pem.bag(found[""]) if list(found) == [""] else pem.bundle(found)

    def plain(self, ref: str, project_id: str, reader: str, request_id: str) -> bytes:
        """Of a secret, or of the certificate in a container."""
        from andromede.balancer import pem

        found = self._keys.contents(ref, project_id, request_id, reader)
        raw = found.get("certificate") or found.get("")
        if raw is None:
            raise Invalid(f"{ref} holds no certificate", "certificate")
        return pem.authorities(raw)


def service(site: Site) -> Balancers:
    """The service of one process."""
    from andromede.balancer.service import Balancers

    return Balancers(site.desk, Ports(site), Certificates(site.keymanager), site.host)


def mounts(site: Site) -> list[Mount]:
    """Octavia's API, where this machine has the program that carries traffic."""
    from andromede.balancer import routes

    return [routes.mount(service(site))]


def carrier(site: Site) -> HaproxyCarrier:
    """What carries traffic on this host."""
    from andromede.engines.haproxy.engine import HaproxyCarrier
    from andromede.engines.linux.names import short

    own = short(site.installation, 6)
    return HaproxyCarrier(own, Path(site.config.hosting.runtime) / own, site.base.clock)


def duties(site: Site) -> Duties:
    """Load balancers are made, and watched."""
    from andromede.balancer import health, parts
    from andromede.balancer.lifecycle import lifecycle
    from andromede.work import Reconciler

    base, made = site.base, carrier(site)
    wish = parts.wish(base.db, Certificates(site.keymanager))
    watch = health.Health(site.desk, made, site.host, base.log)
    return Duties(
        lifecycles=[lifecycle(wish, made, Ports(site))],
        reconcilers=[Reconciler("balancer.health", health.EVERY, watch.run)],
    )

"""One router: its namespace, a pair for each leg and for the gateway, routes, rules and advertisements."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from andromede.engines.linux import daemon, dhcp, kernel, names, network, router_rules
from andromede.engines.linux.announce import announce
from andromede.engines.linux.host import Host, generation
from andromede.engines.linux.links import Links, peer_namespace
from andromede.engines.linux.names import GATEWAY
from andromede.engines.linux.netfilter import chains
from andromede.engines.linux.sweeping import sweep
from andromede.errors import Unavailable
from andromede.network.engine import GatewayPart, LegPart, RouterPart, Wired

_SYSCTL: dict[str, str | int] = {
    "net/ipv4/ip_forward": 1,
    "net/ipv6/conf/all/forwarding": 1,
    "net/ipv4/conf/all/rp_filter": 2,
    "net/ipv4/conf/all/arp_ignore": 1,  # each address is known only on the side that it is on
    "net/ipv4/conf/all/send_redirects": 0,
    "net/ipv4/conf/default/send_redirects": 0,
    "net/ipv6/conf/default/accept_ra": 0,
    "net/ipv6/conf/default/accept_dad": 0,  # the rows say whose addresses are; nobody waits a second for others
    "net/netfilter/nf_conntrack_tcp_loose": 0,
}


def place(host: Host, router_id: str) -> str:
    """The name of a router's namespace."""
    return names.namespace(host.installation, "r", router_id)


def ensure(host: Host, part: RouterPart) -> None:
    """Everything of a router, its pairs' ends in networks included."""
    own = place(host, part.id)
    host.step("namespace")
    fresh = kernel.create(own)
    rules = router_rules.render(part)

    def begin() -> frozenset[str]:
        host.step("sysctl")
        kernel.sysctl(_SYSCTL)
        host.load(own, rules, "flt")
        with Links() as links:
            return _shed(host, part, links)

    there = kernel.inside(own, begin)
    for port, place_of in _places(host, part):
        within = functools.partial(_wire, host, own, port, place_of, place_of.far in there)
        if place_of.namespace is None:
            within()
        else:
            kernel.inside(place_of.namespace, within)

    def finish() -> None:
        with Links() as links:
            _settle(host, part, links)
            sweep(host, links, own, (rules, part), fresh)
        daemon.ensure(host, part.id, own, dhcp.router_files(part))

    kernel.inside(own, finish)


def _shed(host: Host, part: RouterPart, links: Links) -> frozenset[str]:
    """Take unwanted pairs away; the names of those that stay."""
    wanted = {names.leg(leg.port_id)[1]: leg.port_id for leg in part.legs}
    if part.gateway is not None:
        wanted[GATEWAY] = part.gateway.port_id
    for name, link in sorted(links.all().items()):
        if link.kind == "veth" and (name not in wanted or link.alias not in ("", wanted[name])):
            host.step("remove leg")
            links.remove(name)
    return frozenset(links.all())


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the near end of a pair belongs: its name, the bridge it joins, that bridge's namespace (None: the
    machine's own), and the name of the far end."""

    near: str
    far: str
    bridge: str
    namespace: str | None


def _places(host: Host, part: RouterPart) -> list[tuple[LegPart | GatewayPart, _Place]]:
    found: list[tuple[LegPart | GatewayPart, _Place]] = []
    for leg in part.legs:
        where = network.place(host, leg.network_id)
        found.append((leg, _Place(*names.leg(leg.port_id), names.BRIDGE, where)))
    gateway = part.gateway
    if gateway is not None and gateway.outside:
        near = names.uplink(host.installation, gateway.port_id)
        found.append((gateway, _Place(near, GATEWAY, names.bridge(host.installation), None)))
    elif gateway is not None:
        near, where = names.leg(gateway.port_id)[0], network.place(host, gateway.network_id)
        found.append((gateway, _Place(near, GATEWAY, names.BRIDGE, where)))
    return found


def _forget(name: str) -> None:
    """Remove a link of the calling thread's namespace."""
    with Links() as links:
        links.remove(name)


def _wire(host: Host, own: str, port: LegPart | GatewayPart, place: _Place, there: bool) -> None:
    """Make a pair and join its near end; `there`: whether its far end is in the router."""
    with Links() as links:
        bridge = links.find(place.bridge)
        if bridge is None:
            raise Unavailable(f"the bridge of network {port.network_id} is not there (yet); the next turn finds it")
        if links.find(place.near) is not None and not there:
            links.remove(place.near)
        if links.find(place.near) is None:
            if there:  # its near end is where this network was before a stranger took its name
                kernel.inside(own, lambda: _forget(place.far))
            host.step("leg")
            with peer_namespace(own) as fd:
                peer = {"ifname": place.far, "net_ns_fd": fd, "address": port.mac, "mtu": port.mtu}
                links.add(place.near, kind="veth", mtu=port.mtu, peer=peer)
        host.step("leg settings")
        network.quiet(place.near)
        aim = {"master": bridge.index, "mtu": port.mtu, "alias": port.port_id, "up": True}
        links.settle(links.all()[place.near], aim)


def _settle(host: Host, part: RouterPart, links: Links) -> None:
    """Addresses, routes and announcements in the router's own namespace."""
    lo = links.all()["lo"]
    if not lo.up:
        links.settle(lo, {"up": True})
    for leg in part.legs:
        _address(host, links, names.leg(leg.port_id)[1], leg, ())
    routes: dict[str, tuple[str, int | None]] = {route.destination: (route.via, None) for route in part.routes}
    if part.gateway is not None:
        held = {one.address for one in part.floating} | {one.address for one in part.forwards}
        held -= {text.split("/")[0] for text in part.gateway.addresses}
        _address(host, links, GATEWAY, part.gateway, sorted(held))
        for hop in part.gateway.next_hops:
            routes.setdefault("::/0" if ":" in hop else "0.0.0.0/0", (hop, links.all()[GATEWAY].index))
    host.step("routes")
    links.routes(routes)


def _address(host: Host, links: Links, name: str, port: LegPart | GatewayPart, held: list[str] | tuple[()]) -> None:
    link = links.find(name)
    if link is None:
        raise Unavailable(f"the link {name} of port {port.port_id} is not in its router; the next turn makes it")
    host.step("addresses")
    links.settle(link, {"mac": port.mac, "mtu": port.mtu, "alias": port.port_id, "up": True})
    link = links.all()[name]
    fresh = links.addresses(link, [*port.addresses, *(f"{address}/32" for address in held)])
    if fresh:
        kernel.apart(functools.partial(announce, name, port.mac, [text.split("/")[0] for text in fresh]))


def remove(host: Host, router_id: str) -> None:
    """Everything of a router."""
    own = place(host, router_id)
    daemon.stop(host, router_id)

    def clear() -> None:
        with Links() as links:
            host.step("remove legs")
            links.remove_all([link for link in links.all().values() if link.kind == "veth"])

    if kernel.inode(own) is not None:
        kernel.inside(own, clear)
    host.step("forget namespace")
    kernel.destroy(own)


def observe(host: Host, router_id: str) -> Wired | None:
    """What there is of a router."""
    own = place(host, router_id)
    if kernel.inode(own) is None:
        return Wired(router_id, None, faults=("its namespace is not whole",)) if own in kernel.names(own) else None

    def look() -> Wired:
        with Links() as links:
            found = links.all().values()
        ports = frozenset(link.alias for link in found if link.kind == "veth" and link.up and link.alias)
        number = generation(chains("flt"))
        faults = [] if number is not None else ["its rules are missing"]
        faults += ["its dnsmasq has ended"] if daemon.lost(host, router_id) else []
        return Wired(router_id, number, ports, tuple(faults))

    return kernel.inside(own, look)

"""One network: its namespace, bridge, ports, rules and the daemon that hands out addresses."""

from __future__ import annotations

import contextlib
import subprocess
from typing import Any

from andromede.engines.linux import daemon, dhcp, house, kernel, names, network_rules
from andromede.engines.linux.host import Host, generation
from andromede.engines.linux.links import Link, Links, peer_namespace
from andromede.engines.linux.netfilter import chains, counters
from andromede.engines.linux.network_rules import METADATA
from andromede.engines.linux.nft import quick
from andromede.engines.linux.standing import Standing, Way
from andromede.engines.linux.sweeping import sweep, sweep_after
from andromede.errors import Unavailable
from andromede.network.engine import HOUSE, NONE, TAP, NetworkChange, NetworkPart, PortPart, Wired
from andromede.network.picture import Move

_SYSCTL: dict[str, str | int] = {
    "net/ipv4/ip_forward": 0,
    "net/bridge/bridge-nf-call-iptables": 1,
    "net/bridge/bridge-nf-call-ip6tables": 1,
    "net/ipv6/conf/default/accept_dad": 0,
    "net/netfilter/nf_conntrack_tcp_loose": 0,  # what was cut off does not come back from its middle
}
_BRIDGE_SYSCTL = {"net/ipv6/conf/br0/accept_ra": 0}


def place(host: Host, network_id: str) -> str:
    """The name of a network's namespace."""
    return names.namespace(host.installation, "n", network_id)


def ensure(host: Host, part: NetworkPart) -> None:
    """Everything of a network that is not a router's."""
    own = place(host, part.id)
    host.step("namespace")
    fresh = kernel.create(own)
    for port in part.ports:
        if port.kind == HOUSE:
            house.create(host, port)
    kernel.inside(own, lambda: _within(host, part, own, fresh))
    if part.outside:
        _join(host, part, own)
    for port in part.ports:
        if port.kind == HOUSE:
            house.settle(host, part, port)


def _within(host: Host, part: NetworkPart, own: str, fresh: bool) -> None:
    with Links() as links:
        bridge = _bridge(host, part, links)
        rules = network_rules.render(part)
        host.load(own, rules, "sg")  # before the ports: none is ever open
        _ports(host, part, links, bridge)
        sweep(host, links, own, (rules, part), fresh)
    daemon.ensure(host, part.id, own, dhcp.network_files(part))


def change(host: Host, standing: Standing, wish: NetworkChange) -> bool:
    """Lead a network from where it stands to where a change leads, if there is a short way; whether there was."""
    way = standing.way(wish)
    own = place(host, wish.id)
    if way is None or kernel.inode(own) is None:
        return False
    houses = [move.new for move in way.plan.moves if move.new is not None and move.new.kind == HOUSE]
    for port in houses:
        house.create(host, port)
    if not kernel.inside(own, lambda: _differ(host, own, (standing, way))):
        return False
    for port in houses:
        house.settle(host, standing.picture.bare, port)
    return True


def _differ(host: Host, own: str, wish: tuple[Standing, Way]) -> bool:
    standing, way = wish
    if not set(standing.marks) <= chains("sg"):
        return False
    bare, moves = standing.picture.bare, way.plan.moves
    with Links(["lo", names.BRIDGE, *(names.tap(move.port_id) for move in moves)]) as links:
        lo, bridge = links.find("lo"), links.find(names.BRIDGE)
        if bridge is None or lo is None or lo.alias != standing.sum:
            return False
        with kernel.beside(lambda: _tell(host, own, wish)) if way.files else contextlib.nullcontext():
            host.step("rules")  # before the ports: none is ever open
            if not quick(way.text):
                return False
            for move in moves:
                _move(host, bare, (links, bridge), move)
            sweep_after(host, links, own, wish)
    standing.take(way)
    host.loaded[own] = standing.whole
    return True


def _tell(host: Host, own: str, wish: tuple[Standing, Way]) -> None:
    """The daemon's lines, which take as long as the rules and wait for nothing of them."""
    standing, way = wish
    daemon.ensure(host, standing.picture.bare.id, own, standing.files(way))


def _move(host: Host, bare: NetworkPart, at: tuple[Links, Link], move: Move) -> None:
    links, bridge = at
    name, port = names.tap(move.port_id), move.new
    if port is not None and port.kind == NONE:
        port = None
    link = links.find(name)
    if link is not None and (port is None or not _fits(link, port)):
        if link.kind == "veth" and port is None:
            house.remove(host, link.alias)
        host.step("unplug")
        links.remove(name)
    if port is not None:
        _port(host, bare, links, bridge, (name, port))


def _bridge(host: Host, part: NetworkPart, links: Links) -> Link:
    lo = links.find("lo")
    if lo is not None and not lo.up:
        links.settle(lo, {"up": True})
    _forwarding(host)
    bridge = links.find(names.BRIDGE)
    if bridge is None:
        host.step("bridge")
        bridge = links.add(
            names.BRIDGE, kind="bridge", address=part.dhcp_mac, mtu=part.mtu,
            br_forward_delay=0, br_stp_state=0, br_mcast_snooping=0,
        )  # fmt: skip
    host.step("bridge settings")
    kernel.sysctl(dict(_BRIDGE_SYSCTL))
    links.settle(bridge, {"mac": part.dhcp_mac, "mtu": part.mtu, "alias": part.id, "up": part.up})
    lengths = {subnet.id: subnet.cidr.partition("/")[2] for subnet in part.subnets}
    own = [f"{subnet.dhcp_address}/{lengths[subnet.id]}" for subnet in part.subnets if subnet.dhcp_address]
    host.step("bridge addresses")
    links.addresses(bridge, [f"{METADATA}/32", *own])
    return links.all()[names.BRIDGE]


def _forwarding(host: Host) -> None:
    """What the kernel must do with frames on a bridge. Without br_netfilter no rule would ever be asked."""
    if kernel.read_sysctl("net/bridge/bridge-nf-call-iptables") is None:
        subprocess.run(["modprobe", "br_netfilter"], capture_output=True, check=False)
    if kernel.read_sysctl("net/bridge/bridge-nf-call-iptables") is None:
        raise Unavailable("the kernel lacks br_netfilter, without which security groups cannot hold; load that module")
    host.step("sysctl")
    kernel.sysctl(dict(_SYSCTL))


def _ports(host: Host, part: NetworkPart, links: Links, bridge: Link) -> None:
    wanted = {names.tap(port.id): port for port in part.ports if port.kind != NONE}
    taps = {name: link for name, link in sorted(links.all().items()) if name.startswith("tap")}
    unwanted = [link for name, link in taps.items() if name not in wanted or not _fits(link, wanted[name])]
    for link in unwanted:  # before the links, which tell whose they are
        if link.kind == "veth" and link.name not in wanted:
            house.remove(host, link.alias)
    if unwanted:
        host.step("unplug")
        links.remove_all(unwanted)
    for name, port in wanted.items():
        _port(host, part, links, bridge, (name, port))


def _fits(link: Link, port: PortPart) -> bool:
    return link.kind == ("tun" if port.kind == TAP else "veth")


def _port(host: Host, part: NetworkPart, links: Links, bridge: Link, named: tuple[str, PortPart]) -> None:
    name, port = named
    aim: dict[str, Any] = {"master": bridge.index, "mtu": part.mtu, "alias": port.id, "up": port.up}
    link = links.find(name)
    if link is not None and port.kind == HOUSE and not house.holds(host, port):
        links.remove(name)
        link = None
    if link is None:
        host.step("port")
        if port.kind == TAP:
            link = links.add(name, kind="tuntap", mode="tap", uid=port.uid, ifr={"vnet_hdr": 1, "no_pi": 1})
        else:
            house.vacate(host, port)
            with peer_namespace(house.place(host, port.id)) as fd:
                peer = {"ifname": house.LINK, "net_ns_fd": fd, "address": port.mac, "mtu": part.mtu}
                link = links.add(name, kind="veth", peer=peer)
        quiet(name)
    host.step("port settings")
    links.settle(link, aim)


def quiet(name: str) -> None:
    """A port of the bridge has no addresses of its own."""
    with contextlib.suppress(OSError):
        kernel.sysctl({f"net/ipv6/conf/{name}/disable_ipv6": 1})


def _join(host: Host, part: NetworkPart, own: str) -> None:
    """Put an external network's bridge beside the routers' gateways on the external bridge."""
    name = names.uplink(host.installation, part.id)
    with Links() as links:
        outside = links.find(names.bridge(host.installation))
        if outside is None:
            raise Unavailable("the external bridge is not there (yet); the next turn finds it")
        link = links.find(name)
        if link is None:
            host.step("uplink")
            with peer_namespace(own) as fd:
                peer = {"ifname": "up0", "net_ns_fd": fd, "mtu": part.mtu}
                link = links.add(name, kind="veth", peer=peer)
        host.step("uplink settings")
        links.settle(link, {"master": outside.index, "alias": part.id, "up": True})

    def within() -> None:
        with Links() as links:
            bridge, peer = links.find(names.BRIDGE), links.find("up0")
            if bridge is not None and peer is not None:
                quiet("up0")
                links.settle(peer, {"master": bridge.index, "up": True})

    kernel.inside(own, within)


def remove(host: Host, network_id: str) -> None:
    """Everything of a network, ports of routers included."""
    own = place(host, network_id)
    daemon.stop(host, network_id)
    if kernel.inode(own) is not None:
        kernel.inside(own, lambda: _clear(host))
    host.step("forget namespace")
    kernel.destroy(own)


def _clear(host: Host) -> None:
    """Take links away here and now: the kernel ends a namespace some time after its name is gone."""
    with Links() as links:
        found = [link for link in links.all().values() if link.kind in ("bridge", "veth", "tun")]
        for link in found:  # before the links, which tell whose they are
            if link.name.startswith("tap") and link.kind == "veth":
                house.remove(host, link.alias)
        host.step("remove links")
        links.remove_all(found)


def observe(host: Host, network_id: str) -> Wired | None:
    """What there is of a network."""
    own = place(host, network_id)
    if kernel.inode(own) is None:
        return Wired(network_id, None, faults=("its namespace is not whole",)) if own in kernel.names(own) else None
    return kernel.inside(own, lambda: _look(host, network_id))


def _look(host: Host, network_id: str) -> Wired:
    with Links() as links:
        found = links.all()
    bridge = found.get(names.BRIDGE)
    if bridge is None:
        return Wired(network_id, None, faults=("its bridge is missing",))
    ports = frozenset(
        link.alias
        for link in found.values()
        if link.master == bridge.index and link.up and link.alias and link.name.startswith(("tap", "r-"))
    )
    number = generation(chains("sg"))
    dropped = {word.removeprefix("c_"): count for word, count in counters().items()}
    faults = [] if number is not None else ["its rules are missing"]
    faults += ["its dnsmasq has ended"] if daemon.lost(host, network_id) else []
    return Wired(network_id, number, ports, tuple(faults), dropped)

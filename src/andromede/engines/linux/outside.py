"""The way outside: the external bridge in the machine's own namespace, and what guards the machine itself."""

from __future__ import annotations

from andromede.engines.linux import kernel, names
from andromede.engines.linux.host import Host, generation
from andromede.engines.linux.links import Link, Links
from andromede.engines.linux.netfilter import chains
from andromede.engines.linux.nft import run
from andromede.engines.linux.router_rules import LINK_LOCAL
from andromede.engines.linux.ruleset import Chain, Ruleset, Table
from andromede.errors import Unavailable
from andromede.network.engine import OUTSIDE, OutsidePart, Wired


def render(part: OutsidePart, installation: str) -> Ruleset:
    """Rules beside whatever others the machine has: a verdict of theirs to drop stands."""
    bridge = names.bridge(installation)
    ports = ", ".join(map(str, sorted(set(part.open_ports))))
    receive = [
        f'iifname != "{bridge}" accept',
        "ct state established,related accept",
        "ip protocol icmp accept",
        "meta l4proto ipv6-icmp accept",
        *([f"tcp dport {{ {ports} }} accept"] if ports else []),
        "counter name c_host drop",
    ]
    forward = [
        f'iifname != "{bridge}" oifname != "{bridge}" accept',
        f'iifname "{bridge}" ip daddr {LINK_LOCAL} counter name c_host drop',
        f'iifname "{bridge}" oifname "{bridge}" accept',
        "ct state established,related accept",
        f'iifname "{bridge}" ip saddr {part.cidr} accept',
        f'oifname "{bridge}" ip daddr {part.cidr} accept',
        "counter name c_host drop",
    ]
    chains = {
        "receive": Chain(tuple(receive), "type filter hook input priority 0; policy accept;"),
        "forward": Chain(tuple(forward), "type filter hook forward priority 0; policy accept;"),
    }
    if part.address and not part.interface:
        leave = (f'ip saddr {part.cidr} oifname != "{bridge}" masquerade',)
        chains["leave"] = Chain(leave, "type nat hook postrouting priority 100; policy accept;")
    return Ruleset((Table("inet", names.table(installation), ("c_host",), {}, chains),), part.generation)


def ensure(host: Host, part: OutsidePart) -> None:
    """The bridge, its address, its rules, and forwarding between it and the machine's ways out."""
    name = names.bridge(host.installation)
    host.load(name, render(part, host.installation), names.table(host.installation))
    with Links() as links:
        bridge = links.find(name)
        if bridge is None:
            host.step("bridge")
            bridge = links.add(name, kind="bridge", mtu=part.mtu, br_forward_delay=0, br_stp_state=0,
                               br_mcast_snooping=0)  # fmt: skip
        host.step("bridge settings")
        links.settle(bridge, {"mac": names.bridge_mac(host.installation), "mtu": part.mtu, "up": True})
        links.addresses(links.all()[name], [part.address] if part.address else [])
        if part.interface:
            _join(host, links, part.interface, links.all()[name])
        host.step("forwarding")
        ways = [name, *links.ways_out()] if part.address and not part.interface else []
        kernel.sysctl({f"net/ipv4/conf/{way}/forwarding": 1 for way in ways})


def _join(host: Host, links: Links, interface: str, bridge: Link) -> None:
    link = links.find(interface)
    if link is None:
        raise Unavailable(f"hosting.external_interface names {interface}, which this machine does not have")
    host.step("join")
    links.settle(link, {"master": bridge.index, "up": True})


def remove(host: Host) -> None:
    """The bridge and its rules. An interface that joined is let go."""
    name, table = names.bridge(host.installation), names.table(host.installation)
    with Links() as links:
        host.step("remove bridge")
        links.remove(name)
    host.step("remove rules")
    run(f"add table inet {table}\ndelete table inet {table}\n", strict=True)
    host.forget(name)


def observe(host: Host) -> Wired | None:
    """What there is of it."""
    name = names.bridge(host.installation)
    with Links() as links:
        bridge = links.find(name)
        ports = [link.alias for link in links.all().values() if bridge is not None and link.master == bridge.index]
    number = generation(chains(names.table(host.installation)))
    if bridge is None and number is None:
        return None
    missing = {"its bridge is missing": bridge is None, "its rules are missing": number is None}
    faults = [text for text, wrong in missing.items() if wrong]
    return Wired(OUTSIDE, number, frozenset(filter(None, ports)), tuple(faults))

"""What dnsmasq is told (dnsmasq(8)): addresses for a network's ports, advertisements on a router's legs."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from andromede.engines.linux import names
from andromede.engines.linux.network_rules import METADATA
from andromede.network.engine import NetworkPart, PortPart, RouterPart, SubnetPart

LEASE_SECONDS = 86400
_MODES = {"slaac": "ra-only", "dhcpv6-stateless": "ra-stateless", "dhcpv6-stateful": "static"}
_TROUBLE = "\n\r,#"


@dataclass(frozen=True, slots=True)
class Files:
    """Read once by the daemon; `hosts` has a line for each MAC address."""

    conf: str
    hosts: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


def _clean(text: str) -> str:
    """A value within a line of dnsmasq's: what ends one is left out."""
    return "".join(character for character in text if character not in _TROUBLE and character.isprintable())


def _tag(subnet: SubnetPart) -> str:
    return "s" + names.short(subnet.id)


def served(part: NetworkPart) -> list[SubnetPart]:
    """The subnets whose addresses a daemon of the network's hands out."""
    return [
        subnet
        for subnet in part.subnets
        if subnet.dhcp and subnet.dhcp_address and (subnet.version == 4 or subnet.address_mode.startswith("dhcpv6"))
    ]


def _four(part: NetworkPart, subnet: SubnetPart) -> Iterator[str]:
    network, tag = ipaddress.IPv4Network(subnet.cidr), _tag(subnet)
    yield f"dhcp-range=set:{tag},{network[0]},static,{network.netmask},{LEASE_SECONDS}"
    yield f"dhcp-option=tag:{tag},option:mtu,{part.mtu}"
    routes = [f"{METADATA}/32,{subnet.dhcp_address}"]
    routes += [f"{route.destination},{route.via}" for route in subnet.routes if ":" not in route.destination]
    if subnet.gateway:
        yield f"dhcp-option=tag:{tag},option:router,{subnet.gateway}"
        if not any(route.destination == "0.0.0.0/0" for route in subnet.routes):
            routes.append(f"0.0.0.0/0,{subnet.gateway}")  # RFC 3442: who knows this option does not read the other
    else:
        yield f"dhcp-option=tag:{tag},option:router"
    yield f"dhcp-option=tag:{tag},option:classless-static-route,{','.join(routes)}"
    servers = [server for server in subnet.servers if ":" not in server] or [subnet.dhcp_address]
    if servers != ["0.0.0.0"]:  # noqa: S104 (Neutron's word for: no server)
        yield f"dhcp-option=tag:{tag},option:dns-server,{','.join(servers)}"


def _six(subnet: SubnetPart) -> Iterator[str]:
    network, tag = ipaddress.IPv6Network(subnet.cidr), _tag(subnet)
    mode = "static" if subnet.address_mode == "dhcpv6-stateful" else "ra-stateless"
    yield f"dhcp-range=set:{tag},{network[0]},{mode},{network.prefixlen},{LEASE_SECONDS}"
    servers = [f"[{server}]" for server in subnet.servers if ":" in server]
    if servers:
        yield f"dhcp-option=tag:{tag},option6:dns-server,{','.join(servers)}"


@dataclass(frozen=True, slots=True)
class Lines:
    """What the files hold of one port."""

    hosts: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


def lines(port: PortPart, subnets: frozenset[str]) -> Lines:
    """The lines of a port; `subnets`: those whose addresses the daemon hands out."""
    if not port.up:
        return Lines()
    called = tuple(f"{fixed.address} {host_name(port, fixed.address)}" for fixed in port.fixed)
    return Lines(tuple(_host(port, subnets)), tuple(_options(port)), called)


def _host(port: PortPart, subnets: frozenset[str]) -> Iterator[str]:
    """The line of a port: its MAC address, and one address for each subnet that is handed out."""
    addresses = [fixed.address for fixed in port.fixed if fixed.subnet_id in subnets]
    if not addresses:
        return
    name = host_name(port, addresses[0])
    for address in addresses:
        shown = f"[{address}]" if ":" in address else address
        yield f"{port.mac},set:p{names.short(port.id)},{shown},{name}"


def host_name(port: PortPart, address: str) -> str:
    """What the port is called in its network: as wished, or `host-10-0-0-5`."""
    return _clean(port.name.split(".")[0]) or "host-" + address.replace(".", "-").replace(":", "-")


def _options(port: PortPart) -> Iterator[str]:
    for option in port.options:
        word, name = ("option6" if option.version == 6 else "option"), _clean(option.name)
        yield f"tag:p{names.short(port.id)},{word}:{name},{option.value.translate({10: None, 13: None})}"


def network_conf(part: NetworkPart) -> str | None:
    """What a network's daemon is told whatever ports there are, None when there is nothing to hand out."""
    subnets = served(part)
    if not subnets or not part.up:
        return None
    conf = ["no-resolv", "no-hosts", "no-poll", f"interface={names.BRIDGE}", "except-interface=lo", "bind-interfaces",
            "dhcp-authoritative", "leasefile-ro", "dhcp-lease-max=65536", "quiet-dhcp", "quiet-dhcp6", "quiet-ra",
            "dhcp-no-override", "dhcp-rapid-commit"]  # fmt: skip
    if part.domain:
        domain = _clean(part.domain.rstrip("."))
        conf += [f"domain={domain}", f"local=/{domain}/", "expand-hosts"]
    for subnet in subnets:
        conf += _four(part, subnet) if subnet.version == 4 else _six(subnet)
    return "\n".join(conf) + "\n"


def handed_out(part: NetworkPart) -> frozenset[str]:
    """The ids of the subnets whose addresses a network's daemon hands out."""
    return frozenset(subnet.id for subnet in served(part))


def files(conf: str | None, found: Mapping[str, Lines]) -> Files | None:
    """What a daemon is told of ports, in the order of their ids."""
    if conf is None:
        return None
    listed = [found[port_id] for port_id in sorted(found)]
    return Files(
        conf,
        tuple(line for one in listed for line in one.hosts),
        tuple(line for one in listed for line in one.options),
        tuple(line for one in listed for line in one.names),
    )


def network_files(part: NetworkPart) -> Files | None:
    """What a network's daemon is told, None when there is nothing to hand out."""
    subnets = handed_out(part)
    return files(network_conf(part), {port.id: lines(port, subnets) for port in part.ports})


def router_files(part: RouterPart) -> Files | None:
    """What a router's daemon is told: which prefixes to advertise on which leg (RFC 4861). It hands out nothing."""
    told: list[str] = []
    for leg in part.legs:
        link = names.leg(leg.port_id)[1]
        own = [subnet for subnet in leg.subnets if subnet.version == 6 and subnet.ra_mode]
        if not own:
            continue
        told += [f"interface={link}", f"ra-param={link},mtu:{leg.mtu},30,600"]
        for subnet in own:
            network, tag = ipaddress.IPv6Network(subnet.cidr), _tag(subnet)
            mode = _MODES[subnet.ra_mode]
            told.append(f"dhcp-range=set:{tag},{network[0]},{mode},{network.prefixlen},{LEASE_SECONDS}")
            if mode == "static":
                told.append(f"dhcp-ignore=tag:{tag}")  # the network's own daemon answers
            servers = [f"[{server}]" for server in subnet.servers if ":" in server]
            if servers:
                told.append(f"dhcp-option=tag:{tag},option6:dns-server,{','.join(servers)}")
    if not told or not part.up:
        return None
    head = ["port=0", "no-resolv", "no-hosts", "except-interface=lo", "bind-interfaces", "enable-ra", "leasefile-ro"]
    return Files("\n".join([*head, "quiet-dhcp6", "quiet-ra", *told]) + "\n")

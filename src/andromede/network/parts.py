"""From rows to what a fabric carries: the one function that renders a network, a router or the way outside whole."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, replace

from andromede.config import Hosting
from andromede.db.table import Reader
from andromede.network import links_store
from andromede.network.addressing import network as range_of
from andromede.network.engine import (
    HOUSE,
    NONE,
    TAP,
    AddressGroupPart,
    FixedPart,
    FloatingPart,
    ForwardPart,
    GatewayPart,
    GroupPart,
    LegPart,
    NetworkPart,
    OptionPart,
    OutsidePart,
    PairPart,
    Part,
    PortPart,
    RoutePart,
    RouterPart,
    RulePart,
    SubnetPart,
)
from andromede.network.model import AddressRow, NetworkRow, PartRow, PortRow, RouterRow, SubnetRow
from andromede.network.networks import OUTSIDE
from andromede.network.secrules import number
from andromede.network.shapes import DHCP, FLOATING, GATEWAY, ROUTER
from andromede.network.tables import (
    ADDRESS_GROUPS,
    FORWARDINGS,
    GROUPS,
    NETWORKS,
    PORTS,
    ROUTERS,
    RULES,
    SUBNETS,
)
from andromede.network.tables import FLOATING as FLOATING_IPS

OWN = (DHCP, ROUTER, GATEWAY, FLOATING)
HOUSES = ("Octavia", "octavia", "network:house")
"""Owners of ports that are namespaces of the cloud's own, and no guests."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where parts are rendered for: this host, its settings, and the TCP ports that guests may reach on it."""

    host: str
    settings: Hosting
    open_ports: tuple[int, ...] = ()


def render(tx: Reader, part: PartRow, place: Place) -> Part | None:
    """What a part wants on this host; None when nothing does. The same rows give the same value."""
    if part.kind == "outside":
        return outside(place, part.wished)
    if part.kind == "router":
        router = ROUTERS.find(tx, id=part.id)
        return None if router is None else _router(tx, router, part.wished)
    row = NETWORKS.find(tx, id=part.id)
    return None if row is None else _network(tx, row, part.wished, place)


def outside(place: Place, generation: int) -> OutsidePart:
    """The way outside, as the settings have it."""
    settings = place.settings
    net = range_of(str(ipaddress.ip_network(settings.external_cidr, strict=False)))
    own = "" if settings.external_gateway else f"{net.network_address + 1}/{net.prefixlen}"
    return OutsidePart(
        str(net), own, settings.external_interface, place.open_ports, generation=generation
    )  # fmt: skip


def empty(part: PartRow) -> NetworkPart:
    """A network in which nothing is left."""
    return NetworkPart(part.id, computed_mac(part.id), generation=part.wished)


def computed_mac(word: str) -> str:
    """A MAC address for what has no port in a row."""
    digits = hashlib.sha256(word.encode()).hexdigest()
    return f"fa:16:3f:{digits[:2]}:{digits[2:4]}:{digits[4:6]}"


def is_outside(row: NetworkRow) -> bool:
    """Whether a network is the external bridge itself."""
    return row.network_type == "flat" and row.physical_network == OUTSIDE


def _network(tx: Reader, row: NetworkRow, generation: int, place: Place) -> NetworkPart | None:
    ports = PORTS.select(tx, {"network_id": row.id})
    guests = sorted((port for port in ports if port.host and port.device_owner not in OWN), key=lambda port: port.id)
    legs = any(port.device_owner == ROUTER for port in ports)
    gateways = any(port.device_owner == GATEWAY for port in ports) and not is_outside(row)
    if not legs and not gateways and all(port.host != place.host for port in guests):
        return None
    dhcp = next((port for port in ports if port.device_owner == DHCP), None)
    addresses = links_store.addresses(tx, [port.id for port in ports])
    subnets = SUBNETS.select(tx, {"network_id": row.id})
    held = links_store.groups_of(tx, [port.id for port in guests])
    shown, named = groups(tx, {group for own in held.values() for group in own})
    members = _members(tx, row.id, sorted(rule.group for group in shown for rule in group.rules if rule.group))
    return NetworkPart(
        row.id,
        dhcp.mac_address if dhcp else computed_mac(row.id),
        row.mtu,
        row.admin_state_up,
        row.dns_domain.rstrip("."),
        is_outside(row),
        tuple(_subnet(one, addresses.get(dhcp.id, []) if dhcp else []) for one in subnets),
        tuple(port(one, addresses.get(one.id, []), held.get(one.id, []), place) for one in guests),
        tuple(replace(group, members=tuple(members.get(group.id, ()))) for group in shown),
        named,
        generation,
    )


def _subnet(row: SubnetRow, serving: Sequence[AddressRow] = ()) -> SubnetPart:
    address = next((one.address for one in serving if one.subnet_id == row.id), "")
    served = row.enable_dhcp and (row.ip_version == 4 or bool(row.address_mode))
    routes = tuple(RoutePart(one["destination"], one["nexthop"]) for one in row.host_routes)
    return SubnetPart(
        row.id, row.cidr, row.gateway_ip, served, address, tuple(row.dns_nameservers), routes, row.ra_mode,
        row.address_mode,
    )  # fmt: skip


def port(row: PortRow, addresses: Sequence[AddressRow], groups: Sequence[str], place: Place) -> PortPart:
    """A guest's port, or one that is a namespace of the cloud's own."""
    kind = NONE if row.host != place.host else HOUSE if row.device_owner in HOUSES else TAP
    options = tuple(
        OptionPart(one.get("ip_version", 4), one["opt_name"], one["opt_value"])
        for one in row.dhcp_opts
        if one["opt_value"] is not None
    )
    return PortPart(
        row.id,
        row.mac_address,
        tuple(FixedPart(one.subnet_id, one.address) for one in addresses),
        kind,
        row.uid,
        row.admin_state_up,
        row.port_security_enabled,
        tuple(groups),
        tuple(PairPart(one["mac_address"], one["ip_address"]) for one in row.pairs),
        options,
        row.dns_name,
    )


def groups(tx: Reader, used: set[str]) -> tuple[tuple[GroupPart, ...], tuple[AddressGroupPart, ...]]:
    """The groups of ports with their rules, and those that the rules name; all without members."""
    rules = RULES.select(tx, {"group_id": sorted(used)}) if used else []
    named = {one.remote_group for one in rules if one.remote_group}
    ranges = {one.remote_addresses for one in rules if one.remote_addresses}
    rows = {one.id: one for one in GROUPS.select(tx, {"id": sorted(used | named)})} if used else {}
    shown = []
    for group_id in sorted(rows):
        own = tuple(
            RulePart(
                rule.direction == "ingress", 6 if rule.ethertype == "IPv6" else 4, number(rule.protocol), rule.low,
                rule.high, rule.prefix or "", rule.remote_group or "", rule.remote_addresses or "",
            )
            for rule in rules if rule.group_id == group_id
        )  # fmt: skip
        shown.append(GroupPart(group_id, own, (), rows[group_id].stateful))
    held = ADDRESS_GROUPS.select(tx, {"id": sorted(ranges)}) if ranges else []
    return tuple(shown), tuple(AddressGroupPart(one.id, tuple(one.addresses)) for one in held)


def reached(tx: Reader, network_id: str) -> list[str]:
    """The networks whose ports are members of groups on this one: itself and those that its routers reach."""
    return sorted({network_id, *links_store.networks_at(tx, links_store.routers_on(tx, [network_id]))})


def _members(tx: Reader, network_id: str, groups: Sequence[str]) -> dict[str, list[str]]:
    """Group -> the addresses of its bound ports on this network and on those that its routers reach."""
    if not groups:
        return {}
    found = links_store.members(tx, sorted(set(groups)), reached(tx, network_id))
    return {group: sorted(texts) for group, texts in found.items()}


def _router(tx: Reader, row: RouterRow, generation: int) -> RouterPart:
    ports = PORTS.select(tx, {"device_id": row.id})
    addresses = links_store.addresses(tx, [port.id for port in ports])
    networks = {one.id: one for one in NETWORKS.select(tx, {"id": sorted({port.network_id for port in ports})})}
    subnets = {one.id: one for one in SUBNETS.select(tx, {"network_id": sorted(networks)})}

    def with_prefix(port: PortRow) -> tuple[str, ...]:
        return tuple(
            f"{one.address}/{range_of(subnets[one.subnet_id].cidr).prefixlen}" for one in addresses.get(port.id, [])
        )

    def within(port: PortRow) -> list[SubnetRow]:
        ids = dict.fromkeys(one.subnet_id for one in addresses.get(port.id, []))
        return [subnets[subnet_id] for subnet_id in ids]

    legs = tuple(
        LegPart(port.id, port.network_id, port.mac_address, with_prefix(port),
                tuple(_subnet(one) for one in within(port)), networks[port.network_id].mtu)
        for port in ports if port.device_owner == ROUTER and addresses.get(port.id)
    )  # fmt: skip
    gate = next((port for port in ports if port.id == row.gateway_port), None)
    gateway = None
    if gate is not None:
        hops: dict[int, str] = {}
        for one in within(gate):
            if one.gateway_ip:
                hops.setdefault(one.ip_version, one.gateway_ip)
        outer = networks[gate.network_id]
        gateway = GatewayPart(gate.id, gate.network_id, gate.mac_address, with_prefix(gate), tuple(hops.values()),
                              row.enable_snat, is_outside(outer), outer.mtu)  # fmt: skip
    floating, forwards = _translated(tx, row) if gateway is not None else ((), ())
    routes = tuple(RoutePart(one["destination"], one["nexthop"]) for one in row.routes)
    return RouterPart(row.id, row.admin_state_up, legs, gateway, routes, floating, forwards, generation)


def _translated(tx: Reader, row: RouterRow) -> tuple[tuple[FloatingPart, ...], tuple[ForwardPart, ...]]:
    rows = FLOATING_IPS.select(tx, {"router_id": row.id})
    whole = tuple(FloatingPart(one.id, one.address, one.fixed_ip) for one in rows if one.port_id)
    outer = {one.id: one.address for one in rows}
    forwards = tuple(
        ForwardPart(one.id, outer[one.floating_id], one.protocol, (one.outer_first, one.outer_last), one.address,
                    (one.inner_first, one.inner_last))
        for one in FORWARDINGS.select(tx, {"floating_id": sorted(outer)})
    )  # fmt: skip
    return whole, forwards

"""Rows as the API shows them, many at once."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from typing import Any

from andromede.clock import iso_second
from andromede.db.table import Reader
from andromede.network import links_store
from andromede.network.addressing import network as range_of
from andromede.network.addressing import size
from andromede.network.shape import Attr, Shape, Who
from andromede.network.shapes import NETWORK, PORT, SUBNET
from andromede.network.shapes_more import (
    ADDRESS_GROUP,
    DEFAULT_RULE,
    FLOATING_IP,
    FORWARDING,
    GROUP,
    RBAC,
    ROUTER,
    RULE,
    SCOPE,
)
from andromede.network.tables import FORWARDINGS, GROUPS, NETWORKS, POOLS, PORTS, RULES, SUBNETS

ZONE = "nova"
DOMAIN = "openstacklocal"
NULLED = frozenset(
    [
        "gateway_ip",
        "ipv6_ra_mode",
        "ipv6_address_mode",
        "subnetpool_id",
        "address_scope_id",
        "port_id",
        "router_id",
        "fixed_ip_address",
        "provider:physical_network",
        "flavor_id",
    ]
)
"""Attributes whose empty text is shown as null."""
Values = dict[str, Any]
More = Callable[[Reader, Sequence[Any], Who, list[Values]], None]


def show(tx: Reader, shape: Shape, row: Any, who: Who) -> Values:
    """One row."""
    return many(tx, shape, [row], who)[0]


def many(tx: Reader, shape: Shape, rows: Sequence[Any], who: Who) -> list[Values]:
    """Rows with everything that hangs on them."""
    visible = [attr for attr in shape.attrs if attr.admin != "see" or who.admin]
    columns = set(shape.table.columns)
    found = [_plain(shape, [attr for attr in visible if attr.field in columns], row) for row in rows]
    if shape.taggable:
        tags = links_store.tags(tx, [row.id for row in rows])
        for row, values in zip(rows, found, strict=True):
            values["tags"] = tags.get(row.id, [])
    if (more := _MORE.get(shape.singular)) is not None:
        more(tx, rows, who, found)
    return found


def chosen(values: Values, fields: Sequence[str]) -> Values:
    """Those members that the client asked for; all without a choice."""
    return {name: values[name] for name in fields if name in values} if fields else values


def _plain(shape: Shape, attrs: Sequence[Attr], row: Any) -> Values:
    values: Values = {}
    for attr in attrs:
        value = getattr(row, attr.field)
        values[attr.name] = None if value == "" and attr.name in NULLED else value
    if "project_id" in values:
        values["tenant_id"] = values["project_id"]
    if shape not in (RBAC, FORWARDING, SCOPE, DEFAULT_RULE):
        values["created_at"] = iso_second(row.created_us)
        values["updated_at"] = iso_second(row.updated_us)
    return values


def _networks(tx: Reader, rows: Sequence[Any], who: Who, found: list[Values]) -> None:
    ids = [row.id for row in rows]
    subnets, shared = links_store.subnets_of(tx, ids), links_store.shown_to(tx, ids, who.project_id)
    scopes = _scopes(tx, ids)
    for row, values in zip(rows, found, strict=True):
        values["subnets"] = subnets.get(row.id, [])
        values["shared"] = row.id in shared
        values["availability_zones"] = [ZONE]
        values["ipv4_address_scope"] = scopes.get((row.id, 4))
        values["ipv6_address_scope"] = scopes.get((row.id, 6))
        if "provider:segmentation_id" in values:
            values["provider:segmentation_id"] = row.segment or None
        if not row.external:
            values.pop("is_default")


def _scopes(tx: Reader, networks: Sequence[str]) -> dict[tuple[str, int], str]:
    """(network, IP version) -> the address scope of its subnets."""
    rows = [row for row in SUBNETS.select(tx, {"network_id": list(networks)}) if row.subnetpool_id]
    pools = (
        {row.id: row for row in POOLS.select(tx, {"id": sorted({row.subnetpool_id for row in rows})})} if rows else {}
    )
    scoped = [(row, pools[row.subnetpool_id].address_scope_id) for row in rows if row.subnetpool_id in pools]
    return {(row.network_id, row.ip_version): scope for row, scope in scoped if scope}


def _subnets(tx: Reader, rows: Sequence[Any], who: Who, found: list[Values]) -> None:
    for row, values in zip(rows, found, strict=True):
        values["allocation_pools"] = [{"start": low, "end": high} for low, high in row.pools]
        values["segment_id"] = None


def _ports(tx: Reader, rows: Sequence[Any], who: Who, found: list[Values]) -> None:
    ids = [row.id for row in rows]
    addresses, groups = links_store.addresses(tx, ids), links_store.groups_of(tx, ids)
    domains = {row.id: row.dns_domain for row in NETWORKS.select(tx, {"id": sorted({row.network_id for row in rows})})}
    for row, values in zip(rows, found, strict=True):
        held = addresses.get(row.id, [])
        values["fixed_ips"] = [{"subnet_id": one.subnet_id, "ip_address": one.address} for one in held]
        values["security_groups"] = groups.get(row.id, [])
        domain = domains.get(row.network_id, "").rstrip(".") or DOMAIN
        values["dns_assignment"] = [_dns(row.dns_name, one.address, domain) for one in held]
        values["extra_dhcp_opts"] = [{"ip_version": 4, **option} for option in row.dhcp_opts]
        if who.admin:
            kind = "tap" if row.host else "unbound"
            values["binding:vif_type"] = "binding_failed" if row.status == "ERROR" else kind
            values["binding:vif_details"] = {"port_filter": True} if row.host else {}


def _dns(name: str, address: str, domain: str) -> Values:
    host = name or "host-" + address.replace(".", "-").replace(":", "-")
    return {"hostname": host, "ip_address": address, "fqdn": f"{host}.{domain}."}


def _routers(tx: Reader, rows: Sequence[Any], who: Who, found: list[Values]) -> None:
    addresses = links_store.addresses(tx, [row.gateway_port for row in rows if row.gateway_port])
    for row, values in zip(rows, found, strict=True):
        values["external_gateway_info"] = None if not row.gateway_network else {
            "network_id": row.gateway_network,
            "enable_snat": row.enable_snat,
            "external_fixed_ips": [
                {"subnet_id": one.subnet_id, "ip_address": one.address} for one in addresses.get(row.gateway_port, [])
            ],
        }  # fmt: skip
        values["availability_zones"] = [ZONE]
        values["flavor_id"] = None
        if who.admin:
            values["distributed"] = values["ha"] = False


def _floating(tx: Reader, rows: Sequence[Any], who: Who, found: list[Values]) -> None:
    ports = {row.id: row for row in PORTS.select(tx, {"id": [row.port_id for row in rows if row.port_id]})}
    forwards: dict[str, list[Any]] = {}
    for one in FORWARDINGS.select(tx, {"floating_id": [row.id for row in rows]}):
        forwards.setdefault(one.floating_id, []).append(one)
    for row, values in zip(rows, found, strict=True):
        port = ports.get(row.port_id)
        values["port_details"] = None if port is None else {
            name: getattr(port, name)
            for name in ("name", "network_id", "mac_address", "admin_state_up", "status", "device_id", "device_owner")
        }  # fmt: skip
        values["port_forwardings"] = [forwarding(one, brief=True) for one in forwards.get(row.id, [])]


def forwarding(row: Any, brief: bool = False) -> Values:
    """A port forwarding. One port is shown as a port, more as a range besides."""
    one = row.outer_first == row.outer_last
    values: Values = {
        "protocol": row.protocol,
        "internal_ip_address": row.address,
        "internal_port": row.inner_first if one else None,
        "external_port": row.outer_first if one else None,
        "internal_port_range": f"{row.inner_first}:{row.inner_last}",
        "external_port_range": f"{row.outer_first}:{row.outer_last}",
    }
    return values if brief else values | {
        "id": row.id, "internal_port_id": row.port_id, "description": row.description
    }  # fmt: skip


def _forwardings(tx: Reader, rows: Sequence[Any], who: Who, found: list[Values]) -> None:
    for row, values in zip(rows, found, strict=True):
        values.update(forwarding(row))


def _groups(tx: Reader, rows: Sequence[Any], who: Who, found: list[Values]) -> None:
    ids = [row.id for row in rows]
    shared = links_store.shown_to(tx, ids, who.project_id)
    rules: dict[str, list[Values]] = {}
    own = RULES.select(tx, {"group_id": ids})
    for rule, values in zip(own, many(tx, RULE, own, who), strict=True):
        rules.setdefault(rule.group_id, []).append(values)
    for row, values in zip(rows, found, strict=True):
        values["security_group_rules"] = rules.get(row.id, [])
        values["shared"] = row.id in shared


def _rules(tx: Reader, rows: Sequence[Any], who: Who, found: list[Values]) -> None:
    groups = {row.id: row for row in GROUPS.select(tx, {"id": sorted({row.group_id for row in rows})})}
    for row, values in zip(rows, found, strict=True):
        values["normalized_cidr"] = str(ipaddress.ip_network(row.prefix)) if row.prefix else None
        values["belongs_to_default_sg"] = groups[row.group_id].is_default


def _address_groups(tx: Reader, rows: Sequence[Any], who: Who, found: list[Values]) -> None:
    shared = links_store.shown_to(tx, [row.id for row in rows], who.project_id)
    for row, values in zip(rows, found, strict=True):
        values["shared"] = row.id in shared


_MORE: dict[str, More] = {
    NETWORK.singular: _networks,
    SUBNET.singular: _subnets,
    PORT.singular: _ports,
    ROUTER.singular: _routers,
    FLOATING_IP.singular: _floating,
    FORWARDING.singular: _forwardings,
    GROUP.singular: _groups,
    RULE.singular: _rules,
    ADDRESS_GROUP.singular: _address_groups,
}


def availability(tx: Reader, rows: Sequence[Any]) -> list[Values]:
    """How many addresses of networks are taken (extension network-ip-availability)."""
    ids = [row.id for row in rows]
    used, held = links_store.availability(tx, ids), SUBNETS.select(tx, {"network_id": ids})
    found = []
    for row in rows:
        subnets: list[Values] = [
            {
                "subnet_id": one.id, "subnet_name": one.name, "cidr": str(range_of(one.cidr)),
                "ip_version": one.ip_version, "total_ips": size(one.pools), "used_ips": used.get(one.id, 0),
            }
            for one in held if one.network_id == row.id
        ]  # fmt: skip
        found.append({
            "network_id": row.id, "network_name": row.name, "project_id": row.project_id, "tenant_id": row.project_id,
            "total_ips": sum(int(one["total_ips"]) for one in subnets),
            "used_ips": sum(int(one["used_ips"]) for one in subnets),
            "subnet_ip_availability": subnets,
        })  # fmt: skip
    return found


def of_version(values: Values, versions: Sequence[str]) -> Values:
    """The availability of a network's subnets of certain IP versions."""
    subnets = [one for one in values["subnet_ip_availability"] if str(one["ip_version"]) in versions]
    totals = {name: sum(int(one[name]) for one in subnets) for name in ("total_ips", "used_ips")}
    return values | totals | {"subnet_ip_availability": subnets}

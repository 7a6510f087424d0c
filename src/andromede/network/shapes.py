"""The attributes of networks, subnets and ports (Networking API v2.0)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from andromede.network import kinds, tables
from andromede.network.faults import bad
from andromede.network.kinds import boolean, listing, number, one_of, or_none, record, text
from andromede.network.model import NetworkRow, PortRow, SubnetRow
from andromede.network.shape import REQUIRED, STANDARD, Attr, Shape, Who, shared_by_policy

UP = Attr("admin_state_up", boolean, True, put=True, match="bool")
STATUS = Attr("status")
DHCP, ROUTER, GATEWAY, FLOATING = (
    "network:dhcp",
    "network:router_interface",
    "network:router_gateway",
    "network:floatingip",
)
SEGMENT = or_none(number(1, 16777215), 0)
MODES = ("slaac", "dhcpv6-stateful", "dhcpv6-stateless")


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))


def truth(values: Sequence[str]) -> bool:
    """A truth value of a query."""
    return boolean("filter", values[-1])


def _network_seen(who: Who) -> tuple[str, list[Any]]:
    sql, params = shared_by_policy(who)
    return f"({sql} OR t.external = 1)", params


def _network_shared(values: Sequence[str], who: Who) -> tuple[str, list[Any]]:
    sql = "t.id IN (SELECT object_id FROM network_rbac WHERE action = 'access_as_shared' AND target_tenant IN ('*', ?))"
    return (sql if truth(values) else f"NOT {sql}"), [who.project_id]


NETWORK = Shape(
    "network", "networks", "Network", tables.NETWORKS, NetworkRow,
    (
        *STANDARD, UP, STATUS,
        Attr("shared", boolean, False, put=True, admin="set", match=""),
        Attr("router:external", boolean, False, put=True, admin="set", column="external", match="bool"),
        Attr("is_default", boolean, False, put=True, admin="set", match="bool"),
        Attr("mtu", number(68, 65535), 0, put=True, match="int"),
        Attr("port_security_enabled", boolean, True, put=True, match="bool"),
        Attr("provider:network_type", one_of("vxlan", "flat", "local"), "", admin="see", column="network_type"),
        Attr("provider:physical_network", or_none(text(64)), "", admin="see", column="physical_network"),
        Attr("provider:segmentation_id", SEGMENT, 0, admin="see", column="segment", match="int"),
        Attr("dns_domain", kinds.domain_name, "", put=True),
        Attr("availability_zone_hints", kinds.HINTS, [], column="zone_hints", match=""),
    ),
    _network_seen,
    ("subnets", "shared", "availability_zones", "ipv4_address_scope", "ipv6_address_scope"),
    filters={"shared": _network_shared},
    quota="network",
)  # fmt: skip


def _subnet_seen(who: Who) -> tuple[str, list[Any]]:
    sql = (
        "t.network_id IN (SELECT id FROM network_network WHERE project_id = ?) OR t.network_id IN "
        "(SELECT object_id FROM network_rbac WHERE action = 'access_as_shared' AND target_tenant IN (?, '*'))"
    )
    return f"(t.project_id = ? OR {sql})", [who.project_id] * 3


def _of_shared(values: Sequence[str], who: Who) -> tuple[str, list[Any]]:
    sql = (
        "t.network_id IN (SELECT object_id FROM network_rbac WHERE action = 'access_as_shared' "
        "AND target_tenant IN ('*', ?))"
    )
    return (sql if truth(values) else f"NOT {sql}"), [who.project_id]


POOL_RANGE = record({"start": kinds.address, "end": kinds.address})
SUBNET = Shape(
    "subnet", "subnets", "Subnet", tables.SUBNETS, SubnetRow,
    (
        *STANDARD,
        Attr("network_id", kinds.object_id, REQUIRED),
        Attr("ip_version", number(4, 6), 0, match="int"),
        Attr("cidr", kinds.or_none(kinds.prefix), ""),
        Attr("prefixlen", or_none(number(0, 128), -1), -1, match=""),
        Attr("gateway_ip", or_none(kinds.address, "none"), "", put=True),
        Attr("enable_dhcp", boolean, True, put=True, match="bool"),
        Attr("ipv6_ra_mode", or_none(one_of(*MODES)), "", column="ra_mode"),
        Attr("ipv6_address_mode", or_none(one_of(*MODES)), "", column="address_mode"),
        Attr("subnetpool_id", kinds.MAYBE_ID, ""),
        Attr("use_default_subnetpool", boolean, False, match=""),
        Attr("allocation_pools", or_none(listing(POOL_RANGE, 100), None), None, put=True, column="pools", match=""),
        Attr("dns_nameservers", kinds.NAMESERVERS, [], put=True, match=""),
        Attr("host_routes", kinds.ROUTES, [], put=True, match=""),
        Attr("service_types", listing(text(), 10), [], put=True, match=""),
        Attr("dns_publish_fixed_ip", boolean, False, put=True, match="bool"),
    ),
    _subnet_seen,
    filters={"shared": _of_shared},
    quota="subnet",
)  # fmt: skip


def _port_seen(who: Who) -> tuple[str, list[Any]]:
    sql = "t.network_id IN (SELECT id FROM network_network WHERE project_id = ?)"
    return f"(t.project_id = ? OR {sql})", [who.project_id] * 2


def _fixed_ips(values: Sequence[str], who: Who) -> tuple[str, list[Any]]:
    """`fixed_ips=ip_address=10.0.0.3`, `subnet_id=…`, `ip_address_substr=…`; pairs of one kind are alternatives."""
    wanted: dict[str, list[str]] = {}
    for value in values:
        name, equals, text_ = value.partition("=")
        if not equals or name not in ("ip_address", "subnet_id", "ip_address_substr"):
            bad(f"'{value}' is no filter of fixed_ips: use ip_address=, subnet_id= or ip_address_substr=")
        wanted.setdefault(name, []).append(text_)
    parts, params = [], []
    for name, texts in wanted.items():
        if name == "ip_address_substr":
            parts.append("(" + " OR ".join("a.address LIKE ? ESCAPE '!'" for _ in texts) + ")")
            params += ["%" + t.replace("!", "!!").replace("%", "!%").replace("_", "!_") + "%" for t in texts]
        else:
            parts.append(f"a.{'address' if name == 'ip_address' else name} IN ({_marks(texts)})")
            params += texts
    where = " AND ".join(parts)
    return f"EXISTS (SELECT 1 FROM network_address a WHERE a.port_id = t.id AND {where})", params


def _port_groups(values: Sequence[str], who: Who) -> tuple[str, list[Any]]:
    sql = f"SELECT 1 FROM network_port_group g WHERE g.port_id = t.id AND g.group_id IN ({_marks(values)})"
    return f"EXISTS ({sql})", list(values)


FIXED = record({}, {"subnet_id": kinds.MAYBE_ID, "ip_address": kinds.MAYBE_ADDRESS})
PAIR = record({"ip_address": kinds.address_or_prefix}, {"mac_address": kinds.mac})
OPTION = record({"opt_name": text(64), "opt_value": or_none(text(), None)}, {"ip_version": number(4, 6)})
PORT = Shape(
    "port", "ports", "Port", tables.PORTS, PortRow,
    (
        *STANDARD, UP, STATUS,
        Attr("network_id", kinds.object_id, REQUIRED),
        Attr("mac_address", kinds.mac, "", put=True),
        Attr("fixed_ips", or_none(listing(FIXED, 20, once=False), None), None, put=True, match=""),
        Attr("device_id", text(), "", put=True),
        Attr("device_owner", text(), "", put=True),
        Attr("security_groups", or_none(listing(kinds.object_id, 50), None), None, put=True, match=""),
        Attr("allowed_address_pairs", listing(PAIR, 10), [], put=True, column="pairs", match=""),
        Attr("port_security_enabled", or_none(boolean, None), None, put=True, match="bool"),
        Attr("extra_dhcp_opts", listing(OPTION, 20), [], put=True, column="dhcp_opts", match=""),
        Attr("dns_name", kinds.domain_name, "", put=True),
        Attr("binding:vnic_type", one_of("normal"), "normal", put=True, column="vnic_type"),
        Attr("binding:host_id", or_none(text()), "", put=True, admin="see", column="host"),
        Attr("binding:profile", kinds.mapping, {}, put=True, admin="see", column="profile", match=""),
    ),
    _port_seen,
    ("fixed_ips", "security_groups", "dns_assignment"),
    ("binding:vif_type", "binding:vif_details"),
    filters={"fixed_ips": _fixed_ips, "security_groups": _port_groups, "security_group_ids": _port_groups},
    quota="port",
)  # fmt: skip

"""The attributes of routers, floating IPs, security groups, pools and policies (Networking API v2.0)."""

from __future__ import annotations

from andromede.network import kinds, tables, visible_store
from andromede.network.kinds import boolean, listing, number, one_of, or_none, text
from andromede.network.model import (
    AddressGroupRow,
    DefaultRuleRow,
    FloatingRow,
    ForwardingRow,
    GroupRow,
    PoolRow,
    RbacRow,
    RouterRow,
    RuleRow,
    ScopeRow,
)
from andromede.network.shape import NAMELESS, REQUIRED, STANDARD, Attr, Shape
from andromede.network.shapes import STATUS, UP

ROUTER = Shape(
    "router", "routers", "Router", tables.ROUTERS, RouterRow,
    (
        *STANDARD, UP, STATUS,
        Attr("external_gateway_info", kinds.anything, None, put=True, match=""),
        Attr("routes", kinds.ROUTES, [], put=True, match=""),
        Attr("availability_zone_hints", kinds.HINTS, [], column="zone_hints", match=""),
        Attr("distributed", boolean, False, put=True, admin="see", match=""),
        Attr("ha", boolean, False, put=True, admin="see", match=""),
        Attr("flavor_id", kinds.MAYBE_ID, "", match=""),
    ),
    visible_store.own, quota="router",
)  # fmt: skip

FLOATING_IP = Shape(
    "floatingip", "floatingips", "FloatingIP", tables.FLOATING, FloatingRow,
    (
        *NAMELESS, STATUS,
        Attr("floating_network_id", kinds.object_id, REQUIRED),
        Attr("floating_ip_address", kinds.MAYBE_ADDRESS, "", column="address"),
        Attr("subnet_id", kinds.MAYBE_ID, "", match=""),
        Attr("port_id", kinds.MAYBE_ID, "", put=True),
        Attr("fixed_ip_address", kinds.MAYBE_ADDRESS, "", put=True, column="fixed_ip"),
        Attr("router_id"),
        Attr("dns_name", kinds.domain_name, ""),
        Attr("dns_domain", kinds.domain_name, ""),
    ),
    visible_store.own, quota="floatingip",
)  # fmt: skip

FORWARDING = Shape(
    "port_forwarding", "port_forwardings", "PortForwarding", tables.FORWARDINGS, ForwardingRow,
    (
        Attr("id"), Attr("description", kinds.TEXT, "", put=True),
        Attr("protocol", one_of("tcp", "udp"), REQUIRED, put=True),
        Attr("internal_port_id", kinds.object_id, REQUIRED, put=True, column="port_id"),
        Attr("internal_ip_address", kinds.MAYBE_ADDRESS, "", put=True, column="address"),
        Attr("internal_port", or_none(number(1, 65535), 0), 0, put=True, column="inner_first", match="int"),
        Attr("external_port", or_none(number(1, 65535), 0), 0, put=True, column="outer_first", match="int"),
        Attr("internal_port_range", or_none(text(11)), "", put=True, match=""),
        Attr("external_port_range", or_none(text(11)), "", put=True, match=""),
    ),
    visible_store.own, taggable=False,
)  # fmt: skip

GROUP = Shape(
    "security_group", "security_groups", "SecurityGroup", tables.GROUPS, GroupRow,
    (*STANDARD, Attr("stateful", boolean, True, put=True, match="bool")),
    visible_store.shared_by_policy,
    filters={"shared": visible_store.shared_network}, quota="security_group",
)  # fmt: skip


_MATCH = (
    Attr("direction", one_of("ingress", "egress"), REQUIRED),
    Attr("ethertype", kinds.anything, "IPv4"),
    Attr("protocol", kinds.anything, None),
    Attr("port_range_min", kinds.anything, None, column="low", match="int"),
    Attr("port_range_max", kinds.anything, None, column="high", match="int"),
    Attr("remote_ip_prefix", or_none(kinds.prefix, None), None, column="prefix"),
    Attr("remote_group_id", or_none(kinds.object_id, None), None, column="remote_group"),
    Attr("remote_address_group_id", or_none(kinds.object_id, None), None, column="remote_addresses"),
)
_RULE = tuple(
    Attr("description", kinds.TEXT, "") if attr.name == "description" else attr for attr in NAMELESS
)  # no PUT
RULE = Shape(
    "security_group_rule", "security_group_rules", "SecurityGroupRule", tables.RULES, RuleRow,
    (*_RULE, Attr("security_group_id", kinds.object_id, REQUIRED, column="group_id"), *_MATCH),
    visible_store.rules,
    filters={"belongs_to_default_sg": visible_store.belongs_to_default}, quota="security_group_rule", taggable=False,
)  # fmt: skip

DEFAULT_RULE = Shape(
    "default_security_group_rule", "default_security_group_rules", "DefaultSecurityGroupRule",
    tables.DEFAULT_RULES, DefaultRuleRow,
    (
        Attr("id"), Attr("description", kinds.TEXT, ""), *_MATCH,
        Attr("used_in_default_sg", boolean, False, column="in_default", match="bool"),
        Attr("used_in_non_default_sg", boolean, True, column="in_others", match="bool"),
    ),
    lambda who: ("1 = 1", []), path="default-security-group-rules", taggable=False,
)  # fmt: skip

ADDRESS_GROUP = Shape(
    "address_group", "address_groups", "AddressGroup", tables.ADDRESS_GROUPS, AddressGroupRow,
    (*STANDARD, Attr("addresses", listing(kinds.prefix, 1000), [], match="")),
    visible_store.shared_by_policy,
    filters={"shared": visible_store.shared_network}, taggable=False,
)  # fmt: skip


SHARED = Attr("shared", boolean, False, admin="set", match="bool")
PREFIXLEN = or_none(number(0, 128), -1)
POOL = Shape(
    "subnetpool", "subnetpools", "SubnetPool", tables.POOLS, PoolRow,
    (
        *STANDARD, SHARED,
        Attr("prefixes", listing(kinds.prefix, 100), REQUIRED, put=True, match=""),
        Attr("ip_version", match="int"),
        Attr("default_prefixlen", PREFIXLEN, -1, put=True, match="int"),
        Attr("min_prefixlen", PREFIXLEN, -1, put=True, match="int"),
        Attr("max_prefixlen", PREFIXLEN, -1, put=True, match="int"),
        Attr("address_scope_id", kinds.MAYBE_ID, "", put=True),
        Attr("is_default", boolean, False, put=True, admin="set", match="bool"),
        Attr("default_quota", or_none(number(0, 2**31), None), None, put=True, match="int"),
    ),
    visible_store.pools, quota="subnetpool",
)  # fmt: skip

SCOPE = Shape(
    "address_scope", "address_scopes", "AddressScope", tables.SCOPES, ScopeRow,
    (
        *(attr for attr in STANDARD if attr.name not in ("description", "revision_number")),
        Attr("shared", boolean, False, put=True, admin="set", match="bool"),
        Attr("ip_version", number(4, 6), REQUIRED, match="int"),
    ),
    visible_store.pools, taggable=False,
)  # fmt: skip

RBAC = Shape(
    "rbac_policy", "rbac_policies", "RbacPolicy", tables.RBAC, RbacRow,
    (
        Attr("id"), Attr("project_id", text(64), ""),
        Attr("object_type", one_of("network", "security_group", "address_group"), REQUIRED),
        Attr("object_id", kinds.object_id, REQUIRED),
        Attr("action", one_of("access_as_shared"), REQUIRED),
        Attr("target_tenant", text(64), REQUIRED, put=True),
    ),
    visible_store.own, quota="rbac_policy", taggable=False,
)  # fmt: skip

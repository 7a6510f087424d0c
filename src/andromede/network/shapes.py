"""The attributes of networks, subnets and ports (Networking API v2.0)."""

from __future__ import annotations

from andromede.network import kinds, tables, visible_store
from andromede.network.kinds import boolean, listing, number, one_of, or_none, record, text
from andromede.network.model import NetworkRow, PortRow, SubnetRow
from andromede.network.shape import REQUIRED, STANDARD, Attr, Shape

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
    visible_store.networks,
    filters={"shared": visible_store.shared_network},
    quota="network",
)  # fmt: skip


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
    visible_store.subnets,
    filters={"shared": visible_store.of_shared_network},
    quota="subnet",
)  # fmt: skip


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
    visible_store.ports,
    filters={
        "fixed_ips": visible_store.fixed_ips,
        "security_groups": visible_store.port_groups,
        "security_group_ids": visible_store.port_groups,
    },
    quota="port",
)  # fmt: skip

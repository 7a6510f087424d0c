"""The tables of the network service and the rows they hold."""

from __future__ import annotations

from andromede.db.table import Table
from andromede.network.model import (
    AddressGroupRow,
    AddressRow,
    DefaultRuleRow,
    FloatingRow,
    ForwardingRow,
    GroupRow,
    NetworkRow,
    PartRow,
    PoolRow,
    PortRow,
    RbacRow,
    RouterRow,
    RuleRow,
    ScopeRow,
    SubnetRow,
)

OLDEST = "created_us, id"
NETWORKS = Table("network_network", NetworkRow, order=OLDEST)
SUBNETS = Table("network_subnet", SubnetRow, order=OLDEST)
PORTS = Table("network_port", PortRow, order=OLDEST)
ADDRESSES = Table("network_address", AddressRow, order="port_id, position")
ROUTERS = Table("network_router", RouterRow, order=OLDEST)
FLOATING = Table("network_floating", FloatingRow, order=OLDEST)
FORWARDINGS = Table("network_forwarding", ForwardingRow, order=OLDEST)
GROUPS = Table("network_group", GroupRow, order=OLDEST)
RULES = Table("network_rule", RuleRow, order=OLDEST)
DEFAULT_RULES = Table("network_default_rule", DefaultRuleRow, order=OLDEST)
ADDRESS_GROUPS = Table("network_address_group", AddressGroupRow, order=OLDEST)
POOLS = Table("network_pool", PoolRow, order=OLDEST)
SCOPES = Table("network_scope", ScopeRow, order=OLDEST)
RBAC = Table("network_rbac", RbacRow, order=OLDEST)
PARTS = Table("network_part", PartRow)

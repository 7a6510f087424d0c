"""Values of the network service: its rows, and what other domains hand over and get back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Standard:
    """What every row of the API has. Instants are microseconds UTC; `revision` grows with every change."""

    id: str
    project_id: str
    name: str
    description: str
    created_us: int
    updated_us: int
    revision: int


@dataclass(frozen=True, slots=True)
class NetworkRow(Standard):
    """A network. `segment` is 0 where the type has none."""

    admin_state_up: bool
    status: str
    external: bool
    is_default: bool
    mtu: int
    port_security_enabled: bool
    network_type: str
    physical_network: str
    segment: int
    dns_domain: str
    zone_hints: list[str]


@dataclass(frozen=True, slots=True)
class SubnetRow(Standard):
    """A subnet. `pools`: (first, last) of each allocation pool; an empty gateway is none."""

    network_id: str
    ip_version: int
    cidr: str
    gateway_ip: str
    enable_dhcp: bool
    ra_mode: str
    address_mode: str
    subnetpool_id: str
    pools: list[list[str]]
    dns_nameservers: list[str]
    host_routes: list[dict[str, str]]
    service_types: list[str]
    dns_publish_fixed_ip: bool


@dataclass(frozen=True, slots=True)
class PortRow(Standard):
    """A port. `host`: where it is bound, empty for nowhere. `generation`: that of its network which holds its newest
    wishes. `uid`: who may open its tap."""

    network_id: str
    mac_address: str
    admin_state_up: bool
    status: str
    device_id: str
    device_owner: str
    host: str
    vnic_type: str
    profile: dict[str, Any]
    port_security_enabled: bool
    pairs: list[dict[str, str]]
    dhcp_opts: list[dict[str, Any]]
    dns_name: str
    generation: int
    uid: int
    fault: str


@dataclass(frozen=True, slots=True)
class AddressRow:
    """An address that a port holds in a subnet."""

    subnet_id: str
    address: str
    port_id: str
    network_id: str
    position: int


@dataclass(frozen=True, slots=True)
class RouterRow(Standard):
    """A router. `gateway_network` and `gateway_port` are empty without a gateway."""

    admin_state_up: bool
    status: str
    gateway_network: str
    gateway_port: str
    enable_snat: bool
    routes: list[dict[str, str]]
    zone_hints: list[str]
    fault: str


@dataclass(frozen=True, slots=True)
class FloatingRow(Standard):
    """A floating IP. `own_port` holds its address; `port_id`, `fixed_ip` and `router_id` are empty while it is not
    associated."""

    floating_network_id: str
    address: str
    own_port: str
    port_id: str
    fixed_ip: str
    router_id: str
    status: str
    generation: int
    dns_name: str
    dns_domain: str


@dataclass(frozen=True, slots=True)
class ForwardingRow(Standard):
    """A port forwarding of a floating IP. Ranges are (first, last)."""

    floating_id: str
    port_id: str
    address: str
    protocol: str
    outer_first: int
    outer_last: int
    inner_first: int
    inner_last: int


@dataclass(frozen=True, slots=True)
class GroupRow(Standard):
    """A security group."""

    stateful: bool
    is_default: bool


@dataclass(frozen=True, slots=True)
class RuleRow(Standard):
    """A rule of a security group. `digest` says what it lets through, once in a group."""

    group_id: str
    direction: str
    ethertype: str
    protocol: str | None
    low: int | None
    high: int | None
    prefix: str | None
    remote_group: str | None
    remote_addresses: str | None
    digest: str


@dataclass(frozen=True, slots=True)
class DefaultRuleRow(Standard):
    """A rule that new security groups get."""

    direction: str
    ethertype: str
    protocol: str | None
    low: int | None
    high: int | None
    prefix: str | None
    remote_group: str | None
    remote_addresses: str | None
    in_default: bool
    in_others: bool


@dataclass(frozen=True, slots=True)
class AddressGroupRow(Standard):
    """Ranges under one name."""

    addresses: list[str]


@dataclass(frozen=True, slots=True)
class PoolRow(Standard):
    """A subnet pool."""

    prefixes: list[str]
    ip_version: int
    default_prefixlen: int
    min_prefixlen: int
    max_prefixlen: int
    address_scope_id: str
    is_default: bool
    shared: bool
    default_quota: int | None


@dataclass(frozen=True, slots=True)
class ScopeRow(Standard):
    """An address scope."""

    ip_version: int
    shared: bool


@dataclass(frozen=True, slots=True)
class RbacRow(Standard):
    """A policy that shows an object to another project, `*` for all."""

    object_type: str
    object_id: str
    action: str
    target_tenant: str


@dataclass(frozen=True, slots=True)
class PartRow:
    """The working side of a network, a router or the way outside: `wished` is the newest generation of its wishes,
    `loaded` the one in force. `kind` is network, router or outside; the rest are the columns of `work.lifecycle`."""

    id: str
    project_id: str
    kind: str
    wished: int
    loaded: int
    state: str
    since_us: int
    due_us: int | None = None
    holder: str = ""
    lease_us: int = 0
    tries: int = 0
    signals: str = ""
    fault: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class PortWish:
    """What another domain wants of a new port. `fixed_ips`: (subnet id or "", address or ""); None chooses.
    `security_groups`: ids or names; None is the project's default group. `trusted`: for a service of the cloud, which
    answers only where it listens: any address of the network, and no port security."""

    name: str = ""
    fixed_ips: list[tuple[str, str]] | None = None
    security_groups: list[str] | None = None
    device_id: str = ""
    device_owner: str = ""
    mac_address: str = ""
    availability_zone: str = ""
    trusted: bool = False


@dataclass(frozen=True, slots=True)
class Port:
    """A port as other domains see it. `fixed_ips`: (subnet id, address)."""

    id: str
    project_id: str
    network_id: str
    name: str
    mac_address: str
    fixed_ips: tuple[tuple[str, str], ...]
    status: str
    device_id: str
    device_owner: str
    security_groups: tuple[str, ...]
    mtu: int
    host: str
    port_security: bool = True
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Network:
    """A network as other domains see it."""

    id: str
    name: str
    project_id: str
    mtu: int
    shared: bool = False
    external: bool = False
    port_security: bool = True
    subnets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Address:
    """One line of Nova's `addresses`. `kind`: fixed or floating; `network`: the name of its network."""

    network: str
    network_id: str
    port_id: str
    address: str
    version: int
    kind: str
    mac: str


@dataclass(frozen=True, slots=True)
class Link:
    """All that a guest's network_data.json needs of a port. `subnets`: their rows."""

    port: Port
    subnets: tuple[SubnetRow, ...] = field(default=())

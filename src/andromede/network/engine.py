"""The fabric: the port of whatever carries packets, and the values that say what is wanted of it.

A part is one network, one router or the way outside, with everything it needs: an engine reads no rows. Addresses are
texts without a prefix (`10.0.0.5`, `fd00::5`), ranges are texts with one (`10.0.0.0/24`), MAC addresses are lower case
with colons. Sequences are in a settled order, so that equal wishes are equal values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

OUTSIDE = "outside"
"""The id of the one `OutsidePart` of an installation."""


@dataclass(frozen=True, slots=True)
class RoutePart:
    """Packets to the range `destination` go to the address `via`."""

    destination: str
    via: str


@dataclass(frozen=True, slots=True)
class OptionPart:
    """An extra DHCP option of a port. `name`: a name or number that dnsmasq knows (`bootfile-name`, `67`)."""

    version: int
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class SubnetPart:
    """An address range on a network. `gateway`: what guests are told, empty for none. `dhcp`: whether addresses are
    handed out. `dhcp_address`: the address of the network's DHCP port in this subnet, empty when it has none.
    `servers`: DNS servers. `routes`: host routes. `ra_mode`, `address_mode`: slaac, dhcpv6-stateful,
    dhcpv6-stateless or empty, version 6 only."""

    id: str
    cidr: str
    gateway: str = ""
    dhcp: bool = True
    dhcp_address: str = ""
    servers: tuple[str, ...] = ()
    routes: tuple[RoutePart, ...] = ()
    ra_mode: str = ""
    address_mode: str = ""

    @property
    def version(self) -> int:
        return 6 if ":" in self.cidr else 4


@dataclass(frozen=True, slots=True)
class FixedPart:
    """An address that a port has in a subnet."""

    subnet_id: str
    address: str


@dataclass(frozen=True, slots=True)
class PairPart:
    """A MAC address and an address or range that a port may send from besides its own."""

    mac: str
    address: str


TAP, HOUSE, NONE = "tap", "house", "none"


@dataclass(frozen=True, slots=True)
class PortPart:
    """A port of a network that is neither its DHCP port nor a router's.

    `kind`: TAP for a guest on this host (`plug` opens it); HOUSE for a namespace of its own with the port's addresses
    on `eth0`, where a service of the cloud runs (a load balancer); NONE when it has no place on this host: then only
    its address is known. `uid`: who may open the tap. `secured`: port security; without it nothing is filtered.
    `groups`: security groups, of which none at all lets nothing through. `up`: admin_state_up. `name`: its DNS name,
    `options`: extra DHCP options."""

    id: str
    mac: str
    fixed: tuple[FixedPart, ...] = ()
    kind: str = TAP
    uid: int = 0
    up: bool = True
    secured: bool = True
    groups: tuple[str, ...] = ()
    pairs: tuple[PairPart, ...] = ()
    options: tuple[OptionPart, ...] = ()
    name: str = ""


@dataclass(frozen=True, slots=True)
class RulePart:
    """What a security group lets through. `inward`: to its members, else from them. `version`: 4 or 6. `protocol`: a
    number of IANA's, None for any. `low` and `high`: ports; for ICMP (1, 58) type and code; None for any. The other
    side is at most one of a range `prefix`, the members of a security group `group` or an address group `addresses`."""

    inward: bool
    version: int = 4
    protocol: int | None = None
    low: int | None = None
    high: int | None = None
    prefix: str = ""
    group: str = ""
    addresses: str = ""


@dataclass(frozen=True, slots=True)
class GroupPart:
    """A security group. `members`: addresses and ranges of its ports on this network and on those that its routers
    reach, of both versions, for rules that name it as the other side. One that is only named there needs no rules."""

    id: str
    rules: tuple[RulePart, ...] = ()
    members: tuple[str, ...] = ()
    stateful: bool = True


@dataclass(frozen=True, slots=True)
class AddressGroupPart:
    """Ranges under one name, for rules."""

    id: str
    ranges: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NetworkPart:
    """One network. `up`: admin_state_up. `dhcp_mac`: MAC of its DHCP port, which also answers for metadata (there
    even if no subnet hands out addresses). `domain`: DNS domain of its ports. `outside`: joined to the external
    bridge. `groups` holds every security group that a port or a rule names, `address_groups` likewise.
    `generation`: a number that grows with every change; `Wired.generation` answers it."""

    id: str
    dhcp_mac: str
    mtu: int = 1450
    up: bool = True
    domain: str = ""
    outside: bool = False
    subnets: tuple[SubnetPart, ...] = ()
    ports: tuple[PortPart, ...] = ()
    groups: tuple[GroupPart, ...] = ()
    address_groups: tuple[AddressGroupPart, ...] = ()
    generation: int = 0


@dataclass(frozen=True, slots=True)
class NetworkChange:
    """How a network of generation `base` becomes one of `generation`, where nothing but ports has changed. `ports`:
    those that are new or differ. `gone`: ids of ports that are not there any more, if they were. `groups`: the security
    groups of `ports` with their rules and no members. `members`: group, address or range, and whether it is one of the
    group's members now; of groups that no rule names, nothing follows."""

    id: str
    base: int
    generation: int
    ports: tuple[PortPart, ...] = ()
    gone: tuple[str, ...] = ()
    groups: tuple[GroupPart, ...] = ()
    members: tuple[tuple[str, str, bool], ...] = ()


@dataclass(frozen=True, slots=True)
class LegPart:
    """A router's port on a network. `addresses`: with prefix (`10.0.0.1/24`). `subnets`: those of the network that
    the router has an address in; it advertises the ones that have an `ra_mode`."""

    port_id: str
    network_id: str
    mac: str
    addresses: tuple[str, ...]
    subnets: tuple[SubnetPart, ...] = ()
    mtu: int = 1450


@dataclass(frozen=True, slots=True)
class GatewayPart:
    """A router's port on an external network. `outside`: on the external bridge, else in that network's own bridge.
    `addresses`: with prefix. `next_hops`: gateways of the external subnets, at most one a version. `snat`: whether
    version 4 leaves under the first address."""

    port_id: str
    network_id: str
    mac: str
    addresses: tuple[str, ...]
    next_hops: tuple[str, ...] = ()
    snat: bool = True
    outside: bool = True
    mtu: int = 1500


@dataclass(frozen=True, slots=True)
class FloatingPart:
    """The external address `address` stands for `fixed`."""

    id: str
    address: str
    fixed: str


@dataclass(frozen=True, slots=True)
class ForwardPart:
    """Ports `outer` (first, last) of the external address go to ports `inner` of `fixed`. `protocol`: tcp or udp."""

    id: str
    address: str
    protocol: str
    outer: tuple[int, int]
    fixed: str
    inner: tuple[int, int]


@dataclass(frozen=True, slots=True)
class RouterPart:
    """One router. `up`: admin_state_up; without it nothing is forwarded. `floating` and `forwards` need a gateway."""

    id: str
    up: bool = True
    legs: tuple[LegPart, ...] = ()
    gateway: GatewayPart | None = None
    routes: tuple[RoutePart, ...] = ()
    floating: tuple[FloatingPart, ...] = ()
    forwards: tuple[ForwardPart, ...] = ()
    generation: int = 0


@dataclass(frozen=True, slots=True)
class OutsidePart:
    """The external bridge. `address`: with prefix, held by this machine as everybody's gateway; empty when another
    machine is it. `interface`: a NIC to join; without one this machine translates addresses. `open_ports`: TCP ports
    of this machine that guests and routers may reach, all others are refused to them."""

    cidr: str
    address: str = ""
    interface: str = ""
    open_ports: tuple[int, ...] = ()
    mtu: int = 1500
    generation: int = 0

    @property
    def id(self) -> str:
        return OUTSIDE


Part = NetworkPart | RouterPart | OutsidePart


@dataclass(frozen=True, slots=True)
class Wired:
    """What is there. `generation`: of the rules in force, None without any. `ports`: ids of the ports (guests',
    routers' legs and gateways) whose links are in place and up. `faults`: what is wrong, in words; a part with none
    is whole. `counters`: packets that were dropped, by why (`mac`, `address`, `arp`, `dhcp`, `advert`, `closed`)."""

    id: str
    generation: int | None
    ports: frozenset[str] = frozenset()
    faults: tuple[str, ...] = ()
    counters: Mapping[str, int] = field(default_factory=dict)


class Fabric(Protocol):
    """Carries packets. Every call may be repeated, from any thread; calls for one part wait for each other. Engines
    know nothing that the parts do not say, and mend whatever an interrupted call or a stranger left behind."""

    def ensure(self, part: Part) -> None:
        """Make it so, and nothing else of that id. Connections that the rules let through go on; what they do not
        let through any more ends. Raises `Unavailable` while a network that a leg needs is not there, and when a
        program or the kernel refuses."""

    def change(self, change: NetworkChange) -> bool:
        """Make of a network what `ensure` would make of the whole that the change leads to, with work for the change
        alone. False, and nothing is changed, where that way is not known to be safe: the network is not known to stand
        at the change's base, or more than ports would have to follow. Then, and after any error, `ensure` is due."""

    def remove(self, part_id: str) -> None:
        """Take it away, with everything in it. Harmless when it is not there."""

    def observe(self, part_id: str) -> Wired | None:
        """What is there, None when nothing is."""

    def listing(self) -> list[str]:
        """Ids of everything that is there, whole or not; an id that cannot be told any more is not among them."""

    def plug(self, port_id: str) -> int:
        """An open descriptor of the tap of a port (no packet information, with virtio-net headers), for one guest:
        raises `Conflict` while it is held, `NotFound` when no such tap is wired. The caller closes it."""

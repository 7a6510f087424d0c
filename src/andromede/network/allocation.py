"""Which addresses a port gets: what was asked for, what its MAC says, and free ones of the pools."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field

from andromede.network import addressing, links_store
from andromede.network.core import Job
from andromede.network.faults import bad, clash
from andromede.network.model import AddressRow, NetworkRow, SubnetRow
from andromede.network.shapes import DHCP, FLOATING, GATEWAY, ROUTER
from andromede.network.tables import ADDRESSES, SUBNETS

SMALL = 256
"""Pools of at most so many addresses are filled from their beginning, others at random."""
TRIES, NEAR = 8, 64
"""How often an address is taken by chance, and how many are looked at together then."""
L3 = (ROUTER, GATEWAY)


@dataclass(slots=True)
class Wanted:
    """Addresses on the way to a port. `asked`: `subnet_id` and `ip_address` pairs, None to choose."""

    network: NetworkRow
    port_id: str
    mac: str
    owner: str
    asked: list[dict[str, str]] | None
    held: list[AddressRow] = field(default_factory=list)
    found: list[tuple[SubnetRow, str]] = field(default_factory=list)


def is_auto(subnet: SubnetRow) -> bool:
    """Whether addresses in it follow from MACs."""
    return subnet.address_mode in addressing.AUTO


def subnets(job: Job, network_id: str) -> list[SubnetRow]:
    """The subnets of a network, the oldest first."""
    return SUBNETS.select(job.tx, {"network_id": network_id})


def settle(job: Job, want: Wanted) -> None:
    """Choose addresses and write them, in place of those the port held. Raises `Invalid` and `Conflict`."""
    every = subnets(job, want.network.id)
    if want.asked is None:
        _choose(job, want, every)
    else:
        for one in want.asked:
            _given(job, want, every, one)
    if want.asked != [] and want.owner not in (*L3, FLOATING):
        chosen = {subnet.id for subnet, _ in want.found}
        for subnet in every:
            if is_auto(subnet) and subnet.id not in chosen and (want.owner != DHCP or want.asked is None):
                want.found.append((subnet, addressing.eui64(addressing.network(subnet.cidr), want.mac)))
    _write(job, want)


def _choose(job: Job, want: Wanted, every: Sequence[SubnetRow]) -> None:
    """One address of each IP version that the network has."""
    fitting = [s for s in every if not s.service_types or any(want.owner.startswith(w) for w in s.service_types)]
    special = [s for s in fitting if s.service_types]
    for version in (4, 6):
        pool = [s for s in special or fitting if s.ip_version == version and (not is_auto(s) or want.owner in L3)]
        if not pool:
            continue
        hit = next(((s, ip) for s in pool if (ip := free(job, s, want)) is not None), None)
        if hit is None:
            clash(f"No more IP addresses available on network {want.network.id}.", "IpAddressGenerationFailure")
        want.found.append(hit)


def _given(job: Job, want: Wanted, every: Sequence[SubnetRow], one: dict[str, str]) -> None:
    subnet_id, ip = one.get("subnet_id", ""), one.get("ip_address", "")
    if not subnet_id and not ip:
        bad("IP allocation requires subnet_id or ip_address.", "InvalidInput")
    subnet = next((s for s in every if s.id == subnet_id), None) if subnet_id else _around(every, ip)
    if subnet is None and subnet_id:
        bad(f"Failed to create port on network {want.network.id}, because fixed_ips included invalid subnet "
            f"{subnet_id}", "InvalidInput")  # fmt: skip
    if subnet is None:
        bad(f"IP address {ip} is not a valid IP for any of the subnets on the specified network.",
            "InvalidIpForNetwork")  # fmt: skip
    if not ip:
        ip = _unnamed(job, want, subnet)
    check_in(subnet, ip)
    if is_auto(subnet) and want.owner not in (*L3, DHCP) and ip != _computed(subnet, want.mac):
        bad(f"IPv6 address {ip} can not be directly assigned to a port on subnet {subnet.id} as the subnet is "
            "configured for automatic addresses", "AllocationOnAutoAddressSubnet")  # fmt: skip
    if any(ip == other and s.id == subnet.id for s, other in want.found):
        bad(f"IP address {ip} is asked for twice", "InvalidInput")
    if not _mine(want, subnet.id, ip) and links_store.taken(job.tx, subnet.id, ip):
        clash(f"IP address {ip} already allocated in subnet {subnet.id}.", "IpAddressAlreadyAllocated")
    want.found.append((subnet, ip))


def _unnamed(job: Job, want: Wanted, subnet: SubnetRow) -> str:
    """An address in a subnet that was named without one: the one the port has there, or another."""
    used = {ip for s, ip in want.found if s.id == subnet.id}
    named = {one.get("ip_address", "") for one in want.asked or []}
    kept = next((a.address for a in want.held if a.subnet_id == subnet.id and a.address not in used | named), None)
    if kept is not None:
        return kept
    if is_auto(subnet) and want.owner not in L3:
        return _computed(subnet, want.mac)
    found = free(job, subnet, want)
    if found is None:
        clash(f"No more IP addresses available on network {subnet.network_id}.", "IpAddressGenerationFailure")
    return found


def _computed(subnet: SubnetRow, mac: str) -> str:
    return addressing.eui64(addressing.network(subnet.cidr), mac)


def _mine(want: Wanted, subnet_id: str, ip: str) -> bool:
    return any(a.subnet_id == subnet_id and a.address == ip for a in want.held)


def _around(every: Sequence[SubnetRow], ip: str) -> SubnetRow | None:
    found = ipaddress.ip_address(ip)
    return next((s for s in every if found in addressing.network(s.cidr)), None)


def check_in(subnet: SubnetRow, ip: str) -> None:
    """Raise `Invalid` for an address that no port of a subnet may have."""
    net, found = addressing.network(subnet.cidr), ipaddress.ip_address(ip)
    first, last = addressing.usable(net)
    low = int(net.network_address) if net.version == 6 else first
    if found.version != net.version or not low <= int(found) <= last:
        bad(f"IP address {ip} is not a valid IP for the specified subnet.", "InvalidIpForSubnet")


def free(job: Job, subnet: SubnetRow, want: Wanted) -> str | None:
    """An address of the subnet's pools that nobody has. The cost does not grow with the number of ports."""
    chosen = {ip for s, ip in want.found if s.id == subnet.id}
    chosen |= {one.get("ip_address", "") for one in want.asked or []}
    count = addressing.size(subnet.pools)
    if count > SMALL:
        for _ in range(TRIES):
            ip = addressing.at(subnet.pools, int(job.core.desk.ids.uniform() * count))
            if ip not in chosen and not links_store.taken(job.tx, subnet.id, ip):
                return ip
        for _ in range(TRIES):  # nearly full: a few places, each with its neighbours
            start = int(job.core.desk.ids.uniform() * count)
            near = [addressing.at(subnet.pools, (start + step) % count) for step in range(NEAR)]
            used = chosen | links_store.taken_among(job.tx, subnet.id, near)
            if (hit := next((ip for ip in near if ip not in used), None)) is not None:
                return hit
    used = links_store.used_addresses(job.tx, subnet.id) | chosen
    return next((ip for ip in addressing.every(subnet.pools) if ip not in used), None)


def _write(job: Job, want: Wanted) -> None:
    ADDRESSES.remove(job.tx, port_id=want.port_id)
    for position, (subnet, ip) in enumerate(want.found):
        if not links_store.hold(job.tx, AddressRow(subnet.id, ip, want.port_id, want.network.id, position)):
            clash(f"IP address {ip} already allocated in subnet {subnet.id}.", "IpAddressAlreadyAllocated")

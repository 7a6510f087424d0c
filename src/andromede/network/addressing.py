"""Arithmetic of subnets: gateways, allocation pools, computed addresses."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence

from andromede.network.faults import bad, clash

Range = ipaddress.IPv4Network | ipaddress.IPv6Network
Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
AUTO = ("slaac", "dhcpv6-stateless")
"""Address modes under which a port's address follows from its MAC."""


def network(text: str) -> Range:
    """A stored range."""
    return ipaddress.ip_network(text)


def usable(net: Range) -> tuple[int, int]:
    """First and last address that a port may have, as numbers."""
    first, last = int(net.network_address), int(net.broadcast_address)
    if net.version == 4 and net.prefixlen < 31:
        return first + 1, last - 1
    if net.version == 6 and net.prefixlen < 127:
        return first + 1, last
    return first, last


def first_gateway(net: Range) -> str:
    """The customary gateway: the first usable address; none where there is only one."""
    first, last = usable(net)
    return str(net.network_address + (first - int(net.network_address))) if first < last else ""


def check_gateway(net: Range, gateway: str) -> None:
    """Raise `Invalid` for a gateway that no port of the subnet could have."""
    ip = ipaddress.ip_address(gateway)
    if ip.version != net.version:
        bad(f"gateway_ip {gateway} is not of the subnet's IP version {net.version}", "InvalidInput")
    if isinstance(ip, ipaddress.IPv6Address) and ip.is_link_local:
        return
    first, last = usable(net)
    if ip not in net or (net.version == 4 and not first <= int(ip) <= last):
        bad(f"Gateway is not valid on subnet: {gateway} is no host of {net}", "GatewayNotValid")


def default_pools(net: Range, gateway: str) -> list[list[str]]:
    """All usable addresses but the gateway's."""
    first, last = usable(net)
    make = type(net.network_address)
    hole = int(ipaddress.ip_address(gateway)) if gateway and ipaddress.ip_address(gateway) in net else None
    parts = [(first, last)] if hole is None or not first <= hole <= last else [(first, hole - 1), (hole + 1, last)]
    return [[str(make(low)), str(make(high))] for low, high in parts if low <= high]


def check_pools(net: Range, given: Iterable[dict[str, str]], gateway: str) -> list[list[str]]:
    """The pools as stored. Raises `Invalid` and `Conflict` as Neutron does."""
    found: list[tuple[Ip, Ip]] = []
    first, last = usable(net)
    for one in given:
        start, end = ipaddress.ip_address(one["start"]), ipaddress.ip_address(one["end"])
        text = f"{start}-{end}"
        if start.version != net.version or end.version != net.version or int(start) > int(end):
            bad(f"The allocation pool {text} is not valid.", "InvalidAllocationPool")
        if int(start) < first or int(end) > last:
            bad(f"The allocation pool {text} spans beyond the subnet cidr {net}.", "OutOfBoundsAllocationPool")
        for other in found:
            if int(start) <= int(other[1]) and int(other[0]) <= int(end):
                clash(f"Found overlapping allocation pools: {text} and {other[0]}-{other[1]} for subnet {net}.",
                      "OverlappingAllocationPools")  # fmt: skip
        found.append((start, end))
    outside_pools(gateway, [[str(low), str(high)] for low, high in found])
    return [[str(low), str(high)] for low, high in sorted(found, key=lambda pair: int(pair[0]))]


def outside_pools(gateway: str, pools: Sequence[Sequence[str]]) -> None:
    """Raise `Conflict` when a gateway lies in an allocation pool."""
    if not gateway:
        return
    ip = ipaddress.ip_address(gateway)
    for low, high in pools:
        if ip.version == ipaddress.ip_address(low).version and within(gateway, low, high):
            clash(f"Gateway ip {gateway} conflicts with allocation pool {low}-{high}.",
                  "GatewayConflictWithAllocationPools")  # fmt: skip


def within(address: str, low: str, high: str) -> bool:
    """Whether an address lies between two others."""
    number = int(ipaddress.ip_address(address))
    return int(ipaddress.ip_address(low)) <= number <= int(ipaddress.ip_address(high))


def size(pools: Sequence[Sequence[str]]) -> int:
    """How many addresses pools hold."""
    return sum(int(ipaddress.ip_address(high)) - int(ipaddress.ip_address(low)) + 1 for low, high in pools)


def every(pools: Sequence[Sequence[str]]) -> Iterator[str]:
    """The addresses of pools in order."""
    for low, high in pools:
        start = ipaddress.ip_address(low)
        for step in range(int(ipaddress.ip_address(high)) - int(start) + 1):
            yield str(start + step)


def at(pools: Sequence[Sequence[str]], number: int) -> str:
    """The address at a place in the pools."""
    for low, high in pools:
        start = ipaddress.ip_address(low)
        count = int(ipaddress.ip_address(high)) - int(start) + 1
        if number < count:
            return str(start + number)
        number -= count
    raise IndexError(number)


def eui64(net: Range, mac: str) -> str:
    """The address that a guest computes in a /64 (RFC 4291, appendix A)."""
    octets = [int(part, 16) for part in mac.split(":")]
    octets[0] ^= 2
    tail = bytes([*octets[:3], 0xFF, 0xFE, *octets[3:]])
    return str(ipaddress.IPv6Address(int(net.network_address) | int.from_bytes(tail)))


def overlap(first: str, second: str) -> bool:
    """Whether two ranges share addresses."""
    one, other = network(first), network(second)
    return one.version == other.version and one.overlaps(other)


def free_range(prefixes: Sequence[str], taken: Sequence[str], length: int) -> str | None:
    """The first range of this length in the prefixes that no taken one overlaps."""
    holes = sorted((network(one) for one in taken), key=lambda net: (net.version, int(net.network_address)))
    for prefix in prefixes:
        net = network(prefix)
        if length < net.prefixlen or length > net.max_prefixlen:
            continue
        step = 1 << (net.max_prefixlen - length)
        start, end = int(net.network_address), int(net.broadcast_address)
        while start + step - 1 <= end:
            hit = next(
                (h for h in holes if h.version == net.version
                 and int(h.network_address) < start + step and start <= int(h.broadcast_address)), None
            )  # fmt: skip
            if hit is None:
                return str(type(net)((start, length)))
            start = -(-(int(hit.broadcast_address) + 1) // step) * step
    return None

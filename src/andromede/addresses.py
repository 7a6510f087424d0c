"""IP addresses and ranges as clients write them. A zone (`fe80::1%eth0`, RFC 4007) is refused: it names an interface of
whoever wrote it, and may hold any sign at all, while addresses stand in rules and settings that other programs read."""

from __future__ import annotations

import ipaddress


def address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address. ValueError for anything else."""
    return ipaddress.ip_address(_without_zone(text))


def network(text: str, strict: bool = True) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """A range; unless `strict`, bits behind the prefix are cleared. ValueError for anything else."""
    return ipaddress.ip_network(_without_zone(text), strict)


def _without_zone(text: str) -> str:
    if "%" in text:
        raise ValueError(f"{text!r} names a zone")
    return text

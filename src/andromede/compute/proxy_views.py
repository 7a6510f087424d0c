"""Things of other services in the form that Nova's proxies gave them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from andromede.compute.neighbours import GroupFacts


def rule(group: GroupFacts, row: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """A rule of a security group; `names`: group id -> name."""
    remote = row.get("remote_group_id")
    low, high = row.get("port_range_min"), row.get("port_range_max")
    protocol = row.get("protocol")
    if protocol is not None and low is None and high is None:
        low, high = (-1, -1) if protocol in ("icmp", "ipv6-icmp") else (1, 65535)
    prefix = row.get("remote_ip_prefix")
    everywhere = "::/0" if row.get("ethertype") == "IPv6" else "0.0.0.0/0"
    return {
        "id": row["id"],
        "parent_group_id": group.id,
        "ip_protocol": protocol,
        "from_port": low,
        "to_port": high,
        "group": {"name": names.get(remote, remote), "tenant_id": group.project_id} if remote else {},
        "ip_range": {} if remote else {"cidr": prefix or everywhere},
    }


def security_group(group: GroupFacts, names: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A security group with its ingress rules."""
    known = {**(names or {}), group.id: group.name}
    return {
        "id": group.id,
        "name": group.name,
        "description": group.description,
        "tenant_id": group.project_id,
        "rules": [rule(group, row, known) for row in group.rules if row.get("direction") == "ingress"],
    }

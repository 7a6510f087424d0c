"""The workers of hosts as Neutron's agents: the host role does what three of them do."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from andromede.clock import US, utc
from andromede.network.faults import bad

ALIVE_SECONDS = 75
KINDS: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    ("Open vSwitch agent", "neutron-openvswitch-agent", "N/A", {"bridge": "linux", "rules": "nftables"}),
    ("DHCP agent", "neutron-dhcp-agent", "dhcp_agent", {"dhcp_driver": "dnsmasq"}),
    ("L3 agent", "neutron-l3-agent", "l3_agent", {"agent_mode": "legacy"}),
    ("Metadata agent", "neutron-metadata-agent", "N/A", {}),
)
"""(type, program, topic, configuration): the types that clients know. The program is andromede's host role in truth,
which `configurations` tell."""


def of_host(row: tuple[str, int, int], now_us: int) -> list[dict[str, Any]]:
    """The agents of a host: (its name, when its worker started, when it was last seen)."""
    host, started, seen = row
    alive = now_us - seen <= ALIVE_SECONDS * US
    return [
        {
            "id": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{kind}@{host}")), "agent_type": kind, "binary": program,
            "topic": topic, "host": host, "admin_state_up": True, "alive": alive, "availability_zone": "nova",
            "created_at": _at(started), "started_at": _at(started), "heartbeat_timestamp": _at(seen),
            "description": None, "resources_synced": None,
            "configurations": {"program": "andromede work host", **facts},
        }
        for kind, program, topic, facts in KINDS
    ]  # fmt: skip


def _at(us: int) -> str:
    return utc(us).strftime("%Y-%m-%d %H:%M:%S")


def chosen(rows: Sequence[dict[str, Any]], filters: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """Those that fit all filters. Raises `Invalid` for one that is no attribute."""
    found = list(rows)
    for name, values in filters.items():
        known = {"agent_type", "host", "alive", "binary", "id", "topic", "admin_state_up", "availability_zone", "name",
                 "resource", "state", "service_type", "default", "description"}  # fmt: skip
        if name not in known:
            bad(f"[{name!r}] is invalid attribute for filtering")
        words = {value.lower() for value in values}
        found = [row for row in found if str(row.get(name)).lower() in words]
    return found

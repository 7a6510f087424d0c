"""Values of the load balancer service (Load Balancer API v2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from andromede.work.lifecycle import Work

LISTENER, POOL, MEMBER, MONITOR = "listener", "pool", "member", "healthmonitor"
POLICY, RULE = "l7policy", "l7rule"
PARENT = {LISTENER: "", POOL: "", MEMBER: POOL, MONITOR: POOL, POLICY: LISTENER, RULE: POLICY}
"""Kind of part -> the kind it belongs to; "" is the load balancer itself."""
CREATE, UPDATE, DELETE, ACTIVE, ERROR = "PENDING_CREATE", "PENDING_UPDATE", "PENDING_DELETE", "ACTIVE", "ERROR"
PROVISIONING = {
    "plugging": CREATE, "creating": CREATE, "updating": UPDATE, "moving": UPDATE, "active": ACTIVE, "error": ERROR,
    "deleting": DELETE, "releasing": DELETE,
}  # fmt: skip
"""State of the row -> provisioning_status."""
UP, DOWN = "up", "down"
RESOURCES = ("loadbalancer", LISTENER, POOL, MEMBER, MONITOR, POLICY, RULE)
"""What quotas count, in the API's words."""
OWNER = "Octavia"
"""The device_owner of VIP ports, by which the network makes a namespace of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Balancer(Work):
    """A load balancer. `address` on `port_id`, which is its own (`own_port`) or the tenant's. `host`: where it runs."""

    id: str
    project_id: str
    name: str
    description: str
    admin_up: bool
    address: str
    port_id: str
    subnet_id: str
    network_id: str
    own_port: bool
    provider: str
    flavor_id: str
    zone: str
    tags: list[str]
    host: str
    created_us: int
    updated_us: int

    @property
    def provisioning(self) -> str:
        """Its provisioning_status; a wish to delete it shows at once."""
        return DELETE if "delete" in self.signals.split() else PROVISIONING[self.state]


@dataclass(frozen=True, slots=True)
class Part:
    """A listener, pool, member, health monitor, L7 policy or L7 rule. `parent_id`: what it belongs to, the load
    balancer for listeners and pools. `health`: what checks found (members: up, down or empty). `position`: the order
    of policies. `spec`: its attributes by the API's names."""

    id: str
    kind: str
    balancer_id: str
    parent_id: str
    project_id: str
    name: str
    provisioning: str
    health: str
    position: int
    spec: dict[str, Any]
    created_us: int
    updated_us: int


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a listener has carried: in processes before this one (`past`), and in this one (`present`)."""

    listener_id: str
    balancer_id: str
    past: dict[str, int]
    present: dict[str, int]


@dataclass(frozen=True, slots=True)
class Quota:
    """A project's own limits, by resource."""

    project_id: str
    limits: dict[str, int]

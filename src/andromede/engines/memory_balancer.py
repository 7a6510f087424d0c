"""The twin of load balancers for unit tests: carries nothing, and polices its callers."""

from __future__ import annotations

from andromede.balancer.engine import BalancerPart, Carried
from andromede.errors import Conflict


class MemoryCarrier:
    """Remembers what is wanted. `members` and `traffic` are what a test says was found."""

    def __init__(self) -> None:
        self.parts: dict[str, BalancerPart] = {}
        self.members: dict[str, bool] = {}
        self.traffic: dict[str, dict[str, int]] = {}
        self.life = 1

    def ensure(self, part: BalancerPart) -> None:
        """Refuses two listeners on one port, pools that are not there, and two load balancers on one port."""
        kinds = [("udp" if each.protocol == "UDP" else "tcp", each.port) for each in part.listeners]
        if len(set(kinds)) < len(kinds):
            raise Conflict(f"load balancer {part.id}: two listeners on one port")
        known = {pool.id for pool in part.pools}
        for listener in part.listeners:
            targets = [each.target for each in listener.policies if each.action == "REDIRECT_TO_POOL"]
            if not {*targets, *([listener.pool_id] if listener.pool_id else [])} <= known:
                raise Conflict(f"listener {listener.id} names a pool that is not there")
            if listener.protocol == "TERMINATED_HTTPS" and not listener.certificates:
                raise Conflict(f"listener {listener.id} ends TLS without a certificate")
        if any(other.port_id == part.port_id for other in self.parts.values() if other.id != part.id):
            raise Conflict(f"port {part.port_id} carries another load balancer")
        self.parts[part.id] = part

    def remove(self, balancer_id: str) -> None:
        self.parts.pop(balancer_id, None)

    def observe(self, balancer_id: str) -> Carried | None:
        if balancer_id not in self.parts:
            return None
        return Carried(balancer_id, str(self.life), dict(self.members), dict(self.traffic))

    def listing(self) -> list[str]:
        return sorted(self.parts)

"""How load balancers and their parts look to clients (Load Balancer API v2), their operating status worked out of what
checks found."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from andromede.balancer import store
from andromede.balancer.engine import COUNTERS
from andromede.balancer.model import (
    CREATE,
    DOWN,
    LISTENER,
    MEMBER,
    MONITOR,
    POLICY,
    POOL,
    RULE,
    UP,
    Balancer,
    Part,
    Traffic,
)
from andromede.clock import US, to_second
from andromede.db.table import Reader

Json = dict[str, Any]


def ids(rows: Iterable[Part]) -> list[Json]:
    return [{"id": row.id} for row in rows]


def _times(row: Part | Balancer) -> Json:
    created = to_second(row.created_us // US)
    updated = None if row.provisioning == CREATE else to_second(row.updated_us // US)
    return {"created_at": created, "updated_at": updated}


class Picture:
    """Load balancers with all their parts, read at once."""

    def __init__(self, reader: Reader, balancers: Iterable[Balancer]) -> None:
        self.balancers = {row.id: row for row in balancers}
        rows = store.PARTS.select(reader, {"balancer_id": list(self.balancers)})
        self._rows = {row.id: row for row in rows}
        self._below: dict[tuple[str, str], list[Part]] = {}
        for row in rows:
            self._below.setdefault((row.kind, row.parent_id), []).append(row)

    def below(self, kind: str, parent_id: str) -> list[Part]:
        """Parts of a kind that belong to another."""
        return self._below.get((kind, parent_id), [])

    def find(self, part_id: str | None) -> Part | None:
        return self._rows.get(part_id or "")

    def _ready(self, row: Part) -> bool:
        return bool(row.spec.get("admin_state_up", True)) and row.provisioning != CREATE and self._up(row.balancer_id)

    def _up(self, balancer_id: str) -> bool:
        row = self.balancers[balancer_id]
        return row.admin_up and row.provisioning not in (CREATE, "ERROR")

    # --- operating status

    def of_member(self, row: Part) -> str:
        """ONLINE, ERROR, DRAINING, NO_MONITOR or OFFLINE."""
        if not row.spec["admin_state_up"] or not self._up(row.balancer_id):
            return "OFFLINE"
        monitors = [each for each in self.below(MONITOR, row.parent_id) if each.spec["admin_state_up"]]
        if not monitors:
            return "DRAINING" if row.spec["weight"] == 0 else "NO_MONITOR"
        if row.health == UP:
            return "DRAINING" if row.spec["weight"] == 0 else "ONLINE"
        return "ERROR" if row.health == DOWN else "OFFLINE"

    def of_pool(self, row: Part) -> str:
        """ONLINE; DEGRADED with some members in error; ERROR with all of them; OFFLINE, too where no listener uses
        it."""
        used = any(row in self._pools_of(each) for each in self.below(LISTENER, row.balancer_id))
        if not self._ready(row) or not used:
            return "OFFLINE"
        found = [self.of_member(each) for each in self.below(MEMBER, row.id) if each.spec["admin_state_up"]]
        return _together(found)

    def _pools_of(self, row: Part) -> list[Part]:
        wanted = [row.spec.get("default_pool_id")]
        wanted += [each.spec.get("redirect_pool_id") for each in self.below(POLICY, row.id)]
        return [pool for each in dict.fromkeys(wanted) if (pool := self.find(each)) is not None]

    def of_listener(self, row: Part) -> str:
        """ONLINE, or as bad as its pools."""
        if not self._ready(row):
            return "OFFLINE"
        return _together([self.of_pool(pool) for pool in self._pools_of(row)])

    def of_balancer(self, row: Balancer) -> str:
        """ONLINE, or as bad as its listeners and pools."""
        if row.provisioning == "ERROR" and row.admin_up:
            return "ERROR"
        if not self._up(row.id):
            return "OFFLINE"
        found = [self.of_listener(each) for each in self.below(LISTENER, row.id)]
        found += [self.of_pool(each) for each in self.below(POOL, row.id)]
        return _together(found)

    # --- views

    def balancer(self, row: Balancer, full: bool = False) -> Json:
        """A load balancer; `full` with its parts in whole."""
        listeners, pools = self.below(LISTENER, row.id), self.below(POOL, row.id)
        return {
            "id": row.id, "name": row.name, "description": row.description, "project_id": row.project_id,
            "admin_state_up": row.admin_up, "provisioning_status": row.provisioning,
            "operating_status": self.of_balancer(row), **_times(row), "vip_address": row.address,
            "vip_port_id": row.port_id, "vip_subnet_id": row.subnet_id or None, "vip_network_id": row.network_id,
            "vip_qos_policy_id": None, "vip_vnic_type": "normal", "vip_sg_ids": [], "additional_vips": [],
            "listeners": [self.listener(each, True) for each in listeners] if full else ids(listeners),
            "pools": [self.pool(each, True) for each in pools] if full else ids(pools),
            "provider": row.provider, "flavor_id": row.flavor_id or None, "availability_zone": row.zone or None,
            "tags": row.tags, "tenant_id": row.project_id,
        }  # fmt: skip

    def _common(self, row: Part, operating: str) -> Json:
        return {
            **row.spec, "id": row.id, "name": row.name, "project_id": row.project_id,
            "provisioning_status": row.provisioning, "operating_status": operating, **_times(row),
            "tenant_id": row.project_id,
        }  # fmt: skip

    def listener(self, row: Part, full: bool = False) -> Json:
        """A listener."""
        policies = self.below(POLICY, row.id)
        shown = self._common(row, self.of_listener(row))
        shown["l7policies"] = [self.policy(each, True) for each in policies] if full else ids(policies)
        return shown if full else {**shown, "loadbalancers": [{"id": row.balancer_id}]}

    def pool(self, row: Part, full: bool = False) -> Json:
        """A pool."""
        members, monitors = self.below(MEMBER, row.id), self.below(MONITOR, row.id)
        listeners = [each for each in self.below(LISTENER, row.balancer_id) if row in self._pools_of(each)]
        shown = self._common(row, self.of_pool(row)) | {"listeners": ids(listeners)}
        if full:
            shown["members"] = [self.member(each) for each in members]
            return shown | ({"healthmonitor": self.monitor(monitors[0], True)} if monitors else {})
        return shown | {
            "members": ids(members),
            "loadbalancers": [{"id": row.balancer_id}],
            "healthmonitor_id": monitors[0].id if monitors else None,
        }

    def member(self, row: Part) -> Json:
        """A member."""
        return self._common(row, self.of_member(row)) | {"vnic_type": "normal"}

    def monitor(self, row: Part, full: bool = False) -> Json:
        """A health monitor."""
        shown = self._common(row, "ONLINE" if self._ready(row) else "OFFLINE")
        return shown if full else {**shown, "pools": [{"id": row.parent_id}]}

    def policy(self, row: Part, full: bool = False) -> Json:
        """A policy."""
        rules = self.below(RULE, row.id)
        shown = self._common(row, "ONLINE" if self._ready(row) else "OFFLINE")
        shown |= {"listener_id": row.parent_id, "position": row.position}
        return shown | {"rules": [self.rule(each) for each in rules] if full else ids(rules)}

    def rule(self, row: Part) -> Json:
        """A rule."""
        shown = self._common(row, "ONLINE" if self._ready(row) else "OFFLINE")
        shown.pop("name")
        return shown

    # --- the status tree

    def statuses(self, row: Balancer) -> Json:
        """The tree of statuses of a load balancer."""
        listeners = [
            {
                **self._status(each, self.of_listener(each)),
                "pools": [self._pool_status(pool) for pool in self._pools_of(each)],
                "l7policies": [
                    {**self._status(policy, "ONLINE"), "action": policy.spec["action"],
                     "rules": [{"id": rule.id, "type": rule.spec["type"], "provisioning_status": rule.provisioning}
                               for rule in self.below(RULE, policy.id)]}
                    for policy in self.below(POLICY, each.id)
                ],
            }
            for each in self.below(LISTENER, row.id)
        ]  # fmt: skip
        return {
            "id": row.id, "name": row.name, "provisioning_status": row.provisioning,
            "operating_status": self.of_balancer(row), "listeners": listeners,
        }  # fmt: skip

    @staticmethod
    def _status(row: Part, operating: str) -> Json:
        return {"id": row.id, "name": row.name, "provisioning_status": row.provisioning, "operating_status": operating}

    def _pool_status(self, row: Part) -> Json:
        monitors = [{**self._status(each, "ONLINE"), "type": each.spec["type"]} for each in self.below(MONITOR, row.id)]
        members = [
            {**self._status(each, self.of_member(each)), "address": each.spec["address"],
             "protocol_port": each.spec["protocol_port"]}
            for each in self.below(MEMBER, row.id)
        ]  # fmt: skip
        found = monitors[0] if monitors else {}
        return {
            **self._status(row, self.of_pool(row)),
            "healthmonitor": found,
            "health_monitor": found,
            "members": members,
        }


def _together(found: list[str]) -> str:
    bad = [each for each in found if each in ("ERROR", "DEGRADED")]
    if not bad:
        return "ONLINE"
    counted = [each for each in found if each != "OFFLINE"]
    return "ERROR" if all(each == "ERROR" for each in counted) else "DEGRADED"


def stats(rows: Iterable[Traffic]) -> Json:
    """What listeners have carried, together."""
    sums = dict.fromkeys(COUNTERS, 0)
    for row in rows:
        for name in COUNTERS:
            sums[name] += row.past.get(name, 0) + row.present.get(name, 0)
    return {"stats": sums}


SHOW = {
    LISTENER: Picture.listener, POOL: Picture.pool, MEMBER: Picture.member, MONITOR: Picture.monitor,
    POLICY: Picture.policy, RULE: Picture.rule,
}  # fmt: skip
"""Kind -> how one is shown."""

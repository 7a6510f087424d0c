"""Parts of a load balancer, made with the parts below them, changed and marked for removal, within one change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from andromede.audit.changes import Change
from andromede.balancer import bodies, checks, store
from andromede.balancer.bodies import Listener, Member, Monitor, Policy, Pool, Rule, spec_of
from andromede.balancer.model import (
    CREATE,
    DELETE,
    LISTENER,
    MEMBER,
    MONITOR,
    PARENT,
    POLICY,
    POOL,
    RULE,
    UPDATE,
    Balancer,
    Part,
)
from andromede.errors import Conflict, Invalid, NotFound, OverQuota
from andromede.ids import Ids

_TARGETS = {
    "REJECT": (), "REDIRECT_TO_POOL": ("redirect_pool_id",), "REDIRECT_TO_URL": ("redirect_url", "redirect_http_code"),
    "REDIRECT_PREFIX": ("redirect_prefix", "redirect_http_code"),
}  # fmt: skip
"""Action of a policy -> the attributes that go with it."""


def _retargeted(spec: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A policy whose action changes loses the targets that went with the former one."""
    kept = _TARGETS.get(str(changes.get("action", spec["action"])), ())
    every = {name for names in _TARGETS.values() for name in names}
    return {name: value for name, value in spec.items() if name in kept or name not in every}


@dataclass(frozen=True, slots=True)
class Tree:
    """One load balancer under change. `limit` tells a project's quota of a resource, -1 for none."""

    change: Change
    balancer: Balancer
    ids: Ids
    limit: Callable[[str], int]

    # --- reading

    def parts(self, kind: str) -> list[Part]:
        """Parts of a kind that are not on their way out."""
        rows = store.parts(self.change.tx, self.balancer.id, kind)
        return [row for row in rows if row.provisioning != DELETE]

    def part(self, kind: str, part_id: str) -> Part:
        """One part. NotFound."""
        row = store.PARTS.find(self.change.tx, id=part_id, kind=kind, balancer_id=self.balancer.id)
        if row is None or row.provisioning == DELETE:
            raise NotFound(f"{kind} {part_id} not found.", kind)
        return row

    def below(self, kind: str, parent_id: str) -> list[Part]:
        """Parts of a kind that belong to another."""
        return [row for row in self.parts(kind) if row.parent_id == parent_id]

    # --- making

    def _claim(self, kind: str) -> None:
        limit = self.limit(kind)
        if limit >= 0 and store.count(self.change.tx, kind, self.balancer.project_id) >= limit:
            raise OverQuota(f"Quota has been met for resources: {kind} (the limit is {limit})", "quota")

    def _add(self, kind: str, parent_id: str, body: bodies.Part, position: int = 0) -> Part:
        self._claim(kind)
        now = self.change.now_us
        row = Part(
            self.ids.dashed(), kind, self.balancer.id, parent_id, self.balancer.project_id, body.name, CREATE, "",
            position, spec_of(body), now, now,
        )  # fmt: skip
        return store.PARTS.insert(self.change.tx, row)

    def listener(self, body: Listener) -> Part:
        """A listener, with its default pool and policies."""
        checks.listener(body)
        self._free(body.protocol, bodies.port(body.protocol_port))
        pool_id = body.default_pool_id
        if body.default_pool is not None:
            if pool_id is not None:
                raise Invalid("default_pool and default_pool_id cannot be given both", "schema")
            pool_id = self.pool(body.default_pool).id
        if pool_id is not None:
            checks.suits(body.protocol, self.part(POOL, pool_id).spec["protocol"])
        body.default_pool_id = pool_id
        made = self._add(LISTENER, self.balancer.id, body)
        for policy in body.l7policies:
            self.policy(made, policy)
        return made

    def _free(self, protocol: str, port: int) -> None:
        for row in self.parts(LISTENER):
            if row.spec["protocol_port"] == port and checks.family(row.spec["protocol"]) == checks.family(protocol):
                raise Conflict(
                    f"Another Listener on this Load Balancer is already using protocol_port {port}", "listener"
                )

    def pool(self, body: Pool) -> Part:
        """A pool, with its members and monitor."""
        checks.pool(body)
        made = self._add(POOL, self.balancer.id, body)
        beside: list[dict[str, Any]] = []
        for member in body.members:
            checks.member(member, beside)
            beside.append(self._add(MEMBER, made.id, member).spec)
        if body.healthmonitor is not None:
            self.monitor(made, body.healthmonitor)
        return made

    def member(self, pool: Part, body: Member) -> Part:
        """One more server of a pool."""
        checks.member(body, [row.spec for row in self.below(MEMBER, pool.id)])
        return self._add(MEMBER, pool.id, body)

    def monitor(self, pool: Part, body: Monitor) -> Part:
        """The monitor of a pool that has none."""
        if self.below(MONITOR, pool.id):
            raise Conflict("This pool already has a health monitor", "monitor")
        checks.monitor(body, pool.spec["protocol"])
        return self._add(MONITOR, pool.id, body)

    def policy(self, listener: Part, body: Policy) -> Part:
        """A policy at its place among those of a listener, with its rules."""
        if listener.spec["protocol"] not in checks.HTTP:
            raise Invalid(f"L7 policies are not possible on {listener.spec['protocol']} listeners", "schema")
        checks.policy(body)
        self._redirect(listener, body)
        made = self._add(POLICY, listener.id, body)
        self._order(listener.id, made.id, body.position)
        for rule in body.rules:
            self.rule(made, rule)
        return made

    def _redirect(self, listener: Part, body: Policy) -> None:
        if body.redirect_pool is not None:
            body.redirect_pool_id = self.pool(body.redirect_pool).id
        if body.redirect_pool_id is not None:
            checks.suits(listener.spec["protocol"], self.part(POOL, body.redirect_pool_id).spec["protocol"])

    def _order(self, listener_id: str, policy_id: str | None, position: int) -> None:
        """Number the policies of a listener from 1 on, one of them at `position`."""
        rows = sorted(
            (row for row in self.below(POLICY, listener_id) if row.id != policy_id),
            key=lambda row: (row.position, row.created_us),
        )
        order = [row.id for row in rows]
        if policy_id is not None:
            order.insert(position - 1, policy_id)
        for number, each in enumerate(order, 1):
            store.PARTS.update(self.change.tx, {"id": each}, position=number)

    def rule(self, policy: Part, body: Rule) -> Part:
        """One more condition of a policy."""
        listener = self.part(LISTENER, policy.parent_id)
        checks.rule(body, listener.spec["protocol"] == "TERMINATED_HTTPS")
        if len(self.below(RULE, policy.id)) >= 50:
            raise Conflict(f"Too many rules on L7 policy {policy.id}", "rule")
        return self._add(RULE, policy.id, body)

    # --- changing

    def update(self, row: Part, changes: dict[str, Any]) -> Part:
        """Change attributes of a part."""
        position = changes.pop("position", None) if row.kind == POLICY else None
        spec = _retargeted(row.spec, changes) if row.kind == POLICY else row.spec
        body = bodies.merged(row.kind, row.name, spec, changes)
        self._checked(row, body)
        store.PARTS.update(
            self.change.tx, {"id": row.id}, name=body.name, spec=spec_of(body), provisioning=UPDATE,
            updated_us=self.change.now_us,
        )  # fmt: skip
        if position is not None:
            if type(position) is not int or not 1 <= position <= 2147483647:
                raise Invalid("Invalid input for position: it must be a number from 1 on", "schema")
            self._order(row.parent_id, row.id, position)
        return self.part(row.kind, row.id)

    def _checked(self, row: Part, body: bodies.Part) -> None:
        if isinstance(body, Listener):
            checks.listener(body)
            if body.default_pool_id is not None:
                checks.suits(body.protocol, self.part(POOL, body.default_pool_id).spec["protocol"])
        elif isinstance(body, Pool):
            checks.pool(body)
        elif isinstance(body, Member):
            checks.member(body, [each.spec for each in self.below(MEMBER, row.parent_id) if each.id != row.id])
        elif isinstance(body, Monitor):
            checks.monitor(body, self.part(POOL, row.parent_id).spec["protocol"])
        elif isinstance(body, Policy):
            checks.policy(body)
            self._redirect(self.part(LISTENER, row.parent_id), body)
        elif isinstance(body, Rule):
            policy = self.part(POLICY, row.parent_id)
            listener = self.part(LISTENER, policy.parent_id)
            checks.rule(body, listener.spec["protocol"] == "TERMINATED_HTTPS")

    def members(self, pool: Part, wanted: list[Member], additive: bool) -> None:
        """Make the members of a pool these; others go, unless `additive`."""
        have = {(row.spec["address"], row.spec["protocol_port"]): row for row in self.below(MEMBER, pool.id)}
        seen: set[tuple[str, int]] = set()
        for body in wanted:
            checks.member(body, [])
            key = (body.address, bodies.port(body.protocol_port))
            if key in seen:
                raise Invalid("Member must be updated only once in the same request.", "schema")
            seen.add(key)
        gone = [row for key, row in have.items() if key not in seen] if not additive else []
        for row in gone:
            self.remove(row)
        for body in wanted:
            old = have.get((body.address, bodies.port(body.protocol_port)))
            if old is None:
                self._add(MEMBER, pool.id, body)
            elif old.spec != spec_of(body) or old.name != body.name:
                store.PARTS.update(
                    self.change.tx, {"id": old.id}, name=body.name, spec=spec_of(body), provisioning=UPDATE,
                    updated_us=self.change.now_us,
                )  # fmt: skip

    # --- removing

    def remove(self, row: Part) -> None:
        """Mark a part and everything below it for removal; what points at it points nowhere then."""
        if row.kind == POOL:
            self._unused(row)
        for kind in (kind for kind, above in PARENT.items() if above == row.kind):
            for child in self.below(kind, row.id):
                self.remove(child)
        store.touch(self.change.tx, [row.id], DELETE, self.change.now_us)
        if row.kind == POLICY:
            self._order(row.parent_id, None, 0)

    def _unused(self, pool: Part) -> None:
        for policy in self.parts(POLICY):
            if policy.spec.get("redirect_pool_id") == pool.id:
                raise Conflict(f"Pool {pool.id} is in use by L7 policy {policy.id}", "pool")
        for listener in self.parts(LISTENER):
            if listener.spec.get("default_pool_id") == pool.id:
                spec = {**listener.spec, "default_pool_id": None}
                store.PARTS.update(self.change.tx, {"id": listener.id}, spec=spec)

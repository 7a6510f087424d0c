"""Listeners, pools, members, health monitors, L7 policies and rules. The same few operations for each kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET

from andromede.balancer import bodies, store, views
from andromede.balancer.bodies import (
    PostListener,
    PostMember,
    PostMonitor,
    PostPolicy,
    PostPool,
    PostRule,
    Put,
    PutMembers,
    spec_of,
)
from andromede.balancer.common import BalancerCall, Json, changes, every, own, parent_target, part, shown, target
from andromede.balancer.listing import chosen
from andromede.balancer.model import LISTENER, MEMBER, MONITOR, POLICY, POOL, RULE, Part
from andromede.balancer.service import Balancers
from andromede.balancer.trees import Tree
from andromede.errors import Conflict, Invalid
from andromede.web.routes import Routes, Target


def _parent(call: BalancerCall, kind: str, part_id: Any, name: str) -> Part:
    """The part that a body names."""
    if part_id is UNSET:
        raise Invalid(f"Invalid input: {name} is a required property", "schema")
    return call.services.part(call.services.desk.db, kind, part_id)


def _balancer_of(call: BalancerCall, balancer_id: Any) -> str:
    if balancer_id is UNSET:
        raise Invalid("Invalid input: loadbalancer_id is a required property", "schema")
    return call.services.get(call.services.desk.db, balancer_id).id


# --- where a new part goes: its target, and how it is made


def _listener_target(call: BalancerCall, body: PostListener) -> Target:
    row = call.services.get(call.services.desk.db, _balancer_of(call, body.listener.loadbalancer_id))
    return Target(project_id=row.project_id)


def _create_listener(call: BalancerCall, body: PostListener) -> Part:
    row = call.services.get(call.services.desk.db, _balancer_of(call, body.listener.loadbalancer_id))
    call.services.certified(call, row.project_id, spec_of(body.listener))
    return call.services.add(call, row.id, lambda tree: tree.listener(body.listener))


def _home(call: BalancerCall, body: bodies.Pool) -> tuple[str, Part | None]:
    """The load balancer of a new pool, and the listener whose default it becomes."""
    if body.listener_id is not UNSET:
        listener = call.services.part(call.services.desk.db, LISTENER, body.listener_id)
        return listener.balancer_id, listener
    if body.loadbalancer_id is UNSET:
        raise Invalid("Validation failure: at least one of listener_id or loadbalancer_id is needed", "schema")
    return _balancer_of(call, body.loadbalancer_id), None


def _pool_target(call: BalancerCall, body: PostPool) -> Target:
    return Target(project_id=call.services.get(call.services.desk.db, _home(call, body.pool)[0]).project_id)


def _create_pool(call: BalancerCall, body: PostPool) -> Part:
    balancer_id, listener = _home(call, body.pool)
    project_id = call.services.get(call.services.desk.db, balancer_id).project_id
    call.services.certified(call, project_id, spec_of(body.pool))

    def make(tree: Tree) -> Part:
        if listener is None:
            return tree.pool(body.pool)
        row = tree.part(LISTENER, listener.id)
        if row.spec.get("default_pool_id"):
            raise Conflict("This listener already has a default pool", "pool")
        made = tree.pool(body.pool)
        tree.update(row, {"default_pool_id": made.id})
        return made

    return call.services.add(call, balancer_id, make)


def _create_member(call: BalancerCall, body: PostMember) -> Part:
    pool = call.services.part(call.services.desk.db, POOL, call.params["pool_id"])
    return call.services.add(call, pool.balancer_id, lambda tree: tree.member(tree.part(POOL, pool.id), body.member))


def _monitor_target(call: BalancerCall, body: PostMonitor) -> Target:
    return Target(project_id=_parent(call, POOL, body.healthmonitor.pool_id, "pool_id").project_id)


def _create_monitor(call: BalancerCall, body: PostMonitor) -> Part:
    pool = _parent(call, POOL, body.healthmonitor.pool_id, "pool_id")
    return call.services.add(
        call, pool.balancer_id, lambda tree: tree.monitor(tree.part(POOL, pool.id), body.healthmonitor)
    )


def _policy_target(call: BalancerCall, body: PostPolicy) -> Target:
    return Target(project_id=_parent(call, LISTENER, body.l7policy.listener_id, "listener_id").project_id)


def _create_policy(call: BalancerCall, body: PostPolicy) -> Part:
    listener = _parent(call, LISTENER, body.l7policy.listener_id, "listener_id")
    return call.services.add(
        call, listener.balancer_id, lambda tree: tree.policy(tree.part(LISTENER, listener.id), body.l7policy)
    )


def _create_rule(call: BalancerCall, body: PostRule) -> Part:
    policy = call.services.part(call.services.desk.db, POLICY, call.params["policy_id"])
    return call.services.add(call, policy.balancer_id, lambda tree: tree.rule(tree.part(POLICY, policy.id), body.rule))


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of part stands in the API: `path` of the list, `key` of one in bodies, `plural` of many."""

    name: str
    path: str
    key: str
    plural: str
    body: Any
    target: Callable[[BalancerCall, Any], Target]
    make: Callable[[BalancerCall, Any], Part]
    parent: str = ""


KINDS = (
    Kind(LISTENER, "listeners", "listener", "listeners", PostListener, _listener_target, _create_listener),
    Kind(POOL, "pools", "pool", "pools", PostPool, _pool_target, _create_pool),
    Kind(MEMBER, "pools/{pool_id}/members", "member", "members", PostMember, parent_target(POOL, "pool_id"),
         _create_member, "pool_id"),
    Kind(MONITOR, "healthmonitors", "healthmonitor", "healthmonitors", PostMonitor, _monitor_target, _create_monitor),
    Kind(POLICY, "l7policies", "l7policy", "l7policies", PostPolicy, _policy_target, _create_policy),
    Kind(RULE, "l7policies/{policy_id}/rules", "rule", "rules", PostRule, parent_target(POLICY, "policy_id"),
         _create_rule, "policy_id"),
)  # fmt: skip


def declare(routes: Routes[Balancers], root: str) -> None:
    """The operations of every kind below one root."""
    for kind in KINDS:
        _declare(routes, root, kind)
    _declare_more(routes, root)


def _declare(routes: Routes[Balancers], root: str, kind: Kind) -> None:
    where, one = f"{root}/{kind.path}", f"{root}/{kind.path}/{{part_id}}"
    above = kind.target if kind.parent else own

    def create(call: BalancerCall, body: Any) -> Json:
        """A new part of a load balancer; it is pending until the worker has made it."""
        return {kind.key: shown(call, kind.make(call, body))}

    def listing(call: BalancerCall) -> Json:
        """Parts of this kind: filters by every attribute, tags, sort, pages and fields."""
        return every(call, kind.name, kind.plural, call.params[kind.parent] if kind.parent else None)

    def show(call: BalancerCall) -> Json:
        """One part."""
        return {kind.key: chosen(call, shown(call, part(call, kind.name)))}

    def update(call: BalancerCall, body: Put) -> Json:
        """Other attributes of a part."""
        row, given = part(call, kind.name), changes(call, body, kind.key)
        spec = spec_of(bodies.merged(kind.name, row.name, row.spec, given))
        call.services.certified(call, row.project_id, {name: spec[name] for name in given if name in spec})
        return {kind.key: shown(call, call.services.change(call, row, given))}

    def delete(call: BalancerCall) -> None:
        """Remove a part and what belongs to it."""
        call.services.drop(call, part(call, kind.name))

    action = f"loadbalancer:{{}}_{kind.name}"
    routes.add("POST", where, action.format("create"), body=kind.body, status=201, target=kind.target)(create)
    routes.add("GET", where, action.format("list"), target=above)(listing)
    routes.add("GET", one, action.format("get"), target=target(kind.name))(show)
    routes.add("PUT", one, action.format("update"), body=Put, target=target(kind.name))(update)
    routes.add("DELETE", one, action.format("delete"), status=204, target=target(kind.name))(delete)


def _declare_more(routes: Routes[Balancers], root: str) -> None:
    pool_target = parent_target(POOL, "pool_id")

    @routes.add(
        "PUT", f"{root}/pools/{{pool_id}}/members", "loadbalancer:update_members", body=PutMembers, status=202,
        target=pool_target,
    )  # fmt: skip
    def update_members(call: BalancerCall, body: PutMembers) -> None:
        """Make the members of a pool these; with `additive_only=true` others stay."""
        pool = call.services.part(call.services.desk.db, POOL, call.params["pool_id"])
        with call.services.changing(call, pool.balancer_id) as tree:
            tree.change.object = f"pool/{pool.id}/members"
            tree.members(tree.part(POOL, pool.id), body.members, call.query.flag("additive_only"))

    @routes.add(
        "GET", f"{root}/listeners/{{part_id}}/stats", "loadbalancer:get_listener_stats", target=target(LISTENER)
    )  # fmt: skip
    def listener_stats(call: BalancerCall) -> Json:
        """What the listener has carried."""
        row = part(call, LISTENER)
        return views.stats(store.TRAFFIC.select(call.services.desk.db, {"listener_id": row.id}))

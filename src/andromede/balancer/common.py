"""What the route files of load balancers share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from andromede.balancer import store
from andromede.balancer.access import TABLE
from andromede.balancer.listing import listed
from andromede.balancer.model import Balancer, Part
from andromede.balancer.service import Balancers
from andromede.balancer.views import SHOW, Picture
from andromede.errors import Invalid
from andromede.web.call import Call
from andromede.web.routes import Target

BalancerCall = Call[Balancers]
Json = dict[str, Any]
ROOTS = ("/v2.0/lbaas", "/v2/lbaas")
"""Where the API stands: clients use both."""


def own(call: BalancerCall, body: Any) -> Target:
    """The caller's own project."""
    return Target(project_id=call.who.project_id)


def balancer(call: BalancerCall) -> Balancer:
    """The load balancer of the path."""
    return call.services.get(call.services.desk.db, call.params["balancer_id"])


def balancer_target(call: BalancerCall, body: Any) -> Target:
    """Of the load balancer of the path."""
    return Target(project_id=balancer(call).project_id)


def part(call: BalancerCall, kind: str) -> Part:
    """The part of the path, below the one that the path names."""
    parents = {"member": "pool_id", "l7rule": "policy_id"}
    parent = call.params.get(parents.get(kind, ""), "")
    return call.services.part(call.services.desk.db, kind, call.params["part_id"], parent)


def target(kind: str) -> Callable[[BalancerCall, Any], Target]:
    """Of the part of the path."""
    return lambda call, body: Target(project_id=part(call, kind).project_id)


def parent_target(kind: str, name: str) -> Callable[[BalancerCall, Any], Target]:
    """Of the part above the one of the path."""

    def find(call: BalancerCall, body: Any) -> Target:
        return Target(project_id=call.services.part(call.services.desk.db, kind, call.params[name]).project_id)

    return find


def seen(call: BalancerCall, rows: list[Balancer]) -> Picture:
    """Load balancers with their parts."""
    with call.services.desk.db.read() as tx:
        return Picture(tx, rows)


def shown(call: BalancerCall, row: Part) -> Json:
    """One part as clients see it, as it is now."""
    db = call.services.desk.db
    picture = seen(call, [call.services.get(db, row.balancer_id)])
    return SHOW[row.kind](picture, picture.find(row.id) or row)


def every(call: BalancerCall, kind: str, key: str, parent_id: str | None = None) -> Json:
    """The list of a kind of parts that the caller may see."""
    where: dict[str, Any] = {"kind": kind}
    if parent_id is not None:
        where["parent_id"] = parent_id
    if not TABLE.reach(call.who, call.action).everything:
        where["project_id"] = call.who.project_id
    elif (wanted := call.query.get("project_id") or call.query.get("tenant_id")) is not None:
        where["project_id"] = wanted
    with call.services.desk.db.read() as tx:
        rows = store.PARTS.select(tx, where)
        picture = Picture(tx, store.BALANCERS.select(tx, {"id": {row.balancer_id for row in rows}}))
    rows.sort(key=lambda row: (row.created_us, row.id))
    views = [SHOW[kind](picture, row) for row in rows if row.balancer_id in picture.balancers]
    return listed(call, key, views, NAMES[kind])


_COMMON = ("id", "name", "description", "project_id", "tenant_id", "admin_state_up", "provisioning_status",
           "operating_status", "created_at", "updated_at", "tags")  # fmt: skip
BALANCER_NAMES = (*_COMMON, "vip_address", "vip_port_id", "vip_subnet_id", "vip_network_id", "provider", "flavor_id",
                  "availability_zone", "vip_qos_policy_id", "listeners", "pools")  # fmt: skip
NAMES: dict[str, tuple[str, ...]] = {
    "listener": (*_COMMON, "protocol", "protocol_port", "connection_limit", "default_pool_id", "loadbalancers",
                 "default_tls_container_ref", "timeout_client_data", "timeout_member_connect", "timeout_member_data",
                 "timeout_tcp_inspect", "client_authentication", "l7policies"),
    "pool": (*_COMMON, "protocol", "lb_algorithm", "healthmonitor_id", "loadbalancers", "listeners", "members",
             "tls_enabled"),
    "member": (*_COMMON, "address", "protocol_port", "weight", "subnet_id", "monitor_address", "monitor_port",
               "backup"),
    "healthmonitor": (*_COMMON, "type", "delay", "timeout", "max_retries", "max_retries_down", "http_method",
                      "url_path", "expected_codes", "pools", "http_version", "domain_name"),
    "l7policy": (*_COMMON, "action", "listener_id", "position", "redirect_pool_id", "redirect_url", "redirect_prefix",
                 "redirect_http_code"),
    "l7rule": (*_COMMON, "type", "compare_type", "key", "value", "invert"),
}  # fmt: skip
"""What rows of a list may be filtered and sorted by, by kind."""


def changes(call: BalancerCall, body: dict[str, dict[str, Any]], key: str) -> dict[str, Any]:
    """The members of an update."""
    if set(body) != {key}:
        raise Invalid(f"Invalid input: the body has one member, {key}", "schema")
    return body[key]

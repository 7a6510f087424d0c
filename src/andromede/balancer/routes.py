"""The whole route table of the load balancer service."""

from __future__ import annotations

from typing import Any

from andromede.balancer import store, views
from andromede.balancer.access import TABLE
from andromede.balancer.bodies import PostBalancer, Put
from andromede.balancer.common import (
    BALANCER_NAMES,
    ROOTS,
    BalancerCall,
    Json,
    balancer,
    balancer_target,
    changes,
    own,
    seen,
)
from andromede.balancer.listing import chosen, listed
from andromede.balancer.model import RESOURCES
from andromede.balancer.part_routes import declare as declare_parts
from andromede.balancer.service import PROVIDERS, Balancers
from andromede.errors import Error, Invalid, NotFound
from andromede.web.api import Mount
from andromede.web.call import Call
from andromede.web.dialect import Dialect
from andromede.web.routes import Routes, Target

VERSIONS = (
    ("v2.0", "2016-12-11T00:00:00Z"), ("v2.1", "2018-04-20T00:00:00Z"), ("v2.2", "2018-07-31T00:00:00Z"),
    ("v2.3", "2018-12-18T00:00:00Z"), ("v2.4", "2018-12-19T00:00:00Z"), ("v2.5", "2019-01-21T00:00:00Z"),
)  # fmt: skip
"""What the service speaks in full: parts with tags, and no flavors, which came with v2.6."""

routes: Routes[Balancers] = Routes()


@routes.add("GET", "/", "loadbalancer:discover", public=True)
def discover(call: BalancerCall) -> Json:
    """The versions of the service."""
    last = VERSIONS[-1][0]
    return {
        "versions": [
            {
                "id": name,
                "status": "CURRENT" if name == last else "SUPPORTED",
                "updated": updated,
                "links": [{"rel": "self", "href": f"{call.base}/v2"}],
            }
            for name, updated in VERSIONS
        ]
    }


def _declare(root: str) -> None:
    """The operations on load balancers below one root."""

    def create_target(call: BalancerCall, body: PostBalancer) -> Target:
        named = body.loadbalancer.project_id or body.loadbalancer.tenant_id
        return Target(project_id=named or call.who.project_id)

    @routes.add(
        "POST", f"{root}/loadbalancers", "loadbalancer:create_loadbalancer", body=PostBalancer, status=201,
        target=create_target,
    )  # fmt: skip
    def create_balancer(call: BalancerCall, body: PostBalancer) -> Json:
        """A load balancer, alone or with its parts; its address is there at once, a worker makes the rest."""
        row = call.services.create(call, body.loadbalancer)
        full = bool(body.loadbalancer.listeners or body.loadbalancer.pools)
        return {"loadbalancer": seen(call, [row]).balancer(row, full)}

    @routes.add("GET", f"{root}/loadbalancers", "loadbalancer:list_loadbalancer", target=own)
    def list_balancers(call: BalancerCall) -> Json:
        """Load balancers: filters by every attribute, tags, sort, pages and fields."""
        where: dict[str, Any] = {}
        if not TABLE.reach(call.who, call.action).everything:
            where["project_id"] = call.who.project_id
        rows = store.BALANCERS.select(call.services.desk.db, where)
        picture = seen(call, rows)
        return listed(call, "loadbalancers", [picture.balancer(row) for row in rows], BALANCER_NAMES)

    one = f"{root}/loadbalancers/{{balancer_id}}"

    @routes.add("GET", one, "loadbalancer:get_loadbalancer", target=balancer_target)
    def show_balancer(call: BalancerCall) -> Json:
        """One load balancer."""
        row = balancer(call)
        return {"loadbalancer": chosen(call, seen(call, [row]).balancer(row))}

    @routes.add("PUT", one, "loadbalancer:update_loadbalancer", body=Put, target=balancer_target)
    def update_balancer(call: BalancerCall, body: Put) -> Json:
        """Another name, description, state or tags."""
        row = call.services.update(call, call.params["balancer_id"], changes(call, body, "loadbalancer"))
        return {"loadbalancer": seen(call, [row]).balancer(row)}

    @routes.add("DELETE", one, "loadbalancer:delete_loadbalancer", status=204, target=balancer_target)
    def delete_balancer(call: BalancerCall) -> None:
        """Delete a load balancer; `cascade=true` with its parts."""
        call.services.remove(call, call.params["balancer_id"], call.query.flag("cascade"))

    @routes.add("PUT", f"{one}/failover", "loadbalancer:failover", status=202, target=balancer_target)
    def failover(call: BalancerCall) -> None:
        """Start the load balancer anew."""
        call.services.failover(call, call.params["balancer_id"])

    @routes.add("GET", f"{one}/stats", "loadbalancer:get_stats", target=balancer_target)
    def balancer_stats(call: BalancerCall) -> Json:
        """What its listeners have carried."""
        return views.stats(store.TRAFFIC.select(call.services.desk.db, {"balancer_id": balancer(call).id}))

    for word in ("status", "statuses"):
        routes.add("GET", f"{one}/{word}", "loadbalancer:get_status", target=balancer_target)(_statuses)


def _statuses(call: BalancerCall) -> Json:
    """The statuses of the load balancer and everything in it, as a tree."""
    row = balancer(call)
    return {"statuses": {"loadbalancer": seen(call, [row]).statuses(row)}}


def _quota_target(call: BalancerCall, body: Any) -> Target:
    return Target(project_id=call.params["project_id"])


def _quota(limits: dict[str, int]) -> Json:
    return {**limits, "load_balancer": limits["loadbalancer"], "health_monitor": limits["healthmonitor"]}


_OLD = {"load_balancer": "loadbalancer", "health_monitor": "healthmonitor"}


def _declare_quotas(root: str) -> None:
    """Quotas below one root."""

    @routes.add("GET", f"{root}/quotas", "loadbalancer:list_quotas", target=own)
    def list_quotas(call: BalancerCall) -> Json:
        """Quotas that were set."""
        where = {} if TABLE.reach(call.who, call.action).everything else {"project_id": call.who.project_id}
        rows = store.QUOTAS.select(call.services.desk.db, where)
        found = [
            {"id": row.project_id, "project_id": row.project_id}
            | {name: row.limits.get(name) for name in RESOURCES}
            for row in rows
        ]  # fmt: skip
        answer = listed(call, "quotas", found, ("project_id",))
        return {**answer, "quotas": [{k: v for k, v in one.items() if k != "id"} for one in answer["quotas"]]}

    @routes.add("GET", f"{root}/quotas/defaults", "loadbalancer:get_default_quota")
    def default_quota(call: BalancerCall) -> Json:
        """The limits of a project that none were set for: none."""
        return {"quota": _quota(dict.fromkeys(RESOURCES, -1))}

    one = f"{root}/quotas/{{project_id}}"

    @routes.add("GET", one, "loadbalancer:get_quota", target=_quota_target)
    def show_quota(call: BalancerCall) -> Json:
        """The limits of a project."""
        return {"quota": _quota(call.services.limits(call.services.desk.db, call.params["project_id"]))}

    @routes.add("GET", f"{one}/default", "loadbalancer:get_default_quota")
    def project_default(call: BalancerCall) -> Json:
        """The limits that a project would have if none were set."""
        return {"quota": _quota(dict.fromkeys(RESOURCES, -1))}

    @routes.add("PUT", one, "loadbalancer:update_quota", body=Put, status=202, target=_quota_target)
    def update_quota(call: BalancerCall, body: Put) -> Json:
        """Set limits of a project; null is the default."""
        wanted = {_OLD.get(name, name): value for name, value in changes(call, body, "quota").items()}
        for name, value in wanted.items():
            good = value is None or (type(value) is int and -1 <= value <= 2_000_000_000)
            if name not in RESOURCES or not good:
                raise Invalid(f"Invalid input for quota: {name}={value!r}", "schema")
        return {"quota": _quota(call.services.set_limits(call, call.params["project_id"], wanted))}

    @routes.add("DELETE", one, "loadbalancer:delete_quota", status=204, target=_quota_target)
    def delete_quota(call: BalancerCall) -> None:
        """Give a project the defaults again."""
        call.services.drop_limits(call, call.params["project_id"])


def _declare_operators(root: str) -> None:
    """Providers, and what this installation has none of."""

    @routes.add("GET", f"{root}/providers", "loadbalancer:list_providers")
    def list_providers(call: BalancerCall) -> Json:
        """What load balancers are made of."""
        rows = [{"name": name, "description": text} for name, text in PROVIDERS.items()]
        found = listed(call, "providers", [{**row, "id": row["name"]} for row in rows], ("name", "description"))
        return {"providers": [{k: v for k, v in one.items() if k != "id"} for one in found["providers"]]}

    for word in ("flavor_capabilities", "availability_zone_capabilities"):
        where = f"{root}/providers/{{provider}}/{word}"
        routes.add("GET", where, "loadbalancer:get_provider_capabilities")(_capabilities(word))
    for word, key, action in (
        ("flavors", "flavors", "list_flavors"),
        ("availabilityzones", "availability_zones", "list_zones"),
    ):
        routes.add("GET", f"{root}/{word}", f"loadbalancer:{action}")(_none_of(key))
    for word, action in (("flavors", "get_flavor"), ("availabilityzones", "get_zone")):
        routes.add("GET", f"{root}/{word}/{{name}}", f"loadbalancer:{action}")(_missing)


def _capabilities(key: str) -> Any:
    def capabilities(call: BalancerCall) -> Json:
        """What flavors of a provider may say: nothing."""
        if call.params["provider"] not in PROVIDERS:
            raise NotFound(f"Provider '{call.params['provider']}' was not found.", "provider")
        return {key: []}

    return capabilities


def _none_of(key: str) -> Any:
    def none_of(call: BalancerCall) -> Json:
        """There are none."""
        return listed(call, key, [], ("name", "description", "enabled", "id"))

    return none_of


def _missing(call: BalancerCall) -> None:
    """There is none of that name."""
    raise NotFound(f"{call.params['name']} not found.", "document")


@routes.add("GET", "/v2.0/octavia/amphorae", "loadbalancer:list_amphorae")
def list_amphorae(call: BalancerCall) -> Json:
    """Load balancers here are no virtual machines: there are no amphorae."""
    known = ("id", "loadbalancer_id", "compute_id", "role", "status", "lb_network_ip", "ha_port_id", "vrrp_port_id")
    return listed(call, "amphorae", [], known)


@routes.add("GET", "/v2.0/octavia/amphorae/{name}", "loadbalancer:get_amphora")
def show_amphora(call: BalancerCall) -> None:
    """There is none of that id."""
    _missing(call)


for _root in ROOTS:
    _declare(_root)
    _declare_quotas(_root)
    _declare_operators(_root)
    declare_parts(routes, _root)


def envelope(status: int, message: str, error: Error, request_id: str) -> Json:
    """`{"faultcode", "faultstring", "debuginfo"}`, as Octavia shows errors."""
    return {"faultcode": "Server" if status >= 500 else "Client", "faultstring": message, "debuginfo": None}


UNTOUCHED = frozenset(
    f"loadbalancer:{action}"
    for action in (
        "list_providers", "get_provider_capabilities", "list_flavors", "get_flavor", "list_zones", "get_zone",
        "list_amphorae", "get_amphora", "get_default_quota", "get_quota", "list_quotas",
    )
)  # fmt: skip


def untouched(call: Call[Any]) -> bool:
    """Limits and what the installation offers are no tenant's data."""
    return call.action in UNTOUCHED


def mount(service: Balancers) -> Mount:
    """Octavia under /load-balancer."""
    return Mount("/load-balancer", "load-balancer", routes, service, Dialect("octavia", envelope), untouched=untouched)

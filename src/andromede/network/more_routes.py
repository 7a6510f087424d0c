"""Networking API v2.0: versions, extensions, actions of routers, tags, quotas, agents."""

from __future__ import annotations

from typing import Any

from andromede.db.table import Reader
from andromede.errors import NotFound
from andromede.network import (
    addressgroups,
    agents,
    extensions,
    floatingips,
    kinds,
    links_store,
    listing_store,
    quota_store,
    routers,
    subnetpools,
    views,
    work_store,
)
from andromede.network.faults import DIALECT, bad, missing
from andromede.network.model import FloatingRow, ForwardingRow
from andromede.network.routes import RULES, Body, NetworkCall, item, own_scope, page_links, routes, target_of
from andromede.network.service import Networks
from andromede.network.shape import Shape, Who, changed, created
from andromede.network.shapes import NETWORK
from andromede.network.shapes_more import ADDRESS_GROUP, FLOATING_IP, FORWARDING, POOL, ROUTER
from andromede.network.tables import FORWARDINGS
from andromede.web.api import Mount
from andromede.web.routes import Target

ROUTES = kinds.ROUTES
PREFIXES = kinds.listing(kinds.prefix, 100)
TAG = kinds.text(60)
MOST_TAGS = 50


@routes.add("GET", "/", "network:list_versions", public=True)
def list_versions(call: NetworkCall) -> Any:
    """The versions of this API. Networking API v2.0, "List API versions"."""
    link = {"rel": "self", "href": f"{call.base}/v2.0/"}
    return {"versions": [{"id": "v2.0", "status": "CURRENT", "links": [link]}]}


@routes.add("GET", "/v2.0", "network:list_resources", target=own_scope)
def list_resources(call: NetworkCall) -> Any:
    """The resources of this version. Networking API v2.0, "Show API v2 details"."""
    return {"resources": [
        {"name": shape.singular, "collection": url, "links": [{"rel": "self", "href": f"{call.base}/v2.0/{url}"}]}
        for url, (shape, _) in RULES.items()
    ]}  # fmt: skip


@routes.add("GET", "/v2.0/extensions", "network:list_extensions", target=own_scope)
def list_extensions(call: NetworkCall) -> Any:
    """What is offered beyond the core. Networking API v2.0, "List extensions"."""
    fields = call.query.all("fields")
    return {"extensions": [views.chosen(extensions.shown(alias), fields) for alias in extensions.EXTENSIONS]}


@routes.add("GET", "/v2.0/extensions/{alias}", "network:get_extension", target=own_scope)
def get_extension(call: NetworkCall) -> Any:
    """One extension. Networking API v2.0, "Show extension details"."""
    alias = call.params["alias"]
    if alias not in extensions.EXTENSIONS:
        raise NotFound(f"Extension with alias {alias} does not exist", "HTTPNotFound")
    return {"extension": extensions.shown(alias)}


def _acted(call: NetworkCall, shape: Shape, act: Any, body: Any) -> tuple[Any, dict[str, Any]]:
    """Do something with one object; what it returned, and the object as it is then shown."""
    who, object_id = Who.of(call.who), call.params["id"]
    with call.services.core.job(call, f"{shape.singular}/{object_id}") as job:
        row = job.owned(shape, object_id)
        found = act(job, row, body)
        shown = views.show(job.tx, shape, found, who) if isinstance(found, shape.row) else {}
    return found, shown


@routes.add("PUT", "/v2.0/routers/{id}/add_router_interface", "network:add_router_interface", body=Body,
            target=target_of(ROUTER))  # fmt: skip
def add_router_interface(call: NetworkCall, body: Body) -> Any:
    """Join a subnet. Networking API v2.0, "Add interface to router"."""
    return _acted(call, ROUTER, routers.add_interface, body)[0]


@routes.add("PUT", "/v2.0/routers/{id}/remove_router_interface", "network:remove_router_interface", body=Body,
            target=target_of(ROUTER))  # fmt: skip
def remove_router_interface(call: NetworkCall, body: Body) -> Any:
    """Leave a subnet. Networking API v2.0, "Remove interface from router"."""
    return _acted(call, ROUTER, routers.remove_interface, body)[0]


def _given_routes(body: Any) -> list[dict[str, str]]:
    given = item(body, "router")
    if not isinstance(given, dict) or set(given) != {"routes"}:
        bad("the router must hold routes and nothing else")
    found: list[dict[str, str]] = ROUTES("routes", given["routes"])
    return found


@routes.add("PUT", "/v2.0/routers/{id}/add_extraroutes", "network:add_extraroutes", body=Body, target=target_of(ROUTER))
def add_extraroutes(call: NetworkCall, body: Body) -> Any:
    """Add routes. Networking API v2.0, "Add extra routes to router"."""
    return {"router": _acted(call, ROUTER, routers.add_routes, _given_routes(body))[1]}


@routes.add("PUT", "/v2.0/routers/{id}/remove_extraroutes", "network:remove_extraroutes", body=Body,
            target=target_of(ROUTER))  # fmt: skip
def remove_extraroutes(call: NetworkCall, body: Body) -> Any:
    """Remove routes. Networking API v2.0, "Remove extra routes from router"."""
    return {"router": _acted(call, ROUTER, routers.remove_routes, _given_routes(body))[1]}


def _given_prefixes(body: Any) -> list[str]:
    found: list[str] = PREFIXES("prefixes", item(body, "prefixes"))
    return found


@routes.add("PUT", "/v2.0/subnetpools/{id}/add_prefixes", "network:add_prefixes", body=Body, target=target_of(POOL))
def add_prefixes(call: NetworkCall, body: Body) -> Any:
    """Add prefixes. Networking API v2.0, "Add prefixes"."""
    return {"prefixes": _acted(call, POOL, subnetpools.add_prefixes, _given_prefixes(body))[0].prefixes}


@routes.add("PUT", "/v2.0/subnetpools/{id}/remove_prefixes", "network:remove_prefixes", body=Body,
            target=target_of(POOL))  # fmt: skip
def remove_prefixes(call: NetworkCall, body: Body) -> Any:
    """Remove prefixes. Networking API v2.0, "Remove prefixes"."""
    return {"prefixes": _acted(call, POOL, subnetpools.remove_prefixes, _given_prefixes(body))[0].prefixes}


@routes.add("PUT", "/v2.0/address-groups/{id}/add_addresses", "network:add_addresses", body=Body,
            target=target_of(ADDRESS_GROUP))  # fmt: skip
def add_addresses(call: NetworkCall, body: Body) -> Any:
    """Add addresses. Networking API v2.0, "Add IP addresses to address group"."""
    return {"address_group": _acted(call, ADDRESS_GROUP, addressgroups.add, body)[1]}


@routes.add("PUT", "/v2.0/address-groups/{id}/remove_addresses", "network:remove_addresses", body=Body,
            target=target_of(ADDRESS_GROUP))  # fmt: skip
def remove_addresses(call: NetworkCall, body: Body) -> Any:
    """Remove addresses. Networking API v2.0, "Remove IP addresses from address group"."""
    return {"address_group": _acted(call, ADDRESS_GROUP, addressgroups.remove, body)[1]}


def _tagged(call: NetworkCall) -> tuple[Shape, str]:
    shape = RULES.get(call.params["kind"], (None, None))[0]
    if shape is None or not shape.taggable:
        raise NotFound(f"there are no tags on {call.params['kind']}", "HTTPNotFound")
    return shape, call.params["id"]


def _change_tags(call: NetworkCall, act: Any) -> Any:
    shape, object_id = _tagged(call)
    with call.services.core.job(call, f"{shape.singular}/{object_id}") as job:
        row = job.owned(shape, object_id)
        found = act(job.tx, row)
        count = len(links_store.tags(job.tx, [row.id]).get(row.id, []))
        if count > MOST_TAGS:
            bad(f"an object may have at most {MOST_TAGS} tags")
        job.update(shape, row)
    return found


def _known_tags(call: NetworkCall) -> list[str]:
    shape, object_id = _tagged(call)
    with call.services.core.desk.db.read() as tx:
        row = listing_store.seen(tx, shape, Who.of(call.who), object_id)
        if row is None:
            shape.lost(object_id)
        return links_store.tags(tx, [row.id]).get(row.id, [])


TAGS = "/v2.0/{kind}/{id}/tags"


@routes.add("GET", TAGS, "network:list_tags", target=own_scope)
def list_tags(call: NetworkCall) -> Any:
    """The tags of an object. Networking API v2.0, "List all tags"."""
    return {"tags": _known_tags(call)}


@routes.add("PUT", TAGS, "network:set_tags", body=Body, target=own_scope)
def set_tags(call: NetworkCall, body: Body) -> Any:
    """Other tags instead. Networking API v2.0, "Replace all tags"."""
    given = kinds.listing(TAG, MOST_TAGS)("tags", item(body, "tags"))

    def act(tx: Any, row: Any) -> None:
        links_store.untag(tx, row.id)
        for name in given:
            links_store.tag(tx, row.id, name)

    _change_tags(call, act)
    return {"tags": sorted(given)}


@routes.add("DELETE", TAGS, "network:delete_tags", status=204, target=own_scope)
def delete_tags(call: NetworkCall) -> None:
    """No tags any more. Networking API v2.0, "Remove all tags"."""
    _change_tags(call, lambda tx, row: links_store.untag(tx, row.id))


@routes.add("GET", TAGS + "/{tag}", "network:get_tag", status=204, target=own_scope)
def get_tag(call: NetworkCall) -> None:
    """Whether an object has a tag. Networking API v2.0, "Confirm a tag"."""
    if call.params["tag"] not in _known_tags(call):
        missing("Tag", call.params["tag"])


@routes.add("PUT", TAGS + "/{tag}", "network:set_tag", status=201, target=own_scope)
def set_tag(call: NetworkCall) -> None:
    """Tag an object. Networking API v2.0, "Add a tag"."""
    name = TAG("tag", call.params["tag"])
    _change_tags(call, lambda tx, row: links_store.tag(tx, row.id, name))


@routes.add("DELETE", TAGS + "/{tag}", "network:delete_tag", status=204, target=own_scope)
def delete_tag(call: NetworkCall) -> None:
    """Take a tag off an object. Networking API v2.0, "Remove a tag"."""
    if not _change_tags(call, lambda tx, row: links_store.untag(tx, row.id, call.params["tag"])):
        missing("Tag", call.params["tag"])


def of_project(call: NetworkCall, body: Any) -> Target:
    """The target of quotas: the project that they are for."""
    return Target(project_id=call.params["project"])


@routes.add("GET", "/v2.0/quotas", "network:list_quotas", target=own_scope)
def list_quotas(call: NetworkCall) -> Any:
    """Projects with quotas of their own. Networking API v2.0, "List quotas for projects with non-default values"."""
    with call.services.core.desk.db.read() as tx:
        own = {project: quota_store.limits(tx, project) for project in quota_store.projects(tx)}
    return {"quotas": [{**limits, "project_id": one, "tenant_id": one} for one, limits in own.items()]}


@routes.add("GET", "/v2.0/quotas/{project}", "network:get_quota", target=of_project)
def get_quota(call: NetworkCall) -> Any:
    """The quotas of a project. Networking API v2.0, "List quotas for a project"."""
    return {"quota": quota_store.limits(call.services.core.desk.db, call.params["project"])}


@routes.add("GET", "/v2.0/quotas/{project}/default", "network:get_default_quota", target=of_project)
@routes.add("GET", "/v2.0/quotas/{project}/default.json", "network:get_default_quota", target=of_project)
def get_default_quota(call: NetworkCall) -> Any:
    """What projects have unless told otherwise. Networking API v2.0, "List default quotas for a project"."""
    return {"quota": dict(quota_store.DEFAULTS)}


@routes.add("GET", "/v2.0/quotas/{project}/details", "network:get_quota_details", target=of_project)
@routes.add("GET", "/v2.0/quotas/{project}/details.json", "network:get_quota_details", target=of_project)
def get_quota_details(call: NetworkCall) -> Any:
    """Quotas and what is used of them. Networking API v2.0, "Show quota details for a tenant"."""
    project = call.params["project"]
    with call.services.core.desk.db.read() as tx:
        limits = quota_store.limits(tx, project)
        used = {name: quota_store.used(tx, table, project) for name, table in quota_store.TABLES.items()}
    return {"quota": {name: {"limit": limits[name], "used": used[name], "reserved": 0} for name in limits}}


_BESIDES = ("tenant_id", "project_id", "force", "check_limit")
"""What a change of quotas may say besides them."""


@routes.add("PUT", "/v2.0/quotas/{project}", "network:update_quota", body=Body, target=of_project)
def update_quota(call: NetworkCall, body: Body) -> Any:
    """Set quotas of a project. Networking API v2.0, "Update quota for a project"."""
    project, given = call.params["project"], item(body, "quota")
    if not isinstance(given, dict):
        bad("quota must be an object")
    checked = kinds.boolean("check_limit", given.get("check_limit", False))
    given = {name: value for name, value in given.items() if name not in _BESIDES}
    if unknown := sorted(set(given) - set(quota_store.DEFAULTS)):
        bad(f"Unrecognized attribute(s) '{', '.join(unknown)}'")
    if not call.services.core.known(project):
        missing("Project", project)
    amount = kinds.number(-1, 2**31 - 1)
    with call.services.core.job(call, f"quota/{project}", project) as job:
        for name, value in given.items():
            wanted = amount(name, value)
            if checked and 0 <= wanted < quota_store.used(job.tx, quota_store.TABLES[name], project):
                bad(f"Quota limit {wanted} for {name} is below what the project uses.")
            quota_store.put(job.tx, project, name, wanted)
        limits = quota_store.limits(job.tx, project)
    return {"quota": limits}


@routes.add("DELETE", "/v2.0/quotas/{project}", "network:delete_quota", status=204, target=of_project)
def delete_quota(call: NetworkCall) -> None:
    """Back to the defaults. Networking API v2.0, "Reset quota for a project"."""
    project = call.params["project"]
    tenant = project if call.services.core.known(project) else ""
    with call.services.core.job(call, f"quota/{project}", tenant) as job:
        if not quota_store.reset(job.tx, project):
            missing("TenantQuota", project)


@routes.add("GET", "/v2.0/agents", "network:list_agents", target=own_scope)
def list_agents(call: NetworkCall) -> Any:
    """The workers of hosts; none for who is no administrator. Networking API v2.0, "List all agents"."""
    core = call.services.core
    rows = work_store.hosts(core.desk.db) if Who.of(call.who).admin else []
    want = listing_store.asked(call.query)
    found = agents.chosen([one for row in rows for one in agents.of_host(row, core.desk.clock.now_us())], want.filters)
    return {"agents": [views.chosen(one, want.fields) for one in found]}


@routes.add("GET", "/v2.0/agents/{id}", "network:get_agent", target=own_scope)
def get_agent(call: NetworkCall) -> Any:
    """One worker. Networking API v2.0, "Show agent details"."""
    core = call.services.core
    for row in work_store.hosts(core.desk.db):
        for one in agents.of_host(row, core.desk.clock.now_us()):
            if one["id"] == call.params["id"]:
                return {"agent": views.chosen(one, call.query.all("fields"))}
    missing("Agent", call.params["id"])


@routes.add("GET", "/v2.0/availability_zones", "network:list_availability_zones", target=own_scope)
def list_availability_zones(call: NetworkCall) -> Any:
    """The availability zones. Networking API v2.0, "List all availability zones"."""
    want = listing_store.asked(call.query)
    zones = [{"name": views.ZONE, "resource": kind, "state": "available"} for kind in ("network", "router")]
    found = agents.chosen(zones, want.filters)
    return {"availability_zones": [views.chosen(one, want.fields) for one in found]}


@routes.add("GET", "/v2.0/service-providers", "network:list_service_providers", target=own_scope)
def list_service_providers(call: NetworkCall) -> Any:
    """Who provides services. Networking API v2.0, "List service providers"."""
    want = listing_store.asked(call.query)
    rows = [{"service_type": "L3_ROUTER_NAT", "name": "andromede", "default": True}]
    return {"service_providers": [views.chosen(one, want.fields) for one in agents.chosen(rows, want.filters)]}


@routes.add("GET", "/v2.0/network-ip-availabilities", "network:list_network_ip_availabilities", target=own_scope)
def list_network_ip_availabilities(call: NetworkCall) -> Any:
    """How many addresses are taken. Networking API v2.0, "List network IP availabilities"."""
    want = listing_store.asked(call.query)
    names = {"network_id": "id", "network_name": "name"}
    versions = want.filters.pop("ip_version", [])
    filters = {names.get(name, name): values for name, values in want.filters.items()}
    with call.services.core.desk.db.read() as tx:
        rows = listing_store.page(tx, NETWORK, Who.of(call.who), listing_store.Asked(filters))
        found = views.availability(tx, rows)
    if versions:
        found = [views.of_version(one, versions) for one in found]
        found = [one for one in found if one["subnet_ip_availability"]]
    return {"network_ip_availabilities": [views.chosen(one, want.fields) for one in found]}


@routes.add("GET", "/v2.0/network-ip-availabilities/{id}", "network:get_network_ip_availability",
            target=target_of(NETWORK))  # fmt: skip
def get_network_ip_availability(call: NetworkCall) -> Any:
    """The same for one network. Networking API v2.0, "Show network IP availability"."""
    with call.services.core.desk.db.read() as tx:
        row = listing_store.seen(tx, NETWORK, Who.of(call.who), call.params["id"])
        if row is None:
            NETWORK.lost(call.params["id"])
        return {"network_ip_availability": views.availability(tx, [row])[0]}


FORWARDS = "/v2.0/floatingips/{id}/port_forwardings"


@routes.add("POST", FORWARDS, "network:create_port_forwarding", body=Body, status=201, target=target_of(FLOATING_IP))
def create_port_forwarding(call: NetworkCall, body: Body) -> Any:
    """Forward a port. Networking API v2.0, "Create port forwarding"."""
    who = Who.of(call.who)
    with call.services.core.job(call) as job:
        floating: FloatingRow = job.owned(FLOATING_IP, call.params["id"])
        values = created(
            FORWARDING, item(body, "port_forwarding"), Who(who.project_id or floating.project_id, who.admin)
        )
        row = floatingips.forward(job, floating, values)
        job.change.object = f"port_forwarding/{row.id}"
        return {"port_forwarding": views.show(job.tx, FORWARDING, row, who)}


def _forwarding(tx: Reader, who: Who, call: NetworkCall) -> tuple[FloatingRow, ForwardingRow]:
    floating = listing_store.seen(tx, FLOATING_IP, who, call.params["id"])
    if floating is None:
        FLOATING_IP.lost(call.params["id"])
    row = FORWARDINGS.find(tx, id=call.params["forwarding"], floating_id=floating.id)
    if row is None:
        FORWARDING.lost(call.params["forwarding"])
    return floating, row


@routes.add("GET", FORWARDS, "network:list_port_forwardings", target=target_of(FLOATING_IP))
def list_port_forwardings(call: NetworkCall) -> Any:
    """The forwardings of a floating IP. Networking API v2.0, "List floating IP port forwardings"."""
    who, want = Who.of(call.who), listing_store.asked(call.query)
    with call.services.core.desk.db.read() as tx:
        floating = listing_store.seen(tx, FLOATING_IP, who, call.params["id"])
        if floating is None:
            FLOATING_IP.lost(call.params["id"])
        rows = listing_store.page(tx, FORWARDING, who, want, {"floating_id": floating.id})
        shown = views.many(tx, FORWARDING, rows, who)
    answer: dict[str, Any] = {"port_forwardings": [views.chosen(one, want.fields) for one in shown]}
    if links := page_links(call, want, [row.id for row in rows]):
        answer["port_forwardings_links"] = links
    return answer


@routes.add("GET", FORWARDS + "/{forwarding}", "network:get_port_forwarding", target=target_of(FLOATING_IP))
def get_port_forwarding(call: NetworkCall) -> Any:
    """One forwarding. Networking API v2.0, "Show port forwarding"."""
    who = Who.of(call.who)
    with call.services.core.desk.db.read() as tx:
        shown = views.show(tx, FORWARDING, _forwarding(tx, who, call)[1], who)
    return {"port_forwarding": views.chosen(shown, call.query.all("fields"))}


@routes.add("PUT", FORWARDS + "/{forwarding}", "network:update_port_forwarding", body=Body,
            target=target_of(FLOATING_IP))  # fmt: skip
def update_port_forwarding(call: NetworkCall, body: Body) -> Any:
    """Change a forwarding. Networking API v2.0, "Update a port forwarding"."""
    who = Who.of(call.who)
    with call.services.core.job(call, f"port_forwarding/{call.params['forwarding']}") as job:
        job.owned(FLOATING_IP, call.params["id"])
        floating, row = _forwarding(job.tx, who, call)
        values = changed(FORWARDING, item(body, "port_forwarding"), who)
        new = floatingips.forward(job, floating, values, row)
        return {"port_forwarding": views.show(job.tx, FORWARDING, new, who)}


@routes.add("DELETE", FORWARDS + "/{forwarding}", "network:delete_port_forwarding", status=204,
            target=target_of(FLOATING_IP))  # fmt: skip
def delete_port_forwarding(call: NetworkCall) -> None:
    """End a forwarding. Networking API v2.0, "Delete a floating IP port forwarding"."""
    with call.services.core.job(call, f"port_forwarding/{call.params['forwarding']}") as job:
        job.owned(FLOATING_IP, call.params["id"])
        floatingips.unforward(job, *_forwarding(job.tx, Who.of(call.who), call))


UNTOUCHED = frozenset(
    f"network:{name}" for name in (
        "list_versions", "list_resources", "list_extensions", "get_extension", "list_availability_zones",
        "list_service_providers", "get_default_quota", "list_agents", "get_agent",
        "list_default_security_group_rules", "get_default_security_group_rule",
    )
)  # fmt: skip
"""Reads that show nothing of any tenant and leave no event."""
PREFIX = "/network"


def mount(service: Networks) -> Mount:
    """Neutron under /network."""
    return Mount(PREFIX, "network", routes, service, DIALECT, untouched=lambda call: call.action in UNTOUCHED)

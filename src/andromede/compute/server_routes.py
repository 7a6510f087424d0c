"""Servers (Compute API, "Servers"): create, list, show, update, delete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from andromede.compute import server_bodies, server_store
from andromede.compute.checks import Fields
from andromede.compute.core import is_admin, own_project, project_of, version
from andromede.compute.listing import page, refs, with_links
from andromede.compute.model import Server
from andromede.compute.server_search import Filters
from andromede.compute.server_views import Context, brief, whole
from andromede.compute.service import Compute
from andromede.web.call import Call, Reply
from andromede.web.routes import Routes, Target

routes: Routes[Compute] = Routes()
ComputeCall = Call[Compute]
Body = dict[str, Any]
PATH = "/v2.1/servers"
LETTERS = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKMNPQRSTUVWXYZ23456789"


def found(call: ComputeCall, deleted: bool = False) -> Server:
    """The server of the path, which a stranger does not find."""
    whose = None if is_admin(call) else project_of(call)
    return call.services.servers.find(call.params["server_id"], whose, deleted)


def server_target(call: ComputeCall, body: Any) -> Target:
    """The server of the path, for access rules."""
    server = found(call)
    return Target(project_id=server.project_id, user_id=server.user_id)


def context(call: ComputeCall, servers: Sequence[Server]) -> Context:
    """What views of these servers need, looked up at once."""
    compute = call.services
    ids = [server.id for server in servers]
    hosts = {host.name: compute.hosts.is_up(host) for host in compute.hosts.listed()}
    zones = {host.name: zone for zone, listed in compute.hosts.zones().items() for host in listed}
    asked = version(call)
    return Context(
        call, asked, server_store.devices(compute.core.desk.db, ids),
        compute.servers.tags(ids) if asked >= (2, 26) else {}, compute.core.networks.addresses(ids),
        compute.core.networks.group_names(ids), zones, hosts,
    )  # fmt: skip


def shown(call: ComputeCall, server: Server, where: str = "s") -> Body:
    """One server."""
    return whole(context(call, [server]), server, is_admin(call), where)


def _listed(call: ComputeCall) -> tuple[list[Server], list[Any]]:
    filters = Filters(call)
    rows = [row for row in call.services.servers.search(filters.search()) if filters.fits(row)]
    if filters.wants_addresses():
        known = call.services.core.networks.addresses([row.id for row in rows])
        rows = [row for row in rows if filters.fits_addresses(known.get(row.id, ()))]
    return page(call, rows, ("servers", "server"))


@routes.add("GET", PATH, "compute:list_servers", target=own_project)
def list_servers(call: ComputeCall) -> Body:
    """Servers by id and name."""
    rows, links = _listed(call)
    return with_links({"servers": [brief(call, server) for server in rows]}, "servers_links", links)


@routes.add("GET", PATH + "/detail", "compute:list_servers", target=own_project)
def list_servers_detail(call: ComputeCall) -> Body:
    """Servers wholly."""
    rows, links = _listed(call)
    ctx, admin = context(call, rows), is_admin(call)
    return with_links({"servers": [whole(ctx, server, admin, "d") for server in rows]}, "servers_links", links)


@routes.add("GET", PATH + "/{server_id}", "compute:show_server", target=server_target)
def show_server(call: ComputeCall) -> Body:
    """One server."""
    return {"server": shown(call, found(call))}


def password(call: ComputeCall) -> str:
    """A password of 12 letters and digits for the guest's administrator."""
    return "".join(LETTERS[byte % len(LETTERS)] for byte in call.services.core.desk.ids.secret(12))


@routes.add("POST", PATH, "compute:create_server", body=Body, target=own_project, status=202)
def create_server(call: ComputeCall, body: Body) -> Reply:
    """Accept a server, or several; workers make them."""
    wish = server_bodies.parse(body, version(call))
    secret = wish.admin_pass or password(call)
    plan = call.services.plan(call, wish)
    made = call.services.servers.create(call, plan)
    if wish.reservation:
        return Reply({"reservation_id": made[0].reservation_id})
    server = made[0]
    links = refs(call, f"servers/{server.id}")
    view = {
        "id": server.id,
        "links": links,
        "OS-DCF:diskConfig": server.disk_config,
        "adminPass": secret,
        "security_groups": [{"name": name} for name in wish.groups or ("default",)],
    }
    return Reply({"server": view}, headers=(("Location", links[0]["href"]),))


def changes_of(call: ComputeCall, fields: Fields) -> Body:
    """The columns that update and rebuild may change."""
    asked = version(call)
    found_: Body = {}
    if "name" in fields:
        found_["name"] = fields.name("name")
    if "accessIPv4" in fields:
        found_["access_ip_v4"] = fields.address("accessIPv4", 4) or ""
    if "accessIPv6" in fields:
        found_["access_ip_v6"] = fields.address("accessIPv6", 6) or ""
    if "OS-DCF:diskConfig" in fields:
        found_["disk_config"] = fields.choice("OS-DCF:diskConfig", "AUTO", "MANUAL")
    if asked >= (2, 19) and "description" in fields:
        found_["description"] = fields.text("description", 0, 255, null=True)
    return found_


@routes.add("PUT", PATH + "/{server_id}", "compute:update_server", body=Body, target=server_target)
def update_server(call: ComputeCall, body: Body) -> Body:
    """Change a server's name, description or access addresses."""
    fields = Fields.of(body, "server")
    described = ("description",) if version(call) >= (2, 19) else ()
    fields.only("name", "accessIPv4", "accessIPv6", "OS-DCF:diskConfig", *described)
    server = call.services.servers.change(call, found(call), **changes_of(call, fields))
    return {"server": shown(call, server, "u")}


@routes.add("DELETE", PATH + "/{server_id}", "compute:delete_server", target=server_target, status=204)
def delete_server(call: ComputeCall) -> None:
    """Wish a server away, whatever it does."""
    server = found(call)
    call.services.servers.check_unlocked(call, server)
    call.services.servers.delete(call, server)

"""What hangs on a server: metadata, tags, addresses, security groups, password, diagnostics, its history."""

from __future__ import annotations

from typing import Any

from andromede.compute.checks import Fields, item, items
from andromede.compute.core import fine, is_admin, version
from andromede.compute.engine import DISK_COUNTERS
from andromede.compute.listing import page, with_links
from andromede.compute.model import Action, ActionEvent, State
from andromede.compute.server_bodies import MOST_TAGS, tag, tags
from andromede.compute.server_routes import PATH, found, server_target
from andromede.compute.server_search import instant
from andromede.compute.server_views import addresses, host_id
from andromede.compute.service import Compute
from andromede.compute.states import view
from andromede.compute.tables import ACTIONS, EVENTS
from andromede.errors import Conflict, Invalid, NotFound
from andromede.web.call import Call, Reply
from andromede.web.routes import Routes, Target

routes: Routes[Compute] = Routes()
ComputeCall = Call[Compute]
Body = dict[str, Any]
ONE = PATH + "/{server_id}"

# --- metadata


@routes.add("GET", ONE + "/metadata", "compute:list_metadata", target=server_target)
def list_metadata(call: ComputeCall) -> Body:
    """A server's metadata."""
    return {"metadata": found(call).metadata}


@routes.add("POST", ONE + "/metadata", "compute:update_metadata", body=Body, target=server_target)
def merge_metadata(call: ComputeCall, body: Body) -> Body:
    """Add or change items."""
    return {"metadata": call.services.servers.set_metadata(call, found(call), items(body))}


@routes.add("PUT", ONE + "/metadata", "compute:update_metadata", body=Body, target=server_target)
def replace_metadata(call: ComputeCall, body: Body) -> Body:
    """Replace all items."""
    return {"metadata": call.services.servers.set_metadata(call, found(call), items(body), replace=True)}


@routes.add("GET", ONE + "/metadata/{key}", "compute:show_metadata", target=server_target)
def show_metadata(call: ComputeCall) -> Body:
    """One item."""
    had, key = found(call).metadata, call.params["key"]
    if key not in had:
        raise NotFound("Metadata item was not found", "metadata")
    return {"meta": {key: had[key]}}


@routes.add("PUT", ONE + "/metadata/{key}", "compute:update_metadata", body=Body, target=server_target)
def set_metadata(call: ComputeCall, body: Body) -> Body:
    """Set one item."""
    found_ = item(body, call.params["key"])
    call.services.servers.set_metadata(call, found(call), found_)
    return {"meta": found_}


@routes.add("DELETE", ONE + "/metadata/{key}", "compute:delete_metadata", target=server_target, status=204)
def delete_metadata(call: ComputeCall) -> None:
    """Drop one item."""
    call.services.servers.set_metadata(call, found(call), {}, drop=call.params["key"])


# --- tags

SINCE_TAGS = ((2, 26), None)


def _tags(call: ComputeCall) -> list[str]:
    return call.services.servers.tags([found(call).id]).get(call.params["server_id"], [])


def _settled(call: ComputeCall) -> None:
    server = found(call)
    if server.state == State.DELETING:
        raise Conflict(f"Cannot 'tag' instance {server.id} while it is in task_state deleting", "state")


@routes.add("GET", ONE + "/tags", "compute:list_tags", target=server_target, versions=SINCE_TAGS)
def list_tags(call: ComputeCall) -> Body:
    """A server's tags."""
    return {"tags": _tags(call)}


@routes.add("PUT", ONE + "/tags", "compute:update_tags", body=Body, target=server_target, versions=SINCE_TAGS)
def replace_tags(call: ComputeCall, body: Body) -> Body:
    """Replace all tags."""
    fields = Fields(body, "body")
    fields.only("tags")
    fields.need("tags")
    names = tags(body["tags"])
    _settled(call)
    call.services.servers.set_tags(call, found(call), names)
    return {"tags": _tags(call)}


@routes.add("DELETE", ONE + "/tags", "compute:delete_tags", target=server_target, status=204, versions=SINCE_TAGS)
def delete_tags(call: ComputeCall) -> None:
    """Drop all tags."""
    call.services.servers.set_tags(call, found(call), ())


@routes.add("GET", ONE + "/tags/{tag}", "compute:show_tag", target=server_target, status=204, versions=SINCE_TAGS)
def show_tag(call: ComputeCall) -> None:
    """204 when the server has the tag."""
    if call.params["tag"] not in _tags(call):
        raise NotFound(f"Server {call.params['server_id']} has no tag '{call.params['tag']}'", "tag")


@routes.add("PUT", ONE + "/tags/{tag}", "compute:update_tags", target=server_target, versions=SINCE_TAGS)
def add_tag(call: ComputeCall) -> Reply:
    """Add one tag: 201, or 204 when it was there."""
    name, had = tag(call.params["tag"]), _tags(call)
    if name in had:
        return Reply(None, 204)
    if len(had) >= MOST_TAGS:
        raise Invalid(f"The number of tags exceeded the per-server limit {MOST_TAGS}", "tag")
    _settled(call)
    call.services.servers.set_tags(call, found(call), [*had, name])
    place = f"{call.base}{PATH}/{call.params['server_id']}/tags/{name}"
    return Reply(None, 201, (("Location", place),))


@routes.add("DELETE", ONE + "/tags/{tag}", "compute:delete_tags", target=server_target, status=204, versions=SINCE_TAGS)
def delete_tag(call: ComputeCall) -> None:
    """Drop one tag."""
    name, had = call.params["tag"], _tags(call)
    if name not in had:
        raise NotFound(f"Server {call.params['server_id']} has no tag '{name}'", "tag")
    call.services.servers.set_tags(call, found(call), [word for word in had if word != name])


# --- addresses, groups, password


def _addresses(call: ComputeCall) -> dict[str, list[Body]]:
    server = found(call)
    return addresses(call.services.core.networks.addresses([server.id]).get(server.id, ()), False)


@routes.add("GET", ONE + "/ips", "compute:show_addresses", target=server_target)
def list_addresses(call: ComputeCall) -> Body:
    """A server's addresses by network."""
    return {"addresses": _addresses(call)}


@routes.add("GET", ONE + "/ips/{network}", "compute:show_addresses", target=server_target)
def show_addresses(call: ComputeCall) -> Body:
    """Those on one network."""
    listed, name = _addresses(call), call.params["network"]
    if name not in listed:
        raise NotFound(f"Network {name} is not associated with instance {call.params['server_id']}.", "network")
    return {name: listed[name]}


@routes.add("GET", ONE + "/os-security-groups", "compute:list_server_groups_of", target=server_target)
def list_groups(call: ComputeCall) -> Body:
    """The security groups of a server's ports."""
    from andromede.compute.proxy_views import security_group

    groups = call.services.core.networks.groups_of(found(call).id)
    return {"security_groups": [security_group(group) for group in groups]}


@routes.add("GET", ONE + "/os-server-password", "compute:show_password", target=server_target)
def show_password(call: ComputeCall) -> Body:
    """What the guest left for its owner at the metadata service."""
    return {"password": found(call).guest_password}


@routes.add("DELETE", ONE + "/os-server-password", "compute:delete_password", target=server_target, status=204)
def delete_password(call: ComputeCall) -> None:
    """Forget it, and the password of the documents that the guest reads."""
    call.services.servers.change(call, found(call), admin_pass="", guest_password="")


# --- diagnostics

_POWER = {0: "pending", 1: "running", 3: "paused", 4: "shutdown", 6: "crashed", 7: "suspended"}
_NIC = ("rx_octets", "rx_errors", "rx_drop", "rx_packets", "tx_octets", "tx_errors", "tx_drop", "tx_packets")


@routes.add("GET", ONE + "/diagnostics", "compute:show_diagnostics", target=server_target)
def show_diagnostics(call: ComputeCall) -> Body:
    """Counters of a running guest."""
    server = found(call)
    if server.state not in (State.ACTIVE, State.PAUSED, State.RESCUED, State.VERIFY_RESIZE):
        raise Conflict(
            f"Cannot 'get_diagnostics' instance {server.id} while it is in vm_state {view(server).vm_state}", "state"
        )
    figures = call.services.core.views.figures(server.id)
    macs = {row.port_id: row.mac for row in call.services.attaching.devices(server, "nic")}
    if version(call) < (2, 48):
        flat: Body = {f"cpu{n}_time": time for n, time in enumerate(figures.cpu_ns)}
        flat |= {"memory": figures.memory_mb * 1024}
        for name, disk in figures.disks.items():
            flat |= {f"{name}_{key}": value for key, value in disk.items()}
        for name, nic in figures.nics.items():
            flat |= {f"{name}_{key}": value for key, value in nic.items()}
        return flat
    nics = [
        {
            "mac_address": macs.get(name), "rx_rate": None, "tx_rate": None,
            **{key: nic.get(key) for key in _NIC},
        }
        for name, nic in figures.nics.items()
    ]  # fmt: skip
    return {
        "state": _POWER[view(server).power_state],
        "driver": "libvirt",
        "hypervisor": "qemu",
        "hypervisor_os": "linux",
        "uptime": figures.uptime_seconds,
        "config_drive": server.config_drive,
        "num_cpus": len(figures.cpu_ns),
        "num_nics": len(nics),
        "num_disks": len(figures.disks),
        "memory_details": {"maximum": figures.memory_mb, "used": figures.memory_used_mb},
        "cpu_details": [{"id": n, "time": t, "utilisation": None} for n, t in enumerate(figures.cpu_ns)],
        "nic_details": nics,
        "disk_details": [{key: disk.get(key) for key in DISK_COUNTERS} for disk in figures.disks.values()],
    }


# --- history


def _action(call: ComputeCall, action: Action) -> Body:
    body = {
        "action": action.action,
        "instance_uuid": action.server_id,
        "request_id": action.request_id,
        "user_id": action.user_id,
        "project_id": action.project_id,
        "start_time": fine(action.start_us),
        "message": action.message or None,
    }
    return {**body, "updated_at": fine(action.updated_us)} if version(call) >= (2, 58) else body


def _event(call: ComputeCall, event: ActionEvent, project: str) -> Body:
    admin, asked = is_admin(call), version(call)
    body: Body = {
        "event": event.event,
        "start_time": fine(event.start_us),
        "finish_time": fine(event.finish_us),
        "result": event.result or None,
    }
    if admin or asked < (2, 51):
        body["traceback"] = (event.detail or None) if admin else None
    if asked >= (2, 62):
        body["hostId"] = host_id_of(event.host, project)
        if admin:
            body["host"] = event.host
    return body


def host_id_of(host: str, project: str) -> str:
    """A host's name as a tenant sees it."""
    from andromede.compute.model import Server

    return host_id(Server(id="", project_id=project, user_id="", name="", state="", since_us=0, host=host))


def history_target(call: ComputeCall, body: Any) -> Target:
    """The server of the path, deleted ones from 2.21 on."""
    server = found(call, version(call) >= (2, 21))
    return Target(project_id=server.project_id, user_id=server.user_id)


@routes.add("GET", ONE + "/os-instance-actions", "compute:list_actions", target=history_target)
def list_actions(call: ComputeCall) -> Body:
    """What was wished of a server, the newest first."""
    server = found(call, version(call) >= (2, 21))
    rows = ACTIONS.select(call.services.core.desk.db, {"server_id": server.id})[::-1]
    if version(call) < (2, 58):
        return {"instanceActions": [_action(call, row) for row in rows]}
    since = call.query.get("changes-since")
    if since is not None:
        rows = [row for row in rows if row.updated_us >= instant(since, "changes-since")]
    chosen, links = page(call, rows, ("links", "instance action"), "request_id")
    return with_links({"instanceActions": [_action(call, row) for row in chosen]}, "links", links)


@routes.add("GET", ONE + "/os-instance-actions/{request_id}", "compute:show_action", target=history_target)
def show_action(call: ComputeCall) -> Body:
    """One wish, with what workers did for it."""
    server, db = found(call, version(call) >= (2, 21)), call.services.core.desk.db
    where = {"server_id": server.id, "request_id": call.params["request_id"]}
    action = ACTIONS.find(db, **where)
    if action is None:
        raise NotFound(f"Action for request_id {where['request_id']} on instance {server.id} not found", "action")
    body = _action(call, action)
    if is_admin(call) or version(call) >= (2, 51):
        body["events"] = [_event(call, row, server.project_id) for row in EVENTS.select(db, where)[::-1]]
    return {"instanceAction": body}


# --- migrations of one host

ON_ONE_HOST = "In-progress live migration {0} is not found for server {1}."


@routes.add("GET", ONE + "/migrations", "compute:list_migrations_of", target=server_target, versions=((2, 23), None))
def list_migrations(call: ComputeCall) -> Body:
    """Migrations under way: none on one host."""
    return {"migrations": []}


@routes.add(
    "GET", ONE + "/migrations/{migration}", "compute:show_migration_of", target=server_target,
    versions=((2, 23), None),
)  # fmt: skip
def show_migration(call: ComputeCall) -> Body:
    """One of them."""
    raise NotFound(ON_ONE_HOST.format(call.params["migration"], call.params["server_id"]), "migration")


@routes.add(
    "DELETE", ONE + "/migrations/{migration}", "compute:change_migration_of", target=server_target,
    versions=((2, 24), None), status=202,
)  # fmt: skip
def abort_migration(call: ComputeCall) -> None:
    """Abort one."""
    show_migration(call)


@routes.add(
    "POST", ONE + "/migrations/{migration}/action", "compute:change_migration_of", body=Body, target=server_target,
    versions=((2, 22), None), status=202,
)  # fmt: skip
def force_migration(call: ComputeCall, body: Body) -> None:
    """Force one to complete."""
    Fields(body, "body").only("force_complete")
    show_migration(call)

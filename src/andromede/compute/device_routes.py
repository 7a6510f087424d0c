"""Volumes and ports of servers, and their consoles (Compute API, "Servers with volume attachments", "Port
interfaces", "Server consoles")."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from andromede.compute.attaching import NewDisk
from andromede.compute.checks import Fields, refuse
from andromede.compute.core import version
from andromede.compute.listing import limit
from andromede.compute.model import Device, DeviceState
from andromede.compute.neighbours import PortFacts
from andromede.compute.server_bodies import tag
from andromede.compute.server_routes import PATH, found, server_target
from andromede.compute.service import Compute
from andromede.errors import Conflict, Invalid, NotFound
from andromede.web.call import Call, Reply
from andromede.web.routes import Routes

routes: Routes[Compute] = Routes()
ComputeCall = Call[Compute]
Body = dict[str, Any]
ONE = PATH + "/{server_id}"
VOLUMES = ONE + "/os-volume_attachments"
PORTS = ONE + "/os-interface"


def _volume(call: ComputeCall, device: Device) -> Body:
    asked = version(call)
    body = {
        "id": device.volume_id,
        "volumeId": device.volume_id,
        "serverId": device.server_id,
        "device": device.device_name,
    }
    return {**body, "tag": device.tag or None} if asked >= (2, 70) else body


@routes.add("GET", VOLUMES, "compute:list_attachments", target=server_target)
def list_volumes(call: ComputeCall) -> Body:
    """The volumes of a server."""
    rows = [row for row in call.services.attaching.devices(found(call), "disk") if row.volume_id]
    start = call.integer("offset", 0, 10**9) or 0
    rows = rows[start : start + limit(call.query)]
    return {"volumeAttachments": [_volume(call, row) for row in rows]}


@routes.add("GET", VOLUMES + "/{volume_id}", "compute:show_attachment", target=server_target)
def show_volume(call: ComputeCall) -> Body:
    """One of them."""
    return {"volumeAttachment": _volume(call, call.services.attaching.volume(found(call), call.params["volume_id"]))}


@routes.add("POST", VOLUMES, "compute:create_attachment", body=Body, target=server_target)
def attach_volume(call: ComputeCall, body: Body) -> Body:
    """Attach a volume."""
    fields, asked = Fields.of(body, "volumeAttachment"), version(call)
    fields.only("volumeId", "device", *(("tag",) if asked >= (2, 49) else ()))
    fields.need("volumeId")
    name = fields.text("device", 0, 255, null=True) or ""
    if name and not name.startswith("/dev/"):
        if not name.isalnum():
            raise refuse("device", name, "It is not the name of a device, such as /dev/vdb.")
        name = f"/dev/{name}"
    if any(sign.isspace() for sign in name):
        raise refuse("device", name, "It must not hold blanks.")
    label = tag(fields.get("tag")) if fields.get("tag") is not None else ""
    server = found(call)
    call.services.servers.check_unlocked(call, server)
    new = NewDisk(fields.uuid("volumeId") or "", name, label)
    return {"volumeAttachment": _volume(call, call.services.attaching.attach_volume(call, server, new))}


@routes.add("PUT", VOLUMES + "/{volume_id}", "compute:update_attachment", body=Body, target=server_target, status=202)
def swap_volume(call: ComputeCall, body: Body) -> None:
    """Exchange an attached volume for another: what only a migration of a volume between backends may do, and there is
    one backend here."""
    fields = Fields.of(body, "volumeAttachment")
    fields.only("volumeId")
    fields.need("volumeId")
    fields.uuid("volumeId")
    device = call.services.attaching.volume(found(call), call.params["volume_id"])
    raise Conflict(
        f"volume {device.volume_id} is not migrating this api should only be called by Cinder; detach it, copy it and "
        "attach the copy.",
        "volume",
    )


@routes.add("DELETE", VOLUMES + "/{volume_id}", "compute:delete_attachment", target=server_target, status=202)
def detach_volume(call: ComputeCall) -> None:
    """Detach a volume."""
    server = found(call)
    call.services.servers.check_unlocked(call, server)
    call.services.attaching.detach_volume(call, server, call.params["volume_id"])


# --- ports


def _port(port: PortFacts) -> Body:
    return {
        "port_id": port.id,
        "net_id": port.network_id,
        "mac_addr": port.mac,
        "port_state": port.status,
        "fixed_ips": [{"subnet_id": subnet, "ip_address": address} for subnet, address in port.fixed_ips],
    }


def _tagged(call: ComputeCall, body: Body, label: str) -> Body:
    return {**body, "tag": label or None} if version(call) >= (2, 70) else body


@routes.add("GET", PORTS, "compute:list_interfaces", target=server_target)
def list_ports(call: ComputeCall) -> Body:
    """The ports of a server."""
    ports = _ports(call)
    return {"interfaceAttachments": [_tagged(call, _port(port), label) for port, label in ports]}


def _ports(call: ComputeCall) -> list[tuple[PortFacts, str]]:
    """(port, its tag) of the server, also of ports that are only just being plugged in."""
    server, networks = found(call), call.services.core.networks
    rows = call.services.attaching.devices(server, "nic")
    labels, ports = {row.port_id: row.tag for row in rows}, list(networks.ports_of(server.id))
    bound = {port.id for port in ports}
    for row in rows:
        if row.state == DeviceState.ATTACHING and row.port_id and row.port_id not in bound:
            with suppress(NotFound):
                ports.append(networks.port(row.port_id, server.project_id))
    return [(port, labels.get(port.id, "")) for port in ports]


@routes.add("GET", PORTS + "/{port_id}", "compute:show_interface", target=server_target)
def show_port(call: ComputeCall) -> Body:
    """One of them."""
    for port, label in _ports(call):
        if port.id == call.params["port_id"]:
            return {"interfaceAttachment": _tagged(call, _port(port), label)}
    raise NotFound(
        f"Instance {call.params['server_id']} does not have a port with id {call.params['port_id']}", "port"
    )  # fmt: skip


@routes.add("POST", PORTS, "compute:create_interface", body=Body, target=server_target)
def attach_port(call: ComputeCall, body: Body) -> Body:
    """Plug a port in, or a new port on a network."""
    fields, asked = Fields.of(body, "interfaceAttachment"), version(call)
    fields.only("port_id", "net_id", "fixed_ips", *(("tag",) if asked >= (2, 49) else ()))
    port = fields.uuid("port_id") or ""
    network = fields.uuid("net_id") or ""
    listed = fields.objects("fixed_ips", 1)
    address = ""
    for item in listed:
        item.only("ip_address")
        item.need("ip_address")
        text = item.text("ip_address", 1, 64) or ""
        address = item.address("ip_address", 6 if ":" in text else 4) or ""
    if port and network:
        raise Invalid("Must not input both network_id and port_id", "port")
    if address and not network:
        raise Invalid("Must input network_id when request IP address", "port")
    label = tag(fields.get("tag")) if fields.get("tag") is not None else ""
    server = found(call)
    call.services.servers.check_unlocked(call, server)
    made = call.services.attaching.attach_port(call, server, (port, network, address), label)
    return {"interfaceAttachment": _tagged(call, _port(made), label)}


@routes.add("DELETE", PORTS + "/{port_id}", "compute:delete_interface", target=server_target, status=202)
def detach_port(call: ComputeCall) -> None:
    """Unplug a port."""
    server = found(call)
    call.services.servers.check_unlocked(call, server)
    call.services.attaching.detach_port(call, server, call.params["port_id"])


# --- consoles

PROTOCOLS = {"vnc": ("novnc", "xvpvnc"), "serial": ("serial",), "spice": ("spice-html5",), "rdp": ("rdp-html5",)}


@routes.add(
    "POST", ONE + "/remote-consoles", "compute:open_console", body=Body, target=server_target, versions=((2, 6), None)
)
def open_console(call: ComputeCall, body: Body) -> Body:
    """A URL for one look at a console."""
    fields = Fields.of(body, "remote_console")
    fields.only("protocol", "type")
    fields.need("protocol", "type")
    protocols = {**PROTOCOLS, **({"mks": ("webmks",)} if version(call) >= (2, 8) else {})}
    protocol = fields.choice("protocol", *protocols) or ""
    kind = fields.choice("type", *(word for words in protocols.values() for word in words)) or ""
    if kind not in protocols[protocol]:
        raise refuse("type", kind, f"It does not go with the protocol {protocol}.")
    url = call.services.consoles.open(call, found(call), kind)
    return {"remote_console": {"protocol": protocol, "type": kind, "url": url}}


@routes.add("GET", "/v2.1/os-console-auth-tokens/{token}", "compute:show_console_token")
def show_token(call: ComputeCall) -> Reply:
    """Where the console of a token is, for relays of operators."""
    if version(call) < (2, 31):
        raise Invalid("The requested console type details are not accessible", "console")
    found_ = call.services.consoles.look(call.params["token"])
    server = call.services.servers.find(found_.server_id, None)
    place = {"instance_uuid": server.id, "host": server.host, "port": 0, "internal_access_path": None}
    return Reply({"console": place})

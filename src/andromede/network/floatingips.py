"""Rules of floating IPs and their port forwardings (Networking API v2.0, "Floating IPs", "Floating IPs port
forwarding")."""

from __future__ import annotations

from typing import Any

from andromede.errors import NotFound
from andromede.network import floating_store, links_store, ports
from andromede.network.core import Job
from andromede.network.faults import bad, clash, forbidden
from andromede.network.model import FloatingRow, ForwardingRow, NetworkRow, PortRow
from andromede.network.shapes import FLOATING as OWNER
from andromede.network.shapes import NETWORK, PORT
from andromede.network.shapes_more import FLOATING_IP, FORWARDING
from andromede.network.tables import ADDRESSES, FLOATING, FORWARDINGS, PORTS


def create(job: Job, values: dict[str, Any]) -> FloatingRow:
    """A new floating IP: any free address, one of a subnet, or a certain one."""
    network: NetworkRow = job.seen(NETWORK, values["floating_network_id"])
    if not network.external:
        bad(f"Network {network.id} is not a valid external network", "BadRequest")
    subnet_id, address = values.pop("subnet_id"), values.pop("floating_ip_address")
    if address and not job.who.admin:
        forbidden("create_floatingip:floating_ip_address")
    asked = None
    if subnet_id or address:
        one = {"subnet_id": subnet_id, "ip_address": address}
        asked = [{name: value for name, value in one.items() if value}]
    port_id, fixed = values.pop("port_id"), values.pop("fixed_ip_address")
    if fixed and not port_id:
        bad("fixed_ip_address cannot be specified without a port_id", "BadRequest")
    own = ports.internal(job, network, OWNER, "PENDING", asked, "")
    held = [one for one in ADDRESSES.select(job.tx, {"port_id": own.id}) if ":" not in one.address]
    if not held:
        clash(f"No more IP addresses available on network {network.id}.", "IpAddressGenerationFailure")
    row: FloatingRow = job.insert(
        FLOATING_IP, values, name="", address=held[0].address, own_port=own.id, port_id="", fixed_ip="", router_id="",
        status="DOWN", generation=0,
    )  # fmt: skip
    PORTS.update(job.tx, {"id": own.id}, device_id=row.id)
    job.concern(row.project_id)
    return _associate(job, row, port_id, fixed) if port_id else row


def update(job: Job, row: FloatingRow, values: dict[str, Any]) -> FloatingRow:
    """Associate with another port or none, or describe."""
    port_id, fixed = values.pop("port_id", None), values.pop("fixed_ip_address", None)
    if port_id is None and fixed is not None:
        port_id = row.port_id
    if port_id is not None:
        if FORWARDINGS.find(job.tx, floating_id=row.id):
            clash(f"Floating IP {row.address} has port forwardings and cannot be associated.",
                  "FloatingIPPortForwardingInUse")  # fmt: skip
        row = _associate(job, row, port_id, fixed or "") if port_id else _free(job, row)
    new: FloatingRow = job.update(FLOATING_IP, row, **values)
    return new


def _free(job: Job, row: FloatingRow) -> FloatingRow:
    job.touch(row.router_id)
    new: FloatingRow = job.update(FLOATING_IP, row, port_id="", fixed_ip="", router_id="", status="DOWN")
    return new


def _internal(job: Job, row: FloatingRow, port_id: str, fixed: str) -> tuple[PortRow, str, str]:
    """The port, its address and the router for a floating IP. Raises `NotFound` where no router reaches both."""
    port: PortRow = job.seen(PORT, port_id)
    if not job.who.admin and port.project_id != job.who.project_id:
        forbidden("update_floatingip:port_id")
    held = [one for one in ADDRESSES.select(job.tx, {"port_id": port.id}) if ":" not in one.address]
    if fixed:
        held = [one for one in held if one.address == fixed]
    if not held:
        what = f"does not have fixed ip {fixed}" if fixed else "does not have any IPv4 addresses"
        bad(f"Cannot add floating IP: Port {port.id} {what}", "BadRequest")
    if len(held) > 1:
        bad(f"Port {port.id} has multiple fixed IPv4 addresses.  Must provide a specific IPv4 address when assigning a "
            "floating IP", "BadRequest")  # fmt: skip
    routers = floating_store.gateways_reaching(job.tx, row.floating_network_id, held[0].subnet_id)
    if not routers:
        raise NotFound(
            f"External network {row.floating_network_id} is not reachable from subnet {held[0].subnet_id}.  Therefore, "
            f"cannot associate Port {port.id} with a Floating IP.", "ExternalGatewayForFloatingIPNotFound",
        )  # fmt: skip
    return port, held[0].address, routers[0]


def _associate(job: Job, row: FloatingRow, port_id: str, fixed: str) -> FloatingRow:
    port, address, router = _internal(job, row, port_id, fixed)
    for other in FLOATING.select(job.tx, {"port_id": port.id, "fixed_ip": address}):
        if other.id != row.id:
            clash(f"Cannot associate floating IP {row.address} ({row.id}) with port {port.id} using fixed IP "
                  f"{address}, as that fixed IP has a floating IP already: {other.id}.",
                  "FloatingIPPortAlreadyAssociated")  # fmt: skip
    job.touch(row.router_id, router)
    new: FloatingRow = job.update(
        FLOATING_IP, row, port_id=port.id, fixed_ip=address, router_id=router, status="DOWN",
        generation=job.generation(router),
    )  # fmt: skip
    return new


def delete(job: Job, row: FloatingRow) -> None:
    """Give an address back."""
    job.touch(row.router_id)
    FORWARDINGS.remove(job.tx, floating_id=row.id)
    links_store.untag(job.tx, row.id)
    FLOATING.remove(job.tx, id=row.id)
    port = PORTS.find(job.tx, id=row.own_port)
    if port is not None:
        ports.erase(job, port)


def _range(values: dict[str, Any], side: str) -> tuple[int, int] | None:
    one, text = values.get(f"{side}_port"), values.get(f"{side}_port_range")
    if one and text:
        bad(f"{side}_port and {side}_port_range cannot be given together", "HTTPBadRequest")
    if not text:
        return (one, one) if one else None
    low, colon, high = str(text).partition(":")
    high = high if colon else low
    digits = f"{low}{high}".isascii() and low.isdigit() and high.isdigit()
    if not (digits and 1 <= int(low) <= int(high) <= 65535):
        bad(f"Invalid input for {side}_port_range. Reason: '{text}' is no range of ports.")
    return int(low), int(high)


def forward(job: Job, floating: FloatingRow, values: dict[str, Any], old: ForwardingRow | None = None) -> ForwardingRow:
    """Forward ports of a floating IP that stands for no port as a whole; a new forwarding, or `old` changed."""
    if floating.port_id:
        bad(f"Floating IP {floating.id} is associated with a port and cannot forward ports", "FipInUseByPort")
    outer = _range(values, "external") or ((old.outer_first, old.outer_last) if old else None)
    inner = _range(values, "internal") or ((old.inner_first, old.inner_last) if old else None)
    if outer is None or inner is None:
        bad("internal_port and external_port, or their ranges, must be given", "HTTPBadRequest")
    if inner[1] - inner[0] != outer[1] - outer[0]:
        bad("the internal range must be as long as the external one", "HTTPBadRequest")
    port_id = values.get("internal_port_id") or (old.port_id if old else "")
    fixed = values.get("internal_ip_address") or (old.address if old and old.port_id == port_id else "")
    port, address, router = _internal(job, floating, port_id, fixed)
    protocol = values.get("protocol") or (old.protocol if old else "tcp")
    for other in FORWARDINGS.select(job.tx, {"floating_id": floating.id, "protocol": protocol}):
        if (old is None or other.id != old.id) and other.outer_first <= outer[1] and outer[0] <= other.outer_last:
            bad(f"A duplicate port forwarding entry with same attributes already exists: {other.id}",
                "HTTPBadRequest")  # fmt: skip
    if floating.router_id not in ("", router):
        bad(f"Floating IP {floating.id} forwards ports through another router", "HTTPBadRequest")
    fields = {
        "port_id": port.id, "address": address, "protocol": protocol, "outer_first": outer[0], "outer_last": outer[1],
        "inner_first": inner[0], "inner_last": inner[1],
        "description": values.get("description", old.description if old else ""),
    }  # fmt: skip
    job.touch(router)
    job.update(FLOATING_IP, floating, router_id=router, generation=job.generation(router))
    if old is not None:
        changed: ForwardingRow = job.update(FORWARDING, old, **fields)
        return changed
    made: ForwardingRow = job.insert(FORWARDING, {"project_id": floating.project_id}, floating_id=floating.id, **fields)
    return made


def unforward(job: Job, floating: FloatingRow, row: ForwardingRow) -> None:
    """End a forwarding; with the last one the floating IP is free."""
    job.touch(floating.router_id)
    FORWARDINGS.remove(job.tx, id=row.id)
    if not FORWARDINGS.find(job.tx, floating_id=floating.id):
        job.update(FLOATING_IP, floating, router_id="", status="DOWN")

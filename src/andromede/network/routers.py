"""Rules of routers (Networking API v2.0, "Routers")."""

from __future__ import annotations

import ipaddress
from typing import Any

from andromede.errors import NotFound
from andromede.network import addressing, floating_store, kinds, links_store, ports, work_store
from andromede.network.core import Job
from andromede.network.faults import bad, clash, forbidden, missing
from andromede.network.model import AddressRow, NetworkRow, PortRow, RouterRow, SubnetRow
from andromede.network.shapes import FIXED, GATEWAY, NETWORK, PORT, SUBNET
from andromede.network.shapes import ROUTER as LEG
from andromede.network.shapes_more import ROUTER
from andromede.network.tables import ADDRESSES, FLOATING, NETWORKS, PORTS, ROUTERS, SUBNETS

INFO = kinds.record(
    {"network_id": kinds.object_id},
    {"enable_snat": kinds.boolean, "external_fixed_ips": kinds.or_none(kinds.listing(FIXED, 20), None)},
)


def create(job: Job, values: dict[str, Any]) -> RouterRow:
    """A new router, with its part."""
    if values["distributed"] or values["ha"]:
        bad("routers of this installation are neither distributed nor highly available", "InvalidInput")
    info = values.pop("external_gateway_info")
    extra = {"status": "BUILD", "gateway_network": "", "gateway_port": "", "enable_snat": True, "fault": ""}
    row: RouterRow = job.insert(ROUTER, values | {"routes": []}, **extra)
    work_store.add(job.tx, row.id, row.project_id, "router", job.now_us)
    row = _gateway(job, row, info)
    if values["routes"]:
        row = job.update(ROUTER, row, routes=_routes(job, row, values["routes"]))
    job.touch(row.id)
    job.concern(row.project_id)
    return row


def update(job: Job, row: RouterRow, values: dict[str, Any]) -> RouterRow:
    """Change a router."""
    if values.pop("distributed", False) or values.pop("ha", False):
        bad("routers of this installation are neither distributed nor highly available", "InvalidInput")
    new: RouterRow = row
    if "external_gateway_info" in values:
        new = _gateway(job, new, values.pop("external_gateway_info"))
    if "routes" in values:
        values["routes"] = _routes(job, new, values["routes"])
    new = job.update(ROUTER, new, **values)
    job.touch(row.id)
    return new


def _gateway(job: Job, row: RouterRow, info: Any) -> RouterRow:
    """Set, change or clear the way outside."""
    if not info:
        return _closed(job, row)
    given = INFO("external_gateway_info", info)
    fixed = given.get("external_fixed_ips")
    snat = given.get("enable_snat", True)
    if not job.who.admin and ("enable_snat" in given or fixed):
        forbidden(
            "update_router:external_gateway_info:" + ("enable_snat" if "enable_snat" in given else "external_fixed_ips")
        )
    network: NetworkRow = job.seen(NETWORK, given["network_id"])
    if not network.external:
        bad(f"Bad router request: Network {network.id} is not an external network.", "BadRequest")
    outer = SUBNETS.select(job.tx, {"network_id": network.id})
    for subnet in _connected(job, row):
        for other in outer:
            if addressing.overlap(subnet.cidr, other.cidr):
                bad(f"Bad router request: Cidr {other.cidr} of subnet {other.id} overlaps with cidr {subnet.cidr} of "
                    f"subnet {subnet.id}.", "BadRequest")  # fmt: skip
    if row.gateway_network == network.id and (fixed is None or _same(job, row, fixed)):
        return job.update(ROUTER, row, enable_snat=snat)  # type: ignore[no-any-return]
    row = _closed(job, row)
    asked = None if fixed is None else [_nonempty(one) for one in fixed]
    port = ports.internal(job, network, GATEWAY, row.id, asked, "")
    if not ADDRESSES.find(job.tx, port_id=port.id):
        bad(f"Bad router request: No IPs available for external network {network.id}.", "BadRequest")
    job.touch(row.id)
    return job.update(  # type: ignore[no-any-return]
        ROUTER, row, gateway_network=network.id, gateway_port=port.id, enable_snat=snat
    )


def _nonempty(one: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in one.items() if value}


def _same(job: Job, row: RouterRow, fixed: list[dict[str, str]]) -> bool:
    held = ADDRESSES.select(job.tx, {"port_id": row.gateway_port})
    return len(held) == len(fixed) and all(
        any(one.get("subnet_id", h.subnet_id) == h.subnet_id and one.get("ip_address", h.address) == h.address
            for h in held) for one in fixed
    )  # fmt: skip


def _closed(job: Job, row: RouterRow) -> RouterRow:
    if not row.gateway_network:
        return row
    if FLOATING.find(job.tx, router_id=row.id):
        clash(f"Gateway cannot be updated for router {row.id}, since a gateway to external network "
              f"{row.gateway_network} is required by one or more floating IPs.",
              "RouterExternalGatewayInUseByFloatingIp")  # fmt: skip
    port = PORTS.find(job.tx, id=row.gateway_port)
    new: RouterRow = job.update(ROUTER, row, gateway_network="", gateway_port="", enable_snat=True)
    if port is not None:
        ports.erase(job, port)
    return new


def _held(job: Job, row: RouterRow, **where: str) -> list[AddressRow]:
    """Addresses of the router's ports, or of some of them."""
    ports_of = PORTS.select(job.tx, {"device_id": row.id, **where})
    return ADDRESSES.select(job.tx, {"port_id": [port.id for port in ports_of]})


def _connected(job: Job, row: RouterRow) -> list[SubnetRow]:
    """Subnets that the router has a leg in."""
    return SUBNETS.select(job.tx, {"id": sorted({one.subnet_id for one in _held(job, row, device_owner=LEG)})})


def _routes(job: Job, row: RouterRow, given: list[dict[str, str]]) -> list[dict[str, str]]:
    """Routes whose next hops the router reaches."""
    nets = [addressing.network(one.cidr) for one in _connected(job, row)]
    if row.gateway_network:
        nets += [addressing.network(one.cidr) for one in SUBNETS.select(job.tx, {"network_id": row.gateway_network})]
    own = {one.address for one in _held(job, row)}
    for route in given:
        hop = ipaddress.ip_address(route["nexthop"])
        if not any(hop in net for net in nets):
            bad(f"Invalid format for routes: the nexthop {hop} is not connected with router {row.id}", "InvalidRoutes")
        if route["nexthop"] in own:
            bad(f"Invalid format for routes: the nexthop {hop} is used by router {row.id}", "InvalidRoutes")
        if hop.version != addressing.network(route["destination"]).version:
            bad(f"Invalid format for routes: {route} mixes IP versions", "InvalidRoutes")
    return given


def add_routes(job: Job, row: RouterRow, given: list[dict[str, str]]) -> RouterRow:
    """More routes; those that are there already stay once."""
    job.touch(row.id)
    merged = [*row.routes, *(route for route in given if route not in row.routes)]
    new: RouterRow = job.update(ROUTER, row, routes=_routes(job, row, merged))
    return new


def remove_routes(job: Job, row: RouterRow, given: list[dict[str, str]]) -> RouterRow:
    """Fewer routes; those that are not there are no error."""
    job.touch(row.id)
    new: RouterRow = job.update(ROUTER, row, routes=[route for route in row.routes if route not in given])
    return new


def delete(job: Job, row: RouterRow) -> None:
    """Remove a router without legs."""
    if PORTS.find(job.tx, device_id=row.id, device_owner=LEG):
        clash(f"Router {row.id} still has ports", "RouterInUse")
    _closed(job, row)
    links_store.untag(job.tx, row.id)
    ROUTERS.remove(job.tx, id=row.id)
    job.gone.add(row.id)


def _info(row: RouterRow, port: PortRow, subnets: list[str]) -> dict[str, Any]:
    return {
        "id": row.id, "tenant_id": row.project_id, "project_id": row.project_id, "port_id": port.id,
        "network_id": port.network_id, "subnet_id": subnets[0] if subnets else None, "subnet_ids": subnets, "tags": [],
    }  # fmt: skip


def add_interface(job: Job, row: RouterRow, body: dict[str, Any]) -> dict[str, Any]:
    """Give a router a leg: in a subnet, at its gateway address, or by a port that is there."""
    port_id, subnet_id = _either(body)
    if port_id and subnet_id:
        bad("Bad router request: Cannot specify both subnet-id and port-id.", "BadRequest")
    port = _by_port(job, row, port_id) if port_id else _by_subnet(job, row, subnet_id)
    subnets = [one.subnet_id for one in ADDRESSES.select(job.tx, {"port_id": port.id})]
    network = NETWORKS.find(job.tx, id=port.network_id)
    if network is not None:
        job.touch(network.id)
    _reach_changed(job, row)
    return _info(row, port, subnets)


def _either(body: dict[str, Any]) -> tuple[str, str]:
    if unknown := sorted(set(body) - {"port_id", "subnet_id", "tenant_id", "project_id", "id", "tags"}):
        bad(f"Unrecognized attribute(s) '{', '.join(unknown)}'")
    port_id = kinds.MAYBE_ID("port_id", body.get("port_id"))
    subnet_id = kinds.MAYBE_ID("subnet_id", body.get("subnet_id"))
    if not port_id and not subnet_id:
        bad("Bad router request: Either subnet_id or port_id must be specified.", "BadRequest")
    return port_id, subnet_id


def _reach_changed(job: Job, row: RouterRow) -> None:
    """Networks that a router joins see each other's members of security groups."""
    job.touch(row.id, *links_store.networks_at(job.tx, [row.id]))


def _no_overlap(job: Job, row: RouterRow, new: list[SubnetRow]) -> None:
    outer = SUBNETS.select(job.tx, {"network_id": row.gateway_network}) if row.gateway_network else []
    for there in (*_connected(job, row), *outer):
        for one in new:
            if one.id == there.id:
                bad(f"Bad router request: Router already has a port on subnet {one.id}.", "BadRequest")
            if addressing.overlap(one.cidr, there.cidr):
                bad(f"Bad router request: Cidr {one.cidr} of subnet {one.id} overlaps with cidr {there.cidr} of subnet "
                    f"{there.id}.", "BadRequest")  # fmt: skip


def _by_port(job: Job, row: RouterRow, port_id: str) -> PortRow:
    port: PortRow = job.owned(PORT, port_id)
    if port.device_id:
        clash(f"Unable to complete operation on port {port.id} for network {port.network_id}. Port already has an "
              f"attached device {port.device_id}.", "PortInUse")  # fmt: skip
    subnets = links_store.subnets_of_port(job.tx, port.id)
    if not subnets:
        bad("Bad router request: Port must have at least one fixed IP.", "BadRequest")
    if sum(one.ip_version == 4 for one in subnets) > 1:
        bad("Bad router request: Cannot have multiple IPv4 subnets on router port.", "BadRequest")
    _no_overlap(job, row, subnets)
    links_store.set_groups(job.tx, port, [])
    new: PortRow = job.update(
        PORT, port, device_id=row.id, device_owner=LEG, host=job.core.host, status="BUILD",
        generation=job.generation(port.network_id), pairs=[], port_security_enabled=True,
    )  # fmt: skip
    return new


def _by_subnet(job: Job, row: RouterRow, subnet_id: str) -> PortRow:
    subnet: SubnetRow = job.seen(SUBNET, subnet_id)
    network: NetworkRow = job.seen(NETWORK, subnet.network_id)
    if not subnet.gateway_ip:
        bad(
            f"Bad router request: Subnet for router interface must have a gateway IP, subnet {subnet.id}.", "BadRequest"
        )
    _no_overlap(job, row, [subnet])
    inside = ipaddress.ip_address(subnet.gateway_ip) in addressing.network(subnet.cidr)
    asked = {"subnet_id": subnet.id}
    if inside and job.who.owns(network):
        asked["ip_address"] = subnet.gateway_ip
    return ports.internal(job, network, LEG, row.id, [asked], row.project_id)


def remove_interface(job: Job, row: RouterRow, body: dict[str, Any]) -> dict[str, Any]:
    """Take a leg away that no floating IP and no route needs."""
    port_id, subnet_id = _either(body)
    legs = PORTS.select(job.tx, {"device_id": row.id, "device_owner": LEG})
    if port_id:
        legs = [leg for leg in legs if leg.id == port_id]
    found = None
    addresses = links_store.addresses(job.tx, [leg.id for leg in legs])
    for leg in legs:
        held = [one.subnet_id for one in addresses.get(leg.id, [])]
        if not subnet_id or subnet_id in held:
            found = leg, held
            break
    if found is None and port_id and subnet_id and legs:
        clash(f"Subnet on port {port_id} does not match the requested subnet {subnet_id}.", "SubnetMismatchForPort")
    if found is None and subnet_id and SUBNETS.find(job.tx, id=subnet_id) is None:
        missing("Subnet", subnet_id)
    if found is None:
        what = f"subnet {subnet_id}" if subnet_id else f"port {port_id}"
        raise NotFound(f"Router {row.id} has no interface on {what}.", "RouterInterfaceNotFound")
    leg, held = found
    _not_needed(job, row, held)
    _reach_changed(job, row)
    ports.erase(job, leg)
    return _info(row, leg, held)


def _not_needed(job: Job, row: RouterRow, held: list[str]) -> None:
    if floating_store.through(job.tx, row.id, held):
        clash(f"Router interface for subnet {held[0]} on router {row.id} cannot be deleted, as it is required by one "
              "or more floating IPs.", "RouterInterfaceInUseByFloatingIP")  # fmt: skip
    nets = [addressing.network(one.cidr) for one in SUBNETS.select(job.tx, {"id": held})]
    for route in row.routes:
        if any(ipaddress.ip_address(route["nexthop"]) in net for net in nets):
            clash(f"Router interface for subnet {held[0]} on router {row.id} cannot be deleted, as it is required by "
                  "one or more routes.", "RouterInterfaceInUseByRoute")  # fmt: skip

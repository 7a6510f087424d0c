"""Rules of subnets (Networking API v2.0, "Subnets")."""

from __future__ import annotations

import ipaddress
from typing import Any

from andromede.network import addressing, allocation, links_store, ports, subnetpools
from andromede.network.core import Job
from andromede.network.faults import bad, clash, forbidden
from andromede.network.model import AddressRow, NetworkRow, SubnetRow
from andromede.network.shapes import DHCP, NETWORK, ROUTER, SUBNET
from andromede.network.tables import ADDRESSES, NETWORKS, PORTS, SUBNETS

NO_GATEWAY = "none"


def create(job: Job, values: dict[str, Any]) -> SubnetRow:
    """A new subnet; its network gets a DHCP port, and ports get the addresses that follow from their MACs."""
    network: NetworkRow = job.seen(NETWORK, values["network_id"])
    if not job.who.owns(network):
        forbidden("create_subnet")
    if job.who.admin and values["project_id"] == job.who.project_id:
        values["project_id"] = network.project_id
    job.concern(network.project_id)
    subnetpools.provide(job, values)
    net = addressing.network(values["cidr"])
    _version(values, net)
    _modes(values, net)
    for other in allocation.subnets(job, network.id):
        if addressing.overlap(other.cidr, values["cidr"]):
            bad(f"Requested subnet with cidr: {net} for network: {network.id} overlaps with another subnet",
                "InvalidInput")  # fmt: skip
    gateway = values["gateway_ip"]
    if gateway == NO_GATEWAY:
        gateway = ""
    elif gateway:
        addressing.check_gateway(net, gateway)
    else:
        gateway = addressing.first_gateway(net)
    given = values.pop("allocation_pools")
    pools = addressing.default_pools(net, gateway) if given is None else addressing.check_pools(net, given, gateway)
    values |= {"gateway_ip": gateway, "allocation_pools": pools}
    _servers(values, net.version)
    row: SubnetRow = job.insert(SUBNET, values)
    _computed(job, network, row)
    serve(job, network, row, row.enable_dhcp)
    _touch(job, row)
    return row


def _version(values: dict[str, Any], net: addressing.Range) -> None:
    if values["ip_version"] not in (0, net.version):
        bad(f"ip_version {values['ip_version']} does not fit cidr {net}", "InvalidInput")
    values["ip_version"] = net.version


def _modes(values: dict[str, Any], net: addressing.Range) -> None:
    ra, address = values["ipv6_ra_mode"], values["ipv6_address_mode"]
    if not ra and not address:
        return
    if net.version == 4:
        bad("ipv6_ra_mode and ipv6_address_mode are for subnets of IP version 6", "InvalidInput")
    if not values["enable_dhcp"]:
        bad("ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False", "InvalidInput")
    if ra and address and ra != address:
        bad(f"ipv6_ra_mode set to '{ra}' with ipv6_address_mode set to '{address}' is not valid. If both attributes "
            "are set, they must be the same value", "InvalidInput")  # fmt: skip
    if (ra or address) in addressing.AUTO and net.prefixlen != 64:
        bad(f"Invalid CIDR {net} for IPv6 address mode. OpenStack uses the EUI-64 address format, which requires the "
            "prefix to be /64", "InvalidInput")  # fmt: skip


def _servers(values: dict[str, Any], version: int) -> None:
    """DNS servers and host routes are of the subnet's version."""
    for server in values.get("dns_nameservers", ()):
        if ipaddress.ip_address(server).version != version:
            bad(f"dns_nameserver '{server}' does not match the ip_version '{version}'", "InvalidInput")
    for route in values.get("host_routes", ()):
        hop, target = ipaddress.ip_address(route["nexthop"]), addressing.network(route["destination"])
        if hop.version != version or target.version != version:
            bad(f"host_routes are not of ip_version '{version}': {route}", "InvalidInput")


def _computed(job: Job, network: NetworkRow, row: SubnetRow) -> None:
    """Ports that are there already get their address in a subnet where it follows from the MAC."""
    if not allocation.is_auto(row):
        return
    for port in PORTS.select(job.tx, {"network_id": network.id}):
        if port.device_owner.startswith("network:"):
            continue
        position = len(ADDRESSES.select(job.tx, {"port_id": port.id}))
        ip = addressing.eui64(addressing.network(row.cidr), port.mac_address)
        links_store.hold(job.tx, AddressRow(row.id, ip, port.id, network.id, position))
        ports.affect(job, port)


def serve(job: Job, network: NetworkRow, row: SubnetRow, served: bool) -> None:
    """The network's DHCP port has an address in the subnet while addresses are handed out there."""
    if row.ip_version == 6 and not row.address_mode:
        served = False
    port = PORTS.find(job.tx, network_id=network.id, device_owner=DHCP)
    held = ADDRESSES.select(job.tx, {"port_id": port.id}) if port else []
    here = any(one.subnet_id == row.id for one in held)
    if served and port is None:
        ports.serving(job, network, row)
    elif served and port is not None and not here:
        want = allocation.Wanted(network, port.id, port.mac_address, DHCP, [])
        ip = _serving_address(job, row, want)
        if ip:
            links_store.hold(job.tx, AddressRow(row.id, ip, port.id, network.id, len(held)))
    elif port is not None and here and not served:
        ADDRESSES.remove(job.tx, port_id=port.id, subnet_id=row.id)
        if len(held) == 1:
            ports.erase(job, port)


def _serving_address(job: Job, row: SubnetRow, want: allocation.Wanted) -> str | None:
    if allocation.is_auto(row):
        return addressing.eui64(addressing.network(row.cidr), want.mac)
    return allocation.free(job, row, want)


def _touch(job: Job, row: SubnetRow) -> None:
    job.touch(row.network_id, *links_store.routers_on(job.tx, [row.network_id]))


def update(job: Job, row: SubnetRow, values: dict[str, Any]) -> SubnetRow:
    """Change a subnet."""
    net = addressing.network(row.cidr)
    gateway, pools = row.gateway_ip, row.pools
    if "gateway_ip" in values:
        gateway = "" if values["gateway_ip"] == NO_GATEWAY else values["gateway_ip"]
        values["gateway_ip"] = gateway
        if gateway:
            addressing.check_gateway(net, gateway)
        if gateway != row.gateway_ip:
            _gateway_free(job, row)
    if (given := values.pop("allocation_pools", None)) is not None:
        pools = values["pools"] = addressing.check_pools(net, given, gateway)
    if "gateway_ip" in values or "pools" in values:
        addressing.outside_pools(gateway, pools)
    if not values.get("enable_dhcp", True) and (row.ra_mode or row.address_mode):
        bad("enable_dhcp cannot be set to False while ipv6_ra_mode or ipv6_address_mode are set", "InvalidInput")
    _servers(values, row.ip_version)
    new: SubnetRow = job.update(SUBNET, row, **values)
    if "enable_dhcp" in values:
        network = NETWORKS.find(job.tx, id=row.network_id)
        assert network is not None
        serve(job, network, new, new.enable_dhcp)
    _touch(job, new)
    return new


def _gateway_free(job: Job, row: SubnetRow) -> None:
    held = ADDRESSES.find(job.tx, subnet_id=row.id, address=row.gateway_ip)
    if held is not None and PORTS.find(job.tx, id=held.port_id, device_owner=ROUTER):
        clash(f"Current gateway ip {row.gateway_ip} already in use by port {held.port_id}. Unable to update.",
              "GatewayIpInUse")  # fmt: skip


def delete(job: Job, row: SubnetRow) -> None:
    """Remove a subnet that no port needs any more."""
    auto = allocation.is_auto(row)
    for port in links_store.users_of_subnet(job.tx, row.id):
        if port.device_owner == DHCP or (auto and not port.device_owner.startswith("network:")):
            continue
        clash(f"Unable to complete operation on subnet {row.id}: One or more ports have an IP allocation from this "
              "subnet.", "SubnetInUse")  # fmt: skip
    network = NETWORKS.find(job.tx, id=row.network_id)
    assert network is not None
    serve(job, network, row, False)
    for port in links_store.users_of_subnet(job.tx, row.id):
        ports.affect(job, port)
    ADDRESSES.remove(job.tx, subnet_id=row.id)
    links_store.untag(job.tx, row.id)
    SUBNETS.remove(job.tx, id=row.id)
    _touch(job, row)

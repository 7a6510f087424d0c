"""Rows as values for other domains."""

from __future__ import annotations

from collections.abc import Sequence

from andromede.db.table import Reader
from andromede.errors import Conflict
from andromede.network import allocation, links_store
from andromede.network.faults import clash
from andromede.network.model import Address, Link, Network, NetworkRow, Port, PortRow
from andromede.network.tables import FLOATING, GROUPS, NETWORKS, PARTS, PORTS, SUBNETS


def network(tx: Reader, row: NetworkRow, project_id: str) -> Network:
    """A network as a project sees it."""
    return networks(tx, [row], project_id)[0]


def networks(tx: Reader, rows: Sequence[NetworkRow], project_id: str) -> list[Network]:
    """Networks as a project sees them."""
    ids = [row.id for row in rows]
    shown, subnets = links_store.shown_to(tx, ids, project_id), links_store.subnets_of(tx, ids)
    return [
        Network(
            row.id, row.name, row.project_id, row.mtu, row.id in shown, row.external, row.port_security_enabled,
            tuple(subnets.get(row.id, [])),
        )
        for row in rows
    ]  # fmt: skip


def port(tx: Reader, row: PortRow) -> Port:
    """One port."""
    return ports(tx, [row])[0]


def ports(tx: Reader, rows: Sequence[PortRow]) -> list[Port]:
    """Ports with their addresses and groups."""
    ids = [row.id for row in rows]
    addresses, groups = links_store.addresses(tx, ids), links_store.groups_of(tx, ids)
    mtus = {one.id: one.mtu for one in NETWORKS.select(tx, {"id": sorted({row.network_id for row in rows})})}
    return [
        Port(
            row.id, row.project_id, row.network_id, row.name, row.mac_address,
            tuple((one.subnet_id, one.address) for one in addresses.get(row.id, [])), row.status, row.device_id,
            row.device_owner, tuple(groups.get(row.id, [])), mtus[row.network_id], row.host,
            row.port_security_enabled, row.fault,
        )
        for row in rows
    ]  # fmt: skip


def wired(tx: Reader, row: PortRow) -> bool:
    """Whether the fabric carries the newest wishes of a port. Raises `Conflict` when it refuses them."""
    part = PARTS.find(tx, id=row.network_id)
    if part is None or not row.host:
        return False
    if part.loaded >= row.generation:
        return True
    if part.state == "error":
        raise Conflict(f"the network of port {row.id} cannot be made: {part.fault}", "PortBindingFailed")
    return False


def first_subnet(tx: Reader, network_id: str) -> str:
    """A subnet from which a port may have another address."""
    found = [row for row in SUBNETS.select(tx, {"network_id": network_id}) if not allocation.is_auto(row)]
    if not found:
        clash(f"No more IP addresses available on network {network_id}.", "IpAddressGenerationFailure")
    return found[0].id


def addresses(tx: Reader, device_ids: Sequence[str]) -> dict[str, list[Address]]:
    """Device -> its addresses, fixed ones before the floating ones that stand for them."""
    rows = PORTS.select(tx, {"device_id": sorted(set(device_ids) - {""})})
    held = links_store.addresses(tx, [row.id for row in rows])
    names = {one.id: one.name for one in NETWORKS.select(tx, {"id": sorted({row.network_id for row in rows})})}
    floating = {(one.port_id, one.fixed_ip): one for one in FLOATING.select(tx, {"port_id": [row.id for row in rows]})}
    found: dict[str, list[Address]] = {}
    for row in rows:
        own = found.setdefault(row.device_id, [])
        for one in held.get(row.id, []):
            version = 6 if ":" in one.address else 4
            place = (names[row.network_id], row.network_id, row.id)
            own.append(Address(*place, one.address, version, "fixed", row.mac_address))
            outer = floating.get((row.id, one.address))
            if outer is not None:
                own.append(Address(*place, outer.address, 4, "floating", row.mac_address))
    return found


def links(tx: Reader, device_id: str) -> list[Link]:
    """The ports of a device with their subnets."""
    found = ports(tx, PORTS.select(tx, {"device_id": device_id})) if device_id else []
    rows = {row.id: row for row in SUBNETS.select(tx, {"network_id": sorted({one.network_id for one in found})})}
    return [Link(one, tuple(rows[subnet_id] for subnet_id, _ in one.fixed_ips)) for one in found]


def groups(tx: Reader, device_ids: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """Device -> (id, name) of its ports' security groups."""
    rows = PORTS.select(tx, {"device_id": sorted(set(device_ids) - {""})})
    held = links_store.groups_of(tx, [row.id for row in rows])
    ids = sorted({group for own in held.values() for group in own})
    names = {one.id: one.name for one in GROUPS.select(tx, {"id": ids})}
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        found.setdefault(row.device_id, {}).update({group: names[group] for group in held.get(row.id, [])})
    return {device: sorted(own.items(), key=lambda pair: pair[1]) for device, own in found.items()}

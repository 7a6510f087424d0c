"""Rules of ports (Networking API v2.0, "Ports")."""

from __future__ import annotations

from typing import Any

from andromede.network import allocation, floating_store, groups, links_store, quota_store
from andromede.network.allocation import Wanted
from andromede.network.core import Job
from andromede.network.faults import bad, clash, forbidden
from andromede.network.model import NetworkRow, PortRow, SubnetRow
from andromede.network.shapes import DHCP, FLOATING, GATEWAY, NETWORK, PORT, ROUTER
from andromede.network.tables import ADDRESSES, NETWORKS, PORTS

TRUSTED = ("mac_address", "port_security_enabled", "allowed_address_pairs")
"""What only the owner of the network may set."""
PREFIX = "fa:16:3e"


def create(job: Job, values: dict[str, Any]) -> PortRow:
    """A new port with its addresses and security groups."""
    network: NetworkRow = job.seen(NETWORK, values["network_id"])
    _allowed(job, network, values, "create")
    _device(job, values["project_id"], values)
    secured = values["port_security_enabled"]
    secured = network.port_security_enabled if secured is None else secured
    pairs = values["allowed_address_pairs"]
    wanted = groups.chosen(job, values["project_id"], values["security_groups"], secured, values["device_owner"])
    _secured(secured, wanted, pairs)
    values["mac_address"] = _mac(job, network, values["mac_address"])
    values["allowed_address_pairs"] = _pairs(pairs, values["mac_address"])
    values["port_security_enabled"] = secured
    bound = bool(values["binding:host_id"])
    status = "BUILD" if bound and values["admin_state_up"] else "DOWN"
    extra = {"status": status, "generation": job.generation(network.id) if bound else 0, "uid": 0, "fault": ""}
    row: PortRow = job.insert(PORT, values, **extra)
    quota_store.counted(job.tx, row.project_id, 1)
    want = Wanted(network, row.id, row.mac_address, row.device_owner, values["fixed_ips"])
    allocation.settle(job, want)
    links_store.set_groups(job.tx, row, wanted)
    job.concern(row.project_id)
    affect(job, row)
    return row


def _allowed(job: Job, network: NetworkRow, values: dict[str, Any], verb: str) -> None:
    """403 for what only the network's owner may ask for."""
    if job.who.owns(network):
        return
    for name in TRUSTED:
        if values.get(name) not in (None, "", []):
            forbidden(f"{verb}_port:{name}")
    if any(one.get("ip_address") for one in values.get("fixed_ips") or ()):
        forbidden(f"{verb}_port:fixed_ips:ip_address")
    if str(values.get("device_owner", "")).startswith("network:"):
        forbidden(f"{verb}_port:device_owner")
    if verb == "create" and network.external:
        shown = links_store.shown_to(job.tx, [network.id], job.who.project_id)
        if not shown:
            forbidden("create_port")


def _device(job: Job, project_id: str, values: dict[str, Any], row: PortRow | None = None) -> None:
    """Refuse devices that are not the caller's: a port must not slip into another's router or server."""
    owner, device = values.get("device_owner"), values.get("device_id")
    own = (DHCP, ROUTER, GATEWAY, FLOATING)
    if owner in own and (row is None or row.device_owner != owner):
        bad(f"device_owner {owner} is set by the service itself: add the interface to the router", "InvalidInput")
    if (
        row is not None
        and row.device_owner in own
        and (owner not in (None, row.device_owner) or device not in (None, row.device_id))
    ):
        clash(f"Port {row.id} belongs to {row.device_owner} and cannot be given to another device.",
              "ServicePortInUse")  # fmt: skip
    if device and not job.who.admin and links_store.foreign_device(job.tx, device, project_id):
        clash(f"The following device_id {device} is not owned by your tenant or matches another tenants router.",
              "DeviceIDNotOwnedByTenant")  # fmt: skip


def _secured(secured: bool, wanted: list[str], pairs: list[dict[str, str]]) -> None:
    if secured:
        return
    if wanted:
        clash("Port Security must be enabled and port must have an IP address in order to use security groups.",
              "PortSecurityAndIPRequiredForSecurityGroups")  # fmt: skip
    if pairs:
        clash("Port Security must be enabled in order to have allowed address pairs on a port.",
              "AddressPairAndPortSecurityRequired")  # fmt: skip


def _pairs(pairs: list[dict[str, str]], mac: str) -> list[dict[str, str]]:
    found = [{"ip_address": pair["ip_address"], "mac_address": pair.get("mac_address", mac)} for pair in pairs]
    if any(pair in found[:at] for at, pair in enumerate(found)):
        bad("Request contains duplicate address pair", "DuplicateAddressPairInRequest")
    return found


def _mac(job: Job, network: NetworkRow, asked: str, port_id: str = "") -> str:
    while True:
        secret = job.core.desk.ids.secret(3)
        mac = asked or PREFIX + "".join(f":{octet:02x}" for octet in secret)
        other = PORTS.find(job.tx, network_id=network.id, mac_address=mac)
        if other is None or other.id == port_id:
            return mac
        if asked:
            clash(f"Unable to complete operation for network {network.id}. The mac address {mac} is in use.",
                  "MacAddressInUse")  # fmt: skip


def serving(job: Job, network: NetworkRow, subnet: SubnetRow) -> PortRow:
    """The port from which a network's guests get their addresses and metadata."""
    asked = None if allocation.is_auto(subnet) else [{"subnet_id": subnet.id}]
    return internal(job, network, DHCP, f"dhcp-{network.id}", asked)


def internal(
    job: Job,
    network: NetworkRow,
    owner: str,
    device: str,
    asked: list[dict[str, str]] | None,
    project: str | None = None,
) -> PortRow:
    """A port of the program's own: of DHCP, a router or a floating IP. Made regardless of quotas."""
    bound = owner in (DHCP, ROUTER, GATEWAY)
    ids = job.core.desk.ids
    row = PORTS.insert(job.tx, PortRow(
        ids.dashed(), network.project_id if project is None else project, "", "", job.now_us, job.now_us, 0,
        network.id, _mac(job, network, ""), True, "DOWN" if owner in (DHCP, FLOATING) else "BUILD", device, owner,
        job.core.host if bound else "", "normal", {}, False, [], [], "",
        job.generation(network.id) if bound else 0, 0, "",
    ))  # fmt: skip
    quota_store.counted(job.tx, row.project_id, 1)
    allocation.settle(job, Wanted(network, row.id, row.mac_address, owner, asked))
    affect(job, row)
    return row


def affect(job: Job, row: PortRow) -> None:
    """What a port changes by coming, going or changing, called before and after: its network where it has a place
    there, and the networks around it whose rules name its security groups."""
    if row.device_owner in (ROUTER, GATEWAY):
        job.touch(row.device_id)
    if not row.host:
        return
    if row.device_owner in (DHCP, ROUTER):
        job.touch(row.network_id)
    groups = links_store.groups_of(job.tx, [row.id]).get(row.id, [])
    naming = links_store.groups_naming(job.tx, "remote_group", groups)
    members: set[tuple[str, str]] = set()
    if naming:
        texts = {one.address for one in ADDRESSES.select(job.tx, {"port_id": row.id})}
        texts |= {pair["ip_address"] for pair in row.pairs}
        members = {(group, text) for group in groups for text in texts}
        for network_id in links_store.networks_seeing(job.tx, row.network_id, naming):
            job.shift(network_id, row.id, members)
    if row.device_owner not in (DHCP, ROUTER, GATEWAY, FLOATING):
        job.shift(row.network_id, row.id, members)


def update(job: Job, row: PortRow, values: dict[str, Any]) -> PortRow:
    """Change a port."""
    network = NETWORKS.find(job.tx, id=row.network_id)
    assert network is not None
    _allowed(job, network, values, "update")
    _device(job, row.project_id, values, row)
    affect(job, row)
    before = links_store.groups_of(job.tx, [row.id]).get(row.id, [])
    secured = values.get("port_security_enabled")
    secured = row.port_security_enabled if secured is None else secured
    wanted = before
    if "security_groups" in values:
        asked = values.pop("security_groups")
        wanted = groups.named(job, row.project_id, asked or [])
    pairs = values.pop("allowed_address_pairs", None)
    _secured(secured, wanted, row.pairs if pairs is None else pairs)
    hardware = row.mac_address
    if values.get("mac_address", hardware) != hardware:
        if row.host:
            clash(
                f"Unable to complete operation on port {row.id}, port is already bound, host: {row.host}.", "PortBound"
            )
        hardware = _mac(job, network, values["mac_address"], row.id)
    if pairs is not None:
        values["pairs"] = _pairs(pairs, hardware)
    changes = _columns(values) | {"mac_address": hardware, "port_security_enabled": secured}
    _place(job, row, changes)
    owner = changes.get("device_owner", row.device_owner)
    new: PortRow = job.update(PORT, row, **changes)
    if "fixed_ips" in values:
        _readdress(job, network, new, owner, values["fixed_ips"])
    if wanted != before:
        links_store.set_groups(job.tx, row, wanted)
    affect(job, new)
    return new


def _columns(values: dict[str, Any]) -> dict[str, Any]:
    return {attr.field: values[attr.name] for attr in PORT.attrs if attr.name in values and attr.field in
            PORTS.columns} | ({"pairs": values["pairs"]} if "pairs" in values else {})  # fmt: skip


def _place(job: Job, row: PortRow, changes: dict[str, Any]) -> None:
    """Status and generation after a change of the binding, of admin_state_up, or of anything else that is loaded."""
    host, up = changes.get("host", row.host), changes.get("admin_state_up", row.admin_state_up)
    if not host:
        changes |= {"status": "DOWN", "fault": ""}
        return
    changes["generation"] = job.generation(row.network_id)
    if not up:
        changes["status"] = "DOWN"
    elif host != row.host or not row.admin_state_up:
        changes["status"] = "BUILD"


def _readdress(job: Job, network: NetworkRow, row: PortRow, owner: str, asked: list[dict[str, str]] | None) -> None:
    held = ADDRESSES.select(job.tx, {"port_id": row.id})
    want = Wanted(network, row.id, row.mac_address, owner, asked or [], held)
    allocation.settle(job, want)
    kept = {ip for _, ip in want.found}
    for one in held:
        if one.address not in kept:
            floating_store.leave(job.tx, row.id, one.address, job.now_us)
    job.touch(*floating_store.routers_for(job.tx, row.id))


def removable(job: Job, port_id: str) -> PortRow:
    """A port that the caller may remove: its own, or any on a network of its own."""
    row: PortRow = job.seen(PORT, port_id)
    network = NETWORKS.find(job.tx, id=row.network_id)
    if not job.who.owns(row) and (network is None or not job.who.owns(network)):
        forbidden("delete_port")
    job.concern(row.project_id)
    return row


def delete(job: Job, row: PortRow) -> None:
    """Remove a port that nothing of the program's own lives on."""
    if row.device_owner in (ROUTER, GATEWAY, FLOATING):
        clash(f"Port {row.id} cannot be deleted directly via the port API: has device owner {row.device_owner}.",
              "ServicePortInUse")  # fmt: skip
    erase(job, row)


def erase(job: Job, row: PortRow) -> None:
    """Remove a port and what hangs on it; floating IPs come free."""
    affect(job, row)
    job.touch(*floating_store.routers_for(job.tx, row.id))
    floating_store.leave(job.tx, row.id, None, job.now_us)
    ADDRESSES.remove(job.tx, port_id=row.id)
    links_store.set_groups(job.tx, row, [])
    links_store.untag(job.tx, row.id)
    quota_store.counted(job.tx, row.project_id, -PORTS.remove(job.tx, id=row.id))

"""Rules of networks (Networking API v2.0, "Networks")."""

from __future__ import annotations

from typing import Any

from andromede.network import links_store, quota_store, work_store
from andromede.network.core import Job
from andromede.network.faults import bad, clash
from andromede.network.model import NetworkRow, RbacRow
from andromede.network.shapes import DHCP, NETWORK
from andromede.network.tables import ADDRESSES, NETWORKS, PORTS, RBAC, ROUTERS, SUBNETS
from andromede.network.tables import FLOATING as FLOATING_IPS

OUTSIDE = "public"
"""The physical network that the external bridge is."""
EVERYBODY = "*"


def create(job: Job, values: dict[str, Any]) -> NetworkRow:
    """A new network, with its part."""
    shared = values.pop("shared")
    values["mtu"] = _mtu(job, values["mtu"])
    _provider(job, values)
    _only_default(job, values["is_default"], values["router:external"], "")
    row: NetworkRow = job.insert(NETWORK, values, status="ACTIVE")
    if shared:
        share(job, row, True)
    work_store.add(job.tx, row.id, row.project_id, "network", job.now_us)
    job.concern(row.project_id)
    return row


def _mtu(job: Job, asked: int) -> int:
    most = job.core.settings.guest_mtu
    if asked > most:
        bad(f"Requested MTU is too big, maximum is {most}", "InvalidInput")
    return asked or most


def _provider(job: Job, values: dict[str, Any]) -> None:
    kind, physical = values["provider:network_type"], values["provider:physical_network"]
    if kind == "flat":
        if physical != OUTSIDE:
            bad(f"provider:physical_network of a flat network must be {OUTSIDE}", "InvalidInput")
        if NETWORKS.find(job.tx, network_type="flat", physical_network=physical):
            clash(f"Unable to create the flat network. Physical network {physical} is in use.", "FlatNetworkInUse")
    elif physical:
        bad(f"provider:physical_network specified for {kind or 'vxlan'} network", "InvalidInput")
    values["provider:network_type"] = kind or "vxlan"
    segment = values["provider:segmentation_id"]
    if segment and NETWORKS.find(job.tx, segment=segment):
        clash(f"Unable to create the network. The tunnel ID {segment} is in use.", "TunnelIdInUse")
    if values["provider:network_type"] == "vxlan" and not segment:
        segment = job.tx.take("network/segment")
        while NETWORKS.find(job.tx, segment=segment):
            segment = job.tx.take("network/segment")
    values["provider:segmentation_id"] = segment


def _only_default(job: Job, is_default: bool, external: bool, network_id: str) -> None:
    if not is_default:
        return
    if not external:
        bad("only an external network can be the default one", "InvalidInput")
    other = NETWORKS.find(job.tx, is_default=True)
    if other is not None and other.id != network_id:
        clash(f"A default external network already exists: {other.id}.", "DefaultExternalNetworkExists")


def share(job: Job, row: NetworkRow, shared: bool) -> None:
    """Show a network to everybody, or not any more."""
    policy = RBAC.find(job.tx, object_id=row.id, action="access_as_shared", target_tenant=EVERYBODY)
    if shared and policy is None:
        new = RbacRow(job.core.desk.ids.dashed(), row.project_id, "", "", job.now_us, job.now_us, 0, "network", row.id,
                      "access_as_shared", EVERYBODY)  # fmt: skip
        RBAC.insert(job.tx, new)
    if not shared and policy is not None:
        foreign = "WHERE t.network_id = ? AND t.project_id <> ? AND t.project_id <> '' LIMIT 1"
        if PORTS.query(job.tx, foreign, (row.id, row.project_id)):
            clash(f"Unable to reconfigure sharing settings for network {row.id}. Multiple tenants are using it.",
                  "InvalidSharedSetting")  # fmt: skip
        RBAC.remove(job.tx, id=policy.id)


def update(job: Job, row: NetworkRow, values: dict[str, Any]) -> NetworkRow:
    """Change a network."""
    if "shared" in values:
        share(job, row, values.pop("shared"))
    if "mtu" in values:
        values["mtu"] = _mtu(job, values["mtu"])
    external = values.get("router:external", row.external)
    if row.external and not external and _in_use_outside(job, row.id):
        clash(f"External network {row.id} cannot be updated to be made non-external, since it has existing gateway "
              "ports or floating IPs.", "ExternalNetworkInUse")  # fmt: skip
    _only_default(job, values.get("is_default", row.is_default), external, row.id)
    if "router:external" in values:
        values["external"] = values.pop("router:external")
    new: NetworkRow = job.update(NETWORK, row, **values)
    if any(getattr(new, name) != getattr(row, name) for name in ("admin_state_up", "mtu", "dns_domain")):
        job.touch(row.id, *links_store.routers_on(job.tx, [row.id]))
    return new


def _in_use_outside(job: Job, network_id: str) -> bool:
    return bool(
        ROUTERS.find(job.tx, gateway_network=network_id) or FLOATING_IPS.find(job.tx, floating_network_id=network_id)
    )


def delete(job: Job, row: NetworkRow) -> None:
    """Remove a network with its subnets, DHCP port and floating IPs that stand for nobody."""
    free = [one for one in FLOATING_IPS.select(job.tx, {"floating_network_id": row.id}) if not one.router_id]
    own = {one.own_port for one in free}
    for port in PORTS.select(job.tx, {"network_id": row.id}):
        if port.device_owner != DHCP and port.id not in own:
            clash(f"Unable to complete operation on network {row.id}. There are one or more ports still in use on the "
                  f"network, id for these ports is {port.id}.", "NetworkInUse")  # fmt: skip
    for one in free:
        links_store.untag(job.tx, one.id)
        FLOATING_IPS.remove(job.tx, id=one.id)
    ADDRESSES.remove(job.tx, network_id=row.id)
    left = PORTS.select(job.tx, {"network_id": row.id})
    for gone in (*left, *SUBNETS.select(job.tx, {"network_id": row.id})):
        links_store.untag(job.tx, gone.id)
    for port in left:
        quota_store.counted(job.tx, port.project_id, -1)
    PORTS.remove(job.tx, network_id=row.id)
    SUBNETS.remove(job.tx, network_id=row.id)
    RBAC.remove(job.tx, object_id=row.id)
    links_store.untag(job.tx, row.id)
    NETWORKS.remove(job.tx, id=row.id)
    job.gone.add(row.id)

"""The network service's door for other domains and for the composition root."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from andromede.db import Reach, Tx
from andromede.errors import NotFound
from andromede.network import (
    first,
    floatingips,
    groups,
    links_store,
    listing_store,
    neighbours,
    ports,
    quota_store,
    views,
    work_store,
)
from andromede.network.core import Core, Job
from andromede.network.faults import missing
from andromede.network.model import (
    Address,
    Link,
    Network,
    Port,
    PortRow,
    PortWish,
)
from andromede.network.shape import Who, created
from andromede.network.shapes import NETWORK, PORT
from andromede.network.shapes_more import GROUP
from andromede.network.tables import ADDRESSES, FLOATING, GROUPS, PORTS

__all__ = ["Address", "Core", "Link", "Network", "Networks", "Port", "PortWish"]


class Networks:
    """Networks, ports and addresses, for those who use them. Raises the errors of the Networking API."""

    def __init__(self, core: Core) -> None:
        self.core = core

    def begin(self, owner: str, request_id: str) -> bool:
        """Make what a new installation has: the way outside and the network `public`, owned by a project. Once. Counts
        are made true each time."""
        with self.core.desk.db.write(Reach.EVENTS) as tx:
            quota_store.recount(tx)
        return first.begin(self.core, owner, request_id)

    # --- networks

    def find(self, network_id: str, project_id: str, admin: bool = False) -> Network:
        """A network that a project may use. Raises `NotFound`."""
        with self.core.desk.db.read() as tx:
            row = listing_store.seen(tx, NETWORK, Who(project_id, admin), network_id)
            if row is None:
                missing("Network", network_id)
            return neighbours.network(tx, row, project_id)

    def networks_for(self, project_id: str) -> list[Network]:
        """The networks that servers of a project join without a choice: its own and those shown to it, but no
        external ones; the oldest first."""
        with self.core.desk.db.read() as tx:
            rows = listing_store.page(tx, NETWORK, Who(project_id), listing_store.Asked({"router:external": ["false"]}))
            return neighbours.networks(tx, rows, project_id)

    # --- ports

    def create_port(
        self, project_id: str, network_id: str, wish: PortWish, request_id: str, tx: Tx | None = None
    ) -> Port:  # fmt: skip
        """A port of a project; with `tx` as a part of that transaction. Raises `NotFound`, `Invalid`, `Conflict` and
        `OverQuota`."""
        with self.core.errand("create_port", "", project_id, request_id, tx) as job:
            if wish.trusted and listing_store.seen(job.tx, NETWORK, Who(project_id), network_id) is None:
                missing("Network", network_id)
            job.who = Who(project_id, wish.trusted)
            named = None if wish.security_groups is None else groups.by_name(job, project_id, wish.security_groups)
            body: dict[str, Any] = {
                "network_id": network_id, "name": wish.name, "device_id": wish.device_id,
                "device_owner": wish.device_owner,
            }  # fmt: skip
            if wish.fixed_ips is not None:
                body["fixed_ips"] = [
                    {k: v for k, v in (("subnet_id", subnet), ("ip_address", ip)) if v} for subnet, ip in wish.fixed_ips
                ]
            if wish.mac_address:
                body["mac_address"] = wish.mac_address
            if named is not None:
                body["security_groups"] = named
            if wish.trusted:
                body["port_security_enabled"] = False
            row = ports.create(job, created(PORT, body, job.who))
            job.change.object = f"port/{row.id}"
            return neighbours.port(job.tx, row)

    def port(self, port_id: str, project_id: str | None = None, reader: Tx | None = None) -> Port:
        """A port, as `reader` sees it; with a project, one that it may see. Raises `NotFound`."""
        with self.core.desk.db.read() if reader is None else nullcontext(reader) as tx:
            who = Who("", True) if project_id is None else Who(project_id)
            row = listing_store.seen(tx, PORT, who, port_id)
            if row is None:
                missing("Port", port_id)
            return neighbours.port(tx, row)

    def ports_of(self, device_id: str) -> list[Port]:
        """The ports of a device, the oldest first."""
        if not device_id:
            return []
        with self.core.desk.db.read() as tx:
            return neighbours.ports(tx, PORTS.select(tx, {"device_id": device_id}))

    def bind(
        self, port_id: str, device_id: str, host: str, request_id: str, uid: int = 0, owner: str = ""
    ) -> Port:  # fmt: skip
        """A port belongs to a device on a host from now on; its tap to the user `uid`. Repeatable; the port is wired
        once `is_wired` says so. `owner`: the device_owner, `compute:nova` where the port has none."""
        with self.core.errand("bind_port", f"port/{port_id}", "", request_id) as job:
            row = self._row(job, port_id)
            owner = owner or row.device_owner or "compute:nova"
            same = (row.device_id, row.host, row.uid, row.device_owner) == (device_id, host, uid, owner)
            if same and row.status != "ERROR":
                return neighbours.port(job.tx, row)
            status = "BUILD" if row.admin_state_up else "DOWN"
            new = job.update(
                PORT, row, device_id=device_id, device_owner=owner, host=host, uid=uid, status=status, fault="",
                generation=job.generation(row.network_id),
            )  # fmt: skip
            ports.affect(job, new)
            return neighbours.port(job.tx, new)

    def unbind(self, port_id: str, request_id: str, keep_device: bool = False) -> None:
        """A port is nowhere from now on, and free for another device unless it keeps its own. Repeatable."""
        with self.core.errand("unbind_port", f"port/{port_id}", "", request_id) as job:
            row = PORTS.find(job.tx, id=port_id)
            if row is None or not (row.host or row.device_id):
                return
            job.concern(row.project_id)
            ports.affect(job, row)
            changes: dict[str, Any] = {"host": "", "status": "DOWN", "uid": 0, "fault": ""}
            job.update(PORT, row, **changes, **({} if keep_device else {"device_id": "", "device_owner": ""}))

    def delete_port(self, port_id: str, request_id: str) -> None:
        """Remove a port. Repeatable."""
        with self.core.errand("delete_port", f"port/{port_id}", "", request_id) as job:
            row = PORTS.find(job.tx, id=port_id)
            if row is not None:
                job.concern(row.project_id)
                ports.delete(job, row)

    def is_wired(self, port_id: str) -> bool:
        """Whether the port's tap is in its bridge and its newest rules are in force. Raises `NotFound`, and
        `Conflict` with the reason when the fabric refused."""
        row = PORTS.find(self.core.desk.db, id=port_id)
        if row is None:
            missing("Port", port_id)
        return neighbours.wired(self.core.desk.db, row)

    def held(self, device_id: str, held: bool) -> None:
        """Somebody holds the taps of a device's ports, or nobody does any more: what their status shows."""
        with self.core.desk.db.write() as tx:
            work_store.held_by(tx, device_id, held)

    @staticmethod
    def _row(job: Job, port_id: str) -> PortRow:
        row = PORTS.find(job.tx, id=port_id)
        if row is None:
            missing("Port", port_id)
        job.concern(row.project_id)
        return row

    def add_address(self, port_id: str, request_id: str) -> Port:
        """One more fixed address of the port's network. Raises `Conflict` when there is none."""
        with self.core.errand("update_port", f"port/{port_id}", "", request_id) as job:
            row = self._row(job, port_id)
            held = ADDRESSES.select(job.tx, {"port_id": port_id})
            subnet = held[0].subnet_id if held else neighbours.first_subnet(job.tx, row.network_id)
            asked = [*({"subnet_id": one.subnet_id, "ip_address": one.address} for one in held), {"subnet_id": subnet}]
            new = ports.update(job, row, {"fixed_ips": asked})
            return neighbours.port(job.tx, new)

    def remove_address(self, port_id: str, address: str, request_id: str) -> Port:
        """Take a fixed address away. Raises `NotFound` when the port does not have it."""
        with self.core.errand("update_port", f"port/{port_id}", "", request_id) as job:
            row = self._row(job, port_id)
            held = ADDRESSES.select(job.tx, {"port_id": port_id})
            kept = [one for one in held if one.address != address]
            if len(kept) == len(held):
                raise NotFound(f"port {port_id} does not have the address {address}", "FixedIpNotFound")
            asked = [{"subnet_id": one.subnet_id, "ip_address": one.address} for one in kept]
            return neighbours.port(job.tx, ports.update(job, row, {"fixed_ips": asked}))

    # --- what servers show

    def addresses(self, device_id: str) -> list[Address]:
        """The fixed and floating addresses of a device's ports, in the order of the ports."""
        return self.addresses_of([device_id]).get(device_id, [])

    def addresses_of(self, device_ids: Sequence[str]) -> dict[str, list[Address]]:
        """The same for many devices at once."""
        with self.core.desk.db.read() as tx:
            return neighbours.addresses(tx, device_ids)

    def links(self, device_id: str) -> list[Link]:
        """What a guest must know of its ports: with their subnets."""
        with self.core.desk.db.read() as tx:
            return neighbours.links(tx, device_id)

    # --- security groups

    def default_group(self, project_id: str, request_id: str) -> str:
        """The id of a project's default security group, which is made now if need be."""
        row = GROUPS.find(self.core.desk.db, project_id=project_id, is_default=True)
        if row is not None or not self.core.known(project_id):
            return row.id if row else ""
        with self.core.errand("create_security_group", "security_group/default", project_id, request_id) as job:
            return groups.default(job, project_id).id

    def security_groups(self, project_id: str, request_id: str) -> list[dict[str, Any]]:
        """The security groups of a project as the API shows them, its default one among them."""
        self.default_group(project_id, request_id)
        who = Who(project_id)
        with self.core.desk.db.read() as tx:
            return views.many(tx, GROUP, listing_store.page(tx, GROUP, who, listing_store.Asked({})), who)

    def groups_of(self, device_ids: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
        """Device -> (id, name) of the security groups of its ports, each once."""
        with self.core.desk.db.read() as tx:
            return neighbours.groups(tx, device_ids)

    def change_group(self, device_id: str, group_id: str, add: bool, request_id: str) -> None:
        """Put every port of a device into a security group, or out of it. Raises `NotFound`."""
        with self.core.errand("update_port", f"device/{device_id}", "", request_id) as job:
            for row in PORTS.select(job.tx, {"device_id": device_id}):
                job.concern(row.project_id)
                now = set(links_store.groups_of(job.tx, [row.id]).get(row.id, []))
                wanted = now | {group_id} if add else now - {group_id}
                if wanted != now and row.port_security_enabled:
                    ports.update(job, row, {"security_groups": sorted(wanted)})

    # --- floating IPs

    def associate(
        self, project_id: str, address: str, port_id: str, fixed_ip: str, request_id: str
    ) -> None:  # fmt: skip
        """Point a floating IP of a project at a port, or with an empty port at none. Raises `NotFound`."""
        with self.core.errand("update_floatingip", f"floatingip/{address}", project_id, request_id) as job:
            row = FLOATING.find(job.tx, project_id=project_id, address=address)
            if row is None:
                missing("FloatingIP", address)
            job.who = replace(job.who, admin=False)
            floatingips.update(job, row, {"port_id": port_id, "fixed_ip_address": fixed_ip or None})

"""The neighbours of the compute service in the form in which it asks for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from andromede.compute.neighbours import (
    AddressFacts,
    GroupFacts,
    ImageFacts,
    NetworkFacts,
    NicFacts,
    PortFacts,
    SubnetFacts,
    VolumeFacts,
)
from andromede.db import Tx
from andromede.errors import Conflict, Denied, Invalid, NotFound
from andromede.ids import request_id
from andromede.images.model import NewImage

if TYPE_CHECKING:
    from andromede.app.hosting.site import Site
    from andromede.network.model import Port, SubnetRow


class VolumesHere:
    """Block storage."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def find(self, volume_id: str, project_id: str) -> VolumeFacts:
        """A volume of the project."""
        found = self._site.volumes.find(volume_id, project_id)
        image = self._site.volumes.image_of(volume_id) if found.bootable else {}
        return VolumeFacts(
            found.id, found.name or "", found.state, found.size, found.bootable, found.multiattach, image
        )  # fmt: skip

    def snapshot(self, snapshot_id: str, project_id: str) -> VolumeFacts:
        """A snapshot of the project."""
        found = self._site.volumes.find_snapshot(snapshot_id, project_id)
        return VolumeFacts(found.id, found.name or "", found.state, found.size, True)

    def reserve(self, volume_id: str, project_id: str, server_id: str, request_id: str, tx: Tx) -> None:
        """Hold a volume for a server."""
        self._site.volumes.reserve(volume_id, project_id, server_id, request_id, tx)

    def take_snapshot(self, volume_id: str, who: tuple[str, str], name: str, tx: Tx) -> str:
        """Begin a snapshot of a volume."""
        from andromede.volumes.snapshots import Snapshots

        volumes, project = self._site.volumes, self._site.volumes.find(volume_id, None).project_id
        with self._site.desk.within(tx, "volume:snapshot", "", project, who[1]) as change:
            made = Snapshots(volumes).take(change, volume_id, who, {"name": name}, True)
            change.object = f"snapshot/{made.id}"
        return made.id

    def begin_detaching(self, volume_id: str, server_id: str, request_id: str, tx: Tx) -> None:
        """The server is asked to let go."""
        self._site.volumes.begin_detaching(volume_id, server_id, request_id, tx)


class ImagesHere:
    """Images."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def find(self, image_id: str, project_id: str) -> ImageFacts:
        """An image that the project sees."""
        try:
            found = self._site.images.find(image_id, project_id)
        except NotFound:
            raise NotFound(f"Image {image_id} could not be found.", "image") from None
        return ImageFacts(
            found.id, found.name or "", found.status, found.owner, found.min_disk, found.min_ram, found.size or 0,
            found.virtual_size or 0, found.disk_format or "", found.container_format or "", found.properties,
        )  # fmt: skip

    def create(self, project_id: str, user_id: str, name: str, properties: Mapping[str, Any], request_id: str) -> str:
        """A queued image, as a server's disk will fill it."""
        return self._site.images.create_from(project_id, user_id, _new_image(name, properties), request_id).id

    def create_mapped(
        self, tx: Tx, owner: tuple[str, str], name: str, properties: Mapping[str, Any], request_id: str
    ) -> str:
        """An image that names snapshots."""
        new = dataclasses.replace(_new_image(name, properties), bare=True)
        return self._site.images.create_within(tx, owner, new, request_id).id


def _new_image(name: str, properties: Mapping[str, Any]) -> NewImage:
    own = ("andromede_", "os_glance")
    facts = {key: str(value) for key, value in properties.items() if not key.startswith(own)}
    return NewImage(
        name=name, visibility="private", disk_format="qcow2", container_format="bare",
        min_disk=int(facts.pop("min_disk", 0) or 0), min_ram=int(facts.pop("min_ram", 0) or 0), properties=facts,
    )  # fmt: skip


class NetworksHere:
    """Networks and ports."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def choices(self, project_id: str) -> Sequence[NetworkFacts]:
        """Networks that servers join without a choice; one without subnets is none of them."""
        found = [row for row in self._site.networks.networks_for(project_id) if row.subnets]
        return [NetworkFacts(row.id, row.name) for row in found]

    def find(self, network_id: str, project_id: str) -> NetworkFacts:
        """A network that servers of the project may be plugged into."""
        found = self._site.networks.find(network_id, project_id)
        if found.external and not found.shared and found.project_id != project_id:
            raise Denied(f"It is not allowed to create an interface on external network {network_id}", "network")
        return NetworkFacts(found.id, found.name, bool(found.subnets))

    def port(self, port_id: str, project_id: str) -> PortFacts:
        """A port of the project."""
        found = self._site.networks.port(port_id, project_id)
        if found.project_id != project_id:
            raise NotFound(f"Port id {port_id} could not be found.", "port")
        return _port(found)

    def ports_of(self, server_id: str) -> Sequence[PortFacts]:
        """The ports plugged into a server."""
        return [_port(port) for port in self._site.networks.ports_of(server_id)]

    def addresses(self, server_ids: Sequence[str]) -> Mapping[str, Sequence[AddressFacts]]:
        """Of many servers at once."""
        return {
            server: [AddressFacts(a.network, a.address, a.version, a.kind, a.mac, a.port_id) for a in listed]
            for server, listed in self._site.networks.addresses_of(server_ids).items()
        }

    def group_names(self, server_ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """The names of the security groups of many servers' ports."""
        found = self._site.networks.groups_of(server_ids)
        return {server: [name for _, name in listed] for server, listed in found.items()}

    def groups(self, project_id: str) -> Sequence[GroupFacts]:
        """The security groups of a project."""
        listed = self._site.networks.security_groups(project_id, request_id(self._site.base.ids))
        return [_group(row) for row in listed if row["project_id"] == project_id]

    def groups_of(self, server_id: str) -> Sequence[GroupFacts]:
        """Those of a server's ports."""
        ports = self._site.networks.ports_of(server_id)
        wanted = {group for port in ports for group in port.security_groups}
        if not wanted:
            return []
        known = self._site.networks.security_groups(ports[0].project_id, request_id(self._site.base.ids))
        return [_group(row) for row in known if row["id"] in wanted]

    def nics(self, server_id: str) -> Sequence[NicFacts]:
        """What a guest must know of its ports."""
        return [
            NicFacts(
                link.port.id, link.port.network_id, link.port.mac_address, link.port.mtu,
                tuple(
                    _subnet(row, next(ip for subnet, ip in link.port.fixed_ips if subnet == row.id))
                    for row in link.subnets
                    if any(subnet == row.id for subnet, _ in link.port.fixed_ips)
                ),
            )
            for link in self._site.networks.links(server_id)
        ]  # fmt: skip

    def server_of(self, port_id: str) -> str:
        """The server a port is plugged into."""
        return self._site.networks.port(port_id).device_id

    def create_port(
        self, project_id: str, server_id: str, network_id: str, fixed_ip: str, request_id: str
    ) -> PortFacts:
        """A port for a server that runs already."""
        from andromede.network.service import PortWish

        wish = PortWish(
            fixed_ips=[("", fixed_ip)] if fixed_ip else None, device_id=server_id, device_owner="compute:nova"
        )  # fmt: skip
        try:
            return _port(self._site.networks.create_port(project_id, network_id, wish, request_id))
        except Conflict as error:
            raise Invalid(error.public, "port") from error

    def delete_port(self, port_id: str, request_id: str) -> None:
        """Undo that."""
        self._site.networks.delete_port(port_id, request_id)

    def add_address(self, port_id: str, request_id: str) -> None:
        """One more fixed address."""
        self._site.networks.add_address(port_id, request_id)

    def remove_address(self, port_id: str, address: str, request_id: str) -> None:
        """One less."""
        self._site.networks.remove_address(port_id, address, request_id)

    def associate(self, project_id: str, address: str, port_id: str, fixed_ip: str, request_id: str) -> None:
        """Point a floating IP at a port, or at none."""
        self._site.networks.associate(project_id, address, port_id, fixed_ip, request_id)

    def change_group(self, server_id: str, group_id: str, add: bool, request_id: str) -> None:
        """Put every port of a server into a group, or out of it."""
        self._site.networks.change_group(server_id, group_id, add, request_id)


def _port(port: Port) -> PortFacts:
    return PortFacts(
        port.id, port.network_id, port.mac_address, port.status, port.device_id, port.project_id, port.fixed_ips
    )  # fmt: skip


def _group(row: Mapping[str, Any]) -> GroupFacts:
    rules = tuple(row.get("security_group_rules") or ())
    return GroupFacts(row["id"], row["name"], row.get("description") or "", row["project_id"], rules)


def _subnet(row: SubnetRow, address: str) -> SubnetFacts:
    return SubnetFacts(
        row.id, address, row.cidr, row.gateway_ip or "", row.enable_dhcp, tuple(row.dns_nameservers),
        tuple((route["destination"], route["nexthop"]) for route in row.host_routes),
    )  # fmt: skip

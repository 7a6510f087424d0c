"""What the compute service needs of its neighbours, as the composition root provides it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from andromede.db import Tx
from andromede.web.call import Call


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """An image that the project may use. Sizes: GiB, MiB, bytes."""

    id: str
    name: str
    status: str
    owner: str = ""
    min_disk: int = 0
    min_ram: int = 0
    size: int = 0
    virtual_size: int = 0
    disk_format: str = ""
    container_format: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """A network that the project may plug servers into; `subnets`: whether it has any."""

    id: str
    name: str
    subnets: bool = True


@dataclass(frozen=True, slots=True)
class PortFacts:
    """A port; `fixed_ips`: (subnet id, address) pairs."""

    id: str
    network_id: str
    mac: str
    status: str
    device_id: str = ""
    project_id: str = ""
    fixed_ips: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SubnetFacts:
    """An address of a nic with its subnet, for the guest's own set-up."""

    subnet_id: str
    address: str
    cidr: str
    gateway: str = ""
    dhcp: bool = True
    dns: tuple[str, ...] = ()
    routes: tuple[tuple[str, str], ...] = ()
    """(destination, next hop)."""


@dataclass(frozen=True, slots=True)
class NicFacts:
    """A nic for the guest's own set-up."""

    port_id: str
    network_id: str
    mac: str
    mtu: int
    subnets: tuple[SubnetFacts, ...] = ()


@dataclass(frozen=True, slots=True)
class AddressFacts:
    """An address of a server: `kind` fixed or floating."""

    network: str
    address: str
    version: int
    kind: str
    mac: str
    port_id: str = ""


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """A security group."""

    id: str
    name: str
    description: str = ""
    project_id: str = ""
    rules: tuple[Mapping[str, Any], ...] = ()
    """`id direction ethertype protocol port_range_min port_range_max remote_ip_prefix remote_group_id`."""


@dataclass(frozen=True, slots=True)
class VolumeFacts:
    """A volume or snapshot that the project may use; size in GiB."""

    id: str
    name: str
    status: str
    size: int
    bootable: bool = False
    multiattach: bool = False
    image: Mapping[str, Any] = field(default_factory=dict)
    """Facts of the image it was made of (`volume_image_metadata`)."""


class Door(Protocol):
    """A neighbour's whole API under the caller's rights, for what only passes things on."""

    def __call__(
        self, call: Call[Any], method: str, path: str, body: Any = None, query: Sequence[tuple[str, str]] = ()
    ) -> Any:
        """The answer's document. Raises what the neighbour raises."""


class Images(Protocol):
    """Images that servers are made of, and that are made of servers."""

    def find(self, image_id: str, project_id: str) -> ImageFacts:
        """Raises `NotFound`."""

    def create(self, project_id: str, user_id: str, name: str, properties: Mapping[str, Any], request_id: str) -> str:
        """A queued image, to be filled by the host role; its id."""

    def create_mapped(
        self, tx: Tx, owner: tuple[str, str], name: str, properties: Mapping[str, Any], request_id: str
    ) -> str:
        """An active image without bytes, whose properties name snapshots, as part of the caller's transaction; its id.
        `owner`: project and user."""


class Networks(Protocol):
    """Ports and what hangs on them."""

    def choices(self, project_id: str) -> Sequence[NetworkFacts]:
        """Networks that the project may plug servers into, the external ones of others left out."""

    def find(self, network_id: str, project_id: str) -> NetworkFacts:
        """Raises `NotFound`."""

    def port(self, port_id: str, project_id: str) -> PortFacts:
        """Raises `NotFound`."""

    def ports_of(self, server_id: str) -> Sequence[PortFacts]:
        """The ports plugged into a server."""

    def addresses(self, server_ids: Sequence[str]) -> Mapping[str, Sequence[AddressFacts]]:
        """Of many servers at once."""

    def group_names(self, server_ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """The names of the security groups of many servers' ports, each once per port."""

    def groups(self, project_id: str) -> Sequence[GroupFacts]:
        """The security groups of a project, its default one among them."""

    def groups_of(self, server_id: str) -> Sequence[GroupFacts]:
        """Those of a server's ports."""

    def nics(self, server_id: str) -> Sequence[NicFacts]:
        """What a guest must know of its ports, in order."""

    def server_of(self, port_id: str) -> str:
        """The server a port is plugged into, "" for none."""

    def create_port(
        self, project_id: str, server_id: str, network_id: str, fixed_ip: str, request_id: str
    ) -> PortFacts:
        """A port for a server that runs already, in the project's default security group. Raises `Invalid` for an
        address that is taken or outside."""

    def delete_port(self, port_id: str, request_id: str) -> None:
        """Undo `create_port`."""

    def add_address(self, port_id: str, request_id: str) -> None:
        """One more fixed address of the port's network."""

    def remove_address(self, port_id: str, address: str, request_id: str) -> None:
        """Take a fixed address away."""

    def associate(self, project_id: str, address: str, port_id: str, fixed_ip: str, request_id: str) -> None:
        """Point a floating IP at a port, "" at none. Raises `NotFound`."""

    def change_group(self, server_id: str, group_id: str, add: bool, request_id: str) -> None:
        """Put every port of a server into a group, or out of it. Raises `NotFound`."""


class Volumes(Protocol):
    """Volumes that servers use. Reservation keeps others off until the host role has attached or rolled back."""

    def find(self, volume_id: str, project_id: str) -> VolumeFacts:
        """Raises `NotFound`."""

    def snapshot(self, snapshot_id: str, project_id: str) -> VolumeFacts:
        """Raises `NotFound`."""

    def reserve(self, volume_id: str, project_id: str, server_id: str, request_id: str, tx: Tx) -> None:
        """Hold a volume for a server, as part of the caller's transaction. Raises `Invalid` for one that is not
        free."""

    def take_snapshot(self, volume_id: str, who: tuple[str, str], name: str, tx: Tx) -> str:
        """Begin a snapshot of a volume, in use or not, as part of the caller's transaction; its id. `who`: user and
        request. Raises `Invalid`, `OverQuota`."""

    def begin_detaching(self, volume_id: str, server_id: str, request_id: str, tx: Tx) -> None:
        """The volume is about to be detached."""

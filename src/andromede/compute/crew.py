"""What the steps of servers need of their neighbours on this host, as the composition root provides it. Every call may
be repeated; `Unavailable` means that the same call may succeed later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from andromede.clock import Clock
from andromede.compute.engine import Hypervisor
from andromede.compute.model import Device, Server
from andromede.db import Database, Tx


@dataclass(frozen=True, slots=True)
class Plugged:
    """A port as a guest gets it. `up`: its admin_state_up."""

    id: str
    network_id: str
    mac: str
    mtu: int = 1450
    up: bool = True


class HostPorts(Protocol):
    """Ports of servers."""

    def make(self, server: Server, nic: Device, taken: frozenset[str]) -> str:
        """A port on the nic's network with the server's security groups, plugged into the server; its id. One that the
        server has there already and that is not among `taken` is the one that an interrupted call made."""

    def bind(self, port_id: str, server: Server) -> None:
        """Plug the port into the server on this host."""

    def unbind(self, port_id: str, server: Server) -> None:
        """The port is plugged nowhere; harmless when it is gone or plugged into something else."""

    def park(self, port_id: str, server: Server) -> None:
        """The port stays the server's and is on no host (a shelved server's)."""

    def delete(self, port_id: str, server: Server) -> None:
        """The port is not there."""

    def wired(self, port_id: str) -> bool:
        """Whether packets of the port would be carried: its tap in place and its rules in force."""

    def held(self, server: Server, held: bool) -> None:
        """The guest holds its taps, or does so no more: what the ports' status shows."""

    def facts(self, port_id: str) -> Plugged:
        """Raises `NotFound`."""


class HostDisks(Protocol):
    """Disks that belong to servers, and those of volumes by the volume's id. Sizes are bytes."""

    def root(self, server: Server, disk_id: str, size: int, image_id: str) -> None:
        """The disk shows the image until it is written to."""

    def blank(self, server: Server, disk_id: str, size: int, form: str = "") -> None:
        """The disk is there, empty if it is new. With a `form` (`swap` or a file system) it is formatted, again if it
        was: nobody has used it yet."""

    def copy(self, server: Server, source_id: str, target_id: str, size: int) -> None:
        """An independent copy of a disk that nobody uses, of at least `size`."""

    def remove(self, disk_id: str, server: Server) -> None:
        """The disk is not there and its key is destroyed."""

    def size(self, disk_id: str) -> int:
        """Raises `NotFound`."""


class HostVolumes(Protocol):
    """Volumes at servers."""

    def make(self, server: Server, disk: Device) -> str:
        """A volume as the device wishes (of an image, a snapshot, a volume, or blank); its id. Repeated for the same
        device it is the same volume."""

    def ready(self, volume_id: str) -> bool:
        """Whether it can be attached. Raises `Conflict` when it never will be."""

    def attach(self, server: Server, disk: Device) -> None:
        """The volume is in use by the server, under the device's name."""

    def detach(self, server: Server, disk: Device) -> None:
        """The volume is in use by the server no more; harmless when it is gone."""

    def delete(self, server: Server, disk: Device) -> None:
        """The volume is to go; harmless when it is gone, or in use by another server: it stays then."""


class HostImages(Protocol):
    """Images of servers."""

    def size(self, image_id: str) -> int:
        """Bytes of the disk in an image."""

    def fill(self, image_id: str, disk_id: str, server: Server) -> None:
        """The image holds the bytes of a disk that nobody writes to, and is active. Harmless when it is."""

    def fail(self, image_id: str, why: str) -> None:
        """The image that was to be made will not be."""

    def delete(self, image_id: str, server: Server) -> None:
        """The image is not there."""

    def rotate(self, server: Server, kind: str, keep: int) -> None:
        """Of the server's backups of this kind no more are left than `keep`, the newest."""


class Documents(Protocol):
    """What a server is told about itself."""

    def __call__(self, server: Server) -> Mapping[str, bytes]: ...


class Books(Protocol):
    """Capacity that servers hold."""

    def release(self, tx: Tx, server: Server, now_us: int) -> None:
        """The server holds nothing any more."""

    def settle(self, tx: Tx, server: Server, flavor: Mapping[str, Any], root_gb: int, now_us: int) -> None:
        """The server holds what the flavor takes and nothing beside."""


@dataclass(frozen=True, slots=True)
class Crew:
    """Everything that the steps of servers stand on. `documents`: the config drive of a server, by path; `host`: the
    name of this host."""

    db: Database
    clock: Clock
    hypervisor: Hypervisor
    ports: HostPorts
    disks: HostDisks
    volumes: HostVolumes
    images: HostImages
    documents: Documents
    books: Books
    host: str = ""

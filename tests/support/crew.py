"""A host's crew for the steps of servers, in memory: neighbours that police their callers, over the guests' twin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from andromede.compute.crew import Crew, Plugged
from andromede.compute.model import Device, Server
from andromede.db import Database, Tx
from andromede.engines.memory_guests import MemoryGuests
from andromede.errors import Conflict, NotFound
from tests.support.clock import FakeClock
from tests.support.lifecycles import Scene

GIB = 1 << 30


class Ports:
    """Ports by id: (server or "", host or "")."""

    def __init__(self) -> None:
        self.ports: dict[str, tuple[str, str]] = {}
        self.made = 0
        self.holding = False

    def make(self, server: Server, nic: Device, taken: frozenset[str]) -> str:
        for port_id, (owner, _) in self.ports.items():
            if owner == server.id and port_id not in taken:
                return port_id
        port_id = f"port-{len(self.ports)}"
        self.ports[port_id] = (server.id, "")
        self.made += 1
        return port_id

    def _there(self, port_id: str) -> None:
        if port_id not in self.ports:
            raise NotFound(f"Port {port_id} could not be found.", "port")

    def bind(self, port_id: str, server: Server) -> None:
        self._there(port_id)
        self.ports[port_id] = (server.id, "here")

    def unbind(self, port_id: str, server: Server) -> None:
        if port_id in self.ports and self.ports[port_id][0] == server.id:
            self.ports[port_id] = ("", "")

    def park(self, port_id: str, server: Server) -> None:
        self.ports[port_id] = (server.id, "")

    def delete(self, port_id: str, server: Server) -> None:
        self.ports.pop(port_id, None)

    def wired(self, port_id: str) -> bool:
        return self.ports[port_id][1] == "here"

    def held(self, server: Server, held: bool) -> None:
        self.holding = held

    def facts(self, port_id: str) -> Plugged:
        self._there(port_id)
        return Plugged(port_id, "net", "fa:16:3e:00:00:01")


class LocalDisks:
    """Disks by id: their size and what was written into them first."""

    def __init__(self, guests: MemoryGuests) -> None:
        self.disks: dict[str, tuple[int, str]] = {}
        self._guests = guests

    def _free(self, disk_id: str) -> None:
        assert disk_id not in self._guests.open_disks(), f"disk {disk_id} is touched while a guest has it open"

    def read(self, disk_id: str) -> int:
        """What an image is made of."""
        self._free(disk_id)
        return self.disks[disk_id][0]

    def root(self, server: Server, disk_id: str, size: int, image_id: str) -> None:
        assert size > 0
        self.disks.setdefault(disk_id, (size, f"image {image_id}"))

    def blank(self, server: Server, disk_id: str, size: int, form: str = "") -> None:
        self.disks.setdefault(disk_id, (size, "blank"))
        if form:
            self._free(disk_id)
            self.disks[disk_id] = (size, form)

    def copy(self, server: Server, source_id: str, target_id: str, size: int) -> None:
        self._free(source_id)
        self.disks.setdefault(target_id, (max(size, self.disks[source_id][0]), self.disks[source_id][1]))

    def remove(self, disk_id: str, server: Server) -> None:
        self._free(disk_id)
        self.disks.pop(disk_id, None)

    def size(self, disk_id: str) -> int:
        if disk_id not in self.disks:
            raise NotFound(f"there is no disk {disk_id}", "disk")
        return self.disks[disk_id][0]


class VolumesAtServers:
    """Volumes by id: (the server it is in use by or "", the device it was made for)."""

    def __init__(self, disks: LocalDisks) -> None:
        self.volumes: dict[str, tuple[str, str]] = {}
        self.broken: set[str] = set()
        self._disks = disks

    def add(self, volume_id: str) -> None:
        self.volumes[volume_id] = ("", "")
        self._disks.disks[volume_id] = (GIB, "blank")

    def make(self, server: Server, disk: Device) -> str:
        for volume_id, (_, device) in self.volumes.items():
            if device == disk.id:
                return volume_id
        volume_id = f"made-for-{disk.id}"
        self.volumes[volume_id] = ("", disk.id)
        self._disks.disks[volume_id] = (GIB, "blank")
        return volume_id

    def ready(self, volume_id: str) -> bool:
        if volume_id in self.broken:
            raise Conflict(f"volume {volume_id} is in error", "state")
        return volume_id in self.volumes

    def attach(self, server: Server, disk: Device) -> None:
        self.volumes[disk.volume_id] = (server.id, self.volumes[disk.volume_id][1])

    def detach(self, server: Server, disk: Device) -> None:
        if disk.volume_id in self.volumes:
            self.volumes[disk.volume_id] = ("", self.volumes[disk.volume_id][1])

    def delete(self, server: Server, disk: Device) -> None:
        if self.volumes.pop(disk.volume_id, None) is not None:
            self._disks.disks.pop(disk.volume_id, None)


class ServerImages:
    """Images by id: "queued", "active of <what was in the disk>", "failed"."""

    def __init__(self, disks: LocalDisks) -> None:
        self.images: dict[str, str] = {}
        self._disks = disks

    def size(self, image_id: str) -> int:
        return GIB // 2

    def fill(self, image_id: str, disk_id: str, server: Server) -> None:
        if self.images[image_id] == "queued":
            self.images[image_id] = f"active {self._disks.read(disk_id)}"

    def fail(self, image_id: str, why: str) -> None:
        self.images[image_id] = f"failed: {why}"

    def delete(self, image_id: str, server: Server) -> None:
        self.images.pop(image_id, None)

    def rotate(self, server: Server, kind: str, keep: int) -> None:
        assert not any(text == "queued" for text in self.images.values()), "backups are counted before the new one is"
        for image_id in list(self.images)[: max(0, len(self.images) - keep)]:
            del self.images[image_id]


class ServerBooks:
    """What servers hold."""

    def __init__(self, db: Database) -> None:
        self.held: dict[str, int] = {}

    def release(self, tx: Tx, server: Server, now_us: int) -> None:
        def give_back() -> None:
            self.held.pop(server.id, None)

        tx.after(give_back)

    def settle(self, tx: Tx, server: Server, flavor: Mapping[str, Any], root_gb: int, now_us: int) -> None:
        tx.after(lambda: self.held.update({server.id: int(flavor["ram"])}))


class Hands:
    """Everything that a host has, and the crew over it; with a scene, its engines may fail."""

    def __init__(self, db: Database, clock: FakeClock) -> None:
        self.db, self.clock = db, clock
        self.ports = Ports()
        self.guests = MemoryGuests(lambda port: self.ports.wired(port))
        self.disks = LocalDisks(self.guests)
        self.volumes = VolumesAtServers(self.disks)
        self.images = ServerImages(self.disks)
        self.books = ServerBooks(db)

    def crew(self, scene: Scene | None = None) -> Crew:
        def wrap(engine: Any, name: str) -> Any:
            return engine if scene is None else scene.wrap(engine, name)

        return Crew(
            self.db, self.clock, wrap(self.guests, "guest."), wrap(self.ports, "port."), wrap(self.disks, "disk."),
            wrap(self.volumes, "volume."), wrap(self.images, "image."), lambda server: {}, self.books, "here",
        )  # fmt: skip

    def left(self, server_id: str) -> list[str]:
        """What is left of a server that was deleted."""
        ports = [name for name, (owner, _) in self.ports.ports.items() if owner == server_id]
        volumes = [name for name, (owner, _) in self.volumes.volumes.items() if owner == server_id]
        disks = [name for name in self.disks.disks if name not in self.volumes.volumes]
        return [*ports, *volumes, *disks, *self.guests.guests, *self.books.held]

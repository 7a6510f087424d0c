"""How servers come into being, and how they go."""

from __future__ import annotations

from collections.abc import Callable

from andromede.compute.model import FORMS, Device, DeviceState, Server, State
from andromede.compute.shape import GIB, derived, devices, is_root
from andromede.compute.stage import SOON, Stage
from andromede.compute.tables import CONSOLES, DEVICES
from andromede.db import Tx
from andromede.work.lifecycle import Next, Step

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def form_of(server: Server, row: Device) -> str:
    """How a blank disk is formatted: as its mapping says, else with ext4; Windows formats its disks itself."""
    windows = server.image.get("properties", {}).get("os_type") == "windows"
    return row.guest_format or ("" if windows else FORMS[0])


class Building(Stage):
    """scheduling -> networking -> block_device_mapping -> spawning -> active, and deleting from everywhere."""

    def steps(self) -> dict[str, Step[Server]]:
        """By state."""
        return {
            State.SCHEDULING: self.scheduling, State.NETWORKING: self.networking, State.MAPPING: self.mapping,
            State.SPAWNING: self.spawning, State.DELETING: self.deleting,
        }  # fmt: skip

    def scheduling(self, server: Server) -> Next:
        """Room was claimed in the transaction that made the row."""
        return Next(State.NETWORKING, changes={"host": self.crew.host})

    def networking(self, server: Server) -> Next:
        """Every nic has a port, and every port is bound to this host."""
        nics = [row for row in devices(self.crew, server) if row.kind == "nic"]
        for nic in nics:
            if not nic.port_id:
                taken = frozenset(row.port_id for row in nics if row.port_id)
                made = self.crew.ports.make(server, nic, taken)
                return Next(State.NETWORKING, then=_changing(nic, port_id=made, made=True))
            if not nic.mac:
                port = self.crew.ports.facts(nic.port_id)
                return Next(State.NETWORKING, then=_changing(nic, mac=port.mac, network_id=port.network_id))
        for nic in nics:
            self.crew.ports.bind(nic.port_id, server)
        return Next(State.MAPPING)

    def mapping(self, server: Server) -> Next:
        """Every device has its place and every disk is there."""
        rows = devices(self.crew, server)
        if any(not row.slot for row in rows):
            return Next(State.MAPPING, then=lambda tx: _place(tx, server, rows))
        for row in rows:
            if row.kind == "disk":
                if row.target != "volume":
                    self._local(server, row)
                elif (waiting := self._volume(server, row)) is not None:
                    return waiting
        root = next((row.disk_id for row in rows if is_root(row) and row.target != "volume"), "")
        return Next(State.SPAWNING, changes={"root_disk_id": root})

    def _local(self, server: Server, row: Device) -> None:
        if row.source == "image":
            size = (server.root_gb or row.size_gb) * GIB
            image = row.source_id or server.image_id
            self.crew.disks.root(server, row.disk_id, size or self.crew.images.size(image), image)
        else:
            self.crew.disks.blank(server, row.disk_id, max(row.size_gb, 1) * GIB, form_of(server, row))

    def _volume(self, server: Server, row: Device) -> Next | None:
        """A wait until a volume is attached, None when it is."""
        if not row.volume_id:
            made = self.crew.volumes.make(server, row)
            return Next(State.MAPPING, then=_changing(row, volume_id=made, disk_id=made, made=True))
        if not self.crew.volumes.ready(row.volume_id):
            return Next(State.MAPPING, 2 * SOON)
        self.crew.volumes.attach(server, row)
        return None

    def spawning(self, server: Server) -> Next:
        """The guest is started; whether it is ready is its own affair."""
        waiting = self.unwired(server)
        if waiting:
            return Next(State.SPAWNING, SOON, fault=f"port {waiting[0].port_id} does not carry packets yet")
        if not self.run(server):
            return Next(State.SPAWNING, SOON, fault="the hypervisor has not started the guest yet")

        def then(tx: Tx) -> None:
            where = {"server_id": server.id, "state": DeviceState.WISHED}
            DEVICES.update(tx, where, state=DeviceState.ATTACHED)

        launched = server.launched_us or self.crew.clock.now_us()
        return self.rest(server, State.ACTIVE, "running", then, progress=100, launched_us=launched)

    def deleting(self, server: Server) -> Next:
        """In any state: the guest, then one device after another, then what is left."""
        self.crew.hypervisor.remove(server.id)
        for row in devices(self.crew, server):
            self.release(server, row)
            return Next(State.DELETING, then=_removing(row))
        for disk_id in self.leftovers(server):
            self.crew.disks.remove(disk_id, server)
        if image := str(server.wish.get("image_id") or ""):
            if server.before in (State.SHELVED, State.OFFLOADED):  # what it was to come back from
                self.crew.images.delete(image, server)
            else:
                self.crew.images.fail(image, "the server was deleted before its image was made")

        def then(tx: Tx) -> None:
            self.crew.books.release(tx, server, self.crew.clock.now_us())
            CONSOLES.remove(tx, server_id=server.id)

        now = self.crew.clock.now_us()
        return self.rest(server, State.DELETED, "none", then, terminated_us=now)

    def release(self, server: Server, row: Device) -> None:
        """Give back what a device stands for; with the server, if it was made for it."""
        if row.kind == "nic":
            if row.port_id and row.made:
                self.crew.ports.delete(row.port_id, server)
            elif row.port_id:
                self.crew.ports.unbind(row.port_id, server)
        elif row.target == "volume":
            if row.volume_id:
                self.crew.volumes.detach(server, row)
                if row.delete_on_termination:
                    self.crew.volumes.delete(server, row)
        elif row.disk_id:
            self.crew.disks.remove(row.disk_id, server)

    @staticmethod
    def leftovers(server: Server) -> list[str]:
        """Disks of work that was interrupted for good."""
        named = [server.guest.get(name, "") for name in ("rescue", "old_root", "copy")]
        return sorted({str(disk_id) for disk_id in (*named, server.root_disk_id) if disk_id})


def _changing(row: Device, **changes: object) -> Callable[[Tx], None]:
    def then(tx: Tx) -> None:
        DEVICES.update(tx, {"id": row.id}, **changes)

    return then


def _removing(row: Device) -> Callable[[Tx], None]:
    def then(tx: Tx) -> None:
        DEVICES.remove(tx, id=row.id)

    return then


def _place(tx: Tx, server: Server, rows: list[Device]) -> None:
    """Slots in the order of the devices, the disk that boots first; ids of local disks; names that are missing."""
    ordered = sorted(rows, key=lambda row: (row.kind != "disk", not is_root(row), row.position))
    names = {row.device_name for row in rows}
    free = (name for name in (f"/dev/vd{letter}" for letter in _LETTERS) if name not in names)
    for slot, row in enumerate(ordered):
        changes: dict[str, object] = {"slot": str(slot), "bus": f"rp{slot}"}
        if row.kind == "disk":
            if not row.device_name:
                changes["device_name"] = next(free)
            if row.target != "volume":
                word = "root" if is_root(row) else f"disk {row.position}"
                changes["disk_id"] = derived(server.id, word)
            elif row.volume_id:
                changes["disk_id"] = row.volume_id
        DEVICES.update(tx, {"id": row.id}, **changes)

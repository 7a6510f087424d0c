"""From the rows of a server to the guest that its host is to run."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from andromede.compute.crew import Crew
from andromede.compute.engine import SLOTS, DiskDevice, Guest, Kernel, NicDevice, Power
from andromede.compute.model import Device, DeviceState, Server, State
from andromede.compute.tables import DEVICES
from andromede.errors import NotFound, OverQuota

GIB = 1 << 30
_OURS = uuid.UUID("0d3ac1c1-93a1-5a9c-9f5a-3f3f6c0f7a11")
"""The namespace of ids that are derived from a server's (RFC 4122, version 5)."""
_THERE = (DeviceState.WISHED, DeviceState.ATTACHING, DeviceState.ATTACHED)
_RUNS: dict[str, Power] = {
    State.ACTIVE: "running", State.RESCUED: "running", State.PAUSED: "paused", State.SUSPENDED: "suspended",
}  # fmt: skip


def derived(server_id: str, word: str) -> str:
    """The id of something of a server's that an interrupted step finds again."""
    return str(uuid.uuid5(_OURS, f"{server_id} {word}"))


def devices(crew: Crew, server: Server) -> list[Device]:
    """Every device of a server, disks first."""
    return DEVICES.select(crew.db, {"server_id": server.id})


def present(rows: Sequence[Device]) -> list[Device]:
    """The devices that the guest is to have."""
    return [row for row in rows if row.state in _THERE and row.slot]


def free_slot(rows: Sequence[Device]) -> str:
    """A slot that no device holds. Raises `OverQuota` when there is none."""
    held = {row.slot for row in rows}
    for slot in range(SLOTS):
        if str(slot) not in held:
            return str(slot)
    raise OverQuota(f"a server has at most {SLOTS} disks and ports together; detach one first", "slots")


def resting_power(server: Server) -> Power:
    """The power of a server at rest."""
    if server.state == State.VERIFY_RESIZE:
        return "running" if server.before == State.ACTIVE else "off"
    return _RUNS.get(server.state, "off")


def guest_of(crew: Crew, server: Server, power: Power) -> Guest:
    """The guest as it is wished, with the devices that the rows name."""
    if power in ("off", "suspended"):
        disks = tuple(_disk(crew, server, row) for row in _disks(present(devices(crew, server))))
        return Guest(server.id, power, 1, 1, disks)
    rows = present(devices(crew, server))
    flavor, image = server.flavor, server.image.get("properties", {})
    disks = tuple(_disk(crew, server, row) for row in _disks(rows))
    if server.guest.get("rescue"):
        disks = _rescue(server, rows, disks)
    nics = []
    for row in rows:
        if row.kind == "nic":
            with suppress(NotFound):  # somebody removed the port: so goes the nic
                port = crew.ports.facts(row.port_id)
                nics.append(NicDevice(port.id, int(row.slot), port.mac, port.mtu, port.up))
    documents = crew.documents(server) if server.config_drive else {}
    firmware = "uefi" if image.get("hw_firmware_type") == "uefi" else "bios"
    return Guest(server.id, power, int(flavor["vcpus"]), int(flavor["ram"]), disks, tuple(nics), _kernel(server),
                 documents, firmware)  # fmt: skip


def _disks(rows: Sequence[Device]) -> list[Device]:
    return [row for row in rows if row.kind == "disk" and row.disk_id]


def _disk(crew: Crew, server: Server, row: Device) -> DiskDevice:
    boot = row.boot_index + 1 if row.boot_index >= 0 else 0
    size = crew.disks.size(row.disk_id) if row.state == DeviceState.ATTACHED and row.volume_id else 0
    return DiskDevice(row.disk_id, int(row.slot), row.disk_id[:20], boot, size_bytes=size)


def is_root(row: Device) -> bool:
    """Whether a device is the disk that the server boots from."""
    return row.kind == "disk" and row.boot_index == 0


def _rescue(server: Server, rows: Sequence[Device], disks: tuple[DiskDevice, ...]) -> tuple[DiskDevice, ...]:
    """The rescue disk stands in the first slot and boots; the server's own root comes after everything else. Where the
    rescue image says as what its disk is to stand there, the server's disks stay what they are ("stable device")."""
    rescue, properties = str(server.guest["rescue"]), server.guest.get("rescue_properties", {})
    away = int(free_slot(rows))
    kind, bus = properties.get("hw_rescue_device"), properties.get("hw_rescue_bus")
    if kind or bus:
        bus = bus or ("sata" if kind == "cdrom" else "virtio")
        after = [replace(disk, boot=disk.boot + 1 if disk.boot else 0) for disk in disks]
        return (*after, DiskDevice(rescue, away, rescue[:20], 1, bus=str(bus), cdrom=kind == "cdrom"))
    moved = [DiskDevice(d.id, away if d.slot == 0 else d.slot, d.serial, 0) for d in disks]
    return (DiskDevice(rescue, 0, rescue[:20], 1), *moved)


def _kernel(server: Server) -> Kernel | None:
    properties = server.image.get("properties", {})
    if server.guest.get("rescue"):
        properties = server.guest.get("rescue_properties", {})
    if not properties.get("kernel_id"):
        return None
    line = properties.get("os_command_line", "")
    return Kernel(str(properties["kernel_id"]), str(properties.get("ramdisk_id") or ""), str(line))

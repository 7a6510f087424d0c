"""The command line of a guest's process, and the descriptors that go with it. No secret and no path of a disk stands
on it: those are descriptors, of memory where they are secret."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from andromede.compute.engine import SLOTS, DiskDevice, Guest, Layer, NicDevice
from andromede.engines.qemu.accelerator import PROGRAM, Accelerator
from andromede.engines.qemu.place import Place
from andromede.errors import Invalid

_SMBIOS = (
    "type=1,manufacturer=OpenStack Foundation,product=OpenStack Nova,version=29,serial={0},uuid={0},"
    "family=Virtual Machine"
)
"""What makes cloud-init look for OpenStack's metadata."""


def hexed(identifier: str) -> str:
    """An id as a part of node names, which have at most 31 characters."""
    return identifier.replace("-", "")[:24]


def disk_name(disk_id: str) -> str:
    """The device of a disk."""
    return f"disk-{disk_id}"


def nic_name(port_id: str) -> str:
    """The device of a port."""
    return f"nic-{port_id}"


def net_name(port_id: str) -> str:
    """The backend of a port."""
    return f"net-{port_id}"


def node_name(disk_id: str, layer: int = 0) -> str:
    """The block node of a disk's layer, 0 being the one that is written; its file's node begins with f."""
    return f"d{layer}-{hexed(disk_id)}"


def file_name(disk_id: str, layer: int) -> str:
    """The block node of the file below."""
    return f"f{layer}-{hexed(disk_id)}"


def key_name(disk_id: str, layer: int) -> str:
    """The secret of a layer while it is opened."""
    return f"k{layer}-{hexed(disk_id)}"


def protocol(disk_id: str, layer: int, fdset: int, writable: bool) -> dict[str, object]:
    """The block node of an open file."""
    node: dict[str, object] = {
        "driver": "file",
        "node-name": file_name(disk_id, layer),
        "filename": f"/dev/fdset/{fdset}",
    }
    return node | ({"discard": "unmap", "aio": "threads"} if writable else {"read-only": True})


def image(disk_id: str, layer: int, opened: Layer, top: bool) -> dict[str, object]:
    """The block node of a layer over its file. `top`: nothing lies below."""
    node: dict[str, object] = {
        "driver": opened.format,
        "node-name": node_name(disk_id, layer),
        "file": file_name(disk_id, layer),
    }
    if opened.format == "qcow2":
        node["backing"] = None if top else node_name(disk_id, layer + 1)
    if opened.passphrase is not None:
        node["encrypt" if opened.format == "qcow2" else "key-secret"] = (
            {"format": "luks", "key-secret": key_name(disk_id, layer)}
            if opened.format == "qcow2"
            else key_name(disk_id, layer)
        )
    return node | ({"discard": "unmap", "detect-zeroes": "unmap"} if opened.writable else {"read-only": True})


def disk_device(disk: DiskDevice) -> dict[str, object]:
    """Properties of the guest's device, for -device and device_add."""
    driver, bus = _DRIVERS[disk.bus]
    props: dict[str, object] = {
        "driver": driver[disk.cdrom], "bus": bus.format(slot=disk.slot), "drive": node_name(disk.id),
        "id": disk_name(disk.id), "serial": disk.serial[:20], "rerror": "stop",
    }  # fmt: skip
    props |= {} if disk.cdrom else {"werror": "stop"}
    return props | ({"bootindex": disk.boot} if disk.boot else {})


_DRIVERS: dict[str, tuple[tuple[str, str], str]] = {
    "virtio": (("virtio-blk-pci", "virtio-blk-pci"), "rp{slot}"),
    "scsi": (("scsi-hd", "scsi-cd"), "c{slot}.0"),
    "usb": (("usb-storage", "usb-storage"), "c{slot}.0"),
    "sata": (("ide-hd", "ide-cd"), "ide.0"),
    "ide": (("ide-hd", "ide-cd"), "ide.0"),
}
"""Bus -> drivers of a disk and of a CD on it, and where they are plugged in. q35 has a SATA controller of its own and
no other IDE."""
_CONTROLLERS = {"scsi": "virtio-scsi-pci", "usb": "qemu-xhci"}


def _controller(disk: DiskDevice) -> dict[str, object] | None:
    """What the disk is plugged into, where that is not there anyway: in the disk's own slot."""
    driver = _CONTROLLERS.get(disk.bus)
    return {"driver": driver, "id": f"c{disk.slot}", "bus": f"rp{disk.slot}"} if driver else None


def nic_device(nic: NicDevice) -> dict[str, object]:
    """Properties of the guest's device."""
    return {
        "driver": "virtio-net-pci", "bus": f"rp{nic.slot}", "netdev": net_name(nic.id), "id": nic_name(nic.id),
        "mac": nic.mac, "host_mtu": nic.mtu,
    }  # fmt: skip


def _comma(props: dict[str, object]) -> str:
    driver = props["driver"]
    return f"{driver}," + ",".join(f"{k}={str(v).replace(',', ',,')}" for k, v in props.items() if k != "driver")


def memory_file(name: str, content: bytes) -> int:
    """A descriptor of memory that holds `content`, at its start; the caller closes it."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC)
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


@dataclass(slots=True)
class Line:
    """A command line being written. `fds` are passed to the process, and closed here with `close`."""

    argv: list[str] = field(default_factory=list)
    fds: list[int] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    sets: int = 0

    def add(self, *words: str) -> None:
        self.argv += words

    def take(self, fd: int) -> int:
        """A descriptor for QEMU, which this line closes."""
        self.fds.append(fd)
        return fd

    def fdset(self, fd: int, opaque: str) -> int:
        """A numbered set with one descriptor; the number."""
        self.sets += 1
        self.add("-add-fd", f"fd={self.take(fd)},set={self.sets},opaque={opaque}")
        return self.sets

    def close(self) -> None:
        for fd in self.fds:
            os.close(fd)
        self.fds = []


def machine(line: Line, guest: Guest, accelerator: Accelerator, place: Place) -> None:
    """Everything that guests have in common."""
    console = os.open(place.console, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    log = line.fdset(console, "console")
    cores = f"{guest.vcpus},sockets=1,cores={guest.vcpus},threads=1"
    line.add("-name", f"guest={guest.id},process=vm-{hexed(guest.id)[:8]},debug-threads=on", "-uuid", guest.id)
    line.add("-no-user-config", "-nodefaults", "-machine", "q35,usb=off,vmport=off,hpet=off,dump-guest-core=off")
    line.add(*accelerator.arguments, "-smp", cores, "-m", str(guest.memory_mb), "-rtc", "base=utc")
    line.add("-boot", "strict=on", "-msg", "timestamp=on", "-pidfile", str(place.sockets / "pid"))
    line.add("-smbios", _SMBIOS.format(guest.id))
    line.add("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny")
    line.add("-S", "-no-shutdown", "-action", "panic=pause")
    line.add("-chardev", f"socket,id=mon,path={place.qmp},server=on,wait=off", "-mon", "chardev=mon,mode=control")
    line.add(
        "-chardev",
        f"socket,id=ser,path={place.serial},server=on,wait=off,logfile=/dev/fdset/{log},logappend=on",
        "-device",
        "isa-serial,chardev=ser",
    )
    line.add("-device", "VGA,id=video0,vgamem_mb=16", "-vnc", f"unix:{place.vnc}")
    line.add("-object", "rng-random,id=rng0,filename=/dev/urandom")
    line.add("-device", "virtio-rng-pci,rng=rng0,bus=pcie.0,addr=0x3")
    line.add("-device", "virtio-balloon-pci,id=balloon0,bus=pcie.0,addr=0x4,free-page-reporting=on")
    line.add("-device", "pvpanic-pci,bus=pcie.0,addr=0x5")
    for slot in range(SLOTS):
        several = ",multifunction=on" if slot % 8 == 0 else ""
        where = f"{0x10 + slot // 8:#x}.{slot % 8}"
        line.add("-device", f"pcie-root-port,id=rp{slot},chassis={slot + 1},bus=pcie.0,addr={where}{several}")


def add_disk(line: Line, disk: DiskDevice, layers: Sequence[Layer]) -> None:
    """A disk with all its layers, the lowest first, because a node must stand before it is referred to."""
    for at in reversed(range(len(layers))):
        layer = layers[at]
        if layer.passphrase is not None:
            key = line.take(memory_file("key", layer.passphrase))
            name = key_name(disk.id, at)
            line.add("-object", f"secret,id={name},format=raw,file=/dev/fd/{key}")
            line.secrets.append(name)
        fdset = line.fdset(layer.fd, node_name(disk.id, at))
        line.add("-blockdev", json.dumps(protocol(disk.id, at, fdset, layer.writable)))
        line.add("-blockdev", json.dumps(image(disk.id, at, layer, at == len(layers) - 1)))
    if (controller := _controller(disk)) is not None:
        line.add("-device", _comma(controller))
    line.add("-device", _comma(disk_device(disk)))


def add_nic(line: Line, nic: NicDevice, tap: int) -> None:
    """A port over its open tap."""
    line.add("-netdev", f"tap,id={net_name(nic.id)},fd={line.take(tap)}", "-device", _comma(nic_device(nic)))


def add_drive(line: Line, iso: bytes) -> None:
    """The config drive as a read-only virtio disk: kernels of cloud images lack AHCI."""
    memory = memory_file("config", iso)
    fdset = line.fdset(os.open(f"/proc/self/fd/{memory}", os.O_RDONLY | os.O_CLOEXEC), "config")
    os.close(memory)
    file = {"driver": "file", "node-name": "f-config", "filename": f"/dev/fdset/{fdset}", "read-only": True}
    line.add("-blockdev", json.dumps(file))
    line.add("-blockdev", json.dumps({"driver": "raw", "node-name": "config", "file": "f-config", "read-only": True}))
    line.add("-device", "virtio-blk-pci,bus=pcie.0,addr=0x6,drive=config,id=config,serial=config-2")


def begin(guest: Guest, accelerator: Accelerator, place: Place) -> Line:
    """The line without devices of its own. Raises `Invalid` for what this engine does not start."""
    slots = [disk.slot for disk in guest.disks] + [nic.slot for nic in guest.nics]
    if len(set(slots)) != len(slots) or not all(0 <= slot < SLOTS for slot in slots):
        raise Invalid(f"a guest has {SLOTS} slots, one for each disk and nic", "slots")
    if guest.firmware != "bios":
        raise Invalid(
            f"firmware {guest.firmware} is not offered on this host; use an image that boots by BIOS", "firmware"
        )
    line = Line([PROGRAM])
    machine(line, guest, accelerator, place)
    return line

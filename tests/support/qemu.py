"""A hypervisor of QEMU in a short folder of its own, with encrypted disks and no network."""

from __future__ import annotations

import base64
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from andromede.clock import SystemClock
from andromede.compute.engine import DiskDevice, Guest, Layer
from andromede.engines.qcow2.engine import Qcow2Engine
from andromede.engines.qemu.accelerator import Accelerator, choose
from andromede.engines.qemu.cgroups import Cgroups
from andromede.engines.qemu.engine import QemuHypervisor, Seat, Sources
from andromede.errors import Unavailable
from andromede.ids import RandomIds
from andromede.volumes.engine import Disk

IDS = RandomIds()
MIB = 1 << 20
ABLE = os.geteuid() == 0 and shutil.which("qemu-system-x86_64") is not None and shutil.which("qemu-img") is not None
needs_qemu = pytest.mark.skipif(not ABLE, reason="guests need root, qemu-system-x86 and qemu-utils")


class Rig:
    """Disks by id, and the hypervisor over them. `kernel`: files by image id."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.disks: dict[str, Disk] = {}
        self.files: dict[str, Path] = {}
        self.engine = Qcow2Engine(folder / "volumes", IDS, least_free=0.0)
        self.qemu = self.again()

    def again(self) -> QemuHypervisor:
        """Another process's hypervisor over the same guests."""
        seat = Seat(self.folder / "g", self.folder / "states", self.folder / "uids", self._chosen, Cgroups("test"))
        return QemuHypervisor(seat, Sources(self._open, self._plug, self._image, self._secret), SystemClock(), IDS)

    def _chosen(self) -> Accelerator:
        return choose("auto", self.folder / "accelerator")

    def _open(self, disk_id: str) -> list[Layer]:
        opened = self.engine.open(self.disks[disk_id])
        return [Layer(one.fd, one.format, one.writable, one.passphrase.encode() or None) for one in opened.layers]

    def _secret(self, disk_id: str) -> bytes:
        return self.disks[disk_id].passphrase.encode()

    @staticmethod
    def _plug(port_id: str) -> int:
        raise Unavailable(f"port {port_id} is not wired", "port")

    def _image(self, image_id: str) -> BinaryIO:
        return open(self.files[image_id], "rb")

    def disk(self, size: int = 32 * MIB) -> str:
        """A new encrypted disk."""
        made = Disk(IDS.dashed(), size, base64.b64encode(IDS.secret(32)).decode())
        self.disks[made.id] = made
        self.engine.ensure(made)
        return made.id

    def guest(self, *disks: str, power: str = "running", **more: object) -> Guest:
        """A guest with those disks; without anything to boot it stays in its firmware, which is enough for most."""
        devices = tuple(DiskDevice(disk, at, disk[:20], int(at == 0)) for at, disk in enumerate(disks))
        values: dict[str, object] = {"id": IDS.dashed(), "power": power, "vcpus": 1, "memory_mb": 64} | more
        return Guest(disks=devices, **values)  # type: ignore[arg-type]


@contextmanager
def rig() -> Iterator[Rig]:
    """Everything goes with the context, guests included."""
    folder = Path(tempfile.mkdtemp(prefix="q"))
    os.chmod(folder, 0o711)
    made = Rig(folder)
    try:
        yield made
    finally:
        for guest_id in made.qemu.known():
            made.qemu.remove(guest_id)
        shutil.rmtree(folder)


def until(done: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether it came true in time."""
    clock = SystemClock()
    end = clock.monotonic() + seconds
    while not done():
        if clock.monotonic() > end:
            return False
        clock.sleep(0.02)
    return True

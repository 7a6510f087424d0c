"""A disk that boots by BIOS: a master boot record and one FAT partition with SYSLINUX, a kernel and its RAM disk."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

from andromede.images.recipes import packages

MIB = 1 << 20
SECTOR = 512
START = MIB // SECTOR
FAT16, FAT32, LINUX = 0x06, 0x0C, 0x83


@dataclass(frozen=True, slots=True)
class Part:
    """One partition: type (see above), first sector and length in sectors; the first of a disk is active."""

    kind: int
    start: int
    sectors: int


def boot_record(code: bytes, signature: bytes, parts: list[Part]) -> bytes:
    """A master boot record: 440 bytes of code, four of signature, the table."""
    table = b""
    for number, part in enumerate(parts):
        active = 0x80 if number == 0 else 0
        table += struct.pack("<B3sB3sII", active, b"\xfe\xff\xff", part.kind, b"\xfe\xff\xff", part.start, part.sectors)
    return code[:440].ljust(440, b"\0") + signature + b"\0\0" + table.ljust(64, b"\0") + b"\x55\xaa"


@dataclass(frozen=True, slots=True)
class Boot:
    """What is on the FAT partition: kernel, RAM disk, the kernel's command line, and how large it is."""

    kernel: Path
    ramdisk: Path
    command: str
    sectors: int

    @property
    def config(self) -> str:
        return f"DEFAULT l\nLABEL l\n LINUX vmlinuz\n INITRD initrd.gz\n APPEND {self.command}\n"


def lay(disk: Path, record: bytes, boot: Boot) -> None:
    """Write the boot record and the FAT partition into a raw disk that has its size already."""
    folder, place = disk.parent, f"{disk.name}@@{START * SECTOR}"
    with disk.open("r+b") as file:
        file.write(record)
    (folder / "syslinux.cfg").write_text(boot.config)
    packages.run(["mformat", "-i", place, "-T", str(boot.sectors), "-h", "16", "-s", "63", "::"], folder)
    packages.run(["syslinux", "--install", "--offset", str(START * SECTOR), disk.name], folder)
    for source, name in ((boot.kernel, "vmlinuz"), (boot.ramdisk, "initrd.gz"), (folder / "syslinux.cfg", "")):
        packages.run(["mcopy", "-i", place, str(source), f"::{name}"], folder)


def compress(disk: Path, target: Path) -> None:
    """A raw disk as a compressed qcow2 image."""
    packages.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", str(disk), str(target)], disk.parent)

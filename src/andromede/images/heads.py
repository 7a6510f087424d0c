"""What the first bytes of an image say. For telling apart what must not be mistaken for each other; what is inside a
structured image is looked at by the inspector."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping

from andromede.images.model import FLAT

SIGNS: Mapping[str, Callable[[bytes], bool]] = {
    "qcow2": lambda head: head[:4] == b"QFI\xfb",
    "qed": lambda head: head[:4] == b"QED\0",
    "vmdk": lambda head: head[:4] in (b"KDMV", b"COWD") or head.lstrip()[:21] == b"# Disk DescriptorFile",
    "vdi": lambda head: head[64:68] == b"\x7f\x10\xda\xbe",
    "vhdx": lambda head: head[:8] == b"vhdxfile",
    "vhd": lambda head: head[:8] == b"conectix",
    "ploop": lambda head: head[:16] in (b"WithoutFreeSpace", b"WithouFreSpacExt"),
    "luks": lambda head: head[:6] == b"LUKS\xba\xbe",
}


def found(head: bytes) -> str | None:
    """The structured format that an image begins like, None for none."""
    return next((name for name, fits in SIGNS.items() if fits(head)), None)


def refusal(disk_format: str, head: bytes) -> str | None:
    """Why bytes are not of the disk format that was declared, as their beginning tells; None when they may be."""
    seen = found(head)
    if disk_format in FLAT:
        return None if seen is None else f"the data is a {seen} image, not {disk_format} as declared"
    if disk_format in SIGNS and seen != disk_format and not (disk_format == "vhd" and seen is None):
        return f"the data is {f'a {seen} image' if seen else 'no image that is known'}, not {disk_format} as declared"
    return None


def virtual_size(head: bytes, size: int) -> int | None:
    """Bytes of the disk inside an image that this host made itself: of qcow2 by its header, else as stored."""
    if found(head) == "qcow2" and len(head) >= 32:
        return int(struct.unpack(">Q", head[24:32])[0])
    return size if found(head) is None else None


EXTERNAL_DATA = 1 << 2
"""Incompatible feature of qcow2: the data lies in another file (docs/interop/qcow2.txt of QEMU)."""


def outside(head: bytes) -> str | None:
    """Why a qcow2 image does not stand alone, as its header says; None when it does."""
    if found(head) != "qcow2":
        return None
    if len(head) < 104:
        return "the qcow2 header is cut off"
    version, backing, _, _, size, crypt = struct.unpack(">IQIIQI", head[4:36])
    features = struct.unpack(">Q", head[72:80])[0] if version >= 3 else 0
    if backing:
        return "it has a backing file"
    if features & EXTERNAL_DATA:
        return "its data lies in another file"
    if crypt:
        return "it is encrypted"
    return f"its virtual size is {size} bytes" if size >= 1 << 53 else None

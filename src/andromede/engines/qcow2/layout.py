"""An empty qcow2 image with a LUKS head (QEMU's docs/interop/qcow2.txt), written in one go."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from andromede.engines.qcow2 import luks
from andromede.errors import Invalid
from andromede.ids import Ids

CLUSTER_BITS = 16
CLUSTER = 1 << CLUSTER_BITS
_REFTABLE, _REFBLOCK, _L1, _HEAD = CLUSTER, 2 * CLUSTER, 3 * CLUSTER, 4 * CLUSTER
_LUKS = 2
"""The crypt method."""
_CRYPTO, _BASE_FORMAT = 0x0537BE77, 0xE2792ACA
"""Types of header extensions."""
_COVERS = CLUSTER * CLUSTER // 8
"""Bytes that one entry of the L1 table stands for."""
LARGEST = _COVERS * CLUSTER // 8
"""The size up to which the L1 table fits into one cluster: 4 TiB."""


def _extension(kind: int, data: bytes) -> bytes:
    return struct.pack(">II", kind, len(data)) + data + bytes(-len(data) % 8)


def _header(size: int, base: bytes, base_format: bytes) -> bytes:
    extensions = _extension(_CRYPTO, struct.pack(">QQ", _HEAD, luks.HEAD_BYTES))
    if base:
        extensions += _extension(_BASE_FORMAT, base_format)
    extensions += bytes(8)
    name_at = 104 + len(extensions) if base else 0
    fields = struct.pack(
        ">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", 3, name_at, len(base), CLUSTER_BITS, size, _LUKS,
        -(-size // _COVERS), _L1, _REFTABLE, 1, 0, 0, 0, 0, 0, 4, 104,
    )  # fmt: skip
    whole = fields + extensions + base
    if len(whole) > 1023 + 104 + 64:
        raise Invalid("the path of the disk's base is longer than a qcow2 header can hold", "base")
    return whole


def write(path: Path, size: int, passphrase: bytes, ids: Ids, base: tuple[str, str] | None = None) -> None:
    """A new file of mode 0600 that holds an empty disk of `size` bytes, durable. `base`: path and format of what
    shows through where nothing was written."""
    if not 0 < size <= LARGEST:
        raise Invalid(f"a disk has 1 to {LARGEST} bytes, not {size}", "size")
    name, kind = base or ("", "")
    used = _HEAD // CLUSTER + -(-luks.HEAD_BYTES // CLUSTER)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(fd, _header(-(-size // luks.SECTOR) * luks.SECTOR, os.fsencode(name), kind.encode()), 0)
        os.pwrite(fd, struct.pack(">Q", _REFBLOCK), _REFTABLE)
        os.pwrite(fd, struct.pack(">H", 1) * used, _REFBLOCK)
        os.pwrite(fd, luks.head(passphrase, ids), _HEAD)
        os.truncate(fd, used * CLUSTER)
        os.fsync(fd)
    finally:
        os.close(fd)
